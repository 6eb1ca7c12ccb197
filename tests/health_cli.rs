//! `hotstove health` from outside: exit codes, the keys of its JSON, every bad
//! input, what is held back, and the page.
#![cfg(feature = "cli")]

#[path = "cli/support.rs"]
#[allow(dead_code, reason = "shared with the other tests of the command line")]
mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use hotstove::Minute;
use serde_json::Value;
use support::{HEADER, Home, says};

const HOURS: u32 = 12;

/// Four 12-hour branches of equal size; crashes by branch and minute.
fn rows(release: &str, crashes: impl Fn(&str, u32) -> u32, branches: &[&str]) -> String {
    let start: Minute = "2026-01-05T00:00Z".parse().unwrap();
    let mut text = String::from(HEADER);
    for branch in branches {
        for minute in 0..HOURS * 60 {
            let at = start.saturating_add(minute.into());
            // Every branch jumps about in its own way.
            let noise = (minute * 7 + branch.len() as u32 * 13 + minute / 11) % 5;
            let crashes = crashes(branch, noise);
            let pages = 900 + noise * 10;
            let _ = write!(
                text,
                "{release},{branch},crashes,{at},{crashes}\n\
                 {release},{branch},hours,{at},500.25\n\
                 {release},{branch},enrolled,{at},{}\n\
                 {release},{branch},pages,{at},{pages}\n",
                5 + noise
            );
        }
    }
    text
}

fn defined() -> Home {
    let home = Home::new();
    for line in [
        "define s metric hours --kind sum --decimals 2 --role exposure",
        "define s metric crashes --kind counter --worse higher --per hours",
        "define s metric pages --kind counter --role decision --worse lower --per hours",
        "define s metric enrolled --kind counter --role enrolment",
    ] {
        home.ok(&line.split(' ').collect::<Vec<_>>());
    }
    home
}

fn imported(home: &Home, rows: &str) {
    home.write("rows.csv", rows);
    home.ok(&["import", "s", "rows.csv"]);
}

/// `good` has branches alike, `bad` one that crashes three times as often.
fn filled() -> Home {
    let home = defined();
    let alike = |_: &str, noise: u32| 38 + noise;
    imported(&home, &rows("good", alike, &["control", "same-same"]));
    let crashing = |branch: &str, noise: u32| (38 + noise) * if branch == "b" { 3 } else { 1 };
    imported(&home, &rows("bad", crashing, &["control", "b"]));
    home
}

fn health<'a>(release: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let line = ["health", "s", "--release", release];
    line.iter().chain(more).copied().collect()
}

fn json(home: &Home, release: &str, more: &[&str], code: i32) -> Value {
    let line = health(release, &["--format", "json"]);
    let line: Vec<&str> = line.iter().chain(more).copied().collect();
    let ran = home.run(&line);
    assert_eq!(ran.code, Some(code), "{line:?}: {}\n{}", ran.err, ran.out);
    serde_json::from_str(&ran.out).expect("JSON")
}

fn keys(value: &Value) -> BTreeSet<String> {
    let object = value.as_object().expect("an object");
    object.keys().cloned().collect()
}

fn set(keys: &str) -> BTreeSet<String> {
    keys.split_whitespace().map(str::to_owned).collect()
}

const AT: [&str; 2] = ["--at", "2026-01-05T12:00Z"];

#[test]
fn exit_codes() {
    let home = filled();
    let code = |release: &str, more: &[&str]| {
        let line = health(release, &AT);
        let line: Vec<&str> = line.iter().chain(more).copied().collect();
        home.run(&line).code
    };
    assert_eq!(code("good", &[]), Some(0));
    assert_eq!(code("good", &["--require-conclusive"]), Some(0));
    assert_eq!(code("bad", &[]), Some(3));
    assert_eq!(code("bad", &["--require-conclusive"]), Some(3));
    // Nothing can be known after two minutes.
    let early = health("good", &["--at", "2026-01-05T00:02Z"]);
    assert_eq!(home.run(&early).code, Some(0));
    let strict: Vec<&str> = early
        .iter()
        .copied()
        .chain(["--require-conclusive"])
        .collect();
    assert_eq!(home.run(&strict).code, Some(4));
    assert_eq!(code("good", &["--control", "nobody"]), Some(1));
    assert_eq!(code("good", &["--format", "yaml"]), Some(2));
    assert_eq!(home.run(&["health", "s"]).code, Some(2));
}

