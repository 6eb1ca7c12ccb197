//! A repair that dies at any call, or of which any call fails, can be repeated
//! and saves the same, also where both copies of the manifest are lost, and lost
//! again.

use std::sync::Arc;

use super::lab::{Op, World};
use super::{Model, cells, minute, name, open, small};
use crate::engine::batch::Batch;
use crate::engine::repair::repair_on;
use crate::engine::store::Store;
use crate::error::ErrorKind;
use crate::limits::MINUTES_PER_BUCKET;
use crate::model::{Kind, Metric};
use crate::storage::sim_disk::{Call, Fault, Outcome, SimDisk};

/// A store with segments and a log, closed.
fn filled() -> SimDisk {
    let mut world = World::new(1, &small());
    for op in [
        Op::Commit,
        Op::Flush,
        Op::Late,
        Op::Commit,
        Op::Flush,
        Op::Commit,
        Op::Late,
        Op::Reopen,
    ] {
        world.run(op).unwrap();
    }
    world.store.take().unwrap().close().unwrap();
    world.disk.kill()
}

/// Flips a byte of each copy.
fn lose_manifest(disk: &SimDisk) {
    let half = disk.content("MANIFEST").unwrap().len() / 2;
    for at in [40, half + 40] {
        disk.flip_bit("MANIFEST", at as u64 * 8).unwrap();
    }
}

/// What is damaged: parts of names, and where.
type Hurt = &'static [(&'static str, usize)];

const HURTS: [Hurt; 5] = [
    &[("wal-", 100)],
    &[("segment-", 400)],
    &[("MANIFEST", 0)],
    &[("MANIFEST", 0), ("segment-", 400)],
    &[("MANIFEST", 0), ("wal-", 100)],
];

/// The file of that sort that is hurt.
fn victim(disk: &SimDisk, file: &str) -> String {
    let mut names = disk.names();
    names.retain(|name| name.starts_with(file));
    match file {
        // The newest is empty.
        "wal-" => names.swap_remove(0),
        _ => names.pop().unwrap(),
    }
}

fn damaged(hurt: Hurt) -> SimDisk {
    let disk = filled();
    for (file, at) in hurt {
        match *file {
            "MANIFEST" => lose_manifest(&disk),
            _ => disk.flip_bit(&victim(&disk, file), *at as u64 * 8).unwrap(),
        }
    }
    disk.put("LOCK", &[]);
    disk
}

fn mended(disk: &SimDisk) -> Model {
    repair_on(disk).unwrap();
    let again = repair_on(disk).unwrap();
    assert!(again.damage.is_empty(), "{:?}", again.damage);
    cells(&open(disk).unwrap().snapshot()).unwrap()
}

/// Whether what was damaged is there still, in its own name or aside.
fn kept(disk: &SimDisk, hurt: Hurt, before: &SimDisk) -> bool {
    hurt.iter().all(|(file, _)| {
        let damaged = before.content(&victim(before, file)).unwrap();
        let names = disk.names();
        names
            .iter()
            .any(|name| disk.content(name).unwrap() == damaged)
    })
}

#[test]
fn a_repair_that_dies_at_any_call_is_repeated_and_saves_the_same() {
    let mut states = 0;
    for hurt in HURTS {
        let before = damaged(hurt);
        let saved = mended(&before.kill());
        assert!(!saved.is_empty());
        let rebuilt = hurt[0].0 == "MANIFEST";
        let disk = before.kill();
        disk.start_recording();
        repair_on(&disk).unwrap();
        for point in disk.take_recording() {
            let mut left = vec![point.disk.kill()];
            left.extend([0, u64::MAX].map(|subset| point.disk.crash_with_subset(subset)));
            left.extend((0..4).map(|seed| point.disk.crash_random(seed)));
            for disk in left {
                states += 1;
                let say = format!("{hurt:?}, dead at call {}", point.call);
                if rebuilt {
                    // The one it may have written is lost as well.
                    let disk = disk.kill();
                    if repair_on(&disk.kill()).unwrap().damage.is_empty() {
                        lose_manifest(&disk);
                    }
                    assert_eq!(mended(&disk), saved, "{say}, and lost again");
                }
                assert_eq!(mended(&disk), saved, "{say}");
                assert!(kept(&disk, hurt, &before), "{say}: {:?}", disk.names());
            }
        }
    }
    eprintln!("{states} disks left by dead repairs");
}

