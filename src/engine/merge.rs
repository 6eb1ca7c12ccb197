//! Cells of one series and one day, brought together from wherever they lie.

use crate::codec::{Column, Family, Page, Presence};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MINUTES_PER_DAY;
use crate::model::Kind;

const MINUTES: usize = MINUTES_PER_DAY as usize;

/// The family of columns a kind is stored in.
pub fn family(kind: Kind) -> Family {
    match kind {
        Kind::Counter | Kind::Sum { .. } => Family::Integer,
        Kind::Gauge => Family::Float,
    }
}

/// Merges the parts of one day: counters and sums add, of a gauge the part
/// added last wins.
pub struct DayMerge {
    values: Box<[i128; MINUTES]>,
    presence: Presence,
}

impl Default for DayMerge {
    fn default() -> Self {
        DayMerge {
            values: Box::new([0; MINUTES]),
            presence: Presence::new(),
        }
    }
}

impl DayMerge {
    /// Adds one cell; `value` is a number, or the bits of a gauge.
    pub fn add(&mut self, minute: u16, value: i128, kind: Kind) -> Result<()> {
        let slot = &mut self.values[usize::from(minute)];
        if kind == Kind::Gauge || !self.presence.get(minute) {
            self.presence.set(minute);
            *slot = value;
            return Ok(());
        }
        *slot = slot
            .checked_add(value)
            .ok_or_else(|| Error::new(ErrorKind::Limit, "a cell outgrows 128 bits"))?;
        Ok(())
    }

    /// Adds all cells of a page.
    pub fn add_page(&mut self, page: &Page, kind: Kind) -> Result<()> {
        let minutes = page.presence.iter();
        match &page.column {
            Column::Ints(values) => minutes
                .zip(values)
                .try_for_each(|(minute, value)| self.add(minute, i128::from(*value), kind)),
            Column::Wides(values) => minutes
                .zip(values)
                .try_for_each(|(minute, value)| self.add(minute, *value, kind)),
            Column::Floats(values) => minutes.zip(values).try_for_each(|(minute, value)| {
                self.add(minute, i128::from(value.to_bits()), kind)
            }),
        }
    }

    /// Whether nothing was added since the last page was taken.
    pub fn is_empty(&self) -> bool {
        self.presence.is_empty()
    }

    /// The merged day; the merge is empty again then.
    pub fn take(&mut self, kind: Kind) -> Page {
        let presence = std::mem::replace(&mut self.presence, Presence::new());
        let values = || {
            presence
                .iter()
                .map(|minute| self.values[usize::from(minute)])
        };
        let column = if kind == Kind::Gauge {
            Column::Floats(values().map(|bits| f64::from_bits(bits as u64)).collect())
        } else if values().all(|value| i64::try_from(value).is_ok()) {
            Column::Ints(values().map(|value| value as i64).collect())
        } else {
            Column::Wides(values().collect())
        };
        Page { presence, column }
    }
}
