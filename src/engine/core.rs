//! The heart of an open store: what is shared between its handles and its
//! threads, grouped by the lock that guards it.
//!
//! Locks are taken in the order of the fields: `compaction`, `flush`,
//! `defining`, `log`, `merging`, `manifest`, then `series`, `state`, `publisher`. No file is written or
//! synced under `state`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::engine::answers::Answers;
use crate::engine::commit::Queue;
use crate::engine::group_merge::Scratch;
use crate::engine::options::{Durability, Options};
use crate::engine::recovery::open_refused;
use crate::engine::series::SeriesTable;
use crate::engine::state::{Snapshot, State};
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::{Manifest, SourceState};
use crate::format::published::{self, Published};
use crate::format::wal::Header;
use crate::model::Name;
use crate::storage::disk::{Disk, DiskFile, Open};
use crate::storage::manifest::{CommitError, commit};
use crate::storage::planted::{Bug, planted};
use crate::storage::segment::Segment;
use crate::storage::wal::WalWriter;

/// An open store. See the module.
pub struct Core {
    pub disk: Arc<dyn Disk>,
    pub options: Options,
    pub store_id: u64,
    /// Marks the series handles of this opening.
    pub tag: u64,

    /// Held through one compaction, retention or repair: who replaces segments.
    pub compaction: Mutex<()>,
    /// Held through one flush: who empties the frozen memtable.
    pub flush: Mutex<()>,
    /// Held while definitions are edited.
    pub defining: Mutex<()>,
    /// Held while a group of commits is written and synced.
    pub log: Mutex<Log>,
    /// Held while a group that is written becomes visible, and taken before its log is
    /// let go. With memory for it.
    pub merging: Mutex<Scratch>,
    /// The manifest on disk; held while it is replaced.
    pub manifest: Mutex<Manifest>,
    /// Series by number and name.
    pub series: Arc<SeriesTable>,
    /// What answers of queries may take.
    pub answers: Arc<Answers>,
    /// What readers see. Held for the time of a merge in memory.
    pub state: RwLock<State>,
    /// What readers in other processes see.
    pub publisher: Mutex<Publisher>,

    /// Bytes of the active memtable: told here so that who writes the log need not wait
    /// for the state while it is written to.
    pub active_bytes: AtomicUsize,

    /// Commits waiting for a leader, and their results.
    pub queue: Mutex<Queue>,
    /// Wakes committers.
    pub committed: Condvar,
    /// What the background threads are asked to do.
    pub work: Mutex<Work>,
    /// Wakes the background threads, and those who wait for them.
    pub work_changed: Condvar,

    /// Minutes before this one are dropped: read by every commit.
    pub floor: AtomicU32,
    /// Why nothing more is acknowledged, once that is so.
    pub poison: Mutex<Option<String>>,
    /// The writer's lock on the store, held until the last handle is gone.
    pub lock: Mutex<Option<Box<dyn Send + Sync>>>,
}

/// The write-ahead log and what is decided under its lock.
pub struct Log {
    /// The log being written; none after a failed write, until a new one is made.
    pub wal: Option<WalWriter>,
    /// Number and good length of the newest log.
    pub last: (u64, u64),
    /// Bytes of older logs that the manifest still needs.
    pub older_bytes: u64,
    /// The sequence the next batch gets.
    pub next_sequence: u64,
    /// Sources as of the last batch written.
    pub sources: BTreeMap<Name, SourceState>,
    /// What belongs to the frozen memtable, until it is in segments.
    pub frozen: Option<Frozen>,
    /// Deltas of the last group, which may be being merged.
    pub merging: usize,
}

/// The state of the log at the moment a memtable was frozen.
#[derive(Clone)]
pub struct Frozen {
    /// The first log that holds nothing of it.
    pub next_wal: u64,
    /// Its last sequence.
    pub sequence: u64,
    /// Sources as of that sequence.
    pub sources: BTreeMap<Name, SourceState>,
}

/// What background threads are asked to do.
#[derive(Default)]
pub struct Work {
    pub flush: bool,
    pub compact: bool,
    pub stop: bool,
    /// Why the last flush failed, until one succeeds.
    pub flush_error: Option<Error>,
    /// Segments that could not be merged: damaged ones are left to `repair`.
    pub unmergeable: Vec<u64>,
}

/// The `published` file.
pub struct Publisher {
    file: Box<dyn DiskFile>,
    record: Published,
}

