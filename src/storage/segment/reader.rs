//! Opening a segment: header, trailer and nothing else. What lies between is
//! checked when it is first used.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::format::block::BlockHeader;
use crate::format::block_prefix::Place;
use crate::format::checksum::bound_crc;
use crate::format::directory::Entry;
use crate::format::header::{Header, Identity, Refusal, VERSION, segment_file_name};
use crate::format::segment_meta::SegmentMeta;
use crate::format::trailer::{Layout, TRAILER_BYTES, Trailer, file_hash};
use crate::limits::{MINUTE_END, MINUTES_PER_BUCKET};
use crate::model::SeriesKey;
use crate::storage::damage::Damage;
use crate::storage::disk::{Disk, Open};

use super::Block;
use super::series::SeriesIndex;

/// An immutable file of sealed series.
pub struct Segment {
    pub(super) meta: SegmentMeta,
    pub(super) name: String,
    pub(super) bytes: Bytes,
    /// The trailer and where it says the sections are; none where it is bad.
    pub(super) trailer: Option<(Trailer, Layout)>,
    /// What header and trailer say of each copy of the dictionary.
    pub(super) dictionary_bytes: Option<u32>,
    /// What was found wrong by the open.
    pub(super) open_damage: Vec<Damage>,
    index: OnceLock<Result<SeriesIndex, Damage>>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the bytes.
        f.debug_tuple("Segment").field(&self.meta).finish()
    }
}

impl Segment {
    /// Opens the segment that the manifest names `meta`. Damage is no error as
    /// long as something may be left to read: see [`Segment::damage`].
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a file of a newer version,
    /// [`ErrorKind::Corruption`] where the file is sound but another one, else
    /// what the disk says.
    pub fn open(disk: &dyn Disk, store_id: u64, meta: &SegmentMeta) -> Result<Self> {
        let name = segment_file_name(meta.id);
        let bytes = disk
            .open(&name, Open::Read)
            .and_then(|file| file.map())
            .map_err(|error| Error::io("opening a segment", error).in_file(&name))?;
        Self::from_bytes(bytes, store_id, meta)
    }

    /// As [`Segment::open`], from bytes already there.
    ///
    /// # Errors
    /// As [`Segment::open`].
    pub fn from_bytes(bytes: Bytes, store_id: u64, meta: &SegmentMeta) -> Result<Self> {
        let mut segment = Segment {
            meta: *meta,
            name: segment_file_name(meta.id),
            bytes,
            trailer: None,
            dictionary_bytes: None,
            open_damage: Vec::new(),
            index: OnceLock::new(),
        };
        let expected = Identity {
            bucket: meta.bucket,
            store_id,
            segment_id: meta.id,
            first_sequence: meta.first_sequence,
            last_sequence: meta.last_sequence,
        };
        if meta.bucket >= MINUTE_END / MINUTES_PER_BUCKET {
            return Err(segment.another("its bucket lies beyond the last minute"));
        }
        segment.check_length();
        segment.read_header(&expected)?;
        segment.read_trailer(&expected)?;
        Ok(segment)
    }

    fn check_length(&mut self) {
        let (found, written) = (self.bytes.len() as u64, self.meta.bytes);
        if found != written {
            let what = format!("the file is {found} bytes long, but {written} were written");
            let damage = Damage::harmless(&self.name, found.min(written), what);
            self.open_damage.push(damage);
        }
    }

