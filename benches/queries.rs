//! Q1, Q2, Q3, a series-day, a point and an opening, on a compacted W1.
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use common::{compacted, print_memory, scale, w1, w1::W1};
use criterion::{Criterion, criterion_group, criterion_main};
use hotstove::{Cells, Every, GroupBy, Minute, Name, Options, Pattern, Reader, SeriesKey, Store};

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("a pattern")
}

fn minute(minutes: u32) -> Minute {
    Minute::new(minutes).expect("a minute")
}

fn queries(criterion: &mut Criterion) {
    let (_directory, path) = compacted();
    let workload = W1::new(42, scale());
    let reader = Reader::open(&path).expect("a reader");
    let snapshot = reader.snapshot().expect("a snapshot");
    let (release, branch, metric) = W1::names(0);
    let (first, last) = workload.active(0);
    let (crashes, hours) = (pattern("crashes"), pattern("usage_hours"));

    let mut group = criterion.benchmark_group("compacted");
    let one = pattern(&release);
    for (what, from) in [
        ("its last day", last - 1_440),
        ("an earlier day", first + 2_880),
    ] {
        group.bench_function(
            format!("Q1: 5 branches, 2 metrics, a day of minutes, {what}"),
            |bencher| {
                bencher.iter(|| {
                    [&crashes, &hours].map(|metric| {
                        let query = snapshot.query().releases(&one).metrics(metric);
                        let query = query.from(minute(from)).to(minute(from + 1_440));
                        query
                            .every(Every::Minutes(1))
                            .run()
                            .expect("an answer")
                            .len()
                    })
                });
            },
        );
    }
    group.bench_function(
        "Q2: totals of 2 metrics of every branch of every release",
        |bencher| {
            bencher.iter(|| {
                [&crashes, &hours].map(|metric| {
                    snapshot
                        .query()
                        .metrics(metric)
                        .every(Every::Whole)
                        .run()
                        .expect("an answer")
                        .len()
                })
            });
        },
    );
    group.bench_function(
        "Q3: the sum of every counter and sum, metric by metric",
        |bencher| {
            let all = GroupBy {
                release: false,
                branch: false,
                metric: true,
            };
            // Gauges of several series can not be merged: everything else is summed.
            let metrics = (0..w1::METRICS - 1).map(|metric| pattern(&W1::names(metric).2));
            let metrics: Vec<Pattern> = metrics.collect();
            bencher.iter(|| {
                let total = |metric| {
                    let query = snapshot.query().metrics(metric).every(Every::Whole).by(all);
                    query.run().expect("an answer").len()
                };
                metrics.iter().map(total).sum::<usize>()
            });
        },
    );
    let key = SeriesKey {
        release: Name::new(&release).expect("a name"),
        branch: Name::new(&branch).expect("a name"),
        metric: Name::new(&metric).expect("a name"),
    };
    let series = snapshot
        .find(&key)
        .expect("a sound store")
        .expect("a series");
    let mut cells = Cells::default();
    for (what, from) in [
        ("its last day", last - 1_440),
        ("an earlier day", first + 2_880),
    ] {
        group.bench_function(format!("one series-day, {what}"), |bencher| {
            bencher.iter(|| {
                series
                    .read(minute(from)..minute(from + 1_440), &mut cells)
                    .expect("a day");
                cells.len()
            });
        });
        group.bench_function(format!("one cell, {what}"), |bencher| {
            let mut at = 0;
            bencher.iter(|| {
                at = (at + 577) % 1_440;
                series.get(minute(from + at)).expect("an answer")
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("open");
    group.bench_function("reader", |bencher| {
        bencher.iter(|| Reader::open(&path).expect("a reader"))
    });
    group.sample_size(20);
    group.bench_function("writer", |bencher| {
        bencher.iter(|| Store::open(&path, Options::new()).expect("a store"));
    });
    group.finish();
    println!("{} series, {} metrics", workload.series(), w1::METRICS);
    print_memory();
}

criterion_group!(benches, queries);
criterion_main!(benches);
