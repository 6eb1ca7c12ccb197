//! What is wrong with a file, and what is lost with it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::error::Error;
use crate::model::{Minute, SeriesKey};

/// Bytes that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the store.
    pub file: String,
    /// The first byte concerned, or where the part it belongs to starts.
    pub offset: u64,
    /// What is wrong there.
    pub what: Cow<'static, str>,
    /// The series that lost cells, where it is known and it is one.
    pub key: Option<SeriesKey>,
    /// The minutes in which cells are lost; none where nothing is, because
    /// there is a second copy or the part can be rebuilt.
    pub minutes: Option<Range<u32>>,
}

impl Damage {
    /// Damage that costs no cells.
    pub fn harmless(file: &str, offset: u64, what: impl Into<Cow<'static, str>>) -> Self {
        Damage {
            file: file.to_owned(),
            offset,
            what: what.into(),
            key: None,
            minutes: None,
        }
    }

    /// With the minutes lost, of one series or of an unknown number of them.
    #[must_use]
    pub fn losing(mut self, key: Option<SeriesKey>, minutes: Range<u32>) -> Self {
        self.key = key;
        self.minutes = Some(minutes);
        self
    }

    /// The error to answer with where the damaged bytes are needed.
    #[must_use]
    pub fn to_error(&self) -> Error {
        Error::corruption(format!("{}{}", self.what, Lost(self)))
            .in_file(&self.file)
            .at(self.offset)
            .help("run `hotstove verify` to see all damage, `hotstove repair` to save all else")
    }
}

/// The part of the message that says what is lost.
struct Lost<'a>(&'a Damage);

impl fmt::Display for Lost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(minutes) = &self.0.minutes else {
            return Ok(());
        };
        match &self.0.key {
            Some(key) => write!(f, "; lost are cells of {key}")?,
            None => f.write_str("; lost are cells of unknown series")?,
        }
        let [from, to] = [minutes.start, minutes.end].map(|minute| Minute::clamped(minute.into()));
        write!(f, " from {from} to {to}")
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage {
            file, offset, what, ..
        } = self;
        write!(f, "{file} at byte {offset}: {what}{}", Lost(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    #[test]
    fn damage_says_what_is_lost() {
        let damage = Damage::harmless("a.seg", 64, "the dictionary is damaged");
        assert_eq!(
            damage.to_string(),
            "a.seg at byte 64: the dictionary is damaged"
        );
        let name = |text| Name::new(text).unwrap();
        let key = SeriesKey {
            release: name("r"),
            branch: name("b"),
            metric: name("m"),
        };
        let damage = damage.losing(Some(key), 0..1_440);
        let text = "lost are cells of r · b · m from 1970-01-01T00:00Z to 1970-01-02T00:00Z";
        assert!(damage.to_string().ends_with(text));
        assert!(damage.to_error().to_string().contains(text));
        assert_eq!(damage.to_error().offset(), Some(64));
    }
}
