//! What a commit promises, one promise a test.

use std::sync::Arc;

use super::{Write, batch, cells, minute, name, open, small};
use crate::engine::batch::Batch;
use crate::engine::store::Store;
use crate::error::ErrorKind;
use crate::format::published::{self, Published};
use crate::format::wal;
use crate::limits::MINUTE_END;
use crate::model::Minute;
use crate::storage::sim_disk::{Call, Fault, SimDisk};

const ONE: Write = Write {
    release: 0,
    metric: 0,
    minute: 10,
    value: 1,
};

#[test]
fn a_batch_counts_its_deltas() {
    let store = open(&SimDisk::new(1)).unwrap();
    let mut batch = Batch::new();
    assert!(batch.is_empty());
    let crashes = store.series("a", "all", "crashes").unwrap();
    for count in 1..4 {
        batch.add(crashes, minute(1), 1);
        assert_eq!((batch.len(), batch.is_empty()), (count, false));
    }
}

#[test]
fn a_spoiled_batch_is_refused_as_a_whole() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    let crashes = store.series("a", "all", "crashes").unwrap();
    let memory = store.series("a", "all", "memory").unwrap();
    let spoil: [&dyn Fn(&mut Batch); 4] = [
        &|batch| {
            batch.set(memory, minute(1), f64::NAN);
        },
        &|batch| {
            batch.add_units(crashes, minute(1), 1);
        },
        &|batch| {
            batch.add(crashes, Minute::END, 1);
        },
        &|batch| {
            batch.stamp(&name("x"), 1).watermark(&name("y"), minute(1));
        },
    ];
    for spoil in spoil {
        let mut batch = batch(&store, &[ONE]);
        spoil(&mut batch);
        batch.add(crashes, minute(2), 1);
        assert_eq!(
            store.commit(batch).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
    assert!(cells(&store.snapshot()).unwrap().is_empty());
    assert_eq!(MINUTE_END, Minute::END.get());
}

#[test]
fn handles_of_another_store_are_refused() {
    let store = open(&SimDisk::new(1)).unwrap();
    let other = open(&SimDisk::new(2)).unwrap();
    let batch = batch(&other, &[ONE]);
    assert_eq!(
        store.commit(batch).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        store.series("a", "all", "unheard of").unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_second_writer_is_refused_and_the_first_goes_on() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    let second = Store::open_on(Arc::new(disk.clone()), small());
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Locked);
    store.commit(batch(&store, &[ONE])).unwrap();
    drop(store);
    assert_eq!(cells(&open(&disk).unwrap().snapshot()).unwrap().len(), 1);
}

#[test]
fn a_failed_sync_is_never_acknowledged_nor_retried() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    store.commit(batch(&store, &[ONE])).unwrap();
    disk.inject(Fault::on(&[Call::Sync]).in_file("wal-").errno(5));
    assert_eq!(
        store.commit(batch(&store, &[ONE])).unwrap_err().kind(),
        ErrorKind::Io
    );
    // The fault is gone, and the store still acknowledges nothing.
    assert_eq!(
        store.commit(batch(&store, &[ONE])).unwrap_err().kind(),
        ErrorKind::Poisoned
    );
    drop(store);
    let store = open(&disk).unwrap();
    let counted = cells(&store.snapshot()).unwrap()[&(0, 0, 10)];
    assert!(counted == 1 || counted == 2, "whole or absent: {counted}");
}

#[test]
fn a_full_disk_loses_nothing_and_writes_resume() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    store.commit(batch(&store, &[ONE])).unwrap();
    disk.set_capacity(Some(disk.used()));
    // The room that was set aside in the log is used up first.
    let granted = (0..200)
        .take_while(|_| store.commit(batch(&store, &[ONE])).is_ok())
        .count() as i128;
    assert!(granted < 200);
    for _ in 0..3 {
        let refused = store.commit(batch(&store, &[ONE])).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        assert_eq!(
            cells(&store.snapshot()).unwrap()[&(0, 0, 10)],
            1 + granted,
            "reads go on"
        );
    }
    disk.set_capacity(None);
    store.commit(batch(&store, &[ONE])).unwrap();
    assert_eq!(cells(&store.snapshot()).unwrap()[&(0, 0, 10)], 2 + granted);
    drop(store);
    assert_eq!(
        cells(&open(&disk).unwrap().snapshot()).unwrap()[&(0, 0, 10)],
        2 + granted
    );
}

