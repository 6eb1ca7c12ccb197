//! Reading a block: the pages of one series.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::codec::{self, ColdMeta, Page, Part, QUARTET, Quartet};
use crate::error::{Error, Result};
use crate::format::block::{BlockHeader, PageEntry};
use crate::format::block_prefix::Prefix;
use crate::format::directory::Entry;
use crate::format::new_block::NewPage;
use crate::limits::{DAYS_PER_BUCKET, MINUTES_PER_BUCKET, MINUTES_PER_DAY};
use crate::model::Kind;
use crate::storage::damage::Damage;
use crate::storage::planted::{Bug, planted};

use super::encoded::family_of;
use super::reader::Segment;
use super::series::SeriesIndex;

/// A page as the block's table has it: nothing of the page itself is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageInfo {
    /// The UTC day, counted from the epoch.
    pub day: u32,
    /// Minutes with a cell.
    pub cells: u32,
    /// Sum of the cells; of a gauge, the bits of the last value.
    pub sum: i128,
    /// The least cell; of a gauge, its bits.
    pub min: i128,
    /// The greatest cell; of a gauge, its bits.
    pub max: i128,
}

/// One series of a segment, its header checked.
pub struct Block<'a> {
    segment: &'a Segment,
    series: &'a SeriesIndex,
    entry: Entry,
    bytes: &'a [u8],
    header: BlockHeader<'a>,
    cold: OnceLock<ColdMeta>,
    /// The days whose page was found to match its checksum, a bit each: a
    /// block that is kept checks a page once.
    checked: AtomicU32,
}

const _: () = assert!(DAYS_PER_BUCKET == u32::BITS);

/// The bit of the day of the page at `index`, of a block with pages for `days`.
fn nth_day(mut days: u32, index: usize) -> u32 {
    for _ in 0..index {
        days &= days.wrapping_sub(1);
    }
    days & days.wrapping_neg()
}

impl fmt::Debug for Block<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Block").field(&self.entry).finish()
    }
}

impl<'a> Block<'a> {
    pub(super) fn new(
        segment: &'a Segment,
        series: &'a SeriesIndex,
        entry: Entry,
        bytes: &'a [u8],
        header: BlockHeader<'a>,
    ) -> Self {
        Block {
            segment,
            series,
            entry,
            bytes,
            header,
            cold: OnceLock::new(),
            checked: AtomicU32::new(0),
        }
    }

