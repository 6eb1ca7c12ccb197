//! The series of a segment: names and entries, checked once, or put together
//! again from the blocks.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::format::dictionary::{Dictionary, Sort};
use crate::format::dictionary_copy::decode_copy;
use crate::format::directory::{Directory, Entry};
use crate::format::header::HEADER_BYTES;
use crate::limits::MINUTES_PER_BUCKET;
use crate::model::{Name, SeriesKey};
use crate::storage::damage::Damage;

use super::reader::Segment;
use super::scan::{Found, scan};

/// Names and entries of the series of a segment.
pub struct SeriesIndex {
    dictionary: Dictionary,
    directory: Directory,
    damage: Vec<Damage>,
}

impl fmt::Debug for SeriesIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesIndex")
            .field("len", &self.len())
            .field("damage", &self.damage)
            .finish_non_exhaustive()
    }
}

impl SeriesIndex {
    /// Series in the segment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.directory.len()
    }

    /// Names of a sort, in order: an entry's indices count from the first.
    pub fn names(&self, sort: Sort) -> impl ExactSizeIterator<Item = &str> {
        self.dictionary.names(sort)
    }

    /// A name of a sort, by its index.
    #[must_use]
    pub fn name(&self, sort: Sort, index: u32) -> &str {
        self.dictionary.name(sort, index)
    }

    /// The index of a name of a sort.
    #[must_use]
    pub fn find_name(&self, sort: Sort, name: &str) -> Option<u32> {
        self.dictionary.find(sort, name)
    }

    /// Release, branch and metric of the series at `index`.
    #[must_use]
    #[cfg(any(test, feature = "internals"))]
    pub fn key(&self, index: usize) -> Option<(&str, &str, &str)> {
        self.entry(index).map(|entry| self.key_of(&entry))
    }

    /// Release, branch and metric of an entry.
    #[must_use]
    #[cfg(any(test, feature = "internals"))]
    pub fn key_of(&self, entry: &Entry) -> (&str, &str, &str) {
        (
            self.name(Sort::Release, entry.release),
            self.name(Sort::Branch, entry.branch),
            self.name(Sort::Metric, entry.metric),
        )
    }

    /// The key of an entry, to keep.
    #[must_use]
    pub fn series_key(&self, entry: &Entry) -> Option<SeriesKey> {
        key_in(&self.dictionary, entry.key())
    }

    /// The entry of the series at `index`.
    #[must_use]
    pub fn entry(&self, index: usize) -> Option<Entry> {
        self.directory.get(index)
    }

    /// Release, branch and metric of the series at `index`, by the indices of
    /// their names.
    #[must_use]
    pub fn key_indices(&self, index: usize) -> Option<(u32, u32, u32)> {
        self.directory.key(index)
    }

    /// The first series from which on keys, as by
    /// [`SeriesIndex::key_indices`], are not before `key`.
    #[must_use]
    pub fn position(&self, key: (u32, u32, u32)) -> usize {
        self.directory.partition(|other| other < key)
    }

    /// The entries of a range of series, in order.
    pub fn entries(&self, range: Range<usize>) -> impl Iterator<Item = Entry> {
        self.directory.range(range)
    }

    /// The series of that key.
    #[must_use]
    pub fn find(&self, release: &str, branch: &str, metric: &str) -> Option<usize> {
        let key = (
            self.find_name(Sort::Release, release)?,
            self.find_name(Sort::Branch, branch)?,
            self.find_name(Sort::Metric, metric)?,
        );
        let index = self.directory.partition(|other| other < key);
        (self.entry(index)?.key() == key).then_some(index)
    }

    /// What was wrong with dictionary and directory.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    pub(super) fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// Reads dictionary and directory.
    ///
    /// # Errors
    /// Where no copy of the dictionary can be found.
    pub(super) fn load(segment: &Segment) -> Result<Self, Damage> {
        let mut damage = Vec::new();
        let dictionary = load_dictionary(segment, &mut damage);
        let directory = dictionary
            .as_ref()
            .and_then(|dictionary| load_directory(segment, dictionary, &mut damage));
        match (dictionary, directory) {
            (Some(dictionary), Some(directory)) => Ok(SeriesIndex {
                dictionary,
                directory,
                damage,
            }),
            (dictionary, _) => rebuild(segment, dictionary, damage),
        }
    }
}

fn key_in(dictionary: &Dictionary, key: (u32, u32, u32)) -> Option<SeriesKey> {
    let name = |sort, index| Name::new(dictionary.name(sort, index)).ok();
    Some(SeriesKey {
        release: name(Sort::Release, key.0)?,
        branch: name(Sort::Branch, key.1)?,
        metric: name(Sort::Metric, key.2)?,
    })
}

fn counts(dictionary: &Dictionary) -> [usize; 3] {
    [Sort::Release, Sort::Branch, Sort::Metric].map(|sort| dictionary.count(sort))
}

/// The first copy of the dictionary that is sound, of those whose place is known.
fn load_dictionary(segment: &Segment, damage: &mut Vec<Damage>) -> Option<Dictionary> {
    let second = segment.trailer.map(|(_, layout)| layout.second_dictionary);
    for offset in std::iter::once(HEADER_BYTES as u64).chain(second) {
        match read_dictionary(segment, offset) {
            Ok(dictionary) => return Some(dictionary),
            Err(bad) => damage.push(bad),
        }
    }
    None
}

