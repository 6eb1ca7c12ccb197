//! Hurt stores: found, named, contained, mended.

use std::sync::Arc;

use super::{METRICS, Model, RELEASES, Write, apply, batch, cells, name, open, read, small};
use crate::engine::reader::Reader;
use crate::engine::repair::repair_on;
use crate::engine::store::Store;
use crate::error::ErrorKind;
use crate::format::wal::HEADER_BYTES;
use crate::storage::sim_disk::SimDisk;

/// Batches that define new series each, so that later frames rely on earlier ones.
fn writes(round: u32) -> Vec<Write> {
    (0..METRICS.len())
        .map(|metric| Write {
            release: (round % 3) as usize,
            metric,
            minute: 1_000 + round * 7,
            value: u64::from(round) + 1,
        })
        .collect()
}

fn filled(disk: &SimDisk, rounds: std::ops::Range<u32>) -> Model {
    let store = open(disk).unwrap();
    let mut model = cells(&store.snapshot()).unwrap();
    for round in rounds {
        let writes = writes(round);
        let mut batch = batch(&store, &writes);
        batch.stamp(&name("source"), u64::from(round) + 1);
        store.commit(batch).unwrap();
        writes.iter().for_each(|write| apply(&mut model, write));
    }
    store.close().unwrap();
    model
}

fn only(disk: &SimDisk, part: &str) -> String {
    let mut names: Vec<String> = disk.names();
    names.retain(|name| name.starts_with(part) && disk.content(name).unwrap().len() > HEADER_BYTES);
    assert_eq!(names.len(), 1, "{names:?}");
    names.remove(0)
}

#[test]
fn a_sound_store_is_left_as_it_is() {
    let disk = SimDisk::new(1);
    let model = filled(&disk, 0..5);
    let before: Vec<_> = disk
        .names()
        .iter()
        .map(|name| disk.content(name).unwrap())
        .collect();
    let repair = repair_on(&disk).unwrap();
    assert!(repair.damage.is_empty());
    let after: Vec<_> = disk
        .names()
        .iter()
        .map(|name| disk.content(name).unwrap())
        .collect();
    assert_eq!(before, after);
    assert_eq!(read(&disk), model);
}

#[test]
fn damage_in_the_middle_of_a_log_costs_its_frame_alone() {
    let disk = SimDisk::new(1);
    let model = filled(&disk, 0..20);
    let log = only(&disk, "wal-");
    let length = disk.content(&log).unwrap().len();
    let mut costs = std::collections::BTreeSet::new();
    for at in (HEADER_BYTES..length).step_by(13) {
        let disk = disk.kill();
        disk.flip_bit(&log, at as u64 * 8 + 3).unwrap();
        let seen = read(&disk);
        let lost = model.len() - seen.len();
        costs.insert(lost);
        for (key, value) in &seen {
            assert_eq!(model[key], *value, "a wrong value after a flip at {at}");
        }
        let reader = Reader::open_on(Arc::new(disk.read_only())).unwrap();
        let found = reader.verify().unwrap();
        assert_eq!(found.damage.len(), 1, "at {at}");
        assert_eq!(found.damage[0].file, log);
        assert!(found.damage[0].offset <= at as u64);
        assert!(!reader.warnings().is_empty());
        let refused = Store::open_on(Arc::new(disk.clone()), small()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corruption);
        let repair = repair_on(&disk).unwrap();
        assert!(
            repair
                .actions
                .iter()
                .any(|action| action.contains("source")),
            "{repair:?}"
        );
        assert_eq!(cells(&open(&disk).unwrap().snapshot()).unwrap(), seen);
        assert!(
            disk.names().iter().any(|name| name.contains("damaged")),
            "kept aside"
        );
        let again = Reader::open_on(Arc::new(disk.read_only()))
            .unwrap()
            .verify()
            .unwrap();
        assert!(again.is_sound(), "{:?}", again.damage);
    }
    assert_eq!(costs, [METRICS.len()].into(), "one batch each");
}

#[test]
fn a_torn_tail_is_dropped_and_counted_after_a_crash_alone() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    let mut lengths = Vec::new();
    let mut models = vec![Model::new()];
    for round in 0..6 {
        let writes = writes(round);
        store.commit(batch(&store, &writes)).unwrap();
        let mut model = models[round as usize].clone();
        writes.iter().for_each(|write| apply(&mut model, write));
        models.push(model);
        let log = disk
            .names()
            .into_iter()
            .filter(|name| name.starts_with("wal-"))
            .max()
            .unwrap();
        // Zeros are ahead of the frames: the file is longer.
        lengths.push((log.clone(), store.core.log.lock().last.1 as usize));
    }
    let crashed = disk.kill();
    drop(store);
    let (log, length) = lengths[5].clone();
    for cut in HEADER_BYTES..length {
        let disk = crashed.kill();
        disk.truncate(&log, cut).unwrap();
        let whole = lengths.iter().filter(|(_, end)| *end <= cut).count();
        assert_eq!(read(&disk), models[whole], "cut at {cut}");
        let store = open(&disk).unwrap();
        let good = if whole == 0 {
            HEADER_BYTES
        } else {
            lengths[whole - 1].1
        };
        let content = crashed.content(&log).unwrap();
        let zeros = content[good..cut]
            .iter()
            .rev()
            .take_while(|byte| **byte == 0);
        let torn = cut - good - zeros.count();
        assert_eq!(store.recovered().torn_bytes, torn as u64, "cut at {cut}");
        assert_eq!(cells(&store.snapshot()).unwrap(), models[whole]);
    }
}

