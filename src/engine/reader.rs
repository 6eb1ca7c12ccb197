//! A store open for reading, also while another process writes it. Writes
//! nothing, so a read-only mount will do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::answers::Answers;
use crate::engine::audit;
use crate::engine::backup::{Backup, backup};
use crate::engine::inspect::{Inspection, inspect};
use crate::engine::open::{LOCK, refuse_public};
use crate::engine::options::Options;
use crate::engine::published::{Record, published};
use crate::engine::recovery::{
    End, Opened, Replayed, live_logs, load_manifest, open_refused, open_segments, replay,
    successor_says,
};
use crate::engine::replay::WalDamage;
use crate::engine::series::SeriesTable;
use crate::engine::state::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::format::audit::Override;
use crate::format::manifest::Manifest;
use crate::format::published;
use crate::format::wal::file_name;
use crate::storage::disk::{Disk, Open};
use crate::storage::real_disk::RealDisk;
use crate::storage::wal_reader::WalReader;

/// How often a store that changes under the reader is looked at anew.
const ATTEMPTS: usize = 50;

/// A store open for reading.
///
/// Each [`Reader::snapshot`] sees everything a writer had acknowledged by
/// then, in whatever process, and nothing it had not.
pub struct Reader {
    disk: Arc<dyn Disk>,
    /// Where overrides are recorded, the one thing a reader may write: a
    /// directory to be opened for it, or the disk it reads.
    audit: Option<PathBuf>,
    /// What answers may take.
    answers: Arc<Answers>,
    view: Mutex<View>,
}

struct View {
    manifest: Manifest,
    series: Arc<SeriesTable>,
    replayed: Replayed,
    end: End,
    /// Bytes of all logs when they were read.
    log_bytes: u64,
    /// The log being followed.
    follow: Option<(u64, WalReader)>,
    warnings: Vec<String>,
}

impl Reader {
    /// Opens the store at `path` for reading.
    ///
    /// # Errors
    /// [`ErrorKind::NotAStore`], [`ErrorKind::Unsupported`], or
    /// [`ErrorKind::Corruption`] of both copies of the manifest. Other damage
    /// is a warning here and an error of the read that meets it.
    pub fn open(path: impl AsRef<Path>) -> Result<Reader> {
        let path = path.as_ref();
        if !path.is_dir() {
            let what = if path.exists() {
                "is a file, not a hotstove store"
            } else {
                "does not exist"
            };
            return Err(Error::new(
                ErrorKind::NotAStore,
                format!("{} {what}", path.display()),
            ));
        }
        let disk = RealDisk::read_only(path)
            .map_err(|error| Error::io(format!("opening {}", path.display()), error))?;
        Self::with_audit(Arc::new(disk), Some(path.to_owned()))
    }

    /// Bytes that answers of queries may take while they are made, all of them
    /// together: 96 MiB unless said. An answer that was given belongs to who asked.
    #[must_use]
    pub fn memory_budget(mut self, bytes: usize) -> Reader {
        self.answers = Arc::new(Answers::new(bytes));
        self
    }

    /// Opens a store on any disk for reading.
    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn open_on(disk: Arc<dyn Disk>) -> Result<Reader> {
        Self::with_audit(disk, None)
    }

    fn with_audit(disk: Arc<dyn Disk>, audit: Option<PathBuf>) -> Result<Reader> {
        let view = View::load(&*disk, &(Vec::new(), Vec::new()))?;
        Ok(Reader {
            disk,
            audit,
            answers: Arc::new(Answers::new(Options::new().memory_budget)),
            view: Mutex::new(view),
        })
    }

