//! Columns to bytes and back. Pure and total: no files, no clocks, no panics
//! on any input.

#![cfg_attr(not(test), allow(dead_code, reason = "used by the engine"))]

mod bits;
pub mod cursor;
mod pack;
mod presence;
mod presence_code;
pub mod put;
