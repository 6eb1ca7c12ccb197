//! A copy of the dictionary in a segment. There are two, and either is enough;
//! each describes itself, so that it is found even where nothing points to it.

use crate::codec::cursor::{Corrupt, Cursor, Result};
use crate::format::checksum::{bound_crc, bound_crcs};
use crate::format::dictionary::Dictionary;
use crate::limits::DICTIONARY_BYTES_MAX;

/// The first bytes of a copy. `0xf5` occurs in no name.
pub const DICTIONARY_MAGIC: [u8; 4] = [0xf5, b'h', b'd', 0x0a];

/// Bytes before the names: magic, encoding, lengths, and a checksum of these.
const PREFIX_BYTES: usize = 20;
const COVERED_BYTES: usize = PREFIX_BYTES - 4;

/// Bytes around the names: the prefix and the checksum.
pub const DICTIONARY_FRAME_BYTES: usize = PREFIX_BYTES + 4;

const PLAIN: u8 = 1;
const ZSTD: u8 = 2;
const ZSTD_LEVEL: i32 = 9;
/// Bytes of names from which on compressing them at that level would take more than
/// ten megabytes of memory, and the level that takes one.
const LARGE_BYTES: usize = 256 << 10;
const ZSTD_LEVEL_LARGE: i32 = 3;

/// The length of the copy at the front of `bytes`, which starts at
/// `offset` of its file, by the checksum of its prefix.
///
/// # Errors
/// Where no copy starts there.
pub fn copy_length(bytes: &[u8], segment_id: u64, offset: u64) -> Result<usize> {
    let prefix = Prefix::decode(bytes, segment_id, offset)?;
    Ok(prefix.stored_bytes + DICTIONARY_FRAME_BYTES)
}

/// Reads and checks the copy at the front of `bytes`, which starts at
/// `offset` of its file, and says how long it is.
///
/// # Errors
/// Where it is not what was written there.
pub fn decode_copy(bytes: &[u8], segment_id: u64, offset: u64) -> Result<(Dictionary, usize)> {
    let prefix = Prefix::decode(bytes, segment_id, offset)?;
    let mut cursor = Cursor::new(bytes);
    cursor.take(PREFIX_BYTES);
    let stored = cursor.take(prefix.stored_bytes);
    let crc = cursor.u32();
    cursor.check()?;
    let covered = bytes.get(..COVERED_BYTES).unwrap_or_default();
    if crc != bound_crcs(segment_id, offset, covered, stored).1 {
        return Err(Corrupt::new(
            0,
            "the dictionary does not match its checksum",
        ));
    }
    let dictionary = match prefix.encoding {
        PLAIN if prefix.plain_bytes == prefix.stored_bytes => Dictionary::from_plain(stored)?,
        ZSTD => Dictionary::from_owned(decompress(stored, prefix.plain_bytes)?)?,
        _ => return Err(Corrupt::new(4, "an encoding that never was")),
    };
    Ok((dictionary, prefix.stored_bytes + DICTIONARY_FRAME_BYTES))
}

/// What a copy says of itself.
struct Prefix {
    encoding: u8,
    plain_bytes: usize,
    stored_bytes: usize,
}

impl Prefix {
    fn decode(bytes: &[u8], segment_id: u64, offset: u64) -> Result<Self> {
        let mut cursor = Cursor::new(bytes);
        let magic = cursor.take(DICTIONARY_MAGIC.len());
        if magic != DICTIONARY_MAGIC {
            cursor.fail_at(0, "not the start of a dictionary");
        }
        let encoding = cursor.u8();
        super::header::require_zero(&mut cursor, 3);
        let plain_bytes = cursor.u32() as usize;
        let stored_bytes = cursor.u32() as usize;
        let crc = cursor.u32();
        cursor.require(
            plain_bytes.max(stored_bytes) <= DICTIONARY_BYTES_MAX - DICTIONARY_FRAME_BYTES,
            "a dictionary beyond its limit",
        );
        cursor.check()?;
        let covered = bytes.get(..COVERED_BYTES).unwrap_or_default();
        if crc != bound_crc(segment_id, offset, covered) {
            return Err(Corrupt::new(
                0,
                "the dictionary's prefix does not match its checksum",
            ));
        }
        Ok(Prefix {
            encoding,
            plain_bytes,
            stored_bytes,
        })
    }
}