    fn read_header(&mut self, expected: &Identity) -> Result<()> {
        match Header::decode(&self.bytes) {
            Ok(header) if header.identity == *expected => {
                self.dictionary_bytes = Some(header.dictionary_bytes);
                Ok(())
            }
            Ok(header) => Err(self.stranger(&header.identity, expected)),
            Err(Refusal::Newer(version)) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("format version {version}, newer than {VERSION}, the newest known here"),
            )
            .in_file(&self.name)
            .help("open the store with a newer hotstove")),
            Err(Refusal::Corrupt(corrupt)) => {
                let at = corrupt.at as u64;
                let damage = Damage::harmless(&self.name, at, corrupt.what);
                self.open_damage.push(damage);
                Ok(())
            }
        }
    }

    fn read_trailer(&mut self, expected: &Identity) -> Result<()> {
        // Looked for where it was written: a file grown since is served all the same.
        let offset = self.meta.bytes.saturating_sub(TRAILER_BYTES as u64);
        let bytes = self.slice(offset, self.meta.bytes);
        let (trailer, layout) = match Trailer::decode(bytes, offset) {
            Ok(sound) => sound,
            Err(corrupt) => {
                let damage = Damage::harmless(&self.name, offset + corrupt.at as u64, corrupt.what);
                self.open_damage.push(damage);
                return Ok(());
            }
        };
        if trailer.identity != *expected {
            return Err(self.stranger(&trailer.identity, expected));
        }
        let meta = &self.meta;
        let same = file_hash(bytes) == meta.hash
            && (trailer.series, trailer.cells) == (meta.series, meta.cells)
            && (trailer.first_minute, trailer.last_minute) == (meta.first_minute, meta.last_minute);
        if !same {
            return Err(self.another("it is whole, but not the file that the manifest means"));
        }
        if self.dictionary_bytes.unwrap_or(trailer.dictionary_bytes) != trailer.dictionary_bytes {
            let what = "header and trailer disagree about the dictionary";
            self.open_damage
                .push(Damage::harmless(&self.name, 48, what));
        }
        self.dictionary_bytes = Some(trailer.dictionary_bytes);
        self.trailer = Some((trailer, layout));
        Ok(())
    }

    fn stranger(&self, found: &Identity, expected: &Identity) -> Error {
        self.another(if found.store_id != expected.store_id {
            "it belongs to another store"
        } else if found.segment_id != expected.segment_id {
            "it is another segment, under this one's name"
        } else {
            "it is not the segment that the manifest means"
        })
    }

    fn another(&self, what: &'static str) -> Error {
        Error::corruption(what).in_file(&self.name).at(0)
    }

    /// What the manifest says of it.
    #[must_use]
    pub fn meta(&self) -> &SegmentMeta {
        &self.meta
    }

    /// The whole file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its file, relative to the store.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.name
    }

    /// Names and entries of all series. Dictionary and directory are checked
    /// by the first call, and the directory rebuilt from the blocks if it or
    /// the trailer is damaged.
    ///
    /// # Errors
    /// [`ErrorKind::Corruption`] where both copies of the dictionary are lost,
    /// and all series with them.
    pub fn series(&self) -> Result<&SeriesIndex> {
        self.index().as_ref().map_err(Damage::to_error)
    }

    pub(super) fn index(&self) -> &Result<SeriesIndex, Damage> {
        self.index.get_or_init(|| SeriesIndex::load(self))
    }

    /// What is known to be wrong with the file short of reading all of it: its
    /// length, header, trailer, dictionary and directory, and what could not be
    /// found again where the directory had to be rebuilt.
    pub fn damage(&self) -> impl Iterator<Item = &Damage> {
        let index: &[Damage] = match self.index() {
            Ok(index) => index.damage(),
            Err(damage) => std::slice::from_ref(damage),
        };
        self.open_damage.iter().chain(index)
    }

    /// The block of the series at `index`, its header checked.
    ///
    /// # Errors
    /// [`ErrorKind::Corruption`] where that header is damaged, and all cells of
    /// the series with it; [`ErrorKind::InvalidInput`] beyond the last series.
    pub fn block(&self, index: usize) -> Result<Block<'_>> {
        let series = self.series()?;
        let entry = series
            .entry(index)
            .ok_or_else(|| Error::invalid("a series that the segment does not have"))?;
        self.read_block(series, &entry)
            .map_err(|damage| damage.to_error())
    }

    pub(super) fn read_block<'a>(
        &'a self,
        series: &'a SeriesIndex,
        entry: &Entry,
    ) -> Result<Block<'a>, Damage> {
        let bytes = self.slice(entry.block_offset, entry.block_end());
        let header = BlockHeader::decode(bytes, self.place(entry.block_offset));
        let what = match header {
            Ok(header)
                if header.crc == entry.header_crc
                    && header.prefix.key == entry.key()
                    && header.prefix.block_bytes == entry.block_bytes =>
            {
                return Ok(Block::new(self, series, *entry, bytes, header));
            }
            Ok(_) => "the block is not the one in the directory",
            Err(corrupt) => corrupt.what,
        };
        let minutes = entry.first_minute..entry.last_minute + 1;
        Err(Damage::harmless(&self.name, entry.block_offset, what)
            .losing(series.series_key(entry), minutes))
    }

    /// The bytes from `start` to `end`; none where the file is shorter.
    pub(super) fn slice(&self, start: u64, end: u64) -> &[u8] {
        let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
        range
            .and_then(|(start, end)| self.bytes.get(start..end))
            .unwrap_or_default()
    }

    pub(super) fn place(&self, offset: u64) -> Place {
        Place {
            segment_id: self.meta.id,
            offset,
        }
    }

    /// Whether `bytes`, which start at `offset`, match `crc`.
    pub(super) fn matches(&self, crc: u32, offset: u64, bytes: &[u8]) -> bool {
        crc == bound_crc(self.meta.id, offset, bytes)
    }

    /// Damage at `offset` with everything lost in it.
    pub(super) fn losing_all(
        &self,
        offset: u64,
        what: impl Into<std::borrow::Cow<'static, str>>,
        key: Option<SeriesKey>,
    ) -> Damage {
        let (first, last) = (self.meta.first_minute, self.meta.last_minute);
        Damage::harmless(&self.name, offset, what).losing(key, first..last.saturating_add(1))
    }
}

/// What a segment says of itself, for a store whose manifest is lost: the
/// store it belongs to and its entry. None where neither end tells.
#[must_use]
pub fn describe(bytes: &[u8]) -> Option<(u64, SegmentMeta)> {
    let length = bytes.len() as u64;
    let offset = length.saturating_sub(TRAILER_BYTES as u64);
    let tail = bytes.get(offset as usize..)?;
    let told = Trailer::decode(tail, offset)
        .ok()
        .map(|(trailer, _)| trailer);
    let identity = match &told {
        Some(trailer) => trailer.identity,
        None => Header::decode(bytes).ok()?.identity,
    };
    let bucket_start = identity.bucket * MINUTES_PER_BUCKET;
    let meta = SegmentMeta {
        id: identity.segment_id,
        bucket: identity.bucket,
        bytes: length,
        hash: told.as_ref().map_or(0, |_| file_hash(tail)),
        first_sequence: identity.first_sequence,
        last_sequence: identity.last_sequence,
        first_minute: told
            .as_ref()
            .map_or(bucket_start, |trailer| trailer.first_minute),
        last_minute: told
            .as_ref()
            .map_or(bucket_start + MINUTES_PER_BUCKET - 1, |trailer| {
                trailer.last_minute
            }),
        cells: told.as_ref().map_or(0, |trailer| trailer.cells),
        series: told.as_ref().map_or(0, |trailer| trailer.series),
    };
    Some((identity.store_id, meta))
}
