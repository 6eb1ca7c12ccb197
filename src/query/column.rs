//! A series as a column: from the pages to where it is computed with, without
//! buckets of 128 bits between.

use std::ops::Range;

use crate::codec::{self, Page};
use crate::error::Result;
use crate::limits::MINUTES_PER_DAY;
use crate::model::Minute;
use crate::query::days::DayBuffers;
use crate::query::point::StoredSeries;

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
        let mut days = self.days(minutes)?;
        let mut column = Column::with_capacity(self.cells());
        let mut buffers = DayBuffers::new();
        while let Some(day) = days.read(&mut buffers)? {
            column.extend(day * MINUTES_PER_DAY, &buffers.day);
        }
        Ok(column)
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
