//! A series day by day, decoded into buffers that many series share.

use std::ops::Range;

use crate::codec::{Column, Family, Page};
use crate::error::{Error, Result};
use crate::format::directory::Entry;
use crate::limits::MINUTES_PER_DAY;
use crate::model::{Kind, Minute};
use crate::query::accumulate::earlier;
use crate::query::ahead::{Ahead, Wanted};
use crate::query::gather::Found;
use crate::query::overlay::{overlay, page_of_cells};
use crate::query::plan::{Window, segments_in};
use crate::query::point::StoredSeries;
use crate::storage::segment::Block;

/// The way through the days of a counter or sum, ascending.
pub(crate) struct Days<'a> {
    kind: Kind,
    window: Window,
    blocks: Vec<Block<'a>>,
    /// Day, and which page of which block. The parts of a day are in the order of
    /// their age.
    pages: Vec<(u32, u32, u32)>,
    next_page: usize,
    /// Cells of memtables.
    cells: Vec<(u32, i128)>,
    next_cell: usize,
    ahead: Ahead,
}

/// What a day is decoded into.
pub(crate) struct DayBuffers {
    /// The day read last, its cells within the minutes asked for.
    pub(super) day: Page,
    part: Page,
    spare: Page,
    minutes: Vec<u16>,
}

/// The cells of a day.
pub(crate) struct DayCells<'a> {
    /// Their minutes, counted from the day's first.
    pub minutes: DayMinutes<'a>,
    /// Their values, in units of the metric's last decimal.
    pub units: DayUnits<'a>,
}

/// Minutes of a day.
#[derive(Clone, Copy)]
pub(crate) enum DayMinutes<'a> {
    /// As many as there are values, the first of them.
    Run(u16),
    /// Ascending.
    List(&'a [u16]),
}

/// Values of a day.
#[derive(Clone, Copy)]
pub(crate) enum DayUnits<'a> {
    /// Where every cell fits into 64 bits.
    Ints(&'a [i64]),
    /// Where one does not.
    Wides(&'a [i128]),
}

impl DayBuffers {
    /// Without a cell.
    pub fn new() -> Self {
        let [day, part, spare] = [(); 3].map(|()| Page::new(Family::Integer));
        DayBuffers {
            day,
            part,
            spare,
            minutes: Vec::new(),
        }
    }

    /// The cells of the day read last.
    pub fn cells(&mut self) -> DayCells<'_> {
        let presence = &self.day.presence;
        let minutes = match (presence.first(), presence.last()) {
            (Some(first), Some(last)) if usize::from(last - first) + 1 == self.day.column.len() => {
                DayMinutes::Run(first)
            }
            _ => {
                self.minutes.clear();
                self.minutes.extend(presence.iter());
                DayMinutes::List(&self.minutes)
            }
        };
        let units = match &self.day.column {
            Column::Ints(values) => DayUnits::Ints(values),
            Column::Wides(values) => DayUnits::Wides(values),
            // Gauges are no columns of integers; their pages have floats alone.
            Column::Floats(_) => DayUnits::Ints(&[]),
        };
        DayCells { minutes, units }
    }
}