    /// The state as of now. Cost where nothing has changed: one read of 56
    /// bytes; after a commit, reading what was appended to the log; after a
    /// flush, opening what is new.
    ///
    /// # Errors
    /// What the system refuses, or a manifest damaged since.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let mut view = self.view.lock();
        view.refresh(&*self.disk)?;
        let view = &mut *view;
        let state = &mut view.replayed.state;
        if !state.broken.is_empty() {
            let store_id = view.manifest.store_id;
            state.take_in(open_refused(&*self.disk, store_id, &state.broken));
        }
        Ok(Snapshot {
            state: view.replayed.state.clone(),
            series: view.series.clone(),
            answers: self.answers.clone(),
        })
    }

    /// What is damaged and was worked around, for people.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let view = self.view.lock();
        let broken = view.replayed.state.broken.iter();
        let broken = broken.map(|broken| format!("{} can not be read", broken.error));
        let damage = view.replayed.replay.findings.damage.iter().map(|damage| {
            format!(
                "{} at byte {} to {}: {}; every good frame is used, and a writer refuses to open before a repair",
                damage.file, damage.from, damage.to, damage.what
            )
        });
        let segments = view.replayed.state.segments.iter();
        let hurt = segments
            .flat_map(|segment| segment.damage())
            .map(|damage| damage.to_string());
        view.warnings
            .iter()
            .cloned()
            .chain(broken)
            .chain(hurt)
            .chain(damage)
            .collect()
    }

    /// What is damaged in the log.
    pub(crate) fn log_damage(&self) -> Vec<WalDamage> {
        self.view.lock().replayed.replay.findings.damage.clone()
    }

    /// Bytes of torn tail dropped.
    pub(crate) fn torn_bytes(&self) -> u64 {
        self.view.lock().replayed.replay.findings.torn_bytes
    }

    /// What the store consists of.
    ///
    /// # Errors
    /// As [`Reader::snapshot`].
    pub fn inspect(&self) -> Result<Inspection> {
        let snapshot = self.snapshot()?;
        let alive = self.view.lock().end != End::File;
        inspect(
            &*self.disk,
            &self.manifest(),
            &snapshot,
            alive,
            self.warnings(),
        )
    }

    /// Copies the state of now to `path`, an absent or empty directory: exactly
    /// one state, sources' offsets included, while a writer goes on.
    ///
    /// # Errors
    /// A damaged segment, or what the system refuses; what was copied by then
    /// is no store.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<Backup> {
        let snapshot = self.snapshot()?;
        backup(
            &*self.disk,
            self.manifest().store_id,
            &snapshot,
            path.as_ref(),
        )
    }

    /// Records in the audit log that a decision metric is read before its
    /// window is whole. Call it before the read: whoever can not record is
    /// refused.
    ///
    /// # Errors
    /// A reason that is empty or too long, or what the system refuses.
    pub fn record_override(&self, record: &Override) -> Result<()> {
        match &self.audit {
            None => audit::append(&*self.disk, record),
            Some(path) => {
                let disk = RealDisk::open(path)
                    .map_err(|error| Error::io("opening the audit log", error))?;
                refuse_public(&disk)?;
                audit::append(&disk, record)
            }
        }
    }

    /// All records of the audit log.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn overrides(&self) -> Result<Vec<Override>> {
        Ok(audit::read(&*self.disk)?.records)
    }

    /// The disk it reads.
    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The manifest it last read.
    pub(crate) fn manifest(&self) -> Manifest {
        self.view.lock().manifest.clone()
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("disk", &self.disk)
            .finish_non_exhaustive()
    }
}

/// How far the newest log may be read now.
fn end(disk: &dyn Disk, store_id: u64) -> Result<(End, Option<u64>)> {
    let record = match published(disk, store_id)? {
        Record::None => return Ok((End::File, None)),
        Record::Sound(record) if record.wal_id == 0 => return Ok((End::File, None)),
        Record::Sound(record) => Some(record),
        Record::Damaged => None,
    };
    let dead = disk
        .lock(LOCK, false)
        .map_err(|error| Error::io("looking for a writer", error).in_file(LOCK))?
        .is_some();
    if dead {
        // After a power cut the record may lag behind what was acknowledged;
        // without a writer every good frame counts.
        return Ok((End::File, None));
    }
    let Some(record) = record else {
        // Without it nobody can tell what the writer has acknowledged.
        return Err(Error::corruption("the record of a live writer is damaged")
            .in_file(published::FILE)
            .help("its next commit writes it anew: try again then"));
    };
    let end = End::Published {
        wal_id: record.wal_id,
        bytes: record.wal_bytes,
    };
    Ok((end, Some(record.generation)))
}

