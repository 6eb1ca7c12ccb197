//! Another process at any moment of an opening: a writer that flushes, while a
//! reader opens (found by the scheduler of `schedules/`: the reader measured logs
//! that were gone by then, and was told that they are not there), and one that
//! makes the store (found by races of processes: the slower one was told that the
//! directory holds no store).

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Write, batch, cells, open, small};
use crate::engine::reader::Reader;
use crate::engine::store::Store;
use crate::error::ErrorKind;
use crate::storage::disk::{Disk, DiskFile, Open};
use crate::storage::sim_disk::SimDisk;

/// A disk; after its call of number `at`, somebody else does something.
struct Meddled<M> {
    disk: SimDisk,
    meddle: M,
    calls: AtomicU64,
    at: u64,
}

impl<M> fmt::Debug for Meddled<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(f)
    }
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

impl<M: Fn()> Meddled<M> {
    fn new(disk: SimDisk, at: u64, meddle: M) -> Arc<Self> {
        let calls = AtomicU64::new(0);
        Arc::new(Meddled {
            disk,
            meddle,
            calls,
            at,
        })
    }

    fn done<T>(&self, result: T) -> T {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.at {
            (self.meddle)();
        }
        result
    }

    /// Whether the moment has come.
    fn came(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > self.at
    }
}

impl<M: Fn() + Send + Sync> Disk for Meddled<M> {
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
        let meddled = Meddled::new(disk.read_only(), at, move || {
            commit(&store, 7);
            store.flush().unwrap();
        });
        let reader = Reader::open_on(meddled.clone())
            .unwrap_or_else(|error| panic!("a flush after call {at}: {error}"));
        // Looked at first: a snapshot makes calls, too.
        let came = meddled.came();
        let sum: i128 = cells(&reader.snapshot().unwrap()).unwrap().values().sum();
        let flushed = meddled.came();
        assert_eq!(sum, 3 + i128::from(flushed), "a flush after call {at}");
        if !came {
            return;
        }
    }
}

/// One of two that make a store at once gets it, the other is told that it is
/// taken.
#[test]
fn a_store_made_by_another_meanwhile_is_locked() {
    for at in 0.. {
        let disk = SimDisk::new(1);
        let (other, theirs) = (disk.clone(), Arc::new(Mutex::new(None)));
        let meddled = Meddled::new(disk, at, {
            let theirs = theirs.clone();
            move || *theirs.lock() = Some(Store::open_on(Arc::new(other.clone()), small()))
        });
        let ours = Store::open_on(meddled.clone(), small());
        assert!(meddled.came(), "they never had their turn");
        let theirs = theirs.lock().take().unwrap();
        let ours_won = ours.is_ok();
        let (won, lost) = if ours_won {
            (ours, theirs)
        } else {
            (theirs, ours)
        };
        let lost = lost.map(drop).unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Locked, "after call {at}: {lost}");
        won.unwrap().sync().unwrap();
        if ours_won {
            // The lock was ours when they came, and will be from here on.
            return;
        }
    }
}
