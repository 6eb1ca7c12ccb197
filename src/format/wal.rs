//! The write-ahead log: a header, then one frame a batch. `docs/format/wal.md`.

use crate::codec::cursor::{Corrupt, Cursor, Result};
use crate::codec::put;
use crate::format::checksum::bound_crc;
use crate::limits::FRAME_BYTES_MAX;

/// The first bytes of every log.
pub const MAGIC: [u8; 8] = *b"HOTSTWAL";
/// The version this code writes and the newest it reads.
pub const VERSION: u16 = 1;
/// Bytes of the file header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of a frame before its payload.
pub const FRAME_HEADER_BYTES: usize = 32;
/// The first bytes of every frame: what a reader looks for after damage.
pub const FRAME_MAGIC: [u8; 4] = [0xf5, b'h', b's', 0x0a];

/// The name of the log `id`.
pub fn file_name(id: u64) -> String {
    format!("wal-{id:016x}.log")
}

/// The id in the name of a log, or none for another file.
pub fn file_id(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("wal-")?.strip_suffix(".log")?;
    let id = u64::from_str_radix(digits, 16).ok()?;
    (file_name(id) == name).then_some(id)
}

/// The header of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The store it belongs to.
    pub store_id: u64,
    /// Its number; logs are replayed in this order.
    pub wal_id: u64,
    /// The sequence of the first frame.
    pub first_sequence: u64,
    /// Length of the log before this one: it was synced to there and ends there.
    /// Zero where nobody knows: then it may end in a torn tail.
    pub previous_bytes: u64,
}

impl Header {
    /// The header as bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.store_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.wal_id.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.previous_bytes.to_le_bytes());
        let crc = bound_crc(self.wal_id, 0, &bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header; `expected_id` is the one in the file's name. A version
    /// above [`VERSION`] is told apart by [`newer_version`], not here.
    pub fn decode(bytes: &[u8], expected_id: u64) -> Result<Header> {
        let mut cursor = Cursor::new(bytes.get(..HEADER_BYTES).unwrap_or(bytes));
        cursor.require(bytes.starts_with(&MAGIC), "not a write-ahead log");
        cursor.take(8);
        let version = cursor.u16();
        cursor.require(version == VERSION, "a version this code does not know");
        let padding = cursor.take(6);
        cursor.require(
            padding.iter().all(|byte| *byte == 0),
            "padding that is not zero",
        );
        let header = Header {
            store_id: cursor.u64(),
            wal_id: cursor.u64(),
            first_sequence: cursor.u64(),
            previous_bytes: cursor.u64(),
        };
        let padding = cursor.take(12);
        cursor.require(
            padding.iter().all(|byte| *byte == 0),
            "padding that is not zero",
        );
        let crc = cursor.u32();
        let sum = bound_crc(header.wal_id, 0, bytes.get(..60).unwrap_or_default());
        cursor.require(crc == sum, "the header's checksum does not match");
        cursor.require(header.wal_id == expected_id, "the number of another log");
        cursor.finish()?;
        Ok(header)
    }
}

/// What the checksums of all frames of one log start from, so that stale bytes
/// of another log are never taken for frames of this one. It follows from what
/// the manifest and the file's name say: a damaged header takes no frame along.
pub fn salt(store_id: u64, wal_id: u64) -> u64 {
    let mixed =
        (store_id ^ wal_id.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

/// The version of a log newer than [`VERSION`]: such a file is refused, not
/// repaired. Magic, version and checksum stay where they are in all versions,
/// so that a flipped bit is damage and no news.
pub fn newer_version(bytes: &[u8], wal_id: u64) -> Option<u16> {
    let header = bytes.get(..HEADER_BYTES)?;
    let version = u16::from_le_bytes(*header.strip_prefix(&MAGIC)?.first_chunk()?);
    let crc = u32::from_le_bytes(*header.last_chunk()?);
    (version > VERSION && crc == bound_crc(wal_id, 0, &header[..60])).then_some(version)
}

/// The header of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the payload that follows.
    pub payload_bytes: u32,
    /// The commit sequence of the batch.
    pub sequence: u64,
    /// How much of this log was known to be synced when this frame was
    /// written: bad bytes before it are damage, not a torn tail.
    pub durable_bytes: u64,
    payload_crc: u32,
}

/// Appends one frame, whose payload is `payload`, at `offset` of a log.
pub fn put_frame(
    out: &mut Vec<u8>,
    salt: u64,
    offset: u64,
    sequence: u64,
    durable_bytes: u64,
    payload: &[u8],
) {
    let start = out.len();
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&durable_bytes.to_le_bytes());
    let payload_crc = bound_crc(salt, offset, payload);
    out.extend_from_slice(&payload_crc.to_le_bytes());
    let header_crc = bound_crc(salt, offset, &out[start..]);
    out.extend_from_slice(&header_crc.to_le_bytes());
    out.extend_from_slice(payload);
}

impl FrameHeader {
    /// Reads and checks the header of the frame at `offset`.
    pub fn decode(bytes: &[u8], salt: u64, offset: u64) -> Result<FrameHeader> {
        let mut cursor = Cursor::new(bytes.get(..FRAME_HEADER_BYTES).unwrap_or(bytes));
        cursor.require(bytes.starts_with(&FRAME_MAGIC), "no frame starts here");
        cursor.take(4);
        let header = FrameHeader {
            payload_bytes: cursor.u32(),
            sequence: cursor.u64(),
            durable_bytes: cursor.u64(),
            payload_crc: cursor.u32(),
        };
        let crc = cursor.u32();
        let sum = bound_crc(salt, offset, bytes.get(..28).unwrap_or_default());
        cursor.require(crc == sum, "the frame header's checksum does not match");
        cursor.require(
            header.payload_bytes as usize <= FRAME_BYTES_MAX,
            "a frame larger than any that is written",
        );
        cursor.finish()?;
        Ok(header)
    }

