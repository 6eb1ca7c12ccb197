//! The first 40 bytes of a block, under a checksum of their own: enough to go
//! on to the next block, and to say what is lost with this one.

use crate::codec::cursor::{Corrupt, Cursor, Result};
use crate::format::checksum::bound_crc;
use crate::limits::{BLOCK_BYTES_MAX, MINUTES_PER_DAY};
use crate::model::Kind;

/// The first bytes of a block. `0xf5` occurs in no name.
pub const BLOCK_MAGIC: [u8; 4] = [0xf5, b'h', b'b', 0x0a];

/// Bytes of the prefix, its checksum included.
pub const PREFIX_BYTES: usize = 40;
/// Bytes of the prefix before its checksum.
pub const COVERED_BYTES: usize = PREFIX_BYTES - 4;

/// The shortest header: one page, five columns without values.
pub const HEADER_BYTES_MIN: usize = PREFIX_BYTES + 5 * 2 + 4 + 4;

/// Where something is: in which segment, and at which byte of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment.
    pub segment_id: u64,
    /// Offset in the file.
    pub offset: u64,
}

/// Which series a block is, how long, and when: enough to go on to the next
/// block and to say what is lost with this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Length of the block.
    pub block_bytes: u32,
    /// Length of its header.
    pub header_bytes: u32,
    /// Release, branch and metric, by their indices in the dictionary.
    pub key: (u32, u32, u32),
    /// How the values merge.
    pub kind: Kind,
    /// Length of the metadata that the cold pages share.
    pub cold_meta_bytes: u16,
    /// Bit `d` is set where day `d` of the bucket has a page.
    pub days: u32,
    /// The first minute with a cell, counted from the start of the bucket.
    pub first_minute: u16,
    /// The last minute with a cell.
    pub last_minute: u16,
}

impl Prefix {
    /// Its 40 bytes.
    pub fn encode(&self, place: Place) -> [u8; PREFIX_BYTES] {
        let (kind, decimals) = self.kind.code();
        let mut out = [0; PREFIX_BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &BLOCK_MAGIC);
        put(4, &self.block_bytes.to_le_bytes());
        put(8, &self.header_bytes.to_le_bytes());
        put(12, &self.key.0.to_le_bytes());
        put(16, &self.key.1.to_le_bytes());
        put(20, &self.key.2.to_le_bytes());
        put(24, &[kind, decimals]);
        put(26, &self.cold_meta_bytes.to_le_bytes());
        put(28, &self.days.to_le_bytes());
        put(32, &self.first_minute.to_le_bytes());
        put(34, &self.last_minute.to_le_bytes());
        let crc = bound_crc(place.segment_id, place.offset, &out[..COVERED_BYTES]);
        out[COVERED_BYTES..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads and checks the prefix at the front of `bytes`, by the checksum
    /// of its own.
    ///
    /// # Errors
    /// Where it is not what was written there.
    pub fn decode(bytes: &[u8], place: Place) -> Result<Prefix> {
        let mut cursor = Cursor::new(bytes);
        let prefix = Self::read(&mut cursor);
        let crc = cursor.u32();
        cursor.check()?;
        let covered = bytes.get(..COVERED_BYTES).unwrap_or_default();
        if crc != bound_crc(place.segment_id, place.offset, covered) {
            return Err(Corrupt::new(
                0,
                "the block's prefix does not match its checksum",
            ));
        }
        prefix.ok_or(Corrupt::new(24, "a kind that never was"))
    }

    /// Reads the prefix but for its checksum; failures stick to the cursor.
    pub fn read(cursor: &mut Cursor<'_>) -> Option<Prefix> {
        let magic = cursor.take(BLOCK_MAGIC.len());
        if magic != BLOCK_MAGIC {
            cursor.fail_at(0, "not the start of a block");
        }
        let block_bytes = cursor.u32();
        let header_bytes = cursor.u32();
        cursor.require(
            header_bytes as usize >= HEADER_BYTES_MIN
                && header_bytes < block_bytes
                && block_bytes as usize <= BLOCK_BYTES_MAX,
            "a block of a length that can not be",
        );
        let key = (cursor.u32(), cursor.u32(), cursor.u32());
        let kind = Kind::from_code(cursor.u8(), cursor.u8());
        let cold_meta_bytes = cursor.u16();
        let days = cursor.u32();
        let first_minute = cursor.u16();
        let last_minute = cursor.u16();
        let day = |minute: u16| u32::from(minute) / MINUTES_PER_DAY;
        cursor.require(
            first_minute <= last_minute
                && days.trailing_zeros() == day(first_minute)
                && days.checked_ilog2() == Some(day(last_minute)),
            "minutes outside the block's days",
        );
        Some(Prefix {
            block_bytes,
            header_bytes,
            key,
            kind: kind?,
            cold_meta_bytes,
            days,
            first_minute,
            last_minute,
        })
    }
}
