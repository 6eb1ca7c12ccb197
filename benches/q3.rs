//! Q3: the sum of every cell, as a user asks it and with all of them decoded.
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use common::memory::Watch;
use common::states::states;
use common::w1::{METRICS, W1};
use common::{SEED, key, pattern, scale};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hotstove::{Aggregate, Cells, Every, GroupBy, Minute, Reader};

fn q3(criterion: &mut Criterion) {
    let states = states();
    let watch = Watch::start();
    // Gauges of several series can not be merged: everything else is summed.
    let summed = METRICS - 1;
    let metrics: Vec<_> = (0..summed).map(|m| pattern(&W1::names(m).2)).collect();
    let all = GroupBy {
        release: false,
        branch: false,
        metric: true,
    };
    for (state, path) in states.each() {
        let reader = Reader::open(path).expect("a reader");
        let snapshot = reader.snapshot().expect("a snapshot");
        let query = || {
            let all = metrics.iter();
            all.fold(snapshot.query(), |query, metric| query.metrics(metric))
        };
        let ask = |every| {
            let answer = query().every(every).by(all).run();
            answer.expect("an answer").len()
        };
        // Of the nine metrics, whereas handles read gauges, too.
        let summed = query().aggregate(Aggregate::Cells).by(all).run();
        let summed = summed.expect("an answer");
        let summed: f64 = summed.rows().map(|row| row.value.to_f64()).sum();
        let mut group = criterion.benchmark_group("Q3");
        group.bench_function(format!("totals of nine metrics, {state}"), |bencher| {
            bencher.iter(|| ask(Every::Whole));
        });
        group
            .sample_size(10)
            .throughput(Throughput::Elements(summed as u64));
        // Half a day cuts every page: all cells are decoded, and added up.
        group.bench_function(format!("totals of each half day, {state}"), |bencher| {
            bencher.iter(|| ask(Every::Minutes(720)));
        });
        // A total for each minute needs every cell: no aggregate is that fine.
        group.bench_function(format!("totals of each minute, {state}"), |bencher| {
            bencher.iter(|| ask(Every::Minutes(1)));
        });
        let series: Vec<_> = (0..W1::new(SEED, scale()).series())
            .filter_map(|series| snapshot.find(&key(series)).expect("a sound store"))
            .collect();
        let cells = reader.inspect().expect("an inspection").cells();
        group.throughput(Throughput::Elements(cells));
        let mut buffer = Cells::default();
        let always = Minute::new(0).expect("the first minute")..Minute::END;
        group.bench_function(
            format!("all cells by handles, one thread, {state}"),
            |bencher| {
                bencher.iter(|| {
                    let sums = series.iter().map(|series| {
                        series.read(always.clone(), &mut buffer).expect("its cells");
                        buffer
                            .units()
                            .iter()
                            .fold(0, |sum: i128, cell| sum.wrapping_add(*cell))
                    });
                    sums.fold(0, i128::wrapping_add)
                });
            },
        );
        group.finish();
    }
    drop(watch);
}

criterion_group!(benches, q3);
criterion_main!(benches);
