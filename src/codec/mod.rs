//! Columns to bytes and back. Pure and total: no files, no clocks, no panics
//! on any input.

pub mod cursor;
pub mod put;
