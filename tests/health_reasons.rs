//! Why `hotstove health` says what it says: few lines, the most important first,
//! and none that is not true.
#![cfg(feature = "cli")]

#[path = "cli/support.rs"]
#[allow(dead_code, reason = "shared with the other tests of the command line")]
mod support;

use std::fmt::Write as _;

use hotstove::Minute;
use support::{HEADER, Home, says};

const MINUTES: u32 = 240;

/// A store with three vital signs, and crashes by branch and minute at 10 hours
/// a minute; where there is no number there is no cell.
fn filled(crashes: impl Fn(&str, u32) -> Option<u32>) -> Home {
    let home = Home::new();
    home.ok(&[
        "define", "s", "metric", "hours", "--kind", "sum", "--role", "exposure",
    ]);
    for metric in ["crashes", "hangs", "leaks"] {
        let line = format!("define s metric {metric} --kind counter --worse higher --per hours");
        home.ok(&line.split(' ').collect::<Vec<_>>());
    }
    let start: Minute = "2026-01-05T00:00Z".parse().unwrap();
    let mut rows = String::from(HEADER);
    for branch in ["stable", "b", "cc"] {
        for minute in 0..MINUTES {
            let Some(crashes) = crashes(branch, minute) else {
                continue;
            };
            let at = start.saturating_add(minute.into());
            let _ = write!(
                rows,
                "r,{branch},crashes,{at},{crashes}\nr,{branch},hours,{at},10\n"
            );
        }
    }
    home.write("rows.csv", &rows);
    home.ok(&["import", "s", "rows.csv"]);
    home
}

fn told(home: &Home) -> String {
    let line = "health s --release r --control stable --at 2026-01-05T04:00Z";
    let ran = home.run(&line.split(' ').collect::<Vec<_>>());
    // Lines are broken to the width of a terminal.
    ran.out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A few events in each branch, at minutes of its own.
fn few(branch: &str, minute: u32) -> Option<u32> {
    Some(u32::from((minute + branch.len() as u32).is_multiple_of(40)))
}

#[test]
fn what_is_undecided_comes_before_what_nobody_ever_sent() {
    let told = told(&filled(few));
    let at = |text: &str| {
        let found = told.find(text);
        found.unwrap_or_else(|| panic!("{text}\n{told}"))
    };
    let never = "hangs, leaks of b, cc: neither branch has an event";
    assert!(at("crashes of b: 1.00 times stable's rate") < at(never));
    assert_eq!(told.matches("neither branch has an event").count(), 1);
}

#[test]
fn where_control_has_no_event_there_is_a_ratio_it_must_be_above() {
    let told = told(&filled(|branch, minute| match branch {
        "b" => Some(40 + minute % 7),
        _ => Some(0),
    }));
    says(
        &told,
        &["crashes of b: above ", " times stable's rate, first alarm"],
    );
}

#[test]
fn branches_that_never_live_in_the_same_minute_are_told_so() {
    let told = told(&filled(|branch, minute| {
        minute
            .is_multiple_of(2)
            .eq(&(branch == "stable"))
            .then_some(3)
    }));
    let note = "too few events in minutes in which both branches have hours";
    says(&told, &["INCONCLUSIVE", note]);
}

#[test]
fn an_alarm_sooner_than_its_sequence_says_so() {
    let home = Home::new();
    home.ok(&["demo", "d", "--days", "2"]);
    let at = |minute: &str| {
        let line = format!("health d --release browser/release/121.0 --at {minute}");
        let ran = home.run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(ran.code, Some(3), "{}", ran.out);
        let told = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
        let sequence = told.split("control's rate (").nth(1).unwrap();
        let lower: f64 = sequence.split('–').next().unwrap().parse().unwrap();
        (
            lower > 1.0,
            told.contains("sooner than its sequence leaves 1"),
        )
    };
    assert_eq!(at("2026-01-05T02:00Z"), (false, true));
    assert_eq!(at("2026-01-05T06:00Z"), (true, false));
}

#[test]
fn a_check_says_when_it_was_found_and_not_that_it_began_then() {
    let told = told(&filled(|branch, minute| match branch {
        "b" => (minute < 60).then_some(minute % 5),
        _ => Some((minute * 7 + branch.len() as u32) % 5),
    }));
    let since = "silent since 2026-01-05T01:00Z, while control has exposure";
    says(
        &told,
        &["INVALID", since, ", first alarm 2026-01-05T01:59Z"],
    );
}
