//! What a query needs of what there is, decided from metadata alone: which
//! parts lie outside, which are answered by their aggregates, which must be
//! decoded. Pure.

use std::ops::Range;

use crate::limits::{MINUTES_PER_BUCKET, MINUTES_PER_DAY};

/// The minutes asked for of one release, and the buckets they are cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first minute.
    pub from: u32,
    /// The minute after the last.
    pub to: u32,
    /// Where bucket 0 starts; no minute before it is asked for.
    pub origin: u32,
    /// Minutes of a bucket; `None` for one bucket with everything.
    pub width: Option<u32>,
}

/// How cells whose first and last minute are known take part in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Not at all.
    Outside,
    /// With all of them in one bucket: their aggregates will do.
    Whole(u32),
    /// A bucket's edge or an end of the window lies among them.
    Cut,
}

impl Window {
    /// Whether there is no minute in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    /// Whether any of the minutes from `first` to `last` lies in the window.
    #[must_use]
    pub fn touches(&self, first: u32, last: u32) -> bool {
        first < self.to && last >= self.from && !self.is_empty()
    }

    /// The minutes of `range` that lie in the window.
    #[must_use]
    pub fn clip(&self, range: Range<u32>) -> Range<u32> {
        let start = range.start.max(self.from);
        start..range.end.min(self.to).max(start)
    }

    /// The bucket of a minute of the window.
    #[inline]
    #[must_use]
    pub fn bucket(&self, minute: u32) -> u32 {
        let minute = minute.saturating_sub(self.origin);
        self.width.map_or(0, |width| minute / width)
    }

    /// The minute after the last of a bucket.
    #[must_use]
    pub fn bucket_end(&self, bucket: u32) -> u32 {
        let end = |width| {
            let minutes = (u64::from(bucket) + 1) * u64::from(width);
            u32::try_from(u64::from(self.origin) + minutes).unwrap_or(u32::MAX)
        };
        self.width.map_or(u32::MAX, end)
    }

    /// At most how many buckets cells from minute `first` to minute `last` lie in.
    #[must_use]
    pub fn buckets_in(&self, first: u32, last: u32) -> usize {
        let minutes = self.clip(first..last.saturating_add(1));
        let count = match minutes.is_empty() {
            true => 0,
            false => self.bucket(minutes.end - 1) - self.bucket(minutes.start) + 1,
        };
        count as usize
    }

    /// How cells from minute `first` to minute `last` take part.
    #[must_use]
    pub fn part(&self, first: u32, last: u32) -> Part {
        if !self.touches(first, last) {
            return Part::Outside;
        }
        match self.only_bucket(first, last) {
            Some(bucket) if first >= self.from && last < self.to => Part::Whole(bucket),
            _ => Part::Cut,
        }
    }

    /// The bucket in which everything lies that is asked for from `first` to
    /// `last`, if it is one.
    #[must_use]
    pub fn only_bucket(&self, first: u32, last: u32) -> Option<u32> {
        let (first, last) = (first.max(self.from), last.min(self.to.saturating_sub(1)));
        let bucket = self.bucket(first);
        (!self.is_empty() && first <= last && bucket == self.bucket(last)).then_some(bucket)
    }

    /// At most how many minutes of a series have to be decoded, of each time
    /// bucket of the store, where parts of a bucket add up or do not, and where
    /// all that there is lies from the first to the last minute of `span`.
    #[must_use]
    pub fn minutes_to_decode(&self, span: (u32, u32), additive: bool) -> u64 {
        if additive && self.width.is_none() && self.from <= span.0 && span.1 < self.to {
            return 0;
        }
        let asked = u64::from(self.to.saturating_sub(self.from).min(MINUTES_PER_BUCKET));
        if !additive {
            return asked;
        }
        // Days without an edge are answered by their aggregates.
        let edges = match self.width {
            None => 2,
            Some(width) if width.is_multiple_of(DAY) && self.origin.is_multiple_of(DAY) => 2,
            Some(width) if width > DAY => asked / u64::from(width) + 3,
            Some(_) => return asked,
        };
        asked.min(edges * u64::from(DAY))
    }

    /// About how many of `cells`, spread from `first` to `last`, have to be
    /// decoded.
    #[must_use]
    pub fn cells_to_decode(&self, first: u32, last: u32, cells: u32, additive: bool) -> u64 {
        if additive && self.part(first, last) != Part::Cut {
            return 0;
        }
        let clipped = self.clip(first..last.saturating_add(1));
        let minutes = u64::from(last - first) + 1;
        let asked = u64::from(clipped.end - clipped.start);
        asked.min(self.minutes_to_decode((first, last), additive)) * u64::from(cells) / minutes
    }
}

const DAY: u32 = MINUTES_PER_DAY;

