//! Health end to end, through a store and the command line: late hours, guards
//! on what is held back, the kinds of silence, and two processes.
#![cfg(feature = "cli")]

#[path = "cli/support.rs"]
#[allow(dead_code, reason = "shared with the other tests of the command line")]
mod support;

#[path = "support/random.rs"]
#[allow(dead_code, reason = "shared with the simulations")]
mod random;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hotstove::{Batch, Minute, Reader, Store};
use random::Random;
use serde_json::Value;
use support::{HEADER, Home, says};

fn at(offset: u32) -> Minute {
    let start: Minute = "2026-01-05T00:00Z".parse().unwrap();
    start.saturating_add(offset.into())
}

/// A store with crashes and pages per hour of use.
fn defined() -> Home {
    let home = Home::new();
    for line in [
        "define s metric hours --kind sum --decimals 2 --role exposure",
        "define s metric crashes --kind counter --worse higher --per hours",
        "define s metric uris --kind counter --role decision --worse lower --per hours",
    ] {
        home.ok(&line.split(' ').collect::<Vec<_>>());
    }
    home
}

fn imported(home: &Home, rows: &str) {
    home.write("rows.csv", format!("{HEADER}{rows}"));
    home.ok(&["import", "s", "rows.csv"]);
}

fn line<'a>(release: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let line = ["health", "s", "--release", release];
    line.iter().chain(more).copied().collect()
}

fn json(home: &Home, release: &str, more: &[&str], code: i32) -> Value {
    let line = line(release, &[more, &["--format", "json"]].concat());
    let ran = home.run(&line);
    assert_eq!(ran.code, Some(code), "{line:?}: {}\n{}", ran.err, ran.out);
    serde_json::from_str(&ran.out).expect("JSON")
}

fn metric<'a>(report: &'a Value, branch: &str, metric: &str) -> &'a Value {
    let branches = report["branches"].as_array().unwrap();
    let branch = branches.iter().find(|it| it["branch"] == branch).unwrap();
    let metrics = branch["metrics"].as_array().unwrap();
    metrics.iter().find(|it| it["metric"] == metric).unwrap()
}

/// Hours 10 hours late on average, adoption over 48: an unchanged release with
/// 4.0 crashes per 1,000 hours shows 32.3 at hour 3, 12.2 at 12, 8.0 at 24.
#[test]
fn late_hours_alarm_neither_against_control_nor_against_history() {
    let home = defined();
    let mut random = Random::new(31);
    let mut rows = String::new();
    for hour in 0..24_u32 {
        // A 48th more of a million hours each hour, seen when the session ends.
        let used = |hour: u32| 1e6 * f64::from(hour);
        let late = |age: u32| (-f64::from(age) / 10.0).exp();
        let arrived: f64 = (0..=hour)
            .map(|then| used(then) * (late(hour - then) - late(hour - then + 1)))
            .sum();
        for minute in hour * 60..hour * 60 + 60 {
            for (release, branch, day, hours) in [
                ("new", "control", 0, arrived),
                ("new", "rollout", 0, arrived),
                ("old", "all", -30, used(hour)),
            ] {
                let crashes = random.poisson(used(hour) * 4e-3 / 60.0);
                let minute = at(minute).saturating_add(day * 1_440);
                let _ = writeln!(rows, "{release},{branch},crashes,{minute},{crashes}");
                let _ = writeln!(
                    rows,
                    "{release},{branch},hours,{minute},{:.2}",
                    hours / 60.0
                );
            }
        }
    }
    imported(&home, &rows);
    for (release, from) in [("new", at(0)), ("old", at(0).saturating_add(-30 * 1_440))] {
        let from = from.to_string();
        home.ok(&["define", "s", "release", release, "--public-from", &from]);
    }
    for (hour, rate) in [(3, 32.3), (12, 12.2), (24, 8.0)] {
        let now = at(hour * 60).to_string();
        let report = json(&home, "new", &["--against", "old", "--at", &now], 0);
        let crashes = metric(&report, "rollout", "crashes");
        let seen = crashes["rate"].as_f64().unwrap();
        assert!((seen / rate - 1.0).abs() < 0.02, "hour {hour}: {seen}");
        assert!(["healthy", "inconclusive"].contains(&crashes["verdict"].as_str().unwrap()));
        assert_eq!(crashes["first_alarm"], Value::Null, "hour {hour}");
        let history = &report["history"][0];
        assert_eq!(history["verdict"], "incomplete", "hour {hour}");
        let baseline = history["baseline"].as_f64().unwrap();
        assert!((baseline - 4.0).abs() < 0.1, "{baseline}");
        assert!(
            history["ratio"].as_f64().unwrap() > 1.9,
            "it looks terrible"
        );
    }
    // Half of it is known to be whole: still incomplete, and so says the report.
    let whole = |home: &Home, hour: u32| {
        let until = at(hour * 60).to_string();
        home.ok(&["define", "s", "source", "feed", "--watermark", &until]);
        json(
            home,
            "new",
            &["--against", "old", "--at", &at(1_440).to_string()],
            0,
        )
    };
    let report = whole(&home, 12);
    let completeness = &report["checks"]["completeness"];
    assert_eq!(completeness["verdict"], "incomplete");
    let events = completeness["events_whole"].as_f64().unwrap();
    let exposure = completeness["exposure_whole"].as_f64().unwrap();
    assert!(
        (0.22..0.26).contains(&events) && exposure < events,
        "{events} {exposure}"
    );
    assert_eq!(report["history"][0]["verdict"], "incomplete");
    let report = whole(&home, 24);
    assert_eq!(report["checks"]["completeness"]["verdict"], "healthy");
    assert_eq!(
        report["history"][0]["verdict"], "inconclusive",
        "never an alarm"
    );
}

