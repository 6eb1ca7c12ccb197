//! The parsers of the command line's import, taken in as they are.

#[path = "../../../src/bin/hotstove/import/csv.rs"]
#[allow(dead_code, reason = "the command uses all of it")]
mod csv;
#[path = "../../../src/bin/hotstove/import/input.rs"]
#[allow(dead_code, reason = "the command uses all of it")]
mod input;
#[path = "../../../src/bin/hotstove/import/rows.rs"]
#[allow(dead_code, reason = "the command uses all of it")]
mod rows;
#[path = "../../../src/bin/hotstove/import/value.rs"]
#[allow(dead_code, reason = "the command uses all of it")]
mod value;

use std::io::{self, Read};

use hotstove::{Kind, Rounding};
use indicatif::ProgressBar;

pub use rows::Format;

/// Gives so many bytes at a time, as pipes do.
struct Pieces {
    bytes: io::Cursor<Vec<u8>>,
    most: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.most.min(buffer.len());
        self.bytes.read(&mut buffer[..most])
    }
}

/// What comes of a text: its rows, and the line and reason that ended them.
type Outcome = (Vec<[Vec<u8>; 5]>, Option<(u64, String)>);

fn read(text: &[u8], format: Format, most: usize) -> Outcome {
    let reader = Pieces {
        bytes: io::Cursor::new(text.to_vec()),
        most,
    };
    let input = input::Input::new(Box::new(reader), ProgressBar::hidden());
    let mut found = Vec::new();
    let mut rows = match rows::Rows::open(input, format) {
        Ok(rows) => rows,
        Err(wrong) => return (found, Some((wrong.line, wrong.what))),
    };
    loop {
        match rows.next() {
            Ok(None) => return (found, None),
            Err(wrong) => return (found, Some((wrong.line, wrong.what))),
            Ok(Some(row)) => {
                for kind in [Kind::Counter, Kind::Sum { decimals: 4 }, Kind::Gauge] {
                    let _ = value::Delta::parse(&row.value, kind, Rounding::HalfEven);
                }
                let fields = [row.release, row.branch, row.metric, row.minute, row.value];
                found.push(fields.map(std::borrow::Cow::into_owned));
            }
        }
    }
}

/// The same rows come however the bytes arrive.
pub fn check(text: &[u8], format: Format) {
    let whole = read(text, format, usize::MAX);
    assert_eq!(read(text, format, 3), whole);
}
