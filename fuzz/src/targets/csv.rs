//! CSV as the import reads it, whole and in pieces.

use super::import::{Format, check};

pub fn run(text: &[u8]) {
    check(text, Format::Csv);
    // Behind a header most inputs get further.
    let mut behind = b"release,branch,metric,minute,value\n".to_vec();
    behind.extend_from_slice(text);
    check(&behind, Format::Csv);
}
