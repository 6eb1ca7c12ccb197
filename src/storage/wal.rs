//! Writing the log: frames are staged in memory, written in one call and
//! synced in another, so that the caller decides which lock is held meanwhile.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::{Definition, Delta, Encoder, Stamp};
use crate::format::wal::{FRAME_HEADER_BYTES, HEADER_BYTES, Header, file_name, put_frame, salt};
use crate::limits::{FRAME_BYTES_MAX, WAL_REDEFINE_BYTES};
use crate::model::{Kind, Name};
use crate::storage::disk::{Disk, DiskFile, Open};
use crate::storage::planted::{Bug, planted};
use crate::storage::wal_definitions::Definitions;

/// Zeros written ahead of the frames: as much as there are frames, between
/// these. Small logs stay small, and large ones seldom grow.
const AHEAD_BYTES_MIN: u64 = 4 << 10;
const AHEAD_BYTES_MAX: u64 = 1 << 20;

/// What the log needs to know of a series it writes deltas of.
pub trait SeriesNames {
    /// Release, branch and metric, and the kind, of a series of this process.
    fn series(&self, id: u32) -> ([&str; 3], Kind);
    /// Its kind alone.
    fn kind(&self, id: u32) -> Kind;
}

/// The log being written.
pub struct WalWriter {
    file: Arc<dyn DiskFile>,
    /// Whether a sync has failed: the next one would lie. Held while one runs,
    /// since the kernel tells of a failure but once.
    sync_failed: Arc<Mutex<bool>>,
    name: String,
    wal_id: u64,
    salt: u64,
    /// Bytes written and whole.
    written: u64,
    /// Bytes known to be synced.
    synced: u64,
    /// Whether zeros are written ahead of the frames.
    ahead: bool,
    /// Where frames and the zeros ahead of them end.
    reserved: u64,
    staged: Vec<u8>,
    payload: Vec<u8>,
    defined: Definitions,
}

