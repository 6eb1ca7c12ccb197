//! A reader that stays open while writers come, do one thing and go: at each look it
//! sees what one sees that is opened then.

use std::sync::Arc;

use super::{Write, batch, cells, minute, open};
use crate::engine::reader::Reader;
use crate::engine::store::Store;
use crate::format::published::{self, Published};
use crate::format::wal::HEADER_BYTES;
use crate::storage::sim_disk::SimDisk;

fn commit(store: &Store, minute: u32, value: u64) {
    let write = Write {
        release: 0,
        metric: 0,
        minute,
        value,
    };
    store.commit(batch(store, &[write])).unwrap();
}

/// What a writer does before it goes.
type Deed = (&'static str, fn(&Store));

const DEEDS: [Deed; 7] = [
    ("nothing", |_| ()),
    ("a commit", |store| commit(store, 100, 1)),
    ("a commit and a flush", |store| {
        commit(store, 101, 2);
        store.flush().unwrap();
    }),
    // No log and no segment tells of this, the manifest alone.
    ("retention", |store| {
        store.retain_before(minute(51)).unwrap();
    }),
    ("a compaction", |store| store.compact().unwrap()),
    ("a source", |store| {
        let mut batch = crate::Batch::new();
        batch.stamp(&super::name("source"), 9);
        store.commit(batch).unwrap();
    }),
    ("a release dropped", |store| {
        store.core.drop_releases(&|_| true).unwrap();
    }),
];

#[test]
fn a_reader_that_stays_sees_what_one_sees_that_is_opened() {
    for closes in [true, false] {
        let disk = SimDisk::new(1);
        let store = open(&disk).unwrap();
        commit(&store, 50, 5);
        commit(&store, 60, 6);
        let reader = Reader::open_on(Arc::new(disk.clone())).unwrap();
        let look = |reader: &Reader| {
            let snapshot = reader.snapshot().unwrap();
            let sources: Vec<_> = snapshot.sources().map(|(name, _)| name.clone()).collect();
            let floor = reader.inspect().unwrap().floor;
            (cells(&snapshot).unwrap(), sources, floor)
        };
        assert_eq!(look(&reader).0.len(), 2);
        drop(store);
        for (deed, act) in DEEDS {
            let store = open(&disk).unwrap();
            act(&store);
            let own = cells(&store.snapshot()).unwrap();
            if closes {
                store.close().unwrap();
            } else {
                drop(store);
            }
            let fresh = Reader::open_on(Arc::new(disk.clone())).unwrap();
            let seen = look(&reader);
            assert_eq!(seen, look(&fresh), "{deed}, closed: {closes}");
            assert_eq!(seen.0, own, "{deed}, closed: {closes}");
        }
    }
}

#[test]
fn what_a_writer_of_another_store_has_published_is_nothing() {
    let disk = SimDisk::new(1);
    let store = open(&disk).unwrap();
    commit(&store, 50, 5);
    let own = Published::decode(&disk.content(published::FILE).unwrap()).unwrap();
    // Copied here from there: it says that nothing of the log is acknowledged.
    let foreign = Published {
        store_id: own.store_id ^ 1,
        wal_bytes: HEADER_BYTES as u64,
        ..own
    };
    disk.put(published::FILE, &foreign.encode());
    let reader = Reader::open_on(Arc::new(disk.clone())).unwrap();
    assert_eq!(cells(&reader.snapshot().unwrap()).unwrap().len(), 1);
    // The same words of this store's writer count.
    let words = Published {
        store_id: own.store_id,
        ..foreign
    };
    disk.put(published::FILE, &words.encode());
    let reader = Reader::open_on(Arc::new(disk.clone())).unwrap();
    assert!(cells(&reader.snapshot().unwrap()).unwrap().is_empty());
}
