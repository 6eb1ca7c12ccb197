//! A series encoded for a segment, wherever its block will stand there: work that
//! can be done apart from the writing, by several threads.

use crate::codec::{self, Column, Family, Page, Summary};
use crate::error::{Error, Result};
use crate::format::block::COLD_META_BYTES_MAX;
use crate::format::new_block::NewPage;
use crate::limits::{DAYS_PER_BUCKET, MINUTES_PER_DAY, PAGE_BYTES_MAX};
use crate::model::Kind;

/// The pages of one series in bytes, without what depends on their place.
#[derive(Debug)]
pub struct EncodedSeries {
    pub(super) kind: Kind,
    /// The first and last minute with a cell, counted from the start of the bucket.
    pub(super) first_minute: u16,
    pub(super) last_minute: u16,
    pub(super) cold_meta: Vec<u8>,
    payloads: Vec<u8>,
    /// Day of the bucket, where the page ends in the payloads, and its summary.
    pages: Vec<(u32, usize, Summary)>,
}

impl EncodedSeries {
    /// Encodes `pages`, whose days ascend strictly, are all in `bucket` and have
    /// a cell each. Pages of days before `cold_before_day` are encoded densely
    /// where that pays.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] where that does not hold.
    pub fn new(
        bucket: u32,
        kind: Kind,
        pages: &[(u32, Page)],
        cold_before_day: u32,
    ) -> Result<Self> {
        let (first_minute, last_minute) = check_pages(bucket, kind, pages)?;
        let cold_count = pages.partition_point(|(day, _)| *day < cold_before_day);
        let cold = encode_cold(&pages[..cold_count]);
        let (cold_meta, dense) =
            cold.map_or((Vec::new(), Vec::new()), |cold| (cold.meta, cold.pages));
        let mut series = EncodedSeries {
            kind,
            first_minute,
            last_minute,
            cold_meta,
            payloads: Vec::new(),
            pages: Vec::with_capacity(pages.len()),
        };
        for (index, (day, page)) in pages.iter().enumerate() {
            match dense.get(index) {
                Some(payload) => series.payloads.extend_from_slice(payload),
                None => codec::encode(page, &mut series.payloads),
            }
            let end = series.payloads.len();
            let summary = codec::summarize(page);
            series.pages.push((day % DAYS_PER_BUCKET, end, summary));
        }
        Ok(series)
    }

    /// The pages as a block takes them.
    pub(super) fn pages(&self) -> Vec<NewPage<'_>> {
        let mut start = 0;
        self.pages
            .iter()
            .map(|(day, end, summary)| {
                let payload = &self.payloads[start..*end];
                start = *end;
                NewPage {
                    day: *day,
                    payload,
                    cells: summary.cells,
                    sum: summary.sum,
                    min: summary.min,
                    max: summary.max,
                }
            })
            .collect()
    }
}

/// The first and the last minute of `pages` in the bucket, if these are fit for
/// a block.
fn check_pages(bucket: u32, kind: Kind, pages: &[(u32, Page)]) -> Result<(u16, u16)> {
    let first_day = bucket * DAYS_PER_BUCKET;
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
    let minute = |day: u32, minute: u16| (day - first_day) * MINUTES_PER_DAY + u32::from(minute);
    let ends = pages.first().zip(pages.last()).and_then(|(first, last)| {
        let from = minute(first.0, first.1.presence.first()?);
        let to = minute(last.0, last.1.presence.last()?);
        u16::try_from(from).ok().zip(u16::try_from(to).ok())
    });
    ends.ok_or_else(|| Error::invalid("a series without a cell"))
}

/// The family of a kind's values.
pub(super) const fn family_of(kind: Kind) -> Family {
    match kind {
        Kind::Counter | Kind::Sum { .. } => Family::Integer,
        Kind::Gauge => Family::Float,
    }
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
