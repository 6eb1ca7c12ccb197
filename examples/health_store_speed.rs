//! How long health takes from a store: 5 branches, 10 metrics, 14 days of
//! minutes of one release, among as many releases as asked for (27 make about
//! 30 million cells). Opening, gathering, judging and totals apart.
//!
//! ```text
//! cargo run --release --example health_store_speed -- 27
//! ```

use std::time::{Duration, Instant};

use hotstove::health::{Options as Question, assess};
use hotstove::{
    Batch, Durability, Every, Kind, Metric, Minute, Name, Options, Pattern, Reader, Release, Role,
    Store, Worse,
};

#[path = "../tests/support/random.rs"]
mod random;

const MINUTES: u32 = 14 * 1_440;
const START: u32 = 29_460_960;
const BRANCHES: [&str; 5] = ["a", "b", "c", "control", "d"];

type Failure = Box<dyn std::error::Error>;

fn define(store: &Store) -> Result<Vec<Metric>, Failure> {
    let mut metrics = Vec::new();
    for index in 0..10 {
        let mut metric = Metric::new(Name::new(&format!("metric-{index}"))?, Kind::Counter);
        metric.worse = Some(Worse::Higher);
        metric.per = Some(Name::new("hours")?);
        metrics.push(metric);
    }
    let mut hours = Metric::new(Name::new("hours")?, Kind::Sum { decimals: 6 });
    hours.role = Some(Role::Exposure);
    metrics.push(hours);
    for metric in &metrics {
        store.define_metric(metric)?;
    }
    Ok(metrics)
}

/// Values of every branch and metric, minute by minute.
fn values(metrics: &[Metric]) -> Vec<Vec<i64>> {
    let mut random = random::Random::new(1);
    let series = BRANCHES.iter().flat_map(|_| metrics);
    let values = series.map(|metric| {
        let value = |minute: u32| {
            let wave = 1.0 + 0.5 * (f64::from(minute) / 229.0).sin();
            match metric.per {
                Some(_) => random.poisson(20.0 * wave) as i64,
                None => (random.poisson(900.0 * wave) * 1e5) as i64,
            }
        };
        (0..MINUTES).map(value).collect()
    });
    values.collect()
}

fn fill(store: &Store, metrics: &[Metric], releases: u32) -> Result<(), Failure> {
    let values = values(metrics);
    let mut batch = Batch::new();
    for release in 0..releases {
        let name = format!("app/{release}.0");
        let mut definition = Release::new(Name::new(&name)?);
        definition.control = Some(Name::new("control")?);
        store.define_release(&definition)?;
        let mut all = Vec::new();
        for branch in BRANCHES {
            for metric in metrics {
                all.push(store.series(&name, branch, &metric.name)?);
            }
        }
        for day in 0..MINUTES / 1_440 {
            for (series, values) in all.iter().zip(&values) {
                for minute in day * 1_440..(day + 1) * 1_440 {
                    // Other releases have the same minutes, from another hour on.
                    let at = (minute + release * 61) % MINUTES;
                    let value = values[at as usize];
                    let minute = Minute::new(START + minute)?;
                    match series.kind() {
                        Kind::Counter => batch.add(*series, minute, value as u64),
                        _ => batch.add_units(*series, minute, value),
                    };
                    if batch.len() == 8_192 {
                        store.commit(std::mem::take(&mut batch))?;
                    }
                }
            }
        }
    }
    store.commit(batch)?;
    store.compact()?;
    Ok(())
}

fn shown(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (best, median, worst) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: best {best:?}, median {median:?}, worst {worst:?}");
}

fn timed<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<Duration, Failure> {
    let started = Instant::now();
    std::hint::black_box(work()?);
    Ok(started.elapsed())
}

fn main() -> Result<(), Failure> {
    let releases = std::env::args().nth(1).map_or(Ok(27), |it| it.parse())?;
    let directory = tempfile::tempdir()?;
    let buffered = Durability::Buffered {
        interval: Duration::from_millis(100),
    };
    let store = Store::open(directory.path(), Options::new().durability(buffered))?;
    let metrics = define(&store)?;
    fill(&store, &metrics, releases)?;
    println!("{} cells in {releases} releases", store.inspect()?.cells());
    store.close()?;
    let at = Minute::new(START + MINUTES)?;
    let name = "app/0.0";
    let cold = (0..10).map(|_| {
        timed(|| {
            let snapshot = Reader::open(directory.path())?.snapshot()?;
            Ok(snapshot.health(name, at).run()?)
        })
    });
    let cold: Result<Vec<_>, _> = cold.collect();
    shown("open and the whole report", cold?);
    let snapshot = Reader::open(directory.path())?.snapshot()?;
    let request = snapshot.health(name, at);
    let warm: Result<Vec<_>, _> = (0..20).map(|_| timed(|| Ok(request.run()?))).collect();
    shown("the whole report", warm?);
    let gather = (0..20).map(|_| timed(|| Ok(request.observations()?)));
    let gather: Result<Vec<_>, _> = gather.collect();
    shown("  of it, gathering", gather?);
    let observations = request.observations()?;
    let judging = (0..20).map(|_| timed(|| Ok(assess(&observations, &Question::default())?)));
    let judging: Result<Vec<_>, _> = judging.collect();
    shown("  of it, judging", judging?);
    let release = Pattern::new(name)?;
    let totals = (0..50).map(|_| {
        timed(|| {
            let query = snapshot.query().releases(&release).every(Every::Whole);
            Ok(query.per("hours").run()?)
        })
    });
    let totals: Result<Vec<_>, _> = totals.collect();
    shown("totals and rates alone", totals?);
    Ok(())
}
