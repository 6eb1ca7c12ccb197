//! Which minutes of a day have a cell. Absent is not zero.

use std::ops::Range;

use crate::limits::MINUTES_PER_DAY;

/// Minutes of a day, as the index type of a page.
pub const MINUTES: u16 = MINUTES_PER_DAY as u16;

const WORDS: usize = MINUTES_PER_DAY.div_ceil(u64::BITS) as usize;

/// The set of minutes of one day that have a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Bit `m` is minute `m`; bits from 1,440 on are zero.
    words: [u64; WORDS],
}

impl Presence {
    /// No minute at all.
    #[must_use]
    pub const fn new() -> Self {
        Presence { words: [0; WORDS] }
    }

    /// Adds one minute; minutes beyond the day are none of it and ignored.
    pub fn set(&mut self, minute: u16) {
        if minute < MINUTES {
            self.words[usize::from(minute / 64)] |= 1 << (minute % 64);
        }
    }

    /// Whether a minute is present.
    #[must_use]
    pub fn get(&self, minute: u16) -> bool {
        minute < MINUTES && self.words[usize::from(minute / 64)] >> (minute % 64) & 1 == 1
    }

    /// Adds every minute of `minutes` that lies in the day.
    pub fn set_range(&mut self, minutes: Range<u16>) {
        let end = minutes.end.min(MINUTES);
        for index in minutes.start / 64..end.div_ceil(64) {
            let first = minutes.start.saturating_sub(index * 64).min(64);
            let last = (end - index * 64).min(64);
            if first < last {
                let ones = u64::MAX >> (64 - (last - first));
                self.words[usize::from(index)] |= ones << first;
            }
        }
    }

    /// Takes one minute out.
    #[cfg(any(test, feature = "internals"))]
    pub fn unset(&mut self, minute: u16) {
        if minute < MINUTES {
            self.words[usize::from(minute / 64)] &= !(1 << (minute % 64));
        }
    }

    /// Minutes present.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Minutes present before `minute`: where its value stands in the column.
    #[must_use]
    pub fn rank(&self, minute: u16) -> usize {
        let minute = minute.min(MINUTES);
        let (whole, rest) = (usize::from(minute / 64), minute % 64);
        let below: usize = self.words[..whole]
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum();
        let partial = match self.words.get(whole) {
            Some(word) => (word & ((1 << rest) - 1)).count_ones() as usize,
            None => 0,
        };
        below + partial
    }

    /// [`Presence::rank`] of each of `minutes`, which ascend.
    #[inline(always)]
    pub(super) fn ranks(&self, minutes: &[u16], ranks: &mut [usize]) {
        let (mut word, mut below) = (0, 0);
        for (minute, rank) in minutes.iter().zip(ranks) {
            let minute = usize::from((*minute).min(MINUTES));
            while word < minute / 64 {
                below += self.words[word].count_ones() as usize;
                word += 1;
            }
            let rest = self
                .words
                .get(word)
                .map_or(0, |word| word & ((1 << (minute % 64)) - 1));
            *rank = below + rest.count_ones() as usize;
        }
    }

    /// Whether no minute is present.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Adds all minutes of `other`.
    pub fn union(&mut self, other: &Presence) {
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// Takes every minute out that is not one of `minutes`.
    pub fn keep(&mut self, minutes: Range<u16>) {
        let mut kept = Presence::new();
        kept.set_range(minutes);
        for (word, kept) in self.words.iter_mut().zip(&kept.words) {
            *word &= kept;
        }
    }

    /// Takes every minute out.
    pub fn clear(&mut self) {
        self.words = [0; WORDS];
    }

    /// The first minute present.
    #[must_use]
    pub fn first(&self) -> Option<u16> {
        let index = self.words.iter().position(|word| *word != 0)?;
        Some(index as u16 * 64 + self.words[index].trailing_zeros() as u16)
    }

    /// The last minute present.
    #[must_use]
    pub fn last(&self) -> Option<u16> {
        let index = self.words.iter().rposition(|word| *word != 0)?;
        Some(index as u16 * 64 + 63 - self.words[index].leading_zeros() as u16)
    }

    /// The set as words: bit `m % 64` of word `m / 64` is minute `m`.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The minutes present, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.words.iter().zip(0_u16..).flat_map(|(word, index)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as u16)?;
                rest &= rest - 1;
                Some(index * 64 + bit)
            })
        })
    }

    /// The minutes `start..end` that are absent, as a set of their own.
    #[must_use]
    pub(super) fn holes(&self, minutes: Range<u16>) -> Presence {
        let mut holes = Presence::new();
        holes.set_range(minutes);
        for (word, present) in holes.words.iter_mut().zip(&self.words) {
            *word &= !present;
        }
        holes
    }

    /// The minutes at which presence differs from the minute before: starts
    /// and ends of runs by turns. The end of a run that lasts until midnight
    /// is not among them.
    #[must_use]
    pub(super) fn flips(&self) -> Presence {
        let mut flips = Presence::new();
        let mut carry = 0;
        for (flip, word) in flips.words.iter_mut().zip(&self.words) {
            *flip = word ^ (word << 1 | carry);
            carry = word >> 63;
        }
        flips.words[WORDS - 1] &= LAST_WORD;
        flips
    }

    /// The bitmap as it is stored: bit `m % 8` of byte `m / 8` is minute `m`.
    pub(super) fn bitmap(&self) -> impl Iterator<Item = u8> + '_ {
        let bytes = self.words.iter().flat_map(|word| word.to_le_bytes());
        bytes.take(BITMAP_BYTES)
    }

    /// The set stored as `bitmap`.
    pub(super) fn from_bitmap(bitmap: &[u8; BITMAP_BYTES]) -> Presence {
        let mut presence = Presence::new();
        for (word, bytes) in presence.words.iter_mut().zip(bitmap.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(padded);
        }
        presence
    }
}

