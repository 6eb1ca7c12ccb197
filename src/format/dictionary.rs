//! The names of a segment: its releases, branches and metrics, each sort
//! distinct and sorted, so that a series is three small numbers everywhere else.

use crate::codec::cursor::{Corrupt, Cursor, Result};
use crate::codec::put;
use crate::format::dictionary_copy::DICTIONARY_FRAME_BYTES;
use crate::limits::{DICTIONARY_BYTES_MAX, DICTIONARY_NAMES_MAX, NAME_BYTES_MAX};
use crate::model::Name;

/// The three sorts of names, in the order of a series key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Releases and experiments.
    Release = 0,
    /// Their branches.
    Branch = 1,
    /// Metrics.
    Metric = 2,
}

/// The names of a segment, by sort and index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dictionary {
    text: String,
    /// Where each name ends in the text, all sorts in one run.
    ends: Vec<u32>,
    /// The first name of each sort in that run, and the end of the last.
    starts: [usize; 4],
}

impl Dictionary {
    /// A dictionary of names that are sorted and distinct in each sort; `None`
    /// beyond the limits.
    #[must_use]
    pub fn of<'a>(sorts: [impl Iterator<Item = &'a str> + Clone; 3]) -> Option<Self> {
        plain_bytes(&sorts)?;
        let mut dictionary = Dictionary {
            text: String::with_capacity(sorts.iter().cloned().flatten().map(str::len).sum()),
            ends: Vec::with_capacity(sorts.iter().cloned().flatten().count()),
            starts: [0; 4],
        };
        for (sort, names) in sorts.into_iter().enumerate() {
            for name in names {
                debug_assert!(
                    dictionary.ends.len() == dictionary.starts[sort]
                        || dictionary.nth(dictionary.ends.len() - 1) < name
                );
                dictionary.text.push_str(name);
                dictionary.ends.push(dictionary.text.len() as u32);
            }
            dictionary.starts[sort + 1] = dictionary.ends.len();
        }
        Some(dictionary)
    }

    /// Names of a sort.
    #[must_use]
    pub fn count(&self, sort: Sort) -> usize {
        self.starts[sort as usize + 1] - self.starts[sort as usize]
    }

    /// A name by its index; empty beyond the last.
    #[must_use]
    pub fn name(&self, sort: Sort, index: u32) -> &str {
        let run = self.starts[sort as usize]..self.starts[sort as usize + 1];
        run.start
            .checked_add(index as usize)
            .filter(|at| run.contains(at))
            .map_or("", |at| self.nth(at))
    }

    fn nth(&self, at: usize) -> &str {
        let start = match at {
            0 => 0,
            _ => self.ends.get(at - 1).copied().unwrap_or(0),
        };
        let end = self.ends.get(at).copied().unwrap_or(0);
        self.text
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// All names of a sort, in order.
    pub fn names(&self, sort: Sort) -> impl ExactSizeIterator<Item = &str> + Clone {
        (self.starts[sort as usize]..self.starts[sort as usize + 1]).map(|at| self.nth(at))
    }

    /// The index of a name.
    #[must_use]
    pub fn find(&self, sort: Sort, name: &str) -> Option<u32> {
        let start = self.starts[sort as usize];
        let (mut low, mut high) = (start, self.starts[sort as usize + 1]);
        while low < high {
            let middle = low.midpoint(high);
            match self.nth(middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return u32::try_from(middle - start).ok(),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The inverse of [`plain`].
    ///
    /// # Errors
    /// Where it is not what [`plain`] gives.
    pub fn from_plain(bytes: &[u8]) -> Result<Self> {
        Self::from_owned(bytes.to_vec())
    }

    /// As [`Dictionary::from_plain`], in the memory of those bytes.
    ///
    /// # Errors
    /// As [`Dictionary::from_plain`].
    pub fn from_owned(mut bytes: Vec<u8>) -> Result<Self> {
        let mut cursor = Cursor::new(&bytes);
        let mut starts = [0; 4];
        for sort in 0..3 {
            starts[sort + 1] = starts[sort] + cursor.length(DICTIONARY_NAMES_MAX);
        }
        // A name costs a byte of length and one of text at least.
        cursor.require(
            starts[3] <= cursor.remaining() / 2,
            "more names than there is room for",
        );
        cursor.check()?;
        let mut ends = Vec::with_capacity(starts[3]);
        let mut end = 0_u32;
        for _ in 0..starts[3] {
            end = end.saturating_add(cursor.length(NAME_BYTES_MAX) as u32);
            ends.push(end);
        }
        let start = cursor.position();
        cursor.take(end as usize);
        cursor.finish()?;
        bytes.drain(..start);
        let text = String::from_utf8(bytes)
            .map_err(|_| Corrupt::new(start, "names that are not UTF-8"))?;
        let dictionary = Dictionary { text, ends, starts };
        for sort in [Sort::Release, Sort::Branch, Sort::Metric] {
            let mut before = "";
            for name in dictionary.names(sort) {
                // The empty name sorts first, so that it is refused here too.
                if name <= before || Name::check(name).is_err() {
                    return Err(Corrupt::new(start, "names that are none, or not in order"));
                }
                before = name;
            }
        }
        Ok(dictionary)
    }
}

/// The bytes of a dictionary of names that are sorted and distinct in each sort:
/// counts, lengths, then all names back to back. `None` beyond the limits.
#[must_use]
pub fn plain<'a>(sorts: &[impl Iterator<Item = &'a str> + Clone; 3]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(plain_bytes(sorts)?);
    for names in sorts {
        put::varint(&mut out, names.clone().count() as u64);
    }
    for name in sorts.iter().cloned().flatten() {
        put::varint(&mut out, name.len() as u64);
    }
    for name in sorts.iter().cloned().flatten() {
        out.extend_from_slice(name.as_bytes());
    }
    Some(out)
}

/// How many they are; `None` beyond the limits.
fn plain_bytes<'a>(sorts: &[impl Iterator<Item = &'a str> + Clone; 3]) -> Option<usize> {
    let mut bytes = 0_usize;
    for names in sorts {
        let mut count = 0;
        for name in names.clone() {
            count += 1;
            bytes = bytes.checked_add(put::varint_bytes(name.len() as u64) + name.len())?;
        }
        bytes += put::varint_bytes(count);
        if count > DICTIONARY_NAMES_MAX as u64 {
            return None;
        }
    }
    (bytes <= DICTIONARY_BYTES_MAX - DICTIONARY_FRAME_BYTES).then_some(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    pub fn dictionary(sorts: [&BTreeSet<Name>; 3]) -> Dictionary {
        Dictionary::of(texts(&sorts)).unwrap()
    }

    fn texts<'a>(sorts: &'a [&BTreeSet<Name>; 3]) -> [impl Iterator<Item = &'a str> + Clone; 3] {
        sorts.map(|names| names.iter().map(Name::as_str))
    }

    pub fn plain_of(sorts: [&BTreeSet<Name>; 3]) -> Vec<u8> {
        plain(&texts(&sorts)).unwrap()
    }

    pub fn names(texts: &[&str]) -> BTreeSet<Name> {
        texts.iter().map(|text| Name::new(text).unwrap()).collect()
    }

    fn small_sorts() -> [BTreeSet<Name>; 3] {
        [
            names(&["firefox/release/57.0", "firefox/nightly/59.0a1", "é"]),
            names(&["control", "treatment"]),
            names(&["crashes"]),
        ]
    }

    pub fn small() -> Dictionary {
        dictionary(small_sorts().each_ref())
    }

    pub fn small_plain() -> Vec<u8> {
        plain_of(small_sorts().each_ref())
    }

    #[test]
    fn names_are_found_by_text_and_index() {
        let dictionary = small();
        assert_eq!(dictionary.count(Sort::Release), 3);
        assert_eq!(dictionary.name(Sort::Release, 2), "é");
        assert_eq!(
            dictionary.name(Sort::Release, 3),
            "",
            "not the first branch"
        );
        assert_eq!(dictionary.name(Sort::Metric, u32::MAX), "");
        assert_eq!(dictionary.find(Sort::Branch, "treatment"), Some(1));
        assert_eq!(dictionary.find(Sort::Branch, "crashes"), None);
        assert_eq!(
            dictionary.names(Sort::Metric).collect::<Vec<_>>(),
            ["crashes"]
        );
    }

    proptest! {
        #[test]
        fn round_trip(
            releases in prop::collection::btree_set("[a-zé0-9/._-]{1,40}", 0..20),
            branches in prop::collection::btree_set("[^\\pC*]{1,40}", 0..20),
            metrics in prop::collection::btree_set("[a-z]{1,40}", 0..20),
        ) {
            let sorts = [&releases, &branches, &metrics].map(|texts| {
                texts.iter().map(|text| Name::new(text).unwrap()).collect::<BTreeSet<_>>()
            });
            let sorts = [&sorts[0], &sorts[1], &sorts[2]];
            let dictionary = dictionary(sorts);
            let decoded = Dictionary::from_plain(&plain_of(sorts)).unwrap();
            for (index, name) in sorts[1].iter().enumerate() {
                prop_assert_eq!(decoded.find(Sort::Branch, name), Some(index as u32));
                prop_assert_eq!(decoded.name(Sort::Branch, index as u32), name.as_str());
            }
            prop_assert_eq!(decoded, dictionary);
        }

        #[test]
        fn any_plain_bytes_are_handled(bytes: Vec<u8>) {
            let _ = Dictionary::from_plain(&bytes);
        }
    }
}
