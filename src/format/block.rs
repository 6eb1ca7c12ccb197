//! A block: one series over one bucket, a page a day. Its header describes
//! itself, so that a segment can be read without its directory, and holds a
//! summary of every page, so that a page decodes, or is left alone, by itself.

use crate::codec::cursor::{Corrupt, Cursor, Result};
use crate::format::block_prefix::{COVERED_BYTES, HEADER_BYTES_MIN, PREFIX_BYTES, Place, Prefix};
use crate::format::checksum::bound_crcs;
use crate::format::columns::Column;
use crate::format::directory::Entry;
use crate::limits::{
    BLOCK_BYTES_MAX, DAYS_PER_BUCKET, MINUTES_PER_BUCKET, MINUTES_PER_DAY, PAGE_BYTES_MAX,
};
use crate::model::Kind;

/// The longest metadata shared by the cold pages of a block.
pub const COLD_META_BYTES_MAX: usize = u16::MAX as usize;

/// Lengths, cells, sums, minima, maxima.
pub(super) const COLUMNS: usize = 5;
const PAGES_MAX: usize = DAYS_PER_BUCKET as usize;

const _: () = assert!(HEADER_BYTES_MIN == PREFIX_BYTES + COLUMNS * 2 + 4 + 4);
const _: () = assert!(PAGES_MAX == 32 && MINUTES_PER_BUCKET <= 1 << 16);
const _: () = assert!(
    PREFIX_BYTES
        + COLUMNS * (1 + 19)
        + PAGES_MAX * (16 * COLUMNS + 4 + PAGE_BYTES_MAX)
        + COLD_META_BYTES_MAX
        + 4
        <= BLOCK_BYTES_MAX
);

/// One page of a block: a day, in bytes, and its summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageEntry {
    /// The day, counted from the start of the bucket.
    pub day: u32,
    /// Where the page starts in the block.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Its checksum.
    pub crc: u32,
    /// Minutes with a cell.
    pub cells: u32,
    /// Sum of the cells; of a gauge, the bits of the last value.
    pub sum: i128,
    /// The least cell; of a gauge, its bits.
    pub min: i128,
    /// The greatest cell; of a gauge, its bits.
    pub max: i128,
}

/// The header of a block, checked.
#[derive(Clone, Debug)]
pub struct BlockHeader<'a> {
    /// The fixed part.
    pub prefix: Prefix,
    /// The metadata that the cold pages share; often none.
    pub cold_meta: &'a [u8],
    /// The checksum at the end of the header.
    pub crc: u32,
    columns: [Column<'a>; COLUMNS],
    crcs: &'a [u8],
    /// Where each page ends in the block.
    ends: [u32; PAGES_MAX],
}

