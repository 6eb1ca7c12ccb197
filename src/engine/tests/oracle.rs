//! The oracle: what must hold of a disk that a process left behind.

use std::sync::Arc;

use super::cells;
use super::lab::{Expected, model, open_with, send};
use crate::engine::options::Durability;
use crate::engine::reader::Reader;
use crate::error::{Error, ErrorKind};
use crate::storage::sim_disk::SimDisk;

/// Reads and opens the disk, sends everything again, twice, and cuts the power
/// once more.
pub fn check(disk: &SimDisk, expected: &Expected) -> Result<(), String> {
    let say = |doing: &'static str| move |error: Error| format!("{doing}: {error}");
    let seen = match Reader::open_on(Arc::new(disk.read_only())) {
        Err(error) if error.kind() == ErrorKind::NotAStore && !expected.opened => None,
        Err(error) => return Err(format!("a reader is refused: {error}")),
        Ok(reader) => {
            let found = reader.verify().map_err(say("verifying"))?;
            if !found.is_sound() || !reader.warnings().is_empty() {
                return Err(format!(
                    "damage: {:?} {:?}",
                    found.damage,
                    reader.warnings()
                ));
            }
            Some(cells(&reader.snapshot().map_err(say("reading"))?).map_err(say("reading"))?)
        }
    };
    let store = open_with(disk, &expected.options).map_err(say("opening"))?;
    let recovered = cells(&store.snapshot()).map_err(say("reading what was recovered"))?;
    if seen.is_some_and(|seen| seen != recovered) {
        return Err("a reader and a writer recover differently".to_owned());
    }
    let count = store.committed_offset("source").unwrap_or(0) as usize;
    if !(expected.least..=expected.most).contains(&count) {
        let Expected { least, most, .. } = expected;
        return Err(format!("{count} batches, not {least} to {most}"));
    }
    let floor = store.snapshot().state.floor;
    if !expected.floors.contains(&floor) {
        return Err(format!("floor {floor}, not one of {:?}", expected.floors));
    }
    let wanted = model(&expected.kinds, count, floor);
    if recovered != wanted {
        return Err(format!("recovered {recovered:?}, not {wanted:?}"));
    }
    // Sent again, twice: each counts once, and what is answered is durable.
    let all = expected.most;
    for round in 0..2 {
        for (index, late) in expected.kinds.iter().take(all).enumerate() {
            let receipt = send(&store, index, *late).map_err(say("sending again"))?;
            if receipt.already_applied != (index < count || round > 0) {
                return Err(format!("batch {index}: {receipt:?} of {count}"));
            }
        }
    }
    let wanted = model(&expected.kinds, all, floor);
    if cells(&store.snapshot()).map_err(say("reading"))? != wanted {
        return Err("sums differ after all was sent again".to_owned());
    }
    if expected.options.durability != Durability::Sync {
        store.sync().map_err(say("syncing"))?;
    }
    let cut = disk.crash_with_subset(0);
    drop(store);
    for (disk, what) in [
        (&cut, "a power cut after"),
        (&disk.kill(), "the close after"),
    ] {
        let reader = Reader::open_on(Arc::new(disk.read_only()))
            .map_err(|error| format!("{what} recovery: {error}"))?;
        let snapshot = reader.snapshot().map_err(say("reading"))?;
        let seen = cells(&snapshot).map_err(say("reading"))?;
        if seen != wanted || !reader.warnings().is_empty() {
            let warnings = reader.warnings();
            return Err(format!(
                "{what} recovery left {seen:?}, not {wanted:?} {warnings:?}"
            ));
        }
    }
    Ok(())
}
