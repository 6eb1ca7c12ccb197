//! What health says about real rows: Mission Control's own, and the crashes of
//! nine applications. Skipped where the files are not there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hotstove::health::{CheckVerdict, MetricReport, Report, Verdict};
use hotstove::{Batch, Decimal, Kind, Metric, Minute, Name, Options, Role, Rounding, Store, Worse};

fn real(name: &str) -> Option<String> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../shared/data/real", name]
        .iter()
        .collect();
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!("skipped: {} is not there", path.display());
    }
    text
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Crashes per exposure, bursts of so many minutes and events.
fn store(crashes: &str, exposure: &str, burst: Option<(u32, u32)>) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), Options::new()).unwrap();
    let mut metric = Metric::new(name(crashes), Kind::Counter);
    metric.worse = Some(Worse::Higher);
    metric.per = Some(name(exposure));
    metric.burst_minutes = burst.map(|burst| burst.0);
    metric.burst_events = burst.map(|burst| burst.1);
    store.define_metric(&metric).unwrap();
    let mut hours = Metric::new(name(exposure), Kind::Sum { decimals: 9 });
    hours.role = Some(Role::Exposure);
    store.define_metric(&hours).unwrap();
    (directory, store)
}

fn metric<'a>(report: &'a Report, branch: &str) -> &'a MetricReport {
    let mut branches = report.branches.iter();
    let found = branches.find(|it| it.branch == branch).unwrap();
    &found.metrics[0]
}

#[test]
fn mission_control() {
    let Some(text) = real("mission-control.csv") else {
        return;
    };
    let (_directory, store) = store("main_crashes", "usage_hours", None);
    let mut batch = Batch::new();
    for line in text.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let (release, branch, what) = (fields[0], fields[1], fields[2]);
        let at: Minute = fields[3].parse().unwrap();
        match what {
            "main_crashes" => {
                let series = store.series(release, branch, what).unwrap();
                batch.add(series, at, fields[4].parse().unwrap());
            }
            "usage_hours" => {
                let series = store.series(release, branch, what).unwrap();
                let (hours, _) = Decimal::parse(fields[4], 9, Rounding::HalfEven).unwrap();
                batch.add_units(series, at, hours.units as i64);
            }
            _ => {}
        }
    }
    store.commit(batch).unwrap();
    let snapshot = store.snapshot();
    let at: Minute = "2017-06-29T01:05Z".parse().unwrap();
    let report = snapshot
        .health("Firefox/release/54.0/20170608105825/Windows_NT", at)
        .against("Firefox/release/48.0.2/20160823121617/Darwin")
        .run()
        .unwrap();
    // One population: nothing to compare with, and the report says so.
    assert_eq!(
        (report.control.as_deref(), report.verdict),
        (None, Verdict::NoData)
    );
    let crashes = metric(&report, "all");
    assert_eq!(crashes.verdict, Verdict::Inconclusive);
    assert!(crashes.note.as_ref().unwrap().contains("observational"));
    assert_eq!(crashes.events.unwrap().units, 1);
    assert!((crashes.rate.unwrap() - 3.31).abs() < 0.01);
    // One crash each, five minutes old: never an alarm.
    let history = &report.history[0];
    assert_eq!(history.verdict, CheckVerdict::Incomplete);
    assert!((history.baseline.unwrap() - 3.47).abs() < 0.01);
}

/// Crashes an hour of nine applications as branches of one release, an hour of
/// one machine each hour.
fn applications(burst: (u32, u32)) -> Option<Report> {
    let text = real("crashes-hourly.csv")?;
    let mut cells: BTreeMap<(String, Minute), u64> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let branch = fields[0].rsplit('/').next().unwrap().to_owned();
        let at: Minute = fields[3].parse().unwrap();
        // Some hours occur twice.
        *cells.entry((branch, at)).or_default() += fields[4].parse::<u64>().unwrap();
    }
    let (_directory, store) = store("crashes", "hours", Some(burst));
    let mut batch = Batch::new();
    for ((branch, at), crashes) in cells {
        batch.add(
            store.series("windows", &branch, "crashes").unwrap(),
            at,
            crashes,
        );
        batch.add_units(
            store.series("windows", &branch, "hours").unwrap(),
            at,
            1_000_000_000,
        );
    }
    store.commit(batch).unwrap();
    let at: Minute = "2018-07-19T00:00Z".parse().unwrap();
    let snapshot = store.snapshot();
    Some(
        snapshot
            .health("windows", at)
            .control("app1-02")
            .run()
            .unwrap(),
    )
}

#[test]
fn applications_with_a_burst_bound_that_is_too_small_are_told_so() {
    let Some(report) = applications((120, 80)) else {
        return;
    };
    let worst = metric(&report, "app1-06");
    assert_eq!(worst.verdict, Verdict::Regressed);
    assert!((worst.ratio.unwrap() - 7.2).abs() < 0.1);
    for branch in [
        "app1-03", "app1-04", "app1-05", "app1-06", "app1-07", "app1-08",
    ] {
        let note = metric(&report, branch).note.clone().unwrap_or_default();
        assert!(note.contains("burst length too short"), "{branch}: {note}");
    }
}

#[test]
fn applications_with_an_honest_burst_bound_are_inconclusive_but_the_worst() {
    let Some(report) = applications((1_440, 10_000)) else {
        return;
    };
    assert_eq!(report.verdict, Verdict::Regressed);
    let worst = metric(&report, "app1-06");
    assert_eq!(
        worst.verdict,
        Verdict::Regressed,
        "7.2 times control's rate"
    );
    let known = ["app1-02", "app1-06"];
    for branch in &report.branches {
        if known.contains(&branch.branch.as_str()) {
            continue;
        }
        assert_eq!(
            branch.metrics[0].verdict,
            Verdict::Inconclusive,
            "{}",
            branch.branch
        );
        assert_eq!(branch.metrics[0].first_alarm, None);
    }
}
