//! Health asked of a store: the same whatever the order, split or moment of
//! writing, and fresh in another process's eyes at once.

use std::time::Instant;

use hotstove::health::{MetricReport, Report, Verdict};
use hotstove::{
    Batch, ErrorKind, Kind, Metric, Minute, Name, Options, Reader, Release, Role, Store, Worse,
};

#[path = "support/random.rs"]
mod random;

use random::Random;

/// 2026-01-05T00:00Z, a Monday.
const START: u32 = 29_460_960;
const MINUTES: u32 = 600;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn minute(offset: u32) -> Minute {
    Minute::new(START + offset).unwrap()
}

/// A store with crashes per hour, hours and pages defined.
fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::new()).unwrap();
    let mut crashes = Metric::new(name("crashes"), Kind::Counter);
    crashes.worse = Some(Worse::Higher);
    crashes.per = Some(name("hours"));
    let mut hours = Metric::new(name("hours"), Kind::Sum { decimals: 2 });
    hours.role = Some(Role::Exposure);
    let mut pages = Metric::new(name("pages"), Kind::Counter);
    pages.role = Some(Role::Decision);
    pages.worse = Some(Worse::Lower);
    pages.per = Some(name("hours"));
    let gauge = Metric::new(name("memory"), Kind::Gauge);
    for metric in [&crashes, &hours, &pages, &gauge] {
        store.define_metric(metric).unwrap();
    }
    (directory, store)
}

/// Cells of two branches, `b` crashing `times` as often.
fn cells(seed: u64, times: f64) -> Vec<(&'static str, &'static str, u32, i64)> {
    let mut random = Random::new(seed);
    let mut cells = Vec::new();
    for minute in 0..MINUTES {
        for (branch, times) in [("a", 1.0), ("b", times)] {
            let hours = 400.0 + 100.0 * random.unit();
            cells.push((branch, "hours", minute, (hours * 100.0) as i64));
            cells.push((
                branch,
                "crashes",
                minute,
                random.poisson(times * hours / 20.0) as i64,
            ));
            cells.push((branch, "pages", minute, random.poisson(hours) as i64));
        }
    }
    cells
}

fn write(store: &Store, cells: &[(&str, &str, u32, i64)]) {
    for chunk in cells.chunks(500) {
        let mut batch = Batch::new();
        for (branch, metric, at, value) in chunk {
            let series = store.series("r", branch, metric).unwrap();
            if *metric == "hours" {
                batch.add_units(series, minute(*at), *value);
            } else {
                batch.add(series, minute(*at), *value as u64);
            }
        }
        store.commit(batch).unwrap();
    }
}

fn crashes<'a>(report: &'a Report, branch: &str) -> &'a MetricReport {
    let mut branches = report.branches.iter();
    let branch = branches.find(|it| it.branch == branch).unwrap();
    let mut metrics = branch.metrics.iter();
    metrics.find(|it| it.metric == "crashes").unwrap()
}

fn report(store: &Store, control: &str) -> Report {
    let snapshot = store.snapshot();
    let request = snapshot.health("r", minute(MINUTES)).control(control);
    request.run().unwrap()
}

#[test]
fn swapping_the_branches_inverts_the_ratio() {
    let (_directory, store) = store();
    write(&store, &cells(1, 1.5));
    let (one, other) = (report(&store, "a"), report(&store, "b"));
    assert_eq!(crashes(&one, "b").verdict, Verdict::Regressed);
    assert_eq!(crashes(&other, "a").verdict, Verdict::Improved);
    let (one, other) = (crashes(&one, "b"), crashes(&other, "a"));
    for (left, right) in [
        (one.ratio, other.ratio),
        (one.ratio_lower, other.ratio_upper),
        (one.ratio_upper, other.ratio_lower),
    ] {
        assert!((left.unwrap() * right.unwrap() - 1.0).abs() < 1e-7);
    }
    assert_eq!(one.events, other.control_events);
    assert_eq!(one.exposure, other.control_exposure);
}

#[test]
fn order_split_flush_and_compaction_change_nothing() {
    let (_one, plain) = store();
    let cells = cells(2, 1.3);
    write(&plain, &cells);
    let expected = report(&plain, "a");
    let (_other, split) = store();
    // Every delta in two halves, the second of them backwards.
    let half = |part: i64| {
        let halves = cells.iter().map(move |(branch, metric, at, value)| {
            let first = value / 3;
            let value = if part == 0 { first } else { value - first };
            (*branch, *metric, *at, value)
        });
        halves.collect::<Vec<_>>()
    };
    let mut second = half(1);
    second.reverse();
    write(&split, &second);
    split.flush().unwrap();
    write(&split, &half(0));
    assert_eq!(report(&split, "a"), expected);
    split.compact().unwrap();
    assert_eq!(report(&split, "a"), expected);
}

