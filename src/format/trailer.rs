//! The last 128 bytes of a segment: where its sections are, what it holds in
//! all, and the hash of everything before.

use crate::codec::cursor::{Corrupt, Cursor};
use crate::format::checksum::{bound_crc, hash64};
use crate::format::directory::ENTRY_BYTES;
use crate::format::header::{HEADER_BYTES, Identity, VERSION, require_zero};
use crate::limits::{DICTIONARY_BYTES_MAX, MINUTES_PER_BUCKET, SEGMENT_SERIES_MAX};

/// Bytes of a trailer.
pub const TRAILER_BYTES: usize = 128;

const MAGIC: [u8; 8] = *b"HOTSTEND";
const END_MAGIC: [u8; 4] = *b"hots";
const CRC_AT: usize = TRAILER_BYTES - 8;

/// The trailer of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// Which segment this is.
    pub identity: Identity,
    /// Length of each copy of the dictionary.
    pub dictionary_bytes: u32,
    /// Series in the directory.
    pub series: u32,
    /// Where the last block ends.
    pub blocks_end: u64,
    /// CRC-32 of the directory, bound to its place.
    pub directory_crc: u32,
    /// The first minute with a cell.
    pub first_minute: u32,
    /// The last minute with a cell.
    pub last_minute: u32,
    /// Cells in all series.
    pub cells: u64,
    /// [`hash64`] of all bytes before the trailer.
    pub hash: u64,
}

/// Where the sections of a segment are: each starts where the one before ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The first block, behind the first copy of the dictionary.
    pub blocks: u64,
    /// The end of the last block; zeros follow.
    pub blocks_end: u64,
    /// The directory, aligned to its entries.
    pub directory: u64,
    /// The second copy of the dictionary.
    pub second_dictionary: u64,
    /// The trailer.
    pub trailer: u64,
    /// The end of the file.
    pub end: u64,
}

impl Trailer {
    /// Where the sections are; `None` where that lies outside of 64 bits or
    /// sections would overlap.
    #[must_use]
    pub fn layout(&self) -> Option<Layout> {
        let dictionary = u64::from(self.dictionary_bytes);
        let blocks = HEADER_BYTES as u64 + dictionary;
        let directory = self
            .blocks_end
            .checked_next_multiple_of(ENTRY_BYTES as u64)?;
        let entries = u64::from(self.series) * ENTRY_BYTES as u64;
        let second_dictionary = directory.checked_add(entries)?;
        let trailer = second_dictionary.checked_add(dictionary)?;
        let end = trailer.checked_add(TRAILER_BYTES as u64)?;
        (blocks <= self.blocks_end).then_some(Layout {
            blocks,
            blocks_end: self.blocks_end,
            directory,
            second_dictionary,
            trailer,
            end,
        })
    }

    /// Its 128 bytes, for a layout that is sound.
    #[must_use]
    pub fn encode(&self, layout: &Layout) -> Vec<u8> {
        let mut out = Vec::with_capacity(TRAILER_BYTES);
        out.extend_from_slice(&MAGIC);
        self.identity.encode(&mut out);
        out.extend_from_slice(&self.dictionary_bytes.to_le_bytes());
        out.extend_from_slice(&self.series.to_le_bytes());
        out.extend_from_slice(&layout.end.to_le_bytes());
        out.extend_from_slice(&self.blocks_end.to_le_bytes());
        out.extend_from_slice(&layout.directory.to_le_bytes());
        out.extend_from_slice(&self.directory_crc.to_le_bytes());
        out.extend_from_slice(&self.first_minute.to_le_bytes());
        out.extend_from_slice(&self.last_minute.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.cells.to_le_bytes());
        out.extend_from_slice(&self.hash.to_le_bytes());
        out.resize(CRC_AT, 0);
        let crc = bound_crc(self.identity.segment_id, layout.trailer, &out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&END_MAGIC);
        out
    }

