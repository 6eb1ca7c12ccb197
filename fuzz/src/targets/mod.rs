//! A target a file: any bytes in, an answer out, no panic, bounded memory.

pub mod audit;
pub mod block;
pub mod cold;
pub mod columns;
pub mod csv;
pub mod dictionary;
pub mod directory;
pub mod frames;
pub mod import;
pub mod index;
pub mod log;
pub mod manifest;
pub mod ndjson;
pub mod ops;
pub mod page;
pub mod published;
pub mod query;
pub mod segment;
pub mod store;
pub mod text;
pub mod wal;

/// A target.
pub type Run = fn(&[u8]);

/// Every target by its name.
pub const ALL: &[(&str, Run)] = &[
    ("audit", audit::run),
    ("block", block::run),
    ("cold", cold::run),
    ("columns", columns::run),
    ("csv", csv::run),
    ("dictionary", dictionary::run),
    ("directory", directory::run),
    ("frames", frames::run),
    ("index", index::run),
    ("log", log::run),
    ("manifest", manifest::run),
    ("ndjson", ndjson::run),
    ("ops", ops::run),
    ("page", page::run),
    ("published", published::run),
    ("query", query::run),
    ("segment", segment::run),
    ("store", store::run),
    ("text", text::run),
    ("wal", wal::run),
];

/// While fuzzing, checksums are not looked at, for a fuzzer does not guess them:
/// each is taken to be zero. Elsewhere they stay what they are.
pub fn without_checksums() {
    #[cfg(fuzzing)]
    hotstove::internals::format::checksum::take_for_zero();
}
