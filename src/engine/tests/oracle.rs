//! The oracle: what must hold of a disk that a process left behind.

use std::sync::Arc;

use super::deeds::{count_definitions, model, open_with, record, send, source, writes};
use super::lab::{DROPPED, Expected};
use super::{METRICS, Model, apply, cells};
use crate::engine::audit;
use crate::engine::options::Durability;
use crate::engine::reader::Reader;
use crate::error::{Error, ErrorKind};
use crate::model::Kind;
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
    if store.source("source") != source(count) {
        return Err(format!("{:?} of {count} batches", store.source("source")));
    }
    if !(expected.least..=expected.most).contains(&count) {
        let Expected { least, most, .. } = expected;
        return Err(format!("{count} batches, not {least} to {most}"));
    }
    let floor = store.snapshot().state.floor;
    if !expected.floors.contains(&floor) {
        return Err(format!("floor {floor}, not one of {:?}", expected.floors));
    }
    agrees(&recovered, expected, count, floor).map_err(|why| format!("recovered {why}"))?;
    let definitions = count_definitions(&store.snapshot().state.catalogue);
    let (least, most) = expected.definitions;
    if !(least..=most).contains(&definitions) {
        return Err(format!("{definitions} definitions, not {least} to {most}"));
    }
    let mut records = overrides(disk)?;
    let (granted, end) = &expected.overrides;
    let known = granted.iter().all(|index| records.contains(index));
    if !known || !records.is_sorted() || records.iter().any(|index| index >= end) {
        return Err(format!("overrides {records:?}, not {granted:?} of {end}"));
    }
    audit::append(disk, &record(*end)).map_err(say("recording another override"))?;
    records.push(*end);
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
    let mut wanted = recovered;
    for (index, late) in expected.kinds.iter().enumerate().take(all).skip(count) {
        let writes = writes(index, *late);
        let kept = writes.iter().filter(|write| write.minute >= floor);
        kept.for_each(|write| apply(&mut wanted, write));
    }
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
        let state = snapshot.state.sources.get("source").copied();
        if state != source(all) {
            return Err(format!("{what} recovery left {state:?} of {all} batches"));
        }
        let there = overrides(disk)?;
        let catalogue = &snapshot.state.catalogue;
        if there != records || count_definitions(catalogue) != definitions {
            return Err(format!(
                "{what} recovery left overrides {there:?}, or lost definitions"
            ));
        }
    }
    Ok(())
}

/// The records of the audit log, by their numbers.
fn overrides(disk: &SimDisk) -> Result<Vec<usize>, String> {
    let scan = audit::read(disk).map_err(|error| format!("reading the audit log: {error}"))?;
    if let Some(damage) = scan.damage {
        return Err(format!("the audit log is damaged: {damage:?}"));
    }
    Ok(scan
        .records
        .iter()
        .map(|record| record.at as usize)
        .collect())
}

/// Whether what is seen is the first `count` batches. Of a release that is
/// being dropped any part may be gone.
pub fn agrees(seen: &Model, expected: &Expected, count: usize, floor: u32) -> Result<(), String> {
    let Expected {
        kinds,
        dropped,
        dropping,
        ..
    } = expected;
    let most = model(kinds, count, floor, *dropped);
    let least = model(kinds, count, floor, *dropping);
    // By its weight a sum tells which batches are in it.
    let between = |key: &(usize, usize, u32), most: i128| {
        let (seen, least) = (seen.get(key).copied(), least.get(key).copied());
        match (seen, METRICS[key.1].1) {
            (None, _) => least.is_none(),
            (Some(seen), _) if seen == most || Some(seen) == least => true,
            (Some(_), _) if key.0 != DROPPED => false,
            (Some(seen), Kind::Gauge) => (*dropped..*dropping).any(|index| {
                let mut alone = Model::new();
                let late = kinds.get(index).copied().unwrap_or(false);
                writes(index, late)
                    .iter()
                    .for_each(|write| apply(&mut alone, write));
                least.is_none() && alone.get(key) == Some(&seen)
            }),
            (Some(seen), _) => {
                let (sure, may) = (least.unwrap_or(0), most - least.unwrap_or(0));
                (seen - sure) & !may == 0
            }
        }
    };
    let known = seen.keys().all(|key| most.contains_key(key));
    if known && most.iter().all(|(key, most)| between(key, *most)) {
        return Ok(());
    }
    Err(format!("{seen:?}, not {least:?} to {most:?}"))
}
