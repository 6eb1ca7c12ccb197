//! Answers.

use std::fmt;
use std::ops::Range;

use crate::model::{Decimal, Minute, Name};
use crate::query::accumulate::float;

/// How a table tells time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Minutes since the Unix epoch.
    Minute,
    /// Minutes since the release went public.
    Age,
}

/// A decision metric that was left out since its window is not whole yet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Held {
    /// The release.
    pub release: Name,
    /// The metric.
    pub metric: Name,
    /// The minute from which it can be read; `None` beyond all minutes.
    pub opens_at: Option<Minute>,
}

/// An answer: columns, sorted by release, branch, metric and minute.
///
/// Rows that differ in nothing but minute and value are a [`Group`]: names are
/// kept once for it, not once for each row, and its minutes and values are
/// slices, ready to be copied into columns elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub(super) axis: Axis,
    pub(super) groups: Vec<GroupRows>,
    pub(super) minutes: Vec<u32>,
    pub(super) exact: Vec<i128>,
    pub(super) floats: Vec<f64>,
    pub(super) held: Vec<Held>,
    pub(super) notes: Vec<String>,
}

/// Where the rows of a group are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GroupRows {
    pub release: Option<Name>,
    pub branch: Option<Name>,
    pub metric: Option<Name>,
    /// Decimals of exact values; `None` for floats.
    pub decimals: Option<u8>,
    /// The first row.
    pub start: usize,
    pub rows: usize,
    /// The first value, among those of its sort.
    pub value: usize,
}

/// Rows that differ in minute and value alone.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Group<'a> {
    /// The release, or `*` for all of those asked for.
    pub release: &'a str,
    /// The branch, or `*` for all of those asked for.
    pub branch: &'a str,
    /// The metric, or `*` for all of those asked for.
    pub metric: &'a str,
    /// The first minute of each bucket, or its age, ascending.
    pub minutes: &'a [u32],
    /// As many values.
    pub values: Values<'a>,
}

/// The values of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values<'a> {
    /// Counters, sums, and numbers of cells: nothing is rounded.
    Exact {
        /// The numbers, in units of their last decimal.
        units: &'a [i128],
        /// Decimals of all of them.
        decimals: u8,
    },
    /// Gauges and rates; finite.
    Float(&'a [f64]),
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Of a counter, a sum, or a number of cells.
    Exact(Decimal),
    /// Of a gauge, or a rate; finite.
    Float(f64),
}

/// A row, for printing.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Row<'a> {
    /// The release, or `*`.
    pub release: &'a str,
    /// The branch, or `*`.
    pub branch: &'a str,
    /// The metric, or `*`.
    pub metric: &'a str,
    /// The first minute of the bucket, or its age.
    pub minute: u32,
    /// The value.
    pub value: Value,
}

impl Default for Table {
    /// An empty table, to be filled by [`Query::run_into`](crate::Query::run_into).
    fn default() -> Self {
        Table {
            axis: Axis::Minute,
            groups: Vec::new(),
            minutes: Vec::new(),
            exact: Vec::new(),
            floats: Vec::new(),
            held: Vec::new(),
            notes: Vec::new(),
        }
    }
}

impl Table {
    /// Empties it; its buffers stay.
    pub(super) fn restart(&mut self, axis: Axis) {
        self.axis = axis;
        self.groups.clear();
        self.minutes.clear();
        self.exact.clear();
        self.floats.clear();
        self.held.clear();
        self.notes.clear();
    }

    /// How time is told.
    #[must_use]
    pub fn axis(&self) -> Axis {
        self.axis
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.minutes.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty()
    }

    /// The groups, sorted by release, branch and metric.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = Group<'_>> {
        self.groups.iter().map(|group| Group {
            release: shown(&group.release),
            branch: shown(&group.branch),
            metric: shown(&group.metric),
            minutes: slice(&self.minutes, group.start..group.start + group.rows),
            values: {
                let range = group.value..group.value + group.rows;
                match group.decimals {
                    Some(decimals) => Values::Exact {
                        units: slice(&self.exact, range),
                        decimals,
                    },
                    None => Values::Float(slice(&self.floats, range)),
                }
            },
        })
    }

    /// The group of these names, `*` for those not grouped by.
    #[must_use]
    pub fn group(&self, release: &str, branch: &str, metric: &str) -> Option<Group<'_>> {
        self.groups()
            .find(|group| (group.release, group.branch, group.metric) == (release, branch, metric))
    }

    /// The rows, sorted by release, branch, metric and minute.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.groups().flat_map(|group| {
            group
                .minutes
                .iter()
                .enumerate()
                .filter_map(move |(index, minute)| {
                    Some(Row {
                        release: group.release,
                        branch: group.branch,
                        metric: group.metric,
                        minute: *minute,
                        value: group.values.get(index)?,
                    })
                })
        })
    }

    /// Decision metrics left out since their window is not whole, sorted.
    #[must_use]
    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// What else was left out and why, for people.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

fn shown(name: &Option<Name>) -> &str {
    name.as_deref().unwrap_or("*")
}

fn slice<T>(column: &[T], range: Range<usize>) -> &[T] {
    column.get(range).unwrap_or_default()
}

impl Values<'_> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Values::Exact { units, .. } => units.len(),
            Values::Float(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Value> {
        match self {
            Values::Exact { units, decimals } => {
                let units = *units.get(index)?;
                Some(Value::Exact(Decimal {
                    units,
                    decimals: *decimals,
                }))
            }
            Values::Float(values) => values.get(index).copied().map(Value::Float),
        }
    }
}

impl Value {
    /// The nearest float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Value::Exact(decimal) => decimal.to_f64(),
            Value::Float(value) => value,
        }
    }

    /// The value that stands for itself as an integer in a scan.
    pub(super) fn of(units: i128, decimals: Option<u8>) -> Value {
        match decimals {
            Some(decimals) => Value::Exact(Decimal { units, decimals }),
            None => Value::Float(float(units)),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Exact(decimal) => decimal.fmt(f),
            Value::Float(value) => value.fmt(f),
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} is a decision metric and held back",
            self.metric, self.release
        )?;
        match self.opens_at {
            Some(minute) => write!(f, " until {minute}"),
            None => f.write_str(" for ever"),
        }
    }
}
