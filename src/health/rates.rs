//! Rates, ages, baselines.
//!
//! A rate is Σ events / Σ exposure × 1,000: both are summed, and rates never
//! averaged. Age is minutes since a release went public.

use super::input::Column;

/// Exposure units a rate is given for.
pub const PER: f64 = 1_000.0;

/// Events per 1,000 units of exposure; none without exposure.
#[must_use]
pub fn rate(events: f64, exposure: f64) -> Option<f64> {
    let rate = events / exposure * PER;
    (exposure > 0.0 && rate.is_finite()).then_some(rate)
}

/// Units of a column in the first `age` minutes of a release that went public
/// at `from`: what it counted by that age.
#[must_use]
pub fn at_age(column: &Column, from: u32, age: u32) -> i128 {
    column.sum(from..from.saturating_add(age))
}

/// The first minute at which a release had `adoption` (0 to 1) of all exposure:
/// the second axis on which releases can be compared. Both columns are of the
/// same metric; shares are of trailing days, so that nights do not matter.
#[must_use]
pub fn minute_of_adoption(own: &Column, all: &Column, adoption: f64) -> Option<u32> {
    const DAY: u32 = 1_440;
    let first = own.first()?;
    let last = own.last()?;
    let mut end = first.saturating_add(60);
    while end <= last.saturating_add(60) {
        let window = end.saturating_sub(DAY)..end;
        let (own, all) = (own.sum(window.clone()), all.sum(window));
        if all > 0 && own as f64 >= adoption * all as f64 {
            return Some(end);
        }
        end = end.saturating_add(60);
    }
    None
}

/// The median of the rates of earlier releases at the same age: the history
/// baseline. The mean of the middle two where their number is even.
#[must_use]
pub fn median(rates: &[f64]) -> Option<f64> {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some(0.5 * (sorted[middle - 1] + sorted[middle])),
    }
}

/// One aggregation window of a release.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Minutes since the release went public.
    pub age: u32,
    /// Events in it.
    pub events: f64,
    /// Exposure in it.
    pub exposure: f64,
}

/// The adjusted rate as Mission Control defined it: for a release out for more
/// than 48 hours its first 24 are left out; of the windows that remain, sorted
/// by rate, the highest 0.1 % are left out (⌈0.999·n⌉ stay) and the rest pooled.
///
/// Gives the count of *all* windows that remain, as Mission Control did, and
/// the rate. None without exposure.
#[must_use]
pub fn adjusted(windows: &[Window], age: u32) -> Option<(f64, f64)> {
    let start = if age > 2_880 { 1_440 } else { 0 };
    let mut kept: Vec<(f64, &Window)> = windows
        .iter()
        .filter(|window| window.age >= start)
        .filter_map(|window| Some((rate(window.events, window.exposure)?, window)))
        .collect();
    kept.sort_by(|left, right| left.0.total_cmp(&right.0));
    let count = kept.iter().map(|(_, window)| window.events).sum();
    kept.truncate((kept.len() as f64 * 0.999).ceil() as usize);
    let events = kept.iter().map(|(_, window)| window.events).sum();
    let exposure = kept.iter().map(|(_, window)| window.exposure).sum();
    Some((count, rate(events, exposure)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_exposure() {
        assert_eq!(rate(6.0, 3.0), Some(2_000.0));
        assert_eq!(rate(6.0, 0.0), None);
        assert_eq!(rate(0.0, 0.0), None);
        assert_eq!(rate(1e40, 1e-300), None);
    }

    #[test]
    fn the_adjusted_rate_of_mission_control() {
        // Its test of two windows: values 3 and 3 at 1 and 2 hours.
        let two = [(0, 3.0, 1.0), (60, 3.0, 2.0)].map(|(age, events, exposure)| Window {
            age,
            events,
            exposure,
        });
        assert_eq!(adjusted(&two, 60), Some((6.0, 2_000.0)));
        assert_eq!(adjusted(&[], 60), None);
        // 1,100 windows: the first 24 hours go, then the highest one.
        let many: Vec<Window> = (0..1_100)
            .map(|hour| Window {
                age: hour * 60,
                events: if hour == 500 { 1e6 } else { 2.0 },
                exposure: 1.0,
            })
            .collect();
        let (count, rate) = adjusted(&many, 65_940).unwrap();
        assert_eq!((count, rate), (1e6 + 2.0 * 1_075.0, 2_000.0));
    }

    #[test]
    fn the_median_of_history() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
