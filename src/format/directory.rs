//! The directory of a segment: one entry a series, sorted by key, read in
//! place. Its totals are contiguous, so that a total over a segment reads the
//! directory and nothing else.

use bytes::Bytes;

use crate::codec::cursor::{Corrupt, Result};
use crate::format::block_prefix::HEADER_BYTES_MIN;
use crate::limits::{BLOCK_BYTES_MAX, MINUTES_PER_BUCKET};
use crate::model::Kind;

/// Bytes of an entry: a cache line.
pub const ENTRY_BYTES: usize = 64;

/// A series of a segment: where its block is, and its totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Index of the release in the dictionary.
    pub release: u32,
    /// Index of the branch.
    pub branch: u32,
    /// Index of the metric.
    pub metric: u32,
    /// How the values merge.
    pub kind: Kind,
    /// Where the block starts in the file.
    pub block_offset: u64,
    /// Length of the block, header included.
    pub block_bytes: u32,
    /// Length of the block's header, table and all.
    pub header_bytes: u32,
    /// The first minute with a cell.
    pub first_minute: u32,
    /// The last minute with a cell.
    pub last_minute: u32,
    /// Minutes with a cell.
    pub cells: u32,
    /// Checksum at the end of the block's header.
    pub header_crc: u32,
    /// Sum of the cells; of a gauge, the bits of the last value.
    pub sum: i128,
}

impl Entry {
    /// The key, in the order of the directory.
    #[must_use]
    pub const fn key(&self) -> (u32, u32, u32) {
        (self.release, self.branch, self.metric)
    }

    /// The end of the block in the file.
    #[must_use]
    pub const fn block_end(&self) -> u64 {
        self.block_offset.saturating_add(self.block_bytes as u64)
    }

    /// Its 64 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let (kind, decimals) = self.kind.code();
        let mut out = [0; ENTRY_BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.release.to_le_bytes());
        put(4, &self.branch.to_le_bytes());
        put(8, &self.metric.to_le_bytes());
        put(12, &[kind, decimals]);
        put(16, &self.block_offset.to_le_bytes());
        put(24, &self.block_bytes.to_le_bytes());
        put(28, &self.header_bytes.to_le_bytes());
        put(32, &self.first_minute.to_le_bytes());
        put(36, &self.last_minute.to_le_bytes());
        put(40, &self.cells.to_le_bytes());
        put(44, &self.header_crc.to_le_bytes());
        put(48, &self.sum.to_le_bytes());
        out
    }

    /// Reads an entry of a directory that has been checked: `None` for bytes
    /// that no such directory holds.
    #[must_use]
    pub fn decode(bytes: &[u8; ENTRY_BYTES]) -> Option<Entry> {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |at: usize| u32::from_le_bytes(words[at]);
        let kind = Kind::from_code(bytes[12], bytes[13])?;
        let (wide, _) = bytes.as_chunks::<16>();
        Some(Entry {
            release: word(0),
            branch: word(1),
            metric: word(2),
            kind,
            block_offset: u64::from(word(4)) | u64::from(word(5)) << 32,
            block_bytes: word(6),
            header_bytes: word(7),
            first_minute: word(8),
            last_minute: word(9),
            cells: word(10),
            header_crc: word(11),
            sum: i128::from_le_bytes(wide[3]),
        })
    }

    /// What about this entry can not be, in a segment of that bucket with so
    /// many names of each sort.
    fn wrong(&self, bucket: u32, names: [usize; 3]) -> Option<&'static str> {
        let first = u64::from(bucket) * u64::from(MINUTES_PER_BUCKET);
        let minutes = first..first + u64::from(MINUTES_PER_BUCKET);
        let key = [self.release, self.branch, self.metric];
        if key
            .iter()
            .zip(names)
            .any(|(index, count)| *index as usize >= count)
        {
            Some("a name that is not in the dictionary")
        } else if self.first_minute > self.last_minute
            || !minutes.contains(&self.first_minute.into())
            || !minutes.contains(&self.last_minute.into())
        {
            Some("minutes outside the bucket")
        } else if self.cells == 0 || self.cells > self.last_minute - self.first_minute + 1 {
            Some("a number of cells that can not be")
        } else if (self.header_bytes as usize) < HEADER_BYTES_MIN
            || self.header_bytes >= self.block_bytes
            || self.block_bytes as usize > BLOCK_BYTES_MAX
        {
            Some("a block of a length that can not be")
        } else {
            None
        }
    }
}

/// The entries of a segment, checked once.
#[derive(Clone, Debug)]
pub struct Directory {
    bytes: Bytes,
}

