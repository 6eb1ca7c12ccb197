//! Writing a segment, front to back through one bounded buffer.

use std::collections::BTreeSet;
use std::fmt;

use crate::codec::{self, Column, Family, Page};
use crate::error::{Error, ErrorKind, Result};
use crate::format::block::{BlockHeader, COLD_META_BYTES_MAX};
use crate::format::block_prefix::Place;
use crate::format::checksum::bound_crc;
use crate::format::dictionary::{Dictionary, Sort};
use crate::format::dictionary_copy::EncodedDictionary;
use crate::format::directory::{ENTRY_BYTES, Entry};
use crate::format::header::{Header, Identity, segment_file_name};
use crate::format::new_block::{NewBlock, NewPage};
use crate::format::segment_meta::SegmentMeta;
use crate::format::trailer::{Trailer, file_hash};
use crate::limits::{DAYS_PER_BUCKET, MINUTES_PER_DAY, PAGE_BYTES_MAX, SEGMENT_SERIES_MAX};
use crate::model::{Kind, Name, SeriesKey};
use crate::storage::disk::{Disk, Open};

use super::Block;
use super::output::Output;

/// Writes one segment under a temporary name. Dropped before
/// [`SegmentWriter::finish`], it leaves nothing behind.
pub struct SegmentWriter<'a> {
    disk: &'a dyn Disk,
    temporary: String,
    identity: Identity,
    dictionary: Dictionary,
    encoded_dictionary: EncodedDictionary,
    output: Output,
    /// The directory so far, 64 bytes a series.
    directory: Vec<u8>,
    last_key: Option<(u32, u32, u32)>,
    first_minute: u32,
    last_minute: u32,
    cells: u64,
    /// Whether the file has its final name.
    finished: bool,
    scratch: Scratch,
}

/// Buffers kept from block to block.
#[derive(Default)]
struct Scratch {
    payloads: Vec<u8>,
    block: Vec<u8>,
}

impl fmt::Debug for SegmentWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the buffers.
        f.debug_tuple("SegmentWriter")
            .field(&self.temporary)
            .finish()
    }
}

impl<'a> SegmentWriter<'a> {
    /// Starts segment `id` with the dictionary of `keys`, which are all series
    /// to come; a series may be left out later. `sequences` are the first and
    /// the last commit in it.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] for more names than a segment can hold, else what
    /// the disk says; there is no file then.
    pub fn create(
        disk: &'a dyn Disk,
        store_id: u64,
        id: u64,
        bucket: u32,
        sequences: (u64, u64),
        keys: &mut dyn Iterator<Item = &SeriesKey>,
    ) -> Result<Self> {
        let dictionary = dictionary_of(keys)
            .ok_or_else(|| Error::new(ErrorKind::Limit, "more names than one segment can hold"))?;
        let encoded_dictionary = EncodedDictionary::new(&dictionary);
        let temporary = format!("{}.tmp", segment_file_name(id));
        let created = disk.open(&temporary, Open::Create).or_else(|error| {
            if error.kind() != std::io::ErrorKind::AlreadyExists {
                return Err(error);
            }
            // Left by a process that died: nobody else writes this store.
            disk.remove(&temporary)?;
            disk.open(&temporary, Open::Create)
        });
        let file =
            created.map_err(|error| Error::io("creating a segment", error).in_file(&temporary))?;
        let mut writer = SegmentWriter {
            disk,
            output: Output::new(file, &temporary),
            temporary,
            identity: Identity {
                bucket,
                store_id,
                segment_id: id,
                first_sequence: sequences.0,
                last_sequence: sequences.1,
            },
            dictionary,
            encoded_dictionary,
            directory: Vec::new(),
            last_key: None,
            first_minute: u32::MAX,
            last_minute: 0,
            cells: 0,
            finished: false,
            scratch: Scratch::default(),
        };
        let header = Header {
            identity: writer.identity,
            dictionary_bytes: writer.encoded_dictionary.len() as u32,
        };
        writer.output.write(&header.encode())?;
        writer.write_dictionary()?;
        Ok(writer)
    }