    /// Checks the payload of the frame at `offset`.
    pub fn check(&self, payload: &[u8], salt: u64, offset: u64) -> Result<()> {
        if payload.len() != self.payload_bytes as usize {
            return Err(Corrupt::new(0, "cut short"));
        }
        if bound_crc(salt, offset, payload) != self.payload_crc {
            return Err(Corrupt::new(0, "the frame's checksum does not match"));
        }
        Ok(())
    }
}

/// Appends a column of runs: each token is the zigzag difference of a run's
/// first value from what the column predicts, and the run's length less one.
/// `step` is what a run adds from one value to the next.
pub fn put_runs(out: &mut Vec<u8>, values: impl Iterator<Item = u32>, base: u32, step: u32) {
    let mut values = values.peekable();
    let mut predicted = base;
    while let Some(first) = values.next() {
        let mut last = first;
        let mut more = 0;
        while let Some(next) = values.next_if(|next| last.checked_add(step) == Some(*next)) {
            last = next;
            more += 1;
        }
        put::zigzag(out, i64::from(first) - i64::from(predicted));
        put::varint(out, more);
        predicted = if step == 0 {
            base
        } else {
            last.saturating_add(step)
        };
    }
}

/// Reads a column of `count` values written by [`put_runs`].
pub fn take_runs(
    cursor: &mut Cursor<'_>,
    count: usize,
    base: u32,
    step: u32,
    mut each: impl FnMut(usize, u32),
) {
    let mut predicted = base;
    let mut index = 0;
    while index < count && cursor.is_sound() {
        let first = i64::from(predicted).checked_add(cursor.zigzag());
        let more = cursor.length(count - index - 1);
        let last = first.and_then(|first| first.checked_add(more as i64 * i64::from(step)));
        let (Some(Ok(first)), Some(Ok(last))) = (first.map(u32::try_from), last.map(u32::try_from))
        else {
            cursor.fail("a run outside 32 bits");
            return;
        };
        for value in 0..=more as u32 {
            each(index, first + value * step);
            index += 1;
        }
        predicted = if step == 0 {
            base
        } else {
            last.saturating_add(step)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header = Header {
        store_id: 7,
        wal_id: 3,
        first_sequence: 12,
        previous_bytes: 640,
    };

    #[test]
    fn every_flipped_bit_of_a_header_is_found() {
        let bytes = HEADER.encode();
        assert_eq!(Header::decode(&bytes, 3), Ok(HEADER));
        assert!(Header::decode(&bytes, 4).is_err());
        for bit in 0..HEADER_BYTES * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes, 3).is_err(), "bit {bit}");
        }
        for cut in 0..HEADER_BYTES {
            assert!(Header::decode(&bytes[..cut], 3).is_err());
        }
    }

    #[test]
    fn every_flipped_bit_of_a_frame_is_found() {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, 99, 64, 12, 64, b"payload");
        let read = |bytes: &[u8], offset| {
            let header = FrameHeader::decode(bytes, 99, offset)?;
            header.check(&bytes[FRAME_HEADER_BYTES..], 99, offset)
        };
        assert!(read(&bytes, 64).is_ok());
        assert!(read(&bytes, 65).is_err(), "a frame is bound to its place");
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bytes, 64).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = HEADER.encode();
        bytes[8] = 2;
        assert_eq!(newer_version(&bytes, 3), None, "a flipped bit");
        let crc = bound_crc(3, 0, &bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(newer_version(&bytes, 3), Some(2));
    }

    #[test]
    fn names_are_read_back_only_as_written() {
        assert_eq!(file_id(&file_name(u64::MAX)), Some(u64::MAX));
        for name in [
            "wal-1.log",
            "wal-000000000000000G.log",
            "wal-00000000000000AB.log",
            "x",
        ] {
            assert_eq!(file_id(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn runs_round_trip(values in proptest::collection::vec(prop_oneof![0_u32..5, any::<u32>()], 0..50), base: u32, step in 0_u32..2) {
            let mut bytes = Vec::new();
            put_runs(&mut bytes, values.iter().copied(), base, step);
            let mut cursor = Cursor::new(&bytes);
            let mut back = Vec::new();
            take_runs(&mut cursor, values.len(), base, step, |_, value| back.push(value));
            prop_assert!(cursor.finish().is_ok());
            prop_assert_eq!(back, values);
        }

        #[test]
        fn runs_of_any_bytes_are_handled(bytes: Vec<u8>, count in 0_usize..100, base: u32, step in 0_u32..2) {
            take_runs(&mut Cursor::new(&bytes), count, base, step, |_, _| ());
        }
    }
}