    /// How the values merge.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.header.prefix.kind
    }

    /// The series' entry in the directory.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Bytes that the cold pages share; none where all pages are hot.
    #[must_use]
    pub fn cold_meta(&self) -> &'a [u8] {
        self.header.cold_meta
    }

    /// Pages in the block: days with a cell.
    #[must_use]
    pub fn page_count(&self) -> usize {
        self.header.page_count()
    }

    /// The pages, by ascending day.
    pub fn pages(&self) -> impl Iterator<Item = PageInfo> {
        (0..self.page_count()).filter_map(|index| self.page(index))
    }

    /// The page at `index`.
    #[must_use]
    pub fn page(&self, index: usize) -> Option<PageInfo> {
        self.header.page(index).map(|page| PageInfo {
            day: self.bucket() * DAYS_PER_BUCKET + page.day,
            cells: page.cells,
            sum: page.sum,
            min: page.min,
            max: page.max,
        })
    }

    /// The index of the page of a UTC day, counted from the epoch.
    #[must_use]
    pub fn page_of_day(&self, day: u32) -> Option<usize> {
        let day = day.checked_sub(self.bucket() * DAYS_PER_BUCKET)?;
        self.header.page_of_day(day)
    }

    /// The page at `index` in bytes, its checksum checked.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corruption`] where it does not match: the day is
    /// lost. [`crate::ErrorKind::InvalidInput`] beyond the last page.
    pub fn payload(&self, index: usize) -> Result<&'a [u8]> {
        let page = self.page_entry(index)?;
        self.read_payload(&page).map_err(|damage| damage.to_error())
    }

    /// The page at `index`, decoded into `out`, in the buffers it has.
    ///
    /// # Errors
    /// As [`Block::payload`]; `out` is then not to be used.
    pub fn decode(&self, index: usize, out: &mut Page) -> Result<()> {
        let page = self.page_entry(index)?;
        self.read_page(&page, out)
            .map_err(|damage| damage.to_error())
    }

    /// As [`Block::decode`], of these minutes of the day alone.
    ///
    /// # Errors
    /// As [`Block::decode`].
    pub fn decode_range(&self, index: usize, minutes: Range<u16>, out: &mut Page) -> Result<()> {
        if minutes == (0..MINUTES_PER_DAY as u16) {
            return self.decode(index, out);
        }
        let page = self.page_entry(index)?;
        let read = || {
            let (bytes, cold) = (self.read_payload(&page)?, self.read_cold()?);
            codec::decode_range(bytes, family_of(self.kind()), cold, minutes, out)
                .map_err(|corrupt| self.page_damage(&page, corrupt.at, corrupt.what))
        };
        read().map_err(|damage: Damage| damage.to_error())
    }

    /// Adds the cells of the page at `index`, of a counter or a sum, to
    /// `parts`, which minutes of the day cut: [`codec::add_sums`].
    ///
    /// # Errors
    /// As [`Block::decode`]; `parts` is then not to be used.
    pub fn add_sums(&self, index: usize, cuts: &[u16], parts: &mut [Part]) -> Result<bool> {
        self.read_part(index, |bytes, cold| {
            codec::add_sums(bytes, cold, cuts, parts)
        })
    }

    /// Reads the page at `index` and those that follow it, up to `last_day`, as
    /// far as they are read together: how many. None where there are fewer than
    /// two, and where one is damaged, which reading it alone tells.
    pub fn read_ahead(&self, index: usize, last_day: u32, quartet: &mut Quartet) -> usize {
        let Ok(Some(cold)) = self.read_cold() else {
            return 0;
        };
        let (mut pages, mut count): ([&[u8]; QUARTET], _) = ([&[]; QUARTET], 0);
        let mut cells = [0; QUARTET];
        let near = (index..self.page_count()).zip(pages.iter_mut().zip(&mut cells));
        for (index, (bytes, cells)) in near {
            let Some(page) = self.header.page(index) else {
                break;
            };
            let payload = self.read_payload(&page).unwrap_or_default();
            let day = self.bucket() * DAYS_PER_BUCKET + page.day;
            if day > last_day || !codec::is_cold(payload) {
                break;
            }
            (*bytes, *cells, count) = (payload, page.cells, count + 1);
        }
        let read = count > 1 && quartet.read(&pages[..count], cold);
        let all = (0..count).all(|index| quartet.cells(index) == cells[index]);
        if read && all { count } else { 0 }
    }

    /// The cell at a minute of the day of the page at `index`; of a gauge, its
    /// bits.
    ///
    /// # Errors
    /// As [`Block::decode`].
    pub fn cell(&self, index: usize, minute: u16) -> Result<Option<i128>> {
        let family = family_of(self.kind());
        self.read_part(index, |bytes, cold| {
            codec::cell(bytes, family, cold, minute)
        })
    }

    /// Reads something of the page at `index`, whose checksum is checked. The
    /// block's table is not touched where that was done before.
    fn read_part<T>(
        &self,
        index: usize,
        read: impl FnOnce(&[u8], Option<&ColdMeta>) -> codec::cursor::Result<T>,
    ) -> Result<T> {
        let page = || self.page_entry(index);
        let day = nth_day(self.header.prefix.days, index);
        let extent = self.header.extent(index).unwrap_or_default();
        let offset = self.entry.block_offset + extent.start as u64;
        let mut bytes = self.bytes.get(extent).unwrap_or_default();
        if self.checked.load(Ordering::Relaxed) & day == 0 {
            let crc = self.header.page_crc(index);
            if crc.is_some_and(|crc| self.segment.matches(crc, offset, bytes)) {
                self.checked.fetch_or(day, Ordering::Relaxed);
            } else {
                // Tells what is wrong.
                bytes = self
                    .read_payload(&page()?)
                    .map_err(|damage| damage.to_error())?;
            }
        }
        let cold = self.read_cold().map_err(|damage| damage.to_error())?;
        match read(bytes, cold) {
            Ok(read) => Ok(read),
            Err(corrupt) => Err(self
                .page_damage(&page()?, corrupt.at, corrupt.what)
                .to_error()),
        }
    }

    pub(super) fn read_cold(&self) -> Result<Option<&ColdMeta>, Damage> {
        if self.header.cold_meta.is_empty() {
            return Ok(None);
        }
        if self.cold.get().is_none() {
            let parsed = ColdMeta::parse(self.header.cold_meta, family_of(self.kind()));
            let meta = parsed.map_err(|corrupt| {
                let minutes = self.entry.first_minute..self.entry.last_minute + 1;
                let key = self.series.series_key(&self.entry);
                Damage::harmless(&self.segment.name, self.entry.block_offset, corrupt.what)
                    .losing(key, minutes)
            })?;
            let _ = self.cold.set(meta);
        }
        Ok(self.cold.get())
    }

    pub(super) fn read_payload(&self, page: &PageEntry) -> Result<&'a [u8], Damage> {
        let bytes = self.bytes.get(page.start..page.end).unwrap_or_default();
        let day = 1_u32.checked_shl(page.day).unwrap_or(0);
        if self.checked.load(Ordering::Relaxed) & day != 0 {
            return Ok(bytes);
        }
        if planted(Bug::CheckedBeforeCompared) {
            self.checked.fetch_or(day, Ordering::Relaxed);
        }
        let offset = self.entry.block_offset + page.start as u64;
        if !self.segment.matches(page.crc, offset, bytes) {
            return Err(self.page_damage(page, 0, "the page does not match its checksum"));
        }
        self.checked.fetch_or(day, Ordering::Relaxed);
        Ok(bytes)
    }

    pub(super) fn read_page(&self, page: &PageEntry, out: &mut Page) -> Result<(), Damage> {
        let bytes = self.read_payload(page)?;
        let cold = self.read_cold()?;
        codec::decode(bytes, family_of(self.kind()), cold, out)
            .map_err(|corrupt| self.page_damage(page, corrupt.at, corrupt.what))?;
        if out.column.len() != page.cells as usize {
            let what = "the page has not as many cells as the block's table says";
            return Err(self.page_damage(page, 0, what));
        }
        Ok(())
    }

    /// Damage at byte `at` of a page, which costs that day.
    pub(super) fn page_damage(&self, page: &PageEntry, at: usize, what: &'static str) -> Damage {
        let offset = self.entry.block_offset + (page.start + at) as u64;
        let start = self.bucket() * MINUTES_PER_BUCKET + page.day * MINUTES_PER_DAY;
        Damage::harmless(&self.segment.name, offset, what).losing(
            self.series.series_key(&self.entry),
            start..start + MINUTES_PER_DAY,
        )
    }

    fn page_entry(&self, index: usize) -> Result<PageEntry> {
        self.header
            .page(index)
            .ok_or_else(|| Error::invalid("a page that the block does not have"))
    }

    pub(super) fn header(&self) -> &BlockHeader<'a> {
        &self.header
    }

    pub(super) fn prefix(&self) -> &Prefix {
        &self.header.prefix
    }

    pub(super) fn bucket(&self) -> u32 {
        self.segment.meta.bucket
    }

    /// The page at `index` as it can be written elsewhere.
    pub(super) fn new_page(&self, index: usize) -> Result<NewPage<'a>> {
        let page = self.page_entry(index)?;
        Ok(NewPage {
            day: page.day,
            payload: self.payload(index)?,
            cells: page.cells,
            sum: page.sum,
            min: page.min,
            max: page.max,
        })
    }
}