    /// Adds a series. Keys ascend strictly; so do the days of `pages`, all in
    /// the segment's bucket and none without a cell. Pages of days before
    /// `cold_before_day` are encoded densely where that pays.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where that does not hold and
    /// [`ErrorKind::Limit`] for a sum beyond 128 bits: the series is not in the
    /// segment then. Else what the disk says: the segment can not be finished.
    pub fn push(
        &mut self,
        key: &SeriesKey,
        kind: Kind,
        pages: &[(u32, Page)],
        cold_before_day: u32,
    ) -> Result<()> {
        let indices = self.next_key(key)?;
        let (first_minute, last_minute) = self.check_pages(kind, pages)?;
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.payloads.clear();
        let cold_count = pages.partition_point(|(day, _)| *day < cold_before_day);
        let cold = encode_cold(&pages[..cold_count]);
        let (meta, dense) = cold.map_or((Vec::new(), Vec::new()), |cold| (cold.meta, cold.pages));
        let mut ends = Vec::with_capacity(pages.len());
        for (index, (_, page)) in pages.iter().enumerate() {
            match dense.get(index) {
                Some(payload) => scratch.payloads.extend_from_slice(payload),
                None => codec::encode(page, &mut scratch.payloads),
            }
            ends.push(scratch.payloads.len());
        }
        let mut start = 0;
        let new_pages: Vec<NewPage<'_>> = pages
            .iter()
            .zip(&ends)
            .map(|((day, page), end)| {
                let payload = &scratch.payloads[start..*end];
                start = *end;
                let summary = codec::summarize(page);
                NewPage {
                    day: day % DAYS_PER_BUCKET,
                    payload,
                    cells: summary.cells,
                    sum: summary.sum,
                    min: summary.min,
                    max: summary.max,
                }
            })
            .collect();
        let block = NewBlock {
            key: indices,
            kind,
            first_minute,
            last_minute,
            cold_meta: &meta,
            pages: &new_pages,
        };
        let pushed = self.push_block(&block, &mut scratch.block);
        drop(new_pages);
        self.scratch = scratch;
        pushed
    }

