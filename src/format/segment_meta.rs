//! What the manifest says of a segment.

use crate::codec::cursor::Cursor;
use crate::codec::put;
use crate::limits::{MINUTE_END, MINUTES_PER_BUCKET, SEGMENT_SERIES_MAX};

/// One live segment, as the manifest names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentMeta {
    /// Its number, part of its file name and of every checksum in it.
    pub id: u64,
    /// The time bucket all its minutes lie in.
    pub bucket: u32,
    /// Its length.
    pub bytes: u64,
    /// The 64-bit hash of the whole file.
    pub hash: u64,
    /// The first commit whose deltas are in it.
    pub first_sequence: u64,
    /// The last commit whose deltas are in it.
    pub last_sequence: u64,
    /// Its first minute with a cell.
    pub first_minute: u32,
    /// Its last minute with a cell.
    pub last_minute: u32,
    /// Cells in it.
    pub cells: u64,
    /// Series in it.
    pub series: u32,
}

impl SegmentMeta {
    /// Appends the entry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put::varint(out, self.id);
        put::varint(out, self.bucket.into());
        put::varint(out, self.bytes);
        out.extend_from_slice(&self.hash.to_le_bytes());
        put::varint(out, self.first_sequence);
        put::varint(out, self.last_sequence);
        put::varint(out, self.first_minute.into());
        put::varint(out, self.last_minute.into());
        put::varint(out, self.cells);
        put::varint(out, self.series.into());
    }

    /// Reads an entry; failures stick to the cursor.
    pub fn decode(cursor: &mut Cursor<'_>) -> Self {
        let meta = SegmentMeta {
            id: cursor.varint(),
            bucket: cursor.length((MINUTE_END / MINUTES_PER_BUCKET) as usize) as u32,
            bytes: cursor.varint(),
            hash: cursor.u64(),
            first_sequence: cursor.varint(),
            last_sequence: cursor.varint(),
            first_minute: cursor.length(MINUTE_END as usize) as u32,
            last_minute: cursor.length(MINUTE_END as usize) as u32,
            cells: cursor.varint(),
            series: cursor.length(SEGMENT_SERIES_MAX) as u32,
        };
        cursor.require(
            meta.first_minute <= meta.last_minute
                && meta.first_minute / MINUTES_PER_BUCKET == meta.bucket
                && meta.last_minute / MINUTES_PER_BUCKET == meta.bucket,
            "a segment outside its bucket",
        );
        cursor.require(
            meta.first_sequence <= meta.last_sequence,
            "sequences out of order",
        );
        meta
    }
}
