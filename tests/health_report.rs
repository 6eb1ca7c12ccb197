//! The report as a service sees it: properties that must hold for any data,
//! null experiments with their measured time to detection, bad input.

use hotstove::health::{
    BranchData, Cell, CheckVerdict, Column, Monitor, Observations, Options, Report, Units, Verdict,
    assess,
};
use hotstove::{Branch, ErrorKind, Kind, Metric, Minute, Name, Release, Role, Worse};

#[path = "support/random.rs"]
mod random;

use random::Random;

/// 2026-01-05T00:00Z, a Monday.
const START: u32 = 29_460_960;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn column(values: &[i64]) -> Column {
    let cells = values.iter().enumerate().filter(|(_, value)| **value != 0);
    let (minutes, units) = cells.map(|(at, value)| (START + at as u32, *value)).unzip();
    Column::new(minutes, Units::Ints(units)).unwrap()
}

/// Crashes per hour of use (with three decimals), and enrolments.
fn metrics() -> Vec<Metric> {
    let mut crashes = Metric::new(name("crashes"), Kind::Counter);
    crashes.worse = Some(Worse::Higher);
    crashes.per = Some(name("hours"));
    let mut hours = Metric::new(name("hours"), Kind::Sum { decimals: 3 });
    hours.role = Some(Role::Exposure);
    let mut enrolled = Metric::new(name("enrolled"), Kind::Counter);
    enrolled.role = Some(Role::Enrolment);
    vec![crashes, enrolled, hours]
}

struct Series {
    crashes: Vec<i64>,
    hours: Vec<i64>,
}

fn simulate(random: &mut Random, minutes: usize, crashes: f64, share: f64) -> Series {
    let mut series = Series {
        crashes: Vec::new(),
        hours: Vec::new(),
    };
    for minute in 0..minutes {
        let wave = 1.0 + 0.5 * (minute as f64 / 229.0).sin();
        let exposure = 1_000.0 * share * wave * (0.9 + 0.2 * random.unit());
        series.hours.push((exposure * 1_000.0) as i64);
        let mean = crashes * wave * exposure / (1_000.0 * share);
        series.crashes.push(random.poisson(mean) as i64);
    }
    series
}

fn observations(branches: &[(&str, &Series)], minutes: usize) -> Observations {
    Observations {
        release: Release::new(name("app/1.0")),
        metrics: metrics(),
        branches: branches
            .iter()
            .map(|(branch, series)| BranchData {
                name: name(branch),
                columns: vec![
                    (name("crashes"), column(&series.crashes)),
                    (name("hours"), column(&series.hours)),
                ],
            })
            .collect(),
        as_of: Minute::new(START + minutes as u32).unwrap(),
        whole_until: None,
        history: Vec::new(),
    }
}

fn report(observations: &Observations) -> Report {
    assess(observations, &Options::default()).unwrap()
}

fn crashes<'a>(report: &'a Report, branch: &str) -> &'a hotstove::health::MetricReport {
    let branch = report
        .branches
        .iter()
        .find(|it| it.branch == branch)
        .unwrap();
    branch
        .metrics
        .iter()
        .find(|it| it.metric == "crashes")
        .unwrap()
}

fn close(left: Option<f64>, right: Option<f64>) {
    match (left, right) {
        (Some(left), Some(right)) => {
            assert!(
                (left - right).abs() <= 1e-7 * right.abs().max(1e-3),
                "{left} {right}"
            );
        }
        (left, right) => assert_eq!(left, right),
    }
}

