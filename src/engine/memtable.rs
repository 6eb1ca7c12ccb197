//! The memtable: every delta since the last flush, merged, in a persistent
//! (copy-on-write) tree.
//!
//! A snapshot is one reference count: whoever writes next copies only the path
//! it touches, so readers and the writer never wait for each other. Cells lie
//! in windows of 64 minutes: a busy series costs 8 bytes a minute, a quiet one
//! an entry with its few cells.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::format::batch::Delta;
use crate::model::Kind;

/// Series in one leaf of the tree.
const LEAF: usize = 64;
/// Cells a window holds before it becomes an array.
const FEW: usize = 6;
/// Bytes charged for an array of 64 cells with its allocation.
const DENSE_BYTES: usize = size_of::<Dense>() + 32;

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

type Leaf = [Option<Arc<SeriesCells>>; LEAF];

/// The cells of one series: the newest window apart, since nearly all deltas go there.
#[derive(Clone)]
struct SeriesCells {
    tail: Window,
    /// Older and newer windows, sorted by number.
    others: Arc<Vec<Window>>,
}

#[derive(Clone)]
struct Window {
    number: u32,
    cells: Cells,
}

#[derive(Clone)]
enum Cells {
    Few {
        len: u8,
        at: [u8; FEW],
        values: [i64; FEW],
    },
    Dense(Arc<Dense>),
}

#[derive(Clone)]
struct Dense {
    present: u64,
    values: [i64; 64],
}

/// How a value joins the one in its cell.
enum Joined {
    Done,
    /// The sum left 64 bits: the old value must be spilled.
    Spill(i64),
}

fn join(slot: &mut i64, value: i64, gauge: bool) -> Joined {
    if gauge {
        *slot = value;
        return Joined::Done;
    }
    match slot.checked_add(value) {
        Some(sum) => {
            *slot = sum;
            Joined::Done
        }
        None => Joined::Spill(std::mem::replace(slot, value)),
    }
}

impl Window {
    fn new(number: u32) -> Self {
        Window {
            number,
            cells: Cells::Few {
                len: 0,
                at: [0; FEW],
                values: [0; FEW],
            },
        }
    }

    /// Joins a value to the cell at `at`; says how many bytes the window grew by.
    fn join(&mut self, at: u8, value: i64, gauge: bool) -> (Joined, usize) {
        match &mut self.cells {
            Cells::Dense(dense) => {
                let dense = Arc::make_mut(dense);
                let bit = 1 << at;
                let slot = &mut dense.values[usize::from(at)];
                if dense.present & bit == 0 {
                    dense.present |= bit;
                    *slot = value;
                    return (Joined::Done, 0);
                }
                (join(slot, value, gauge), 0)
            }
            Cells::Few {
                len,
                at: places,
                values,
            } => {
                let used = usize::from(*len);
                if let Some(index) = places[..used].iter().position(|place| *place == at) {
                    return (join(&mut values[index], value, gauge), 0);
                }
                if used < FEW {
                    places[used] = at;
                    values[used] = value;
                    *len += 1;
                    return (Joined::Done, 0);
                }
                let mut dense = Dense {
                    present: 1 << at,
                    values: [0; 64],
                };
                dense.values[usize::from(at)] = value;
                for (place, value) in places.iter().zip(values.iter()) {
                    dense.present |= 1 << place;
                    dense.values[usize::from(*place)] = *value;
                }
                self.cells = Cells::Dense(Arc::new(dense));
                (Joined::Done, DENSE_BYTES)
            }
        }
    }

    /// Visits cells by ascending minute.
    fn visit(&self, each: &mut impl FnMut(u32, i64)) {
        let base = self.number * 64;
        match &self.cells {
            Cells::Few { len, at, values } => {
                let mut order: [u8; FEW] = std::array::from_fn(|index| index as u8);
                let order = &mut order[..usize::from(*len)];
                order.sort_unstable_by_key(|index| at[usize::from(*index)]);
                for index in order {
                    let index = usize::from(*index);
                    each(base + u32::from(at[index]), values[index]);
                }
            }
            Cells::Dense(dense) => {
                let mut present = dense.present;
                while present != 0 {
                    let at = present.trailing_zeros();
                    present &= present - 1;
                    each(base + at, dense.values[at as usize]);
                }
            }
        }
    }
}

