//! The medium fills up: at every size, typed errors, reads go on, nothing
//! acknowledged is lost, and writes resume by themselves once there is room.

use super::lab::{Op, World};
use super::oracle::check;
use super::small;
use crate::engine::options::Options;
use crate::error::ErrorKind;

const WORKLOAD: [Op; 15] = [
    Op::Commit,
    Op::Late,
    Op::Flush,
    Op::Commit,
    Op::Late,
    Op::Flush,
    Op::Commit,
    Op::Compact,
    Op::Retain,
    Op::Define,
    Op::Late,
    Op::Override,
    Op::Flush,
    Op::Drop,
    Op::Commit,
];

/// Runs the workload in `capacity` bytes, then with room again. Says whether
/// anything was refused.
fn squeeze(options: &Options, capacity: u64) -> Result<bool, String> {
    let mut world = World::new(5, options);
    world.disk.set_capacity(Some(capacity));
    let mut refused = 0;
    for op in WORKLOAD {
        if let Err(error) = world.run(op) {
            refused += 1;
            if error.kind() != ErrorKind::StorageFull {
                return Err(format!("{op:?}: {error:?}"));
            }
        }
        world
            .check_live()
            .map_err(|why| format!("after {op:?}: {why}"))?;
    }
    // Failing over and over takes no room.
    if world.store.is_some() {
        let _ = world.run(Op::Flush);
        let used = world.disk.used();
        for _ in 0..3 {
            let _ = world.run(Op::Flush);
            let _ = world.run(Op::Compact);
        }
        // A flush that succeeds at last may trade a log for segments.
        if world.disk.used() > used + 1_024 {
            return Err(format!(
                "{used} bytes grew to {} by failing",
                world.disk.used()
            ));
        }
    }
    let expected = world.history.expected(world.disk.calls(), true, options);
    for disk in [
        world.disk.kill(),
        world.disk.crash_with_subset(0),
        world.disk.crash_random(1),
    ] {
        disk.set_capacity(None);
        check(&disk, &expected).map_err(|why| format!("left behind: {why}"))?;
    }
    // Without a reopening: the same store goes on.
    world.disk.set_capacity(None);
    for op in WORKLOAD {
        world
            .run(op)
            .map_err(|error| format!("with room again, {op:?}: {error}"))?;
        world
            .check_live()
            .map_err(|why| format!("with room again, {op:?}: {why}"))?;
    }
    let expected = world.history.expected(world.disk.calls(), true, options);
    check(&world.disk.crash_with_subset(0), &expected)
        .map_err(|why| format!("at the end: {why}"))?;
    Ok(refused > 0)
}

/// Every capacity in steps, until nothing is refused any more.
pub fn squeeze_all(options: &Options, step: u64) -> Result<u64, String> {
    let mut sizes = 0;
    for capacity in (0..).step_by(step as usize) {
        sizes += 1;
        if !squeeze(options, capacity).map_err(|why| format!("{capacity} bytes: {why}"))? {
            break;
        }
    }
    eprintln!("{sizes} sizes in steps of {step} bytes");
    Ok(sizes)
}

#[test]
fn a_medium_of_any_size_loses_nothing_and_writes_resume() {
    for options in [small(), super::crash::tiny()] {
        if let Err(why) = squeeze_all(&options, 96) {
            panic!("{why}");
        }
    }
}
