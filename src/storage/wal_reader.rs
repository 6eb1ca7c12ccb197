//! Reading the log: one reader serves replay, tailing and verification.

use crate::error::{Error, Result};
use crate::format::wal::{
    FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, HEADER_BYTES, Header, VERSION, file_name,
    newer_version, salt,
};
use crate::storage::disk::{Disk, DiskFile, Open};
use crate::storage::planted::{Bug, planted};

/// Bytes read ahead at least.
const WINDOW_BYTES: usize = 256 << 10;

/// What the next frame turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A sound frame.
    Frame {
        /// Where it starts.
        offset: u64,
        /// Its commit sequence.
        sequence: u64,
        /// The batch.
        payload: &'a [u8],
    },
    /// Bytes that were durable and are not what was written; reading goes on
    /// after them.
    Damage {
        /// The first bad byte.
        from: u64,
        /// The next good frame, or the end.
        to: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Frames a crash left half-written: never acknowledged as durable,
    /// dropped with all that follows.
    Torn {
        /// The first byte dropped.
        from: u64,
        /// Bytes dropped.
        bytes: u64,
    },
    /// The end.
    End,
}

/// Reads one log front to back.
pub struct WalReader {
    file: Box<dyn DiskFile>,
    name: String,
    salt: u64,
    /// What the header says, unless it is damaged.
    header: Option<Header>,
    header_damage: Option<&'static str>,
    file_bytes: u64,
    offset: u64,
    end: u64,
    /// Whether every byte up to `end` is known to have been whole.
    sealed: bool,
    window: Vec<u8>,
    window_start: u64,
}

impl WalReader {
    /// Opens the log `wal_id`. With `sealed`, it is known to have been whole
    /// up to that length, and what lies beyond does not count.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for a newer version, `Corruption` where a
    /// sealed log is shorter than it was, and what the system refuses.
    pub fn open(disk: &dyn Disk, store_id: u64, wal_id: u64, sealed: Option<u64>) -> Result<Self> {
        let name = file_name(wal_id);
        let fail = |error| Error::io("opening the log", error).in_file(&name);
        let file = disk.open(&name, Open::Read).map_err(fail)?;
        let length = file.len().map_err(fail)?;
        let mut front = vec![0; length.min(HEADER_BYTES as u64) as usize];
        file.read_at(0, &mut front).map_err(fail)?;
        if let Some(version) = newer_version(&front, wal_id) {
            return Err(Error::new(
                crate::ErrorKind::Unsupported,
                format!(
                    "log format {version} is newer than {VERSION}, the newest this version reads"
                ),
            )
            .in_file(&name)
            .help("open it with a newer hotstove"));
        }
        let (header, header_damage) = match Header::decode(&front, wal_id) {
            Ok(header) if header.store_id == store_id => (Some(header), None),
            Ok(_) => (None, Some("the log of another store")),
            Err(corrupt) => (None, Some(corrupt.what)),
        };
        Ok(WalReader {
            file,
            name,
            salt: salt(store_id, wal_id),
            header,
            header_damage,
            file_bytes: length,
            offset: HEADER_BYTES as u64,
            end: sealed.unwrap_or(length),
            sealed: sealed.is_some(),
            window: Vec::new(),
            window_start: 0,
        })
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the file when it was opened.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// What the header says, unless it is damaged.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// What is wrong with the header. Frames are readable without it.
    pub fn header_damage(&self) -> Option<&'static str> {
        self.header_damage
    }

    /// Where the next frame starts: after the last good one.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes on at `offset`, the end of a frame read earlier.
    pub fn skip_to(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Reads on to `end`, up to which a live writer has acknowledged.
    pub fn extend(&mut self, end: u64) {
        self.end = end;
        self.sealed = true;
        // What was read ahead may have been older than what is there now.
        self.window.clear();
    }

    /// The next frame. Memory: one frame and a read-ahead window.
    pub fn next_step(&mut self) -> Result<Step<'_>> {
        if self.offset >= self.end {
            return Ok(Step::End);
        }
        let offset = self.offset;
        match self.frame(offset)? {
            Ok((header, next)) => {
                self.offset = next;
                let from = (offset - self.window_start) as usize + FRAME_HEADER_BYTES;
                let payload = &self.window[from..from + header.payload_bytes as usize];
                Ok(Step::Frame {
                    offset,
                    sequence: header.sequence,
                    payload,
                })
            }
            Err(what) => self.resolve(offset, what),
        }
    }

