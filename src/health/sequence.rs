//! The confidence sequence: every ratio the data do not speak against.
//!
//! At level 1 − α it is the connected set around the estimate of all δ = ln r
//! whose evidence "the ratio is not e^δ" stays below 1/α. It may be looked at
//! at every minute: the chance that it ever leaves out the true ratio is at
//! most α.

use super::root::{self, Root};
use super::vectors::LANES;

/// ln of the largest ratio looked at, a million; a bound beyond it is none.
pub const FARTHEST: f64 = 13.815_510_557_964_274;

/// The ends of the set around `estimate` (or around `second`, a second
/// estimate, should the first itself be spoken against) where `apart`, the
/// log-evidence against a log-ratio, stays below `limit`; `width` is a guess
/// of how far they are. None where an end is
/// not reached, or where every estimate is spoken against.
pub fn around(
    estimate: f64,
    second: Option<f64>,
    width: f64,
    limit: f64,
    mut apart: impl FnMut(f64) -> f64,
) -> (Option<Root>, Option<Root>) {
    let over = |delta: f64, apart: &mut dyn FnMut(f64) -> f64| apart(delta) - limit;
    let estimate = estimate.clamp(-FARTHEST, FARTHEST);
    let mut start = estimate;
    if over(start, &mut apart) >= 0.0 {
        // The halves disagree; look between their estimates.
        let second = second.unwrap_or(estimate).clamp(-FARTHEST, FARTHEST);
        let between = (1..=32).map(|step| estimate + (second - estimate) * f64::from(step) / 32.0);
        let best = between.min_by(|left, right| apart(*left).total_cmp(&apart(*right)));
        start = best.unwrap_or(estimate);
        if over(start, &mut apart) >= 0.0 {
            return (None, None);
        }
    }
    let mut end = |side: f64| {
        let mut inside = start;
        let mut step = width.clamp(1e-6, 1.0);
        loop {
            let next = (inside + side * step).clamp(-FARTHEST, FARTHEST);
            if next == inside {
                return None;
            }
            if over(next, &mut apart) >= 0.0 {
                let mut over = |delta| over(delta, &mut apart);
                let (low, high) = (inside.min(next), inside.max(next));
                let at = root::between(low, high, root::NEAR, &mut over);
                let settled = root::settle(at, side > 0.0, over);
                return Some(settled.unwrap_or(Root { at, slope: 0.0 }));
            }
            (inside, step) = (next, step * 1.6);
        }
    };
    (end(-1.0), end(1.0))
}

/// Both ends found at the last look: those of the next are near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ends {
    limit: f64,
    lower: Root,
    upper: Root,
}

impl Ends {
    /// Of a look at which both were reached.
    pub fn of((lower, upper): (Option<Root>, Option<Root>), limit: f64) -> Option<Self> {
        let (lower, upper) = (lower?, upper?);
        (lower.slope < 0.0 && upper.slope > 0.0).then_some(Ends {
            limit,
            lower,
            upper,
        })
    }

    /// What [`around`] finds now, to the last bit, where that is not far. None
    /// where it may be. `apart` looks at four ratios for little more than one.
    pub fn again(
        self,
        estimate: f64,
        limit: f64,
        mut apart: impl FnMut([f64; LANES]) -> [f64; LANES],
    ) -> Option<(Option<Root>, Option<Root>)> {
        if limit != self.limit || !estimate.is_finite() {
            return None;
        }
        let (lower, upper) = (self.lower, self.upper);
        let [here, below, above, _] = apart([estimate, lower.at, upper.at, estimate]);
        if here >= limit {
            return None;
        }
        let guesses = [lower.guess(below - limit)?, upper.guess(above - limit)?];
        let cells = guesses.map(root::cell_of);
        let [[a, b], [c, d]] = cells.map(root::ends_of);
        let [a, b, c, d] = apart([a, b, c, d]).map(|apart| apart - limit);
        let mut end = |side: usize, values: [f64; 2]| {
            let rising = side == 1;
            root::within(cells[side], values, rising).or_else(|| {
                let over = |delta: f64| apart([delta; LANES])[0] - limit;
                root::settle(guesses[side], rising, over)
            })
        };
        let (lower, upper) = (end(0, [a, b])?, end(1, [c, d])?);
        let within = lower.at < estimate && estimate < upper.at;
        within.then_some((Some(lower), Some(upper)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_moved_a_little_are_the_same_as_found_anew() {
        let at = |center: f64| move |delta: f64| 50.0 * (delta - center) * (delta - center);
        let ends = Ends::of(around(0.1, None, 0.02, 3.0, at(0.1)), 3.0).unwrap();
        for center in [0.1, 0.100_001, 0.1003, 0.09] {
            let again = ends.again(center, 3.0, |all| all.map(at(center)));
            let anew = around(center, None, 0.02, 3.0, at(center));
            assert_eq!(again, Some(anew));
        }
        assert_eq!(
            ends.again(0.1, 4.0, |all| all.map(at(0.1))),
            None,
            "another level"
        );
        assert_eq!(
            ends.again(0.9, 3.0, |all| all.map(at(0.9))),
            None,
            "far away"
        );
        assert_eq!(ends.again(0.1, 3.0, |_| [5.0; LANES]), None);
        assert_eq!(Ends::of((None, None), 3.0), None);
    }

    #[test]
    fn ends_of_a_parabola() {
        let (lower, upper) = around(0.1, None, 0.02, 3.0, |delta| {
            50.0 * (delta - 0.1) * (delta - 0.1)
        });
        let half_width = (3.0f64 / 50.0).sqrt();
        assert!((lower.unwrap().at - (0.1 - half_width)).abs() < 1e-9);
        assert!((upper.unwrap().at - (0.1 + half_width)).abs() < 1e-9);
    }

    #[test]
    fn a_bound_that_is_not_reached_is_none() {
        assert_eq!(around(0.0, None, 0.02, 3.0, |_| 0.0), (None, None));
        let (lower, upper) = around(f64::INFINITY, None, 0.02, 3.0, |delta| 2.0 - delta);
        assert!((lower.unwrap().at + 1.0).abs() < 1e-9);
        assert_eq!(upper, None);
        assert_eq!(around(0.0, Some(1.0), 0.02, 3.0, |_| 5.0), (None, None));
    }
}
