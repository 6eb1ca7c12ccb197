//! Segments: immutable files of sealed series, one time bucket each.
//! `docs/format/segment.md` is what they look like.

mod block;
mod reader;
mod scan;
mod series;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use block::{Block, PageInfo};
pub use reader::Segment;
pub use series::SeriesIndex;
pub use writer::SegmentWriter;
