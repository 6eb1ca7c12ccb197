//! Records of RFC 4180, strictly: a quote where none may be is an error, not
//! a guess, and a record has an end within bounds.

/// What the front of some bytes holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Scan {
    /// A record of so many bytes and so many line ends.
    Record { bytes: usize, lines: u64 },
    /// The beginning of one: more bytes are needed.
    More,
    /// Nothing: there are no more bytes.
    End,
    /// No record.
    Malformed(&'static str),
}

/// Where the fields of the record scanned last are.
#[derive(Default)]
pub struct Fields {
    places: Vec<Place>,
    /// Quoted fields with doubled quotes, undoubled.
    unescaped: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Place {
    from: usize,
    to: usize,
    unescaped: bool,
}

impl Fields {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// A field, given the bytes of the record.
    pub fn get<'a>(&'a self, record: &'a [u8], index: usize) -> &'a [u8] {
        let Some(place) = self.places.get(index) else {
            return &[];
        };
        let bytes = if place.unescaped {
            &self.unescaped
        } else {
            record
        };
        bytes.get(place.from..place.to).unwrap_or(&[])
    }

    /// Whether the record was an empty line.
    pub fn is_blank(&self) -> bool {
        self.places.len() == 1 && self.places[0].from == self.places[0].to
    }

    fn push(&mut self, from: usize, to: usize) {
        self.places.push(Place {
            from,
            to,
            unescaped: false,
        });
    }

    fn push_unescaped(&mut self, quoted: &[u8]) {
        let from = self.unescaped.len();
        let mut rest = quoted.iter();
        while let Some(byte) = rest.next() {
            self.unescaped.push(*byte);
            if *byte == b'"' {
                rest.next();
            }
        }
        let to = self.unescaped.len();
        self.places.push(Place {
            from,
            to,
            unescaped: true,
        });
    }
}

/// Finds the record at the front of `window`; `ended` says that nothing
/// follows the window.
pub fn scan(window: &[u8], ended: bool, fields: &mut Fields) -> Scan {
    fields.places.clear();
    fields.unescaped.clear();
    if window.is_empty() {
        return if ended { Scan::End } else { Scan::More };
    }
    let more = |what| if ended { what } else { Scan::More };
    let mut at = 0;
    let mut lines = 0;
    loop {
        if window.get(at) == Some(&b'"') {
            let Some(closing) = close(window, at + 1) else {
                return more(Scan::Malformed("a quote is never closed"));
            };
            // A quote at the end of the window may be the first of two.
            if closing.end + 1 == window.len() && !ended {
                return Scan::More;
            }
            let quoted = &window[at + 1..closing.end];
            match closing.doubled {
                true => fields.push_unescaped(quoted),
                false => fields.push(at + 1, closing.end),
            }
            lines += closing.lines;
            at = closing.end + 1;
        } else {
            let from = at;
            at += plain(&window[at..]);
            fields.push(from, at);
        }
        match window.get(at) {
            Some(b',') => at += 1,
            Some(b'\n') => {
                return Scan::Record {
                    bytes: at + 1,
                    lines: lines + 1,
                };
            }
            Some(b'\r') => {
                return match window.get(at + 1) {
                    Some(b'\n') => Scan::Record {
                        bytes: at + 2,
                        lines: lines + 1,
                    },
                    None if !ended => Scan::More,
                    _ => Scan::Malformed("a carriage return does not end a line"),
                };
            }
            Some(b'"') => {
                return Scan::Malformed("a quote in a field that does not start with one");
            }
            Some(_) => return Scan::Malformed("text after a closing quote"),
            None => return more(Scan::Record { bytes: at, lines }),
        }
    }
}

/// Bytes up to the end of an unquoted field.
fn plain(bytes: &[u8]) -> usize {
    let special = |byte: &u8| matches!(byte, b',' | b'\n' | b'\r' | b'"');
    bytes.iter().position(special).unwrap_or(bytes.len())
}

struct Closing {
    /// Where the closing quote is.
    end: usize,
    /// Whether quotes are doubled before it.
    doubled: bool,
    /// Line ends before it.
    lines: u64,
}

/// The quote that closes a field.
fn close(window: &[u8], mut at: usize) -> Option<Closing> {
    let (mut doubled, mut lines) = (false, 0);
    loop {
        match window.get(at)? {
            b'"' if window.get(at + 1) == Some(&b'"') => {
                doubled = true;
                at += 2;
            }
            b'"' => {
                return Some(Closing {
                    end: at,
                    doubled,
                    lines,
                });
            }
            byte => {
                lines += u64::from(*byte == b'\n');
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Records = Result<Vec<(u64, Vec<String>)>, &'static str>;

    fn all(text: &[u8]) -> Records {
        let (mut fields, mut at, mut records) = (Fields::default(), 0, Vec::new());
        loop {
            match scan(&text[at..], true, &mut fields) {
                Scan::Record { bytes, lines } => {
                    let record = &text[at..at + bytes];
                    let texts = (0..fields.len()).map(|index| {
                        String::from_utf8_lossy(fields.get(record, index)).into_owned()
                    });
                    records.push((lines, texts.collect()));
                    at += bytes;
                }
                Scan::Malformed(what) => return Err(what),
                Scan::More | Scan::End => return Ok(records),
            }
        }
    }

    fn texts(text: &str) -> Vec<Vec<String>> {
        let records = all(text.as_bytes()).unwrap();
        records.into_iter().map(|(_, record)| record).collect()
    }

    #[test]
    fn what_rfc_4180_shows() {
        assert_eq!(texts("a,b\r\nc,d\r\n"), [["a", "b"], ["c", "d"]]);
        assert_eq!(texts("a,b\nc,d"), [["a", "b"], ["c", "d"]]);
        assert_eq!(texts("\"a,\"\"b\"\"\n\",c\n"), [["a,\"b\"\n", "c"]]);
        assert_eq!(texts(",\n"), [["", ""]]);
        assert_eq!(texts("a,"), [["a", ""]]);
        assert_eq!(
            all(b"\"a\nb\"\nc\n").unwrap()[0].0,
            2,
            "lines within quotes count"
        );
    }

    #[test]
    fn what_is_no_record() {
        for (text, what) in [
            ("a,\"b", "never closed"),
            ("a,b\"c\n", "does not start with one"),
            ("\"a\"b,c\n", "after a closing quote"),
            ("a\rb\n", "carriage return"),
            ("a\r", "carriage return"),
        ] {
            assert!(
                all(text.as_bytes()).is_err_and(|found| found.contains(what)),
                "{text:?}"
            );
        }
    }

    proptest! {
        /// However the bytes arrive, the records are the same.
        #[test]
        fn more_is_asked_for_until_the_record_is_certain(text in "[a,\"\r\n]{0,24}") {
            let text = text.as_bytes();
            let mut fields = Fields::default();
            let whole = scan(text, true, &mut fields);
            for end in 0..text.len() {
                let part = scan(&text[..end], false, &mut fields);
                if part != Scan::More {
                    prop_assert_eq!(&part, &whole, "{} bytes", end);
                }
            }
        }

        #[test]
        fn what_the_csv_crate_writes_is_read(records in prop::collection::vec(
            prop::collection::vec("[a,\" \r\n]{0,6}", 2..4), 1..5)) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for record in &records {
                writer.write_record(record).unwrap();
            }
            let bytes = writer.into_inner().unwrap();
            let read: Vec<_> = all(&bytes).unwrap().into_iter().map(|(_, record)| record).collect();
            prop_assert_eq!(read, records);
        }
    }
}
