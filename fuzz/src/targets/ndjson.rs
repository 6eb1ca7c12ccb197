//! NDJSON as the import reads it, whole and in pieces.

use super::import::{Format, check};

pub fn run(text: &[u8]) {
    check(text, Format::Ndjson);
}
