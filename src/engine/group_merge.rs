//! Merging what arrived of a group into its cells, series by series.

use std::sync::Arc;

use crate::engine::arrivals::{Arrivals, Entry};
use crate::engine::group::{GROUP, Group, LEAF, Leaf};
use crate::engine::series_cells::SeriesCells;
use crate::engine::window::Joined;
use crate::format::batch::Delta;

/// Late deltas before they are merged; few in tests, so that all come there.
const LATE_MAX: usize = if cfg!(test) { 50 } else { 8 * GROUP };
/// Late deltas of one series that are worth a look for their windows at once.
const LATE_TOGETHER: usize = 4;
/// Deltas that memory is kept for from one commit to the next: 1 MiB.
const KEPT: usize = 1 << 16;

/// Parts of cells that do not fit into 64 bits: series, minute, part.
pub type Spilled = Vec<(u32, u32, i128)>;

/// What merging needs for its time, kept for the next.
#[derive(Default)]
pub struct Scratch {
    entries: Vec<Entry>,
    late: Vec<Entry>,
    /// Left by merging for who called.
    pub spilled: Spilled,
}

impl Scratch {
    /// Gives back what an unusual commit needed.
    pub fn shrink(&mut self) {
        self.entries.truncate(KEPT);
        self.entries.shrink_to(KEPT);
        self.late.shrink_to(KEPT);
    }

    /// Brings deltas into the order of their series; those of a series stay in the
    /// order they came. Of how many that is for each series is told.
    fn sort<T>(
        &mut self,
        arrivals: &Arrivals,
        runs: &[&[T]],
        entry: impl Fn(&T) -> Entry,
        lane: impl Fn(&T) -> u8,
    ) -> [usize; GROUP] {
        let mut counts = [0; GROUP];
        arrivals.count(&mut counts);
        for item in runs.iter().copied().flatten() {
            counts[usize::from(lane(item))] += 1;
        }
        let mut next = counts;
        let mut before = 0;
        for (next, count) in next.iter_mut().zip(counts) {
            *next = before;
            before += count;
        }
        if before > self.entries.len() {
            self.entries.resize(before, Entry::default());
        }
        let mut set = |entry: Entry| {
            let next = &mut next[usize::from(entry.lane)];
            self.entries[*next] = entry;
            *next += 1;
        };
        arrivals.sheets().for_each(|sheet| sheet.for_each(&mut set));
        runs.iter()
            .for_each(|run| run.iter().for_each(|item| set(entry(item))));
        counts
    }
}

/// Takes in what joining a delta left over.
fn spill(spilled: &mut Spilled, base: u32, entry: &Entry, joined: Joined) {
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
    /// Merges what arrived, and `runs` that come now, series by series: what belongs to
    /// the newest windows into these, and the rest is late. Says by how many bytes the
    /// cells grew.
    pub fn merge(
        &mut self,
        runs: &[&[Delta]],
        entry: impl Fn(&Delta) -> Entry,
        base: u32,
        scratch: &mut Scratch,
    ) -> usize {
        let mut grown = 0;
        let counts = scratch.sort(&self.arrivals, runs, entry, |delta| delta.series as u8);
        self.arrivals.clear();
        scratch.late.clear();
        let mut rest = &scratch.entries[..];
        for (leaf, counts) in self.leaves.iter_mut().zip(counts.chunks_exact(LEAF)) {
            let (own_entries, others) = rest.split_at(counts.iter().sum());
            rest = others;
            if own_entries.is_empty() {
                continue;
            }
            let leaf = own(leaf, &mut grown);
            foresee(leaf, own_entries);
            let mut entries = own_entries;
            for (cells, count) in leaf.iter_mut().zip(counts) {
                let (run, others) = entries.split_at(*count);
                entries = others;
                merge_series(
                    cells,
                    run,
                    base,
                    &mut scratch.late,
                    &mut scratch.spilled,
                    &mut grown,
                );
            }
        }
        let late = std::mem::take(&mut scratch.late);
        for part in late.chunks(LATE_MAX) {
            if self.late.len() >= LATE_MAX {
                grown += self.merge_late(base, scratch);
            }
            self.late.push(part, |entry| *entry);
        }
        scratch.late = late;
        grown
    }

    /// Merges what is late, series by series: one look for a window serves several.
    fn merge_late(&mut self, base: u32, scratch: &mut Scratch) -> usize {
        let mut grown = 0;
        let none: [&[Entry]; 0] = [];
        let counts = scratch.sort(&self.late, &none, |entry| *entry, |entry| entry.lane);
        self.late.clear();
        let mut rest = &scratch.entries[..];
        for (leaf, counts) in self.leaves.iter_mut().zip(counts.chunks_exact(LEAF)) {
            if counts.iter().all(|count| *count == 0) {
                continue;
            }
            let leaf = own(leaf, &mut grown);
            for (cells, count) in leaf.iter_mut().zip(counts) {
                let (run, others) = rest.split_at(*count);
                rest = others;
                if let Some(cells) = cells {
                    merge_older(cells, run, base, &mut scratch.spilled, &mut grown);
                }
            }
        }
        grown
    }
}

/// Deltas of the same window, side by side.
fn by_window(run: &[Entry]) -> impl Iterator<Item = (u32, &[Entry])> {
    let number = |entry: &Entry| entry.minute() / 64;
    let same = move |one: &Entry, other: &Entry| number(one) == number(other);
    run.chunk_by(same)
        .filter_map(move |run| Some((number(run.first()?), run)))
}

/// Merges deltas of one series that belong to its newest window, or to newer ones.
/// The others too, where they are several; else they go to `late`.
fn merge_series(
    cells: &mut Option<SeriesCells>,
    run: &[Entry],
    base: u32,
    late: &mut Vec<Entry>,
    spilled: &mut Spilled,
    grown: &mut usize,
) {
    let Some(first) = run.first() else { return };
    let cells = cells.get_or_insert_with(|| SeriesCells::new(first.minute() / 64));
    let before = late.len();
    for (number, run) in by_window(run) {
        match cells.newest(number, grown) {
            None => late.extend_from_slice(run),
            Some(window) => {
                let spill = |entry: &Entry, joined| spill(spilled, base, entry, joined);
                *grown += window.join(run, spill);
            }
        }
    }
    // Sums do not mind what waits still. Of a gauge that could be an older value of the
    // same minute, which would come last.
    if late.len() - before >= LATE_TOGETHER && !first.is_gauge() {
        merge_older(cells, &late[before..], base, spilled, grown);
        late.truncate(before);
    }
}

/// Merges deltas of one series that lie before its newest window.
fn merge_older(
    cells: &mut SeriesCells,
    run: &[Entry],
    base: u32,
    spilled: &mut Spilled,
    grown: &mut usize,
) {
    if run.is_empty() {
        return;
    }
    let mut older = cells.older(grown);
    for (number, run) in by_window(run) {
        let spill = |entry: &Entry, joined| spill(spilled, base, entry, joined);
        let window = older.window(number, grown);
        *grown += window.join(run, spill);
    }
}

/// Loads what the merging of these deltas will touch. It would wait for each series in
/// turn; these loads wait for none, and so for all at once.
fn foresee(leaf: &Leaf, entries: &[Entry]) {
    let Some((first, last)) = entries.first().zip(entries.last()) else {
        return;
    };
    let (first, last) = (first.minute(), last.minute());
    let cells = leaf.iter().flatten();
    let seen = cells.fold(0, |seen, cells| seen ^ cells.glance(first, last));
    std::hint::black_box(seen);
}
