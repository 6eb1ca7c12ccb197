//! Columns to bytes and back. Pure and total: no files, no clocks, no panics
//! on any input.

mod bits;
mod cold;
#[cfg(test)]
mod cold_tests;
pub mod cursor;
mod frames;
mod gauge;
#[cfg(test)]
mod measure;
mod pack;
mod page;
mod places;
mod presence;
mod presence_code;
pub mod put;
#[cfg(test)]
mod tests;
mod wide;

pub use cold::{ColdBlock, ColdMeta, encode_cold};
pub use page::{
    CELLS_MAX, Column, Family, Page, Summary, decode, decode_range, encode, sum_range, summarize,
};
pub use presence::{MINUTES, Presence};