    /// Decides whether bad bytes at `bad` are damage or a torn tail: they were
    /// durable if the log is sealed or any later good frame says so.
    fn resolve(&mut self, bad: u64, what: &'static str) -> Result<Step<'_>> {
        let next = self.search(bad + 1)?;
        let mut durable = self.sealed;
        let mut probe = next;
        while let (false, Some(at)) = (durable, probe) {
            match self.frame(at)? {
                Ok((header, after)) => {
                    durable = header.durable_bytes > bad;
                    probe = Some(after).filter(|after| *after < self.end);
                }
                Err(_) => probe = self.search(at + 1)?,
            }
        }
        if durable {
            self.offset = next.unwrap_or(self.end);
            Ok(Step::Damage {
                from: bad,
                to: self.offset,
                what,
            })
        } else {
            let bytes = self.written_from(bad)? - bad;
            self.end = bad;
            Ok(match bytes {
                // Room set aside for frames that never came.
                0 => Step::End,
                _ => Step::Torn { from: bad, bytes },
            })
        }
    }

    /// Where the zeros begin that reach to the end; not before `from`.
    fn written_from(&mut self, from: u64) -> Result<u64> {
        let (mut at, mut last) = (from, from);
        while at < self.end {
            let available = self.load(at, 1)?;
            if available == 0 {
                break;
            }
            let start = (at - self.window_start) as usize;
            let bytes = &self.window[start..];
            if let Some(place) = bytes.iter().rposition(|byte| *byte != 0) {
                last = at + place as u64 + 1;
            }
            at += bytes.len() as u64;
        }
        Ok(last.min(self.end))
    }

    /// The next offset from `from` on at which a sound frame starts.
    fn search(&mut self, from: u64) -> Result<Option<u64>> {
        let mut at = from;
        while at + FRAME_HEADER_BYTES as u64 <= self.end {
            let available = self.load(at, FRAME_HEADER_BYTES)?;
            if available < FRAME_HEADER_BYTES {
                return Ok(None);
            }
            let start = (at - self.window_start) as usize;
            let found = self.window[start..]
                .windows(FRAME_MAGIC.len())
                .position(|bytes| bytes == FRAME_MAGIC);
            match found {
                Some(skipped) => {
                    at += skipped as u64;
                    if self.frame(at)?.is_ok() {
                        return Ok(Some(at));
                    }
                    at += 1;
                }
                None => at += (self.window.len() - start - (FRAME_MAGIC.len() - 1)) as u64,
            }
        }
        Ok(None)
    }

    /// The frame at `offset`, checked, and where the next one starts; the
    /// window then holds it. The inner error says what is wrong with it.
    fn frame(
        &mut self,
        offset: u64,
    ) -> Result<std::result::Result<(FrameHeader, u64), &'static str>> {
        if self.load(offset, FRAME_HEADER_BYTES)? < FRAME_HEADER_BYTES {
            return Ok(Err("cut short"));
        }
        let start = (offset - self.window_start) as usize;
        let header = match FrameHeader::decode(&self.window[start..], self.salt, offset) {
            Ok(header) => header,
            Err(corrupt) => return Ok(Err(corrupt.what)),
        };
        let total = FRAME_HEADER_BYTES + header.payload_bytes as usize;
        // The header's checksum held, so its length was written: at most one frame.
        if offset + total as u64 > self.end || self.load(offset, total)? < total {
            return Ok(Err("cut short"));
        }
        let start = (offset - self.window_start) as usize;
        let payload = &self.window[start + FRAME_HEADER_BYTES..start + total];
        let checked = match planted(Bug::PayloadNotChecked) {
            true => Ok(()),
            false => header.check(payload, self.salt, offset),
        };
        Ok(match checked {
            Ok(()) => Ok((header, offset + total as u64)),
            Err(corrupt) => Err(corrupt.what),
        })
    }

    /// Brings `count` bytes from `offset` into the window; fewer where the
    /// file ends before. Returns how many are there.
    fn load(&mut self, offset: u64, count: usize) -> Result<usize> {
        let inside = offset >= self.window_start
            && offset + count as u64 <= self.window_start + self.window.len() as u64;
        if !inside {
            let fail = |error| {
                Error::io("reading the log", error)
                    .in_file(&self.name)
                    .at(offset)
            };
            let length = self.file.len().map_err(fail)?.min(self.end);
            let available = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX);
            let wanted = available.min(count.max(WINDOW_BYTES));
            self.window.resize(wanted, 0);
            self.window_start = offset;
            self.file.read_at(offset, &mut self.window).map_err(fail)?;
        }
        Ok((self.window_start + self.window.len() as u64).saturating_sub(offset) as usize)
    }
}
