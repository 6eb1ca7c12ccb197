//! A page: one series over one UTC day, as bytes. One byte of tags, which
//! minutes have a cell, and the cells' values.

use std::ops::Range;

use super::cold::{self, ColdMeta};
use super::cursor::{Corrupt, Cursor, Result};
use super::presence::{MINUTES, Presence};
use super::{gauge, pack, presence_code, wide};
use crate::limits::MINUTES_PER_DAY;

/// The most cells of a page.
pub const CELLS_MAX: usize = MINUTES_PER_DAY as usize;

/// Integers up to here, one for every cell of a page, add up to 64 bits.
const SMALL_MAX: i64 = i64::MAX / CELLS_MAX as i64;

/// The values of a page's cells, in the order of their minutes.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Counters and sums.
    Ints(Vec<i64>),
    /// Counters and sums of a page with a cell beyond 64 bits.
    Wides(Vec<i128>),
    /// Gauges; finite.
    Floats(Vec<f64>),
}

/// One series over one UTC day. The column has a value for every minute
/// present.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The minutes that have a cell.
    pub presence: Presence,
    /// Their values.
    pub column: Column,
}

/// What a page's values are, as the metric's kind says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Counters and sums: [`Column::Ints`] or [`Column::Wides`].
    Integer,
    /// Gauges: [`Column::Floats`].
    Float,
}

/// A page in a few numbers. Those of floats are bits: `sum` is the last value,
/// and all three are `f64::to_bits` as an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Cells of the page.
    pub cells: u32,
    /// Their sum; of floats the last one.
    pub sum: i128,
    /// The smallest of them.
    pub min: i128,
    /// The largest of them.
    pub max: i128,
}

impl Column {
    /// Values in the column.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Column::Ints(values) => values.len(),
            Column::Wides(values) => values.len(),
            Column::Floats(values) => values.len(),
        }
    }

    /// Whether the column has no values.
    #[must_use]
    #[cfg(any(test, feature = "internals"))]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The buffer of integers, with whatever is in it: all that is kept of it
    /// is written over. An empty column stays behind.
    pub(super) fn take_ints(&mut self) -> Vec<i64> {
        match std::mem::replace(self, Column::Ints(Vec::new())) {
            Column::Ints(values) => values,
            _ => Vec::new(),
        }
    }

    fn take_wides(&mut self) -> Vec<i128> {
        match std::mem::replace(self, Column::Wides(Vec::new())) {
            Column::Wides(values) => values,
            _ => Vec::new(),
        }
    }

    fn take_floats(&mut self) -> Vec<f64> {
        match std::mem::replace(self, Column::Floats(Vec::new())) {
            Column::Floats(values) => values,
            _ => Vec::new(),
        }
    }
}

impl Page {
    /// Whether two pages are the same to the last bit: gauges are compared as
    /// bits, so that 0.0 and -0.0 differ.
    pub fn same_bits(&self, other: &Page) -> bool {
        self.presence == other.presence
            && match (&self.column, &other.column) {
                (Column::Ints(own), Column::Ints(others)) => own == others,
                (Column::Wides(own), Column::Wides(others)) => own == others,
                (Column::Floats(own), Column::Floats(others)) => {
                    let bits = |(own, other): (&f64, &f64)| own.to_bits() == other.to_bits();
                    own.len() == others.len() && own.iter().zip(others).all(bits)
                }
                _ => false,
            }
    }

    /// A page without a cell.
    #[must_use]
    pub const fn new(family: Family) -> Self {
        Page {
            presence: Presence::new(),
            column: match family {
                Family::Integer => Column::Ints(Vec::new()),
                Family::Float => Column::Floats(Vec::new()),
            },
        }
    }
}

/// Appends the smallest encoding of `page` that needs no other bytes to be
/// read. The page has at least one cell.
pub fn encode(page: &Page, out: &mut Vec<u8>) {
    debug_assert_eq!(page.presence.count(), page.column.len());
    let tags_at = out.len();
    let presence = presence_code::Plan::of(&page.presence);
    out.push(0);
    presence.write(out);
    let column_tag = match &page.column {
        Column::Ints(values) => {
            let plan = pack::Plan::of(values);
            plan.write(values, out);
            plan.tag()
        }
        Column::Wides(values) => wide::write(values, out),
        Column::Floats(values) => gauge::write(values, out),
    };
    out[tags_at] = tags(presence.tag, column_tag);
}

/// The first byte of a page.
pub(super) fn tags(presence: u8, column: u8) -> u8 {
    presence | column << 4
}

/// Decodes a page into `out`, in the buffers it has. `cold` is what the page's
/// block keeps for its cold pages, if it has any.
///
/// # Errors
/// The first byte that is not what the format says; `out` is then empty.
pub fn decode(bytes: &[u8], family: Family, cold: Option<&ColdMeta>, out: &mut Page) -> Result<()> {
    decode_range(bytes, family, cold, 0..MINUTES, out)
}

