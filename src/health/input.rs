//! What health is computed from: definitions, and plain columns of cells.
//!
//! The caller (a query over a snapshot) sums what several stores, segments or
//! sources hold of the same cell; health never sees deltas.

use std::ops::Range;

use super::counted::sum;
use crate::error::{Error, Result};
use crate::model::{Metric, Minute, Name, Release};

/// The cells of one branch and metric, ascending by minute. Absent is not zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    minutes: Vec<u32>,
    units: Units,
}

/// Values in units of the metric's last decimal.
#[derive(Clone, Debug, PartialEq)]
pub enum Units {
    /// Where every cell fits into 64 bits.
    Ints(Vec<i64>),
    /// Where one does not.
    Wides(Vec<i128>),
}

impl Default for Units {
    fn default() -> Self {
        Units::Ints(Vec::new())
    }
}

impl Column {
    /// Cells of strictly ascending minutes (since the Unix epoch), a value each.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] where minutes do not ascend or the
    /// lengths differ.
    pub fn new(minutes: Vec<u32>, units: Units) -> Result<Self> {
        let values = match &units {
            Units::Ints(values) => values.len(),
            Units::Wides(values) => values.len(),
        };
        if values != minutes.len() {
            return Err(Error::invalid("a column needs one value a minute"));
        }
        if !minutes.is_sorted_by(|earlier, later| earlier < later) {
            return Err(Error::invalid("the minutes of a column must ascend"));
        }
        Ok(Column { minutes, units })
    }

    /// The first minute with a cell.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.minutes.first().copied()
    }

    /// The last minute with a cell.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.minutes.last().copied()
    }

    /// The last minute with a cell before `end`.
    pub(super) fn last_before(&self, end: u32) -> Option<u32> {
        let count = self.minutes.partition_point(|minute| *minute < end);
        self.minutes[..count].last().copied()
    }

    /// The exact sum over a range of minutes.
    #[must_use]
    pub fn sum(&self, minutes: Range<u32>) -> i128 {
        let from = self
            .minutes
            .partition_point(|minute| *minute < minutes.start);
        let to = self.minutes.partition_point(|minute| *minute < minutes.end);
        let cells = from..to.max(from);
        match &self.units {
            Units::Ints(values) => values[cells].chunks(1_024).map(sum).sum(),
            Units::Wides(values) => values[cells]
                .iter()
                .fold(0, |sum: i128, value| sum.saturating_add(*value)),
        }
    }

    /// The cells of a range of minutes.
    pub(super) fn cells(&self, minutes: Range<u32>) -> impl Iterator<Item = (u32, i128)> {
        let from = self
            .minutes
            .partition_point(|minute| *minute < minutes.start);
        let to = self.minutes.partition_point(|minute| *minute < minutes.end);
        (from..to).map(|at| {
            let units = match &self.units {
                Units::Ints(values) => values[at].into(),
                Units::Wides(values) => values[at],
            };
            (self.minutes[at], units)
        })
    }

    pub(super) fn minutes(&self) -> &[u32] {
        &self.minutes
    }

    pub(super) fn units(&self) -> &Units {
        &self.units
    }

    /// Cells there are.
    pub(super) fn len(&self) -> usize {
        self.minutes.len()
    }
}

/// The columns of one branch.
#[derive(Clone, Debug)]
pub struct BranchData {
    /// The branch.
    pub name: Name,
    /// Its metrics with cells.
    pub columns: Vec<(Name, Column)>,
}

/// An earlier release to compare with at the same age, all branches summed.
#[derive(Clone, Debug)]
pub struct Past {
    /// The release.
    pub name: Name,
    /// When it went public; its first minute with data where that is not known.
    pub public_from: Minute,
    /// Its metrics with cells.
    pub columns: Vec<(Name, Column)>,
}

/// One release as health sees it.
#[derive(Clone, Debug)]
pub struct Observations {
    /// Name, public minute, control, planned shares, decision window.
    pub release: Release,
    /// Every metric defined or met; gauges are left out of the report.
    pub metrics: Vec<Metric>,
    /// Every branch with a cell.
    pub branches: Vec<BranchData>,
    /// Minutes before this one are seen, none from it on.
    pub as_of: Minute,
    /// The minute before which every source's data are whole: the least of the
    /// watermarks declared; none where a source has declared none.
    pub whole_until: Option<Minute>,
    /// Earlier releases, for comparison with history.
    pub history: Vec<Past>,
}

/// How health is assessed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The control branch; else the one declared; else one named `control`.
    pub control: Option<Name>,
    /// The chance of a false alarm over the whole life of a release.
    pub alpha: f64,
    /// The ratio to control that is tolerated, at least 1.
    pub margin: f64,
    /// Read decision metrics before their window is whole (the caller records it).
    pub read_decisions: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            control: None,
            alpha: 0.05,
            margin: 1.1,
            read_decisions: false,
        }
    }
}

impl Options {
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for a number outside its range.
    pub(super) fn validate(&self) -> Result<()> {
        if !(self.margin >= 1.0 && self.margin <= 1e6) {
            return Err(Error::invalid(format!(
                "the margin is the ratio tolerated, from 1 to a million, not {:?}",
                self.margin
            ))
            .help("1.1 tolerates 10 % more"));
        }
        if !(self.alpha >= 1e-12 && self.alpha <= 0.5) {
            return Err(Error::invalid(format!(
                "alpha is the chance of a false alarm, from 1e-12 to 0.5, not {:?}",
                self.alpha
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_ascend() {
        assert!(Column::new(vec![1, 2], Units::Ints(vec![1])).is_err());
        assert!(Column::new(vec![2, 2], Units::Ints(vec![1, 1])).is_err());
        let column = Column::new(vec![3, 5, 9], Units::Wides(vec![1, -2, i128::MAX])).unwrap();
        assert_eq!(column.sum(0..6), -1);
        assert_eq!(column.sum(3..4), 1);
        assert_eq!(column.sum(0..u32::MAX), i128::MAX - 1);
    }

    #[test]
    fn options_have_ranges() {
        let with = |margin, alpha| {
            Options {
                margin,
                alpha,
                ..Options::default()
            }
            .validate()
        };
        assert!(with(1.1, 0.05).is_ok());
        for (margin, alpha) in [(0.9, 0.05), (f64::NAN, 0.05), (1.1, 0.0), (1.1, 0.9)] {
            assert_eq!(
                with(margin, alpha).unwrap_err().kind(),
                crate::ErrorKind::InvalidInput
            );
        }
    }
}
