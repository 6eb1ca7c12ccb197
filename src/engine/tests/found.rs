//! What the crash and fault tests found in the engine, one test a finding.

use std::sync::Arc;
use std::time::Duration;

use super::{Write, batch, cells, minute, name, open, small};
use crate::engine::batch::Batch;
use crate::engine::options::Durability;
use crate::engine::reader::Reader;
use crate::engine::repair::repair_on;
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

/// A store that syncs when it is told to, and not before.
pub(super) fn buffered(disk: &SimDisk) -> Store {
    let buffered = Durability::Buffered {
        interval: Duration::from_secs(3_600),
    };
    // Room for names that make a frame too large.
    let options = small().durability(buffered).memory_budget(256 << 20);
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

/// A process with too many files open was without the segment until it opened the
/// store again.
#[test]
fn a_segment_of_which_a_call_was_refused_is_opened_again() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    commit(&store, 1).unwrap();
    store.close().unwrap();
    let refuse = |times| disk.inject(Fault::on(&[Call::Open]).in_file(".seg").times(times));
    let store = open(&disk).unwrap();
    store.flush().unwrap();
    store.close().unwrap();
    refuse(2);
    let store = open(&disk).unwrap();
    assert_eq!(store.recovered().warnings.len(), 1);
    // Refused once more; then whatever kept it has passed.
    assert!(store.snapshot().state.segments.is_empty());
    assert_eq!(cells(&store.snapshot()).unwrap().len(), 1);
    assert!(store.snapshot().state.broken.is_empty());
    store.compact().unwrap();
    store.close().unwrap();
    refuse(2);
    let reader = Reader::open_on(Arc::new(disk.read_only())).unwrap();
    assert_eq!(reader.warnings().len(), 1);
    assert!(reader.snapshot().unwrap().state.segments.is_empty());
    assert_eq!(cells(&reader.snapshot().unwrap()).unwrap().len(), 1);
    assert!(reader.warnings().is_empty());
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

/// Every step there is, a repair and a backup: no call removes a lock.
#[test]
fn the_locks_are_never_removed() {
    let mut world = super::lab::World::new(1, &small());
    world.disk.start_trace();
    for op in super::lab::OPS.into_iter().cycle().take(33) {
        world.run(op).unwrap();
    }
    world.store.take().unwrap().close().unwrap();
    let half = world.disk.content("MANIFEST").unwrap().len() as u64 / 2;
    for at in [40, half + 40] {
        world.disk.flip_bit("MANIFEST", at * 8).unwrap();
    }
    assert!(!repair_on(&world.disk).unwrap().damage.is_empty());
    let trace = world.disk.take_trace();
    let touched = |call: Call, file: &str| {
        let own = trace.iter().filter(|traced| traced.call == call);
        own.filter(|traced| traced.file == file).count()
    };
    for lock in [crate::engine::open::LOCK, crate::engine::audit::LOCK] {
        assert!(touched(Call::Lock, lock) > 0);
        for call in [Call::Remove, Call::Rename, Call::Create] {
            assert_eq!(touched(call, lock), 0, "{lock} {call:?}");
        }
    }
}

/// Neither a rebuild nor an opening takes it for one of its own.
#[test]
fn a_segment_of_another_store_is_left_alone() {
    let other = SimDisk::new(2);
    let store = open(&other).unwrap();
    commit(&store, 9).unwrap();
    store.flush().unwrap();
    store.close().unwrap();
    let foreign = other.content("segment-0000000000000001.seg").unwrap();
    for number in [1, 2, 99] {
        let disk = SimDisk::new(1);
        let store = open(&disk).unwrap();
        for round in 1..4 {
            commit(&store, round).unwrap();
            store.flush().unwrap();
        }
        store.compact().unwrap();
        store.close().unwrap();
        let name = crate::storage::segment::segment_file_name(number);
        disk.put(&name, &foreign);
        drop(open(&disk).unwrap());
        assert_eq!(disk.content(&name).unwrap(), foreign);
        let half = disk.content("MANIFEST").unwrap().len() as u64 / 2;
        for at in [40, half + 40] {
            disk.flip_bit("MANIFEST", at * 8).unwrap();
        }
        repair_on(&disk).unwrap();
        let store = open(&disk).unwrap();
        assert_eq!(
            cells(&store.snapshot()).unwrap().len(),
            3,
            "number {number}"
        );
        let kept = disk.names();
        let mut kept = kept.iter().map(|name| disk.content(name).unwrap());
        assert!(kept.any(|content| content == foreign), "number {number}");
    }
}

/// It holds a commit that the power cut took from the log, and whose number is
/// given out again.
#[test]
fn a_segment_that_was_never_named_is_gone_before_the_next_commit() {
    let disk = SimDisk::new(1);
    let store = buffered(&disk);
    commit(&store, 1).unwrap();
    disk.inject(Fault::on(&[Call::Create]).in_file("MANIFEST").dying());
    store.flush().unwrap_err();
    // The segment is durable, the log behind it is as well: what a cut takes
    // here stands for any suffix.
    let left = disk.kill();
    assert!(left.names().iter().any(|name| name.ends_with(".seg")));
    drop(store);
    let log = "wal-0000000000000002.log";
    left.truncate(log, crate::format::wal::HEADER_BYTES)
        .unwrap();
    left.lose("wal-0000000000000003.log").unwrap();
    left.lose("published").unwrap();
    let store = open(&left).unwrap();
    assert_eq!(store.committed_offset("source"), None);
    let names = left.names();
    assert!(
        !names.iter().any(|name| name.ends_with(".seg")),
        "{names:?}"
    );
}

/// The sync of an override fails and drops its page: what is recorded behind it
/// must not have a hole before it.
#[test]
fn an_override_that_failed_leaves_no_hole() {
    let disk = SimDisk::new(1);
    let record = super::deeds::record;
    crate::engine::audit::append(&disk, &record(0)).unwrap();
    disk.inject(Fault::on(&[Call::Sync]).outcome(Outcome::DROPS));
    crate::engine::audit::append(&disk, &record(1)).unwrap_err();
    crate::engine::audit::append(&disk, &record(2)).unwrap();
    let scan = crate::engine::audit::read(&disk.crash_with_subset(0)).unwrap();
    assert_eq!(scan.damage, None);
    assert_eq!(scan.records, [record(0), record(2)]);
}

#[test]
fn a_damaged_override_is_mended() {
    let disk = SimDisk::new(1);
    drop(open(&disk).unwrap());
    let record = super::deeds::record;
    for index in 0..3 {
        crate::engine::audit::append(&disk, &record(index)).unwrap();
    }
    let length = record(0).encode().len() as u64;
    disk.flip_bit("audit.log", (length + 9) * 8).unwrap();
    let repair = repair_on(&disk).unwrap();
    assert_eq!(repair.damage.len(), 1, "{:?}", repair.damage);
    let scan = crate::engine::audit::read(&disk).unwrap();
    assert_eq!(
        (scan.damage, scan.records),
        (None, vec![record(0), record(2)])
    );
    assert!(disk.names().contains(&"audit.log.damaged-1".to_owned()));
    assert!(repair_on(&disk).unwrap().damage.is_empty());
}

/// Killed while it made a log, then the power goes while the next life makes
/// one: names of both are in doubt, and the later may outlive the earlier.
#[test]
pub fn a_log_whose_name_may_not_last_is_not_followed() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    commit(&store, 1).unwrap();
    disk.start_recording();
    store.flush().unwrap();
    let mut states = 0;
    for point in disk.take_recording() {
        let killed = point.disk.kill();
        killed.start_recording();
        drop(open(&killed).unwrap());
        for point in killed.take_recording() {
            // Of names only the youngest, of content all.
            let created = |effect: &Unsynced| matches!(effect.change, Change::Create);
            let last = point.disk.unsynced().iter().rposition(created);
            let mut index = 0;
            let cut = point.disk.crash(&mut |effect: &Unsynced| {
                index += 1;
                match created(effect) && last != Some(index - 1) {
                    true => Fate::Lost,
                    false => Fate::Whole,
                }
            });
            states += 1;
            let reader = Reader::open_on(Arc::new(cut.read_only())).unwrap();
            assert!(reader.warnings().is_empty(), "{:?}", reader.warnings());
            let store = open(&cut).unwrap();
            assert_eq!(store.committed_offset("source"), Some(1));
        }
    }
    assert!(states > 50, "{states}");
}
