//! Files: the only rooms with paths, and the only one with a mapping.

pub mod disk;