#[test]
fn the_keys_of_the_json() {
    let home = filled();
    let report = json(&home, "bad", &AT, 3);
    assert_eq!(
        keys(&report),
        set("release as_of control alpha margin verdict branches checks")
    );
    let branches = report["branches"].as_array().unwrap();
    assert_eq!(branches.len(), 2);
    for branch in branches {
        assert_eq!(keys(branch), set("branch verdict metrics"));
        let metrics = branch["metrics"].as_array().unwrap();
        let names: Vec<_> = metrics.iter().map(|it| it["metric"].as_str()).collect();
        assert_eq!(names, [Some("crashes"), Some("enrolled"), Some("pages")]);
        for metric in metrics {
            assert_eq!(
                keys(metric),
                set(
                    "metric role verdict events exposure rate control_events control_exposure \
                     control_rate ratio ratio_lower ratio_upper log_e first_alarm opens_at \
                     rate_now control_rate_now events_needed note"
                )
            );
        }
    }
    let checks = &report["checks"];
    assert_eq!(keys(checks), set("sample_ratio null completeness"));
    assert_eq!(
        keys(&checks["sample_ratio"]),
        set("verdict log_e first_alarm branches")
    );
    assert_eq!(keys(&checks["null"]), set("verdict signals"));
    assert_eq!(
        keys(&checks["completeness"]),
        set("verdict whole_until events_whole exposure_whole")
    );
    assert_eq!(report["as_of"], "2026-01-05T12:00Z");
    assert_eq!(report["verdict"], "regressed");
    let crashes = &branches[0]["metrics"][0];
    assert_eq!(branches[0]["branch"], "b");
    assert_eq!(crashes["verdict"], "regressed");
    assert_eq!(crashes["exposure"], 360_180.0);
    let ratio = crashes["ratio"].as_f64().unwrap();
    assert!((2.9..3.1).contains(&ratio), "{ratio}");
    let alarm: Minute = crashes["first_alarm"].as_str().unwrap().parse().unwrap();
    assert!(alarm < "2026-01-05T02:00Z".parse().unwrap(), "{alarm}");
    let control = &branches[1]["metrics"][0];
    for key in ["ratio", "control_rate", "log_e", "first_alarm"] {
        assert_eq!(control[key], Value::Null, "{key}");
    }
}

#[test]
fn a_replay_says_what_was_said_at_its_minute() {
    let home = filled();
    let whole = json(&home, "bad", &AT, 3);
    let alarm = whole["branches"][0]["metrics"][0]["first_alarm"]
        .as_str()
        .unwrap()
        .to_owned();
    // The alarm is raised by the minute it names: visible one minute later.
    let before = json(&home, "bad", &["--at", &alarm], 0);
    assert_eq!(
        before["branches"][0]["metrics"][0]["first_alarm"],
        Value::Null
    );
    let at: Minute = alarm.parse().unwrap();
    let after = at.saturating_add(1).to_string();
    let after = json(&home, "bad", &["--at", &after], 3);
    assert_eq!(after["branches"][0]["metrics"][0]["first_alarm"], *alarm);
}

#[test]
fn a_held_metric_leaks_nothing() {
    let home = filled();
    let report = json(&home, "good", &AT, 0);
    for branch in report["branches"].as_array().unwrap() {
        let pages = &branch["metrics"][2];
        assert_eq!(pages["metric"], "pages");
        assert_eq!(pages["verdict"], "held");
        assert_eq!(pages["opens_at"], "2026-01-12T00:00Z");
        for (key, value) in pages.as_object().unwrap() {
            let told = ["metric", "role", "verdict", "opens_at"].contains(&key.as_str());
            assert!(told || value.is_null(), "{key}: {value}");
        }
    }
    for face in ["table", "html", "json"] {
        let told = home.ok(&health("good", &[AT[0], AT[1], "--format", face]));
        // 920 pages a minute over 500.25 hours.
        for number in ["1,839", "1839", "662400", "662,400"] {
            assert!(!told.contains(number), "{face} tells {number}");
        }
    }
    // Once its week is whole it is read like any other.
    let open = json(&home, "good", &["--at", "2026-01-12T00:00Z"], 0);
    let pages = &open["branches"][1]["metrics"][2];
    assert_eq!(pages["verdict"], "healthy");
    assert!(pages["rate"].as_f64().unwrap() > 1_800.0);
}