/// A release nearly rolled out, beside its held-back control; after six hours
/// three in ten of the pages are gone.
#[test]
fn a_guard_finds_fewer_uris_beside_the_held_back_control_and_tells_no_number() {
    let home = defined();
    let mut random = Random::new(32);
    let mut rows = String::new();
    let mut uris = [0.0; 2];
    for minute in 0..1_440_u32 {
        for (index, (branch, hours)) in [("control", 30.0), ("rollout", 270.0)].iter().enumerate() {
            let fallen = index == 1 && minute >= 360;
            let seen = random.poisson(hours * if fallen { 21.0 } else { 30.0 });
            uris[index] += seen;
            let crashes = random.poisson(hours * 0.1);
            let minute = at(minute);
            let _ = writeln!(
                rows,
                "r,{branch},uris,{minute},{seen}\nr,{branch},crashes,{minute},{crashes}\n\
                 r,{branch},hours,{minute},{hours}"
            );
        }
    }
    imported(&home, &rows);
    let noon = ["--at", "2026-01-05T12:00Z"];
    let before = json(&home, "r", &["--at", "2026-01-05T06:00Z"], 0);
    assert_eq!(metric(&before, "rollout", "uris")["verdict"], "held");
    let report = json(&home, "r", &noon, 3);
    let found = metric(&report, "rollout", "uris");
    assert_eq!(found["verdict"], "regressed");
    assert_eq!(found["opens_at"], "2026-01-12T00:00Z");
    let alarm: Minute = found["first_alarm"].as_str().unwrap().parse().unwrap();
    assert!(at(360) < alarm && alarm < at(720), "{alarm}");
    for (key, value) in found.as_object().unwrap() {
        let told = [
            "metric",
            "role",
            "verdict",
            "opens_at",
            "first_alarm",
            "note",
        ];
        assert!(
            told.contains(&key.as_str()) || value.is_null(),
            "{key}: {value}"
        );
    }
    assert_eq!(
        metric(&report, "rollout", "crashes")["verdict"],
        "inconclusive"
    );
    for face in ["table", "html", "json"] {
        let told = home
            .run(&line("r", &["--format", face, noon[0], noon[1]]))
            .out;
        assert!(told.contains("uris"));
        for count in uris {
            let plain = format!("{count:.0}");
            let apart = format!(
                "{}{}{}",
                &plain[..plain.len() - 3],
                ',',
                &plain[plain.len() - 3..]
            );
            assert!(!told.contains(&plain) && !told.contains(&apart), "{face}");
        }
        // The rates, and anything like a chart of them.
        for word in [
            "30,0",
            "21,0",
            "uris of rollout</h3>",
            "Rate per 1,000 uris",
        ] {
            assert!(!told.contains(word), "{face} tells {word}");
        }
    }
    says(
        &home.fails(&["query", "s", "--metric", "uris", "--at", noon[1]]),
        &["uris", "2026-01-12T00:00Z"],
    );
}

/// Poisson counts for each minute of a day: branch, crashes and hours a minute,
/// and when they stop.
fn day(release: &str, branches: &[(&str, f64, f64, u32, u32)]) -> String {
    let mut random = Random::new(33);
    let mut rows = String::new();
    for minute in 0..720 {
        for (branch, crashes, hours, last_crash, last_hour) in branches {
            let count = random.poisson(*crashes);
            if minute < *last_crash {
                let _ = writeln!(rows, "{release},{branch},crashes,{},{count}", at(minute));
            }
            if minute < *last_hour {
                let _ = writeln!(rows, "{release},{branch},hours,{},{hours}", at(minute));
            }
        }
    }
    rows
}

