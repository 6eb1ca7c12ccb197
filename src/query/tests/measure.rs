//! How long queries take. `cargo test --release query::tests::measure -- --ignored --nocapture`

use std::time::{Duration, Instant};

use super::{key, minute, name};
use crate::engine::batch::{Batch, Series};
use crate::engine::options::{Durability, Options};
use crate::engine::state::Snapshot;
use crate::engine::store::Store;
use crate::model::{Kind, Metric, Pattern};
use crate::query::{Cells, Every, GroupBy};

const RELEASES: u32 = 40;
const BRANCHES: u32 = 5;
const METRICS: u32 = 10;
const START: u32 = 46_080 * 600 + 17 * 1_440;
const DAYS: u32 = 14;

/// A stream like that of peers.md, minute by minute, some of it late.
fn fill(store: &Store) -> u64 {
    store
        .define(|catalogue| {
            for metric in 0..METRICS {
                let kind = match metric {
                    7 | 8 => Kind::Sum { decimals: 4 },
                    9 => Kind::Gauge,
                    _ => Kind::Counter,
                };
                catalogue.define_metric(&Metric::new(name(&format!("m{metric}")), kind))?;
            }
            Ok(())
        })
        .unwrap();
    let mut handles: Vec<(u32, Series, u64)> = Vec::new();
    let mut state = 42_u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 33
    };
    for release in 0..RELEASES {
        for branch in 0..BRANCHES {
            for metric in 0..METRICS {
                let (release_name, branch) = (
                    format!("firefox/release/{release:02}"),
                    format!("branch-{branch}"),
                );
                let series = store
                    .series(&release_name, &branch, &format!("m{metric}"))
                    .unwrap();
                handles.push((release * 5_760 / 39, series, 1 << (random() % 14)));
            }
        }
    }
    let mut cells = 0;
    for at in 0..DAYS * 1_440 {
        let mut batch = Batch::new();
        for (begin, series, rate) in &handles {
            if !(*begin..*begin + 14_400).contains(&at) || random() % 50 == 0 {
                continue;
            }
            cells += 1;
            let value = random() % rate + random() % rate + random() % rate;
            let late = if random() % 33 == 0 {
                (random() % 180) as u32
            } else {
                0
            };
            let at = minute(START + at.saturating_sub(late).max(*begin));
            match series.kind() {
                Kind::Counter => batch.add(*series, at, value),
                Kind::Sum { .. } => batch.add_units(*series, at, value as i64),
                Kind::Gauge => batch.set(*series, at, value as f64 / 1_000.0),
            };
        }
        store.commit(batch).unwrap();
    }
    cells
}

fn time(what: &str, rounds: usize, mut run: impl FnMut() -> usize) {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(run());
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "{what:<44} {:>10.1?} {:>10.1?} {:>8}",
        times[0],
        times[rounds / 2],
        run()
    );
}

fn measure(snapshot: &Snapshot, state: &str, older: u32) {
    println!("{state}: {} segments", snapshot.state.segments.len());
    let pattern = |text: &str| Pattern::new(text).unwrap();
    let end = START + DAYS * 1_440 - older;
    let release = pattern("firefox/release/39");
    time("series-day by query", 200, || {
        let query = snapshot
            .query()
            .releases(&release)
            .branches(&pattern("branch-1"));
        let query = query
            .metrics(&pattern("m3"))
            .from(minute(end - 1_440))
            .to(minute(end));
        query.run().unwrap().len()
    });
    let mut cells = Cells::default();
    let series = snapshot
        .find(&key("firefox/release/39", "branch-1", "m3"))
        .unwrap()
        .unwrap();
    time("series-day by handle", 200, || {
        series
            .read(minute(end - 1_440)..minute(end), &mut cells)
            .unwrap();
        cells.len()
    });
    let ten: Vec<_> = (0..5)
        .flat_map(|branch| ["m0", "m7"].map(|metric| (format!("branch-{branch}"), metric)))
        .map(|(branch, metric)| {
            snapshot
                .find(&key("firefox/release/39", &branch, metric))
                .unwrap()
                .unwrap()
        })
        .collect();
    time("Q1 by handle, buffer reused", 200, || {
        let mut count = 0;
        for series in &ten {
            series
                .read(minute(end - 1_440)..minute(end), &mut cells)
                .unwrap();
            count += cells.len();
        }
        count
    });
    time("Q1 by query", 200, || {
        let query = snapshot
            .query()
            .releases(&release)
            .metrics(&pattern("m0"))
            .metrics(&pattern("m7"));
        query
            .from(minute(end - 1_440))
            .to(minute(end))
            .run()
            .unwrap()
            .len()
    });
    time("Q1 hourly", 200, || {
        let query = snapshot
            .query()
            .releases(&release)
            .metrics(&pattern("m0"))
            .metrics(&pattern("m7"));
        query
            .from(minute(end - 1_440))
            .to(minute(end))
            .every(Every::Minutes(60))
            .run()
            .unwrap()
            .len()
    });
    time("Q2", 200, || {
        let query = snapshot
            .query()
            .metrics(&pattern("m0"))
            .metrics(&pattern("m7"));
        query.every(Every::Whole).run().unwrap().len()
    });
    let all = GroupBy {
        release: false,
        branch: false,
        metric: false,
    };
    let but_gauges = || {
        (0..9).fold(snapshot.query(), |query, metric| {
            query.metrics(&Pattern::exactly(&format!("m{metric}")))
        })
    };
    time("Q3, sum of every cell", 50, || {
        but_gauges()
            .every(Every::Whole)
            .by(all)
            .run()
            .unwrap()
            .len()
    });
    time("every cell, daily", 20, || {
        but_gauges()
            .every(Every::Minutes(1_440))
            .run()
            .unwrap()
            .len()
    });
    time("every cell decoded, hourly, one group", 3, || {
        but_gauges()
            .every(Every::Minutes(60))
            .by(all)
            .run()
            .unwrap()
            .len()
    });
    time("every cell decoded, to the minute", 2, || {
        but_gauges().run().unwrap().len()
    });
    time("rates by hour, one release", 50, || {
        let query = snapshot
            .query()
            .releases(&release)
            .metrics(&pattern("m0"))
            .per("m7");
        query.every(Every::Minutes(60)).run().unwrap().len()
    });
    let mut at = 0;
    time("get by handle", 2_000, || {
        at = (at + 911) % 1_440;
        usize::from(series.get(minute(end - 1_440 + at)).unwrap().is_some())
    });
}

#[test]
#[ignore = "a measurement, for a release build"]
fn measurements() {
    let directory = tempfile::tempdir().unwrap();
    let durability = Durability::Buffered {
        interval: Duration::from_secs(1),
    };
    let store = Store::open(
        directory.path().join("store"),
        Options::new().durability(durability),
    )
    .unwrap();
    let start = Instant::now();
    println!("{} cells in {:.1?}", fill(&store), start.elapsed());
    store.flush().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    println!("{:<44} {:>10} {:>10} {:>8}", "", "least", "median", "rows");
    measure(&store.snapshot(), "fresh", 0);
    store.compact().unwrap();
    measure(&store.snapshot(), "compacted, last day", 0);
    measure(&store.snapshot(), "compacted, older day", 4 * 1_440);
}
