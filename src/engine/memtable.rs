//! The memtable: every delta since the last flush, in a persistent (copy-on-write)
//! tree.
//!
//! A snapshot is one reference count: whoever writes next copies only what it
//! touches of the tree, so readers and the writer never wait for each other.
//! Deltas are first set down in their group as they come, and merged into its cells
//! once they are thousands: behind a snapshot a commit copies the last few deltas
//! of each group it touches, and cells once in many commits. And the memory of a
//! series is touched once for many of its minutes.
//!
//! Cells lie in windows of 64 minutes: a busy series costs 8 bytes a minute, a
//! quiet one an entry with its few cells.
//!
//! Reference counts are kept off the hot path: each is a locked instruction that
//! orders all loads around it, so that the misses of neighbouring deltas could
//! not overlap. What is written to is made ours once for many deltas.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::engine::group::{GROUP, GROUP_BYTES, Group};
use crate::engine::group_merge::Scratch;
use crate::format::batch::Delta;
use crate::model::Kind;

/// Merged deltas. Cloning is a snapshot.
#[derive(Clone, Default)]
pub struct Memtable {
    groups: Arc<Vec<Option<Arc<Group>>>>,
    /// Parts of cells that did not fit into 64 bits: a cell is the sum of its
    /// window's value and its entry here.
    spilled: Arc<BTreeMap<(u32, u32), i128>>,
    bytes: usize,
    /// The first and last minute written, if any.
    span: Option<(u32, u32)>,
}

impl Memtable {
    /// Takes the deltas of some batches in order; `kind` tells the kind of a series.
    /// Cost: amortised constant a delta, cheapest where neighbours share a group.
    pub fn apply<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a [Delta]>,
        kind: impl Fn(u32) -> Kind,
        scratch: &mut Scratch,
    ) {
        let mut span = self.span.unwrap_or((u32::MAX, 0));
        let mut runs = Vec::new();
        for batch in batches {
            for run in batch.chunk_by(|one, other| group_of(one) == group_of(other)) {
                for delta in run {
                    span = (span.0.min(delta.minute), span.1.max(delta.minute));
                }
                let group = run.first().map_or(0, group_of);
                runs.push((group, run));
            }
        }
        let Some(last) = runs.iter().map(|(group, _)| *group).max() else {
            return;
        };
        self.span = Some(span);
        // Stable: the deltas of a group stay in order.
        runs.sort_by_key(|(group, _)| *group);
        let groups = Arc::make_mut(&mut self.groups);
        if last >= groups.len() {
            self.bytes += (last + 1 - groups.len()) * size_of::<Option<Arc<Group>>>();
            groups.resize(last + 1, None);
        }
        let mut own: Vec<&[Delta]> = Vec::new();
        for runs in runs.chunk_by(|one, other| one.0 == other.0) {
            let number = runs.first().map_or(0, |(group, _)| *group);
            let group = groups[number].get_or_insert_with(|| {
                self.bytes += GROUP_BYTES;
                Arc::default()
            });
            own.clear();
            own.extend(runs.iter().map(|(_, run)| *run));
            let base = (number * GROUP) as u32;
            self.bytes += Arc::make_mut(group).push(&own, base, &kind, scratch);
        }
        for (series, minute, part) in scratch.spilled.drain(..) {
            let spilled = Arc::make_mut(&mut self.spilled);
            *spilled.entry((series, minute)).or_insert_with(|| {
                self.bytes += 96;
                0
            }) += part;
        }
        scratch.shrink();
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
        let group = self.group(series);
        group.is_some_and(|group| group.contains(series as u8))
    }

    /// Visits the cells of a series in `minutes`, ascending: the value of a
    /// counter or sum, or the bits of a gauge.
    pub fn visit(&self, series: u32, minutes: Range<u32>, each: impl FnMut(u32, i128)) {
        let Some(group) = self.group(series) else {
            return;
        };
        let beside = |minute| match self.spilled.is_empty() {
            true => 0,
            false => self.spilled.get(&(series, minute)).copied().unwrap_or(0),
        };
        group.visit(series as u8, minutes, beside, each);
    }

    /// The first and last minute of a series.
    pub fn series_span(&self, series: u32) -> Option<(u32, u32)> {
        self.group(series)?.series_span(series as u8)
    }

    fn group(&self, series: u32) -> Option<&Group> {
        self.groups.get(series as usize / GROUP)?.as_deref()
    }
}

