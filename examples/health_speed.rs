//! How long a report takes: 5 branches, 10 metrics, 14 days of minutes, from
//! columns in memory; and one more minute for a service that keeps the state.
//!
//! ```text
//! cargo run --release --example health_speed
//! ```

use std::time::{Duration, Instant};

use hotstove::health::{BranchData, Cell, Column, Monitor, Observations, Options, Units, assess};
use hotstove::{Kind, Metric, Minute, Name, Release, Role, Worse};

#[path = "../tests/support/random.rs"]
mod random;

const MINUTES: u32 = 14 * 1_440;
const START: u32 = 29_460_960;

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn observations() -> Observations {
    let mut random = random::Random::new(1);
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
    let branches = ["a", "b", "c", "control", "d"].map(|branch| BranchData {
        name: name(branch),
        columns: metrics
            .iter()
            .map(|metric| {
                let value = |minute: u32| {
                    let wave = 1.0 + 0.5 * (f64::from(minute) / 229.0).sin();
                    match metric.per {
                        Some(_) => random.poisson(20.0 * wave) as i64,
                        None => (random.poisson(900.0 * wave) * 1e5) as i64,
                    }
                };
                let values = (0..MINUTES).map(value).collect();
                let minutes = (START..START + MINUTES).collect();
                let column = Column::new(minutes, Units::Ints(values)).expect("ascending");
                (metric.name.clone(), column)
            })
            .collect(),
    });
    Observations {
        release: Release::new(name("app/1.0")),
        metrics,
        branches: branches.into(),
        as_of: Minute::new(START + MINUTES).expect("a minute"),
        whole_until: None,
        history: Vec::new(),
    }
}

fn shown(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (best, median, worst) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: best {best:?}, median {median:?}, worst {worst:?}");
}

fn main() {
    let observations = observations();
    let options = Options::default();
    let timed = |work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    let whole = (0..30).map(|_| {
        timed(&mut || {
            std::hint::black_box(assess(&observations, &options).expect("a report"));
        })
    });
    shown("the whole report", whole.collect());
    let mut monitor = Monitor::new(&observations, &options).expect("a monitor");
    let mut random = random::Random::new(2);
    let (mut added, mut reported) = (Vec::new(), Vec::new());
    for minute in START + MINUTES..START + MINUTES + 1_000 {
        let mut cells = Vec::new();
        for branch in &observations.branches {
            for metric in &observations.metrics {
                let units = match metric.per {
                    Some(_) => random.poisson(20.0) as i128,
                    None => (random.poisson(900.0) * 1e5) as i128,
                };
                cells.push(Cell {
                    branch: &branch.name,
                    metric: &metric.name,
                    units,
                });
            }
        }
        let minute = Minute::new(minute).expect("a minute");
        added.push(timed(&mut || {
            monitor.add(minute, &cells).expect("the next minute")
        }));
        reported.push(timed(&mut || {
            std::hint::black_box(monitor.report());
        }));
    }
    shown("one more minute", added);
    shown("its report", reported);
}