/// Bytes of a day's bitmap.
pub(super) const BITMAP_BYTES: usize = MINUTES_PER_DAY as usize / 8;

/// The bits of the last word that are minutes.
const LAST_WORD: u64 = u64::MAX >> (WORDS as u32 * u64::BITS - MINUTES_PER_DAY);

impl FromIterator<u16> for Presence {
    fn from_iter<I: IntoIterator<Item = u16>>(minutes: I) -> Self {
        let mut presence = Presence::new();
        minutes.into_iter().for_each(|minute| presence.set(minute));
        presence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn minutes_beyond_the_day_are_ignored() {
        let mut presence = Presence::new();
        presence.set(1_440);
        presence.set(u16::MAX);
        presence.set_range(1_440..u16::MAX);
        assert!(presence.is_empty() && !presence.get(1_440) && !presence.get(u16::MAX));
        presence.set_range(0..u16::MAX);
        assert_eq!(presence.count(), 1_440);
        assert_eq!(presence.rank(u16::MAX), 1_440);
        presence.unset(u16::MAX);
        presence.clear();
        assert_eq!((presence.first(), presence.last()), (None, None));
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(
            minutes in proptest::collection::btree_set(0..MINUTES, 0..300),
            more in proptest::collection::btree_set(0..MINUTES, 0..300),
            range in (0..1_500_u16, 0..1_500_u16),
            probe in 0..1_500_u16,
        ) {
            let mut presence: Presence = minutes.iter().copied().collect();
            prop_assert_eq!(presence.count(), minutes.len());
            prop_assert_eq!(presence.first(), minutes.first().copied());
            prop_assert_eq!(presence.last(), minutes.last().copied());
            prop_assert_eq!(presence.get(probe), minutes.contains(&probe));
            prop_assert_eq!(presence.rank(probe), minutes.range(..probe).count());
            prop_assert!(presence.iter().eq(minutes.iter().copied()));
            let ascending = [0, probe / 2, probe, MINUTES, u16::MAX];
            let mut ranks = [0; 5];
            presence.ranks(&ascending, &mut ranks);
            prop_assert_eq!(ranks, ascending.map(|minute| presence.rank(minute)));
            let flips: Vec<u16> = (0..MINUTES)
                .filter(|m| presence.get(*m) != (*m > 0 && presence.get(m - 1)))
                .collect();
            prop_assert!(presence.flips().iter().eq(flips));
            let holes: Vec<u16> = (range.0..range.1.min(MINUTES))
                .filter(|m| !presence.get(*m))
                .collect();
            prop_assert!(presence.holes(range.0..range.1).iter().eq(holes));
            let other: Presence = more.iter().copied().collect();
            presence.union(&other);
            presence.set_range(range.0..range.1);
            presence.unset(probe);
            let mut expected: BTreeSet<u16> = minutes.union(&more).copied().collect();
            expected.extend(range.0..range.1.min(MINUTES));
            expected.remove(&probe);
            prop_assert!(presence.iter().eq(expected.iter().copied()));
            presence.keep(range.0..range.1);
            expected.retain(|minute| (range.0..range.1).contains(minute));
            prop_assert!(presence.iter().eq(expected));
        }
    }
}
