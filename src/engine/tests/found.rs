//! What the crash and fault tests found in the engine, one test a finding.

use std::sync::Arc;
use std::time::Duration;

use super::{Write, batch, cells, minute, name, open, small};
use crate::engine::batch::Batch;
use crate::engine::options::Durability;
use crate::engine::reader::Reader;
use crate::engine::store::Store;
use crate::error::ErrorKind;
use crate::model::{Kind, Metric};
use crate::storage::sim_disk::{Call, Change, Fate, Fault, Outcome, SimDisk, Unsynced};

fn one(minute: u32) -> Write {
    Write {
        release: 0,
        metric: 0,
        minute,
        value: 1,
    }
}

fn commit(store: &Store, minute: u32) -> crate::Result<crate::Receipt> {
    let mut batch = batch(store, &[one(minute)]);
    batch.stamp(&name("source"), u64::from(minute));
    store.commit(batch)
}

fn buffered(disk: &SimDisk) -> Store {
    let options = small().durability(Durability::Buffered {
        interval: Duration::from_secs(3_600),
    });
    let store = Store::open_on(Arc::new(disk.clone()), options).unwrap();
    let metric = Metric::new(name("crashes"), Kind::Counter);
    store.define_metric(&metric).unwrap();
    store
}

#[test]
fn what_a_recovery_has_counted_survives_a_power_cut() {
    // Also where the failed sync has dropped the pages, so that a later one
    // succeeds without writing them.
    for outcome in [Outcome::Nothing, Outcome::DROPS] {
        let disk = SimDisk::new(1);
        let store = open(&disk).unwrap();
        let fault = Fault::on(&[Call::Sync]).in_file("wal-").outcome(outcome);
        disk.inject(fault);
        commit(&store, 1).unwrap_err();
        let disk = disk.kill();
        let store = open(&disk).unwrap();
        assert_eq!(store.committed_offset("source"), Some(1));
        let store = open(&disk.crash_with_subset(0)).unwrap();
        assert_eq!(store.committed_offset("source"), Some(1));
        assert_eq!(cells(&store.snapshot()).unwrap().len(), 1);
    }
}

#[test]
fn stamps_alone_are_recovered_for_good_too() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    disk.inject(Fault::on(&[Call::Sync]).in_file("wal-"));
    let mut batch = Batch::new();
    batch.stamp(&name("source"), 9);
    store.commit(batch).unwrap_err();
    let disk = disk.kill();
    assert_eq!(open(&disk).unwrap().committed_offset("source"), Some(9));
    let after = open(&disk.crash_with_subset(0)).unwrap();
    assert_eq!(after.committed_offset("source"), Some(9));
}

#[test]
pub fn nothing_is_appended_to_a_log_whose_successor_may_come_back() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    commit(&store, 1).unwrap();
    // The new log's name is durable, and the store is told it is not.
    disk.inject(Fault::on(&[Call::SyncDir]).outcome(Outcome::Everything));
    store.flush().unwrap_err();
    commit(&store, 2).unwrap();
    let cut = disk.crash(&mut |effect: &Unsynced| match effect.change {
        Change::Remove => Fate::Lost,
        _ => Fate::Whole,
    });
    let store = open(&cut).unwrap();
    assert_eq!(store.committed_offset("source"), Some(2));
    assert_eq!(cells(&store.snapshot()).unwrap().len(), 2);
}

#[test]
pub fn a_renaming_that_failed_and_happened_is_not_taken_for_undone() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    commit(&store, 1).unwrap();
    let fault = Fault::on(&[Call::Rename]).outcome(Outcome::Everything);
    disk.inject(fault.in_file("MANIFEST"));
    store.retain_before(minute(100)).unwrap_err();
    // Below the floor that a reopening will find.
    assert_eq!(commit(&store, 50).unwrap_err().kind(), ErrorKind::Poisoned);
    // One that did not happen is no reason to stop.
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    disk.inject(Fault::on(&[Call::Rename]).in_file("MANIFEST"));
    store.retain_before(minute(100)).unwrap_err();
    commit(&store, 50).unwrap();
    drop(store);
    assert_eq!(cells(&open(&disk).unwrap().snapshot()).unwrap().len(), 1);
}

#[test]
pub fn a_flush_or_merge_that_fails_leaves_no_segments_behind() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    let segments = || {
        disk.names()
            .iter()
            .filter(|name| name.contains("segment-"))
            .count()
    };
    for round in 1..3 {
        commit(&store, round).unwrap();
        let full = Fault::on(&[Call::Create]).in_file("MANIFEST");
        disk.inject(full.errno(libc::ENOSPC).forever());
        for _ in 0..3 {
            assert_eq!(store.flush().unwrap_err().kind(), ErrorKind::StorageFull);
        }
        assert_eq!(segments(), round as usize - 1);
        disk.heal();
        store.flush().unwrap();
    }
    let full = Fault::on(&[Call::Create]).in_file("MANIFEST");
    disk.inject(full.errno(libc::ENOSPC).forever());
    store.compact().unwrap_err();
    assert_eq!(segments(), 2);
    disk.heal();
    store.compact().unwrap();
    assert_eq!(segments(), 1);
}

#[test]
fn a_batch_refused_for_its_size_costs_no_buffered_one() {
    let disk = SimDisk::new(1);
    let store = buffered(&disk);
    commit(&store, 1).unwrap();
    let mut large = Batch::new();
    for index in 0..34_000 {
        // Names are what makes a frame large.
        let own = format!("{index:01020}");
        let series = store.series(&own, &own, "crashes").unwrap();
        large.add(series, minute(1), 1);
    }
    assert_eq!(
        store.commit(large).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    commit(&store, 2).unwrap();
    let cut = disk.crash_with_subset(0);
    let reader = Reader::open_on(Arc::new(cut.read_only())).unwrap();
    assert!(reader.warnings().is_empty(), "{:?}", reader.warnings());
    let found = buffered(&cut).committed_offset("source");
    assert_eq!(found, Some(1), "a suffix is lost, and no more");
}

#[test]
fn a_segment_that_does_not_open_is_left_alone() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    for round in 1..5 {
        commit(&store, round).unwrap();
        store.flush().unwrap();
    }
    store.close().unwrap();
    disk.lose("segment-0000000000000003.seg").unwrap();
    let store = open(&disk).unwrap();
    // The two before it are merged, once; nothing is tried over and over.
    let merges = (0..5)
        .take_while(|_| store.core.compact_step().unwrap())
        .count();
    assert_eq!(merges, 1);
    assert!(
        store.compact().is_err(),
        "what could not be merged is named"
    );
    assert_eq!(cells(&store.snapshot()).unwrap().len(), 3);
}

#[test]
fn a_failed_sync_is_seen_by_whoever_syncs_next() {
    let disk = SimDisk::new(1);
    let store = buffered(&disk);
    commit(&store, 1).unwrap();
    let pending = store.core.log.lock().wal.as_ref().unwrap().pending_sync();
    disk.inject(Fault::on(&[Call::Sync]).outcome(Outcome::DROPS));
    // As the thread that syncs does it, which poisons the store only then.
    pending.run().unwrap_err();
    assert!(
        store.sync().is_err(),
        "the pages are gone: this would be a lie"
    );
}
