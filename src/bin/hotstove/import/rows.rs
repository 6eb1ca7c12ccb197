//! Rows of a file, whatever its format: five texts each, and where they stand.

use std::borrow::Cow;
use std::io;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::csv::{Fields, Scan, scan};
use super::input::Input;

/// The columns of a row, in the order of [`Row`].
const COLUMNS: [&str; 5] = ["release", "branch", "metric", "minute", "value"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// RFC 4180 with a header; columns by name, in any order.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// One row, not understood yet.
#[derive(Debug)]
pub struct Row<'a> {
    /// The line it starts in, from 1.
    pub line: u64,
    pub release: Cow<'a, [u8]>,
    pub branch: Cow<'a, [u8]>,
    pub metric: Cow<'a, [u8]>,
    pub minute: Cow<'a, [u8]>,
    pub value: Cow<'a, [u8]>,
}

/// A row that can not be taken.
#[derive(Debug)]
pub struct Wrong {
    pub line: u64,
    pub what: String,
}

impl Wrong {
    pub fn new(line: u64, what: impl Into<String>) -> Self {
        Wrong {
            line,
            what: what.into(),
        }
    }
}

pub struct Rows {
    pub input: Input,
    format: Format,
    /// Where each of [`COLUMNS`] stands.
    columns: [usize; 5],
    /// How many fields a record has.
    width: usize,
    fields: Fields,
    /// Columns that are not read.
    pub ignored: Vec<String>,
}

impl Rows {
    /// Reads what comes before the first row.
    pub fn open(input: Input, format: Format) -> Result<Self, Wrong> {
        let mut rows = Rows {
            input,
            format,
            columns: [0; 5],
            width: 0,
            fields: Fields::default(),
            ignored: Vec::new(),
        };
        rows.fill()?;
        if rows.input.window().is_empty() {
            return Err(Wrong::new(1, "the file is empty"));
        }
        rows.skip_byte_order_mark()?;
        if format == Format::Csv {
            rows.header()?;
        }
        Ok(rows)
    }

    /// The next row, if there is one.
    pub fn next(&mut self) -> Result<Option<Row<'_>>, Wrong> {
        match self.format {
            Format::Csv => self.next_csv(),
            Format::Ndjson => self.next_ndjson(),
        }
    }

    fn fill(&mut self) -> Result<(), Wrong> {
        let line = self.input.line();
        let failed = |error: io::Error| Wrong::new(line, format!("reading failed: {error}"));
        self.input.fill().map_err(failed)
    }

    fn skip_byte_order_mark(&mut self) -> Result<(), Wrong> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        while self.input.window().len() < MARK.len() && !self.input.ended() {
            self.fill()?;
        }
        if self.input.window().starts_with(MARK) {
            self.input.consume(MARK.len(), 0);
        }
        Ok(())
    }

    /// The next record that is not an empty line: its bytes and its line.
    fn record(&mut self) -> Result<Option<(usize, u64)>, Wrong> {
        loop {
            let line = self.input.line();
            match scan(self.input.window(), self.input.ended(), &mut self.fields) {
                Scan::Record { bytes, lines } => {
                    self.input.consume(bytes, lines);
                    if !self.fields.is_blank() {
                        return Ok(Some((bytes, line)));
                    }
                }
                Scan::More => self.fill()?,
                Scan::End => return Ok(None),
                Scan::Malformed(what) => return Err(Wrong::new(line, what)),
            }
        }
    }

    fn header(&mut self) -> Result<(), Wrong> {
        let expected = || format!("a header naming {} is expected", COLUMNS.join(", "));
        let (bytes, line) = self.record()?.ok_or_else(|| Wrong::new(1, expected()))?;
        let record = self.input.consumed(bytes);
        let names: Vec<_> = (0..self.fields.len())
            .map(|index| String::from_utf8_lossy(self.fields.get(record, index)).into_owned())
            .collect();
        for (column, place) in COLUMNS.iter().zip(&mut self.columns) {
            let mut found = names.iter().enumerate().filter(|(_, name)| name == column);
            *place = match (found.next(), found.next()) {
                (Some((index, _)), None) => index,
                (Some(_), Some(_)) => {
                    return Err(Wrong::new(
                        line,
                        format!("the column {column:?} stands twice in the header"),
                    ));
                }
                (None, _) => {
                    let what = format!("the header has no column {column:?}; {}", expected());
                    return Err(Wrong::new(line, what));
                }
            };
        }
        self.width = names.len();
        self.ignored = names;
        self.ignored
            .retain(|name| !COLUMNS.contains(&name.as_str()));
        Ok(())
    }

    fn next_csv(&mut self) -> Result<Option<Row<'_>>, Wrong> {
        let Some((bytes, line)) = self.record()? else {
            return Ok(None);
        };
        if self.fields.len() != self.width {
            let (found, width) = (self.fields.len(), self.width);
            let what = format!("the record has {found} fields and the header {width}");
            return Err(Wrong::new(line, what));
        }
        let record = self.input.consumed(bytes);
        let [release, branch, metric, minute, value] = self
            .columns
            .map(|index| Cow::Borrowed(self.fields.get(record, index)));
        Ok(Some(Row {
            line,
            release,
            branch,
            metric,
            minute,
            value,
        }))
    }

    fn next_ndjson(&mut self) -> Result<Option<Row<'_>>, Wrong> {
        loop {
            let window = self.input.window();
            let end = window.iter().position(|byte| *byte == b'\n');
            let (bytes, lines) = match end {
                Some(end) => (end + 1, 1),
                None if !self.input.ended() => {
                    self.fill()?;
                    continue;
                }
                None if window.is_empty() => return Ok(None),
                None => (window.len(), 0),
            };
            let line = self.input.line();
            if self.input.consume(bytes, lines).trim_ascii().is_empty() {
                continue;
            }
            return object(self.input.consumed(bytes), line).map(Some);
        }
    }
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    release: Cow<'a, str>,
    #[serde(borrow)]
    branch: Cow<'a, str>,
    #[serde(borrow)]
    metric: Cow<'a, str>,
    #[serde(borrow)]
    minute: Cow<'a, str>,
    /// The text as it stands: a number must not pass through a float.
    #[serde(borrow)]
    value: &'a RawValue,
}