#[test]
fn a_guard_stops_what_is_held() {
    let home = defined();
    let alike = |_: &str, noise: u32| 38 + noise;
    let text = rows("r", alike, &["control", "b"]);
    // Half the pages of b are gone.
    let text: String = text
        .lines()
        .map(|line| match line.strip_prefix("r,b,pages,") {
            Some(rest) => {
                let (minute, pages) = rest.split_once(',').unwrap();
                let pages: u32 = pages.parse().unwrap();
                format!("r,b,pages,{minute},{}\n", pages / 2)
            }
            None => format!("{line}\n"),
        })
        .collect();
    imported(&home, &text);
    let report = json(&home, "r", &AT, 3);
    let pages = &report["branches"][0]["metrics"][2];
    assert_eq!(pages["verdict"], "regressed");
    assert_eq!(pages["opens_at"], "2026-01-12T00:00Z");
    for key in [
        "events",
        "rate",
        "ratio",
        "ratio_lower",
        "log_e",
        "rate_now",
    ] {
        assert_eq!(pages[key], Value::Null, "{key}");
    }
}

#[test]
fn bad_input_is_told_apart() {
    let home = filled();
    let fails = |more: &[&str], release: &str, parts: &[&str]| {
        says(&home.fails(&health(release, more)), parts);
    };
    fails(
        &[],
        "nothing",
        &["no release", "nothing", "hotstove releases"],
    );
    fails(
        &["--control", "x"],
        "good",
        &["no branch", "\"x\"", "same-same"],
    );
    fails(&["--against", "x"], "good", &["no release", "\"x\""]);
    fails(&["--against", "good"], "good", &["with itself"]);
    fails(&["--margin", "0.9"], "good", &["margin", "0.9"]);
    fails(&["--margin", "NaN"], "good", &["margin"]);
    fails(&["--alpha", "0"], "good", &["alpha"]);
    fails(&["--alpha", "1"], "good", &["alpha"]);
    fails(&["--alpha", "inf"], "good", &["alpha"]);
    fails(&["--at", "2400-01-01T00:00Z"], "good", &["future"]);
    fails(&["--out", "no/such/file"], "good", &["no/such/file"]);
    says(&home.fails(&["health", "t", "--release", "good"]), &["t"]);
    home.ok(&[
        "define",
        "s",
        "release",
        "good",
        "--public-from",
        "2026-01-05T01:00Z",
    ]);
    let public = &["--at", "2026-01-05T00:30Z"];
    fails(public, "good", &["goes public at 2026-01-05T01:00Z"]);
    let shares = [
        "define", "s", "release", "x", "--branch", "a=0.5", "--branch", "b=0.4",
    ];
    says(&home.fails(&shares), &["add up"]);
}

#[test]
fn findings_that_are_no_errors() {
    let home = filled();
    // Declared and without a cell.
    home.ok(&[
        "define", "s", "release", "empty", "--branch", "a", "--branch", "b",
    ]);
    let report = json(&home, "empty", &[], 0);
    assert_eq!(report["verdict"], "no data");
    assert_eq!(report["control"], Value::Null);
    // A control of which nothing came.
    home.ok(&[
        "define",
        "s",
        "release",
        "good",
        "--branch",
        "spare",
        "--control",
        "spare",
    ]);
    let report = json(&home, "good", &AT, 0);
    let crashes = &report["branches"][1]["metrics"][0];
    assert_eq!(crashes["verdict"], "no data");
    says(crashes["note"].as_str().unwrap(), &["control has no hours"]);
    // A metric without its exposure.
    home.ok(&[
        "define", "s", "metric", "hangs", "--kind", "counter", "--worse", "higher",
    ]);
    home.ok(&[
        "define",
        "s",
        "metric",
        "stalls",
        "--kind",
        "counter",
        "--worse",
        "higher",
        "--per",
        "idle_hours",
    ]);
    let report = json(&home, "bad", &[AT[0], AT[1], "--require-conclusive"], 3);
    let metrics = report["branches"][0]["metrics"].as_array().unwrap();
    let note = |name: &str| {
        let found = metrics.iter().find(|it| it["metric"] == name).unwrap();
        assert_eq!(found["verdict"], "no data", "{name}");
        found["note"].as_str().unwrap().to_owned()
    };
    says(&note("hangs"), &["no exposure metric"]);
    says(&note("stalls"), &["idle_hours"]);
}

