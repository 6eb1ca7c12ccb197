//! A group of the memtable: 256 series that are numbered side by side, their
//! cells, and what arrived and is not merged into these yet.
//!
//! What arrived waits in two lists. Most of it belongs to the newest window of its
//! series, which the first merging reaches; the rest is late, and waits for more of
//! its kind, since each look for an older window is a chain of loads from memory
//! that nobody used for an hour. What comes in by the thousand waits in neither.

use std::ops::Range;
use std::sync::Arc;

use crate::engine::arrivals::{Arrivals, Entry};
use crate::engine::group_merge::Scratch;
use crate::engine::series_cells::SeriesCells;
use crate::format::batch::Delta;
use crate::model::Kind;

/// Series in one group.
pub const GROUP: usize = 256;
/// Bytes charged for a group with its allocation.
pub const GROUP_BYTES: usize = size_of::<Group>() + 32;
/// Series whose cells are copied together behind a snapshot.
pub const LEAF: usize = 32;
/// Deltas that arrived before they are merged; few in tests, so that all come there.
const ARRIVALS_MAX: usize = if cfg!(test) { 304 } else { 16 * GROUP };

pub type Leaf = [Option<SeriesCells>; LEAF];

/// 256 series. Cloning is a snapshot.
#[derive(Clone, Default)]
pub struct Group {
    /// A bit for each series that has a cell.
    present: [u64; GROUP / 64],
    pub arrivals: Arrivals,
    /// Deltas of windows that are not the newest of their series. They came before
    /// all `arrivals`, and behind what is merged.
    pub late: Arrivals,
    /// What was merged; no leaf where nothing was.
    pub leaves: [Option<Arc<Leaf>>; GROUP / LEAF],
}

impl Group {
    /// Takes deltas of its series, the first of which is `base`; says by how many
    /// bytes it grew. Parts of cells that 64 bits do not hold are left in `scratch`.
    pub fn push(
        &mut self,
        runs: &[&[Delta]],
        base: u32,
        kind: &impl Fn(u32) -> Kind,
        scratch: &mut Scratch,
    ) -> usize {
        let before = self.arrivals.bytes() + self.late.bytes();
        let mut grown = 0;
        let mut count = 0;
        for run in runs {
            count += run.len();
            for delta in *run {
                let lane = delta.series as u8;
                if !self.contains(lane) {
                    self.present[usize::from(lane) / 64] |= 1 << (lane % 64);
                }
            }
        }
        let entry = |delta: &Delta| Entry::of(delta, kind(delta.series));
        if self.arrivals.len() + count > self.room(base) {
            // To set them down first would be one more pass over all of them.
            grown += self.merge(runs, entry, base, scratch);
        } else {
            runs.iter().for_each(|run| self.arrivals.push(run, entry));
        }
        grown + self.arrivals.bytes() + self.late.bytes() - before
    }

    /// Deltas that may wait before they are merged. Groups fill evenly as a rule: at
    /// first each has room of its own, so that not all are merged by the same commit,
    /// then or ever after.
    fn room(&self, base: u32) -> usize {
        const STEPS: usize = 16;
        if self.leaves.iter().any(Option::is_some) {
            return ARRIVALS_MAX;
        }
        // Bits turned around: groups side by side are far apart, however few.
        let step = (base as usize / GROUP % STEPS) as u8;
        let step = usize::from(step.reverse_bits() >> 4);
        ARRIVALS_MAX / STEPS * (STEPS - step)
    }

    /// Whether a series has any cell.
    pub fn contains(&self, lane: u8) -> bool {
        self.present[usize::from(lane) / 64] >> (lane % 64) & 1 != 0
    }

    /// Visits the cells of a series in `minutes` by ascending minute; `beside` is
    /// the part of a merged cell that its 64 bits do not hold.
    pub fn visit(
        &self,
        lane: u8,
        minutes: Range<u32>,
        beside: impl Fn(u32) -> i128,
        mut each: impl FnMut(u32, i128),
    ) {
        if minutes.is_empty() {
            return;
        }
        let arrived = self.arrived(lane, &minutes);
        let mut arrived = arrived.iter().peekable();
        if let Some(cells) = self.cells(lane) {
            let windows = minutes.start / 64..minutes.end.div_ceil(64);
            cells.visit(windows, &mut |minute, value| {
                if !minutes.contains(&minute) {
                    return;
                }
                while let Some(before) = arrived.next_if(|arrived| arrived.0 < minute) {
                    each(before.0, before.1);
                }
                let merged = i128::from(value) + beside(minute);
                match arrived.next_if(|arrived| arrived.0 == minute) {
                    Some((_, value, true)) => each(minute, *value),
                    Some((_, value, false)) => each(minute, merged + value),
                    None => each(minute, merged),
                }
            });
        }
        arrived.for_each(|arrived| each(arrived.0, arrived.1));
    }

    /// The first and last minute of a series.
    pub fn series_span(&self, lane: u8) -> Option<(u32, u32)> {
        let merged = self.cells(lane).and_then(SeriesCells::span);
        let all = [merged, self.late.ends(lane), self.arrivals.ends(lane)];
        let widest = |one: (u32, u32), other: (u32, u32)| (one.0.min(other.0), one.1.max(other.1));
        all.into_iter().flatten().reduce(widest)
    }

    /// What arrived of a series, ascending and one of a minute: its value, and
    /// whether that takes the place of the cell's.
    fn arrived(&self, lane: u8, minutes: &Range<u32>) -> Vec<(u32, i128, bool)> {
        let mut found = Vec::new();
        self.late.collect(lane, minutes, &mut found);
        self.arrivals.collect(lane, minutes, &mut found);
        // Stable: of a gauge the last to come has to stay the last.
        found.sort_by_key(Entry::minute);
        let mut joined: Vec<(u32, i128, bool)> = Vec::with_capacity(found.len());
        for entry in found {
            let (minute, value, gauge) = (entry.minute(), entry.value(), entry.is_gauge());
            match joined.last_mut() {
                Some(last) if last.0 == minute && gauge => last.1 = value,
                Some(last) if last.0 == minute => last.1 += value,
                _ => joined.push((minute, value, gauge)),
            }
        }
        joined
    }

    fn cells(&self, lane: u8) -> Option<&SeriesCells> {
        let (leaf, place) = (usize::from(lane) / LEAF, usize::from(lane) % LEAF);
        self.leaves[leaf].as_ref()?[place].as_ref()
    }
}