#[test]
fn no_data_is_a_finding_and_each_kind_is_told_apart() {
    let home = defined();
    let mut rows = day(
        "metrics",
        &[
            ("control", 40.0, 500.0, 720, 720),
            ("fine", 40.0, 500.0, 720, 720),
            ("young", 0.4, 5.0, 720, 720),
            ("muted", 40.0, 500.0, 180, 720),
            ("never", 40.0, 500.0, 0, 720),
        ],
    );
    rows += &day(
        "silent",
        &[
            ("b", 40.0, 500.0, 180, 180),
            ("control", 40.0, 500.0, 720, 720),
        ],
    );
    rows += &day(
        "unused",
        &[
            ("b", 40.0, 0.0, 720, 720),
            ("control", 40.0, 500.0, 720, 720),
        ],
    );
    rows += &day(
        "unmeasured",
        &[("b", 40.0, 0.0, 720, 0), ("control", 40.0, 0.0, 720, 0)],
    );
    imported(&home, &rows);
    let noon = ["--at", "2026-01-05T12:00Z"];
    let report = json(&home, "metrics", &noon, 0);
    assert_eq!(
        report["verdict"], "inconclusive",
        "never fine while a part is unknown"
    );
    let said = |branch: &str| {
        let found = metric(&report, branch, "crashes");
        let note = found["note"].as_str().unwrap_or_default().to_owned();
        (found["verdict"].as_str().unwrap().to_owned(), note)
    };
    let told = |verdict: &str, note: &str| (verdict.to_owned(), note.to_owned());
    assert_eq!(said("fine"), told("healthy", ""));
    assert_eq!(said("young"), told("inconclusive", ""));
    let needed = metric(&report, "young", "crashes")["events_needed"].as_f64();
    assert!(needed.is_some_and(|it| it > 0.0), "{needed:?}");
    let note = "crashes of this branch went silent after 2026-01-05T02:59Z";
    assert_eq!(said("muted"), told("no data", note));
    assert_eq!(
        said("never"),
        told("no data", "crashes of this branch never came")
    );
    let strict = line("metrics", &[noon[0], noon[1], "--require-conclusive"]);
    assert_eq!(home.run(&strict).code, Some(4));
    let told = home.ok(&line("metrics", &noon));
    says(
        &told,
        &["INCONCLUSIVE", note, "never came", "more events decide"],
    );

    for (release, note) in [
        ("silent", "silent since 2026-01-05T03:00Z"),
        ("unused", "no exposure since 2026-01-05T00:00Z"),
    ] {
        let report = json(&home, release, &noon, 3);
        assert_eq!(report["verdict"], "invalid");
        let signals = report["checks"]["null"]["signals"].as_array().unwrap();
        let dead = signals
            .iter()
            .find(|it| it["signal"] == "dead branch")
            .unwrap();
        says(dead["note"].as_str().unwrap(), &[note]);
    }
    let report = json(&home, "unmeasured", &noon, 0);
    assert_eq!(report["verdict"], "no data");
    let note = metric(&report, "b", "crashes")["note"].as_str().unwrap();
    assert_eq!(note, "control has no hours");
    let strict = line("unmeasured", &[noon[0], noon[1], "--require-conclusive"]);
    assert_eq!(home.run(&strict).code, Some(4));
}

/// Set where this test is run as the writing process: the store.
const WRITER: &str = "HOTSTOVE_TEST_WRITER";

#[test]
fn a_commit_of_one_process_is_in_the_verdict_of_another_within_a_second() {
    if let Ok(path) = std::env::var(WRITER) {
        return write_when_told(&path);
    }
    let home = defined();
    imported(
        &home,
        &day(
            "r",
            &[("b", 4.0, 50.0, 60, 60), ("control", 4.0, 50.0, 60, 60)],
        ),
    );
    let test = "a_commit_of_one_process_is_in_the_verdict_of_another_within_a_second";
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(WRITER, home.path("s"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = writer.stdin.take().unwrap();
    let mut says = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut wait = |word: &str| {
        let found = says
            .by_ref()
            .map_while(Result::ok)
            .find(|it| it.ends_with(word));
        assert!(found.is_some(), "the writer died before it was {word}");
        Instant::now()
    };
    wait("ready");
    let reader = Reader::open(home.path("s")).unwrap();
    let seen = || {
        let snapshot = reader.snapshot().unwrap();
        let report = snapshot
            .health("r", at(120))
            .control("control")
            .run()
            .unwrap();
        let branch = report
            .branches
            .into_iter()
            .find(|it| it.branch == "b")
            .unwrap();
        branch.metrics[0].events.unwrap().units
    };
    let (mut before, mut slowest) = (seen(), Duration::ZERO);
    for _ in 0..20 {
        writeln!(told, "go").unwrap();
        let acknowledged = wait("committed");
        while seen() != before + 7 {
            assert!(acknowledged.elapsed() < Duration::from_secs(1));
        }
        slowest = slowest.max(acknowledged.elapsed());
        before += 7;
    }
    println!("a verdict with a new commit after {slowest:?} at most");
    // The command, a process of its own, while the writer still holds the store.
    let report = json(&home, "r", &["--at", "2026-01-05T02:00Z"], 0);
    assert_eq!(metric(&report, "b", "crashes")["events"], before as u64);
    drop(told);
    assert!(writer.wait().unwrap().success());
}

fn write_when_told(path: &str) {
    let store = Store::open(path, hotstove::Options::new()).unwrap();
    let series = store.series("r", "b", "crashes").unwrap();
    println!("\nready");
    for (minute, line) in (60..).zip(std::io::stdin().lines()) {
        line.unwrap();
        let mut batch = Batch::new();
        batch.add(series, at(minute), 7);
        store.commit(batch).unwrap();
        println!("committed");
    }
    store.close().unwrap();
}
