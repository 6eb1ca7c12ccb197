//! How long does it take to read one cell?
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use common::memory::Watch;
use common::states::states;
use common::w1::{BRANCHES, METRICS, W1, random::Random};
use common::{SEED, key, minute, scale};
use criterion::{Criterion, criterion_group, criterion_main};
use hotstove::Reader;

fn point(criterion: &mut Criterion) {
    let states = states();
    let workload = W1::new(SEED, scale());
    let watch = Watch::start();
    for (state, path) in states.each() {
        let reader = Reader::open(path).expect("a reader");
        let snapshot = reader.snapshot().expect("a snapshot");
        let series: Vec<_> = (0..workload.series())
            .map(|number| {
                snapshot
                    .find(&key(number))
                    .expect("a sound store")
                    .expect("a series")
            })
            .collect();
        let mut random = Random::new(SEED);
        let mut group = criterion.benchmark_group("cell");
        // Of the first 8 days of any release: a store's last two days are packed.
        group.bench_function(format!("any, by handle, {state}"), |bencher| {
            bencher.iter(|| {
                let number = random.below(u64::from(workload.series())) as u32;
                let first = workload.active(number / (BRANCHES * METRICS)).0;
                let at = minute(first + random.below(8 * 1_440) as u32);
                series[number as usize].get(at).expect("an answer")
            });
        });
        let first = workload.active(0).0;
        group.bench_function(
            format!("of one series and day, by handle, {state}"),
            |bencher| {
                bencher.iter(|| {
                    let at = minute(first + 2_880 + random.below(1_440) as u32);
                    series[0].get(at).expect("an answer")
                });
            },
        );
        group.finish();
    }
    drop(watch);
}

criterion_group!(benches, point);
criterion_main!(benches);
