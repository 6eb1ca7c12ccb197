//! The suite itself put to the test: bugs planted one at a time, each of which
//! it must find.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::crash::{Depth, Tally, buffered, explore, sequences, tiny};
use super::faults::hurt_all;
use super::full::squeeze_all;
use super::small;
use crate::engine::options::Options;
use crate::storage::planted::{Bug, with};
use crate::storage::sim_disk::Outcome;

type Check = (&'static str, fn() -> Result<(), String>);

/// Bounded versions of what the other files do.
const CHECKS: [Check; 7] = [
    ("crash, 1 step", || explored(1, &small(), true)),
    ("faults, once", || {
        let ways = [Outcome::Nothing, Outcome::DROPS, Outcome::Everything];
        hurt_all(
            &small(),
            1,
            &ways.map(|outcome| (libc::EIO, outcome, false)),
        )
        .map(drop)
    }),
    ("crash, 2 steps", || explored(2, &small(), false)),
    ("crash, buffered", || explored(1, &buffered(), false)),
    ("crash, log full", || explored(2, &tiny(), false)),
    ("disk full", || squeeze_all(&small(), 128).map(drop)),
    ("panics", super::panics::a_panicking_leader_answers_everyone),
];

fn explored(steps: u32, options: &Options, second: bool) -> Result<(), String> {
    let depth = Depth { random: 2, second };
    let mut tally = Tally::default();
    (0..=steps)
        .flat_map(sequences)
        .try_for_each(|ops| explore(&ops, options, depth, &mut tally))
}

/// The first check that finds something, and what it says.
fn found() -> Option<(&'static str, String)> {
    CHECKS.iter().find_map(|(name, check)| {
        let why = match catch_unwind(AssertUnwindSafe(check)) {
            Ok(Ok(())) => return None,
            Ok(Err(why)) => why,
            Err(panic) => panic
                .downcast_ref::<String>()
                .cloned()
                .unwrap_or_else(|| "a panic".to_owned()),
        };
        Some((*name, why))
    })
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let start = Instant::now();
        match with(Some(*bug), found) {
            Some((check, why)) => {
                let why: String = why.chars().take(100).collect();
                eprintln!("| {bug:?} | {check} | {:?} | {why}", start.elapsed());
            }
            None => missed.push(bug),
        }
        assert!(start.elapsed().as_secs() < 60, "{bug:?} took too long");
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn without_a_bug_nothing_is_found() {
    assert_eq!(found(), None);
}
