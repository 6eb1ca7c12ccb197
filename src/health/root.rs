//! Where a continuous function crosses zero.

/// The root of `f` between `low` and `high`, where it has different signs (or
/// is zero), to within `tolerance`: bisection that takes the secant's step
/// where that is safe (ITP; Oliveira and Takahashi 2020). At most a few more
/// evaluations than bisection, usually under ten.
pub fn between(low: f64, high: f64, tolerance: f64, mut f: impl FnMut(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low, high);
    let (mut at_low, mut at_high) = (f(low), f(high));
    if at_low == 0.0 {
        return low;
    }
    if at_high == 0.0 || (at_low < 0.0) == (at_high < 0.0) {
        return high;
    }
    let falling = at_low > 0.0;
    let halvings = ((high - low) / (2.0 * tolerance))
        .log2()
        .ceil()
        .clamp(0.0, 100.0);
    let mut reach = tolerance * (halvings + 1.0).exp2();
    let first = 0.2 / (high - low);
    for _ in 0..200 {
        if high - low <= 2.0 * tolerance {
            break;
        }
        let middle = 0.5 * (low + high);
        let radius = reach - 0.5 * (high - low);
        reach *= 0.5;
        let truncation = first * (high - low) * (high - low);
        let secant = (at_high * low - at_low * high) / (at_high - at_low);
        let secant = if secant.is_finite() { secant } else { middle };
        let toward = (middle - secant).signum();
        let truncated = if truncation <= (middle - secant).abs() {
            secant + toward * truncation
        } else {
            middle
        };
        let next = if (truncated - middle).abs() <= radius {
            truncated
        } else {
            middle - toward * radius
        };
        let next = next.clamp(low, high);
        if next == low || next == high {
            break;
        }
        let at_next = f(next);
        if at_next == 0.0 {
            return next;
        }
        if (at_next > 0.0) == falling {
            (low, at_low) = (next, at_next);
        } else {
            (high, at_high) = (next, at_next);
        }
    }
    0.5 * (low + high)
}

/// Roots are settled between neighbouring multiples of this.
const CELL: f64 = 1.0 / (1 << 18) as f64;

/// How near [`settle`] has to be told where a root is.
pub const NEAR: f64 = CELL / 8.0;

/// Cells that [`settle`] goes at most.
const FAR: f64 = 8_192.0;

/// Where a root is, and how steep the function is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Root {
    pub at: f64,
    pub slope: f64,
}

/// The root near a guess: where the line through the two multiples of 2⁻¹⁸
/// around it is zero. That is the same to the last bit whatever the guess, so
/// that one who knows where the root was a minute ago finds the same as one who
/// does not; and it is off by the function's bend over 2⁻¹⁸ alone, some 10⁻¹². None
/// where no root of this direction is found.
pub fn settle(guess: f64, rising: bool, mut f: impl FnMut(f64) -> f64) -> Option<Root> {
    let first = cell_of(guess);
    let mut cell = first;
    let (mut low, mut high) = (f(cell * CELL), f((cell + 1.0) * CELL));
    for _ in 0..16 {
        let slope = (high - low) / CELL;
        if (low < 0.0) != (high < 0.0) {
            return within(cell, [low, high], rising);
        }
        // Only whether a value is below zero counts: zero is above.
        let rightward = (low < 0.0) == rising;
        let steps = -(low / slope / CELL);
        let steps = if rightward {
            steps.floor().max(1.0)
        } else {
            steps.floor().min(-1.0)
        };
        let next = cell + steps;
        let far = (next - first).abs();
        if far > FAR || far.is_nan() {
            return None;
        }
        (low, high) = match next - cell {
            1.0 => (high, f((next + 1.0) * CELL)),
            -1.0 => (f(next * CELL), low),
            _ => (f(next * CELL), f((next + 1.0) * CELL)),
        };
        cell = next;
    }
    None
}

/// The multiple of 2⁻¹⁸ below a guess, counted in those.
pub fn cell_of(guess: f64) -> f64 {
    (guess / CELL).floor()
}

/// The two multiples around a cell.
pub fn ends_of(cell: f64) -> [f64; 2] {
    [cell * CELL, (cell + 1.0) * CELL]
}

/// What [`settle`] finds, should the root be in this cell, given the function at
/// both of its ends.
pub fn within(cell: f64, [low, high]: [f64; 2], rising: bool) -> Option<Root> {
    if (low < 0.0) == (high < 0.0) {
        return None;
    }
    let slope = (high - low) / CELL;
    let at = cell * CELL + CELL * (low / (low - high));
    ((slope > 0.0) == rising).then_some(Root { at, slope })
}

impl Root {
    /// About where it is now that the function has this value where it was.
    pub fn guess(self, value: f64) -> Option<f64> {
        let guess = self.at - value / self.slope;
        ((guess - self.at).abs() <= FAR * CELL).then_some(guess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_roots_of_every_shape() {
        let cube = between(-3.0, 10.0, 1e-12, |x| x * x * x - 2.0);
        assert!((cube - 2.0f64.cbrt()).abs() < 1e-11);
        let steep = between(-50.0, 50.0, 1e-10, |x| 1.0 - (x * 20.0).exp());
        assert!(steep.abs() < 1e-9);
        assert_eq!(between(0.0, 1.0, 1e-9, |x| x), 0.0);
        let step = between(0.0, 1.0, 1e-9, |x| if x < 0.3 { -1.0 } else { 1e30 });
        assert!((step - 0.3).abs() < 1e-8);
    }

    #[test]
    fn a_root_is_the_same_whatever_the_guess() {
        for moved in [0.0, 1e-12, 1e-7, -1e-4, 1e-3, -0.02, 0.25] {
            let parabola = |x: f64| 800.0 * (x - moved) * (x - moved) - 3.0;
            let width = (3.0f64 / 800.0).sqrt();
            for side in [-1.0, 1.0] {
                let true_root = moved + side * width;
                let found = settle(true_root, side > 0.0, parabola).unwrap();
                assert!((found.at - true_root).abs() < 1e-10, "{moved} {}", found.at);
                for off in [-1e-3, -1e-5, -1e-9, 1e-12, 4e-6, 1e-4, 2e-3] {
                    let guessed = settle(true_root + off, side > 0.0, parabola);
                    assert_eq!(guessed, Some(found), "{moved} {off}");
                }
                let before = Root {
                    at: side * width,
                    slope: side * 1_600.0 * width,
                };
                if moved.abs() <= 1e-3 {
                    let guess = before.guess(parabola(before.at)).unwrap();
                    assert_eq!(settle(guess, side > 0.0, parabola), Some(found));
                }
            }
        }
        assert_eq!(settle(0.0, true, |_| 1.0), None);
        assert_eq!(settle(0.0, true, |_| f64::NAN), None);
        assert_eq!(settle(0.3, false, |x| x - 0.3), None, "the other direction");
        let edge = settle(0.5, true, |x| x - 0.5).unwrap();
        assert_eq!(edge.at, 0.5);
    }

    #[test]
    fn is_quick() {
        let mut calls = 0;
        between(0.0, 1.0, 1e-10, |x| {
            calls += 1;
            x.exp() - 1.5
        });
        assert!(calls < 14, "{calls}");
    }
}
