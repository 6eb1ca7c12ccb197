//! Columns to bytes and back. Pure and total: no files, no clocks, no panics
//! on any input.

mod bits;
mod chunk;
mod chunk_read;
#[cfg(test)]
mod chunk_tests;
mod chunk_together;
mod cold;
#[cfg(test)]
mod cold_tests;
pub mod cursor;
mod frame_sums;
mod frames;
mod gauge;
#[cfg(test)]
mod measure;
mod pack;
mod page;
mod partial;
mod places;
mod predict;
mod presence;
mod presence_code;
pub mod put;
mod quartet;
mod simd;
#[cfg(test)]
mod tests;
mod wide;

pub use cold::{ColdBlock, ColdMeta, encode_cold};
#[cfg(any(test, feature = "internals"))]
pub use page::{CELLS_MAX, sum_range};
pub use page::{Column, Family, Page, Summary, decode, decode_range, encode, summarize};
pub use partial::{PARTS_MAX, Part, add_sums, cell};
#[cfg(any(test, feature = "internals"))]
pub use presence::MINUTES;
pub use presence::Presence;
pub use quartet::{QUARTET, Quartet, is_cold};
pub use simd::{widen, with_bit_instructions};
