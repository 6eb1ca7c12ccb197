//! Files: the only rooms with paths, and the only one with a mapping.

pub mod disk;
pub mod manifest;
pub mod wal;
pub mod wal_reader;