impl Publisher {
    /// Opens the file, and says that a writer is recovering.
    pub fn open(disk: &dyn Disk, store_id: u64) -> Result<Self> {
        let fail =
            |error| Error::io("opening the published record", error).in_file(published::FILE);
        let file = match disk.open(published::FILE, Open::Write) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                disk.open(published::FILE, Open::Create)
            }
            opened => opened,
        };
        let mut publisher = Publisher {
            file: file.map_err(fail)?,
            record: Published {
                store_id,
                ..Published::default()
            },
        };
        publisher.write().map_err(fail)?;
        Ok(publisher)
    }

    /// Publishes a change. A failure leaves readers in other processes behind
    /// until the next one; it takes nothing from what was acknowledged.
    pub fn publish(&mut self, change: impl FnOnce(&mut Published)) {
        change(&mut self.record);
        let _ = self.write();
    }

    fn write(&mut self) -> std::io::Result<()> {
        self.file.write_at(0, &self.record.encode())
    }
}

impl Core {
    /// # Errors
    /// [`ErrorKind::Poisoned`] once anything made further acknowledgements unsafe.
    pub fn check_alive(&self) -> Result<()> {
        match &*self.poison.lock() {
            None => Ok(()),
            Some(why) => Err(Error::new(
                ErrorKind::Poisoned,
                format!("nothing more is acknowledged: {why}"),
            )
            .help("reopen the store: it recovers what was acknowledged")),
        }
    }

    /// Stops all acknowledgements; the first reason stays.
    pub fn poison(&self, why: &impl std::fmt::Display) {
        self.poison.lock().get_or_insert_with(|| why.to_string());
        // Under the lock, so that nobody misses it between check and wait.
        drop(self.work.lock());
        self.work_changed.notify_all();
        drop(self.queue.lock());
        self.committed.notify_all();
    }

    /// Replaces the manifest by an edited one and, if that succeeded, lets
    /// `install` change what readers see, before anyone else edits it.
    pub fn edit_manifest(
        &self,
        edit: impl FnOnce(&mut Manifest) -> Result<()>,
        install: impl FnOnce(&Manifest, &mut State),
    ) -> Result<()> {
        self.check_alive()?;
        let mut manifest = self.manifest.lock();
        let mut next = manifest.clone();
        edit(&mut next)?;
        next.generation += 1;
        match commit(&*self.disk, &next) {
            Ok(()) => {}
            Err(CommitError::Unchanged(error)) => return Err(error),
            Err(CommitError::Unknown(error)) => {
                self.poison(&error);
                return Err(error);
            }
        }
        let mut state = self.state.write();
        install(&next, &mut state);
        drop(state);
        let generation = next.generation;
        *manifest = next;
        self.publisher
            .lock()
            .publish(|record| record.generation = generation);
        Ok(())
    }

    /// Makes names durable. A failure poisons the store: the kernel may have
    /// dropped what it could not write, and would say yes to the next try.
    pub fn sync_names(&self) -> Result<()> {
        self.disk
            .sync_dir()
            .map_err(|error| Error::io("syncing the directory", error))
            .inspect_err(|error| self.poison(error))
    }

    /// The state as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let mut state = self.state.read().clone();
        if !state.broken.is_empty() {
            let opened = open_refused(&*self.disk, self.store_id, &state.broken);
            if !opened.is_empty() {
                let mut current = self.state.write();
                current.take_in(opened);
                state = current.clone();
            }
        }
        Snapshot {
            state,
            series: self.series.clone(),
            answers: self.answers.clone(),
        }
    }

    /// The segments as they are now. For work that goes on for long: a whole
    /// snapshot would keep memtables alive, as many as fill up meanwhile.
    pub fn segments(&self) -> Arc<Vec<Arc<Segment>>> {
        self.snapshot().state.segments
    }

    /// The retention floor.
    pub fn floor(&self) -> u32 {
        self.floor.load(Ordering::Acquire)
    }

    /// Makes the next log durable and current. The one before must be synced
    /// or abandoned.
    pub fn start_log(&self, log: &mut Log) -> Result<()> {
        // What is merged last is published with the length of its log.
        self.settle(log);
        let (last, previous_bytes) = log.last;
        let header = Header {
            store_id: self.store_id,
            wal_id: last + 1,
            first_sequence: log.next_sequence,
            previous_bytes,
        };
        let mut wal = WalWriter::create(&*self.disk, &header).inspect_err(|_| {
            // It may come back by a power cut, and would say that the one
            // before ended here: nothing may be appended to that any more.
            if !planted(Bug::LogKeptAfterFailedStart) {
                log.wal = None;
            }
        })?;
        if self.options.durability == Durability::Sync {
            wal.write_ahead();
        }
        log.older_bytes += previous_bytes;
        log.last = (wal.id(), wal.written());
        self.publisher.lock().publish(|record| {
            record.wal_id = wal.id();
            record.wal_bytes = wal.written();
        });
        log.wal = Some(wal);
        Ok(())
    }
}
