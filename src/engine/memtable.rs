//! The memtable: every delta since the last flush, merged, in a persistent
//! (copy-on-write) tree.
//!
//! A snapshot is one reference count: whoever writes next copies only the leaves
//! it touches, so readers and the writer never wait for each other. Cells lie
//! in windows of 64 minutes: a busy series costs 8 bytes a minute, a quiet one
//! an entry with its few cells.
//!
//! Reference counts are kept off the hot path: each is a locked instruction that
//! orders all loads around it, so that the misses of neighbouring deltas could
//! not overlap. A leaf is made ours once for all its deltas; the newest window
//! of a series, to which nearly all deltas go, is owned by the leaf.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::engine::window::{Dense, Joined, Window};
use crate::format::batch::Delta;
use crate::model::Kind;

/// Series in one leaf of the tree.
const LEAF: usize = 32;
/// Windows looked at one by one, from the newest on.
const NEAR: usize = 4;

/// Merged deltas. Cloning is a snapshot.
#[derive(Clone, Default)]
pub struct Memtable {
    leaves: Arc<Vec<Option<Arc<Leaf>>>>,
    /// Parts of cells that did not fit into 64 bits: a cell is the sum of its
    /// window's value and its entry here.
    spilled: Arc<BTreeMap<(u32, u32), i128>>,
    bytes: usize,
    /// The first and last minute written, if any.
    span: Option<(u32, u32)>,
}

type Leaf = [Option<SeriesCells>; LEAF];

/// The cells of one series: the newest window apart, since nearly all deltas go there.
#[derive(Clone)]
struct SeriesCells {
    tail: Window<Box<Dense>>,
    /// Older and newer windows, sorted by number; none until there is one.
    others: Option<Arc<Vec<Window<Arc<Dense>>>>>,
}

impl SeriesCells {
    fn new(window: u32) -> Self {
        SeriesCells {
            tail: Window::new(window),
            others: None,
        }
    }