/// As [`decode`], of the cells of `minutes` alone; unpacks little more. Damage
/// to other cells can go unnoticed.
///
/// # Errors
/// The first byte that is not what the format says; `out` is then empty.
pub fn decode_range(
    bytes: &[u8],
    family: Family,
    cold: Option<&ColdMeta>,
    minutes: Range<u16>,
    out: &mut Page,
) -> Result<()> {
    let decoded = decode_cells(bytes, family, cold, minutes, out);
    if decoded.is_err() {
        *out = Page::new(family);
    }
    decoded
}

fn decode_cells(
    bytes: &[u8],
    family: Family,
    cold: Option<&ColdMeta>,
    minutes: Range<u16>,
    out: &mut Page,
) -> Result<()> {
    let mut cursor = Cursor::new(bytes);
    let tags = cursor.u8();
    out.presence = presence_code::read(tags & 0xf, &mut cursor);
    cursor.check()?;
    let count = out.presence.count();
    let start = out.presence.rank(minutes.start);
    let length = out.presence.rank(minutes.end).saturating_sub(start);
    if length < count {
        out.presence.keep(minutes);
    }
    if length == 0 {
        *out = Page::new(family);
        return Ok(());
    }
    let from = &mut cursor;
    out.column = match (family, tags >> 4) {
        (Family::Integer, tag @ pack::CONSTANT..=pack::SPARSE) => {
            let mut values = out.column.take_ints();
            values.resize(length, 0);
            pack::read(tag, from, count, start, &mut values);
            Column::Ints(values)
        }
        (Family::Integer, tag @ wide::SPLIT..=wide::VARINTS) => {
            let mut values = out.column.take_wides();
            values.resize(length, 0);
            wide::read(tag, from, count, start, &mut values);
            Column::Wides(values)
        }
        (Family::Integer, cold::COLD) => {
            let mut values = out.column.take_ints();
            values.resize(length, 0);
            cold_meta(cold)?.read_ints(from, count, start, &mut values);
            Column::Ints(values)
        }
        (Family::Float, tag @ gauge::DECIMAL..=gauge::RAW) => {
            let mut values = out.column.take_floats();
            values.resize(length, 0.0);
            gauge::read(tag, from, count, start, &mut values);
            Column::Floats(values)
        }
        (Family::Float, cold::COLD) => {
            let mut values = out.column.take_floats();
            values.resize(length, 0.0);
            cold_meta(cold)?.read_floats(from, count, start, &mut values);
            Column::Floats(values)
        }
        _ => return Err(Corrupt::new(0, "a column that does not fit the metric")),
    };
    cursor.finish()
}

/// [`summarize`] of the cells of `minutes`, decoded in `scratch`.
///
/// # Errors
/// As [`decode_range`].
#[cfg(any(test, feature = "internals"))]
pub fn sum_range(
    bytes: &[u8],
    family: Family,
    cold: Option<&ColdMeta>,
    minutes: Range<u16>,
    scratch: &mut Page,
) -> Result<Summary> {
    decode_range(bytes, family, cold, minutes, scratch)?;
    Ok(summarize(scratch))
}

pub(super) fn cold_meta(cold: Option<&ColdMeta>) -> Result<&ColdMeta> {
    cold.ok_or(Corrupt::new(
        0,
        "a cold page in a block without cold metadata",
    ))
}

/// The page in a few numbers; all zero for a page without a cell.
#[must_use]
pub fn summarize(page: &Page) -> Summary {
    let (sum, min, max) = match &page.column {
        Column::Ints(values) => {
            let min = values.iter().copied().min().unwrap_or(0);
            let max = values.iter().copied().max().unwrap_or(0);
            // The sum of a page of values this small stays within 64 bits.
            let small = min >= -SMALL_MAX && max <= SMALL_MAX && values.len() <= CELLS_MAX;
            let sum = if small {
                i128::from(values.iter().sum::<i64>())
            } else {
                values.iter().map(|value| i128::from(*value)).sum()
            };
            (sum, min.into(), max.into())
        }
        // No sum of cells leaves 128 bits before 2^63 deltas; bytes forged with
        // their checksum get the end of the range.
        Column::Wides(values) => (
            values
                .iter()
                .fold(0, |sum: i128, value| sum.saturating_add(*value)),
            values.iter().min().copied().unwrap_or(0),
            values.iter().max().copied().unwrap_or(0),
        ),
        Column::Floats(values) => {
            let bits = |value: Option<f64>| value.map_or(0, |value| i128::from(value.to_bits()));
            let by_order = |a: &f64, b: &f64| a.total_cmp(b);
            (
                bits(values.last().copied()),
                bits(values.iter().copied().min_by(by_order)),
                bits(values.iter().copied().max_by(by_order)),
            )
        }
    };
    Summary {
        cells: page.column.len() as u32,
        sum,
        min,
        max,
    }
}