impl SeriesCells {
    /// The window of a minute, made if need be, and the bytes that took.
    fn window(&mut self, number: u32) -> (&mut Window, usize) {
        if self.tail.number == number {
            return (&mut self.tail, 0);
        }
        let others = Arc::make_mut(&mut self.others);
        if number > self.tail.number
            && others
                .last()
                .is_none_or(|last| last.number < self.tail.number)
        {
            others.push(std::mem::replace(&mut self.tail, Window::new(number)));
            return (&mut self.tail, size_of::<Window>());
        }
        match others.binary_search_by_key(&number, |window| window.number) {
            Ok(index) => (&mut others[index], 0),
            Err(index) => {
                others.insert(index, Window::new(number));
                (&mut others[index], size_of::<Window>())
            }
        }
    }

    /// Windows that touch `windows`, ascending.
    fn windows(&self, windows: Range<u32>) -> impl Iterator<Item = &Window> {
        let from = self
            .others
            .partition_point(|window| window.number < windows.start);
        let to = self
            .others
            .partition_point(|window| window.number < windows.end);
        let split = self
            .others
            .partition_point(|window| window.number < self.tail.number);
        let split = split.clamp(from, to.max(from));
        let tail = windows.contains(&self.tail.number).then_some(&self.tail);
        let others = &self.others;
        others[from..split]
            .iter()
            .chain(tail)
            .chain(&others[split..to.max(split)])
    }
}

impl Memtable {
    /// Merges deltas in order; `kind` tells the kind of a series. Cost: amortised
    /// constant a delta, cheapest where neighbours share a leaf.
    pub fn apply(&mut self, deltas: &[Delta], kind: impl Fn(u32) -> Kind) {
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
                self.bytes += size_of::<Leaf>() + 16;
                Arc::new([const { None }; LEAF])
            });
            let leaf = Arc::make_mut(leaf);
            for delta in now {
                let window = delta.minute / 64;
                let cells = leaf[delta.series as usize % LEAF].get_or_insert_with(|| {
                    self.bytes += size_of::<SeriesCells>() + 64;
                    Arc::new(SeriesCells {
                        tail: Window::new(window),
                        others: Arc::default(),
                    })
                });
                let (window, grown) = Arc::make_mut(cells).window(window);
                self.bytes += grown;
                self.span = Some(
                    self.span
                        .map_or((delta.minute, delta.minute), |(first, last)| {
                            (first.min(delta.minute), last.max(delta.minute))
                        }),
                );
                let at = (delta.minute % 64) as u8;
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
                let (joined, grown) = window.join(at, value, kind == Kind::Gauge);
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
        for window in cells.windows(windows) {
            window.visit(&mut |minute, value| {
                if minutes.contains(&minute) {
                    let mut value = i128::from(value);
                    if !self.spilled.is_empty() {
                        value += self.spilled.get(&(series, minute)).copied().unwrap_or(0);
                    }
                    each(minute, value);
                }
            });
        }
    }

    /// The first and last minute of a series.
    pub fn series_span(&self, series: u32) -> Option<(u32, u32)> {
        let cells = self.cells(series)?;
        let mut span: Option<(u32, u32)> = None;
        for window in [Some(&cells.tail), cells.others.first(), cells.others.last()]
            .into_iter()
            .flatten()
        {
            window.visit(&mut |minute, _| {
                span = Some(span.map_or((minute, minute), |(first, last)| {
                    (first.min(minute), last.max(minute))
                }));
            });
        }
        span
    }

    fn cells(&self, series: u32) -> Option<&SeriesCells> {
        let leaf = self.leaves.get(series as usize / LEAF)?.as_ref()?;
        leaf[series as usize % LEAF].as_deref()
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