fn group_of(delta: &Delta) -> usize {
    delta.series as usize / GROUP
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::arrivals::SHEET_BYTES;
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
        // Some hundreds of one group: enough to be merged, some of them and twice.
        proptest::collection::vec(delta, 0..500)
    }

    #[test]
    fn room_for_series_in_between_is_counted() {
        let mut memtable = Memtable::default();
        for series in [0, 40 * GROUP as u32, 41 * GROUP as u32] {
            let delta = Delta {
                series,
                minute: 5,
                bits: 1,
            };
            memtable.apply([&[delta][..]], kind, &mut Scratch::default());
            let groups = memtable.groups.len() * size_of::<Option<Arc<Group>>>();
            let full = memtable.groups.iter().flatten().count();
            let bytes = groups + full * (GROUP_BYTES + SHEET_BYTES);
            assert_eq!(memtable.bytes(), bytes, "series {series}");
        }
    }

    #[test]
    fn groups_that_fill_evenly_are_merged_by_different_commits() {
        let groups = 16;
        let batch: Vec<Delta> = (0..groups * GROUP as u32)
            .step_by(16)
            .map(|series| Delta {
                series,
                minute: 5,
                bits: 1,
            })
            .collect();
        let mut memtable = Memtable::default();
        let merged = |memtable: &Memtable| {
            let groups = memtable.groups.iter().flatten();
            groups.filter(|group| group.arrivals.len() == 0).count()
        };
        let mut merges = Vec::new();
        for _ in 0..100 {
            memtable.apply([&batch[..]], kind, &mut Scratch::default());
            merges.push(merged(&memtable));
        }
        assert_eq!(merges.iter().max(), Some(&1), "{merges:?}");
        // Each has been merged as often as its deltas ask for: some 5 times.
        assert!(
            (70..=96).contains(&merges.iter().sum::<usize>()),
            "{merges:?}"
        );
    }

    #[test]
    fn what_comes_by_the_thousand_is_not_set_down_first() {
        let batch: Vec<Delta> = (0..4 * GROUP as u32)
            .map(|number| Delta {
                series: number % 3,
                minute: number / 3,
                bits: 1,
            })
            .collect();
        let mut memtable = Memtable::default();
        memtable.apply([&batch[..]], kind, &mut Scratch::default());
        let group = memtable.group(0).unwrap();
        assert_eq!((group.arrivals.len(), group.arrivals.bytes()), (0, 0));
        assert_eq!(read(&memtable, 0, 0..1_000).len(), 342);
    }

    #[test]
    fn of_a_gauge_what_waits_for_longer_does_not_come_last() {
        let delta = |series, minute, bits| Delta {
            series,
            minute,
            bits,
        };
        let filling = vec![delta(0, 300, 1); 400];
        let mut memtable = Memtable::default();
        let mut merge = |own: Vec<Delta>| {
            let batches = [&own[..], &filling];
            memtable.apply(batches, kind, &mut Scratch::default());
            let group = memtable.group(2).unwrap();
            assert_eq!(group.arrivals.len(), 0, "all of it was merged");
            read(&memtable, 2, 5..6)
        };
        merge(vec![delta(2, 200, 1)]);
        // Alone, so that it waits.
        assert_eq!(merge(vec![delta(2, 5, 1)]), [(5, 1)]);
        // Many together.
        let many = (5..15).map(|minute| delta(2, minute, 2)).collect();
        assert_eq!(merge(many), [(5, 2)]);
        assert_eq!(merge(vec![delta(2, 20, 3); 60]), [(5, 2)]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_model_and_snapshots_stand_still(
            batches in proptest::collection::vec(deltas(), 1..5), from in 0_u32..400, length in 0_u32..400,
        ) {
            let mut memtable = Memtable::default();
            let mut model = Model::new();
            let mut snapshots = Vec::new();
            for batch in &batches {
                snapshots.push((memtable.clone(), model.clone()));
                memtable.apply([&batch[..]], kind, &mut Scratch::default());
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
