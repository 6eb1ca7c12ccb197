//! What do a flush and a compaction of everything take, and leave?
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use std::time::Instant;

use common::memory::{Watch, bytes_written};
use common::states::{copy, states};
use common::w1::W1;
use common::{SEED, batch, bytes_on_disk, directory, handles, scale, smoke};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hotstove::{Options, Reader, Store};

/// Of four hours of W1, committed and not flushed yet.
fn flush(criterion: &mut Criterion) {
    let mut workload = W1::new(SEED, scale());
    for offset in 0..6_000 {
        workload.minute(offset);
    }
    let minutes: Vec<Vec<_>> = (6_000..6_240)
        .map(|offset| workload.minute(offset).to_vec())
        .collect();
    let deltas: usize = minutes.iter().map(Vec::len).sum();
    let watch = Watch::start();
    let mut group = criterion.benchmark_group("flush");
    group
        .throughput(Throughput::Elements(deltas as u64))
        .sample_size(10);
    group.bench_function("four hours of all series", |bencher| {
        bencher.iter_custom(|rounds| {
            (0..rounds)
                .map(|_| {
                    let directory = directory();
                    let options = Options::new().background(false).memory_budget(1 << 30);
                    let store =
                        Store::open(directory.path().join("store"), options).expect("a store");
                    let handles = handles(&store, &workload);
                    for minute in &minutes {
                        store.commit(batch(&handles, minute)).expect("a commit");
                    }
                    let start = Instant::now();
                    store.flush().expect("a flush");
                    start.elapsed()
                })
                .sum()
        });
    });
    group.finish();
    drop(watch);
}

/// Of the fresh W1, from what was merged in passing to one segment a bucket.
fn compaction(_: &mut Criterion) {
    let states = states();
    let reader = Reader::open(&states.compacted).expect("a reader");
    let cells = reader.inspect().expect("an inspection").cells() as f64;
    for _ in 0..if smoke() { 1 } else { 3 } {
        let directory = directory();
        let path = directory.path().join("store");
        copy(&states.fresh, &path);
        let fresh = bytes_on_disk(&path) as f64;
        let store = Store::open(&path, Options::new()).expect("a store");
        let before = bytes_written();
        let watch = Watch::start();
        let start = Instant::now();
        store.compact().expect("a compaction");
        let spent = start.elapsed();
        store.close().expect("a close");
        drop(watch);
        println!(
            "compaction: {:.2} s, {:.3} to {:.3} bytes a cell, everything on disk counted; {:.2} bytes written a cell",
            spent.as_secs_f64(),
            fresh / cells,
            bytes_on_disk(&path) as f64 / cells,
            (bytes_written() - before) as f64 / cells
        );
    }
}

criterion_group!(benches, compaction, flush);
criterion_main!(benches);