    /// Reads and checks the trailer that starts at `offset` of its file.
    ///
    /// # Errors
    /// Where it is not sound in itself, or not at the end of a file of the
    /// layout it describes.
    pub fn decode(bytes: &[u8], offset: u64) -> Result<(Trailer, Layout), Corrupt> {
        let mut cursor = Cursor::new(bytes);
        let magic = cursor.take(MAGIC.len());
        if magic != MAGIC {
            cursor.fail_at(0, "not a trailer");
        }
        let version = cursor.u16();
        cursor.require(version == VERSION, "a trailer of another version");
        let identity = Identity::decode(&mut cursor);
        let dictionary_bytes = cursor.u32();
        let series = cursor.u32();
        let end = cursor.u64();
        let blocks_end = cursor.u64();
        let directory = cursor.u64();
        let directory_crc = cursor.u32();
        let first_minute = cursor.u32();
        let last_minute = cursor.u32();
        require_zero(&mut cursor, 4);
        let trailer = Trailer {
            identity,
            dictionary_bytes,
            series,
            blocks_end,
            directory_crc,
            first_minute,
            last_minute,
            cells: cursor.u64(),
            hash: cursor.u64(),
        };
        require_zero(&mut cursor, 8);
        let crc = cursor.u32();
        let end_magic = cursor.take(END_MAGIC.len());
        if end_magic != END_MAGIC {
            cursor.fail_at(CRC_AT + 4, "no end of a trailer");
        }
        cursor.finish()?;
        let covered = bytes.get(..CRC_AT).unwrap_or_default();
        if crc != bound_crc(identity.segment_id, offset, covered) {
            return Err(Corrupt::new(0, "the trailer does not match its checksum"));
        }
        trailer.check()?;
        match trailer.layout() {
            Some(layout)
                if (layout.trailer, layout.end, layout.directory) == (offset, end, directory) =>
            {
                Ok((trailer, layout))
            }
            _ => Err(Corrupt::new(56, "sections that do not fill the file")),
        }
    }

    fn check(&self) -> Result<(), Corrupt> {
        let first = u64::from(self.identity.bucket) * u64::from(MINUTES_PER_BUCKET);
        let bucket = first..first + u64::from(MINUTES_PER_BUCKET);
        let series = u64::from(self.series);
        let wrong = if self.dictionary_bytes as usize > DICTIONARY_BYTES_MAX {
            (48, "a dictionary beyond its limit")
        } else if self.series == 0 || self.series as usize > SEGMENT_SERIES_MAX {
            (52, "a number of series outside its limits")
        } else if self.first_minute > self.last_minute
            || !bucket.contains(&self.first_minute.into())
            || !bucket.contains(&self.last_minute.into())
        {
            (84, "minutes outside the bucket")
        } else if self.cells < series || self.cells > series * u64::from(MINUTES_PER_BUCKET) {
            (96, "a number of cells that can not be")
        } else {
            return Ok(());
        };
        Err(Corrupt::new(wrong.0, wrong.1))
    }
}

/// The hash that stands for a whole file: that of its trailer, which holds
/// the hash of everything before. An open can compare it at no cost.
#[must_use]
pub fn file_hash(trailer: &[u8]) -> u64 {
    hash64(trailer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::header::tests::identity;

    fn trailer() -> Trailer {
        Trailer {
            identity: identity(),
            dictionary_bytes: 99,
            series: 3,
            blocks_end: 1_000,
            directory_crc: 5,
            first_minute: 643 * MINUTES_PER_BUCKET,
            last_minute: 643 * MINUTES_PER_BUCKET + 9,
            cells: 17,
            hash: 0xfeed,
        }
    }

    fn bytes() -> (Vec<u8>, u64) {
        let layout = trailer().layout().unwrap();
        (trailer().encode(&layout), layout.trailer)
    }

    #[test]
    fn round_trip() {
        let (bytes, offset) = bytes();
        assert_eq!(bytes.len(), TRAILER_BYTES);
        assert_eq!(offset, 1_024 + 3 * 64 + 99);
        assert_eq!(
            Trailer::decode(&bytes, offset),
            Ok((trailer(), trailer().layout().unwrap()))
        );
        assert!(Trailer::decode(&bytes, offset + 1).is_err(), "moved");
    }

    #[test]
    fn every_flip_and_every_prefix_is_refused() {
        let (bytes, offset) = bytes();
        for length in 0..bytes.len() {
            assert!(Trailer::decode(&bytes[..length], offset).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Trailer::decode(&flipped, offset).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn sound_checksums_do_not_excuse_nonsense() {
        let (sound, offset) = bytes();
        // Magic, version, lengths, offsets, minutes, cells, reserved bytes.
        for at in [
            0, 9, 11, 15, 51, 55, 56, 63, 64, 71, 72, 87, 91, 92, 103, 112, 119,
        ] {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x80;
            let crc = bound_crc(7, offset, &bytes[..CRC_AT]);
            bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
            assert!(Trailer::decode(&bytes, offset).is_err(), "byte {at}");
        }
    }
}
