//! A repair that dies at any call can be repeated, and saves the same, as long
//! as a copy of the manifest is whole.

use super::lab::{Op, World};
use super::{Model, cells, open, small};
use crate::engine::repair::repair_on;
use crate::storage::sim_disk::SimDisk;

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

fn damaged(file: &str, at: usize) -> SimDisk {
    let disk = filled();
    let names = disk.names();
    let name = names.iter().rfind(|name| name.starts_with(file)).unwrap();
    let name = match file {
        // The newest is empty.
        "wal-" => names.iter().find(|name| name.starts_with(file)).unwrap(),
        _ => name,
    };
    disk.flip_bit(name, at as u64 * 8).unwrap();
    disk.put("LOCK", &[]);
    disk
}

fn mended(disk: &SimDisk) -> Model {
    repair_on(disk).unwrap();
    let again = repair_on(disk).unwrap();
    assert!(again.damage.is_empty(), "{:?}", again.damage);
    cells(&open(disk).unwrap().snapshot()).unwrap()
}

#[test]
fn a_repair_that_dies_at_any_call_is_repeated_and_saves_the_same() {
    let mut states = 0;
    for (file, at) in [("wal-", 100), ("segment-", 400)] {
        let saved = mended(&damaged(file, at));
        assert!(!saved.is_empty());
        let disk = damaged(file, at);
        disk.start_recording();
        repair_on(&disk).unwrap();
        for point in disk.take_recording() {
            let mut left = vec![point.disk.kill()];
            left.extend([0, u64::MAX].map(|subset| point.disk.crash_with_subset(subset)));
            left.extend((0..4).map(|seed| point.disk.crash_random(seed)));
            for disk in left {
                states += 1;
                assert_eq!(mended(&disk), saved, "{file}, dead at call {}", point.call);
            }
        }
    }
    eprintln!("{states} disks left by dead repairs");
}