/// A refused call is no damage: nothing is set aside for it.
#[test]
pub fn a_repair_of_which_any_call_fails_refuses_or_saves_the_same() {
    let mut faults = 0;
    let mut refused = 0;
    for hurt in HURTS {
        let before = damaged(hurt);
        let saved = mended(&before.kill());
        let sound = before.kill();
        repair_on(&sound).unwrap();
        for call in 0..sound.calls() {
            for (errno, outcome, forever) in [
                (libc::EIO, Outcome::Nothing, false),
                (libc::EIO, Outcome::DROPS, false),
                (libc::EIO, Outcome::Everything, false),
                (libc::EMFILE, Outcome::Nothing, true),
                (libc::EACCES, Outcome::Nothing, false),
                (libc::ENOSPC, Outcome::Torn, true),
            ] {
                faults += 1;
                let disk = before.kill();
                let fault = Fault::on(&Call::ALL).after(call).errno(errno);
                let fault = fault.outcome(outcome);
                disk.inject(if forever { fault.forever() } else { fault });
                let done = repair_on(&disk);
                disk.heal();
                let say = format!("{hurt:?}, call {call}, errno {errno}, {outcome:?}: {done:?}");
                if let Err(error) = &done {
                    refused += 1;
                    let known = [ErrorKind::Io, ErrorKind::StorageFull];
                    assert!(known.contains(&error.kind()), "{say}");
                }
                for disk in [disk.kill(), disk.crash_with_subset(0)] {
                    assert_eq!(mended(&disk), saved, "{say}");
                    assert!(kept(&disk, hurt, &before), "{say}: {:?}", disk.names());
                }
            }
        }
    }
    eprintln!("{faults} calls of repairs failed, {refused} repairs refused");
}

/// A manifest that is rebuilt knows the metrics of every segment, or is none: a segment
/// that is refused for a moment does not take its metric along.
#[test]
fn a_rebuild_of_which_any_call_fails_forgets_no_metric() {
    let before = SimDisk::new(1);
    let store = Store::open_on(Arc::new(before.clone()), small()).unwrap();
    for (metric, bucket) in [("crashes", 0), ("hangs", 1)] {
        let defined = Metric::new(name(metric), Kind::Counter);
        store.define_metric(&defined).unwrap();
        let series = store.series("a", "all", metric).unwrap();
        let mut batch = Batch::new();
        batch.add(series, minute(bucket * MINUTES_PER_BUCKET), 1);
        store.commit(batch).unwrap();
        store.flush().unwrap();
    }
    store.close().unwrap();
    let before = before.kill();
    lose_manifest(&before);
    let sound = before.kill();
    repair_on(&sound).unwrap();
    for call in 0..sound.calls() {
        let disk = before.kill();
        disk.inject(Fault::on(&Call::ALL).after(call).errno(libc::EIO));
        let done = repair_on(&disk);
        disk.heal();
        if done.is_err() {
            repair_on(&disk).unwrap();
        }
        let store = Store::open_on(Arc::new(disk), small()).unwrap();
        let snapshot = store.snapshot();
        let metrics = snapshot.catalogue().metrics();
        let names: Vec<_> = metrics.map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["crashes", "hangs"], "call {call}");
    }
}

/// What a flush or merge that died leaves must not be taken for all of it.
#[test]
pub fn a_rebuild_after_a_death_finds_everything() {
    let mut states = 0;
    for ops in [
        &[Op::Commit, Op::Late, Op::Flush][..],
        &[Op::Late, Op::Flush, Op::Commit, Op::Late, Op::Flush],
        &[Op::Late, Op::Flush, Op::Commit, Op::Flush, Op::Compact],
        &[Op::Late, Op::Commit, Op::Reopen],
    ] {
        let mut world = World::new(1, &small());
        for (index, op) in ops.iter().enumerate() {
            if index + 1 == ops.len() {
                world.disk.start_recording();
            }
            world.run(*op).unwrap();
        }
        for point in world.disk.take_recording() {
            let mut left = vec![point.disk.kill()];
            left.extend([0, u64::MAX].map(|subset| point.disk.crash_with_subset(subset)));
            left.extend((0..3).map(|seed| point.disk.crash_random(seed)));
            for disk in left {
                states += 1;
                let expected = cells(&open(&disk.kill()).unwrap().snapshot()).unwrap();
                lose_manifest(&disk);
                let say = format!("{ops:?}, dead at call {}", point.call);
                assert_eq!(mended(&disk), expected, "{say}");
                let offset = open(&disk).unwrap().committed_offset("source");
                // Those in segments alone are not known any more.
                assert!(offset <= Some(world.sent() as u64), "{say}");
            }
        }
    }
    eprintln!("{states} disks rebuilt after a death");
}
