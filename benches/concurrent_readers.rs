//! Do readers and the writer slow each other? Commits alone, queries alone,
//! then both at once, over the fresh W1.
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::memory::Watch;
use common::states::{copy, states};
use common::w1::{BRANCHES, Delta, METRICS, W1};
use common::{SEED, batch, buffered, busy_minutes, directory, handles, minute, pattern};
use common::{percentiles, scale, smoke};
use criterion::{Criterion, criterion_group, criterion_main};
use hotstove::{Every, Series, Store};

/// Commits minute after minute until told to stop; how long each took.
fn write(
    store: &Store,
    handles: &[Series],
    minutes: &[Vec<Delta>],
    stop: &AtomicBool,
) -> Vec<Duration> {
    let mut spent = Vec::new();
    let mut next = minutes.iter().cycle();
    while !stop.load(Ordering::Relaxed) {
        let batch = batch(handles, next.next().expect("an endless cycle"));
        let start = Instant::now();
        store.commit(batch).expect("a commit");
        spent.push(start.elapsed());
    }
    spent
}

/// Asks Q1 of one release after another until told to stop, each time of a
/// snapshot of its own.
fn read(store: &Store, workload: &W1, stop: &AtomicBool) -> Vec<Duration> {
    let metrics = [0, 7].map(|metric| pattern(&W1::names(metric).2));
    let mut spent = Vec::new();
    for release in (0..workload.releases()).cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = pattern(&W1::names(release * BRANCHES * METRICS).0);
        let first = workload.active(release).0 + 2_880;
        let start = Instant::now();
        let snapshot = store.snapshot();
        let query = snapshot.query().releases(&name);
        let query = query.metrics(&metrics[0]).metrics(&metrics[1]);
        let query = query.from(minute(first)).to(minute(first + 1_440));
        let table = query.every(Every::Minutes(1)).run().expect("an answer");
        assert!(!table.is_empty());
        spent.push(start.elapsed());
    }
    spent
}

fn both(_: &mut Criterion) {
    let states = states();
    let directory = directory();
    let path = directory.path().join("store");
    copy(&states.fresh, &path);
    let store = Store::open(&path, buffered()).expect("a store");
    let mut workload = W1::new(SEED, scale());
    let handles = handles(&store, &workload);
    let minutes = busy_minutes(&mut workload);
    let time = Duration::from_millis(if smoke() { 100 } else { 4_000 });
    let watch = Watch::start();
    for (writers, readers) in [(1, 0), (0, 1), (1, 1), (1, 2)] {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writing: Vec<_> = (0..writers)
                .map(|_| scope.spawn(|| write(&store, &handles, &minutes, &stop)))
                .collect();
            let reading: Vec<_> = (0..readers)
                .map(|_| scope.spawn(|| read(&store, &workload, &stop)))
                .collect();
            std::thread::sleep(time);
            stop.store(true, Ordering::Relaxed);
            for (what, threads) in [("commits", writing), ("Q1s", reading)] {
                let spent = threads.into_iter().map(|thread| thread.join());
                let mut spent: Vec<_> = spent.flat_map(|spent| spent.expect("no panic")).collect();
                if !spent.is_empty() {
                    let rate = spent.len() as f64 / time.as_secs_f64();
                    let told = percentiles(&mut spent);
                    println!(
                        "{writers} writing, {readers} reading: {rate:.0} {what} a second; {told}"
                    );
                }
            }
        });
    }
    drop(watch);
}

criterion_group!(benches, both);
criterion_main!(benches);