#[test]
fn a_harmful_branch_regresses_and_a_harmless_one_turns_out_healthy() {
    let mut random = Random::new(1);
    let minutes = 3 * 1_440;
    let control = simulate(&mut random, minutes, 200.0, 0.4);
    let same = simulate(&mut random, minutes, 100.0, 0.2);
    let worse = simulate(&mut random, minutes, 150.0, 0.2);
    let found = report(&observations(
        &[("control", &control), ("same", &same), ("worse", &worse)],
        minutes,
    ));
    assert_eq!(crashes(&found, "same").verdict, Verdict::Healthy);
    let regressed = crashes(&found, "worse");
    assert_eq!(regressed.verdict, Verdict::Regressed);
    assert!(regressed.first_alarm.unwrap().get() < START + 400);
    assert!((1.4..1.6).contains(&regressed.ratio.unwrap()));
    assert!(regressed.ratio_lower.unwrap() > 1.0 && regressed.ratio_upper.unwrap() < 2.0);
    assert_eq!(found.verdict, Verdict::Regressed);
    assert_eq!(found.control.as_deref(), Some("control"));
    let total: i64 = worse.crashes.iter().sum();
    assert_eq!(regressed.events.unwrap().units, i128::from(total));
}

#[test]
fn swapping_the_branches_inverts_the_ratio() {
    for seed in 0..5 {
        let mut random = Random::new(seed);
        let minutes = 400 + 300 * seed as usize;
        let left = simulate(&mut random, minutes, 20.0, 0.5);
        let right = simulate(&mut random, minutes, 4.0 + 5.0 * seed as f64, 0.1);
        let one = report(&observations(&[("control", &left), ("b", &right)], minutes));
        let other = report(&observations(&[("control", &right), ("b", &left)], minutes));
        let (one, other) = (crashes(&one, "b"), crashes(&other, "b"));
        close(one.ratio, other.ratio.map(|it| 1.0 / it));
        close(one.ratio_lower, other.ratio_upper.map(|it| 1.0 / it));
        close(one.ratio_upper, other.ratio_lower.map(|it| 1.0 / it));
    }
}

#[test]
fn scaling_both_exposures_changes_nothing() {
    let mut random = Random::new(3);
    let mut left = simulate(&mut random, 900, 20.0, 0.5);
    let mut right = simulate(&mut random, 900, 30.0, 0.5);
    let before = report(&observations(&[("control", &left), ("b", &right)], 900));
    for hours in left.hours.iter_mut().chain(&mut right.hours) {
        *hours *= 977;
    }
    let after = report(&observations(&[("control", &left), ("b", &right)], 900));
    let (before, after) = (crashes(&before, "b"), crashes(&after, "b"));
    close(before.ratio, after.ratio);
    close(before.ratio_lower, after.ratio_lower);
    close(before.log_e, after.log_e);
    assert_eq!(before.first_alarm, after.first_alarm);
}

#[test]
fn a_minute_in_parts_is_the_same_minute() {
    // Two stores hold parts of the same cells; the monitor gets both parts.
    let mut random = Random::new(4);
    let left = simulate(&mut random, 500, 20.0, 0.5);
    let right = simulate(&mut random, 500, 26.0, 0.5);
    let whole = report(&observations(&[("control", &left), ("b", &right)], 500));
    let mut empty = observations(&[("control", &left), ("b", &right)], 500);
    empty.as_of = Minute::new(START).unwrap();
    for branch in &mut empty.branches {
        branch.columns.clear();
    }
    let mut monitor = Monitor::new(&empty, &Options::default()).unwrap();
    for at in 0..500 {
        let mut cells = Vec::new();
        for (branch, series) in [("control", &left), ("b", &right)] {
            for (metric, value) in [("crashes", series.crashes[at]), ("hours", series.hours[at])] {
                let part = random.below(value as u64 + 1) as i64;
                for units in [part, value - part] {
                    let units = i128::from(units);
                    cells.push(Cell {
                        branch,
                        metric,
                        units,
                    });
                }
            }
        }
        monitor
            .add(Minute::new(START + at as u32).unwrap(), &cells)
            .unwrap();
        if at % 37 == 0 {
            // Looking must not change what is seen later.
            monitor.report();
        }
    }
    let mut parts = monitor.report();
    // Columns keep no zeros, so that first and last cells may differ; the
    // numbers may not, to the last bit.
    for (one, other) in parts.branches.iter_mut().zip(&whole.branches) {
        assert_eq!(one.metrics[0], other.metrics[0]);
    }
    assert_eq!(parts.verdict, whole.verdict);
}

