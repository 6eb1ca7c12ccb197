//! Bytes of the files: one on-disk structure a file, with its size, its
//! encoder, its decoder and what it must refuse. No input or output here.
//! `docs/format/` is the normative description.
#![cfg_attr(not(test), expect(dead_code, reason = "used by the engine"))]

pub mod block;
pub mod checksum;
pub mod columns;
pub mod dictionary;
pub mod directory;
pub mod header;
pub mod trailer;
