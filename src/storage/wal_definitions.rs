//! Which series the frames of a log define. Each is defined by two frames that lie a
//! sector apart, so that neither is missed alone. Five bytes a series.

use std::collections::VecDeque;

use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::Delta;
use crate::limits::WAL_REDEFINE_BYTES;

/// No frame defines the series.
const NOT_DEFINED: u32 = 0;
/// Two frames do. Between these two is the number of the one frame that does.
const SETTLED: u32 = u32::MAX;

/// The definitions of one log.
#[derive(Default)]
pub struct Definitions {
    /// By series: which frame defines it.
    defined: Vec<u32>,
    /// Those that are settled: all that most deltas ask for, and near.
    settled: Vec<bool>,
    /// Frames before the first of `near`.
    before: u32,
    /// Offsets of the frames that lie within a sector of the newest.
    near: VecDeque<u64>,
    /// What the newest frame has to define, in order.
    owed: Vec<u32>,
}

impl Definitions {
    /// What it keeps of a series, the list being an eighth too long.
    pub const BYTES_A_SERIES: usize = 6;

    /// The series that a frame at `offset` with these deltas has to define, which
    /// count as defined by it from now on.
    ///
    /// # Errors
    /// More frames than are numbered: the log is to be abandoned.
    pub fn owed_by(&mut self, offset: u64, deltas: &[Delta]) -> Result<&[u32]> {
        let far = |at: &u64| offset - at >= WAL_REDEFINE_BYTES;
        while self.near.front().is_some_and(far) {
            self.near.pop_front();
            self.before += 1;
        }
        self.near.push_back(offset);
        let frame = u32::try_from(self.near.len())
            .ok()
            .and_then(|near| self.before.checked_add(near))
            .filter(|frame| *frame < SETTLED)
            .ok_or_else(|| Error::new(ErrorKind::Limit, "more frames than one log may have"))?;
        self.owed.clear();
        // Of those said again: one sector has few of them.
        let mut again = Vec::new();
        let mut last = None;
        for delta in deltas {
            if last.replace(delta.series) == Some(delta.series) {
                continue;
            }
            let index = delta.series as usize;
            if self.settled.get(index) == Some(&true) {
                continue;
            }
            if index >= self.defined.len() {
                self.lengthen(index + 1);
            }
            match self.defined[index] {
                NOT_DEFINED => self.defined[index] = frame,
                // Already listed in this frame.
                defined if defined == frame => continue,
                defined if defined > self.before => {
                    // Still one copy by the rule: say it again in each frame.
                    if again.contains(&delta.series) {
                        continue;
                    }
                    again.push(delta.series);
                }
                _ => {
                    self.defined[index] = SETTLED;
                    self.settled[index] = true;
                }
            }
            self.owed.push(delta.series);
        }
        Ok(&self.owed)
    }

    /// Gives back what a huge frame took.
    pub fn shrink(&mut self) {
        self.owed.clear();
        self.owed.shrink_to(1 << 12);
    }

    /// By an eighth and not twofold: a log knows every series there is.
    fn lengthen(&mut self, length: usize) {
        let old = self.defined.len();
        let more = (length - old).max(old / 8).max(256);
        self.defined.reserve_exact(more);
        self.settled.reserve_exact(more);
        self.defined.resize(old + more, NOT_DEFINED);
        self.settled.resize(old + more, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn deltas(series: &[u32]) -> Vec<Delta> {
        let delta = |series: &u32| Delta {
            series: *series,
            minute: 0,
            bits: 1,
        };
        series.iter().map(delta).collect()
    }

    #[test]
    fn a_series_costs_five_bytes() {
        let mut definitions = Definitions::default();
        for series in 0..100_000 {
            let owed = definitions.owed_by(u64::from(series) * 64, &deltas(&[series]));
            assert_eq!(owed.unwrap(), [series]);
        }
        let bytes =
            definitions.defined.capacity() * size_of::<u32>() + definitions.settled.capacity();
        assert!(bytes < 100_000 * Definitions::BYTES_A_SERIES, "{bytes}");
        assert!(definitions.near.len() <= WAL_REDEFINE_BYTES as usize / 64);
    }

    proptest! {
        /// As the rule says it: a frame defines what it uses unless two frames before
        /// it do, the one at least a sector behind the other.
        #[test]
        fn every_series_is_defined_by_the_rule(
            frames in prop::collection::vec((1_u64..3_000, prop::collection::vec(0_u32..6, 0..8)), 0..40),
        ) {
            let mut definitions = Definitions::default();
            let mut model: BTreeMap<u32, (u64, bool)> = BTreeMap::new();
            let mut offset = 0;
            for (bytes, series) in &frames {
                offset += bytes;
                let owed = definitions.owed_by(offset, &deltas(series)).unwrap().to_vec();
                let mut expected: Vec<u32> = Vec::new();
                for series in series {
                    let (at, settled) = model.entry(*series).or_insert((offset, false));
                    if *settled || expected.contains(series) {
                        continue;
                    }
                    expected.push(*series);
                    *settled = offset - *at >= WAL_REDEFINE_BYTES;
                }
                prop_assert_eq!(owed, expected);
            }
        }
    }
}