impl<'a> BlockHeader<'a> {
    /// Reads and checks the header of the block that `bytes` starts with.
    ///
    /// # Errors
    /// Where it is not what was written there.
    pub fn decode(bytes: &'a [u8], place: Place) -> Result<Self> {
        let mut cursor = Cursor::new(bytes);
        let prefix = Prefix::read(&mut cursor);
        let prefix_crc = cursor.u32();
        cursor.check()?;
        let prefix = prefix.ok_or(Corrupt::new(24, "a kind that never was"))?;
        let header_end = prefix.header_bytes as usize - 4;
        let (Some(header), Some(crc)) = (
            bytes.get(..header_end),
            bytes.get(header_end..).and_then(<[u8]>::first_chunk),
        ) else {
            return Err(Corrupt::new(8, "a header cut short"));
        };
        let crc = u32::from_le_bytes(*crc);
        let covered = (&header[..COVERED_BYTES], &header[PREFIX_BYTES..]);
        if (prefix_crc, crc) != bound_crcs(place.segment_id, place.offset, covered.0, covered.1) {
            return Err(Corrupt::new(
                0,
                "the block's header does not match its checksum",
            ));
        }
        let mut cursor = Cursor::new(header);
        cursor.take(PREFIX_BYTES);
        let count = prefix.days.count_ones() as usize;
        let mut columns: [Column<'a>; COLUMNS] =
            std::array::from_fn(|_| Column::decode_shape(&mut cursor));
        for column in &mut columns {
            // Values may be read by whole words, so the bytes go on after them.
            column.decode_values(&mut cursor, count, bytes);
        }
        let crcs = cursor.take(4 * count);
        let cold_meta = cursor.take(prefix.cold_meta_bytes.into());
        cursor.finish()?;
        let mut header = BlockHeader {
            prefix,
            cold_meta,
            crc,
            columns,
            crcs,
            ends: [0; PAGES_MAX],
        };
        header.check_pages(count)?;
        Ok(header)
    }

    fn check_pages(&mut self, count: usize) -> Result<()> {
        let [lengths, cells, ..] = self.columns;
        let mut end = self.prefix.header_bytes;
        let mut total = 0;
        for index in 0..count {
            let length = lengths.get(index);
            let held = cells.get(index);
            if length < 1 || length > PAGE_BYTES_MAX as i128 {
                return Err(Corrupt::new(
                    PREFIX_BYTES,
                    "a page of a length that can not be",
                ));
            }
            if held < 1 || held > i128::from(MINUTES_PER_DAY) {
                return Err(Corrupt::new(
                    PREFIX_BYTES,
                    "a number of cells that can not be",
                ));
            }
            end += length as u32;
            total += held as u32;
            self.ends[index] = end;
        }
        let prefix = &self.prefix;
        if end != prefix.block_bytes {
            return Err(Corrupt::new(4, "pages that do not fill the block"));
        }
        if total > u32::from(prefix.last_minute - prefix.first_minute) + 1 {
            return Err(Corrupt::new(PREFIX_BYTES, "more cells than minutes"));
        }
        Ok(())
    }

    /// Pages in the block.
    #[must_use]
    pub fn page_count(&self) -> usize {
        self.prefix.days.count_ones() as usize
    }

    /// The page at `index`, in the order of days.
    #[must_use]
    pub fn page(&self, index: usize) -> Option<PageEntry> {
        if index >= self.page_count() {
            return None;
        }
        let (mut days, mut passed) = (self.prefix.days, index);
        while passed > 0 {
            days &= days - 1;
            passed -= 1;
        }
        let [_, cells, sums, minima, maxima] = &self.columns;
        let extent = self.extent(index)?;
        Some(PageEntry {
            day: days.trailing_zeros(),
            start: extent.start,
            end: extent.end,
            crc: self.page_crc(index)?,
            cells: cells.get(index) as u32,
            sum: sums.get(index),
            min: minima.get(index),
            max: maxima.get(index),
        })
    }

    /// Where the page at `index` is in the block. Nothing of the table is read.
    #[must_use]
    pub fn extent(&self, index: usize) -> Option<std::ops::Range<usize>> {
        if index >= self.page_count() {
            return None;
        }
        let start = match index {
            0 => self.prefix.header_bytes,
            _ => self.ends[index - 1],
        };
        Some(start as usize..self.ends[index] as usize)
    }

    /// The checksum of the page at `index`.
    #[must_use]
    pub fn page_crc(&self, index: usize) -> Option<u32> {
        let (crcs, _) = self.crcs.as_chunks::<4>();
        crcs.get(index).map(|crc| u32::from_le_bytes(*crc))
    }

    /// The index of the page of a day of the bucket.
    #[must_use]
    pub fn page_of_day(&self, day: u32) -> Option<usize> {
        let bit = 1_u32.checked_shl(day)?;
        let before = self.prefix.days & (bit - 1);
        (self.prefix.days & bit != 0).then_some(before.count_ones() as usize)
    }

    /// The entry of the directory that belongs to this block.
    ///
    /// # Errors
    /// Where the sum of all pages leaves 128 bits.
    pub fn entry(&self, place: Place, bucket: u32) -> Result<Entry> {
        let prefix = &self.prefix;
        let mut cells = 0;
        let mut sum = 0_i128;
        for page in (0..self.page_count()).filter_map(|index| self.page(index)) {
            cells += page.cells;
            sum = match prefix.kind {
                Kind::Gauge => page.sum,
                _ => sum
                    .checked_add(page.sum)
                    .ok_or(Corrupt::new(PREFIX_BYTES, "a sum beyond 128 bits"))?,
            };
        }
        let start = bucket * MINUTES_PER_BUCKET;
        let (release, branch, metric) = prefix.key;
        Ok(Entry {
            release,
            branch,
            metric,
            kind: prefix.kind,
            block_offset: place.offset,
            block_bytes: prefix.block_bytes,
            header_bytes: prefix.header_bytes,
            first_minute: start + u32::from(prefix.first_minute),
            last_minute: start + u32::from(prefix.last_minute),
            cells,
            header_crc: self.crc,
            sum,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::checksum::bound_crc;
    use crate::format::new_block::{NewBlock, NewPage};

    const PLACE: Place = Place {
        segment_id: 7,
        offset: 164,
    };

    fn pages() -> [NewPage<'static>; 3] {
        let page = |day, payload, cells, sum, min, max| NewPage {
            day,
            payload,
            cells,
            sum,
            min,
            max,
        };
        [
            page(0, b"monday", 3, 60, 10, 30),
            page(1, b"tuesday", 1_440, -(1 << 90), i128::MIN, 5),
            page(31, b"w", 1, 7, 7, 7),
        ]
    }

    fn encoded(cold_meta: &[u8]) -> Vec<u8> {
        let mut out = vec![1, 2, 3];
        NewBlock {
            key: (1, 2, 3),
            kind: Kind::Sum { decimals: 9 },
            first_minute: 5,
            last_minute: 31 * 1_440,
            cold_meta,
            pages: &pages(),
        }
        .encode(PLACE, &mut out);
        out
    }

    #[test]
    fn round_trip() {
        for cold_meta in [&b""[..], b"shared"] {
            let bytes = encoded(cold_meta);
            let header = BlockHeader::decode(&bytes, PLACE).unwrap();
            assert_eq!(Prefix::decode(&bytes, PLACE), Ok(header.prefix));
            assert_eq!(header.prefix.key, (1, 2, 3));
            assert_eq!(header.cold_meta, cold_meta);
            assert_eq!(header.page_count(), 3);
            for (index, new) in pages().iter().enumerate() {
                let page = header.page(index).unwrap();
                assert_eq!(&bytes[page.start..page.end], new.payload);
                assert_eq!(
                    (page.day, page.cells, page.sum, page.min, page.max),
                    (new.day, new.cells, new.sum, new.min, new.max)
                );
                let crc = bound_crc(7, 164 + page.start as u64, new.payload);
                assert_eq!(page.crc, crc);
                assert_eq!(header.page_of_day(new.day), Some(index));
            }
            assert_eq!(header.page(3), None);
            assert_eq!(header.page_of_day(2), None);
            assert_eq!(header.page_of_day(32), None);
            let entry = header.entry(PLACE, 10).unwrap();
            assert_eq!((entry.cells, entry.sum), (1_444, 67 - (1 << 90)));
            assert_eq!(entry.block_end(), 164 + bytes.len() as u64);
        }
    }

    #[test]
    fn every_flip_and_prefix_of_the_header_is_refused() {
        let bytes = encoded(b"shared");
        let header_bytes = bytes.len() - 14;
        for length in 0..header_bytes {
            assert!(BlockHeader::decode(&bytes[..length], PLACE).is_err());
        }
        for bit in 0..header_bytes * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(BlockHeader::decode(&flipped, PLACE).is_err(), "bit {bit}");
            let prefix = Prefix::decode(&flipped, PLACE);
            assert_eq!(prefix.is_err(), bit / 8 < PREFIX_BYTES, "bit {bit}");
        }
        for offset in [0, 163, 165] {
            let place = Place { offset, ..PLACE };
            assert!(BlockHeader::decode(&bytes, place).is_err());
        }
    }

    #[test]
    fn sound_checksums_do_not_excuse_nonsense() {
        let sound = encoded(b"");
        let header_bytes = sound.len() - 14;
        for at in 0..header_bytes - 4 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = sound.clone();
                bytes[at] = value;
                let rest = &bytes[PREFIX_BYTES..header_bytes - 4];
                let (first, second) = bound_crcs(7, 164, &bytes[..COVERED_BYTES], rest);
                bytes[COVERED_BYTES..PREFIX_BYTES].copy_from_slice(&first.to_le_bytes());
                bytes[header_bytes - 4..header_bytes].copy_from_slice(&second.to_le_bytes());
                // Whatever is accepted reads without a panic and inside the block.
                if let Ok(header) = BlockHeader::decode(&bytes, PLACE) {
                    for page in (0..32).filter_map(|index| header.page(index)) {
                        assert!(page.start < page.end && page.end <= bytes.len());
                    }
                    let _ = header.entry(PLACE, 10);
                }
            }
        }
    }

    #[test]
    fn ten_days_cost_little() {
        let payloads = vec![vec![0; 1_000]; 10];
        let pages: Vec<_> = payloads
            .iter()
            .enumerate()
            .map(|(day, payload)| NewPage {
                day: day as u32,
                payload: &payload[..1_000 - day * 7],
                cells: 1_410 + day as u32,
                sum: 28_000_000 + 100_000 * day as i128,
                min: 14_000 + 17 * day as i128,
                max: 26_000 - 13 * day as i128,
            })
            .collect();
        let mut out = Vec::new();
        NewBlock {
            key: (1, 2, 3),
            kind: Kind::Counter,
            first_minute: 0,
            last_minute: 14_399,
            cold_meta: b"",
            pages: &pages,
        }
        .encode(PLACE, &mut out);
        let header = BlockHeader::decode(&out, PLACE).unwrap();
        let a_day = f64::from(header.prefix.header_bytes) / 10.0;
        assert!(a_day < 20.0, "{a_day} bytes a day");
    }
}
