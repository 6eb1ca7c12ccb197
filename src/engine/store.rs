//! A store open for writing: the public face of the engine.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::backup::{Backup, backup};
use crate::engine::batch::{Batch, Receipt, Series};
use crate::engine::core::Core;
use crate::engine::inspect::{Inspection, inspect};
use crate::engine::open::{self, Recovered};
use crate::engine::options::Options;
use crate::engine::state::Snapshot;
use crate::engine::worker::Workers;
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::{SealedWal, SourceState};
use crate::model::{Catalogue, Metric, Release};
use crate::storage::disk::Disk;
use crate::storage::planted::{Bug, planted};
use crate::storage::real_disk::RealDisk;

/// A store open for writing. One at a time may exist, in all processes; share
/// it between threads behind an `Arc` or by reference: every method takes
/// `&self`.
///
/// Dropping it closes it; [`Store::close`] also tells how that went.
///
/// ```
/// use hotstove::{Batch, Kind, Metric, Minute, Name, Options, Store};
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("store");
/// let store = Store::open(&path, Options::new())?;
/// store.define_metric(&Metric::new(Name::new("crashes")?, Kind::Counter))?;
/// let crashes = store.series("firefox/release/57.0", "control", "crashes")?;
/// let minute: Minute = "2026-11-22T10:41Z".parse()?;
/// let mut batch = Batch::new();
/// batch.add(crashes, minute, 3).stamp(&Name::new("collector-1")?, 17);
/// assert!(!store.commit(batch.clone())?.already_applied);
/// assert!(store.commit(batch)?.already_applied, "sent twice, counted once");
/// store.close()?;
/// # Ok::<(), hotstove::Error>(())
/// ```
pub struct Store {
    pub(crate) core: Arc<Core>,
    workers: Mutex<Workers>,
    recovered: Recovered,
}

