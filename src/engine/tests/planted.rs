//! The suite itself put to the test: bugs planted one at a time, each of which
//! it must find.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::crash::{Depth, Tally, buffered, explore, sequences, tiny};
use super::faults::{Leave, hurt_all};
use super::full::squeeze_all;
use super::lab::{Op, World};
use super::small;
use crate::engine::options::Options;
use crate::engine::reader::Reader;
use crate::storage::planted::{Bug, with};
use crate::storage::sim_disk::Outcome;

type Check = (&'static str, fn() -> Result<(), String>);

/// Bounded versions of what the other files do, the quick ones first.
const CHECKS: [Check; 13] = [
    ("flipped bytes", every_flip_of_a_log_is_found),
    ("regressions", || {
        super::found::nothing_is_appended_to_a_log_whose_successor_may_come_back();
        super::found::a_renaming_that_failed_and_happened_is_not_taken_for_undone();
        super::found::a_flush_or_merge_that_fails_leaves_no_segments_behind();
        super::found::a_log_whose_name_may_not_last_is_not_followed();
        Ok(())
    }),
    ("overlooked", || {
        super::overlooked::a_flush_vouches_for_no_offset_beyond_its_batches();
        super::overlooked::a_sync_counts_for_what_was_written_before_it();
        super::overlooked::a_close_holds_the_lock_until_its_last_write();
        super::overlooked::the_last_write_of_a_gauge_counts_while_a_memtable_is_frozen();
        super::overlooked::a_damaged_day_stays_damaged_for_who_asks_again();
        Ok(())
    }),
    ("panics", super::panics::a_panicking_leader_answers_everyone),
    ("damage", || {
        super::bits::every_sector_may_be_zero_and_every_file_gone();
        Ok(())
    }),
    ("repairs", || {
        super::mending::a_repair_of_which_any_call_fails_refuses_or_saves_the_same();
        super::mending::a_rebuild_after_a_death_finds_everything();
        Ok(())
    }),
    ("crash, 1 step", || explored(1, &small(), true)),
    ("disk full", || squeeze_all(&small(), 512).map(drop)),
    ("crash, 2 steps", || explored(2, &small(), false)),
    ("crash, buffered", || explored(2, &buffered(), false)),
    ("crash, log full", || explored(2, &tiny(), false)),
    ("faults, clean", || {
        hurt_ways(&[Outcome::Nothing, Outcome::Everything])
    }),
    ("faults, dropping", || hurt_ways(&[Outcome::DROPS])),
];

fn hurt_ways(outcomes: &[Outcome]) -> Result<(), String> {
    outcomes.iter().try_for_each(|outcome| {
        hurt_all(&small(), 1, &[(libc::EIO, *outcome, false)], Leave::Least).map(drop)
    })
}

/// A byte of a sealed log is never another one in silence.
fn every_flip_of_a_log_is_found() -> Result<(), String> {
    let mut world = World::new(1, &small());
    for op in [Op::Commit, Op::Late, Op::Reopen] {
        world.run(op).map_err(|error| error.to_string())?;
    }
    let disk = world.disk.kill();
    let log = "wal-0000000000000002.log";
    let bytes = disk.content(log).map_err(|error| error.to_string())?.len() as u64;
    for at in 0..bytes {
        let disk = disk.kill();
        disk.flip_bit(log, at * 8 + at % 8)
            .map_err(|error| error.to_string())?;
        let reader = Reader::open_on(Arc::new(disk)).map_err(|error| error.to_string())?;
        if reader.warnings().is_empty() {
            return Err(format!("byte {at} of the log is another one"));
        }
    }
    Ok(())
}

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

/// Switches on each alone, and asks that something is found.
fn all_found<'a>(bugs: impl Iterator<Item = &'a Bug>) {
    let mut missed = Vec::new();
    for bug in bugs {
        let start = Instant::now();
        match with(Some(*bug), found) {
            Some((check, why)) => {
                let why: String = why.chars().take(100).collect();
                eprintln!("| {bug:?} | {check} | {:?} | {why}", start.elapsed());
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn a_sample_of_the_planted_bugs_is_found() {
    all_found(
        [
            Bug::CommitNotSynced,
            Bug::LogRemovedEarly,
            Bug::PayloadNotChecked,
        ]
        .iter(),
    );
}

#[test]
#[ignore = "minutes: cargo test --lib engine::tests::planted -- --ignored --nocapture"]
fn every_planted_bug_is_found() {
    // One alone: BUG=SealedWithoutSync.
    let own = std::env::var("BUG").ok();
    let wanted = |bug: &&Bug| own.as_ref().is_none_or(|own| format!("{bug:?}") == *own);
    all_found(Bug::ALL.iter().filter(wanted));
}

#[test]
#[ignore = "half a minute, of what other tests do: as above"]
fn without_a_bug_nothing_is_found() {
    assert_eq!(found(), None);
}