fn object(bytes: &[u8], line: u64) -> Result<Row<'_>, Wrong> {
    let object: Object<'_> = serde_json::from_slice(bytes).map_err(|error| {
        let what = error.to_string();
        // Every text is one line to the parser; its line would mislead.
        let what = what.split(" at line ").next().unwrap_or_default();
        Wrong::new(line, format!("{what}, at column {}", error.column()))
    })?;
    let raw = object.value.get();
    let value = match raw.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Cow::Borrowed(raw.as_bytes()),
        Some(b'"') => {
            let text: String = serde_json::from_str(raw)
                .map_err(|error| Wrong::new(line, format!("the value is no text: {error}")))?;
            Cow::Owned(text.into_bytes())
        }
        _ => return Err(Wrong::new(line, "the value is neither a number nor a text")),
    };
    let bytes = |text| match text {
        Cow::Borrowed(text) => Cow::Borrowed(str::as_bytes(text)),
        Cow::Owned(text) => Cow::Owned(String::into_bytes(text)),
    };
    Ok(Row {
        line,
        release: bytes(object.release),
        branch: bytes(object.branch),
        metric: bytes(object.metric),
        minute: bytes(object.minute),
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::ProgressBar;

    fn read(text: &str, format: Format) -> Result<Vec<String>, (u64, String)> {
        let reader = io::Cursor::new(text.as_bytes().to_vec());
        let input = Input::new(Box::new(reader), ProgressBar::hidden());
        let wrong = |wrong: Wrong| (wrong.line, wrong.what);
        let mut rows = Rows::open(input, format).map_err(wrong)?;
        let mut texts = Vec::new();
        while let Some(row) = rows.next().map_err(wrong)? {
            let fields = [
                &row.release,
                &row.branch,
                &row.metric,
                &row.minute,
                &row.value,
            ];
            let fields = fields.map(|field| String::from_utf8_lossy(field).into_owned());
            texts.push(format!("{}: {}", row.line, fields.join(" ")));
        }
        Ok(texts)
    }

    #[test]
    fn columns_are_found_by_name() {
        let text = "\u{feff}value,note,minute,metric,branch,release\r\n1,x,t,m,b,r\r\n\r\n2,\"x\ny\",t,m,b,\"r\"\"s\"\r\n3,,t,m,b,r";
        let rows = read(text, Format::Csv).unwrap();
        assert_eq!(rows, ["2: r b m t 1", "4: r\"s b m t 2", "6: r b m t 3"]);
    }

    #[test]
    fn a_bad_header_is_told() {
        for (text, what) in [
            ("", "empty"),
            ("\n\n", "a header"),
            ("release,branch,metric,minute\n", "\"value\""),
            ("release,branch,metric,minute,value,value\n", "twice"),
        ] {
            let (_, found) = read(text, Format::Csv).unwrap_err();
            assert!(found.contains(what), "{found}");
        }
        let short = "release,branch,metric,minute,value\na,b,c\n";
        assert_eq!(read(short, Format::Csv).unwrap_err().0, 2);
    }

    #[test]
    fn objects_keep_the_text_of_their_numbers() {
        let text = concat!(
            r#"{"release":"r","branch":"b","metric":"m","minute":"t","value":12345678901234567890.10}"#,
            "\r\n\n",
            r#"{"value":"1e-5", "note":{"a":[1]}, "minute":"t","metric":"\u00e9","branch":"b","release":"r"}"#,
        );
        let rows = read(text, Format::Ndjson).unwrap();
        assert_eq!(
            rows,
            ["1: r b m t 12345678901234567890.10", "3: r b é t 1e-5"]
        );
    }

    #[test]
    fn a_bad_object_is_told_with_its_line() {
        let good = r#"{"release":"r","branch":"b","metric":"m","minute":"t","value":1}"#;
        for bad in [
            "{",
            "[]",
            "1",
            r#"{"release":"r"}"#,
            r#"{"release":"r","branch":"b","metric":"m","minute":"t","value":null}"#,
            r#"{"release":"r","release":"r","branch":"b","metric":"m","minute":"t","value":1}"#,
            r#"{"release":1,"branch":"b","metric":"m","minute":"t","value":1}"#,
        ] {
            let (line, what) = read(&format!("{good}\n{bad}\n"), Format::Ndjson).unwrap_err();
            assert_eq!(line, 2, "{bad}: {what}");
            assert!(!what.contains("line 1"), "{what}");
        }
    }
}
