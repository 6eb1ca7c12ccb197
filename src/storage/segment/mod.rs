//! Segments: immutable files of sealed series, one time bucket each.
//! `docs/format/segment.md` is what they look like.

mod block;
mod output;
mod reader;
mod scan;
mod series;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use block::{Block, PageInfo};
pub use reader::{Segment, describe};
pub use series::SeriesIndex;
pub use writer::SegmentWriter;

pub use crate::format::dictionary::Sort;
pub use crate::format::header::segment_file_name;

/// The number in the name of a segment, or none for another file.
pub fn file_id(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("segment-")?.strip_suffix(".seg")?;
    let id = u64::from_str_radix(digits, 16).ok()?;
    (segment_file_name(id) == name).then_some(id)
}
