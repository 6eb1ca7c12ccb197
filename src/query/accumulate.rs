//! Bringing values of one bucket together: along one series, and over the
//! series of a group.

use std::sync::Arc;

use crate::engine::answers::Allowance;
use crate::error::{Error, ErrorKind, Result};
use crate::model::POWERS;

/// How two values of one bucket become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Exact addition, refused beyond 128 bits.
    Add,
    /// The lesser.
    Min,
    /// The greater.
    Max,
    /// The later.
    Last,
    /// The lesser of two floats, given by their bits.
    MinFloat,
    /// The greater of two floats, given by their bits.
    MaxFloat,
}

/// Ten to the power of `decimals`.
pub fn decimal_power(decimals: u8) -> i128 {
    POWERS
        .get(usize::from(decimals))
        .copied()
        .unwrap_or(i128::MAX)
}

/// A float from the bits that stand for it where integers do.
pub fn float(bits: i128) -> f64 {
    f64::from_bits(bits as u64)
}

fn beyond() -> Error {
    Error::new(
        ErrorKind::Limit,
        "an aggregate leaves the range of 128-bit integers",
    )
    .help("ask for shorter buckets or fewer series")
}

impl Join {
    /// `new` comes after `old`.
    #[inline]
    pub fn apply(self, old: i128, new: i128) -> Result<i128> {
        Ok(match self {
            Join::Add => old.checked_add(new).ok_or_else(beyond)?,
            Join::Min => old.min(new),
            Join::Max => old.max(new),
            Join::Last => new,
            Join::MinFloat if float(new).total_cmp(&float(old)).is_lt() => new,
            Join::MaxFloat if float(new).total_cmp(&float(old)).is_gt() => new,
            Join::MinFloat | Join::MaxFloat => old,
        })
    }
}

/// The buckets of a series, ascending, behind those of others.
#[derive(Debug, Default)]
pub struct Run {
    pub buckets: Vec<u32>,
    pub values: Vec<i128>,
    /// Where the series being read begins.
    pub start: usize,
    /// The first minute of the series being read, counted from the window's
    /// origin, where that is needed.
    pub first_minute: Option<u32>,
    /// What it may take, where that is bounded.
    pub allowance: Option<Arc<Allowance>>,
    /// Bytes it took of that: the memory of an earlier answer it has for nothing.
    pub charged: usize,
}

/// Rows beyond the last that are written for speed, and cut off again.
const ROWS_BEYOND: usize = 8;

impl Run {
    /// Makes room for so many more rows.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] beyond the memory that the answer may take.
    #[inline]
    pub fn make_room(&mut self, rows: usize) -> Result<()> {
        let capacity = self.values.capacity().min(self.buckets.capacity());
        let free = capacity.saturating_sub(self.buckets.len());
        if free >= rows + ROWS_BEYOND {
            return Ok(());
        }
        self.grow(rows)
    }

    #[cold]
    fn grow(&mut self, rows: usize) -> Result<()> {
        let Some(allowance) = &self.allowance else {
            return Ok(());
        };
        self.charged += allowance.make_room(&mut self.buckets, rows + ROWS_BEYOND)?;
        self.charged += allowance.make_room(&mut self.values, rows + ROWS_BEYOND)?;
        Ok(())
    }

    /// All of it, to leave an empty one.
    pub fn take(&mut self) -> Run {
        let allowance = self.allowance.clone();
        let empty = Run {
            allowance,
            ..Run::default()
        };
        std::mem::replace(self, empty)
    }

    /// Begins a series behind what is there.
    pub fn begin(&mut self) {
        self.start = self.buckets.len();
        self.first_minute = None;
    }

    /// Begins a series and forgets all others.
    pub fn restart(&mut self) {
        self.buckets.clear();
        self.values.clear();
        self.begin();
    }

