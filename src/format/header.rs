//! The first 64 bytes of a segment: what it is, whose, and how long the
//! dictionary behind it is.

use crate::codec::cursor::{Corrupt, Cursor};
use crate::format::checksum::bound_crc;
use crate::limits::{DICTIONARY_BYTES_MAX, MINUTE_END, MINUTES_PER_BUCKET};

/// The version of the segment format written by this code.
pub const VERSION: u16 = 1;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 64;

/// The first bytes of every segment, in every version.
const MAGIC: [u8; 8] = *b"HOTSTSEG";

/// Where the checksum is, in every version.
const CRC_AT: usize = HEADER_BYTES - 4;

/// The name of the segment `id`.
#[must_use]
pub fn segment_file_name(id: u64) -> String {
    format!("segment-{id:016x}.seg")
}

/// The id in the name of a segment, or none for another file.
#[must_use]
pub fn segment_file_id(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("segment-")?.strip_suffix(".seg")?;
    let id = u64::from_str_radix(digits, 16).ok()?;
    (segment_file_name(id) == name).then_some(id)
}

/// Why bytes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Sound, but of this later version.
    Newer(u16),
    /// Not what was written.
    Corrupt(Corrupt),
}

impl From<Corrupt> for Refusal {
    fn from(corrupt: Corrupt) -> Self {
        Refusal::Corrupt(corrupt)
    }
}

/// Which segment of which store a file is; in the header and the trailer alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The time bucket all of it lies in.
    pub bucket: u32,
    /// The store it was written for.
    pub store_id: u64,
    /// Its number in that store.
    pub segment_id: u64,
    /// The first commit in it.
    pub first_sequence: u64,
    /// The last commit in it.
    pub last_sequence: u64,
}

impl Identity {
    /// The version, two zeros, and the identity: bytes 8 to 48.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.bucket.to_le_bytes());
        out.extend_from_slice(&self.store_id.to_le_bytes());
        out.extend_from_slice(&self.segment_id.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.to_le_bytes());
        out.extend_from_slice(&self.last_sequence.to_le_bytes());
    }

    /// The inverse of [`Identity::encode`], after the version.
    pub(super) fn decode(cursor: &mut Cursor<'_>) -> Identity {
        require_zero(cursor, 2);
        let bucket = cursor.u32();
        cursor.require(
            bucket < MINUTE_END / MINUTES_PER_BUCKET,
            "a bucket beyond the last minute",
        );
        let identity = Identity {
            bucket,
            store_id: cursor.u64(),
            segment_id: cursor.u64(),
            first_sequence: cursor.u64(),
            last_sequence: cursor.u64(),
        };
        cursor.require(
            identity.first_sequence <= identity.last_sequence,
            "commit numbers that run backwards",
        );
        identity
    }
}

/// The next `count` bytes, which must be zero.
pub(super) fn require_zero(cursor: &mut Cursor<'_>, count: usize) {
    let start = cursor.position();
    let reserved = cursor.take(count);
    if reserved.iter().any(|byte| *byte != 0) {
        cursor.fail_at(start, "reserved bytes that are not zero");
    }
}

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which segment this is.
    pub identity: Identity,
    /// Length of each copy of the dictionary.
    pub dictionary_bytes: u32,
}

impl Header {
    /// Its 64 bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        self.identity.encode(&mut out);
        out.extend_from_slice(&self.dictionary_bytes.to_le_bytes());
        out.resize(CRC_AT, 0);
        let crc = bound_crc(self.identity.segment_id, 0, &out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads and checks the header at the front of `bytes`.
    ///
    /// # Errors
    /// [`Refusal::Newer`] where it is sound but of a later version: magic,
    /// version, segment id and checksum stay where they are in all versions.
    pub fn decode(bytes: &[u8]) -> Result<Header, Refusal> {
        let mut cursor = Cursor::new(bytes.get(..HEADER_BYTES).unwrap_or(bytes));
        let magic = cursor.take(MAGIC.len());
        if magic != MAGIC {
            cursor.fail_at(0, "not the start of a segment");
        }
        let version = cursor.u16();
        cursor.check()?;
        // Before the version is believed, the checksum.
        let covered = bytes.get(..CRC_AT).unwrap_or_default();
        let mut ends = Cursor::new(bytes);
        ends.take(24);
        let segment_id = ends.u64();
        ends.take(CRC_AT - 32);
        let crc = ends.u32();
        ends.check()?;
        if crc != bound_crc(segment_id, 0, covered) {
            return Err(Corrupt::new(0, "the header does not match its checksum").into());
        }
        if version > VERSION {
            return Err(Refusal::Newer(version));
        }
        cursor.require(version == VERSION, "a version that never was");
        let identity = Identity::decode(&mut cursor);
        let dictionary_bytes = cursor.u32();
        cursor.require(
            dictionary_bytes as usize <= DICTIONARY_BYTES_MAX,
            "a dictionary beyond its limit",
        );
        require_zero(&mut cursor, CRC_AT - 52);
        cursor.check()?;
        Ok(Header {
            identity,
            dictionary_bytes,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn identity() -> Identity {
        Identity {
            bucket: 643,
            store_id: 0x0123_4567_89ab_cdef,
            segment_id: 7,
            first_sequence: 11,
            last_sequence: 13,
        }
    }

    fn header() -> Header {
        Header {
            identity: identity(),
            dictionary_bytes: 99,
        }
    }

    #[test]
    fn names_have_one_form() {
        assert_eq!(segment_file_name(0xab), "segment-00000000000000ab.seg");
        assert_eq!(segment_file_id("segment-00000000000000ab.seg"), Some(0xab));
        for name in [
            "segment-00000000000000AB.seg",
            "segment-ab.seg",
            "segment-+0000000000000ab.seg",
            "segment-00000000000000ab.seg.tmp",
            "",
        ] {
            assert_eq!(segment_file_id(name), None, "{name}");
        }
    }

    #[test]
    fn round_trip() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(Header::decode(&bytes), Ok(header()));
    }

    #[test]
    fn every_flip_and_every_prefix_is_refused() {
        let bytes = header().encode();
        for length in 0..bytes.len() {
            assert!(Header::decode(&bytes[..length]).is_err(), "{length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let refusal = Header::decode(&flipped).unwrap_err();
            assert!(matches!(refusal, Refusal::Corrupt(_)), "bit {bit}");
        }
    }

    fn sealed(change: impl Fn(&mut Vec<u8>)) -> Result<Header, Refusal> {
        let mut bytes = header().encode();
        change(&mut bytes);
        let crc = bound_crc(7, 0, &bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        Header::decode(&bytes)
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        assert_eq!(sealed(|bytes| bytes[8] = 2), Err(Refusal::Newer(2)));
        assert!(sealed(|bytes| bytes[8] = 0).is_err());
    }

    #[test]
    fn sound_checksums_do_not_excuse_nonsense() {
        for (at, value) in [(10, 1), (14, 1), (32, 14), (51, 0xff), (55, 1)] {
            assert!(sealed(|bytes| bytes[at] = value).is_err(), "byte {at}");
        }
        assert_eq!(sealed(|_| ()), Ok(header()));
    }
}
