//! Segments: immutable files of sealed series, one time bucket each.
//! `docs/format/segment.md` is what they look like.

mod block;
mod encoded;
mod new_directory;
mod output;
mod reader;
mod scan;
mod series;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use block::{Block, PageInfo};
pub use encoded::EncodedSeries;
pub use reader::{Segment, describe};
pub use series::SeriesIndex;
pub use writer::SegmentWriter;

pub use crate::format::dictionary::Sort;
pub use crate::format::header::{Identity, segment_file_id as file_id, segment_file_name};
