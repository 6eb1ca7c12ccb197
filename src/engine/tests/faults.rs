//! Every call fails in turn: with each error, once and for ever, having done
//! nothing, all or a part. Then the store works or says that it is poisoned,
//! and what it leaves behind is what was granted.

use super::lab::{Op, World};
use super::oracle::check;
use super::small;
use crate::engine::options::Options;
use crate::error::{Error, ErrorKind};
use crate::storage::sim_disk::{Call, Change, Fate, Fault, Outcome, Unsynced};

/// Every sort of step, and each after every sort that matters to it.
const WORKLOAD: [Op; 23] = [
    Op::Commit,
    Op::Late,
    Op::Flush,
    Op::Commit,
    Op::Flush,
    Op::Commit,
    Op::Compact,
    Op::Resend,
    Op::Override,
    Op::Late,
    Op::Backup,
    Op::Reopen,
    Op::Commit,
    Op::Define,
    Op::Retain,
    Op::Flush,
    Op::Commit,
    Op::Drop,
    Op::Override,
    Op::Compact,
    Op::Reopen,
    Op::Commit,
    // The last that is synced is the name of a manifest.
    Op::Flush,
];

const ERRNOS: [i32; 7] = [
    libc::EIO,
    libc::ENOSPC,
    libc::EDQUOT,
    libc::EMFILE,
    libc::EACCES,
    libc::EROFS,
    libc::EINTR,
];

/// Which of the disks that a death leaves are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// What all syncs so far have made durable; and that but for what was
    /// removed since.
    Least,
    /// That, all that was done, and what chance makes.
    Many,
}

/// What was tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub faults: u64,
    pub refused: u64,
    pub poisoned: u64,
    pub crashes: u64,
}

/// An error of a step that a fault may cause.
fn allowed(error: &Error) -> bool {
    [ErrorKind::Io, ErrorKind::StorageFull, ErrorKind::Poisoned].contains(&error.kind())
        // A segment that could not be opened, or a log that can not be read
        // where it was vouched for, is said to be damaged.
        || error.kind() == ErrorKind::Corruption
        // An opening that failed half-way through the creation.
        || error.kind() == ErrorKind::NotAStore
}

/// Runs the workload with one fault and holds the store to its word.
fn hurt(options: &Options, fault: &Fault, disks: Leave, tally: &mut Tally) -> Result<(), String> {
    let mut world = World::new(3, options);
    world.disk.inject(fault.clone());
    tally.faults += 1;
    for (step, op) in WORKLOAD.into_iter().enumerate() {
        // The flush at the end makes durable what a sync of the log did not.
        if step + 1 == WORKLOAD.len() {
            leave(&world, disks, tally)?;
        }
        match world.run(op) {
            Ok(()) => {}
            Err(error) if allowed(&error) => tally.refused += 1,
            Err(error) => return Err(format!("{op:?}: {error:?}")),
        }
        if world.acknowledged() <= world.sent() {
            world
                .check_live()
                .map_err(|why| format!("after {op:?}: {why}"))?;
        }
    }
    // What is there now, while the fault lasts, and what a power cut leaves.
    leave(&world, disks, tally)?;
    world.disk.heal();
    let poisoned = world
        .store
        .as_ref()
        .is_some_and(|store| store.core.check_alive().is_err());
    if poisoned {
        tally.poisoned += 1;
        let refused = world.run(Op::Commit).err().map(|error| error.kind());
        if refused != Some(ErrorKind::Poisoned) {
            return Err(format!("a poisoned store answers {refused:?}"));
        }
    } else {
        for op in [Op::Commit, Op::Late, Op::Override, Op::Flush, Op::Commit] {
            world
                .run(op)
                .map_err(|error| format!("healed, {op:?}: {error}"))?;
            world
                .check_live()
                .map_err(|why| format!("healed, after {op:?}: {why}"))?;
        }
    }
    leave(&world, disks, tally)?;
    if let Some(store) = world.store.take() {
        drop(store);
    }
    world
        .open()
        .map_err(|error| format!("reopening: {error}"))?;
    for op in [Op::Commit, Op::Compact, Op::Resend] {
        world
            .run(op)
            .map_err(|error| format!("reopened, {op:?}: {error}"))?;
        world
            .check_live()
            .map_err(|why| format!("reopened, after {op:?}: {why}"))?;
    }
    leave(&world, disks, tally)
}

