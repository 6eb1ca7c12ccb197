//! The names of a segment: its releases, branches and metrics, each sort
//! distinct and sorted, so that a series is three small numbers everywhere else.
//!
//! A segment holds its dictionary twice, and either copy is enough. A copy
//! describes itself, so that it can be found even where nothing points to it.

use crate::codec::cursor::{Corrupt, Cursor, Result};
use crate::codec::put;
use crate::format::checksum::{bound_crc, bound_crcs};
use crate::limits::{DICTIONARY_BYTES_MAX, DICTIONARY_NAMES_MAX, NAME_BYTES_MAX};
use crate::model::Name;

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

/// The three sorts of names, in the order of a series key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Releases and experiments.
    Release = 0,
    /// Their branches.
    Branch = 1,
    /// Metrics.
    Metric = 2,
}

/// The names of a segment, by sort and index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dictionary {
    text: String,
    /// Where each name ends in the text, all sorts in one run.
    ends: Vec<u32>,
    /// The first name of each sort in that run, and the end of the last.
    starts: [usize; 4],
}

impl Dictionary {
    /// A dictionary of names that are sorted and distinct in each sort; `None`
    /// beyond the limits.
    #[must_use]
    pub fn new(sorts: [&[&Name]; 3]) -> Option<Self> {
        let mut dictionary = Dictionary {
            text: String::new(),
            ends: Vec::new(),
            starts: [0; 4],
        };
        for (sort, names) in sorts.into_iter().enumerate() {
            debug_assert!(names.is_sorted_by(|a, b| a < b));
            for name in names {
                dictionary.text.push_str(name);
                dictionary
                    .ends
                    .push(u32::try_from(dictionary.text.len()).ok()?);
            }
            dictionary.starts[sort + 1] = dictionary.ends.len();
            if names.len() > DICTIONARY_NAMES_MAX {
                return None;
            }
        }
        (dictionary.plain().len() <= DICTIONARY_BYTES_MAX - DICTIONARY_FRAME_BYTES)
            .then_some(dictionary)
    }

    /// Names of a sort.
    #[must_use]
    pub fn count(&self, sort: Sort) -> usize {
        self.starts[sort as usize + 1] - self.starts[sort as usize]
    }

    /// A name by its index; empty beyond the last.
    #[must_use]
    pub fn name(&self, sort: Sort, index: u32) -> &str {
        let run = self.starts[sort as usize]..self.starts[sort as usize + 1];
        run.start
            .checked_add(index as usize)
            .filter(|at| run.contains(at))
            .map_or("", |at| self.nth(at))
    }

