//! On-disk structures, one a file: size, encode, decode, validate. No I/O.
//! The normative text is `docs/format/`.

pub mod audit;
pub mod batch;
pub mod checksum;
pub mod manifest;
pub mod published;
pub mod segment_meta;
pub mod wal;
