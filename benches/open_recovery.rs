//! How long does opening take: for reading, for writing, and after a crash
//! that leaves a whole log to be replayed?
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::memory::Watch;
use common::states::{copy, states};
use common::w1::W1;
use common::{SEED, batch, buffered, bytes_on_disk, directory, handles, scale};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hotstove::{Options, Reader, Store};

fn open(criterion: &mut Criterion) {
    let states = states();
    let watch = Watch::start();
    for (state, path) in states.each() {
        let mut group = criterion.benchmark_group("open");
        group.bench_function(format!("reader, {state}"), |bencher| {
            bencher.iter(|| Reader::open(path).expect("a reader"));
        });
        group.bench_function(format!("reader and a first cell, {state}"), |bencher| {
            let key = common::key(0);
            let at = common::minute(W1::new(SEED, scale()).active(0).0 + 3_000);
            bencher.iter(|| {
                let reader = Reader::open(path).expect("a reader");
                let snapshot = reader.snapshot().expect("a snapshot");
                let found = snapshot.find(&key).expect("a sound store");
                found.expect("a series").get(at).expect("an answer")
            });
        });
        group.sample_size(20);
        let directory = directory();
        let own = directory.path().join("store");
        copy(path, &own);
        group.bench_function(format!("writer, {state}"), |bencher| {
            // Its close, which syncs, is not timed.
            bencher.iter_custom(|rounds| {
                let opened = (0..rounds).map(|_| {
                    let start = Instant::now();
                    let store = Store::open(&own, Options::new()).expect("a store");
                    let spent = start.elapsed();
                    store.close().expect("a close");
                    spent
                });
                opened.sum()
            });
        });
        group.finish();
    }
    drop(watch);
}

/// Fills a log to its limit without a flush, and copies the store while it is
/// open: what a kill leaves.
fn killed(path: &Path, aside: &Path) -> u64 {
    let mut workload = W1::new(SEED, scale());
    let options = buffered().background(false).memory_budget(1 << 30);
    let limit = 16 << 20;
    let store = Store::open(path, options.wal_limit(2 * limit)).expect("a store");
    let handles = handles(&store, &workload);
    let mut logged = 0;
    for offset in 0..workload.minutes() {
        if bytes_on_disk(path) >= limit {
            break;
        }
        let deltas = workload.minute(offset);
        logged += deltas.len() as u64;
        store.commit(batch(&handles, deltas)).expect("a commit");
    }
    copy(path, aside);
    logged
}

fn recovery(criterion: &mut Criterion) {
    let directory = directory();
    let aside = directory.path().join("killed");
    let deltas = killed(&directory.path().join("store"), &aside);
    println!(
        "a log of {deltas} deltas, {} bytes with all else",
        bytes_on_disk(&aside)
    );
    let watch = Watch::start();
    let mut group = criterion.benchmark_group("recovery");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(deltas));
    group.bench_function("writer, after a kill", |bencher| {
        let mut number = 0;
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                number += 1;
                let own = directory.path().join(format!("copy-{number}"));
                copy(&aside, &own);
                let start = Instant::now();
                let store = Store::open(&own, Options::new()).expect("a store");
                spent += start.elapsed();
                drop(store);
                std::fs::remove_dir_all(&own).expect("the copy goes");
            }
            spent
        });
    });
    group.bench_function("reader, after a kill", |bencher| {
        bencher.iter_with_large_drop(|| Reader::open(&aside).expect("a reader"));
    });
    group.finish();
    drop(watch);
}

criterion_group!(benches, open, recovery);
criterion_main!(benches);