    /// Adds a series as it is in another segment of the same bucket, pages
    /// unchanged but for the checksums, which are checked and made anew for the
    /// new place.
    ///
    /// # Errors
    /// [`ErrorKind::Corruption`] where a page of the source is damaged, else as
    /// [`SegmentWriter::push`].
    pub fn push_raw(&mut self, key: &SeriesKey, source: &Block<'_>) -> Result<()> {
        let indices = self.next_key(key)?;
        if source.bucket() != self.identity.bucket {
            return Err(Error::invalid("a block of another bucket"));
        }
        let mut pages = Vec::with_capacity(source.page_count());
        for index in 0..source.page_count() {
            pages.push(source.new_page(index)?);
        }
        let prefix = source.prefix();
        let block = NewBlock {
            key: indices,
            kind: prefix.kind,
            first_minute: prefix.first_minute,
            last_minute: prefix.last_minute,
            cold_meta: source.cold_meta(),
            pages: &pages,
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        let pushed = self.push_block(&block, &mut scratch.block);
        self.scratch = scratch;
        pushed
    }

    /// Completes the file, syncs it and gives it its name. That name is durable
    /// once the directory is synced, which is left to the caller.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a segment without a series, else what
    /// the disk says; the file is removed then.
    pub fn finish(mut self) -> Result<SegmentMeta> {
        let series = (self.directory.len() / ENTRY_BYTES) as u32;
        if series == 0 {
            return Err(Error::invalid("a segment without a series"));
        }
        let id = self.identity.segment_id;
        let mut trailer = Trailer {
            identity: self.identity,
            dictionary_bytes: self.encoded_dictionary.len() as u32,
            series,
            blocks_end: self.output.position(),
            directory_crc: 0,
            first_minute: self.first_minute,
            last_minute: self.last_minute,
            cells: self.cells,
            hash: 0,
        };
        let layout = trailer
            .layout()
            .ok_or_else(|| Error::new(ErrorKind::Limit, "a segment beyond 64 bits"))?;
        trailer.directory_crc = bound_crc(id, layout.directory, &self.directory);
        let padding = (layout.directory - layout.blocks_end) as usize;
        self.output.write(&[0; ENTRY_BYTES][..padding])?;
        let directory = std::mem::take(&mut self.directory);
        self.output.write(&directory)?;
        self.write_dictionary()?;
        trailer.hash = self.output.hash();
        let trailer_bytes = trailer.encode(&layout);
        self.output.write(&trailer_bytes)?;
        self.output.sync()?;
        self.disk
            .rename(&self.temporary, &segment_file_name(id))
            .map_err(|error| Error::io("renaming a segment", error).in_file(&self.temporary))?;
        self.finished = true;
        Ok(SegmentMeta {
            id,
            bucket: self.identity.bucket,
            bytes: layout.end,
            hash: file_hash(&trailer_bytes),
            first_sequence: self.identity.first_sequence,
            last_sequence: self.identity.last_sequence,
            first_minute: self.first_minute,
            last_minute: self.last_minute,
            cells: self.cells,
            series,
        })
    }

    /// The key by its names' indices, which must come after the last one's.
    fn next_key(&self, key: &SeriesKey) -> Result<(u32, u32, u32)> {
        let find = |sort, name: &Name| {
            self.dictionary.find(sort, name).ok_or_else(|| {
                Error::invalid(format!("{name} is not among the names of this segment"))
            })
        };
        let indices = (
            find(Sort::Release, &key.release)?,
            find(Sort::Branch, &key.branch)?,
            find(Sort::Metric, &key.metric)?,
        );
        if self.last_key >= Some(indices) {
            return Err(Error::invalid(format!("{key} is out of order")));
        }
        if self.directory.len() / ENTRY_BYTES >= SEGMENT_SERIES_MAX {
            return Err(Error::new(
                ErrorKind::Limit,
                "more series than one segment can hold",
            ));
        }
        Ok(indices)
    }

    /// The first and the last minute of `pages` in the bucket, if these are
    /// fit for a block.
    fn check_pages(&self, kind: Kind, pages: &[(u32, Page)]) -> Result<(u16, u16)> {
        let first_day = self.identity.bucket * DAYS_PER_BUCKET;
        let days = first_day..first_day + DAYS_PER_BUCKET;
        let fits = |(day, page): &(u32, Page)| {
            let family = match page.column {
                Column::Ints(_) | Column::Wides(_) => Family::Integer,
                Column::Floats(_) => Family::Float,
            };
            days.contains(day)
                && family == family_of(kind)
                && !page.presence.is_empty()
                && page.presence.count() == page.column.len()
        };
        if !pages.is_sorted_by(|a, b| a.0 < b.0) || !pages.iter().all(fits) {
            return Err(Error::invalid("pages that do not fit the segment"));
        }
        let minute =
            |day: u32, minute: u16| (day - first_day) * MINUTES_PER_DAY + u32::from(minute);
        let ends = pages.first().zip(pages.last()).and_then(|(first, last)| {
            let from = minute(first.0, first.1.presence.first()?);
            let to = minute(last.0, last.1.presence.last()?);
            u16::try_from(from).ok().zip(u16::try_from(to).ok())
        });
        ends.ok_or_else(|| Error::invalid("a series without a cell"))
    }

    fn push_block(&mut self, block: &NewBlock<'_>, scratch: &mut Vec<u8>) -> Result<()> {
        let place = Place {
            segment_id: self.identity.segment_id,
            offset: self.output.position(),
        };
        block.encode(place, scratch);
        // What is written reads back, and gives the directory its entry.
        let entry: Entry = BlockHeader::decode(scratch, place)
            .and_then(|header| header.entry(place, self.identity.bucket))
            .map_err(|corrupt| Error::new(ErrorKind::Limit, corrupt.what))?;
        self.output.write(scratch)?;
        self.directory.extend_from_slice(&entry.encode());
        self.last_key = Some(block.key);
        self.first_minute = self.first_minute.min(entry.first_minute);
        self.last_minute = self.last_minute.max(entry.last_minute);
        self.cells += u64::from(entry.cells);
        Ok(())
    }

    fn write_dictionary(&mut self) -> Result<()> {
        let (id, offset) = (self.identity.segment_id, self.output.position());
        let copy = self.encoded_dictionary.at(id, offset);
        self.output.write(&copy)
    }
}

impl Drop for SegmentWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // Where even that fails, the file is found and reported at an open.
            let _ = self.disk.remove(&self.temporary);
        }
    }
}

/// The family of a kind's values.
pub(super) const fn family_of(kind: Kind) -> Family {
    match kind {
        Kind::Counter | Kind::Sum { .. } => Family::Integer,
        Kind::Gauge => Family::Float,
    }
}

fn dictionary_of(keys: &mut dyn Iterator<Item = &SeriesKey>) -> Option<Dictionary> {
    let mut sorts: [BTreeSet<&Name>; 3] = Default::default();
    for key in keys {
        for (names, name) in sorts
            .iter_mut()
            .zip([&key.release, &key.branch, &key.metric])
        {
            names.insert(name);
        }
    }
    let [releases, branches, metrics] = sorts.map(|names| names.into_iter().collect::<Vec<_>>());
    Dictionary::new([&releases, &branches, &metrics])
}

/// The pages encoded together, where that is possible, pays, and fits a block.
fn encode_cold(pages: &[(u32, Page)]) -> Option<codec::ColdBlock> {
    if pages.is_empty() {
        return None;
    }
    let pages: Vec<&Page> = pages.iter().map(|(_, page)| page).collect();
    codec::encode_cold(&pages).filter(|cold| {
        cold.pages.len() == pages.len()
            && cold.meta.len() <= COLD_META_BYTES_MAX
            && cold.pages.iter().all(|page| page.len() <= PAGE_BYTES_MAX)
    })
}
