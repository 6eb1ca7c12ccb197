//! A group of the memtable: 256 series that are numbered side by side, their
//! cells, and what arrived and is not merged into these yet.
//!
//! What arrived waits in two lists. Most of it belongs to the newest window of its
//! series, which the first merging reaches; the rest is late, and waits for more of
//! its kind, since each look for an older window is a chain of loads from memory
//! that nobody used for an hour.

use std::ops::Range;
use std::sync::Arc;

use crate::engine::arrivals::{Arrivals, Entry};
use crate::engine::series_cells::SeriesCells;
use crate::engine::window::Joined;
use crate::format::batch::Delta;
use crate::model::Kind;

/// Series in one group.
pub const GROUP: usize = 256;
/// Bytes charged for a group with its allocation.
pub const GROUP_BYTES: usize = size_of::<Group>() + 32;
/// Series whose cells are copied together behind a snapshot.
const LEAF: usize = 32;
/// Deltas that arrived before they are merged; few in tests, so that all come there.
const ARRIVALS_MAX: usize = if cfg!(test) { 300 } else { 16 * GROUP };
/// Late deltas before they are merged.
const LATE_MAX: usize = if cfg!(test) { 50 } else { 8 * GROUP };

type Leaf = [Option<SeriesCells>; LEAF];

/// 256 series. Cloning is a snapshot.
#[derive(Clone, Default)]
pub struct Group {
    /// A bit for each series that has a cell.
    present: [u64; GROUP / 64],
    arrivals: Arrivals,
    /// Deltas of windows that are not the newest of their series. They came before
    /// all `arrivals`, and behind what is merged.
    late: Arrivals,
    /// What was merged; no leaf where nothing was.
    leaves: [Option<Arc<Leaf>>; GROUP / LEAF],
}

/// Parts of cells that do not fit into 64 bits: series, minute, part.
pub type Spilled = Vec<(u32, u32, i128)>;

/// Takes in what joining a delta left over.
fn spill(spilled: &mut Spilled, base: u32, entry: Entry, joined: Joined) {
    let mut part = match entry.narrow() {
        // All of it is kept beside.
        None => entry.value(),
        Some(_) => 0,
    };
    if let Joined::Spill(old) = joined {
        part += i128::from(old);
    }
    if part != 0 {
        spilled.push((base + u32::from(entry.lane), entry.minute(), part));
    }
}

fn own<'a>(leaf: &'a mut Option<Arc<Leaf>>, grown: &mut usize) -> &'a mut Leaf {
    let leaf = leaf.get_or_insert_with(|| {
        *grown += size_of::<Leaf>() + 32;
        Arc::new([const { None }; LEAF])
    });
    Arc::make_mut(leaf)
}

impl Group {
    /// Takes deltas of its series, the first of which is `base`; says by how many
    /// bytes it grew. Parts of cells that 64 bits do not hold are left in `spilled`.
    pub fn push(
        &mut self,
        deltas: &[Delta],
        base: u32,
        kind: &impl Fn(u32) -> Kind,
        spilled: &mut Spilled,
    ) -> usize {
        let before = self.arrivals.bytes() + self.late.bytes();
        let mut grown = 0;
        for delta in deltas {
            let lane = delta.series as u8;
            if !self.contains(lane) {
                self.present[usize::from(lane) / 64] |= 1 << (lane % 64);
            }
        }
        let mut rest = deltas;
        while !rest.is_empty() {
            if self.arrivals.len() >= ARRIVALS_MAX {
                grown += self.merge(base, spilled);
            }
            let entry = |delta: &Delta| Entry::of(delta, kind(delta.series));
            let taken = self.arrivals.push(rest, entry);
            rest = &rest[taken..];
        }
        grown + self.arrivals.bytes() + self.late.bytes() - before
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

    /// Merges what arrived, series by series: what belongs to the newest windows
    /// into these, and the rest is late. Says by how many bytes the cells grew.
    fn merge(&mut self, base: u32, spilled: &mut Spilled) -> usize {
        let mut grown = 0;
        let mut late = Vec::new();
        let entries = self.arrivals.by_lane();
        for entries in entries.chunk_by(|one, other| leaf_of(one) == leaf_of(other)) {
            let Some(first) = entries.first() else {
                continue;
            };
            let leaf = own(&mut self.leaves[leaf_of(first)], &mut grown);
            foresee(leaf, self.arrivals.span());
            for run in entries.chunk_by(|one, other| one.lane == other.lane) {
                merge_series(leaf, run, base, &mut late, spilled, &mut grown);
            }
        }
        self.arrivals.clear();
        let mut rest = &late[..];
        while !rest.is_empty() {
            if self.late.len() >= LATE_MAX {
                grown += self.merge_late(base, spilled);
            }
            let taken = self.late.push(rest, |entry| *entry);
            rest = &rest[taken..];
        }
        grown
    }

    /// Merges what is late, series by series: one look for a window serves several.
    fn merge_late(&mut self, base: u32, spilled: &mut Spilled) -> usize {
        let mut grown = 0;
        for run in self
            .late
            .by_lane()
            .chunk_by(|one, other| one.lane == other.lane)
        {
            let Some(lane) = run.first().map(|entry| usize::from(entry.lane)) else {
                continue;
            };
            let leaf = own(&mut self.leaves[lane / LEAF], &mut grown);
            let Some(cells) = &mut leaf[lane % LEAF] else {
                continue;
            };
            let mut older = cells.older(&mut grown);
            for entry in run {
                let value = entry.narrow().unwrap_or(0);
                let joined = older.join(entry.minute(), value, entry.is_gauge(), &mut grown);
                spill(spilled, base, *entry, joined);
            }
        }
        self.late.clear();
        grown
    }

    fn cells(&self, lane: u8) -> Option<&SeriesCells> {
        let (leaf, place) = (usize::from(lane) / LEAF, usize::from(lane) % LEAF);
        self.leaves[leaf].as_ref()?[place].as_ref()
    }
}

/// The leaf that a delta's series lies in.
fn leaf_of(entry: &Entry) -> usize {
    usize::from(entry.lane) / LEAF
}

/// Merges deltas of one series that belong to its newest window, or to newer ones.
fn merge_series(
    leaf: &mut Leaf,
    run: &[Entry],
    base: u32,
    late: &mut Vec<Entry>,
    spilled: &mut Spilled,
    grown: &mut usize,
) {
    let Some(first) = run.first() else { return };
    let cells = leaf[usize::from(first.lane) % LEAF]
        .get_or_insert_with(|| SeriesCells::new(first.minute() / 64));
    for entry in run {
        let value = entry.narrow().unwrap_or(0);
        match cells.join_newest(entry.minute(), value, entry.is_gauge(), grown) {
            None => late.push(*entry),
            Some(Joined::Done) if entry.narrow().is_some() => {}
            Some(joined) => spill(spilled, base, *entry, joined),
        }
    }
}

/// Loads what the merging of deltas in these minutes will touch. It would wait for
/// each series in turn; these loads wait for none, and so for all at once.
fn foresee(leaf: &Leaf, (first, last): (u32, u32)) {
    let cells = leaf.iter().flatten();
    let seen = cells.fold(0, |seen, cells| seen ^ cells.glance(first, last));
    std::hint::black_box(seen);
}