    fn nth(&self, at: usize) -> &str {
        let start = match at {
            0 => 0,
            _ => self.ends.get(at - 1).copied().unwrap_or(0),
        };
        let end = self.ends.get(at).copied().unwrap_or(0);
        self.text
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// All names of a sort, in order.
    pub fn names(&self, sort: Sort) -> impl ExactSizeIterator<Item = &str> {
        (self.starts[sort as usize]..self.starts[sort as usize + 1]).map(|at| self.nth(at))
    }

    /// The index of a name.
    #[must_use]
    pub fn find(&self, sort: Sort, name: &str) -> Option<u32> {
        let start = self.starts[sort as usize];
        let (mut low, mut high) = (start, self.starts[sort as usize + 1]);
        while low < high {
            let middle = low.midpoint(high);
            match self.nth(middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return u32::try_from(middle - start).ok(),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Counts, lengths, then all names back to back.
    fn plain(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + self.ends.len() + 16);
        for sort in [Sort::Release, Sort::Branch, Sort::Metric] {
            put::varint(&mut out, self.count(sort) as u64);
        }
        let mut start = 0;
        for end in &self.ends {
            put::varint(&mut out, u64::from(end - start));
            start = *end;
        }
        out.extend_from_slice(self.text.as_bytes());
        out
    }

    fn from_plain(bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(bytes);
        let mut starts = [0; 4];
        for sort in 0..3 {
            starts[sort + 1] = starts[sort] + cursor.length(DICTIONARY_NAMES_MAX);
        }
        // A name costs a byte of length and one of text at least.
        cursor.require(
            starts[3] <= cursor.remaining() / 2,
            "more names than there is room for",
        );
        cursor.check()?;
        let mut ends = Vec::with_capacity(starts[3]);
        let mut end = 0_u32;
        for _ in 0..starts[3] {
            end = end.saturating_add(cursor.length(NAME_BYTES_MAX) as u32);
            ends.push(end);
        }
        let start = cursor.position();
        let text = cursor.take(end as usize);
        cursor.finish()?;
        let text = String::from_utf8(text.to_vec())
            .map_err(|_| Corrupt::new(start, "names that are not UTF-8"))?;
        let dictionary = Dictionary { text, ends, starts };
        for sort in [Sort::Release, Sort::Branch, Sort::Metric] {
            let mut before = "";
            for name in dictionary.names(sort) {
                // The empty name sorts first, so that it is refused here too.
                if name <= before || Name::check(name).is_err() {
                    return Err(Corrupt::new(start, "names that are none, or not in order"));
                }
                before = name;
            }
        }
        Ok(dictionary)
    }

    /// The parts of a copy that do not depend on where it is.
    #[must_use]
    pub fn encode(&self) -> EncodedDictionary {
        let plain = self.plain();
        let dense = zstd::bulk::compress(&plain, ZSTD_LEVEL)
            .ok()
            .filter(|dense| dense.len() < plain.len());
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

    /// The length of the copy at the front of `bytes`, which starts at
    /// `offset` of its file, by the checksum of its prefix.
    ///
    /// # Errors
    /// Where no copy starts there.
    pub fn length(bytes: &[u8], segment_id: u64, offset: u64) -> Result<usize> {
        let prefix = Prefix::decode(bytes, segment_id, offset)?;
        Ok(prefix.stored_bytes + DICTIONARY_FRAME_BYTES)
    }

    /// Reads and checks the copy at the front of `bytes`, which starts at
    /// `offset` of its file, and says how long it is.
    ///
    /// # Errors
    /// Where it is not what was written there.
    pub fn decode(bytes: &[u8], segment_id: u64, offset: u64) -> Result<(Self, usize)> {
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
            PLAIN if prefix.plain_bytes == prefix.stored_bytes => Self::from_plain(stored)?,
            ZSTD => Self::from_plain(&decompress(stored, prefix.plain_bytes)?)?,
            _ => return Err(Corrupt::new(4, "an encoding that never was")),
        };
        Ok((dictionary, prefix.stored_bytes + DICTIONARY_FRAME_BYTES))
    }
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
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn dictionary(sorts: [&BTreeSet<Name>; 3]) -> Dictionary {
        let sorts = sorts.map(|names| names.iter().collect::<Vec<_>>());
        Dictionary::new([&sorts[0], &sorts[1], &sorts[2]]).unwrap()
    }

    fn names(texts: &[&str]) -> BTreeSet<Name> {
        texts.iter().map(|text| Name::new(text).unwrap()).collect()
    }

    fn small() -> Dictionary {
        dictionary([
            &names(&["firefox/release/57.0", "firefox/nightly/59.0a1", "é"]),
            &names(&["control", "treatment"]),
            &names(&["crashes"]),
        ])
    }

    fn copy(dictionary: &Dictionary, offset: u64) -> Vec<u8> {
        let bytes = dictionary.encode().at(7, offset);
        assert_eq!(bytes.len(), dictionary.encode().len());
        bytes
    }

    #[test]
    fn names_are_found_by_text_and_index() {
        let dictionary = small();
        assert_eq!(dictionary.count(Sort::Release), 3);
        assert_eq!(dictionary.name(Sort::Release, 2), "é");
        assert_eq!(
            dictionary.name(Sort::Release, 3),
            "",
            "not the first branch"
        );
        assert_eq!(dictionary.name(Sort::Metric, u32::MAX), "");
        assert_eq!(dictionary.find(Sort::Branch, "treatment"), Some(1));
        assert_eq!(dictionary.find(Sort::Branch, "crashes"), None);
        assert_eq!(
            dictionary.names(Sort::Metric).collect::<Vec<_>>(),
            ["crashes"]
        );
    }

    #[test]
    fn every_flip_prefix_and_move_is_refused() {
        let bytes = copy(&small(), 64);
        assert_eq!(
            Dictionary::decode(&bytes, 7, 64),
            Ok((small(), bytes.len()))
        );
        assert!(Dictionary::decode(&bytes, 7, 65).is_err());
        assert!(Dictionary::decode(&bytes, 8, 64).is_err());
        let moved = copy(&small(), 65);
        let end = bytes.len() - 4;
        assert_ne!(
            bytes[16..20],
            moved[16..20],
            "the prefix is bound to its place"
        );
        assert_ne!(bytes[end..], moved[end..], "and so are the names");
        for length in 0..bytes.len() {
            assert!(Dictionary::decode(&bytes[..length], 7, 64).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Dictionary::decode(&flipped, 7, 64).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn many_names_are_compressed_and_a_false_length_is_refused() {
        let many = (0..5_000)
            .map(|index| Name::new(&format!("firefox/release/{index:05}")).unwrap())
            .collect();
        let many = dictionary([&many, &names(&["control"]), &names(&["crashes"])]);
        let bytes = copy(&many, 64);
        assert!(bytes.len() < many.plain().len() / 4, "{}", bytes.len());
        assert_eq!(Dictionary::decode(&bytes, 7, 64).unwrap().0, many);
        for claimed in [
            0,
            1,
            many.plain().len() - 1,
            many.plain().len() + 1,
            1 << 27,
        ] {
            let mut bytes = bytes.clone();
            bytes[8..12].copy_from_slice(&(claimed as u32).to_le_bytes());
            let end = bytes.len() - 4;
            let (first, second) = bound_crcs(7, 64, &bytes[..16], &bytes[20..end]);
            bytes[16..20].copy_from_slice(&first.to_le_bytes());
            bytes[end..].copy_from_slice(&second.to_le_bytes());
            assert!(Dictionary::decode(&bytes, 7, 64).is_err(), "{claimed}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(
            releases in prop::collection::btree_set("[a-zé0-9/._-]{1,40}", 0..20),
            branches in prop::collection::btree_set("[^\\pC*]{1,40}", 0..20),
            metrics in prop::collection::btree_set("[a-z]{1,40}", 0..20),
        ) {
            let sorts = [&releases, &branches, &metrics].map(|texts| {
                texts.iter().map(|text| Name::new(text).unwrap()).collect::<BTreeSet<_>>()
            });
            let dictionary = dictionary([&sorts[0], &sorts[1], &sorts[2]]);
            let bytes = copy(&dictionary, 9);
            let (decoded, length) = Dictionary::decode(&bytes, 7, 9).unwrap();
            prop_assert_eq!(length, bytes.len());
            for (index, name) in sorts[1].iter().enumerate() {
                prop_assert_eq!(decoded.find(Sort::Branch, name), Some(index as u32));
                prop_assert_eq!(decoded.name(Sort::Branch, index as u32), name.as_str());
            }
            prop_assert_eq!(decoded, dictionary);
        }

        #[test]
        fn any_plain_bytes_are_handled(bytes: Vec<u8>) {
            let _ = Dictionary::from_plain(&bytes);
        }
    }
}
