//! The engine against the model, on the simulated disk.

mod bits;
mod bits_store;
mod commit;
mod concurrent;
mod crash;
mod deeds;
mod dropping;
mod faults;
#[cfg(not(miri))]
mod files;
mod found;
mod full;
mod lab;
mod meddling;
mod mending;
mod model;
mod oracle;
mod overlooked;
mod panics;
mod planted;
mod regressions;
mod repair;
mod staying;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::{Family, Page};
use crate::engine::batch::Batch;
use crate::engine::merge::DayMerge;
use crate::engine::options::Options;
use crate::engine::reader::Reader;
use crate::engine::state::Snapshot;
use crate::engine::store::Store;
use crate::error::Result;
use crate::limits::{MINUTES_PER_BUCKET, MINUTES_PER_DAY};
use crate::model::{Kind, Metric, Minute, Name};
use crate::storage::segment::Segment;
use crate::storage::sim_disk::SimDisk;

pub const METRICS: [(&str, Kind); 3] = [
    ("crashes", Kind::Counter),
    ("hours", Kind::Sum { decimals: 3 }),
    ("memory", Kind::Gauge),
];

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn minute(minutes: u32) -> Minute {
    Minute::new(minutes).unwrap()
}

/// Small budgets and no threads: every seam is met in a few operations.
pub fn small() -> Options {
    Options::new()
        .memory_budget(1 << 20)
        .wal_limit(64 << 10)
        .background(false)
}

/// A store with the metrics of the tests.
pub fn open(disk: &SimDisk) -> Result<Store> {
    let store = Store::open_on(Arc::new(disk.clone()), small())?;
    store.define(|catalogue| {
        METRICS.iter().try_for_each(|(metric, kind)| {
            catalogue
                .define_metric(&Metric::new(name(metric), *kind))
                .map(drop)
        })
    })?;
    Ok(store)
}

/// One write as the tests speak of it.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    pub release: usize,
    pub metric: usize,
    pub minute: u32,
    pub value: u64,
}

pub const RELEASES: [&str; 3] = ["a", "b/1", "b/2"];

/// Cells by release, metric and minute: the whole model.
pub type Model = BTreeMap<(usize, usize, u32), i128>;

pub fn apply(model: &mut Model, write: &Write) {
    let slot = model.entry((write.release, write.metric, write.minute));
    match METRICS[write.metric].1 {
        Kind::Counter => *slot.or_default() += i128::from(write.value),
        Kind::Sum { .. } => *slot.or_default() += i128::from(write.value as i64),
        Kind::Gauge => *slot.or_default() = i128::from(gauge(write.value).to_bits()),
    }
}

fn gauge(value: u64) -> f64 {
    (value as i32) as f64 / 8.0
}

pub fn batch(store: &Store, writes: &[Write]) -> Batch {
    let mut batch = Batch::new();
    for write in writes {
        let (metric, kind) = METRICS[write.metric];
        let series = store
            .series(RELEASES[write.release], "all", metric)
            .unwrap();
        let at = minute(write.minute);
        match kind {
            Kind::Counter => batch.add(series, at, write.value),
            Kind::Sum { .. } => batch.add_units(series, at, write.value as i64),
            Kind::Gauge => batch.set(series, at, gauge(write.value)),
        };
    }
    batch
}

/// Every cell a snapshot sees, read the plain way: no pruning, no aggregates.
pub fn cells(snapshot: &Snapshot) -> Result<Model> {
    let mut model = Model::new();
    for (release, release_name) in RELEASES.iter().enumerate() {
        for (metric, (metric_name, kind)) in METRICS.iter().enumerate() {
            let key = [*release_name, "all", metric_name];
            for (at, value) in series_cells(snapshot, key, *kind)? {
                model.insert((release, metric, at), value);
            }
        }
    }
    Ok(model)
}

fn series_cells(snapshot: &Snapshot, key: [&str; 3], kind: Kind) -> Result<Vec<(u32, i128)>> {
    let mut days: BTreeMap<u32, DayMerge> = BTreeMap::new();
    let mut page = Page::new(Family::Integer);
    let [release, branch, metric] = key;
    for segment in snapshot.state.segments.iter() {
        let Some(index) = segment.series()?.find(release, branch, metric) else {
            continue;
        };
        let block = segment.block(index)?;
        for (at, info) in block.pages().enumerate() {
            block.decode(at, &mut page)?;
            check_summary(segment, info.cells, &page);
            days.entry(info.day).or_default().add_page(&page, kind)?;
        }
    }
    if let Some(id) = snapshot.series.find(release, branch, metric) {
        for memtable in snapshot.memtables() {
            memtable.visit(id, 0..u32::MAX, |at, value| {
                let day = days.entry(at / MINUTES_PER_DAY).or_default();
                day.add((at % MINUTES_PER_DAY) as u16, value, kind).unwrap();
            });
        }
    }
    let mut cells = Vec::new();
    for (day, mut merge) in days {
        let page = merge.take(kind);
        let minutes = page
            .presence
            .iter()
            .map(|at| day * MINUTES_PER_DAY + u32::from(at));
        let values: Vec<i128> = match page.column {
            crate::codec::Column::Ints(values) => values.into_iter().map(i128::from).collect(),
            crate::codec::Column::Wides(values) => values,
            crate::codec::Column::Floats(values) => values
                .into_iter()
                .map(|value| i128::from(value.to_bits()))
                .collect(),
        };
        cells.extend(
            minutes
                .zip(values)
                .filter(|(at, _)| *at >= snapshot.state.floor),
        );
    }
    // Gauges are compared as bits, the others as numbers.
    Ok(cells)
}

fn check_summary(segment: &Segment, cells: u32, page: &Page) {
    assert_eq!(
        cells as usize,
        page.presence.count(),
        "{}",
        segment.file_name()
    );
}

/// What a reader in another process sees.
pub fn read(disk: &SimDisk) -> Model {
    let reader = Reader::open_on(Arc::new(disk.read_only())).unwrap();
    cells(&reader.snapshot().unwrap()).unwrap()
}

/// Minutes around the edges that matter.
pub fn edges() -> Vec<u32> {
    let day = 20 * MINUTES_PER_DAY;
    let bucket = MINUTES_PER_BUCKET;
    vec![
        0,
        1,
        63,
        64,
        day - 1,
        day,
        day + 1,
        bucket - 1,
        bucket,
        bucket + 63,
        2 * bucket - 1,
        2 * bucket,
    ]
}
