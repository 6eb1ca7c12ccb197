//! What every bench needs: W1 into a store, and what it took.

#![allow(dead_code, reason = "each bench uses its part")]

use std::path::Path;
use std::time::{Duration, Instant};

use hotstove::{
    Batch, Durability, Kind, Metric, Minute, Name, Options, Pattern, Series, SeriesKey, Store,
};

#[path = "../w1/mod.rs"]
pub mod w1;

pub mod memory;
pub mod states;

use w1::W1;

/// W1's seed.
pub const SEED: u64 = 42;
/// Minutes from the start in which all releases are active: what the benches
/// of single commits take.
pub const BUSY: std::ops::Range<u32> = 6_000..6_250;

/// Whether this is a run of `cargo bench -- --test`.
pub fn smoke() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// Whether a part of a bench that is no loop of criterion's was asked for: by a
/// word of its name, or because no name was given.
pub fn wanted(name: &str) -> bool {
    let mut names = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    let first = names.next();
    first.is_none_or(|first| name.contains(&first))
}

/// Scale of W1: the whole of it, a fortieth in a smoke run, or what
/// `HOTSTOVE_W1_SCALE` says.
pub fn scale() -> f64 {
    let wished = std::env::var("HOTSTOVE_W1_SCALE")
        .ok()
        .and_then(|text| text.parse().ok());
    wished.unwrap_or(if smoke() { 0.025 } else { 1.0 })
}

/// Not synced at every commit.
pub fn buffered() -> Options {
    Options::new().durability(Durability::Buffered {
        interval: Duration::from_millis(100),
    })
}

/// A fresh directory for one store, removed when dropped.
pub fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory for the store")
}

pub fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("a pattern")
}

pub fn minute(minutes: u32) -> Minute {
    Minute::new(minutes).expect("a minute")
}

/// The key of a series of W1.
pub fn key(series: u32) -> SeriesKey {
    let (release, branch, metric) = W1::names(series);
    SeriesKey {
        release: Name::new(&release).expect("a name"),
        branch: Name::new(&branch).expect("a name"),
        metric: Name::new(&metric).expect("a name"),
    }
}

/// Defines W1's metrics and resolves its series.
pub fn handles(store: &Store, workload: &W1) -> Vec<Series> {
    store
        .define(|catalogue| {
            for metric in 0..w1::METRICS {
                let kind = match w1::kind(metric) {
                    w1::Kind::Counter => Kind::Counter,
                    w1::Kind::Sum => Kind::Sum { decimals: 4 },
                    w1::Kind::Gauge => Kind::Gauge,
                };
                let (_, _, name) = W1::names(metric);
                catalogue.define_metric(&Metric::new(Name::new(&name)?, kind))?;
            }
            Ok(())
        })
        .expect("metrics are defined");
    (0..workload.series())
        .map(|series| {
            let (release, branch, metric) = W1::names(series);
            store.series(&release, &branch, &metric).expect("a series")
        })
        .collect()
}

/// One delta of W1 as part of a batch.
pub fn push(batch: &mut Batch, handles: &[Series], delta: &w1::Delta) {
    let at = minute(delta.minute);
    let series = handles[delta.series as usize];
    match w1::kind(delta.series % w1::METRICS) {
        w1::Kind::Counter => batch.add(series, at, delta.bits),
        w1::Kind::Sum => batch.add_units(series, at, delta.bits as i64),
        w1::Kind::Gauge => batch.set(series, at, f64::from_bits(delta.bits)),
    };
}

/// Deltas as a batch.
pub fn batch(handles: &[Series], deltas: &[w1::Delta]) -> Batch {
    let mut batch = Batch::new();
    deltas
        .iter()
        .for_each(|delta| push(&mut batch, handles, delta));
    batch
}

/// The minutes [`BUSY`], a list of deltas each.
pub fn busy_minutes(workload: &mut W1) -> Vec<Vec<w1::Delta>> {
    let minutes = (0..BUSY.end).map(|offset| workload.minute(offset).to_vec());
    minutes.skip(BUSY.start as usize).collect()
}

/// What streaming W1 into a store took.
pub struct Ingested {
    pub deltas: u64,
    pub cells: u64,
    /// What was generated, in words.
    pub told: String,
    /// Deltas a second in batches and commits, without generating: the whole,
    /// and each quarter of the minutes.
    pub rate: f64,
    pub quarters: [f64; 4],
    /// How long each commit took, without its batch.
    pub commits: Vec<Duration>,
}

/// Streams W1 into a new store at `path`, a commit a minute; so many minutes
/// at most.
pub fn ingest(path: &Path, options: Options, scale: f64, most: u32) -> (Store, Ingested) {
    let mut workload = W1::new(SEED, scale);
    let store = Store::open(path, options).expect("a store");
    let handles = handles(&store, &workload);
    let mut quarters = [(0, Duration::ZERO); 4];
    let minutes = workload.minutes().min(most);
    let mut commits = Vec::with_capacity(minutes as usize);
    for offset in 0..minutes {
        let deltas = workload.minute(offset);
        let start = Instant::now();
        let batch = batch(&handles, deltas);
        let built = start.elapsed();
        store.commit(batch).expect("a commit");
        let spent = start.elapsed();
        commits.push(spent - built);
        let (count, total) = &mut quarters[(offset * 4 / minutes) as usize];
        *count += deltas.len();
        *total += spent;
    }
    let spent: Duration = quarters.iter().map(|quarter| quarter.1).sum();
    let ingested = Ingested {
        deltas: workload.deltas,
        cells: workload.cells,
        told: format!("W1 scale {scale}: {}", workload.told()),
        rate: workload.deltas as f64 / spent.as_secs_f64(),
        quarters: quarters.map(|(count, spent)| count as f64 / spent.as_secs_f64()),
        commits,
    };
    (store, ingested)
}

/// Sorts durations and tells their median, p99, p99.9 and greatest.
pub fn percentiles(durations: &mut [Duration]) -> String {
    durations.sort_unstable();
    let at = |share: f64| {
        let place = (durations.len() as f64 * share) as usize;
        durations[place.min(durations.len() - 1)].as_secs_f64() * 1e6
    };
    format!(
        "p50 {:.0} µs, p99 {:.0} µs, p99.9 {:.0} µs, greatest {:.0} µs",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    )
}

/// Bytes of all files of a directory.
pub fn bytes_on_disk(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).expect("a directory");
    let sizes = entries.map(|entry| {
        let metadata = entry.and_then(|entry| entry.metadata());
        metadata.map_or(0, |metadata| metadata.len())
    });
    sizes.sum()
}