#[test]
fn a_look_earlier_or_a_trace_changes_nothing() {
    let (_directory, store) = store();
    write(&store, &cells(3, 1.6));
    let snapshot = store.snapshot();
    let whole = snapshot.health("r", minute(MINUTES)).control("a");
    let plain = whole.run().unwrap();
    for points in [1, 7, 240] {
        let (report, trace) = whole.run_traced(points).unwrap();
        assert_eq!(report, plain);
        assert!(trace.minutes.len() <= points as usize + 1);
        assert!(trace.minutes.is_sorted());
        let pair = &trace.pairs[0];
        assert_eq!((trace.pairs.len(), pair.metric.as_str()), (1, "crashes"));
        let end = pair.ratio.last().unwrap();
        assert_eq!(end.lower, crashes(&report, "b").ratio_lower);
        let events: f64 = pair.own.iter().map(|arm| arm.events).sum();
        assert_eq!(
            Some(events),
            crashes(&report, "b").events.map(|it| it.to_f64())
        );
    }
    // The alarm of a replay is that of the whole.
    let alarm = crashes(&plain, "b").first_alarm.unwrap();
    let replay = snapshot.health("r", alarm.saturating_add(1)).control("a");
    assert_eq!(
        crashes(&replay.run().unwrap(), "b").first_alarm,
        Some(alarm)
    );
    let monitor = whole.monitor().unwrap().report();
    assert_eq!(monitor, plain);
}

#[test]
fn what_is_held_is_not_to_be_had_by_the_back_door() {
    let (_directory, store) = store();
    write(&store, &cells(6, 1.0)[..600]);
    let snapshot = store.snapshot();
    let pages = |at: u32| {
        let request = snapshot.health("r", minute(at));
        let observations = request.observations().unwrap();
        let mut columns = observations.branches.iter().flat_map(|it| &it.columns);
        columns.any(|(name, _)| name.as_str() == "pages")
    };
    assert!(!pages(10_079));
    assert!(pages(10_080));
}

#[test]
fn names_that_are_not_there() {
    let (_directory, store) = store();
    write(&store, &cells(4, 1.0)[..60]);
    store
        .define_release(&Release::new(name("declared")))
        .unwrap();
    let snapshot = store.snapshot();
    let kind = |release: &str, control: Option<&str>, against: Option<&str>| {
        let mut request = snapshot.health(release, minute(MINUTES));
        if let Some(control) = control {
            request = request.control(control);
        }
        if let Some(against) = against {
            request = request.against(against);
        }
        request.run().map_err(|error| error.kind())
    };
    assert_eq!(kind("x", None, None).unwrap_err(), ErrorKind::NotFound);
    assert_eq!(kind("r", Some("x"), None).unwrap_err(), ErrorKind::NotFound);
    assert_eq!(
        kind("r", Some("a"), Some("x")).unwrap_err(),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind("r", Some("a"), Some("*")).unwrap_err(),
        ErrorKind::InvalidInput
    );
    let none = kind("declared", None, None).unwrap();
    assert_eq!((none.verdict, none.branches.len()), (Verdict::NoData, 0));
    let earlier = kind("r", Some("a"), Some("declared")).unwrap();
    assert_eq!(earlier.history[0].baseline, None);
    // Without a control of any name the report says so.
    let alone = kind("r", None, None).unwrap();
    assert_eq!(alone.control, None);
    let note = crashes(&alone, "a").note.clone();
    assert!(note.is_some_and(|note| note.contains("observational")));
}

#[test]
fn right_now_is_the_last_hour() {
    let (_directory, store) = store();
    let series = |branch, metric| store.series("r", branch, metric).unwrap();
    let mut batch = Batch::new();
    for at in 0..120 {
        let crashing = if at < 60 { 1 } else { 5 };
        batch.add(series("a", "crashes"), minute(at), 2);
        batch.add(series("b", "crashes"), minute(at), crashing);
        for branch in ["a", "b"] {
            batch.add_units(series(branch, "hours"), minute(at), 10_000);
        }
    }
    store.commit(batch).unwrap();
    let snapshot = store.snapshot();
    let at = |end: u32| {
        snapshot
            .health("r", minute(end))
            .control("a")
            .run()
            .unwrap()
    };
    let now = at(120);
    let b = crashes(&now, "b");
    assert_eq!(
        (b.rate, b.rate_now, b.control_rate_now),
        (Some(30.0), Some(50.0), Some(20.0))
    );
    assert_eq!(crashes(&at(60), "b").rate_now, Some(10.0));
    assert_eq!(crashes(&at(500), "b").rate_now, None, "silent now");
}

#[test]
fn a_commit_is_in_the_verdict_of_another_reader_within_a_second() {
    let (directory, store) = store();
    write(&store, &cells(5, 1.0));
    let reader = Reader::open(directory.path()).unwrap();
    let seen = || {
        let snapshot = reader.snapshot().unwrap();
        let request = snapshot.health("r", minute(MINUTES + 1)).control("a");
        crashes(&request.run().unwrap(), "b").events.unwrap().units
    };
    let before = seen();
    let mut batch = Batch::new();
    batch.add(
        store.series("r", "b", "crashes").unwrap(),
        minute(MINUTES),
        7,
    );
    let committed = Instant::now();
    store.commit(batch).unwrap();
    while seen() != before + 7 {
        assert!(committed.elapsed().as_secs_f64() < 1.0);
    }
}