/// Kills and cuts the power at the end of what was done so far.
fn leave(world: &World, disks: Leave, tally: &mut Tally) -> Result<(), String> {
    let expected = world
        .history
        .expected(world.disk.calls(), true, &world.options);
    let disk = &world.disk;
    // Removals overtake what they rely on: the worst a medium can do.
    let removed = disk.crash(&mut |effect: &Unsynced| match effect.change {
        Change::Remove => Fate::Whole,
        _ => Fate::Lost,
    });
    let mut left = vec![disk.crash_with_subset(0), removed];
    if disks == Leave::Many {
        left.extend([disk.kill(), disk.crash_with_subset(u64::MAX)]);
        left.extend((0..2).map(|seed| disk.crash_random(seed)));
    }
    for (index, disk) in left.iter().enumerate() {
        tally.crashes += 1;
        check(disk, &expected).map_err(|why| format!("left behind {index}: {why}"))?;
    }
    Ok(())
}

/// Fails every `step`-th call of the workload in each of these ways.
pub fn hurt_all(
    options: &Options,
    step: usize,
    ways: &[(i32, Outcome, bool)],
    disks: Leave,
) -> Result<Tally, String> {
    let mut sound = World::new(3, options);
    for op in WORKLOAD {
        sound.run(op).map_err(|error| error.to_string())?;
    }
    let calls = sound.disk.calls();
    let mut tally = Tally::default();
    for (errno, outcome, forever) in ways {
        for call in (0..calls).step_by(step) {
            let fault = Fault::on(&Call::ALL)
                .after(call)
                .errno(*errno)
                .outcome(*outcome);
            let fault = if *forever { fault.forever() } else { fault };
            hurt(options, &fault, disks, &mut tally).map_err(|why| {
                format!("call {call}, errno {errno}, {outcome:?}, for ever: {forever}: {why}")
            })?;
        }
    }
    eprintln!("{calls} calls: {tally:?}");
    Ok(tally)
}

const OUTCOMES: [Outcome; 4] = [
    Outcome::Nothing,
    Outcome::Everything,
    Outcome::DROPS,
    Outcome::Torn,
];

fn must(done: Result<Tally, String>) {
    if let Err(why) = done {
        panic!("{why}");
    }
}

#[test]
fn every_call_may_fail_once_in_every_manner() {
    must(hurt_all(
        &small(),
        1,
        &[(libc::EIO, Outcome::DROPS, false)],
        Leave::Many,
    ));
    let ways = OUTCOMES.map(|outcome| (libc::EIO, outcome, false));
    must(hurt_all(&small(), 3, &ways, Leave::Many));
}

#[test]
fn every_call_may_fail_for_ever() {
    must(hurt_all(
        &small(),
        1,
        &[(libc::EIO, Outcome::Nothing, true)],
        Leave::Many,
    ));
    must(hurt_all(
        &small(),
        3,
        &[(libc::ENOSPC, Outcome::Torn, true)],
        Leave::Many,
    ));
}

#[test]
fn every_call_may_fail_where_commits_flush_by_themselves() {
    let ways = [
        (libc::EIO, Outcome::Nothing, false),
        (libc::ENOSPC, Outcome::Torn, false),
    ];
    must(hurt_all(&super::crash::tiny(), 2, &ways, Leave::Many));
}

#[test]
#[ignore = "minutes: cargo test --release --lib engine::tests::faults::long -- --ignored --nocapture"]
fn long_every_call_every_errno_once_and_for_ever() {
    for options in [small(), super::crash::tiny()] {
        for errno in ERRNOS {
            for outcome in OUTCOMES {
                must(hurt_all(
                    &options,
                    1,
                    &[(errno, outcome, false), (errno, outcome, true)],
                    Leave::Many,
                ));
            }
        }
    }
}
