//! Opening for writing: making a store, or recovering one.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::engine::answers::Answers;
use crate::engine::audit;
use crate::engine::core::{Core, Log, Publisher, Work};
use crate::engine::flush;
use crate::engine::options::Options;
use crate::engine::recovery::{
    End, load_manifest, not_a_store, open_segments, replay, successor_says,
};
use crate::engine::series::SeriesTable;
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::{FILE, Manifest, TEMPORARY};
use crate::format::wal::Header;
use crate::format::{header, published, wal};
use crate::storage::disk::{Disk, Open};
use crate::storage::manifest::{CommitError, commit};
use crate::storage::planted::{Bug, planted};
use crate::storage::real_disk::RealDisk;
use crate::storage::segment;
use crate::storage::wal::WalWriter;

/// The file whose lock makes a writer the only one. Never unlinked: a lock on
/// an unlinked file excludes nobody.
pub const LOCK: &str = "LOCK";

/// How long a writer waits for the lock: a reader looking whether a writer is
/// alive holds it for an instant.
const LOCK_PATIENCE: Duration = Duration::from_millis(250);

/// Logs beyond this number are flushed at opening: many short lives of a store
/// must not add up to many files.
const LOGS_MAX: u64 = 8;

/// What an opening for writing found.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Batches replayed from the log.
    pub batches: u64,
    /// Bytes of torn tail dropped: never acknowledged as durable.
    pub torn_bytes: u64,
    /// What was found damaged and could be worked around.
    pub warnings: Vec<String>,
}

/// A number nobody else has drawn: hash keys are random in every process.
fn draw() -> u64 {
    RandomState::new().hash_one(std::process::id()).max(1)
}

/// Refuses to write where anybody may: files could be put in the place of ours,
/// or taken away under us.
pub fn refuse_public(disk: &RealDisk) -> Result<()> {
    let public = disk
        .is_public()
        .map_err(|error| Error::io(format!("looking at {}", disk.describe()), error))?;
    if !public {
        return Ok(());
    }
    let what = format!("anybody may write to the directory {}", disk.describe());
    Err(Error::invalid(what)
        .help("take that right away with `chmod o-w`, or choose a directory of your own"))
}

