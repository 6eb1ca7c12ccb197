//! Where the cells of a series come from, day by day: a column in memory, or a
//! store, which decodes a day at a time into buffers that all series share.

use super::input::{Column, Observations, Units};
use crate::error::Result;
use crate::limits::MINUTES_PER_DAY;
use crate::model::{Minute, Name};
use crate::query::{DayBuffers, DayMinutes, DayUnits, Days, StoredSeries};

/// The cells of one branch and metric before the present.
pub(super) trait Cells: Sync {
    /// About how many there are.
    fn len(&self) -> usize;

    /// The way through them.
    ///
    /// # Errors
    /// Damage to what is needed to find them.
    fn days(&self) -> Result<Box<dyn DayCells + Send + '_>>;
}

/// The way through cells, by days.
pub(super) trait DayCells {
    /// The day that is read next: its number since the Unix epoch.
    fn next_day(&self) -> Option<u32>;

    /// Reads that day: its cells go to `take`.
    ///
    /// # Errors
    /// Damage to its bytes; a cell beyond 128 bits.
    fn read(&mut self, scratch: &mut Scratch, take: Take<'_>) -> Result<()>;
}

/// What becomes of a day's cells: minutes are counted from the day's first.
pub(super) type Take<'a> = &'a mut dyn FnMut(DayMinutes<'_>, DayUnits<'_>);

/// Buffers all series use.
pub(super) struct Scratch {
    buffers: DayBuffers,
    minutes: Vec<u16>,
}

impl Scratch {
    pub fn new() -> Self {
        Scratch {
            buffers: DayBuffers::new(),
            minutes: Vec::new(),
        }
    }
}

/// What a monitor is made from: definitions, and where the cells are.
pub(super) struct Input<'a> {
    /// Its columns are not looked at, and may be empty.
    pub about: &'a Observations,
    /// Every branch and metric with a cell.
    pub columns: Vec<(&'a Name, &'a Name, Box<dyn Cells + 'a>)>,
}

impl<'a> Input<'a> {
    /// Columns in memory.
    pub fn held(observations: &'a Observations) -> Self {
        let end = observations.as_of.get();
        let columns = observations.branches.iter().flat_map(|branch| {
            let seen = move |it: &&(Name, Column)| it.1.first().is_some_and(|first| first < end);
            branch
                .columns
                .iter()
                .filter(seen)
                .map(move |(metric, column)| {
                    let cells: Box<dyn Cells + 'a> = Box::new(Held { column, end });
                    (&branch.name, metric, cells)
                })
        });
        Input {
            about: observations,
            columns: columns.collect(),
        }
    }

    /// Whether a metric has a cell in any branch.
    pub fn has(&self, metric: &Name) -> bool {
        self.columns.iter().any(|(_, it, _)| *it == metric)
    }
}

/// A column in memory, up to `end`.
struct Held<'a> {
    column: &'a Column,
    end: u32,
}

impl Cells for Held<'_> {
    fn len(&self) -> usize {
        self.column.len()
    }

    fn days(&self) -> Result<Box<dyn DayCells + Send + '_>> {
        Ok(Box::new(HeldDays {
            column: self.column,
            end: self.end,
            next: 0,
        }))
    }
}

struct HeldDays<'a> {
    column: &'a Column,
    end: u32,
    next: usize,
}

impl DayCells for HeldDays<'_> {
    fn next_day(&self) -> Option<u32> {
        let minute = self.column.minutes().get(self.next)?;
        (*minute < self.end).then_some(minute / MINUTES_PER_DAY)
    }

    fn read(&mut self, scratch: &mut Scratch, take: Take<'_>) -> Result<()> {
        let rest = &self.column.minutes()[self.next..];
        let Some(day) = self.next_day() else {
            return Ok(());
        };
        let start = day * MINUTES_PER_DAY;
        let end = (start + MINUTES_PER_DAY).min(self.end);
        let minutes = &rest[..rest.partition_point(|minute| *minute < end)];
        let cells = self.next..self.next + minutes.len();
        self.next = cells.end;
        let minutes = match (minutes.first(), minutes.last()) {
            (Some(first), Some(last)) if (last - first) as usize + 1 == minutes.len() => {
                DayMinutes::Run((first - start) as u16)
            }
            _ => {
                scratch.minutes.clear();
                let within = minutes.iter().map(|minute| (minute - start) as u16);
                scratch.minutes.extend(within);
                DayMinutes::List(&scratch.minutes)
            }
        };
        match self.column.units() {
            Units::Ints(units) => take(minutes, DayUnits::Ints(&units[cells])),
            Units::Wides(units) => take(minutes, DayUnits::Wides(&units[cells])),
        }
        Ok(())
    }
}

/// A series of a store, up to `end`.
pub(super) struct InStore<'a, 's> {
    pub series: &'a StoredSeries<'s>,
    pub end: Minute,
}

impl Cells for InStore<'_, '_> {
    fn len(&self) -> usize {
        self.series.cells()
    }

    fn days(&self) -> Result<Box<dyn DayCells + Send + '_>> {
        Ok(Box::new(self.series.days(Minute::MIN..self.end)?))
    }
}

impl DayCells for Days<'_> {
    fn next_day(&self) -> Option<u32> {
        Days::next_day(self)
    }

    fn read(&mut self, scratch: &mut Scratch, take: Take<'_>) -> Result<()> {
        if Days::read(self, &mut scratch.buffers)?.is_some() {
            let cells = scratch.buffers.cells();
            take(cells.minutes, cells.units);
        }
        Ok(())
    }
}