#[test]
fn a_sealed_log_cut_short_is_damage() {
    let disk = SimDisk::new(1);
    filled(&disk, 0..6);
    let log = only(&disk, "wal-");
    let length = disk.content(&log).unwrap().len();
    disk.truncate(&log, length - 1).unwrap();
    let refused = Store::open_on(Arc::new(disk.clone()), small()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corruption);
    assert!(refused.to_string().contains(&log), "{refused}");
    repair_on(&disk).unwrap();
    assert_eq!(
        cells(&open(&disk).unwrap().snapshot()).unwrap().len(),
        5 * METRICS.len()
    );
}

#[test]
fn a_missing_file_is_never_an_empty_answer() {
    let disk = SimDisk::new(1);
    filled(&disk, 0..6);
    let log = only(&disk, "wal-");
    disk.lose(&log).unwrap();
    let refused = Store::open_on(Arc::new(disk.clone()), small()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corruption, "{refused}");

    let disk = SimDisk::new(2);
    let store = open(&disk).unwrap();
    store.commit(batch(&store, &writes(1))).unwrap();
    store.flush().unwrap();
    store.close().unwrap();
    let segment = only(&disk, "segment-");
    disk.lose(&segment).unwrap();
    let reader = Reader::open_on(Arc::new(disk.read_only())).unwrap();
    let found = reader.verify().unwrap();
    assert!(
        found.damage.iter().any(|damage| damage.file == segment),
        "{found:?}"
    );
    assert!(!reader.warnings().is_empty());
}

#[test]
fn a_lost_manifest_is_rebuilt_from_segments_that_describe_themselves() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    let mut model = Model::new();
    for round in 0..6 {
        let writes = writes(round);
        store.commit(batch(&store, &writes)).unwrap();
        writes.iter().for_each(|write| apply(&mut model, write));
        store.flush().unwrap();
    }
    store.compact().unwrap();
    let last = writes(9);
    store.commit(batch(&store, &last)).unwrap();
    last.iter().for_each(|write| apply(&mut model, write));
    store.close().unwrap();
    let manifest = disk.content("MANIFEST").unwrap();
    for both in [[40, manifest.len() / 2 + 40], [0, manifest.len() / 2]] {
        let disk = disk.kill();
        for at in both {
            disk.flip_bit("MANIFEST", at as u64 * 8).unwrap();
        }
        assert!(Reader::open_on(Arc::new(disk.read_only())).is_err());
        let repair = repair_on(&disk).unwrap();
        assert!(!repair.damage.is_empty());
        let store = Store::open_on(Arc::new(disk.clone()), small()).unwrap();
        assert_eq!(cells(&store.snapshot()).unwrap(), model);
        // Kinds came back with the cells, so writing goes on.
        store.series(RELEASES[0], "all", METRICS[0].0).unwrap();
    }
}

#[test]
fn every_byte_of_a_store_may_flip() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    let mut model = Model::new();
    for round in 0..4 {
        let writes = writes(round);
        store.commit(batch(&store, &writes)).unwrap();
        writes.iter().for_each(|write| apply(&mut model, write));
        if round == 2 {
            store.flush().unwrap();
        }
    }
    store.close().unwrap();
    for file in disk.names() {
        if ["LOCK", "published"].contains(&file.as_str()) {
            continue;
        }
        for at in 0..disk.content(&file).unwrap().len() {
            let disk = disk.kill();
            disk.flip_bit(&file, at as u64 * 8 + (at as u64 % 8))
                .unwrap();
            let reader = Reader::open_on(Arc::new(disk.read_only())).unwrap();
            let found = reader.verify().unwrap();
            assert!(!found.is_sound(), "{file} at {at}");
            assert!(
                found.damage.iter().any(|damage| damage.file == file),
                "{file} at {at}: {found:?}"
            );
            if let Ok(seen) = cells(&reader.snapshot().unwrap()) {
                assert!(
                    seen.iter().all(|(key, value)| model[key] == *value),
                    "{file} at {at}"
                );
            }
            repair_on(&disk).unwrap();
            let after = read(&disk);
            assert!(
                after.iter().all(|(key, value)| model[key] == *value),
                "{file} at {at}"
            );
            assert!(
                after.len() + METRICS.len() >= model.len(),
                "{file} at {at}: more than a batch or a page lost"
            );
        }
    }
}