#[test]
fn room_set_aside_in_a_log_is_no_torn_tail_and_goes_with_a_clean_close() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    store.commit(batch(&store, &[ONE])).unwrap();
    let (log, good) = store.core.log.lock().last;
    let log = crate::format::wal::file_name(log);
    assert!(disk.content(&log).unwrap().len() as u64 > good);
    for crashed in [disk.kill(), disk.crash_with_subset(0)] {
        let store = open(&crashed).unwrap();
        assert_eq!(store.recovered().torn_bytes, 0);
        assert_eq!(cells(&store.snapshot()).unwrap()[&(0, 0, 10)], 1);
    }
    store.close().unwrap();
    assert_eq!(disk.content(&log).unwrap().len() as u64, good);
}

#[test]
fn a_compaction_on_two_threads_merges_what_one_would() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    for half in 0..2 {
        let mut batch = Batch::new();
        for release in 0..100 {
            let release = format!("release {release}");
            let series = store.series(&release, "all", "crashes").unwrap();
            for at in 0..1_440 {
                batch.add(series, minute(half * 100 + at), u64::from(at % 7));
            }
        }
        store.commit(batch).unwrap();
        store.flush().unwrap();
    }
    let sums = |store: &Store| -> Vec<(usize, i128)> {
        let segments = store.snapshot().state.segments;
        let entries = segments.iter().map(|segment| {
            let series = segment.series().unwrap();
            series
                .entries(0..series.len())
                .map(|entry| entry.sum)
                .collect::<Vec<_>>()
        });
        entries
            .map(|sums| (sums.len(), sums.iter().sum()))
            .collect()
    };
    let before = sums(&store);
    assert_eq!(before.len(), 2);
    store.compact().unwrap();
    let after = sums(&store);
    assert_eq!(after, [(100, before[0].1 + before[1].1)]);
    assert_eq!(store.inspect().unwrap().segments.len(), 1);
}

#[test]
fn watermarks_never_move_back() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    for (at, expected) in [(100, 100), (50, 100), (200, 200)] {
        let mut batch = Batch::new();
        batch.watermark(&name("collector"), minute(at));
        store.commit(batch).unwrap();
        let state = store.source("collector").unwrap();
        assert_eq!(
            (state.watermark, state.offset),
            (Some(minute(expected)), None)
        );
    }
    drop(store);
    assert_eq!(
        open(&disk).unwrap().source("collector").unwrap().watermark,
        Some(minute(200))
    );
}

#[test]
fn a_batch_that_may_not_be_dropped_in_part_is_refused_whole() {
    let store = open(&SimDisk::new(1)).unwrap();
    store.retain_before(minute(10)).unwrap();
    let early = Write { minute: 9, ..ONE };
    let mut strict = batch(&store, &[early, ONE]);
    strict.stamp(&name("source"), 1).refuse_dropped();
    let refused = store.commit(strict).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(cells(&store.snapshot()).unwrap().is_empty());
    assert_eq!(store.committed_offset("source"), None);
    // Nothing of it before the floor, and it is taken; one that does not mind is, too.
    let mut sound = batch(&store, &[ONE]);
    sound.stamp(&name("source"), 1).refuse_dropped();
    assert_eq!(store.commit(sound).unwrap().dropped, 0);
    let receipt = store.commit(batch(&store, &[early, ONE])).unwrap();
    assert_eq!((receipt.dropped, receipt.sequence), (1, 2));
}

#[test]
fn what_is_published_is_what_was_acknowledged() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    for number in 1..4 {
        let receipt = store.commit(batch(&store, &[ONE])).unwrap();
        assert_eq!(receipt.sequence, number);
        let bytes = disk.content(published::FILE).unwrap();
        let record = Published::decode(&bytes).unwrap();
        let told = store.inspect().unwrap();
        assert_eq!(
            (record.store_id, record.generation, record.sequence),
            (told.store_id, told.generation, number)
        );
        let log = wal::file_name(record.wal_id);
        assert!(record.wal_bytes <= disk.content(&log).unwrap().len() as u64);
    }
}