#[test]
fn counts_beyond_measure_and_minutes_without_exposure() {
    let home = defined();
    let mut text = rows("r", |_, noise| 38 + noise, &["control", "b"]);
    for (branch, value) in [("b", 1_000_000_000_000_000_u64), ("control", 1)] {
        let _ = writeln!(text, "r,{branch},crashes,2026-01-05T12:00Z,{value}");
    }
    // Exposure on one side alone.
    let _ = writeln!(text, "r,b,hours,2026-01-05T12:01Z,9999999999.99");
    let _ = writeln!(text, "r,control,hours,2026-01-05T12:02Z,0");
    imported(&home, &text);
    for face in ["json", "table", "html"] {
        let line = health("r", &["--at", "2026-01-05T13:00Z", "--format", face]);
        let ran = home.run(&line);
        assert!(matches!(ran.code, Some(0 | 3)), "{ran:?}");
        for word in ["NaN", "inf,", "inf\"", "panicked"] {
            assert!(!ran.out.contains(word) && !ran.err.contains(word), "{word}");
        }
    }
}

#[test]
fn against_an_earlier_release() {
    let home = filled();
    let report = json(&home, "good", &[AT[0], AT[1], "--against", "bad"], 0);
    let history = &report["history"][0];
    assert_eq!(history["metric"], "crashes");
    assert_eq!(
        history["verdict"], "incomplete",
        "nobody said the data are whole"
    );
    assert_eq!(history["age"], HOURS * 60);
    let ratio = history["ratio"].as_f64().unwrap();
    assert!(
        (0.4..0.6).contains(&ratio),
        "both branches of it count: {ratio}"
    );
    home.ok(&[
        "define",
        "s",
        "source",
        "feed",
        "--watermark",
        "2026-01-05T12:00Z",
    ]);
    let report = json(&home, "good", &[AT[0], AT[1], "--against", "bad"], 0);
    assert_eq!(report["history"][0]["verdict"], "inconclusive");
    assert_eq!(report["checks"]["completeness"]["verdict"], "healthy");
    assert_eq!(report["checks"]["completeness"]["events_whole"], 1.0);
}

#[test]
fn the_table_says_the_verdict_first() {
    let home = filled();
    let ran = home.run(&health("bad", &AT));
    assert!(ran.out.starts_with("REGRESSED  bad\n"), "{}", ran.out);
    says(
        &ran.out,
        &[
            "worse than control: crashes (b)",
            "first alarm 2026-01-05T0",
            "held back until 2026-01-12T00:00Z: pages (b)",
        ],
    );
    assert!(
        !ran.out.contains('\u{1b}'),
        "no colour unless on a terminal"
    );
}

#[test]
fn the_page_stands_alone() {
    let home = filled();
    let line = health(
        "bad",
        &[AT[0], AT[1], "--format", "html", "--out", "p.html"],
    );
    let ran = home.run(&line);
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""), "{}", ran.err);
    let page = std::fs::read_to_string(home.path("p.html")).unwrap();
    assert!(page.starts_with("<!doctype html>"));
    for word in [
        "http://", "https://", "<script", "url(", "@import", "NaN", "Infinity",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    says(
        &page,
        &[
            "default-src 'none'",
            "prefers-color-scheme:dark",
            "@media print",
            "max-width",
            "<svg",
            "first alarm",
            "Share of all enrolled",
        ],
    );
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn a_name_is_never_markup() {
    let home = defined();
    let name = "<script>alert('x')</script>&\"";
    let text = rows("r", |_, noise| 38 + noise, &["control", "b"]);
    let text = text.replace("r,b,", "r,\"<script>alert('x')</script>&\"\"\",");
    imported(&home, &text);
    let page = home
        .run(&health("r", &[AT[0], AT[1], "--format", "html"]))
        .out;
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
    let report = json(&home, "r", &AT, 0);
    assert_eq!(report["branches"][0]["branch"], name);
}

#[test]
fn the_demonstration_tells_its_story() {
    let home = Home::new();
    let told = home.ok(&["demo", "--days", "2"]);
    let at = |part: &str| {
        told.find(part)
            .unwrap_or_else(|| panic!("{part:?}: {told}"))
    };
    assert!(at("browser/release/120.0\n") < at("REGRESSED  browser/release/121.0"));
    assert!(at("REGRESSED") < at("INVALID  experiment/blue-button"));
    says(
        &told,
        &[
            "first alarm 2026-01-05T01:40Z",
            "minute for minute",
            "(exit code 3)",
            "held back until its week is whole",
            "2026-01-12T00:00Z",
        ],
    );
}