pub fn take_lock(disk: &dyn Disk) -> Result<Box<dyn Send + Sync>> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        let taken = disk
            .lock(LOCK, true)
            .map_err(|error| Error::io("taking the writer's lock", error).in_file(LOCK))?;
        if let Some(guard) = taken {
            return Ok(guard);
        }
        if Instant::now() >= until {
            return Err(Error::new(
                ErrorKind::Locked,
                format!("{} is being written by another process", disk.describe()),
            )
            .in_file(LOCK)
            .help("one writer at a time: stop it, or open the store for reading"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Makes an empty directory a store: its first log, then its manifest.
fn create(disk: &dyn Disk) -> Result<()> {
    let store_id = draw();
    let header = Header {
        store_id,
        wal_id: 1,
        first_sequence: 1,
        previous_bytes: 0,
    };
    WalWriter::create(disk, &header)?;
    let manifest = Manifest {
        store_id,
        generation: 1,
        next_segment: 1,
        first_wal: 1,
        ..Manifest::default()
    };
    commit(disk, &manifest).map_err(|error| match error {
        CommitError::Unchanged(error) | CommitError::Unknown(error) => error,
    })
}

fn holds_nothing(names: &[String]) -> bool {
    names.iter().all(|name| {
        [LOCK, TEMPORARY, published::FILE].contains(&name.as_str()) || wal::file_id(name) == Some(1)
    })
}

fn list(disk: &dyn Disk) -> Result<Vec<String>> {
    disk.list()
        .map_err(|error| Error::io("listing the directory", error))
}

/// Whether a directory holds nothing but what an interrupted creation leaves.
pub fn is_blank(disk: &dyn Disk) -> Result<bool> {
    Ok(holds_nothing(&list(disk)?))
}

/// Removes what no manifest that may stand has ever named: half-written files,
/// and the segments of a flush or merge that died. It comes before anything
/// that needs room; and before a commit gets the number of one that such a
/// segment holds and a power cut took from the log. The next log's making is
/// what makes it durable.
fn remove_unnamed(disk: &dyn Disk, names: &[String], manifest: &Manifest) {
    for name in names {
        let unnamed = match segment::file_id(name) {
            Some(id) => {
                id >= manifest.next_segment && store_of(disk, name) == Some(manifest.store_id)
            }
            None => is_temporary(name),
        };
        if unnamed {
            // What can not be removed now is replaced or removed later.
            let _ = disk.remove(name);
        }
    }
}

/// Whether a file is one that was being written when its process died.
pub fn is_temporary(name: &str) -> bool {
    let segment = name.strip_suffix(".tmp").and_then(segment::file_id);
    segment.is_some() || [TEMPORARY, audit::TEMPORARY].contains(&name)
}

/// The store that a segment or log says it belongs to. What strayed in from
/// another one is not ours to remove.
fn store_of(disk: &dyn Disk, name: &str) -> Option<u64> {
    let mut bytes = [0; wal::HEADER_BYTES];
    let file = disk.open(name, Open::Read).ok()?;
    file.read_at(0, &mut bytes).ok()?;
    match wal::file_id(name) {
        Some(id) => wal::Header::decode(&bytes, id)
            .ok()
            .map(|header| header.store_id),
        None => header::Header::decode(&bytes)
            .ok()
            .map(|header| header.identity.store_id),
    }
}

/// Opens a store for writing.
pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Arc<Core>, Recovered)> {
    let names = list(&*disk)?;
    let exists = names.iter().any(|name| name == FILE);
    // Nothing is touched in a directory that is somebody else's. Another process
    // may have been making it a store while its names were read, and so it is
    // asked once more before it is called one.
    let ours_or_free = exists || (options.create && holds_nothing(&names));
    if !ours_or_free && crate::storage::manifest::load(&*disk)?.is_none() {
        return Err(not_a_store(&*disk));
    }
    let lock = take_lock(&*disk)?;
    // Another process may have made it a store while we waited for the lock.
    if !exists && crate::storage::manifest::load(&*disk)?.is_none() {
        create(&*disk)?;
    }
    let (manifest, mut warnings) = load_manifest(&*disk)?;
    let store_id = manifest.store_id;
    let publisher = Publisher::open(&*disk, store_id)?;
    let opened = open_segments(&*disk, &manifest, &[])?;
    warnings.extend(
        opened
            .1
            .iter()
            .map(|broken| format!("{} can not be read", broken.error)),
    );
    let series = Arc::new(SeriesTable::default());
    let replayed = replay(&*disk, &manifest, opened, &series, End::File)?;
    let findings = replayed.replay.findings;
    if let Some(damage) = findings.damage.first() {
        return Err(
            Error::corruption(format!("the log is damaged: {}", damage.what))
                .in_file(&damage.file)
                .at(damage.from)
                .help("readers still open the store; `hotstove repair` keeps every good frame"),
        );
    }
    remove_unnamed(&*disk, &names, &manifest);
    let recovered = Recovered {
        batches: findings.frames,
        torn_bytes: findings.torn_bytes,
        warnings,
    };
    let state = replayed.state;
    let mut last = replayed.last.unwrap_or((manifest.first_wal - 1, 0));
    // After anything but a clean close nobody knows what of the last log is on
    // the medium, a sync now says nothing of pages that a failed one dropped,
    // and so the next log does not vouch for it.
    let sealed = manifest
        .sealed
        .is_some_and(|sealed| sealed.wal_id == last.0);
    let mut vouched = if sealed || planted(Bug::RecoveryVouches) {
        last.1
    } else {
        0
    };
    let empty = last.1 <= wal::HEADER_BYTES as u64;
    if empty && !sealed && last.0 > manifest.first_wal && !planted(Bug::EmptyLogFollowed) {
        // Its name may not be durable: who made it may have died right then. A
        // log after it could outlive it, and there would be a gap. So its number
        // is given out again, and what it said of the one before is said again.
        vouched = successor_says(&*disk, store_id, last.0)?.unwrap_or(0);
        last = (last.0 - 1, vouched);
    }
    let log = Log {
        wal: None,
        last: (last.0, vouched),
        older_bytes: replayed.bytes.saturating_sub(vouched),
        next_sequence: state.sequence + 1,
        sources: (*state.sources).clone(),
        frozen: None,
        merging: 0,
    };
    let first_wal = manifest.first_wal;
    let nothing_replayed = findings.frames == 0;
    let core = Core {
        store_id,
        tag: draw(),
        compaction: Mutex::default(),
        flush: Mutex::default(),
        defining: Mutex::default(),
        floor: manifest.floor.into(),
        manifest: Mutex::new(manifest),
        series,
        answers: Arc::new(Answers::new(options.budget().answers())),
        active_bytes: state.active.bytes().into(),
        state: RwLock::new(state),
        publisher: Mutex::new(publisher),
        queue: Mutex::default(),
        committed: Condvar::new(),
        work: Mutex::new(Work {
            compact: true,
            ..Work::default()
        }),
        work_changed: Condvar::new(),
        poison: Mutex::default(),
        lock: Mutex::new(Some(lock)),
        log: Mutex::new(log),
        merging: Mutex::default(),
        disk,
        options,
    };
    let (newest, older_bytes) = {
        let mut log = core.log.lock();
        if sealed || nothing_replayed || planted(Bug::RecoveredNotRewritten) {
            core.start_log(&mut log)?;
        } else {
            core.freeze(&mut log)?;
        }
        (log.last.0, log.older_bytes)
    };
    let (generation, sequence) = (core.manifest.lock().generation, core.state.read().sequence);
    core.publisher.lock().publish(|record| {
        record.generation = generation;
        record.sequence = sequence;
    });
    if nothing_replayed {
        // Logs without a batch need not be read again. A few of them, ended by
        // their successors' headers, cost the next opening less than the two
        // syncs of a manifest cost this one.
        if !sealed || newest - first_wal > LOGS_MAX {
            core.edit_manifest(
                |manifest| {
                    manifest.first_wal = newest;
                    manifest.sealed = None;
                    Ok(())
                },
                |_, _| (),
            )?;
            core.log.lock().older_bytes = 0;
        }
    } else if !sealed && !planted(Bug::RecoveredNotRewritten) {
        // What was recovered is answered for from here on: it is written anew,
        // before anything is acknowledged.
        core.flush_frozen(flush::THREADS)?;
    } else if older_bytes > core.options.wal_limit / 2 || newest - first_wal > LOGS_MAX {
        core.flush_all()?;
    }
    core.remove_left_overs();
    Ok((Arc::new(core), recovered))
}

impl Core {
    /// Removes what earlier lives of the store left behind: half-written files,
    /// and files that the manifest has replaced. Files it never named, and
    /// files of others, are left alone.
    fn remove_left_overs(&self) {
        let manifest = self.manifest.lock();
        let Ok(names) = self.disk.list() else { return };
        for name in names {
            let own = || store_of(&*self.disk, &name).is_none_or(|id| id == self.store_id);
            let left_over = match (wal::file_id(&name), segment::file_id(&name)) {
                (Some(id), _) => id < manifest.first_wal && own(),
                (_, Some(id)) => {
                    let named = manifest.segments.iter().any(|meta| meta.id == id);
                    id < manifest.next_segment && !named && own()
                }
                _ => is_temporary(&name),
            };
            if left_over {
                // What can not be removed now is found again next time.
                let _ = self.disk.remove(&name);
            }
        }
    }
}
