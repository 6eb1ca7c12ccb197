//! A series as a column: from the pages to where it is computed with, without
//! buckets of 128 bits between.

use std::ops::Range;

use crate::codec::{self, Page};
use crate::engine::merge::family;
use crate::error::{Error, Result};
use crate::limits::MINUTES_PER_DAY;
use crate::model::{Kind, Minute};
use crate::query::accumulate::earlier;
use crate::query::gather::Found;
use crate::query::overlay::{overlay, page_of_cells};
use crate::query::plan::{Window, segments_in};
use crate::query::point::StoredSeries;
use crate::storage::segment::Block;

/// The cells of a counter or sum, ascending by minute.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// Their minutes.
    pub minutes: Vec<u32>,
    /// Their values.
    pub units: Units,
}

/// Values in units of the metric's last decimal.
#[derive(Debug, PartialEq, Eq)]
pub enum Units {
    /// Where every cell fits into 64 bits.
    Ints(Vec<i64>),
    /// Where one does not.
    Wides(Vec<i128>),
}

impl StoredSeries<'_> {
    /// The cells of these minutes, of a counter or sum.
    ///
    /// # Errors
    /// As [`StoredSeries::read`].
    pub(crate) fn column(&self, minutes: Range<Minute>) -> Result<Column> {
        debug_assert!(self.kind() != Kind::Gauge);
        let window = Window {
            from: minutes.start.get().max(self.floor()),
            to: minutes.end.get(),
            origin: 0,
            width: Some(1),
        };
        let mut column = Column::with_capacity(self.cells());
        if window.is_empty() {
            return Ok(column);
        }
        self.check(&(window.from..window.to))?;
        let mut cells = Vec::new();
        self.collect(&window, &mut cells)?;
        let blocks = self.blocks(&window)?;
        let mut pages = Vec::new();
        for block in &blocks {
            let infos = (0..block.page_count()).filter_map(|at| Some((block.page(at)?.day, at)));
            let touched = infos.filter(|(day, _)| {
                let start = day * MINUTES_PER_DAY;
                window.touches(start, start + MINUTES_PER_DAY - 1)
            });
            pages.extend(touched.map(|(day, at)| (day, block, at)));
        }
        // Stable, so that the parts of a day stay in the order of their age.
        pages.sort_by_key(|page| page.0);
        let (mut pages, mut cells) = (&pages[..], &cells[..]);
        let mut buffers = [(); 3].map(|()| Page::new(family(self.kind())));
        let [whole, part, spare] = &mut buffers;
        while let Some(day) = earlier(
            pages.first().map(|page| page.0),
            cells.first().map(|cell| cell.0 / MINUTES_PER_DAY),
        ) {
            let start = day * MINUTES_PER_DAY;
            let minutes = window.clip(start..start + MINUTES_PER_DAY);
            let within = (minutes.start - start) as u16..(minutes.end - start) as u16;
            let (of_day, later) = pages.split_at(pages.partition_point(|page| page.0 == day));
            pages = later;
            let end = start + MINUTES_PER_DAY;
            let (today, later) = cells.split_at(cells.partition_point(|cell| cell.0 < end));
            cells = later;
            let mut parts = of_day.iter();
            match parts.next() {
                Some((_, block, at)) => block.decode_range(*at, within.clone(), whole)?,
                None => page_of_cells(&[], start, self.kind(), whole),
            }
            for (_, block, at) in parts {
                block.decode_range(*at, within.clone(), part)?;
                overlay(whole, part, self.kind(), spare)?;
            }
            if !today.is_empty() {
                page_of_cells(today, start, self.kind(), part);
                overlay(whole, part, self.kind(), spare)?;
            }
            column.extend(start, whole);
        }
        Ok(column)
    }

    /// Where it lies in segments, in the order of buckets and ages.
    ///
    /// # Errors
    /// Damage to bytes that are needed.
    fn blocks(&self, window: &Window) -> Result<Vec<Block<'_>>> {
        let minutes = window.from..window.to;
        let near = segments_in(minutes, self.stored().len(), |at| self.bucket(at));
        let mut blocks = Vec::new();
        for found in &self.stored()[near] {
            let Some(segment) = self.segment(found) else {
                continue;
            };
            let index = found.index as usize;
            let Some(entry) = segment.series()?.entry(index) else {
                continue;
            };
            if entry.kind != self.kind() {
                return Err(Error::corruption("a series is of two kinds"));
            }
            if window.touches(entry.first_minute, entry.last_minute) {
                blocks.push(segment.block(index)?);
            }
        }
        Ok(blocks)
    }

    /// Cells it has in segments; one that several have is counted as often.
    pub(crate) fn cells(&self) -> usize {
        let of = |found: &Found| {
            let series = self.segment(found)?.series().ok()?;
            Some(series.entry(found.index as usize)?.cells as usize)
        };
        self.stored().iter().filter_map(of).sum()
    }
}

impl Column {
    fn with_capacity(cells: usize) -> Self {
        Column {
            minutes: Vec::with_capacity(cells),
            units: Units::Ints(Vec::with_capacity(cells)),
        }
    }

    /// Adds the cells of the day that begins at `start`.
    fn extend(&mut self, start: u32, page: &Page) {
        let presence = &page.presence;
        match (presence.first(), presence.last()) {
            (Some(first), Some(last)) if usize::from(last - first) + 1 == page.column.len() => {
                let (first, last) = (u32::from(first), u32::from(last));
                self.minutes.extend(start + first..=start + last);
            }
            _ => {
                let minutes = presence.iter().map(|minute| start + u32::from(minute));
                self.minutes.extend(minutes);
            }
        }
        match (&mut self.units, &page.column) {
            (Units::Ints(all), codec::Column::Ints(day)) => all.extend_from_slice(day),
            (Units::Ints(all), codec::Column::Wides(day)) => {
                let wide = all.iter().map(|units| i128::from(*units));
                self.units = Units::Wides(wide.chain(day.iter().copied()).collect());
            }
            (Units::Wides(all), codec::Column::Ints(day)) => {
                all.extend(day.iter().map(|units| i128::from(*units)));
            }
            (Units::Wides(all), codec::Column::Wides(day)) => all.extend_from_slice(day),
            // Gauges are no columns of integers; their pages have floats alone.
            (_, codec::Column::Floats(_)) => {}
        }
    }
}
