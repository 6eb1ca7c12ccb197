//! How fast do deltas go in? The whole of W1 in arrival order, synced commits
//! of a minute each, and four threads that share their syncs.
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use std::time::{Duration, Instant};

use common::memory::{Watch, bytes_written};
use common::w1::{Delta, W1};
use common::{
    SEED, batch, buffered, busy_minutes, bytes_on_disk, directory, handles, ingest, scale, smoke,
    wanted,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hotstove::{Batch, Options, Store};

/// Not a criterion loop: one pass over all of W1, told once, with its sizes.
fn whole(_: &mut Criterion) {
    if !wanted("whole") {
        return;
    }
    let directory = directory();
    let path = directory.path().join("store");
    let before = bytes_written();
    let watch = Watch::start();
    let (store, told) = ingest(&path, buffered(), scale(), u32::MAX);
    println!("{}", told.told);
    println!(
        "buffered, one thread: {:.2} M deltas/s; by quarters {:.2?}",
        told.rate / 1e6,
        told.quarters.map(|rate| rate / 1e6)
    );
    store.flush().expect("a flush");
    store.close().expect("a close");
    drop(watch);
    println!(
        "fresh: {:.3} bytes a cell, everything on disk counted; {:.2} bytes written a delta so far",
        bytes_on_disk(&path) as f64 / told.cells as f64,
        (bytes_written() - before) as f64 / told.deltas as f64
    );
}

fn synced(criterion: &mut Criterion) {
    let directory = directory();
    let mut workload = W1::new(SEED, scale());
    let store = Store::open(directory.path().join("store"), Options::new()).expect("a store");
    let handles = handles(&store, &workload);
    let minutes = busy_minutes(&mut workload);
    let deltas: usize = minutes.iter().map(Vec::len).sum();
    let watch = Watch::start();
    let mut group = criterion.benchmark_group("ingest");
    group
        .throughput(Throughput::Elements((deltas / minutes.len()) as u64))
        .sample_size(50);
    let mut next = minutes.iter().cycle();
    group.bench_function("synced commit of a minute", |bencher| {
        bencher.iter(|| {
            let minute = next.next().expect("an endless cycle");
            store.commit(batch(&handles, minute)).expect("a commit")
        });
    });
    group.finish();
    drop(watch);
}

/// Four threads, each with batches of 10,000 deltas of its own, into a new store
/// each time: the middle of some rounds, since one of them is over in a moment.
fn shared(_: &mut Criterion) {
    if !wanted("shared") {
        return;
    }
    let workload = &mut W1::new(SEED, scale());
    let deltas = busy_minutes(workload).concat();
    let watch = Watch::start();
    let mut rates: Vec<_> = (0..if smoke() { 1 } else { 15 })
        .map(|_| share(workload, &deltas))
        .collect();
    rates.sort_by(f64::total_cmp);
    println!(
        "synced, {THREADS} threads, batches of 10,000, built beforehand: {:.2} M deltas/s; \
         {:.2} to {:.2} in {} rounds",
        rates[rates.len() / 2] / 1e6,
        rates[0] / 1e6,
        rates[rates.len() - 1] / 1e6,
        rates.len()
    );
    drop(watch);
}

const THREADS: usize = 4;

/// Deltas a second of one round.
fn share(workload: &W1, deltas: &[Delta]) -> f64 {
    let commits = if smoke() { 2 } else { 60 };
    let directory = directory();
    let store = Store::open(directory.path().join("store"), Options::new()).expect("a store");
    let handles = handles(&store, workload);
    let batches: Vec<Vec<Batch>> = (0..THREADS)
        .map(|thread| {
            let own = |commit: usize| {
                let place = (thread * commits + commit) * 10_000;
                let deltas = deltas.iter().cycle().skip(place % deltas.len());
                let deltas: Vec<_> = deltas.take(10_000).copied().collect();
                batch(&handles, &deltas)
            };
            (0..commits).map(own).collect()
        })
        .collect();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for batches in batches {
            scope.spawn(|| {
                for batch in batches {
                    store.commit(batch).expect("a commit");
                }
            });
        }
    });
    let spent: Duration = start.elapsed();
    (THREADS * commits * 10_000) as f64 / spent.as_secs_f64()
}

criterion_group!(benches, whole, synced, shared);
criterion_main!(benches);
