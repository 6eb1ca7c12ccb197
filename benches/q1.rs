//! Q1: one release, 5 branches, 2 metrics, a day of minutes.
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use common::memory::Watch;
use common::states::states;
use common::w1::{BRANCHES, METRICS, W1};
use common::{SEED, key, minute, pattern, scale};
use criterion::{Criterion, criterion_group, criterion_main};
use hotstove::{Cells, Every, Reader, Table};

fn q1(criterion: &mut Criterion) {
    let states = states();
    let workload = W1::new(SEED, scale());
    let watch = Watch::start();
    for (state, path) in states.each() {
        let reader = Reader::open(path).expect("a reader");
        let snapshot = reader.snapshot().expect("a snapshot");
        // The last day of the last release is packed in either state; an early
        // day of the first one is encoded densely once compacted.
        let newest = workload.releases() - 1;
        let days = [
            ("an old day", 0, workload.active(0).0 + 2_880),
            ("the last day", newest, workload.active(newest).1 - 1_440),
        ];
        let mut group = criterion.benchmark_group("Q1");
        for (what, release, from) in days {
            let (from, to) = (minute(from), minute(from + 1_440));
            let first = release * BRANCHES * METRICS;
            let release = pattern(&W1::names(first).0);
            let metrics = [0, 7].map(|metric| pattern(&W1::names(metric).2));
            group.bench_function(format!("one query, {what}, {state}"), |bencher| {
                bencher.iter(|| {
                    let query = snapshot.query().releases(&release);
                    let query = query.metrics(&metrics[0]).metrics(&metrics[1]);
                    let query = query.from(from).to(to).every(Every::Minutes(1));
                    query.run().expect("an answer").len()
                });
            });
            let mut table = Table::default();
            group.bench_function(
                format!("one query, its table reused, {what}, {state}"),
                |bencher| {
                    bencher.iter(|| {
                        let query = snapshot.query().releases(&release);
                        let query = query.metrics(&metrics[0]).metrics(&metrics[1]);
                        let query = query.from(from).to(to).every(Every::Minutes(1));
                        query.run_into(&mut table).expect("an answer");
                        table.len()
                    });
                },
            );
            let series: Vec<_> = (0..BRANCHES)
                .flat_map(|branch| [0, 7].map(|metric| key(first + branch * METRICS + metric)))
                .map(|key| {
                    snapshot
                        .find(&key)
                        .expect("a sound store")
                        .expect("a series")
                })
                .collect();
            let mut buffers: Vec<Cells> = series.iter().map(|_| Cells::default()).collect();
            group.bench_function(format!("by handles, {what}, {state}"), |bencher| {
                bencher.iter(|| {
                    for (series, cells) in series.iter().zip(&mut buffers) {
                        series.read(from..to, cells).expect("a day");
                    }
                });
            });
        }
        group.finish();
    }
    drop(watch);
}

criterion_group!(benches, q1);
criterion_main!(benches);