/// Bytes of all live logs.
fn log_bytes(disk: &dyn Disk, first: u64) -> Result<u64> {
    let (logs, _) = live_logs(disk, first)?;
    let lengths = logs
        .iter()
        .map(|id| disk.open(&file_name(*id), Open::Read)?.len());
    let total = lengths.sum::<std::io::Result<u64>>();
    total.map_err(|error| Error::io("measuring the log", error))
}

impl View {
    /// Reads everything anew, keeping segments that are open.
    fn load(disk: &dyn Disk, known: &Opened) -> Result<View> {
        let mut moved = None;
        for _ in 0..ATTEMPTS {
            let (manifest, warnings) = load_manifest(disk)?;
            let (end, _) = end(disk, manifest.store_id)?;
            let stale = match end {
                End::Published { wal_id, .. } => wal_id < manifest.first_wal,
                End::File => false,
            };
            let series = Arc::new(SeriesTable::default());
            let attempt = open_segments(disk, &manifest, &known.0)
                .and_then(|opened| replay(disk, &manifest, opened, &series, end))
                .and_then(|replayed| Ok((replayed, log_bytes(disk, manifest.first_wal)?)));
            // Files go away only after a newer manifest stopped naming them.
            let (now, _) = load_manifest(disk)?;
            // And a writer that began meanwhile may have written what it has not
            // acknowledged yet.
            let begun = end == End::File && self::end(disk, manifest.store_id)?.0 != end;
            if now.generation != manifest.generation || stale || begun {
                moved = attempt.err();
                continue;
            }
            let (replayed, log_bytes) = attempt?;
            return Ok(View {
                manifest,
                series,
                replayed,
                end,
                log_bytes,
                follow: None,
                warnings,
            });
        }
        Err(moved.unwrap_or_else(|| {
            Error::new(
                ErrorKind::Io,
                "the store changes faster than it can be opened",
            )
        }))
    }

    fn refresh(&mut self, disk: &dyn Disk) -> Result<()> {
        let (end, generation) = end(disk, self.manifest.store_id)?;
        if end == End::File && self.end == End::File {
            // No writer is alive, but one may have lived since the last look.
            if load_manifest(disk)?.0.generation == self.manifest.generation
                && log_bytes(disk, self.manifest.first_wal)
                    .is_ok_and(|bytes| bytes == self.log_bytes)
            {
                return Ok(());
            }
        } else if end == self.end && generation == Some(self.manifest.generation) {
            return Ok(());
        } else if let (End::Published { wal_id, bytes }, Some(generation)) = (end, generation)
            && generation == self.manifest.generation
            && self.follow(disk, wal_id, bytes)?
        {
            self.end = end;
            return Ok(());
        }
        let segments = self.replayed.state.segments.to_vec();
        *self = View::load(disk, &(segments, Vec::new()))?;
        Ok(())
    }

    /// Reads on in the logs up to `bytes` of log `newest`; says whether that
    /// was possible.
    fn follow(&mut self, disk: &dyn Disk, newest: u64, bytes: u64) -> Result<bool> {
        let End::Published { .. } = self.end else {
            return Ok(false);
        };
        let Some((last, offset)) = self.replayed.last else {
            return Ok(false);
        };
        if last > newest {
            return Ok(false);
        }
        for id in last..=newest {
            let end = if id == newest {
                bytes
            } else {
                match successor_says(disk, self.manifest.store_id, id + 1) {
                    Ok(Some(length)) => length,
                    _ => return Ok(false),
                }
            };
            if self
                .follow
                .as_ref()
                .is_none_or(|(following, _)| *following != id)
            {
                let Ok(mut reader) = WalReader::open(disk, self.manifest.store_id, id, Some(end))
                else {
                    return Ok(false);
                };
                if id == last {
                    reader.skip_to(offset);
                } else {
                    self.replayed.replay.next_log();
                }
                self.follow = Some((id, reader));
            }
            let Some((_, reader)) = self.follow.as_mut() else {
                return Ok(false);
            };
            reader.extend(end);
            let state = &mut self.replayed.state;
            self.replayed.replay.run(
                reader,
                &self.series,
                &mut state.active,
                Arc::make_mut(&mut state.sources),
            )?;
            state.sequence = self.replayed.replay.sequence;
            self.replayed.last = Some((id, reader.offset()));
        }
        Ok(true)
    }
}
