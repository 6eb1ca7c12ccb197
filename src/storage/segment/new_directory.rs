//! The directory of a segment being written. Up to a number of series it is
//! collected in memory; beyond, it is put together again from the headers of the
//! blocks already written, so that memory does not grow with the series.

use crate::error::{Error, Result};
use crate::format::block::BlockHeader;
use crate::format::block_prefix::{PREFIX_BYTES, Place, Prefix};
use crate::format::checksum::bound;
use crate::format::directory::{ENTRY_BYTES, Entry};
use crate::format::header::Identity;
use crate::format::trailer::Layout;

use super::output::Output;

/// Entries kept in memory: 512 KiB of them. Few in tests, which so come both ways.
const KEPT_ENTRIES: usize = if cfg!(test) { 3 } else { 1 << 13 };
/// Bytes read back at once, and more where a block's header is longer.
const WINDOW_BYTES: usize = 256 << 10;

/// Entries so far.
#[derive(Default)]
pub struct NewDirectory {
    series: u32,
    /// Their bytes, as long as they are few; after that empty.
    kept: Vec<u8>,
}

impl NewDirectory {
    /// Series so far.
    pub fn series(&self) -> u32 {
        self.series
    }

    /// Adds the entry of the block just written.
    pub fn push(&mut self, entry: &Entry) {
        if self.series as usize >= KEPT_ENTRIES {
            self.kept = Vec::new();
        } else if self.series as usize * ENTRY_BYTES == self.kept.len() {
            self.kept.extend_from_slice(&entry.encode());
        }
        self.series += 1;
    }

    /// Writes the directory to its place, where `output` stands; gives its
    /// checksum.
    pub fn write(
        &mut self,
        output: &mut Output,
        identity: &Identity,
        layout: &Layout,
    ) -> Result<u32> {
        let mut crc = bound(identity.segment_id, layout.directory);
        if self.series as usize * ENTRY_BYTES == self.kept.len() {
            crc.update(&self.kept);
            output.write(&self.kept)?;
            return Ok(crc.finalize());
        }
        let mut window = Window::default();
        let mut offset = layout.blocks;
        for _ in 0..self.series {
            let place = Place {
                segment_id: identity.segment_id,
                offset,
            };
            let lost = |_| Error::corruption("a block just written does not read back");
            let front = window.load(output, offset, PREFIX_BYTES, layout.blocks_end)?;
            let prefix = Prefix::decode(front, place).map_err(lost)?;
            let length = prefix.header_bytes as usize;
            let header = window.load(output, offset, length, layout.blocks_end)?;
            let entry = BlockHeader::decode(header, place)
                .and_then(|header| header.entry(place, identity.bucket))
                .map_err(lost)?;
            let bytes = entry.encode();
            crc.update(&bytes);
            output.write(&bytes)?;
            offset = entry.block_end();
        }
        Ok(crc.finalize())
    }
}

/// Blocks read back.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    /// `count` bytes from `offset`, which lie before `end`.
    fn load(&mut self, output: &mut Output, offset: u64, count: usize, end: u64) -> Result<&[u8]> {
        let held = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + count as u64 > held {
            let rest = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
            self.bytes.resize(rest.min(count.max(WINDOW_BYTES)), 0);
            self.start = offset;
            output.read_back(offset, &mut self.bytes)?;
        }
        let from = (offset - self.start) as usize;
        Ok(self.bytes.get(from..from + count).unwrap_or_default())
    }
}
