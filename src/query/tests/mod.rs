//! Queries against a model that knows no segments, over the real engine on the
//! simulated disk.

mod damage;
mod measure;
mod model;
mod random;
mod rules;

use std::sync::Arc;

use crate::engine::batch::Batch;
use crate::engine::options::Options;
use crate::engine::store::Store;
use crate::model::{Kind, Metric, Minute, Name, Release, Role, SeriesKey};
use crate::query::{Row, Table, Value};
use crate::storage::sim_disk::SimDisk;

pub const METRICS: [(&str, Kind, Role); 5] = [
    ("cost", Kind::Sum { decimals: 2 }, Role::Vital),
    ("crashes", Kind::Counter, Role::Vital),
    ("hours", Kind::Sum { decimals: 4 }, Role::Exposure),
    ("memory", Kind::Gauge, Role::Vital),
    ("retention", Kind::Counter, Role::Decision),
];

/// Where the tests' minutes lie: a day before a boundary of time buckets.
pub const BASE: u32 = 46_080 * 600 - 1_440;

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn minute(minutes: u32) -> Minute {
    Minute::new(minutes).unwrap()
}

pub fn key(release: &str, branch: &str, metric: &str) -> SeriesKey {
    SeriesKey {
        release: name(release),
        branch: name(branch),
        metric: name(metric),
    }
}

/// Releases `a` and `b` went public at known minutes, `c` did not.
pub fn open(disk: &SimDisk) -> Store {
    let options = Options::new().memory_budget(1 << 20).background(false);
    let store = Store::open_on(Arc::new(disk.clone()), options).unwrap();
    let metrics = METRICS.map(|(metric, kind, role)| {
        let mut metric = Metric::new(name(metric), kind);
        metric.role = Some(role);
        metric
    });
    let releases = [("a", BASE + 100), ("b", BASE + 1_500)].map(|(release, public)| {
        let mut release = Release::new(name(release));
        release.public_from = Some(minute(public));
        release
    });
    store
        .define(|catalogue| {
            for metric in &metrics {
                catalogue.define_metric(metric)?;
            }
            releases
                .iter()
                .try_for_each(|release| catalogue.define_release(release).map(drop))
        })
        .unwrap();
    store
}

/// Writes cells of one series; `bits` are a count, units, or a float's bits.
pub fn write(store: &Store, (release, branch, metric): (&str, &str, &str), cells: &[(u32, u64)]) {
    let series = store.series(release, branch, metric).unwrap();
    let mut batch = Batch::new();
    for (at, bits) in cells {
        match series.kind() {
            Kind::Counter => batch.add(series, minute(*at), *bits),
            Kind::Sum { .. } => batch.add_units(series, minute(*at), *bits as i64),
            Kind::Gauge => batch.set(series, minute(*at), f64::from_bits(*bits)),
        };
    }
    store.commit(batch).unwrap();
}

/// Rows as text, to compare.
pub fn lines(table: &Table) -> Vec<String> {
    table
        .rows()
        .map(
            |Row {
                 release,
                 branch,
                 metric,
                 minute,
                 value,
             }| { format!("{release} {branch} {metric} {minute} {value}") },
        )
        .collect()
}

/// A value so that floats are compared by their bits.
pub fn bits(value: Value) -> (i128, Option<u8>) {
    match value {
        Value::Exact(decimal) => (decimal.units, Some(decimal.decimals)),
        Value::Float(value) => (value.to_bits().into(), None),
    }
}