impl StoredSeries<'_> {
    /// The days with cells of these minutes, of a counter or sum.
    ///
    /// # Errors
    /// As [`StoredSeries::read`].
    pub(crate) fn days(&self, minutes: Range<Minute>) -> Result<Days<'_>> {
        debug_assert!(self.kind() != Kind::Gauge);
        let window = self.window(minutes);
        let mut days = Days {
            kind: self.kind(),
            window,
            blocks: Vec::new(),
            pages: Vec::new(),
            next_page: 0,
            cells: Vec::new(),
            next_cell: 0,
            ahead: Ahead::default(),
        };
        let window = &days.window;
        if window.is_empty() {
            return Ok(days);
        }
        self.check(&(window.from..window.to))?;
        self.collect(window, &mut days.cells)?;
        days.blocks = self.blocks(window)?;
        for (block, number) in days.blocks.iter().zip(0..) {
            for (page, index) in block.pages().zip(0..) {
                let start = page.day * MINUTES_PER_DAY;
                if window.touches(start, start + MINUTES_PER_DAY - 1) {
                    days.pages.push((page.day, number, index));
                }
            }
        }
        // Stable, so that the parts of a day stay in the order of their age.
        days.pages.sort_by_key(|page| page.0);
        Ok(days)
    }

    fn window(&self, minutes: Range<Minute>) -> Window {
        Window {
            from: minutes.start.get().max(self.floor()),
            to: minutes.end.get(),
            origin: 0,
            width: Some(1),
        }
    }

    /// Whether there is a cell within these minutes.
    ///
    /// # Errors
    /// As [`StoredSeries::read`], where cells have to be read to tell.
    pub(crate) fn any(&self, minutes: Range<Minute>) -> Result<bool> {
        let window = self.window(minutes.clone());
        if window.is_empty() {
            return Ok(false);
        }
        let mut cells = Vec::new();
        self.collect(&window, &mut cells)?;
        if !cells.is_empty() {
            return Ok(true);
        }
        let within = window.from..window.to;
        let entries = self.stored().iter().filter_map(|found| self.entry(found));
        let sure = entries
            .flat_map(|entry| [entry.first_minute, entry.last_minute])
            .any(|minute| within.contains(&minute));
        if sure {
            return Ok(true);
        }
        let (mut days, mut buffers) = (self.days(minutes)?, DayBuffers::new());
        while days.read(&mut buffers)?.is_some() {
            if !buffers.day.presence.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
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
            segment.series()?;
            let Some(entry) = self.entry(found) else {
                continue;
            };
            if entry.kind != self.kind() {
                return Err(Error::corruption("a series is of two kinds"));
            }
            if window.touches(entry.first_minute, entry.last_minute) {
                blocks.push(segment.block(found.index as usize)?);
            }
        }
        Ok(blocks)
    }

    /// Cells it has in segments; one that several have is counted as often.
    pub(crate) fn cells(&self) -> usize {
        let entries = self.stored().iter().filter_map(|found| self.entry(found));
        entries.map(|entry| entry.cells as usize).sum()
    }

    fn entry(&self, found: &Found) -> Option<Entry> {
        let series = self.segment(found)?.series().ok()?;
        series.entry(found.index as usize)
    }
}

impl Days<'_> {
    /// The day that is read next: its number since the Unix epoch.
    pub fn next_day(&self) -> Option<u32> {
        let page = self.pages.get(self.next_page).map(|page| page.0);
        let cell = self.cells.get(self.next_cell);
        earlier(page, cell.map(|cell| cell.0 / MINUTES_PER_DAY))
    }

    /// Reads the next day and gives its number.
    ///
    /// # Errors
    /// Damage to bytes of the day; a cell beyond 128 bits.
    pub fn read(&mut self, buffers: &mut DayBuffers) -> Result<Option<u32>> {
        let Some(day) = self.next_day() else {
            return Ok(None);
        };
        let start = day * MINUTES_PER_DAY;
        let minutes = self.window.clip(start..start + MINUTES_PER_DAY);
        let within = (minutes.start - start) as u16..(minutes.end - start) as u16;
        let pages = &self.pages[self.next_page..];
        let pages = &pages[..pages.partition_point(|page| page.0 == day)];
        self.next_page += pages.len();
        let cells = &self.cells[self.next_cell..];
        let cells = &cells[..cells.partition_point(|cell| cell.0 < start + MINUTES_PER_DAY)];
        self.next_cell += cells.len();
        let DayBuffers {
            day: whole,
            part,
            spare,
            ..
        } = buffers;
        let (blocks, window, ahead) = (&self.blocks, &self.window, &mut self.ahead);
        let mut decode = |(_, block, page): &(u32, u32, u32), into: &mut Page| {
            let wanted = Wanted {
                number: *block as usize,
                block: &blocks[*block as usize],
                index: *page as usize,
            };
            ahead.decode(&wanted, window, within.clone(), into)
        };
        let mut parts = pages.iter();
        match parts.next() {
            Some(first) => decode(first, whole)?,
            None => page_of_cells(&[], start, self.kind, whole),
        }
        for later in parts {
            decode(later, part)?;
            overlay(whole, part, self.kind, spare)?;
        }
        if !cells.is_empty() {
            page_of_cells(cells, start, self.kind, part);
            overlay(whole, part, self.kind, spare)?;
        }
        Ok(Some(day))
    }
}
