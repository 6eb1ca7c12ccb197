//! Files: the only rooms with paths, and the only one with a mapping.
#![cfg_attr(
    not(test),
    allow(dead_code, reason = "used by the engine, which is yet to come")
)]

pub mod damage;
pub mod disk;
#[cfg(test)]
mod disk_suite;
mod mmap;
pub mod real_disk;
pub mod segment;
#[cfg(any(test, feature = "internals"))]
pub mod sim_disk;
