//! A panic poisons; nobody waits for ever; closing is bounded.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::{Write, batch, cells, name, open, small};
use crate::engine::options::Options;
use crate::engine::store::Store;
use crate::error::ErrorKind;
use crate::model::{Kind, Metric};
use crate::storage::planted;
use crate::storage::sim_disk::{Call, Fault, SimDisk};

const PATIENCE: Duration = Duration::from_secs(10);

/// Runs something that must come to an end.
fn bounded<T: Send + 'static>(
    what: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || done.send(run()));
    wait.recv_timeout(PATIENCE)
        .map_err(|_| format!("{what} hangs"))
}

fn one(minute: u32) -> Write {
    Write {
        release: 0,
        metric: 0,
        minute,
        value: 1,
    }
}

/// Small enough that a few commits call for a flush.
fn background() -> Options {
    let mut options = small().background(true);
    options.wal_limit = 2_000;
    options
}

fn store(disk: &SimDisk) -> Store {
    let store = Store::open_on(Arc::new(disk.clone()), background()).unwrap();
    let metric = Metric::new(name("crashes"), Kind::Counter);
    store.define_metric(&metric).unwrap();
    store
}

/// Commits until one is refused, at most so many; says how many were granted
/// and what refused.
fn commit_many(store: &Store, most: u32) -> (u32, Option<ErrorKind>) {
    for round in 0..most {
        let mut batch = batch(store, &[one(round)]);
        batch.stamp(&name("source"), u64::from(round) + 1);
        if let Err(error) = store.commit(batch) {
            return (round, Some(error.kind()));
        }
    }
    (most, None)
}

/// Two committers share a group whose leader panics: both are answered.
pub fn a_panicking_leader_answers_everyone() -> Result<(), String> {
    a_panic_answers_everyone("wal-")
}

/// As many commit at once while a write to a file panics.
fn a_panic_answers_everyone(file: &str) -> Result<(), String> {
    let disk = SimDisk::new(1);
    let store = Arc::new(open(&disk).map_err(|error| error.to_string())?);
    // Many at once, so that some wait in the group of the one that panics.
    disk.inject(
        Fault::on(&[Call::Write])
            .in_file(file)
            .after(5)
            .panicking()
            .forever(),
    );
    let answers: Vec<_> = (0..8)
        .map(|own| {
            let store = Arc::clone(&store);
            let (done, wait) = mpsc::channel();
            let bug = planted::active();
            std::thread::spawn(move || {
                let commits = || {
                    (0..50).all(|round| store.commit(batch(&store, &[one(round + own)])).is_ok())
                };
                let commits = || planted::with(bug, commits);
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(commits));
                drop(store);
                done.send(())
            });
            wait
        })
        .collect();
    for answer in answers {
        answer
            .recv_timeout(PATIENCE)
            .map_err(|_| "a committer hangs".to_owned())?;
    }
    match store
        .commit(batch(&store, &[one(1)]))
        .map_err(|error| error.kind())
    {
        Err(ErrorKind::Poisoned) => Ok(()),
        other => Err(format!("after a panic: {other:?}")),
    }
}

#[test]
fn committers_of_a_group_whose_leader_panics_are_answered() {
    for _ in 0..5 {
        if let Err(why) = a_panicking_leader_answers_everyone() {
            panic!("{why}");
        }
    }
}

/// Another group may be written by then, and waits for this one.
#[test]
fn committers_of_a_group_that_panics_while_it_is_merged_are_answered() {
    for _ in 0..20 {
        if let Err(why) = a_panic_answers_everyone("published") {
            panic!("{why}");
        }
    }
}

#[test]
fn a_panic_in_a_background_thread_poisons_and_closing_is_bounded() {
    for (call, file) in [
        (Call::Create, "segment-"),
        (Call::Write, "segment-"),
        (Call::Sync, "segment-"),
        (Call::Map, "segment-"),
        (Call::Create, "MANIFEST"),
        (Call::Rename, "MANIFEST"),
    ] {
        let disk = SimDisk::new(1);
        let store = store(&disk);
        disk.inject(Fault::on(&[call]).in_file(file).panicking().forever());
        let (granted, refused) = bounded("committing", move || {
            let answer = commit_many(&store, 500);
            let closed = store.close().map_err(|error| error.kind());
            assert_eq!(closed, Err(ErrorKind::Poisoned));
            answer
        })
        .unwrap();
        assert_eq!(refused, Some(ErrorKind::Poisoned), "{call:?} {file}");
        let after = cells(&open(&disk.kill()).unwrap().snapshot()).unwrap();
        assert!(
            after.len() >= granted as usize,
            "{call:?}: {} of {granted}",
            after.len()
        );
    }
}

#[test]
fn a_flush_that_fails_for_ever_hangs_neither_commits_nor_the_close() {
    for (call, file) in [
        (Call::Create, "segment-"),
        (Call::Sync, "segment-"),
        (Call::Map, "segment-"),
        (Call::Create, "MANIFEST"),
        (Call::Rename, "MANIFEST"),
        (Call::SyncDir, ""),
    ] {
        for errno in [libc::EIO, libc::ENOSPC] {
            let disk = SimDisk::new(1);
            let store = store(&disk);
            disk.inject(Fault::on(&[call]).in_file(file).errno(errno).forever());
            let healed = disk.clone();
            let granted = bounded("committing", move || {
                let (granted, refused) = commit_many(&store, 500);
                assert!(refused.is_some(), "{call:?} {file}: {granted} granted");
                healed.heal();
                if store.core.check_alive().is_ok() {
                    let again = commit_many(&store, 600);
                    assert_eq!(again, (600, None), "{call:?} {file} {errno}");
                }
                let _ = store.close();
                granted
            })
            .unwrap();
            let after = cells(&open(&disk.kill()).unwrap().snapshot()).unwrap();
            assert!(after.values().all(|value| *value == 1), "counted once");
            assert!(
                after.len() >= granted as usize,
                "{call:?}: {} of {granted}",
                after.len()
            );
        }
    }
}