#[test]
fn evidence_never_depends_on_when_one_looked() {
    let mut random = Random::new(5);
    let left = simulate(&mut random, 700, 20.0, 0.5);
    let right = simulate(&mut random, 700, 25.0, 0.5);
    let all = observations(&[("control", &left), ("b", &right)], 700);
    for cut in [1, 29, 30, 60, 333, 700] {
        let mut early = all.clone();
        early.as_of = Minute::new(START + cut).unwrap();
        let mut monitor = Monitor::new(&early, &Options::default()).unwrap();
        monitor.report();
        for at in cut as usize..700 {
            let cells: Vec<Cell<'_>> = [("control", &left), ("b", &right)]
                .into_iter()
                .flat_map(|(branch, series)| {
                    [("crashes", series.crashes[at]), ("hours", series.hours[at])].map(
                        |(metric, units)| Cell {
                            branch,
                            metric,
                            units: i128::from(units),
                        },
                    )
                })
                .collect();
            monitor
                .add(Minute::new(START + at as u32).unwrap(), &cells)
                .unwrap();
        }
        assert_eq!(
            crashes(&monitor.report(), "b"),
            crashes(&report(&all), "b"),
            "{cut}"
        );
    }
}

/// Looks every minute from the start; the first with an invalid null check.
fn detected(branches: &[(&str, &Series)], metrics: Vec<Metric>, minutes: usize) -> Option<usize> {
    (1..=minutes).find(|end| {
        let mut seen = observations(branches, *end);
        seen.metrics = metrics.clone();
        report(&seen).checks.null.verdict == CheckVerdict::Invalid
    })
}

#[test]
fn a_mirrored_branch_is_found_within_thirty_minutes() {
    let mut random = Random::new(6);
    let control = simulate(&mut random, 120, 10.0, 0.5);
    let found = detected(
        &[("control", &control), ("mirror", &control)],
        metrics(),
        120,
    );
    println!("mirrored branch found after {found:?} minutes");
    assert!(found.is_some_and(|minutes| minutes <= 30), "{found:?}");
    let other = simulate(&mut random, 120, 10.0, 0.5);
    let found = detected(&[("control", &control), ("other", &other)], metrics(), 120);
    assert_eq!(found, None);
}

#[test]
fn a_dead_branch_is_found_within_sixty_minutes() {
    let mut random = Random::new(7);
    let control = simulate(&mut random, 120, 10.0, 0.5);
    let dead = Series {
        crashes: Vec::new(),
        hours: Vec::new(),
    };
    let found = detected(&[("control", &control), ("dead", &dead)], metrics(), 120);
    println!("dead branch found after {found:?} minutes");
    assert_eq!(found, Some(60));
}

#[test]
fn an_inert_metric_that_must_differ_is_found_within_hours() {
    let mut random = Random::new(8);
    let minutes = 600;
    let control = simulate(&mut random, minutes, 20.0, 0.5);
    let inert = simulate(&mut random, minutes, 20.0, 0.5);
    let mut metrics = metrics();
    metrics[0].must_differ = Some(1.5);
    let found = detected(
        &[("control", &control), ("inert", &inert)],
        metrics,
        minutes,
    );
    println!("inert metric found after {found:?} minutes");
    assert!(found.is_some_and(|minutes| minutes <= 480), "{found:?}");
}