/// Exactly `plain_bytes` out of `stored`, in a buffer that can not grow.
fn decompress(stored: &[u8], plain_bytes: usize) -> Result<Vec<u8>> {
    let bad = || Corrupt::new(PREFIX_BYTES, "a dictionary that does not decompress");
    let mut plain = Vec::new();
    plain.try_reserve_exact(plain_bytes).map_err(|_| bad())?;
    plain.resize(plain_bytes, 0);
    let filled = zstd::bulk::decompress_to_buffer(stored, &mut plain).map_err(|_| bad())?;
    (filled == plain_bytes).then_some(plain).ok_or(bad())
}

/// A dictionary in bytes, but for the checksums, which depend on the place.
#[derive(Clone, Debug)]
pub struct EncodedDictionary {
    prefix: Vec<u8>,
    stored: Vec<u8>,
}

impl EncodedDictionary {
    /// The parts of a copy that do not depend on where it is, of what
    /// [`plain`](crate::format::dictionary::plain) gives.
    #[must_use]
    pub fn new(plain: Vec<u8>) -> Self {
        let level = match plain.len() {
            ..LARGE_BYTES => ZSTD_LEVEL,
            _ => ZSTD_LEVEL_LARGE,
        };
        let mut dense = zstd::bulk::compress(&plain, level)
            .ok()
            .filter(|dense| dense.len() < plain.len());
        dense.iter_mut().for_each(Vec::shrink_to_fit);
        let stored = dense.as_ref().unwrap_or(&plain);
        let mut prefix = Vec::with_capacity(PREFIX_BYTES);
        prefix.extend_from_slice(&DICTIONARY_MAGIC);
        prefix.push(if dense.is_some() { ZSTD } else { PLAIN });
        prefix.extend_from_slice(&[0; 3]);
        prefix.extend_from_slice(&(plain.len() as u32).to_le_bytes());
        prefix.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        EncodedDictionary {
            prefix,
            stored: dense.unwrap_or(plain),
        }
    }

    /// Length of a copy.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stored.len() + DICTIONARY_FRAME_BYTES
    }

    /// The copy that goes to `offset` of that segment.
    #[must_use]
    pub fn at(&self, segment_id: u64, offset: u64) -> Vec<u8> {
        let (first, second) = bound_crcs(segment_id, offset, &self.prefix, &self.stored);
        let mut out = Vec::with_capacity(self.len());
        out.extend_from_slice(&self.prefix);
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&self.stored);
        out.extend_from_slice(&second.to_le_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::dictionary::tests::{dictionary, names, plain_of, small, small_plain};
    use crate::model::Name;

    fn copy(plain: Vec<u8>, offset: u64) -> Vec<u8> {
        let encoded = EncodedDictionary::new(plain);
        let bytes = encoded.at(7, offset);
        assert_eq!(bytes.len(), encoded.len());
        bytes
    }

    #[test]
    fn every_flip_prefix_and_move_is_refused() {
        let bytes = copy(small_plain(), 64);
        assert_eq!(decode_copy(&bytes, 7, 64), Ok((small(), bytes.len())));
        assert!(decode_copy(&bytes, 7, 65).is_err());
        assert!(decode_copy(&bytes, 8, 64).is_err());
        let moved = copy(small_plain(), 65);
        let end = bytes.len() - 4;
        assert_ne!(
            bytes[16..20],
            moved[16..20],
            "the prefix is bound to its place"
        );
        assert_ne!(bytes[end..], moved[end..], "and so are the names");
        for length in 0..bytes.len() {
            assert!(decode_copy(&bytes[..length], 7, 64).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_copy(&flipped, 7, 64).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn many_names_are_compressed_and_a_false_length_is_refused() {
        let many = (0..5_000)
            .map(|index| Name::new(&format!("firefox/release/{index:05}")).unwrap())
            .collect();
        let sorts = [&many, &names(&["control"]), &names(&["crashes"])];
        let plain = plain_of(sorts);
        let bytes = copy(plain.clone(), 64);
        assert!(bytes.len() < plain.len() / 4, "{}", bytes.len());
        assert_eq!(decode_copy(&bytes, 7, 64).unwrap().0, dictionary(sorts));
        for claimed in [0, 1, plain.len() - 1, plain.len() + 1, 1 << 27] {
            let mut bytes = bytes.clone();
            bytes[8..12].copy_from_slice(&(claimed as u32).to_le_bytes());
            let end = bytes.len() - 4;
            let (first, second) = bound_crcs(7, 64, &bytes[..16], &bytes[20..end]);
            bytes[16..20].copy_from_slice(&first.to_le_bytes());
            bytes[end..].copy_from_slice(&second.to_le_bytes());
            assert!(decode_copy(&bytes, 7, 64).is_err(), "{claimed}");
        }
    }
}
