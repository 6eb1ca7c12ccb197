//! Writing a block; [`super::block`] reads it.

use crate::format::block::COLUMNS;
use crate::format::block_prefix::{COVERED_BYTES, PREFIX_BYTES, Place, Prefix};
use crate::format::checksum::{bound_crc, bound_crcs};
use crate::format::columns::Shape;
use crate::model::Kind;

/// A page about to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewPage<'a> {
    /// The day, counted from the start of the bucket.
    pub day: u32,
    /// The page, encoded.
    pub payload: &'a [u8],
    /// Minutes with a cell.
    pub cells: u32,
    /// As in [`PageEntry`](super::block::PageEntry).
    pub sum: i128,
    /// As in [`PageEntry`](super::block::PageEntry).
    pub min: i128,
    /// As in [`PageEntry`](super::block::PageEntry).
    pub max: i128,
}

/// A block about to be written, within the limits.
#[derive(Clone, Copy, Debug)]
pub struct NewBlock<'a> {
    /// Release, branch and metric, by their indices in the dictionary.
    pub key: (u32, u32, u32),
    /// How the values merge.
    pub kind: Kind,
    /// The first minute with a cell, counted from the start of the bucket.
    pub first_minute: u16,
    /// The last minute with a cell.
    pub last_minute: u16,
    /// The metadata that the cold pages share.
    pub cold_meta: &'a [u8],
    /// The pages, by ascending day.
    pub pages: &'a [NewPage<'a>],
}

impl NewBlock<'_> {
    /// Writes the block to `out`, which is emptied first.
    pub fn encode(&self, place: Place, out: &mut Vec<u8>) {
        let columns: [fn(&NewPage<'_>) -> i128; COLUMNS] = [
            |page| page.payload.len() as i128,
            |page| page.cells.into(),
            |page| page.sum,
            |page| page.min,
            |page| page.max,
        ];
        out.clear();
        out.resize(PREFIX_BYTES, 0);
        let shapes = columns.map(|column| Shape::of(self.pages.iter().map(column)));
        for shape in &shapes {
            shape.put(out);
        }
        for (shape, column) in shapes.iter().zip(columns) {
            for page in self.pages {
                shape.put_value(column(page), out);
            }
        }
        let header_bytes = out.len() + 4 * self.pages.len() + self.cold_meta.len() + 4;
        let mut end = header_bytes;
        for page in self.pages {
            let crc = bound_crc(place.segment_id, place.offset + end as u64, page.payload);
            out.extend_from_slice(&crc.to_le_bytes());
            end += page.payload.len();
        }
        out.extend_from_slice(self.cold_meta);
        let prefix = Prefix {
            block_bytes: end as u32,
            header_bytes: header_bytes as u32,
            key: self.key,
            kind: self.kind,
            cold_meta_bytes: self.cold_meta.len() as u16,
            days: self.pages.iter().fold(0, |days, page| days | 1 << page.day),
            first_minute: self.first_minute,
            last_minute: self.last_minute,
        };
        out[..PREFIX_BYTES].copy_from_slice(&prefix.encode(place));
        let (covered, rest) = (&out[..COVERED_BYTES], &out[PREFIX_BYTES..]);
        let (_, crc) = bound_crcs(place.segment_id, place.offset, covered, rest);
        out.extend_from_slice(&crc.to_le_bytes());
        for page in self.pages {
            out.extend_from_slice(page.payload);
        }
    }
}
