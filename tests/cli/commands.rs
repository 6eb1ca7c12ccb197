//! Every command's happy path.

use crate::support::{HEADER, Home, says};

/// Two series over two days, one of them a sum, and a gauge.
fn filled() -> Home {
    let home = Home::new();
    home.ok(&[
        "define", "s", "metric", "crashes", "--kind", "counter", "--worse", "higher", "--per",
        "hours",
    ]);
    home.ok(&[
        "define",
        "s",
        "metric",
        "hours",
        "--kind",
        "sum",
        "--decimals",
        "2",
        "--role",
        "exposure",
        "--unit",
        "h",
    ]);
    home.ok(&["define", "s", "metric", "memory", "--kind", "gauge"]);
    home.write(
        "a.csv",
        format!(
            "{HEADER}r/1,a,crashes,2026-01-01T00:00Z,3\nr/1,a,crashes,2026-01-01T00:59:00Z,4\nr/1,a,crashes,2026-01-02T10:00Z,0\nr/1,a,hours,2026-01-01T00:10Z,2000.5\nr/1,b,hours,2026-01-01T00:10Z,0.25\nr/2,a,memory,2026-01-01T00:00Z,1.5e-7\n"
        ),
    );
    home.ok(&["import", "s", "a.csv"]);
    home
}

#[test]
fn query_gives_exact_csv() {
    let home = filled();
    let hourly = [
        "r/1,a,crashes,2026-01-01T00:00Z,7",
        "r/1,a,crashes,2026-01-02T10:00Z,0",
        "r/1,a,hours,2026-01-01T00:00Z,2000.50",
        "r/1,b,hours,2026-01-01T00:00Z,0.25",
        "r/2,a,memory,2026-01-01T00:00Z,1.5e-7",
    ];
    assert_eq!(
        home.rows(&[]),
        hourly,
        "--by release,branch,metric --every 1h"
    );
    assert_eq!(home.rows(&["--every", "1m", "--metric", "crash*"]).len(), 3);
    assert_eq!(
        home.rows(&["--metric", "hours", "--by", "metric", "--every", "all"]),
        ["*,*,hours,2026-01-01T00:10Z,2000.75"]
    );
    assert_eq!(
        home.rows(&[
            "--metric",
            "hours",
            "--by",
            "metric",
            "--every",
            "all",
            "--from",
            "2025-12-31T00:00Z"
        ]),
        ["*,*,hours,2025-12-31T00:00Z,2000.75"]
    );
    assert_eq!(
        home.rows(&["--metric", "crashes", "--to", "2026-01-01T00:59Z"]),
        ["r/1,a,crashes,2026-01-01T00:00Z,3"]
    );
    assert_eq!(
        home.rows(&["--metric", "crashes", "--at", "2026-01-01T00:59Z"]),
        ["r/1,a,crashes,2026-01-01T00:00Z,3"]
    );
    assert_eq!(home.rows(&["--release", "nothing*"]).len(), 0);
}

#[test]
fn rates_are_for_each_thousand_units() {
    let home = filled();
    let rows = home.rows(&[
        "--metric", "crashes", "--per", "hours", "--every", "1d", "--branch", "a",
    ]);
    let rate = 7_000.0 / 2_000.5;
    assert_eq!(rows, [format!("r/1,a,crashes,2026-01-01T00:00Z,{rate}")]);
}

