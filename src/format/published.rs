//! The `published` file: how far a live writer has acknowledged, for readers in
//! other processes. Never synced; rewritten in place. `docs/format/published.md`.

use crate::codec::cursor::{Cursor, Result};
use crate::format::checksum::bound_crc;

/// The file's name.
pub const FILE: &str = "published";
/// Bytes of the file.
pub const BYTES: usize = 56;
const MAGIC: [u8; 8] = *b"HOTSTPUB";

/// What a writer publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The store it belongs to.
    pub store_id: u64,
    /// The newest manifest.
    pub generation: u64,
    /// The log being written; zero while a writer recovers, when every log
    /// may be read to its end.
    pub wal_id: u64,
    /// Acknowledged bytes of that log.
    pub wal_bytes: u64,
    /// The last sequence acknowledged.
    pub sequence: u64,
}

impl Published {
    /// The record as bytes.
    pub fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        let fields = [
            self.store_id,
            self.generation,
            self.wal_id,
            self.wal_bytes,
            self.sequence,
        ];
        for (slot, field) in bytes[8..48].chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        let crc = bound_crc(0, 0, &bytes[..48]);
        bytes[48..52].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a record; one half written fails its checksum and is read again.
    pub fn decode(bytes: &[u8]) -> Result<Published> {
        let mut cursor = Cursor::new(bytes);
        cursor.require(bytes.starts_with(&MAGIC), "not a published record");
        cursor.take(8);
        let published = Published {
            store_id: cursor.u64(),
            generation: cursor.u64(),
            wal_id: cursor.u64(),
            wal_bytes: cursor.u64(),
            sequence: cursor.u64(),
        };
        let crc = cursor.u32();
        let padding = cursor.u32();
        let sum = bound_crc(0, 0, bytes.get(..48).unwrap_or_default());
        cursor.require(padding == 0, "padding that is not zero");
        cursor.require(crc == sum, "the checksum does not match");
        cursor.finish()?;
        Ok(published)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_found() {
        let published = Published {
            store_id: 1,
            generation: 2,
            wal_id: 3,
            wal_bytes: 4,
            sequence: 5,
        };
        let bytes = published.encode();
        assert_eq!(Published::decode(&bytes), Ok(published));
        for bit in 0..BYTES * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Published::decode(&bytes).is_err(), "bit {bit}");
        }
    }
}
