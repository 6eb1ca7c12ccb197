//! What the fuzz targets do, apart from who calls them: the fuzzer, or the test
//! that replays the kept corpora (`tests/corpora.rs` of the crate).

pub mod targets;