impl Directory {
    /// Checks the order and the bounds of all entries. The blocks must fill
    /// `blocks` without gaps where `complete`, else lie in it without overlap.
    ///
    /// # Errors
    /// The first entry, by its offset in the directory, that can not be.
    pub fn new(
        bytes: Bytes,
        bucket: u32,
        names: [usize; 3],
        blocks: std::ops::Range<u64>,
        complete: bool,
    ) -> Result<Self> {
        let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        if !rest.is_empty() {
            return Err(Corrupt::new(bytes.len(), "a directory cut short"));
        }
        let mut before = None;
        let mut end = blocks.start;
        for (index, raw) in entries.iter().enumerate() {
            let wrong = |what| Corrupt::new(index * ENTRY_BYTES, what);
            let entry = Entry::decode(raw).ok_or(wrong("a kind that never was"))?;
            if raw[14..16] != [0, 0] {
                return Err(wrong("reserved bytes that are not zero"));
            }
            if before >= Some(entry.key()) {
                return Err(wrong("series out of order"));
            }
            if let Some(what) = entry.wrong(bucket, names) {
                return Err(wrong(what));
            }
            if entry.block_offset < end || complete && entry.block_offset != end {
                return Err(wrong("blocks that overlap or leave a gap"));
            }
            end = entry.block_end();
            before = Some(entry.key());
        }
        if end > blocks.end || complete && end != blocks.end {
            return Err(Corrupt::new(
                bytes.len(),
                "blocks that do not fill their section",
            ));
        }
        Ok(Directory { bytes })
    }

    /// Series in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / ENTRY_BYTES
    }

    /// The entry of a series.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Entry> {
        let (entries, _) = self.bytes.as_chunks::<ENTRY_BYTES>();
        entries.get(index).and_then(Entry::decode)
    }

    /// All entries, in order.
    #[cfg(any(test, feature = "internals"))]
    pub fn iter(&self) -> impl Iterator<Item = Entry> {
        self.range(0..self.len())
    }

    /// The entries of a range of series, in order.
    pub fn range(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = Entry> {
        let (entries, _) = self.bytes.as_chunks::<ENTRY_BYTES>();
        let entries = entries.get(range).unwrap_or_default();
        entries.iter().filter_map(Entry::decode)
    }

    /// The key of a series, without the rest of its entry.
    #[must_use]
    pub fn key(&self, index: usize) -> Option<(u32, u32, u32)> {
        let (entries, _) = self.bytes.as_chunks::<ENTRY_BYTES>();
        entries.get(index).map(key_of)
    }

    /// The first series for which `before` does not hold, where it holds for
    /// a front part of them.
    pub fn partition(&self, mut before: impl FnMut((u32, u32, u32)) -> bool) -> usize {
        let (entries, _) = self.bytes.as_chunks::<ENTRY_BYTES>();
        entries.partition_point(|raw| before(key_of(raw)))
    }
}

/// The key in an entry's bytes.
fn key_of(raw: &[u8; ENTRY_BYTES]) -> (u32, u32, u32) {
    let (words, _) = raw.as_chunks::<4>();
    let word = |at: usize| u32::from_le_bytes(words[at]);
    (word(0), word(1), word(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(metric: u32, block_offset: u64) -> Entry {
        Entry {
            release: 1,
            branch: 2,
            metric,
            kind: Kind::Sum { decimals: 4 },
            block_offset,
            block_bytes: 200,
            header_bytes: 100,
            first_minute: 5 * MINUTES_PER_BUCKET + 3,
            last_minute: 5 * MINUTES_PER_BUCKET + 9,
            cells: 7,
            header_crc: 0xdead_beef,
            sum: -(1 << 100),
        }
    }

    fn open(entries: &[Entry], complete: bool) -> Result<Directory> {
        let bytes: Vec<u8> = entries.iter().flat_map(Entry::encode).collect();
        Directory::new(bytes.into(), 5, [2, 3, 10], 1_000..1_600, complete)
    }

    #[test]
    fn round_trip() {
        let entries = [entry(1, 1_000), entry(3, 1_200), entry(9, 1_400)];
        let directory = open(&entries, true).unwrap();
        assert_eq!(directory.iter().collect::<Vec<_>>(), entries);
        assert_eq!(directory.get(1), Some(entries[1]));
        assert_eq!(directory.get(3), None);
        assert_eq!(directory.partition(|key| key < (1, 2, 3)), 1);
        assert_eq!(directory.partition(|key| key <= (1, 2, 3)), 2);
    }

    #[test]
    fn what_can_not_be_is_refused() {
        let good = [entry(1, 1_000), entry(3, 1_200), entry(9, 1_400)];
        let changes: [fn(&mut Entry); 12] = [
            |entry| entry.release = 2,
            |entry| entry.branch = 3,
            |entry| entry.metric = 10,
            |entry| entry.metric = 1,
            |entry| entry.block_offset -= 1,
            |entry| entry.block_bytes += 1,
            |entry| entry.header_bytes = entry.block_bytes,
            |entry| entry.header_bytes = 3,
            |entry| entry.first_minute += 7,
            |entry| entry.last_minute += MINUTES_PER_BUCKET,
            |entry| entry.cells = 0,
            |entry| entry.cells = 8,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut entries = good;
            change(&mut entries[1]);
            assert!(open(&entries, true).is_err(), "change {index}");
        }
        assert!(open(&[good[0], good[2]], true).is_err(), "a gap");
        assert!(open(&[good[0], good[2]], false).is_ok(), "a block lost");
    }
}
