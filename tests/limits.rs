//! `docs/limits.md` is made from `src/limits.rs`, and is held to it.

use std::fmt::Write as _;
use std::path::Path;

use hotstove::limits;

const SOURCE: &str = include_str!("../src/limits.rs");

/// The value of each constant, as far as the source alone does not tell.
macro_rules! values {
    ($($name:ident),* $(,)?) => { [$((stringify!($name), limits::$name as u64)),*] };
}

const VALUES: &[(&str, u64)] = &values![
    MINUTES_PER_DAY,
    DAYS_PER_BUCKET,
    MINUTES_PER_BUCKET,
    MINUTE_END,
    NAME_BYTES_MAX,
    DECIMALS_MAX,
    BATCH_DELTAS_MAX,
    FRAME_BYTES_MAX,
    MANIFEST_BYTES_MAX,
    DICTIONARY_NAMES_MAX,
    DICTIONARY_BYTES_MAX,
    SEGMENT_SERIES_MAX,
    PAGE_BYTES_MAX,
    BLOCK_BYTES_MAX,
    TABLE_ROWS_MAX,
    WAL_REDEFINE_BYTES,
];

fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn document() -> String {
    let mut text = "# Limits\n\nMade from `src/limits.rs`, where they are kept; a test holds this page to it. Sizes\nread from disk are held against them before anything is allocated.\n\n| Limit | Value | Why |\n|---|---|---|\n".to_owned();
    let mut reason = String::new();
    for line in SOURCE.lines() {
        if let Some(comment) = line.strip_prefix("/// ") {
            reason.push_str(if reason.is_empty() { "" } else { " " });
            reason.push_str(comment);
        } else if let Some(constant) = line.strip_prefix("pub const ") {
            let name = constant.split(':').next().unwrap();
            let value = VALUES.iter().find(|(known, _)| *known == name);
            let (_, value) = value.unwrap_or_else(|| panic!("{name} is missing in VALUES"));
            writeln!(text, "| `{name}` | {} | {reason} |", grouped(*value)).unwrap();
            reason.clear();
        }
    }
    text
}

#[test]
fn the_page_is_fresh() {
    let page = include_str!("../docs/limits.md");
    assert_eq!(page, document(), "run the ignored test `write_the_page`");
}

#[test]
#[ignore = "writes docs/limits.md"]
fn write_the_page() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/limits.md");
    std::fs::write(path, document()).unwrap();
}
