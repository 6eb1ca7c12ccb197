//! Writing a segment, front to back through one bounded buffer.

use std::collections::BTreeSet;
use std::fmt;

use crate::codec::Page;
use crate::error::{Error, ErrorKind, Result};
use crate::format::block::BlockHeader;
use crate::format::block_prefix::Place;
use crate::format::dictionary::{Dictionary, Sort, plain};
use crate::format::dictionary_copy::EncodedDictionary;
use crate::format::directory::{ENTRY_BYTES, Entry};
use crate::format::header::{Header, Identity, segment_file_name};
use crate::format::new_block::NewBlock;
use crate::format::segment_meta::SegmentMeta;
use crate::format::trailer::{Trailer, file_hash};
use crate::limits::SEGMENT_SERIES_MAX;
use crate::model::{Kind, Name, SeriesKey};
use crate::storage::disk::{Disk, Open};

use super::Block;
use super::encoded::EncodedSeries;
use super::new_directory::NewDirectory;
use super::output::Output;

/// Writes one segment under a temporary name. Dropped before
/// [`SegmentWriter::finish`], it leaves nothing behind.
pub struct SegmentWriter<'a> {
    disk: &'a dyn Disk,
    temporary: String,
    identity: Identity,
    encoded_dictionary: EncodedDictionary,
    /// The names, where series come by these and not by their indices.
    dictionary: Option<Dictionary>,
    output: Output,
    directory: NewDirectory,
    last_key: Option<(u32, u32, u32)>,
    first_minute: u32,
    last_minute: u32,
    cells: u64,
    /// Whether the file has its final name.
    finished: bool,
    /// The last block's buffer.
    scratch: Vec<u8>,
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
        let identity = Identity {
            bucket,
            store_id,
            segment_id: id,
            first_sequence: sequences.0,
            last_sequence: sequences.1,
        };
        let names = names_of(keys);
        let sorts = names
            .each_ref()
            .map(|names| names.iter().map(|name| &***name));
        let mut writer = Self::with_names(disk, identity, plain(&sorts))?;
        writer.dictionary = Dictionary::of(sorts);
        Ok(writer)
    }

    /// As [`SegmentWriter::create`], of series that come by the indices of their
    /// names in a dictionary of these [`plain`] bytes; of none where the names are
    /// too many.
    ///
    /// # Errors
    /// As [`SegmentWriter::create`].
    pub fn with_names(
        disk: &'a dyn Disk,
        identity: Identity,
        plain: Option<Vec<u8>>,
    ) -> Result<Self> {
        let id = identity.segment_id;
        let plain = plain
            .ok_or_else(|| Error::new(ErrorKind::Limit, "more names than one segment can hold"))?;
        let encoded_dictionary = EncodedDictionary::new(plain);
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
            identity,
            encoded_dictionary,
            dictionary: None,
            directory: NewDirectory::default(),
            last_key: None,
            first_minute: u32::MAX,
            last_minute: 0,
            cells: 0,
            finished: false,
            scratch: Vec::new(),
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
        let indices = self.indices(key)?;
        self.check_next(indices)?;
        let series = EncodedSeries::new(self.identity.bucket, kind, pages, cold_before_day)?;
        self.push_encoded(indices, &series)
    }

    /// As [`SegmentWriter::push`], of a series encoded before, its names by
    /// their indices in the dictionary.
    ///
    /// # Errors
    /// As [`SegmentWriter::push`].
    pub fn push_encoded(&mut self, key: (u32, u32, u32), series: &EncodedSeries) -> Result<()> {
        self.check_next(key)?;
        let pages = series.pages();
        self.push_block(&NewBlock {
            key,
            kind: series.kind,
            first_minute: series.first_minute,
            last_minute: series.last_minute,
            cold_meta: &series.cold_meta,
            pages: &pages,
        })
    }

    /// Adds a series as it is in another segment of the same bucket, pages
    /// unchanged but for the checksums, which are checked and made anew for the
    /// new place.
    ///
    /// # Errors
    /// [`ErrorKind::Corruption`] where a page of the source is damaged, else as
    /// [`SegmentWriter::push`].
    pub fn push_raw(&mut self, key: (u32, u32, u32), source: &Block<'_>) -> Result<()> {
        self.check_next(key)?;
        if source.bucket() != self.identity.bucket {
            return Err(Error::invalid("a block of another bucket"));
        }
        let mut pages = Vec::with_capacity(source.page_count());
        for index in 0..source.page_count() {
            pages.push(source.new_page(index)?);
        }
        let prefix = source.prefix();
        self.push_block(&NewBlock {
            key,
            kind: prefix.kind,
            first_minute: prefix.first_minute,
            last_minute: prefix.last_minute,
            cold_meta: source.cold_meta(),
            pages: &pages,
        })
    }

    /// Completes the file, syncs it and gives it its name. That name is durable
    /// once the directory is synced, which is left to the caller.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a segment without a series, else what
    /// the disk says; the file is removed then.
    pub fn finish(mut self) -> Result<SegmentMeta> {
        let series = self.directory.series();
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
        let padding = (layout.directory - layout.blocks_end) as usize;
        self.output.write(&[0; ENTRY_BYTES][..padding])?;
        trailer.directory_crc = self
            .directory
            .write(&mut self.output, &self.identity, &layout)?;
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

    /// The key by its names' indices.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a name that is not in the dictionary.
    pub fn indices(&self, key: &SeriesKey) -> Result<(u32, u32, u32)> {
        let find = |sort, name: &Name| {
            let names = self.dictionary.as_ref();
            names
                .and_then(|names| names.find(sort, name))
                .ok_or_else(|| {
                    Error::invalid(format!("{name} is not among the names of this segment"))
                })
        };
        Ok((
            find(Sort::Release, &key.release)?,
            find(Sort::Branch, &key.branch)?,
            find(Sort::Metric, &key.metric)?,
        ))
    }

    /// Whether a key may come next.
    fn check_next(&self, key: (u32, u32, u32)) -> Result<()> {
        if self.last_key >= Some(key) {
            return Err(Error::invalid(format!(
                "the series of the names {key:?} is out of order"
            )));
        }
        if self.directory.series() as usize >= SEGMENT_SERIES_MAX {
            return Err(Error::new(
                ErrorKind::Limit,
                "more series than one segment can hold",
            ));
        }
        Ok(())
    }

    fn push_block(&mut self, block: &NewBlock<'_>) -> Result<()> {
        let place = Place {
            segment_id: self.identity.segment_id,
            offset: self.output.position(),
        };
        let mut bytes = std::mem::take(&mut self.scratch);
        block.encode(place, &mut bytes);
        // What is written reads back, and gives the directory its entry.
        let entry: Entry = BlockHeader::decode(&bytes, place)
            .and_then(|header| header.entry(place, self.identity.bucket))
            .map_err(|corrupt| Error::new(ErrorKind::Limit, corrupt.what))?;
        self.output.write(&bytes)?;
        self.scratch = bytes;
        self.directory.push(&entry);
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

fn names_of<'k>(keys: &mut dyn Iterator<Item = &'k SeriesKey>) -> [BTreeSet<&'k Name>; 3] {
    let mut sorts: [BTreeSet<&Name>; 3] = Default::default();
    for key in keys {
        for (names, name) in sorts
            .iter_mut()
            .zip([&key.release, &key.branch, &key.metric])
        {
            names.insert(name);
        }
    }
    sorts
}