#[test]
fn when_a_metric_that_must_differ_was_found_not_to_stays_said() {
    let mut random = Random::new(8);
    let minutes = 600;
    let control = simulate(&mut random, minutes, 20.0, 0.5);
    let inert = simulate(&mut random, minutes, 20.0, 0.5);
    let mut seen = observations(&[("control", &control), ("inert", &inert)], minutes);
    seen.metrics[0].must_differ = Some(1.5);
    let alarm = |seen: &Observations| {
        let report = report(seen);
        let mut signals = report.checks.null.signals.into_iter();
        let signal = signals.find(|it| it.signal == "must differ").unwrap();
        signal.first_alarm.map(Minute::get)
    };
    let first = alarm(&seen).unwrap();
    assert!(first.is_multiple_of(60) && first - START <= 480, "{first}");
    // Whenever one looks again, and minute by minute.
    for later in [1, 17, 90] {
        seen.as_of = Minute::new(first + later).unwrap();
        assert_eq!(alarm(&seen), Some(first));
    }
    seen.as_of = Minute::new(START).unwrap();
    let mut monitor = Monitor::new(&seen, &Options::default()).unwrap();
    let at = |series: &[i64], minute: usize| i128::from(series[minute]);
    for minute in 0..minutes {
        let cells = [("control", &control), ("inert", &inert)];
        let cells: Vec<Cell<'_>> = cells
            .into_iter()
            .flat_map(|(branch, series)| {
                [
                    ("crashes", at(&series.crashes, minute)),
                    ("hours", at(&series.hours, minute)),
                ]
                .map(|(metric, units)| Cell {
                    branch,
                    metric,
                    units,
                })
            })
            .collect();
        let minute = Minute::new(START + minute as u32).unwrap();
        monitor.add(minute, &cells).unwrap();
    }
    let signals = monitor.report().checks.null.signals;
    let found = signals.iter().find(|it| it.signal == "must differ");
    assert_eq!(found.unwrap().first_alarm.map(Minute::get), Some(first));
}

#[test]
fn planned_shares_are_held_against_enrolments() {
    let mut random = Random::new(9);
    let series = simulate(&mut random, 300, 20.0, 0.5);
    let other = simulate(&mut random, 300, 20.0, 0.5);
    let mut seen = observations(&[("control", &series), ("b", &other)], 300);
    seen.release.branches = ["b", "control"]
        .map(|it| Branch::new(name(it), Some(0.5)))
        .to_vec();
    for (branch, mean) in seen.branches.iter_mut().zip([110.0, 100.0]) {
        let enrolled: Vec<i64> = (0..300).map(|_| random.poisson(mean) as i64).collect();
        branch.columns.push((name("enrolled"), column(&enrolled)));
    }
    let found = report(&seen);
    assert_eq!(found.checks.sample_ratio.verdict, CheckVerdict::Invalid);
    assert!(found.checks.sample_ratio.first_alarm.is_some());
    assert_eq!(found.verdict, Verdict::Invalid);
}

#[test]
fn decision_metrics_are_held_and_guarded() {
    let mut random = Random::new(10);
    let minutes = 1_440;
    let control = simulate(&mut random, minutes, 100.0, 0.5);
    let fallen = simulate(&mut random, minutes, 50.0, 0.5);
    let mut seen = observations(&[("control", &control), ("b", &fallen)], minutes);
    seen.metrics[0].role = Some(Role::Decision);
    let held = crashes(&report(&seen), "b").clone();
    assert_eq!(held.verdict, Verdict::Held, "fewer crashes are no harm");
    assert_eq!(held.opens_at, Minute::new(START + 10_080).ok());
    assert_eq!(
        (held.events, held.rate, held.ratio, held.log_e),
        (None, None, None, None)
    );
    seen.metrics[0].worse = Some(Worse::Lower);
    let guarded = crashes(&report(&seen), "b").clone();
    assert_eq!(
        guarded.verdict,
        Verdict::Regressed,
        "fewer pages loaded are"
    );
    assert_eq!((guarded.events, guarded.ratio), (None, None));
    assert!(guarded.first_alarm.is_some());
    let options = {
        let mut options = Options::default();
        options.read_decisions = true;
        options
    };
    let read = assess(&seen, &options).unwrap();
    assert!((0.45..0.55).contains(&crashes(&read, "b").ratio.unwrap()));
}

