//! On-disk structures, one a file: size, encode, decode, validate. No I/O.
//! The normative text is `docs/format/`.

pub mod audit;
pub mod batch;
pub mod block;
pub mod block_prefix;
pub mod checksum;
pub mod columns;
pub mod definitions;
pub mod dictionary;
pub mod dictionary_copy;
pub mod directory;
#[cfg(test)]
pub mod documents;
pub mod header;
pub mod manifest;
#[cfg(test)]
mod manifest_tests;
pub mod new_block;
pub mod published;
pub mod segment_meta;
pub mod trailer;
pub mod wal;