impl Store {
    /// Opens the store at `path` for writing, and makes one of an absent or
    /// empty directory unless told not to.
    ///
    /// Cost: reading the manifest, opening each segment (no data is read), and
    /// replaying the log, about [`Options::wal_limit`] bytes at most.
    ///
    /// # Errors
    /// [`ErrorKind::NotAStore`] and [`ErrorKind::Locked`] touch nothing, nor
    /// does [`ErrorKind::Unsupported`] for a store of a newer version.
    /// [`ErrorKind::InvalidInput`] for a directory to which anybody may write.
    /// [`ErrorKind::Corruption`] where durable bytes of the manifest or the log
    /// are damaged: [`crate::Reader`] and `repair` still work.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Store> {
        let path = path.as_ref();
        let fail = |error| Error::io(format!("opening {}", path.display()), error);
        let disk = match path.try_exists().map_err(fail)? {
            false if !options.create => {
                return Err(Error::new(
                    ErrorKind::NotAStore,
                    format!("{} does not exist", path.display()),
                ));
            }
            false => RealDisk::found(path).map_err(fail)?,
            true if !path.is_dir() => {
                return Err(Error::new(
                    ErrorKind::NotAStore,
                    format!(
                        "{} is a file, not the directory of a hotstove store",
                        path.display()
                    ),
                ));
            }
            true => {
                let disk = RealDisk::open(path).map_err(fail)?;
                // Nothing in it yet: its name may not be durable either.
                if options.create && open::is_blank(&disk)? {
                    RealDisk::found(path).map_err(fail)?
                } else {
                    disk
                }
            }
        };
        open::refuse_public(&disk)?;
        let disk = if options.mapping {
            disk
        } else {
            disk.without_mapping()
        };
        Self::open_on(Arc::new(disk), options)
    }

    /// Opens a store on any disk.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) fn open_on(disk: Arc<dyn Disk>, options: Options) -> Result<Store> {
        let (core, recovered) = open::open(disk, options)?;
        let workers = Mutex::new(Workers::start(&core)?);
        Ok(Store {
            core,
            workers,
            recovered,
        })
    }

    /// What opening found: batches replayed, a torn tail, warnings.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// Adds or refines the definition of a metric; says whether anything changed.
    ///
    /// # Errors
    /// [`ErrorKind::Contradiction`] with what is defined; nothing is changed then.
    pub fn define_metric(&self, metric: &Metric) -> Result<bool> {
        self.define(|catalogue| catalogue.define_metric(metric))
    }

    /// Adds or refines the definition of a release; says whether anything changed.
    ///
    /// # Errors
    /// As [`Store::define_metric`].
    pub fn define_release(&self, release: &Release) -> Result<bool> {
        self.define(|catalogue| catalogue.define_release(release))
    }

    /// Edits definitions, all or none of them, with one write of the manifest.
    /// What the closure returns is returned.
    ///
    /// # Errors
    /// The closure's, or what the system refuses: nothing is changed then.
    pub fn define<T>(&self, edit: impl FnOnce(&mut Catalogue) -> Result<T>) -> Result<T> {
        let core = &self.core;
        core.check_alive()?;
        let _one_at_a_time = core.defining.lock();
        let before = core.manifest.lock().catalogue.clone();
        let mut after = before.clone();
        let result = edit(&mut after)?;
        if after != before {
            let shared = Arc::new(after.clone());
            core.edit_manifest(
                |manifest| {
                    manifest.catalogue = after;
                    Ok(())
                },
                |_, state| state.catalogue = shared,
            )?;
        }
        Ok(result)
    }

    /// Resolves a series once, for writing. Releases and branches need no
    /// declaration.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for a metric that is not defined,
    /// [`ErrorKind::InvalidInput`] for a name that is none, and
    /// [`ErrorKind::Limit`] for a new series where those met by this process fill
    /// half of [`Options::memory_budget`], at some 40 bytes each.
    pub fn series(&self, release: &str, branch: &str, metric: &str) -> Result<Series> {
        let core = &self.core;
        let kind = core
            .state
            .read()
            .catalogue
            .metric(metric)
            .map(|metric| metric.kind);
        let kind = kind.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("the metric {metric:?} is not defined"),
            )
            .help("define it first: its kind decides how deltas merge")
        })?;
        let budget = Some(core.options.budget());
        let id = core
            .series
            .intern_within(budget, [release, branch, metric], kind)?;
        Ok(Series {
            id,
            kind,
            store: core.tag,
        })
    }

    /// Commits a batch: all of it or nothing, durably as
    /// [`Options::durability`] says, visible to the next snapshot.
    ///
    /// Commits of several threads share one write and one sync. It waits only
    /// where the memory budget is full and the flush under way has not made
    /// room yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] refuses the whole batch. After
    /// [`ErrorKind::StorageFull`] or [`ErrorKind::Io`] nothing of it is
    /// visible, and the store goes on once the cause is gone. After
    /// [`ErrorKind::Poisoned`], or a failed sync, the batch may or may not be
    /// there when the store is reopened: send it again with its stamp.
    pub fn commit(&self, batch: Batch) -> Result<Receipt> {
        self.core.commit(batch)
    }

    /// Syncs what is buffered. With [`crate::Durability::Sync`] there is nothing to do.
    ///
    /// # Errors
    /// A failed sync poisons the store.
    pub fn sync(&self) -> Result<()> {
        self.core.check_alive()?;
        self.core.sync_log(&mut self.core.log.lock())
    }

    /// How far a source has come; `None` for one that never stamped a batch.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<SourceState> {
        self.core.state.read().sources.get(name).copied()
    }

    /// The offset of the last committed batch of a source.
    #[must_use]
    pub fn committed_offset(&self, source: &str) -> Option<u64> {
        self.source(source)?.offset
    }

    /// The state as of the last commit. Cost: a few reference counts.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.core.snapshot()
    }

    /// Writes everything committed so far into segments.
    ///
    /// # Errors
    /// What the system refuses; nothing is lost.
    pub fn flush(&self) -> Result<()> {
        self.core.flush_all()
    }

    /// Flushes, then merges until one segment a time bucket is left, with all
    /// but the last two days encoded densely. Reads and writes go on meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::Corruption`] names what could not be merged; all else was.
    pub fn compact(&self) -> Result<()> {
        self.core.compact_all()
    }

    /// Copies the state of now to `path`, an absent or empty directory: exactly
    /// one state, sources' offsets included. Reads and writes go on meanwhile.
    ///
    /// # Errors
    /// A damaged segment, or what the system refuses; what was copied by then
    /// is no store.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<Backup> {
        backup(
            &*self.core.disk,
            self.core.store_id,
            &self.snapshot(),
            path.as_ref(),
        )
    }

    /// What the store consists of.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn inspect(&self) -> Result<Inspection> {
        let manifest = self.core.manifest.lock().clone();
        inspect(
            &*self.core.disk,
            &manifest,
            &self.snapshot(),
            true,
            self.recovered.warnings.clone(),
        )
    }

    /// Closes the store: threads are stopped after what they are doing, the
    /// log is synced and sealed.
    ///
    /// # Errors
    /// What the system refuses. Everything acknowledged is still recovered at
    /// the next opening.
    pub fn close(self) -> Result<()> {
        self.shut()
    }

    fn shut(&self) -> Result<()> {
        self.workers.lock().stop(&self.core);
        let Some(lock) = self.core.lock.lock().take() else {
            return Ok(());
        };
        // Held to the end: what is written below is the last word of this writer.
        let _lock = Some(lock).filter(|_| !planted(Bug::LockLetGoEarly));
        self.core.check_alive()?;
        let mut log = self.core.log.lock();
        if let Some(wal) = log.wal.as_mut() {
            wal.cut();
        }
        if !planted(Bug::SealedWithoutSync) {
            self.core.sync_log(&mut log)?;
        }
        // Without a log a write has failed: there is nothing to seal, and the
        // next opening recovers.
        if let Some(wal) = log.wal.take() {
            let sealed = SealedWal {
                wal_id: wal.id(),
                bytes: wal.written(),
            };
            self.core.edit_manifest(
                |manifest| {
                    manifest.sealed = Some(sealed);
                    Ok(())
                },
                |_, _| (),
            )?;
        }
        // Handles of this store that outlive it find it closed.
        self.core.poison(&"the store was closed");
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`; nothing acknowledged depends on it.
        let _ = self.shut();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("disk", &self.core.disk)
            .finish_non_exhaustive()
    }
}