    /// Adds a value; buckets come ascending.
    pub fn push(&mut self, bucket: u32, value: i128, join: Join) -> Result<()> {
        if self.buckets.len() > self.start
            && self.buckets.last() == Some(&bucket)
            && let Some(last) = self.values.last_mut()
        {
            *last = join.apply(*last, value)?;
            return Ok(());
        }
        debug_assert!(
            self.buckets[self.start..]
                .last()
                .is_none_or(|last| *last < bucket)
        );
        self.buckets.push(bucket);
        self.values.push(value);
        Ok(())
    }

    /// Whether the series being read has no cell so far.
    pub fn is_empty(&self) -> bool {
        self.buckets.len() == self.start
    }
}

/// Values found missing before they are merged in.
const PENDING_MIN: usize = 1_024;

/// The buckets of a group, from any number of series, in any order.
#[derive(Debug, Default)]
pub struct Merged {
    /// Sorted by bucket, each once.
    rows: Vec<(u32, i128)>,
    /// Buckets that `rows` lacks, as they came. Merging them in only once they
    /// are many keeps the cost of many sparse series down.
    pending: Vec<(u32, i128)>,
    /// Decimals of the values.
    pub decimals: u8,
    /// Series brought together.
    pub series: usize,
    /// The first minute with a cell, where that is needed.
    pub first_minute: Option<u32>,
    /// Bytes taken of an allowance.
    pub charged: usize,
}

impl Merged {
    /// Adds the series that `run` ends with.
    ///
    /// # Errors
    /// Beyond 128 bits, or the memory that the answer may take.
    pub fn add(&mut self, run: &Run, decimals: u8, join: Join) -> Result<()> {
        if run.is_empty() {
            return Ok(());
        }
        let factor = self.align(decimals)?;
        self.series += 1;
        self.first_minute = earlier(self.first_minute, run.first_minute);
        let mut at = 0;
        for (bucket, value) in run.buckets[run.start..]
            .iter()
            .zip(&run.values[run.start..])
        {
            // A checked product of 128 bits costs more than all else here.
            let value = match factor {
                1 => *value,
                factor => value.checked_mul(factor).ok_or_else(beyond)?,
            };
            at = self.seek(at, *bucket);
            match self.rows.get_mut(at) {
                Some((own, old)) if own == bucket => *old = join.apply(*old, value)?,
                None if self.pending.is_empty() => self.rows.push((*bucket, value)),
                _ => self.pending.push((*bucket, value)),
            }
        }
        if self.pending.len() > PENDING_MIN.max(self.rows.len()) {
            self.settle(join)?;
        }
        // One series late: room made ahead, for rows that mostly are there, costs a
        // third of the time.
        let bytes = (self.rows.capacity() + self.pending.capacity()) * size_of::<(u32, i128)>();
        if bytes > self.charged
            && let Some(allowance) = &run.allowance
        {
            allowance.hold(bytes - self.charged)?;
            self.charged = bytes;
        }
        Ok(())
    }

    /// Adds all of another group.
    ///
    /// # Errors
    /// Beyond 128 bits.
    pub fn absorb(
        &mut self,
        mut other: Merged,
        join: Join,
        allowance: Option<Arc<Allowance>>,
    ) -> Result<()> {
        other.settle(join)?;
        let (series, decimals) = (self.series + other.series, other.decimals);
        let run = Run {
            buckets: other.rows.iter().map(|row| row.0).collect(),
            values: other.rows.iter().map(|row| row.1).collect(),
            start: 0,
            first_minute: other.first_minute,
            allowance,
            charged: 0,
        };
        self.add(&run, decimals, join)?;
        self.series = series;
        if let Some(allowance) = &run.allowance {
            allowance.release(other.charged);
        }
        Ok(())
    }

    /// All rows, sorted.
    ///
    /// # Errors
    /// Beyond 128 bits.
    pub fn rows(&mut self, join: Join) -> Result<&[(u32, i128)]> {
        self.settle(join)?;
        Ok(&self.rows)
    }

