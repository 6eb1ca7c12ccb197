//! A file written front to back.

use crate::error::{Error, ErrorKind, Result};
use crate::format::checksum::Hasher64;
use crate::storage::disk::DiskFile;
use crate::storage::planted::{Bug, planted};

/// Bytes collected before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// A file written front to back, and the hash of all that went into it.
pub struct Output {
    file: Box<dyn DiskFile>,
    name: String,
    hasher: Hasher64,
    /// Where the next byte goes, buffered bytes included.
    position: u64,
    buffer: Vec<u8>,
    /// Whether a write failed: what the file holds is unknown then.
    broken: bool,
}

impl Output {
    /// Nothing written yet.
    pub fn new(file: Box<dyn DiskFile>, name: &str) -> Self {
        Output {
            file,
            name: name.to_owned(),
            hasher: Hasher64::new(),
            position: 0,
            buffer: Vec::new(),
            broken: false,
        }
    }

    /// Appends `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() > BUFFER_BYTES {
            self.write_through(self.position, bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        self.hasher.update(bytes);
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Where the next byte goes.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The hash of all bytes so far.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// Reads back what was written.
    pub fn read_back(&mut self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        if offset + bytes.len() as u64 > self.position - self.buffer.len() as u64 {
            self.flush()?;
        }
        self.file.read_at(offset, bytes).map_err(|error| {
            Error::io("reading back a segment", error)
                .in_file(&self.name)
                .at(offset)
        })
    }

    /// Makes all of it durable.
    pub fn sync(&mut self) -> Result<()> {
        self.flush()?;
        // Some file systems know no rights: the file is as good without.
        let _ = self.file.seal();
        if planted(Bug::SegmentNotSynced) {
            return Ok(());
        }
        self.file
            .sync()
            .map_err(|error| Error::io("syncing a segment", error).in_file(&self.name))
    }

    fn flush(&mut self) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.write_through(self.position - buffer.len() as u64, &buffer)?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    fn write_through(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        if self.broken {
            return Err(Error::new(ErrorKind::Io, "a write failed before").in_file(&self.name));
        }
        let written = self.file.write_at(offset, bytes);
        self.broken = written.is_err();
        written.map_err(|error| {
            Error::io("writing a segment", error)
                .in_file(&self.name)
                .at(offset)
        })
    }
}
