//! The exact sums of a series, counted day by day.

use super::monitor::Total;
use super::recent::{self, Recent};
use crate::query::{DayMinutes, DayUnits};

/// What is told apart in counting.
#[derive(Clone, Copy)]
pub(super) struct Span {
    /// Minutes before this one are whole.
    pub whole: u32,
    /// The present.
    pub end: u32,
}

/// The exact sums of a series.
#[derive(Default)]
pub(super) struct Counted {
    pub total: Total,
    pub recent: Recent,
}

impl Counted {
    #[inline(always)]
    pub fn add(&mut self, first: u32, minutes: DayMinutes<'_>, units: DayUnits<'_>, span: Span) {
        let count = units.len();
        let minute = |at: usize| match minutes {
            DayMinutes::Run(start) => first + u32::from(start) + at as u32,
            DayMinutes::List(list) => first + u32::from(list[at]),
        };
        if count == 0 {
            return;
        }
        let before = |end: u32| match minutes {
            DayMinutes::Run(start) => {
                let run = end.saturating_sub(first + u32::from(start));
                (run as usize).min(count)
            }
            DayMinutes::List(list) => list.partition_point(|it| first + u32::from(*it) < end),
        };
        let total = &mut self.total;
        total.first.get_or_insert(minute(0));
        total.last = Some(minute(count - 1));
        let whole = before(span.whole.min(span.end));
        let sum = units.sum(0, whole);
        total.whole = total.whole.saturating_add(sum);
        total.units = total.units.saturating_add(sum);
        total.units = total.units.saturating_add(units.sum(whole, count));
        for at in before(span.end.saturating_sub(recent::MINUTES))..count {
            self.recent.add(minute(at), units.get(at));
        }
    }
}

impl DayUnits<'_> {
    fn len(self) -> usize {
        match self {
            DayUnits::Ints(units) => units.len(),
            DayUnits::Wides(units) => units.len(),
        }
    }

    fn get(self, at: usize) -> i128 {
        match self {
            DayUnits::Ints(units) => units[at].into(),
            DayUnits::Wides(units) => units[at],
        }
    }

    #[inline(always)]
    fn sum(self, from: usize, to: usize) -> i128 {
        match self {
            DayUnits::Ints(units) => sum(&units[from..to]),
            DayUnits::Wides(units) => units[from..to]
                .iter()
                .fold(0, |sum: i128, value| sum.saturating_add(*value)),
        }
    }
}

/// The sum of a day: in 64 bits where no value is beyond 2^52.
#[inline(always)]
pub(super) fn sum(values: &[i64]) -> i128 {
    let (mut beyond, mut sum) = (0, 0_i64);
    for value in values {
        beyond |= value.wrapping_add(1 << 52) as u64;
        sum = sum.wrapping_add(*value);
    }
    if beyond >> 53 == 0 {
        sum.into()
    } else {
        values.iter().map(|value| i128::from(*value)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_tell_what_is_whole_and_what_is_recent() {
        let span = Span {
            whole: 103,
            end: 200,
        };
        for minutes in [DayMinutes::Run(1), DayMinutes::List(&[1, 2, 3, 4])] {
            let mut counted = Counted::default();
            counted.add(100, minutes, DayUnits::Ints(&[5, 6, 7, i64::MAX]), span);
            let total = counted.total;
            assert_eq!((total.first, total.last), (Some(101), Some(104)));
            assert_eq!(total.whole, 11);
            assert_eq!(total.units, 18 + i128::from(i64::MAX));
            counted.add(160, minutes, DayUnits::Wides(&[1, -1, i128::MAX, 2]), span);
            assert_eq!(counted.total.units, i128::MAX);
            assert_eq!(counted.total.last, Some(164));
            assert_eq!(counted.recent.sum(164), i128::MAX);
        }
    }
}