/// The segments, sorted by bucket and given by theirs, that may have minutes
/// of `minutes`: a range of their indices.
#[must_use]
pub fn segments_in(
    minutes: Range<u32>,
    count: usize,
    bucket: impl Fn(usize) -> u32,
) -> Range<usize> {
    let point = |holds: &dyn Fn(u32) -> bool| {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            if holds(bucket(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    };
    if minutes.is_empty() {
        return 0..0;
    }
    let first = minutes.start / MINUTES_PER_BUCKET;
    let last = (minutes.end - 1) / MINUTES_PER_BUCKET;
    point(&|bucket| bucket < first)..point(&|bucket| bucket <= last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(from: u32, to: u32, width: Option<u32>) -> Window {
        Window {
            from,
            to,
            origin: 0,
            width,
        }
    }

    #[test]
    fn parts() {
        use Part::{Cut, Outside, Whole};
        let hour = Some(60);
        let day = Some(1_440);
        for (window, first, last, expected) in [
            (window(0, 100, None), 0, 99, Whole(0)),
            (window(0, 100, None), 0, 100, Cut),
            (window(1, 100, None), 0, 99, Cut),
            (window(100, 100, None), 0, 200, Outside),
            (window(100, 200, None), 0, 99, Outside),
            (window(100, 200, None), 200, 300, Outside),
            (window(100, 200, None), 199, 300, Cut),
            (window(0, 1_000, hour), 60, 119, Whole(1)),
            (window(0, 1_000, hour), 59, 119, Cut),
            (window(0, 9_000, day), 1_440, 2_879, Whole(1)),
            (window(1_441, 9_000, day), 1_440, 2_879, Cut),
            (window(0, 9_000, Some(2_880)), 1_440, 2_879, Whole(0)),
            (
                Window {
                    from: 50,
                    to: 900,
                    origin: 50,
                    width: hour,
                },
                110,
                169,
                Whole(1),
            ),
            (
                Window {
                    from: 50,
                    to: 900,
                    origin: 50,
                    width: hour,
                },
                60,
                119,
                Cut,
            ),
        ] {
            assert_eq!(
                window.part(first, last),
                expected,
                "{window:?} {first} {last}"
            );
        }
    }

    #[test]
    fn what_aggregates_answer_costs_nothing() {
        for (window, additive, expected) in [
            (window(0, 43_200, None), true, 0),
            (window(0, 43_200, None), false, 14_400),
            (window(0, 7_200, None), true, 2_880),
            (window(0, 7_200, Some(60)), true, 7_200),
            (window(0, 12_000, Some(1_440)), true, 2_880),
            (window(0, 12_000, Some(1_000)), true, 12_000),
            (window(0, 12_000, Some(7_000)), true, 5_760),
            (window(20_000, 43_200, Some(60)), true, 0),
        ] {
            assert_eq!(
                window.cells_to_decode(0, 14_399, 14_400, additive),
                expected,
                "{window:?}"
            );
        }
    }

    #[test]
    fn segments_by_bucket() {
        let buckets = [3, 3, 5, 6, 6, 6, 9];
        let of = |minutes| segments_in(minutes, buckets.len(), |index| buckets[index]);
        let start = |bucket: u32| bucket * MINUTES_PER_BUCKET;
        assert_eq!(of(0..start(100)), 0..7);
        assert_eq!(of(start(5)..start(6)), 2..3);
        assert_eq!(of(start(5)..start(6) + 1), 2..6);
        assert_eq!(of(start(7)..start(9)), 6..6);
        assert_eq!(of(start(9) + 5..start(9) + 6), 6..7);
        assert_eq!(of(5..5), 0..0);
    }

    proptest! {
        #[test]
        fn parts_are_what_the_minutes_say(
            from in 0_u32..300, length in 0_u32..300, origin in 0_u32..50,
            width in proptest::option::of(1_u32..100), first in 0_u32..400, span in 0_u32..100,
        ) {
            let from = from.max(origin);
            let window = Window { from, to: from + length, origin, width };
            let last = first + span;
            let asked: Vec<u32> = (first..=last).filter(|m| (from..from + length).contains(m)).collect();
            let buckets: std::collections::BTreeSet<u32> =
                asked.iter().map(|minute| window.bucket(*minute)).collect();
            let expected = match (asked.len(), buckets.len()) {
                (0, _) => Part::Outside,
                (all, 1) if all as u32 == span + 1 => Part::Whole(buckets.first().copied().unwrap()),
                _ => Part::Cut,
            };
            prop_assert_eq!(window.part(first, last), expected);
            let only = (buckets.len() == 1).then(|| buckets.first().copied().unwrap());
            prop_assert_eq!(window.only_bucket(first, last), only);
            for minute in asked {
                let bucket = window.bucket(minute);
                prop_assert!(minute < window.bucket_end(bucket));
                prop_assert_eq!(window.bucket(window.bucket_end(bucket).min(1 << 30)) > bucket, width.is_some());
            }
        }
    }
}
