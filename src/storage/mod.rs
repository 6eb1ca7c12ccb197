//! Files: the only rooms with paths, and the only one with a mapping.

pub mod damage;
pub mod disk;
#[cfg(test)]
mod disk_suite;
pub mod manifest;
mod mmap;
pub mod planted;
pub mod real_disk;
pub mod segment;
#[cfg(any(test, feature = "internals"))]
pub mod sim_disk;
pub mod wal;
pub mod wal_definitions;
pub mod wal_reader;
#[cfg(test)]
mod wal_reader_tests;
#[cfg(test)]
mod wal_tests;