impl WalWriter {
    /// Creates the log durably: no frame is acknowledged in a file whose name
    /// a power cut could take back.
    pub fn create(disk: &dyn Disk, header: &Header) -> Result<Self> {
        let name = file_name(header.wal_id);
        let fail = |doing: &'static str| {
            let name = name.clone();
            move |error| Error::io(doing, error).in_file(name)
        };
        // A log of this number holds nothing acknowledged: an earlier attempt
        // to create it failed.
        match disk.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(fail("removing a left-over log")(error));
            }
            _ => {}
        }
        let file = disk
            .open(&name, Open::Create)
            .map_err(fail("creating the log"))?;
        let sync = || match planted(Bug::LogHeaderNotSynced) {
            true => Ok(()),
            false => file.sync(),
        };
        let sync_dir = || match planted(Bug::LogNameNotSynced) {
            true => Ok(()),
            false => disk
                .sync_dir()
                .or_else(|error| match planted(Bug::LogNameErrorIgnored) {
                    true => Ok(()),
                    false => Err(error),
                }),
        };
        let written = file
            .write_at(0, &header.encode())
            .and_then(|()| sync())
            .map_err(fail("writing the log's header"))
            .and_then(|()| sync_dir().map_err(fail("syncing the directory")));
        if let Err(error) = written {
            // Nothing was promised of this file; a remainder is ignored at open.
            let _ = disk.remove(&name);
            return Err(error);
        }
        Ok(WalWriter {
            file: file.into(),
            sync_failed: Arc::default(),
            name,
            wal_id: header.wal_id,
            salt: salt(header.store_id, header.wal_id),
            written: HEADER_BYTES as u64,
            synced: HEADER_BYTES as u64,
            ahead: false,
            reserved: 0,
            staged: Vec::new(),
            payload: Vec::new(),
            defined: Definitions::default(),
        })
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.wal_id
    }

    /// Bytes written and whole.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Whether all that is written is synced.
    pub fn is_synced(&self) -> bool {
        self.synced == self.written
    }

    /// Appends a batch to what the next [`WalWriter::write`] writes.
    ///
    /// # Errors
    /// A frame beyond the limit, or more of them than are numbered; nothing is
    /// staged then.
    pub fn stage(
        &mut self,
        sequence: u64,
        stamp: Option<&Stamp<Name>>,
        deltas: &[Delta],
        names: &impl SeriesNames,
    ) -> Result<()> {
        let offset = self.written + self.staged.len() as u64;
        let owed = self.defined.owed_by(offset, deltas)?;
        if !planted(Bug::DirtyBufferReused) {
            self.payload.clear();
        }
        let mut encoder = Encoder::new(&mut self.payload, stamp);
        encoder.definitions(owed.iter().map(|number| {
            let (key, kind) = names.series(*number);
            Definition {
                number: *number,
                key,
                kind,
            }
        }));
        encoder.deltas(deltas, |series| names.kind(series));
        if self.payload.len() > FRAME_BYTES_MAX {
            // The definitions were noted as written: the caller abandons the log.
            return Err(Error::invalid(format!(
                "the batch takes {} bytes in the log; at most {FRAME_BYTES_MAX} are allowed",
                self.payload.len()
            ))
            .help("send it in smaller batches"));
        }
        put_frame(
            &mut self.staged,
            self.salt,
            offset,
            sequence,
            self.synced,
            &self.payload,
        );
        Ok(())
    }

    /// Writes what is staged. After an error nothing of it counts, the log is
    /// cut back as far as possible and must be abandoned: a later frame never
    /// follows a torn one.
    pub fn write(&mut self) -> Result<()> {
        let result = self.file.write_at(self.written, &self.staged);
        match &result {
            Ok(()) => {
                self.written += self.staged.len() as u64;
                self.write_zeros();
            }
            Err(_) if planted(Bug::AppendsAfterTornWrite) => {
                self.written += self.staged.len() as u64
            }
            Err(_) => drop(self.file.set_len(self.written)),
        }
        self.staged.clear();
        // A huge batch must not keep its buffers for ever.
        self.staged.shrink_to(1 << 20);
        self.payload.shrink_to(1 << 20);
        self.defined.shrink();
        result.map_err(|error| Error::io("writing the log", error).in_file(&self.name))
    }

    /// From here on keeps zeros written ahead of the frames: for a log that is
    /// synced at every commit.
    ///
    /// A frame then overwrites blocks that the file has, and a sync need not wait
    /// for the file system's journal, which all files share.
    pub fn write_ahead(&mut self) {
        self.ahead = true;
    }

    /// Writes zeros behind the frames where there are none any more. They become
    /// durable with the frames of the next sync. A convenience: without them
    /// syncs are slower, so a failure is none of the commit.
    fn write_zeros(&mut self) {
        if !self.ahead || self.written < self.reserved {
            return;
        }
        let bytes = self.written.clamp(AHEAD_BYTES_MIN, AHEAD_BYTES_MAX);
        let end = (self.written + bytes).next_multiple_of(AHEAD_BYTES_MIN);
        let zeros = vec![0; (end - self.written) as usize];
        self.reserved = end;
        if self.file.write_at(self.written, &zeros).is_err() {
            // Most likely there is no room: nothing of it is kept from others.
            self.ahead = false;
            self.cut();
        }
    }

    /// Gives back the room behind the frames. Where that fails it stays, as zeros.
    pub fn cut(&mut self) {
        if self.reserved > self.written {
            self.reserved = self.written;
            let _ = self.file.set_len(self.written);
        }
    }

    /// Makes all that is written durable. An error must never be retried.
    pub fn sync(&mut self) -> Result<()> {
        if !self.is_synced() {
            let synced = self.pending_sync().run();
            if !planted(Bug::SyncRetried) || synced.is_ok() {
                synced?;
            } else {
                self.pending_sync().run()?;
            }
            self.synced = self.written;
        }
        Ok(())
    }

    /// A sync of all that is written now, to be run without holding the log.
    pub fn pending_sync(&self) -> PendingSync {
        PendingSync {
            file: self.file.clone(),
            sync_failed: self.sync_failed.clone(),
            name: self.name.clone(),
            wal_id: self.wal_id,
            bytes: self.written,
        }
    }

    /// Notes a sync that has run.
    pub fn note_synced(&mut self, sync: &PendingSync) {
        if sync.wal_id == self.wal_id {
            let bytes = match planted(Bug::SyncNotesTooMuch) {
                true => self.written,
                false => sync.bytes,
            };
            self.synced = self.synced.max(bytes);
        }
    }
}

/// A sync to be run. See [`WalWriter::pending_sync`].
pub struct PendingSync {
    file: Arc<dyn DiskFile>,
    sync_failed: Arc<Mutex<bool>>,
    name: String,
    wal_id: u64,
    bytes: u64,
}

impl PendingSync {
    /// Syncs. An error must never be retried.
    pub fn run(&self) -> Result<()> {
        let mut failed = self.sync_failed.lock();
        let again = *failed && !planted(Bug::SyncRetried) && !planted(Bug::PoisonForgotten);
        if again {
            return Err(
                Error::new(ErrorKind::Io, "a sync of the log failed before").in_file(&self.name)
            );
        }
        let synced = self.file.sync();
        *failed |= synced.is_err();
        synced.map_err(|error| Error::io("syncing the log", error).in_file(&self.name))
    }
}

/// The least log that holds one frame of one delta.
const _: () = assert!(FRAME_HEADER_BYTES + HEADER_BYTES < WAL_REDEFINE_BYTES as usize);