    /// Brings values of `decimals` and those here to the larger of both; what
    /// the new ones must be multiplied by.
    fn align(&mut self, decimals: u8) -> Result<i128> {
        if self.series == 0 {
            self.decimals = decimals;
        }
        if decimals > self.decimals {
            let factor = decimal_power(decimals - self.decimals);
            for (_, value) in self.rows.iter_mut().chain(&mut self.pending) {
                *value = value.checked_mul(factor).ok_or_else(beyond)?;
            }
            self.decimals = decimals;
        }
        Ok(decimal_power(self.decimals - decimals))
    }

    /// The first row from `at` on that is not before `bucket`.
    fn seek(&self, at: usize, bucket: u32) -> usize {
        let rest = &self.rows[at..];
        // Neighbours first: most series have the same buckets.
        if rest.first().is_none_or(|row| row.0 >= bucket) {
            return at;
        }
        if rest.get(1).is_none_or(|row| row.0 >= bucket) {
            return at + 1;
        }
        at + rest.partition_point(|row| row.0 < bucket)
    }

    fn settle(&mut self, join: Join) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // Stable, so that the later value stays the later one.
        self.rows.append(&mut self.pending);
        self.rows.sort_by_key(|row| row.0);
        let mut failed = Ok(());
        self.rows.dedup_by(|next, kept| {
            if next.0 != kept.0 {
                return false;
            }
            match join.apply(kept.1, next.1) {
                Ok(value) => kept.1 = value,
                Err(error) => failed = Err(error),
            }
            true
        });
        failed
    }
}

/// The earlier of two minutes that may be missing.
pub fn earlier(left: Option<u32>, right: Option<u32>) -> Option<u32> {
    left.into_iter().chain(right).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn joining() {
        let bits = |value: f64| i128::from(value.to_bits());
        for (join, old, new, expected) in [
            (Join::Add, 1, 2, 3),
            (Join::Min, 1, 2, 1),
            (Join::Max, 1, 2, 2),
            (Join::Last, 2, 1, 1),
            (Join::MinFloat, bits(-1.0), bits(-2.0), bits(-2.0)),
            (Join::MaxFloat, bits(-0.0), bits(0.0), bits(0.0)),
        ] {
            assert_eq!(join.apply(old, new).unwrap(), expected, "{join:?}");
        }
        let error = Join::Add.apply(i128::MAX, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }

    #[test]
    fn scaling_beyond_128_bits_is_refused() {
        let mut group = Merged::default();
        let mut run = Run::default();
        run.push(0, i128::MAX / 2, Join::Add).unwrap();
        group.add(&run, 0, Join::Add).unwrap();
        run.restart();
        run.push(0, 1, Join::Add).unwrap();
        assert_eq!(
            group.add(&run, 9, Join::Add).unwrap_err().kind(),
            ErrorKind::Limit
        );
    }

    proptest! {
        #[test]
        fn a_group_is_the_sum_of_its_series(
            series in prop::collection::vec(
                (prop::collection::btree_map(0_u32..3_000, -100_i64..100, 0..400), 0_u8..4), 0..20),
            split in 0_usize..20,
        ) {
            let decimals = series.iter().filter(|(cells, _)| !cells.is_empty())
                .map(|(_, decimals)| *decimals).max().unwrap_or(0);
            let mut model: BTreeMap<u32, i128> = BTreeMap::new();
            let (mut group, mut other) = (Merged::default(), Merged::default());
            for (index, (cells, own)) in series.iter().enumerate() {
                let mut run = Run::default();
                for (bucket, value) in cells {
                    *model.entry(*bucket).or_default() +=
                        i128::from(*value) * decimal_power(decimals - (*own).min(decimals));
                    run.push(*bucket, (*value).into(), Join::Add).unwrap();
                }
                let group = if index < split { &mut group } else { &mut other };
                group.add(&run, *own, Join::Add).unwrap();
            }
            group.absorb(other, Join::Add, None).unwrap();
            let rows: Vec<(u32, i128)> = model.into_iter().collect();
            prop_assert_eq!(group.rows(Join::Add).unwrap(), &rows[..]);
            prop_assert_eq!(group.decimals, decimals);
            prop_assert_eq!(group.series, series.iter().filter(|(cells, _)| !cells.is_empty()).count());
        }
    }
}