    fn others(&self) -> &[Window<Arc<Dense>>] {
        self.others.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Joins a value to the cell of a minute; says how many bytes that took.
    #[inline]
    fn join(&mut self, minute: u32, value: i64, gauge: bool) -> (Joined, usize) {
        let (number, at) = (minute / 64, (minute % 64) as u8);
        if self.tail.number == number {
            return self.tail.join(at, value, gauge);
        }
        let (joined, made, grown) = self.join_elsewhere(number, at, value, gauge);
        (joined, made + grown)
    }

    /// As [`SeriesCells::join`], for a window that is not the newest, or not yet.
    #[cold]
    fn join_elsewhere(
        &mut self,
        number: u32,
        at: u8,
        value: i64,
        gauge: bool,
    ) -> (Joined, usize, usize) {
        let mut made = 0;
        let others = self.others.get_or_insert_with(|| {
            made = 64;
            Arc::default()
        });
        let others = Arc::make_mut(others);
        let newest = number > self.tail.number
            && others
                .last()
                .is_none_or(|last| last.number < self.tail.number);
        if newest {
            others.push(std::mem::replace(&mut self.tail, Window::new(number)).shared());
            let (joined, grown) = self.tail.join(at, value, gauge);
            return (joined, made + size_of::<Window<Arc<Dense>>>(), grown);
        }
        let index = place(others, number).unwrap_or_else(|index| {
            made += size_of::<Window<Arc<Dense>>>();
            others.insert(index, Window::new(number));
            index
        });
        let (joined, grown) = others[index].join(at, value, gauge);
        (joined, made, grown)
    }

    /// Visits the cells of `windows` by ascending minute.
    fn visit(&self, windows: Range<u32>, each: &mut impl FnMut(u32, i64)) {
        let others = self.others();
        let before = |number: u32| others.partition_point(|window| window.number < number);
        let (from, to) = (before(windows.start), before(windows.end));
        let split = before(self.tail.number).clamp(from, to.max(from));
        for window in &others[from..split] {
            window.visit(each);
        }
        if windows.contains(&self.tail.number) {
            self.tail.visit(each);
        }
        for window in &others[split..to.max(split)] {
            window.visit(each);
        }
    }
}

/// Where the window of a number is among `others`, or belongs. Late deltas are a
/// few windows late as a rule, and those lie side by side at the end: halving
/// would touch memory all over.
fn place(others: &[Window<Arc<Dense>>], number: u32) -> Result<usize, usize> {
    let near = others.len().saturating_sub(NEAR);
    for (index, window) in others.iter().enumerate().skip(near).rev() {
        match window.number.cmp(&number) {
            Ordering::Equal => return Ok(index),
            Ordering::Less => return Err(index + 1),
            Ordering::Greater => {}
        }
    }
    others[..near].binary_search_by_key(&number, |window| window.number)
}

impl Memtable {
    /// Merges deltas in order; `kind` tells the kind of a series. Cost: amortised
    /// constant a delta, cheapest where neighbours share a leaf.
    pub fn apply(&mut self, deltas: &[Delta], kind: impl Fn(u32) -> Kind) {
        for delta in deltas {
            let (first, last) = self.span.unwrap_or((delta.minute, delta.minute));
            self.span = Some((first.min(delta.minute), last.max(delta.minute)));
        }
        let leaves = Arc::make_mut(&mut self.leaves);
        let mut rest = deltas;
        while let Some(first) = rest.first() {
            let number = first.series as usize / LEAF;
            let run = rest
                .iter()
                .take_while(|delta| delta.series as usize / LEAF == number)
                .count();
            let (now, later) = rest.split_at(run);
            rest = later;
            if number >= leaves.len() {
                self.bytes += (number + 1 - leaves.len()) * size_of::<Option<Arc<Leaf>>>();
                leaves.resize(number + 1, None);
            }
            let leaf = leaves[number].get_or_insert_with(|| {
                self.bytes += size_of::<Leaf>() + 32;
                Arc::new([const { None }; LEAF])
            });
            let leaf = Arc::make_mut(leaf);
            for delta in now {
                let cells = leaf[delta.series as usize % LEAF]
                    .get_or_insert_with(|| SeriesCells::new(delta.minute / 64));
                let kind = kind(delta.series);
                let mut spill = 0;
                let value = match (kind, i64::try_from(delta.bits)) {
                    (Kind::Counter, Err(_)) => {
                        // Beyond the signed range: all of it is kept beside.
                        spill = i128::from(delta.bits);
                        0
                    }
                    _ => delta.bits as i64,
                };
                let (joined, grown) = cells.join(delta.minute, value, kind == Kind::Gauge);
                self.bytes += grown;
                if let Joined::Spill(old) = joined {
                    spill += i128::from(old);
                }
                if spill != 0 {
                    let spilled = Arc::make_mut(&mut self.spilled);
                    *spilled
                        .entry((delta.series, delta.minute))
                        .or_insert_with(|| {
                            self.bytes += 96;
                            0
                        }) += spill;
                }
            }
        }
    }

    /// Bytes held, as charged to the store's budget.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing was written since it began.
    pub fn is_empty(&self) -> bool {
        self.span.is_none()
    }

    /// The first and last minute written, if any.
    pub fn span(&self) -> Option<(u32, u32)> {
        self.span
    }

    /// Whether a series has any cell.
    pub fn contains(&self, series: u32) -> bool {
        self.cells(series).is_some()
    }

    /// Visits the cells of a series in `minutes`, ascending: the value of a
    /// counter or sum, or the bits of a gauge.
    pub fn visit(&self, series: u32, minutes: Range<u32>, mut each: impl FnMut(u32, i128)) {
        let Some(cells) = self.cells(series) else {
            return;
        };
        if minutes.is_empty() {
            return;
        }
        let windows = minutes.start / 64..minutes.end.div_ceil(64);
        cells.visit(windows, &mut |minute, value| {
            if minutes.contains(&minute) {
                let mut value = i128::from(value);
                if !self.spilled.is_empty() {
                    value += self.spilled.get(&(series, minute)).copied().unwrap_or(0);
                }
                each(minute, value);
            }
        });
    }