/// The copy of the dictionary at `offset`.
pub(super) fn read_dictionary(segment: &Segment, offset: u64) -> Result<Dictionary, Damage> {
    let bytes = segment.slice(offset, segment.bytes.len() as u64);
    let bad = |at: usize, what| Damage::harmless(&segment.name, offset + at as u64, what);
    let (dictionary, length) = decode_copy(bytes, segment.meta.id, offset)
        .map_err(|corrupt| bad(corrupt.at, corrupt.what))?;
    let expected = segment
        .dictionary_bytes
        .map_or(length, |bytes| bytes as usize);
    if length != expected {
        return Err(bad(
            12,
            "the dictionary is not as long as header or trailer say",
        ));
    }
    Ok(dictionary)
}

fn load_directory(
    segment: &Segment,
    dictionary: &Dictionary,
    damage: &mut Vec<Damage>,
) -> Option<Directory> {
    let (trailer, layout) = segment.trailer.as_ref()?;
    let start = usize::try_from(layout.directory).ok()?;
    let end = usize::try_from(layout.second_dictionary).ok()?;
    let mut bad = |at: u64, what| {
        damage.push(Damage::harmless(&segment.name, layout.directory + at, what));
        None
    };
    let bytes = segment.slice(layout.directory, layout.second_dictionary);
    if bytes.is_empty() || !segment.matches(trailer.directory_crc, layout.directory, bytes) {
        return bad(0, "the directory does not match its checksum");
    }
    let blocks = layout.blocks..layout.blocks_end;
    // Read in place: a slice of the mapping, no copy of it.
    let bytes = segment.bytes.slice(start..end);
    match Directory::new(bytes, segment.meta.bucket, counts(dictionary), blocks, true) {
        Ok(directory) => Some(directory),
        Err(corrupt) => bad(corrupt.at as u64, corrupt.what),
    }
}

/// Puts the directory together from the blocks, and the dictionary from
/// whatever copy comes up if it is not known.
fn rebuild(
    segment: &Segment,
    dictionary: Option<Dictionary>,
    mut damage: Vec<Damage>,
) -> Result<SeriesIndex, Damage> {
    let length = segment.bytes.len() as u64;
    let (start, end) = match segment.trailer {
        Some((_, layout)) => (layout.blocks, layout.blocks_end.min(length)),
        None => {
            let passed = segment.dictionary_bytes.unwrap_or(0);
            (length.min(HEADER_BYTES as u64 + u64::from(passed)), length)
        }
    };
    let (id, bucket) = (segment.meta.id, segment.meta.bucket);
    // There are two copies of the dictionary; no more are looked at.
    let wanted = if dictionary.is_some() { 0 } else { 2 };
    let found = scan(segment.slice(start, end), id, start, bucket, wanted);
    let mut copies = found.iter().filter_map(|item| match item {
        Found::Dictionary(copy) => Some(Dictionary::clone(copy)),
        _ => None,
    });
    let dictionary = dictionary.or_else(|| copies.next()).ok_or_else(|| {
        segment.losing_all(
            HEADER_BYTES as u64,
            "no copy of the dictionary is left",
            None,
        )
    })?;
    let entries = entries_of(segment, &dictionary, found, &mut damage);
    let bytes: Bytes = entries
        .iter()
        .flat_map(Entry::encode)
        .collect::<Vec<u8>>()
        .into();
    let directory = Directory::new(bytes, bucket, counts(&dictionary), start..end, false)
        .map_err(|corrupt| segment.losing_all(start, corrupt.what, None))?;
    Ok(SeriesIndex {
        dictionary,
        directory,
        damage,
    })
}

/// The entries found, in order, and what is lost between them.
fn entries_of(
    segment: &Segment,
    dictionary: &Dictionary,
    found: Vec<Found>,
    damage: &mut Vec<Damage>,
) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut known = 0;
    let last_block = found
        .iter()
        .rposition(|item| matches!(item, Found::Block(_) | Found::Lost(..)));
    for (index, item) in found.into_iter().enumerate() {
        match item {
            Found::Block(entry) => {
                let fits = |before: &Entry| before.key() < entry.key();
                known += 1;
                if key_in(dictionary, entry.key()).is_some() && entries.last().is_none_or(fits) {
                    entries.push(entry);
                } else {
                    let what = "a block that does not belong here";
                    damage.push(segment.losing_all(entry.block_offset, what, None));
                }
            }
            Found::Lost(offset, prefix) => {
                known += 1;
                let first = segment.meta.bucket * MINUTES_PER_BUCKET;
                let minutes = first + u32::from(prefix.first_minute)
                    ..first + u32::from(prefix.last_minute) + 1;
                let what = "the block's header does not match its checksum";
                let lost = Damage::harmless(&segment.name, offset, what);
                damage.push(lost.losing(key_in(dictionary, prefix.key), minutes));
            }
            // Where nothing says how far the dictionary goes, the front is it;
            // nor, without a trailer, where the blocks end: what comes after
            // the last is taken for the sections behind. A block lost there is
            // missing from the count.
            Found::Gap(gap)
                if segment.trailer.is_some()
                    || last_block > Some(index) && gap.start > HEADER_BYTES as u64 =>
            {
                let what = format!("{} bytes that are no block", gap.end - gap.start);
                damage.push(segment.losing_all(gap.start, what, None));
            }
            Found::Gap(_) | Found::Dictionary(_) => {}
        }
    }
    let missing = u64::from(segment.meta.series).saturating_sub(known);
    if missing > 0 {
        let end = entries.last().map_or(HEADER_BYTES as u64, Entry::block_end);
        let what = format!("the blocks of {missing} series are not to be found");
        damage.push(segment.losing_all(end, what, None));
    }
    entries
}
