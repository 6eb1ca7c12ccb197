//! What was found by reading the code, each once and never again.
use super::*;
use crate::engine::options::Durability;
use crate::error::ErrorKind;
use crate::storage::disk::Disk;
use crate::storage::sim_disk::{Call, Fault, Outcome};
use std::time::Duration;

const ONE: Write = Write {
    release: 0,
    metric: 0,
    minute: 10,
    value: 1,
};

#[test]
fn replayed_frames_are_durable_once_reopened() {
    let disk = SimDisk::new(1);
    let options = small().durability(Durability::Buffered {
        interval: Duration::from_secs(3600),
    });
    let store = open(&disk).unwrap();
    drop(store);
    let store = Store::open_on(Arc::new(disk.clone()), options).unwrap();
    let mut first = batch(&store, &[ONE]);
    first.stamp(&name("s"), 1);
    store.commit(first).unwrap();
    let killed = disk.kill();
    std::mem::forget(store);
    let store = Store::open_on(Arc::new(killed.clone()), small()).unwrap();
    let mut again = batch(&store, &[ONE]);
    again.stamp(&name("s"), 1);
    let receipt = store.commit(again).unwrap();
    assert!(receipt.already_applied);
    store
        .commit(batch(&store, &[Write { minute: 11, ..ONE }]))
        .unwrap();
    let cut = killed.crash_with_subset(0);
    let store = open(&cut).expect("a writer opens after a power cut");
    assert_eq!(
        store.committed_offset("s"),
        Some(1),
        "answered already applied under Sync"
    );
    assert_eq!(cells(&store.snapshot()).unwrap().len(), 2);
}

#[test]
fn a_broken_segment_does_not_keep_the_compactor_busy() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    for _ in 0..2 {
        store.commit(batch(&store, &[ONE])).unwrap();
        store.flush().unwrap();
    }
    drop(store);
    let victim = disk
        .names()
        .into_iter()
        .find(|name| name.ends_with(".seg"))
        .unwrap();
    disk.lose(&victim).unwrap();
    let store = open(&disk).unwrap();
    let steps = (0..5).map(|_| store.core.compact_step());
    let busy = steps.filter(|step| matches!(step, Ok(true))).count();
    let compact = store.compact();
    assert!(busy < 5, "{busy}, compact says {compact:?}");
}

#[test]
fn a_log_with_its_first_frames_damaged_is_not_thrown_away() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    store.commit(batch(&store, &[ONE])).unwrap();
    let killed = disk.kill();
    std::mem::forget(store);
    let log = killed
        .list()
        .unwrap()
        .into_iter()
        .filter(|name| name.ends_with(".log"))
        .max()
        .unwrap();
    killed.damage(&log, |bytes| bytes[..80].fill(0xee)).unwrap();
    let opened = open(&killed);
    let kept = killed.content(&log).map(|bytes| bytes.len());
    assert!(
        opened.is_err(),
        "opened: {:?}, log then: {kept:?}",
        opened.map(|s| s.recovered().clone())
    );
}

#[test]
fn a_directory_that_does_not_sync_loses_nothing_acknowledged() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    store.commit(batch(&store, &[ONE])).unwrap();
    disk.inject(Fault::on(&[Call::SyncDir]).outcome(Outcome::Nothing));
    assert!(store.flush().is_err());
    let second = store.commit(batch(&store, &[Write { minute: 11, ..ONE }]));
    if second.is_err() {
        return;
    }
    let mut lost = 0;
    let mut all = 0;
    for cut in disk.crashes(50) {
        all += 1;
        match open(&cut) {
            Ok(store) => lost += usize::from(cells(&store.snapshot()).unwrap().len() != 2),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(lost, 0, "of {all} power cuts");
}

#[test]
fn a_damaged_record_does_not_show_what_is_not_acknowledged() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    store.commit(batch(&store, &[ONE])).unwrap();
    disk.damage("published", |bytes| bytes[50] ^= 1).unwrap();
    // Written, its sync fails: never acknowledged.
    disk.inject(Fault::on(&[Call::Sync]).in_file("wal-"));
    assert!(store.commit(batch(&store, &[ONE])).is_err());
    // The writer lives, and nobody can tell how far it came: better no answer.
    let refused = Reader::open_on(Arc::new(disk.read_only())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corruption);
    assert_eq!(refused.file(), Some("published"));
}

#[test]
fn a_repair_that_dies_keeps_what_was_damaged() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    store
        .commit(batch(&store, &[ONE, Write { release: 1, ..ONE }]))
        .unwrap();
    store.flush().unwrap();
    drop(store);
    let segment = disk
        .names()
        .into_iter()
        .find(|name| name.ends_with(".seg"))
        .unwrap();
    disk.damage(&segment, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle - 60] ^= 1
    })
    .unwrap();
    let before = disk.content(&segment).unwrap();
    disk.inject(Fault::on(&[Call::Rename]).in_file(&segment).after(0));
    let repaired = crate::engine::repair::repair_on(&disk);
    let names = disk.names();
    drop(open(&disk).unwrap());
    let kept = disk
        .names()
        .into_iter()
        .any(|name| disk.content(&name).unwrap() == before);
    assert!(kept, "{repaired:?} {names:?} {:?}", disk.names());
}

#[test]
fn the_lock_of_the_audit_log_is_known() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    let record = crate::format::audit::Override {
        at: 1,
        release: "a".into(),
        metric: "b".into(),
        reason: "c".into(),
    };
    crate::engine::audit::append(&disk, &record).unwrap();
    let unknown = store.inspect().unwrap().unknown;
    assert!(unknown.is_empty(), "{unknown:?}");
}
