//! A writer that flushes at any moment of a reader's opening. Found by the
//! scheduler (`schedules/`): the reader measured logs that were gone by then, and
//! was told that they are not there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Write, batch, cells, open};
use crate::engine::reader::Reader;
use crate::engine::store::Store;
use crate::storage::disk::{Disk, DiskFile, Open};
use crate::storage::sim_disk::SimDisk;

/// The disk of a reader; after its call of number `at`, the writer commits and
/// flushes.
#[derive(Debug)]
struct Meddled {
    disk: SimDisk,
    store: Arc<Store>,
    calls: AtomicU64,
    at: u64,
}

fn commit(store: &Store, minute: u32) {
    let write = Write {
        release: 0,
        metric: 0,
        minute,
        value: 1,
    };
    store.commit(batch(store, &[write])).unwrap();
}

impl Meddled {
    fn done<T>(&self, result: T) -> T {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.at {
            commit(&self.store, 7);
            self.store.flush().unwrap();
        }
        result
    }
}

impl Disk for Meddled {
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>> {
        self.done(self.disk.open(name, how))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.done(self.disk.list())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }

    fn lock(&self, name: &str, exclusive: bool) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.done(self.disk.lock(name, exclusive))
    }

    fn describe(&self) -> String {
        self.disk.describe()
    }
}

#[test]
fn a_flush_at_any_call_of_an_opening_refuses_no_reader() {
    for at in 0.. {
        let disk = SimDisk::new(1);
        let store = Arc::new(open(&disk).unwrap());
        (0..3).for_each(|minute| commit(&store, minute));
        let meddled = Arc::new(Meddled {
            disk: disk.read_only(),
            store,
            calls: AtomicU64::new(0),
            at,
        });
        let reader = Reader::open_on(meddled.clone())
            .unwrap_or_else(|error| panic!("a flush after call {at}: {error}"));
        let made = meddled.calls.load(Ordering::Relaxed);
        let sum: i128 = cells(&reader.snapshot().unwrap()).unwrap().values().sum();
        let flushed = meddled.calls.load(Ordering::Relaxed) > at;
        assert_eq!(sum, 3 + i128::from(flushed), "a flush after call {at}");
        if made <= at {
            return;
        }
    }
}
