//! A replay as of a minute, a monitor fed minute by minute, and one made halfway
//! say the same, to the last bit.

use hotstove::health::{BranchData, Cell, Column, Monitor, Observations, Options, Units, assess};
use hotstove::{Branch, Kind, Metric, Minute, Name, Release, Role, Worse};

#[path = "support/random.rs"]
mod random;

use random::Random;

/// Five hours before a midnight.
const START: u32 = 29_460_960 - 300;
const MINUTES: usize = 640;
const BRANCHES: [&str; 4] = ["control", "dead", "harmful", "same"];

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// One of everything: either side worse, none, independent events, short
/// bursts, a decision with its guard, one that must differ, enrolments.
fn metrics() -> Vec<Metric> {
    let rate = |text: &str, worse: Option<Worse>| {
        let mut metric = Metric::new(name(text), Kind::Counter);
        metric.per = Some(name("hours"));
        metric.worse = worse;
        metric
    };
    let crashes = rate("crashes", Some(Worse::Higher));
    let mut starts = rate("starts", Some(Worse::Lower));
    starts.burst_minutes = Some(7);
    starts.burst_events = Some(3);
    let clicks = rate("clicks", None);
    let mut users = rate("crashed-users", Some(Worse::Higher));
    users.independent = Some(true);
    let mut hangs = rate("hangs", Some(Worse::Higher));
    hangs.must_differ = Some(1.4);
    let mut visits = rate("visits", Some(Worse::Lower));
    visits.role = Some(Role::Decision);
    let mut hours = Metric::new(name("hours"), Kind::Sum { decimals: 3 });
    hours.role = Some(Role::Exposure);
    let mut enrolled = Metric::new(name("enrolled"), Kind::Counter);
    enrolled.role = Some(Role::Enrolment);
    vec![
        crashes, starts, clicks, users, hangs, visits, hours, enrolled,
    ]
}

/// A cell, or none, of a branch and metric at a minute.
fn cell(random: &mut Random, branch: &str, metric: &Metric, at: usize) -> Option<i64> {
    let gone = branch == "dead" && at > 200 || (300..340).contains(&at);
    if gone || random.unit() < 0.03 {
        return None;
    }
    let worse = if branch == "harmful" { 1.6 } else { 1.0 };
    Some(match metric.name.as_str() {
        "hours" => (random.unit() * 2_000.0) as i64 * i64::from(random.unit() > 0.02),
        "enrolled" => random.poisson(5.0) as i64,
        "starts" | "visits" => random.count(30.0 / worse, 2.0) as i64,
        _ => random.count(12.0 * worse, 2.0) as i64,
    })
}

#[test]
fn a_replay_and_a_monitor_say_the_same() {
    let metrics = metrics();
    for seed in 1..4 {
        let mut random = Random::new(seed);
        let mut cells = Vec::new();
        for branch in BRANCHES {
            for metric in &metrics {
                let values = (0..MINUTES).map(|at| cell(&mut random, branch, metric, at));
                cells.push((branch, metric, values.collect::<Vec<_>>()));
            }
        }
        let mut release = Release::new(name("app/1.0"));
        let shares = [Some(0.25); 4];
        let branches = BRANCHES.iter().zip(shares);
        release.branches = branches
            .map(|(branch, share)| Branch::new(name(branch), share))
            .collect();
        let as_of = |end: usize| {
            let mut branches: Vec<BranchData> = Vec::new();
            for (branch, metric, values) in &cells {
                let there = (START..).zip(&values[..end]);
                let (minutes, units) = there.filter_map(|(at, it)| Some((at, (*it)?))).unzip();
                let column = Column::new(minutes, Units::Ints(units)).unwrap();
                if column.first().is_none() {
                    continue;
                }
                match branches.last_mut() {
                    Some(last) if last.name.as_str() == *branch => {
                        last.columns.push((metric.name.clone(), column));
                    }
                    _ => branches.push(BranchData {
                        name: name(branch),
                        columns: vec![(metric.name.clone(), column)],
                    }),
                }
            }
            Observations {
                release: release.clone(),
                metrics: metrics.clone(),
                branches,
                as_of: Minute::new(START + end as u32).unwrap(),
                whole_until: None,
                history: Vec::new(),
            }
        };
        let options = Options::default();
        let mut first = Monitor::new(&as_of(0), &options).unwrap();
        let mut halfway = Monitor::new(&as_of(411), &options).unwrap();
        for at in 0..MINUTES {
            let now: Vec<Cell<'_>> = cells
                .iter()
                .filter_map(|(branch, metric, values)| {
                    let units = values[at]?.into();
                    Some(Cell {
                        branch,
                        metric: &metric.name,
                        units,
                    })
                })
                .collect();
            let minute = Minute::new(START + at as u32).unwrap();
            first.add(minute, &now).unwrap();
            if at >= 411 {
                halfway.add(minute, &now).unwrap();
            }
            if at % 41 == 0 || at + 1 == MINUTES {
                let replay = assess(&as_of(at + 1), &options).unwrap();
                assert_eq!(first.report(), replay, "seed {seed}, minute {at}");
                if at >= 411 {
                    assert_eq!(halfway.report(), replay, "seed {seed}, minute {at}");
                }
            }
        }
    }
}
