//! Q2: totals of 2 metrics of every branch of every release since it began.
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use common::memory::Watch;
use common::pattern;
use common::states::states;
use common::w1::W1;
use criterion::{Criterion, criterion_group, criterion_main};
use hotstove::{Every, Reader};

fn q2(criterion: &mut Criterion) {
    let states = states();
    let watch = Watch::start();
    let metrics = [0, 7].map(|metric| pattern(&W1::names(metric).2));
    for (state, path) in states.each() {
        let reader = Reader::open(path).expect("a reader");
        let snapshot = reader.snapshot().expect("a snapshot");
        let mut group = criterion.benchmark_group("Q2");
        group.bench_function(format!("one query, {state}"), |bencher| {
            bencher.iter(|| {
                let query = snapshot.query().metrics(&metrics[0]).metrics(&metrics[1]);
                query.every(Every::Whole).run().expect("an answer").len()
            });
        });
        group.finish();
    }
    drop(watch);
}

criterion_group!(benches, q2);
criterion_main!(benches);