#[test]
fn late_hours_raise_no_alarm_against_control_and_are_incomplete_in_history() {
    let mut random = Random::new(11);
    let minutes = 1_440;
    let late = |random: &mut Random| {
        let mut series = simulate(random, minutes, 50.0, 0.5);
        let mut hours = vec![0; minutes];
        for (minute, spent) in series.hours.iter().enumerate() {
            let arrival = minute + random.exponential(600.0) as usize;
            if let Some(cell) = hours.get_mut(arrival) {
                *cell += spent;
            }
        }
        series.hours = hours;
        series
    };
    let (control, treatment) = (late(&mut random), late(&mut random));
    let mut seen = observations(&[("control", &control), ("b", &treatment)], minutes);
    let earlier = simulate(&mut random, minutes, 100.0, 1.0);
    seen.history.push(hotstove::health::Past {
        name: name("app/0.9"),
        public_from: Minute::new(START).unwrap(),
        columns: vec![
            (name("crashes"), column(&earlier.crashes)),
            (name("hours"), column(&earlier.hours)),
        ],
    });
    let found = report(&seen);
    assert_ne!(crashes(&found, "b").verdict, Verdict::Regressed);
    assert_eq!(crashes(&found, "b").first_alarm, None);
    let history = &found.history[0];
    assert!(
        history.ratio.unwrap() > 1.3,
        "it looks terrible: {history:?}"
    );
    assert_eq!(history.verdict, CheckVerdict::Incomplete);
    seen.whole_until = Minute::new(START + 720).ok();
    let found = report(&seen);
    assert_eq!(found.checks.completeness.verdict, CheckVerdict::Incomplete);
    assert!((0.5..0.9).contains(&found.checks.completeness.events_whole.unwrap()));
}

#[test]
fn bad_input_is_a_clear_error_or_a_clear_finding() {
    let mut random = Random::new(12);
    let series = simulate(&mut random, 60, 20.0, 0.5);
    let nothing = Series {
        crashes: Vec::new(),
        hours: Vec::new(),
    };
    let seen = observations(&[("control", &series), ("b", &nothing)], 60);
    let fails = |seen: &Observations, change: &dyn Fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        assess(seen, &options).unwrap_err().kind()
    };
    assert_eq!(fails(&seen, &|it| it.margin = 0.9), ErrorKind::InvalidInput);
    assert_eq!(
        fails(&seen, &|it| it.margin = f64::NAN),
        ErrorKind::InvalidInput
    );
    assert_eq!(fails(&seen, &|it| it.alpha = 0.0), ErrorKind::InvalidInput);
    assert_eq!(
        fails(&seen, &|it| it.control = Some(name("x"))),
        ErrorKind::NotFound
    );
    let mut early = seen.clone();
    early.release.public_from = Minute::new(START + 61).ok();
    assert_eq!(fails(&early, &|_| ()), ErrorKind::InvalidInput);
    let mut shares = seen.clone();
    shares.release.branches = ["b", "control"]
        .map(|it| Branch::new(name(it), Some(0.4)))
        .to_vec();
    assert_eq!(fails(&shares, &|_| ()), ErrorKind::InvalidInput);
    assert_eq!(
        crashes(&report(&seen), "b").verdict,
        Verdict::Invalid,
        "a dead branch"
    );
    let mut alone = seen.clone();
    alone.branches.remove(0);
    assert_eq!(report(&alone).verdict, Verdict::NoData);
    let mut rateless = seen;
    rateless.metrics[0].per = None;
    let found = report(&rateless);
    assert!(
        crashes(&found, "b")
            .note
            .as_deref()
            .unwrap()
            .contains("exposure")
    );
}

#[test]
fn huge_counts_zero_exposures_and_negative_cells_stay_finite() {
    let huge = 1_000_000_000_000_000_i64;
    for (left, right) in [
        ((huge, huge), (huge, huge)),
        ((huge, 1), (1, huge)),
        ((huge, 0), (huge, huge)),
        ((0, huge), (0, huge)),
        ((-huge, huge), (huge, -huge)),
        ((i64::MAX, i64::MAX), (i64::MAX, 1)),
        ((i64::MIN, i64::MIN), (i64::MIN, i64::MIN)),
    ] {
        let series = |(crashes, hours): (i64, i64)| Series {
            crashes: vec![crashes; 200],
            hours: vec![hours; 200],
        };
        let (left, right) = (series(left), series(right));
        let found = report(&observations(&[("control", &left), ("b", &right)], 200));
        let text = format!("{found:?}");
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
