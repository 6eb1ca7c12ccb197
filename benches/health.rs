//! How long health takes, for a release with 5 branches, 10 metrics and 14 days
//! of minutes in a store of 30 million cells (one release alone under `--test`).
//!
//! Four figures, kept apart: the whole report by a reader just opened ("cold":
//! the files are in the page cache); the whole report of a snapshot that is
//! open, nothing kept from one to the next ("warm"); one more minute of a kept
//! state with its report; totals and rates alone. And the parts of the second.
#![allow(missing_docs, reason = "criterion's macros write what has none")]

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use hotstove::health::{Cell, Options as Question, assess};
use hotstove::{
    Batch, Durability, Every, Kind, Metric, Minute, Name, Options, Pattern, Reader, Release, Role,
    Series, Store, Worse,
};

#[path = "common/memory.rs"]
#[expect(dead_code, reason = "shared with benches that write")]
mod memory;
#[path = "../tests/support/random.rs"]
mod random;

use memory::Watch;
use random::Random;

const MINUTES: u32 = 14 * 1_440;
const START: u32 = 29_460_960;
const BRANCHES: [&str; 5] = ["a", "b", "c", "control", "d"];
const RELEASE: &str = "app/0.0";

/// Releases in the store: 27 have 29.9 million cells. One in a smoke run, or what
/// `HOTSTOVE_RELEASES` says.
fn releases() -> u32 {
    let smoke = std::env::args().any(|argument| argument == "--test");
    let wished = std::env::var("HOTSTOVE_RELEASES").ok();
    let wished = wished.and_then(|text| text.parse().ok());
    wished.unwrap_or(if smoke { 1 } else { 27 })
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn metrics() -> Vec<Metric> {
    let mut metrics = Vec::new();
    for index in 0..10 {
        let mut metric = Metric::new(name(&format!("metric-{index}")), Kind::Counter);
        metric.worse = Some(Worse::Higher);
        metric.per = Some(name("hours"));
        metrics.push(metric);
    }
    let mut hours = Metric::new(name("hours"), Kind::Sum { decimals: 6 });
    hours.role = Some(Role::Exposure);
    metrics.push(hours);
    metrics
}

/// A minute's value: about 20 events, or 90 hours, in a daily wave.
fn value(random: &mut Random, metric: &Metric, minute: u32) -> i64 {
    let wave = 1.0 + 0.5 * (f64::from(minute) / 229.0).sin();
    match metric.per {
        Some(_) => random.poisson(20.0 * wave) as i64,
        None => (random.poisson(900.0 * wave) * 1e5) as i64,
    }
}

fn fill(store: &Store, metrics: &[Metric]) {
    store
        .define(|catalogue| {
            for metric in metrics {
                catalogue.define_metric(metric)?;
            }
            Ok(())
        })
        .expect("metrics are defined");
    let mut random = Random::new(1);
    let columns: Vec<(&Metric, Vec<i64>)> = BRANCHES
        .iter()
        .flat_map(|_| metrics)
        .map(|metric| {
            let values = (0..MINUTES).map(|minute| value(&mut random, metric, minute));
            (metric, values.collect())
        })
        .collect();
    for release in 0..releases() {
        let release_name = format!("app/{release}.0");
        let mut definition = Release::new(name(&release_name));
        definition.control = Some(name("control"));
        store.define_release(&definition).expect("a release");
        let series: Vec<Series> = (columns.iter().enumerate())
            .map(|(index, (metric, _))| {
                let branch = BRANCHES[index / metrics.len()];
                store
                    .series(&release_name, branch, &metric.name)
                    .expect("a series")
            })
            .collect();
        for day in 0..MINUTES / 1_440 {
            for (series, (_, values)) in series.iter().zip(&columns) {
                let mut batch = Batch::new();
                for minute in day * 1_440..(day + 1) * 1_440 {
                    // Other releases have the same minutes, from another hour on.
                    let value = values[((minute + release * 61) % MINUTES) as usize];
                    let at = Minute::new(START + minute).expect("a minute");
                    match series.kind() {
                        Kind::Counter => batch.add(*series, at, value as u64),
                        _ => batch.add_units(*series, at, value),
                    };
                }
                store.commit(batch).expect("a commit");
            }
        }
    }
}

fn store(path: &Path) -> Vec<Metric> {
    let buffered = Durability::Buffered {
        interval: Duration::from_millis(100),
    };
    let store = Store::open(path, Options::new().durability(buffered)).expect("a store");
    let metrics = metrics();
    fill(&store, &metrics);
    store.compact().expect("a compaction");
    let cells = store.inspect().expect("what is in it").cells();
    println!("{cells} cells in {} releases", releases());
    store.close().expect("a close");
    metrics
}

fn health(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let metrics = store(path);
    // What judging takes, without making the store.
    let _watch = Watch::start();
    let at = Minute::new(START + MINUTES).expect("a minute");
    let open = || {
        Reader::open(path)
            .expect("a reader")
            .snapshot()
            .expect("a snapshot")
    };
    let snapshot = open();
    let request = snapshot.health(RELEASE, at);

    let mut group = criterion.benchmark_group("health");
    group.bench_function("cold: open, and the whole report", |bencher| {
        bencher.iter(|| open().health(RELEASE, at).run().expect("a report"));
    });
    group.bench_function("warm: the whole report", |bencher| {
        bencher.iter(|| request.run().expect("a report"));
    });
    group.bench_function("one more minute, and its report", |bencher| {
        let mut monitor = request.monitor().expect("a monitor");
        let mut random = Random::new(2);
        let mut minute = START + MINUTES;
        bencher.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            for _ in 0..iterations {
                let branches = BRANCHES
                    .iter()
                    .flat_map(|branch| metrics.iter().map(move |metric| (*branch, metric)));
                let cells: Vec<Cell<'_>> = branches
                    .map(|(branch, metric)| Cell {
                        branch,
                        metric: &metric.name,
                        units: value(&mut random, metric, minute).into(),
                    })
                    .collect();
                let at = Minute::new(minute).expect("a minute");
                let started = Instant::now();
                monitor.add(at, &cells).expect("the next minute");
                std::hint::black_box(monitor.report());
                spent += started.elapsed();
                minute += 1;
            }
            spent
        });
    });
    let release = Pattern::new(RELEASE).expect("a pattern");
    group.bench_function("totals and rates alone", |bencher| {
        bencher.iter(|| {
            let query = snapshot.query().releases(&release).every(Every::Whole);
            query.per("hours").run().expect("an answer").len()
        });
    });
    group.bench_function("of the warm report, gathering", |bencher| {
        bencher.iter(|| request.observations().expect("columns"));
    });
    let observations = request.observations().expect("columns");
    group.bench_function("of the warm report, judging", |bencher| {
        bencher.iter(|| assess(&observations, &Question::default()).expect("a report"));
    });
    group.finish();
}

criterion_group!(benches, health);
criterion_main!(benches);
