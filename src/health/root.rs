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
    fn is_quick() {
        let mut calls = 0;
        between(0.0, 1.0, 1e-10, |x| {
            calls += 1;
            x.exp() - 1.5
        });
        assert!(calls < 14, "{calls}");
    }
}
