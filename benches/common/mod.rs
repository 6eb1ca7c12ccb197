//! What every bench needs: a store filled with W1, and what memory it took.

#![allow(dead_code, reason = "each bench uses its part")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hotstove::{Batch, Durability, Kind, Metric, Minute, Name, Options, Series, Store};

#[path = "../w1/mod.rs"]
pub mod w1;

use w1::W1;

/// Scale of W1: the whole of it, a fortieth in a smoke run, or what
/// `HOTSTOVE_W1_SCALE` says.
pub fn scale() -> f64 {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let wished = std::env::var("HOTSTOVE_W1_SCALE")
        .ok()
        .and_then(|text| text.parse().ok());
    wished.unwrap_or(if smoke { 0.025 } else { 1.0 })
}

/// Not synced at every commit.
pub fn buffered() -> Options {
    Options::new().durability(Durability::Buffered {
        interval: Duration::from_millis(100),
    })
}

/// A fresh directory for one store, removed when dropped.
pub fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory for the store")
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
    let at = Minute::new(delta.minute).expect("a minute");
    let series = handles[delta.series as usize];
    match w1::kind(delta.series % w1::METRICS) {
        w1::Kind::Counter => batch.add(series, at, delta.bits),
        w1::Kind::Sum => batch.add_units(series, at, delta.bits as i64),
        w1::Kind::Gauge => batch.set(series, at, f64::from_bits(delta.bits)),
    };
}

/// What streaming W1 into a store took.
pub struct Ingested {
    pub deltas: u64,
    pub cells: u64,
    /// Time in batches and commits, without generating.
    pub spent: Duration,
    /// The largest anonymous memory seen, in MiB.
    pub anonymous_mib: u64,
}

/// Streams W1 into a new store at `path`, a commit a minute.
pub fn ingest(path: &Path, options: Options, scale: f64) -> (Store, Ingested) {
    let mut workload = W1::new(42, scale);
    let store = Store::open(path, options).expect("a store");
    let handles = handles(&store, &workload);
    let mut spent = Duration::ZERO;
    let mut anonymous_mib = 0;
    for offset in 0..workload.minutes() {
        let deltas = workload.minute(offset);
        let start = Instant::now();
        let mut batch = Batch::new();
        deltas
            .iter()
            .for_each(|delta| push(&mut batch, &handles, delta));
        store.commit(batch).expect("a commit");
        spent += start.elapsed();
        if offset % 256 == 0 {
            anonymous_mib = anonymous_mib.max(memory_mib("RssAnon"));
        }
    }
    println!(
        "W1 scale {scale}: {} deltas, {} cells, checksum {:016x}, entropy of the counts {:.3} bits each",
        workload.deltas,
        workload.cells,
        workload.checksum,
        workload.entropy_bits / (workload.cells as f64 * 0.7)
    );
    let ingested = Ingested {
        deltas: workload.deltas,
        cells: workload.cells,
        spent,
        anonymous_mib,
    };
    (store, ingested)
}

/// A compacted store of W1 in a directory that lives as long as the bench.
pub fn compacted() -> (tempfile::TempDir, PathBuf) {
    let directory = directory();
    let path = directory.path().join("store");
    let (store, _) = ingest(&path, buffered(), scale());
    store.compact().expect("a compaction");
    store.close().expect("a close");
    (directory, path)
}

/// A line of `/proc/self/status`, in MiB; zero elsewhere.
pub fn memory_mib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1_024
}

/// Peak memory, for the end of every bench's output.
pub fn print_memory() {
    println!(
        "peak memory: {} MiB resident, {} MiB anonymous now",
        memory_mib("VmHWM"),
        memory_mib("RssAnon")
    );
}