    /// The first and last minute of a series.
    pub fn series_span(&self, series: u32) -> Option<(u32, u32)> {
        let cells = self.cells(series)?;
        let mut span: Option<(u32, u32)> = None;
        let mut extend = |minute, _| {
            span = Some(span.map_or((minute, minute), |(first, last)| {
                (first.min(minute), last.max(minute))
            }));
        };
        cells.tail.visit(&mut extend);
        let others = cells.others();
        for window in others.first().into_iter().chain(others.last()) {
            window.visit(&mut extend);
        }
        span
    }

    fn cells(&self, series: u32) -> Option<&SeriesCells> {
        let leaf = self.leaves.get(series as usize / LEAF)?.as_ref()?;
        leaf[series as usize % LEAF].as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Model = BTreeMap<(u32, u32), i128>;

    fn kind(series: u32) -> Kind {
        match series % 3 {
            0 => Kind::Counter,
            1 => Kind::Sum { decimals: 2 },
            _ => Kind::Gauge,
        }
    }

    fn model_apply(model: &mut Model, delta: &Delta) {
        let slot = model.entry((delta.series, delta.minute));
        match kind(delta.series) {
            Kind::Counter => *slot.or_default() += i128::from(delta.bits),
            Kind::Sum { .. } => *slot.or_default() += i128::from(delta.bits as i64),
            Kind::Gauge => *slot.or_default() = i128::from(delta.bits as i64),
        }
    }

    fn read(memtable: &Memtable, series: u32, minutes: Range<u32>) -> Vec<(u32, i128)> {
        let mut cells = Vec::new();
        memtable.visit(series, minutes, |minute, value| cells.push((minute, value)));
        cells
    }

    fn expected(model: &Model, series: u32, minutes: Range<u32>) -> Vec<(u32, i128)> {
        model
            .iter()
            .filter(|((own, minute), _)| *own == series && minutes.contains(minute))
            .map(|((_, minute), value)| (*minute, *value))
            .collect()
    }

    fn deltas() -> impl Strategy<Value = Vec<Delta>> {
        let series = prop_oneof![0_u32..4, Just(63), Just(64), Just(200)];
        let bits = prop_oneof![0_u64..100, any::<u64>()];
        let delta = (series, 0_u32..400, bits).prop_map(|(series, minute, bits)| Delta {
            series,
            minute,
            bits,
        });
        proptest::collection::vec(delta, 0..120)
    }

    #[test]
    fn room_for_series_in_between_is_counted() {
        let mut memtable = Memtable::default();
        let mut last = 0;
        for series in [0, 40 * LEAF as u32, 41 * LEAF as u32] {
            let delta = Delta {
                series,
                minute: 5,
                bits: 1,
            };
            memtable.apply(&[delta], kind);
            let leaves = memtable.leaves.len() * size_of::<Option<Arc<Leaf>>>();
            let full = memtable.leaves.iter().flatten().count() * size_of::<Leaf>();
            assert!(memtable.bytes() >= leaves + full, "series {series}");
            // Half as much again is more than what the allocator and small parts take.
            assert!(memtable.bytes() <= (leaves + full) * 3 / 2 && last < memtable.bytes());
            last = memtable.bytes();
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_model_and_snapshots_stand_still(
            batches in proptest::collection::vec(deltas(), 1..4), from in 0_u32..400, length in 0_u32..400,
        ) {
            let mut memtable = Memtable::default();
            let mut model = Model::new();
            let mut snapshots = Vec::new();
            for batch in &batches {
                snapshots.push((memtable.clone(), model.clone()));
                memtable.apply(batch, kind);
                batch.iter().for_each(|delta| model_apply(&mut model, delta));
            }
            snapshots.push((memtable, model));
            for (memtable, model) in snapshots {
                prop_assert_eq!(memtable.is_empty(), model.is_empty());
                for series in [0, 1, 2, 3, 63, 64, 200, 1_000] {
                    let all = expected(&model, series, 0..400);
                    prop_assert_eq!(memtable.contains(series), !all.is_empty());
                    let span = all.first().zip(all.last()).map(|(first, last)| (first.0, last.0));
                    prop_assert_eq!(memtable.series_span(series), span);
                    prop_assert_eq!(read(&memtable, series, from..from + length), expected(&model, series, from..from + length));
                }
            }
        }
    }
}
