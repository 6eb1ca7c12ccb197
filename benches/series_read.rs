//! How long does it take to read a day of one series, cell by cell?
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use common::memory::Watch;
use common::states::states;
use common::w1::W1;
use common::{SEED, key, minute, scale};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hotstove::{Cells, Reader};

fn series_day(criterion: &mut Criterion) {
    let states = states();
    let watch = Watch::start();
    for (state, path) in states.each() {
        let reader = Reader::open(path).expect("a reader");
        let snapshot = reader.snapshot().expect("a snapshot");
        let first = W1::new(SEED, scale()).active(0).0;
        let found = snapshot.find(&key(0)).expect("a sound store");
        let series = found.expect("a series");
        let mut cells = Cells::default();
        let mut group = criterion.benchmark_group("series-day");
        group.throughput(Throughput::Elements(1_440));
        // The third day of the first release: old, so encoded densely once compacted.
        let day = minute(first + 2_880)..minute(first + 4_320);
        group.bench_function(format!("by handle, {state}"), |bencher| {
            bencher.iter(|| {
                series.read(day.clone(), &mut cells).expect("a day");
                cells.len()
            });
        });
        group.bench_function(format!("by name, {state}"), |bencher| {
            let key = key(0);
            bencher.iter(|| {
                let found = snapshot.find(&key).expect("a sound store");
                let series = found.expect("a series");
                series.read(day.clone(), &mut cells).expect("a day");
                cells.len()
            });
        });
        group.finish();
    }
    drop(watch);
}

criterion_group!(benches, series_day);
criterion_main!(benches);
