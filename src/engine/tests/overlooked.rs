//! What no test looked at before somebody who did not write the suite planted five
//! bugs, one test a bug. Each has to fail while its bug is switched on.

use std::sync::Arc;
use std::time::Duration;

use super::found::buffered;
use super::{RELEASES, Write, batch, cells, minute, name, open};
use crate::engine::open::LOCK;
use crate::engine::store::Store;
use crate::error::ErrorKind;
use crate::model::SeriesKey;
use crate::query::Cells;
use crate::storage::disk::Disk;
use crate::storage::planted;
use crate::storage::sim_disk::{Call, Fault, SimDisk};

fn commit(store: &Store, offset: u64) -> crate::Receipt {
    let mut batch = batch(
        store,
        &[Write {
            release: 0,
            metric: 0,
            minute: offset as u32,
            value: 1,
        }],
    );
    batch.stamp(&name("source"), offset);
    store.commit(batch).unwrap()
}

/// With buffered durability a power cut takes a batch and its offset together,
/// also where the batch came between the freeze of a memtable and its flush. An
/// offset that outlived its batch would have it refused for ever.
#[test]
pub fn a_flush_vouches_for_no_offset_beyond_its_batches() {
    let disk = SimDisk::new(1);
    let store = buffered(&disk);
    commit(&store, 1);
    // A flush that fails leaves the memtable frozen, and commits go on.
    let full = Fault::on(&[Call::Create]).in_file("MANIFEST");
    disk.inject(full.errno(libc::ENOSPC));
    assert_eq!(store.flush().unwrap_err().kind(), ErrorKind::StorageFull);
    commit(&store, 2);
    store.core.flush_frozen(1).unwrap();
    let store = buffered(&disk.crash_with_subset(0));
    assert_eq!(store.committed_offset("source"), Some(1));
    assert!(
        !commit(&store, 2).already_applied,
        "the batch is lost, and refused when it is sent again"
    );
    assert_eq!(cells(&store.snapshot()).unwrap().len(), 2);
}

/// What is written between the end of a background sync and its being noted is not
/// durable: whoever asks for a sync then gets one.
#[test]
pub fn a_sync_counts_for_what_was_written_before_it() {
    let disk = SimDisk::new(1);
    let store = buffered(&disk);
    commit(&store, 1);
    // As the thread that syncs does it, outside the lock.
    let pending = store.core.log.lock().wal.as_ref().unwrap().pending_sync();
    pending.run().unwrap();
    commit(&store, 2);
    let mut log = store.core.log.lock();
    log.wal.as_mut().unwrap().note_synced(&pending);
    drop(log);
    store.sync().unwrap();
    let store = buffered(&disk.crash_with_subset(0));
    assert_eq!(store.committed_offset("source"), Some(2));
}

/// The seal is the last word of a writer. Another one that opens before it is
/// written would have its manifest replaced by an older one.
#[test]
pub fn a_close_holds_the_lock_until_its_last_write() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    commit(&store, 1);
    let core = Arc::clone(&store.core);
    // The close comes as far as the log, which is ours.
    let log = core.log.lock();
    let bug = planted::active();
    let closing = std::thread::spawn(move || planted::with(bug, || store.close()));
    while core.lock.lock().is_some() {
        std::thread::yield_now();
    }
    let free = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        disk.lock(LOCK, true).unwrap().is_some()
    });
    drop(log);
    closing.join().unwrap().unwrap();
    assert!(!free, "a second writer gets in before the log is sealed");
    assert!(disk.lock(LOCK, true).unwrap().is_some());
}

/// Of a gauge the last write counts while a flush is under way, too: in as many
/// minutes as make a sort choose its way.
#[test]
pub fn the_last_write_of_a_gauge_counts_while_a_memtable_is_frozen() {
    const MINUTES: u32 = 500;
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    let set = |value: u64| {
        let writes: Vec<Write> = (0..MINUTES)
            .map(|minute| Write {
                release: 0,
                metric: 2,
                minute,
                value,
            })
            .collect();
        store.commit(batch(&store, &writes)).unwrap();
    };
    set(8);
    store.core.freeze(&mut store.core.log.lock()).unwrap();
    set(16);
    let snapshot = store.snapshot();
    assert!(snapshot.state.frozen.is_some());
    let series = snapshot.find(&key("memory")).unwrap().unwrap();
    let mut found = Cells::default();
    series.read(minute(0)..minute(MINUTES), &mut found).unwrap();
    let newest = i128::from(2.0_f64.to_bits());
    let stale = found.units().iter().filter(|value| **value != newest);
    assert_eq!((found.len(), stale.count()), (MINUTES as usize, 0));
}

fn key(metric: &str) -> SeriesKey {
    SeriesKey {
        release: name(RELEASES[0]),
        branch: name("all"),
        metric: name(metric),
    }
}

/// Damage that was met once is met again by whoever asks the same series again,
/// cell by cell or in runs.
#[test]
pub fn a_damaged_day_stays_damaged_for_who_asks_again() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    for offset in 1..40 {
        commit(&store, offset * offset);
    }
    store.flush().unwrap();
    store.close().unwrap();
    let segment = "segment-0000000000000001.seg";
    let bytes = disk.content(segment).unwrap().len() as u64;
    let mut refused = 0;
    for at in 0..bytes {
        let hurt = disk.kill();
        hurt.flip_bit(segment, at * 8 + at % 8).unwrap();
        let store = open(&hurt).unwrap();
        let snapshot = store.snapshot();
        let mut first = None;
        let Ok(Some(series)) = snapshot.find(&key("crashes")) else {
            continue;
        };
        let mut found = Cells::default();
        for _ in 0..2 {
            let read = series.read(minute(0)..minute(1_440), &mut found).is_ok();
            assert_eq!(*first.get_or_insert(read), read, "byte {at}, a run");
        }
        let Ok(Some(series)) = snapshot.find(&key("crashes")) else {
            continue;
        };
        for _ in 0..2 {
            let got = series.get(minute(4)).is_ok();
            assert_eq!(first, Some(got), "byte {at}, a cell");
        }
        refused += usize::from(first == Some(false));
    }
    assert!(refused > 20, "{refused} bytes of pages were met");
}