#[test]
fn json_holds_exact_numbers() {
    let home = filled();
    home.write("b.ndjson", r#"{"release":"say \"hi\"","branch":"a","metric":"hours","minute":"2026-01-01T00:00Z","value":90071992547409931.01}"#);
    home.ok(&["import", "s", "b.ndjson"]);
    let answer = home.ok(&["query", "s", "--format", "json", "--release", "say*"]);
    says(
        &answer,
        &[
            "90071992547409931.01}",
            r#""release": "say \"hi\"""#,
            r#""minute": "2026-01-01T00:00Z""#,
        ],
    );
    let parsed: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(parsed.as_array().map(Vec::len), Some(1));
    assert_eq!(
        home.ok(&["query", "s", "--format", "json", "--release", "none"]),
        "[\n]\n"
    );
}

#[test]
fn tables_are_for_people() {
    let home = filled();
    let table = home.ok(&[
        "query", "s", "--format", "table", "--every", "1d", "--by", "metric", "--metric", "hours",
    ]);
    assert_eq!(
        table,
        "metric  minute (UTC)     value\nhours   2026-01-01    2,000.75\n"
    );
}

#[test]
fn time_by_age() {
    let home = filled();
    home.ok(&[
        "define",
        "s",
        "release",
        "r/1",
        "--public-from",
        "2026-01-01T00:30Z",
    ]);
    let ran = home.run(&[
        "query", "s", "--age", "--every", "1m", "--metric", "crashes",
    ]);
    assert_eq!(
        ran.out,
        format!("{HEADER}r/1,a,crashes,29,4\nr/1,a,crashes,2010,0\n")
    );
    assert_eq!(ran.code, Some(0));
}

#[test]
fn decision_metrics_are_held() {
    let home = filled();
    home.ok(&[
        "define", "s", "metric", "pages", "--kind", "counter", "--role", "decision",
    ]);
    home.write(
        "p.csv",
        format!("{HEADER}r/1,a,pages,2026-01-01T00:00Z,5\n"),
    );
    home.ok(&["import", "s", "p.csv"]);
    let early = ["--at", "2026-01-07T00:00Z"];
    let named = home.fails(&[
        "query",
        "s",
        "--metric",
        "pages",
        "--at",
        "2026-01-07T00:00Z",
    ]);
    says(&named, &["pages", "2026-01-08T00:00Z"]);
    let ran = home.run(&[&["query", "s", "--metric", "*"][..], &early].concat());
    assert_eq!(ran.code, Some(0));
    assert!(!ran.out.contains("pages"));
    says(&ran.err, &["pages", "held", "2026-01-08T00:00Z"]);
    let window_is_whole = home.rows(&["--metric", "pages", "--at", "2026-01-08T00:00Z"]);
    assert_eq!(window_is_whole, ["r/1,a,pages,2026-01-01T00:00Z,5"]);
    assert_eq!(
        home.rows(&["--metric", "pages"]),
        window_is_whole,
        "a week is over by now"
    );
    let override_it = [
        &["--metric", "pages", "--override", "board meeting"][..],
        &early,
    ]
    .concat();
    assert_eq!(home.rows(&override_it), window_is_whole);
    let records = hotstove::Reader::open(home.path("s"))
        .unwrap()
        .overrides()
        .unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].metric.as_str(), records[0].reason.as_str()),
        ("pages", "board meeting")
    );
    let no_reason = home.fails(&[&["query", "s", "--override", " "][..], &early].concat());
    says(&no_reason, &["reason"]);
}

#[test]
fn definitions_refine_and_never_contradict() {
    let home = filled();
    home.ok(&[
        "define", "s", "metric", "hours", "--kind", "sum", "--unit", "h",
    ]);
    home.ok(&[
        "define", "s", "metric", "crashes", "--kind", "counter", "--role", "vital", "--burst",
        "45m",
    ]);
    says(
        &home.fails(&["define", "s", "metric", "crashes", "--kind", "gauge"]),
        &["crashes", "kind"],
    );
    says(
        &home.fails(&[
            "define",
            "s",
            "metric",
            "hours",
            "--kind",
            "sum",
            "--decimals",
            "3",
        ]),
        &["hours"],
    );
    home.ok(&[
        "define",
        "s",
        "release",
        "r/9",
        "--branch",
        "a=0.5",
        "--branch",
        "b=0.5",
        "--control",
        "a",
    ]);
    says(
        &home.fails(&[
            "define", "s", "release", "r/8", "--branch", "a=0.5", "--branch", "b=0.6",
        ]),
        &["r/8", "add up"],
    );
    home.ok(&[
        "define",
        "s",
        "source",
        "feed",
        "--watermark",
        "2026-01-01T00:00Z",
    ]);
    home.ok(&[
        "define",
        "s",
        "source",
        "feed",
        "--watermark",
        "2026-01-01T00:00Z",
    ]);
    let metrics = home.ok(&["metrics", "s", "--format", "csv"]);
    says(
        &metrics,
        &[
            "crashes,counter,,,vital,higher,hours,,45,,\n",
            "hours,sum,2,h,exposure,,,,,,\n",
            "memory,gauge,",
        ],
    );
    let releases = home.ok(&["releases", "s"]);
    says(
        &releases,
        &[
            "r/1,a,,,,,2026-01-01T00:00Z,4\n",
            "r/9,a,yes,0.5,,1,,0\n",
            "r/9,b,,0.5,,1,,0\n",
        ],
    );
}

#[test]
fn inspect_shows_what_is_there() {
    let home = filled();
    home.ok(&["compact", "s"]);
    home.write("s/stranger.txt", "hello");
    let screen = home.ok(&["inspect", "s"]);
    says(
        &screen,
        &[
            "format",
            "version 1",
            "no damage known",
            "6 in segments",
            "stranger.txt",
            "left alone",
            ".seg",
        ],
    );
    let json: serde_json::Value =
        serde_json::from_str(&home.ok(&["inspect", "s", "--format", "json"])).unwrap();
    assert_eq!(
        (&json["cells"], &json["format_version"]),
        (&6.into(), &1.into())
    );
    assert_eq!(json["unknown"][0]["file"], "stranger.txt");
}

#[test]
fn maintenance_changes_no_answer() {
    let home = filled();
    let before = home.rows(&[]);
    home.ok(&["compact", "s"]);
    assert_eq!(home.rows(&[]), before);
    home.ok(&["repair", "s"]);
    home.ok(&["verify", "s"]);
    home.ok(&["backup", "s", "copy"]);
    assert_eq!(home.ok(&["query", "copy"]), home.ok(&["query", "s"]));
    says(
        &home.fails(&["backup", "s", "copy"]),
        &["copy", "not empty"],
    );
    home.ok(&["retain", "s", "--before", "2026-01-02T00:00Z"]);
    assert_eq!(home.rows(&[]), ["r/1,a,crashes,2026-01-02T10:00Z,0"]);
    home.ok(&["retain", "s", "--release", "r/*"]);
    assert_eq!(home.rows(&[]).len(), 0);
    let late = home.run(&["import", "s", "a.csv"]);
    says(
        &late.err,
        &["5 rows of a.csv lie before the retention floor"],
    );
    assert_eq!(
        home.rows(&[]),
        ["r/1,a,crashes,2026-01-02T10:00Z,0"],
        "a release may come again"
    );
}

#[test]
fn the_demonstration_runs_twice_with_one_answer() {
    let home = Home::new();
    let first = home.ok(&["demo", "--days", "2"]);
    says(
        &first,
        &[
            "$ hotstove query demo --metric crashes --per usage_hours",
            "browser/release/121.0",
            "cells",
        ],
    );
    let sums = home.ok(&[
        "query",
        "demo",
        "--every",
        "1d",
        "--by",
        "release,metric",
        "--metric",
        "*s",
    ]);
    let again = home.ok(&["demo", "--days", "2"]);
    says(&again, &["0 deltas"]);
    assert_eq!(
        home.ok(&[
            "query",
            "demo",
            "--every",
            "1d",
            "--by",
            "release,metric",
            "--metric",
            "*s"
        ]),
        sums
    );
    home.ok(&["verify", "demo"]);
    home.ok(&["define", "other", "metric", "m", "--kind", "counter"]);
    home.ok(&["demo", "other", "--days", "1"]);
    let mine = filled();
    says(&mine.fails(&["demo", "s"]), &["no demonstration"]);
}
