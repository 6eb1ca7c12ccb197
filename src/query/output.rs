//! From series to rows: as they come where each is a group of its own, else
//! brought together group by group.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::TABLE_ROWS_MAX;
use crate::model::{Kind, Name};
use crate::query::accumulate::{Join, Merged, Run, decimal_power, float};
use crate::query::gather::Names;
use crate::query::names::NONE;
use crate::query::request::{Aggregate, GroupBy};
use crate::query::result::{GroupRows, Table};
use crate::query::scan::Task;

/// Release, branch and metric; [`NONE`] for what is not grouped by.
type Key = (u32, u32, u32);

/// What a query makes of the series it reads.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub by: GroupBy,
    pub aggregate: Aggregate,
    /// Minutes of a bucket; `None` for one with everything.
    pub width: Option<u32>,
    /// Where that one is said to begin.
    pub whole_starts: Option<u32>,
    /// The exposure metric of a rate.
    pub exposure: Option<u32>,
}

/// Rows on their way to a table, of some series or of all.
#[derive(Default)]
pub struct Output {
    /// Series read one behind the other, or the last one alone.
    pub run: Run,
    direct: Vec<(Key, Kind, Option<u32>, usize)>,
    groups: BTreeMap<Key, GroupState>,
    exposures: BTreeMap<Key, GroupState>,
}

#[derive(Default)]
struct GroupState {
    merged: Merged,
    gauge: bool,
}

impl GroupState {
    /// # Errors
    /// Where gauges of several series would come together.
    fn check(&self, gauge: bool, series: usize, aggregate: Aggregate) -> Result<()> {
        let several = self.merged.series > 0 && series > 0;
        if several && (gauge || self.gauge) && aggregate != Aggregate::Cells {
            return Err(Error::invalid("gauges of several series can not be merged")
                .help("group by release, branch and metric, or name the one series meant"));
        }
        Ok(())
    }
}

impl Shape {
    fn is_direct(&self) -> bool {
        self.by == GroupBy::ALL && self.exposure.is_none()
    }

    fn key(&self, (release, branch, metric): Key) -> Key {
        let shown = |by: bool, name: u32| if by { name } else { NONE };
        (
            shown(self.by.release, release),
            shown(self.by.branch, branch),
            shown(self.by.metric, metric),
        )
    }

    /// The decimals of values of a kind; `None` for floats.
    fn decimals(&self, kind: Kind) -> Option<u8> {
        match (self.aggregate, kind) {
            (Aggregate::Cells, _) => Some(0),
            (_, Kind::Gauge) => None,
            (_, kind) => Some(kind.decimals()),
        }
    }

    fn label(&self, bucket: u32, first_minute: Option<u32>) -> u32 {
        match self.width {
            Some(width) => bucket.saturating_mul(width),
            None => self.whole_starts.or(first_minute).unwrap_or(0),
        }
    }
}

fn too_many() -> Error {
    Error::new(
        ErrorKind::Limit,
        format!("the answer has more than {TABLE_ROWS_MAX} rows"),
    )
    .help("ask for longer buckets, fewer minutes or fewer series")
}

impl Output {
    /// Nothing yet, in the buffers of an empty table where its rows go there
    /// as they are.
    pub fn reusing(table: &mut Table, shape: &Shape) -> Self {
        let mut output = Output::default();
        if shape.is_direct() {
            output.run.buckets = std::mem::take(&mut table.minutes);
            output.run.values = std::mem::take(&mut table.exact);
        }
        output
    }

    /// Begins a series in [`Output::run`].
    pub fn begin(&mut self, shape: &Shape) {
        if shape.is_direct() {
            self.run.begin();
        } else {
            self.run.restart();
        }
    }

    /// Takes the series that was read into [`Output::run`].
    pub fn end(&mut self, series: Key, task: &Task, shape: &Shape) -> Result<()> {
        if self.run.is_empty() {
            return Ok(());
        }
        if shape.is_direct() {
            if self.run.buckets.len() > TABLE_ROWS_MAX {
                return Err(too_many());
            }
            self.direct
                .push((series, task.kind, self.run.first_minute, self.run.start));
            return Ok(());
        }
        let gauge = task.kind == Kind::Gauge;
        let mut key = shape.key(series);
        let groups = if shape.exposure == Some(series.2) {
            key.2 = NONE;
            &mut self.exposures
        } else {
            &mut self.groups
        };
        let group = groups.entry(key).or_default();
        group.check(gauge, 1, shape.aggregate)?;
        group.gauge |= gauge;
        let decimals = shape.decimals(task.kind).unwrap_or(0);
        group.merged.add(&self.run, decimals, task.join())
    }

    /// Takes what another thread has made of the series that follow.
    pub fn absorb(&mut self, other: Output, shape: &Shape) -> Result<()> {
        if shape.is_direct() {
            let offset = self.run.buckets.len();
            self.run.buckets.extend_from_slice(&other.run.buckets);
            self.run.values.extend_from_slice(&other.run.values);
            let moved = other.direct.into_iter();
            self.direct
                .extend(moved.map(|(key, kind, first, start)| (key, kind, first, start + offset)));
            return Ok(());
        }
        for (mine, others) in [
            (&mut self.groups, other.groups),
            (&mut self.exposures, other.exposures),
        ] {
            for (key, state) in others {
                match mine.entry(key) {
                    Entry::Vacant(vacant) => {
                        vacant.insert(state);
                    }
                    Entry::Occupied(mut own) => {
                        let own = own.get_mut();
                        own.check(state.gauge, state.merged.series, shape.aggregate)?;
                        own.gauge |= state.gauge;
                        own.merged
                            .absorb(state.merged, join_groups(shape.aggregate))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Moves all rows to the table.
    pub fn flush(
        &mut self,
        names: &mut NameCache<'_, '_>,
        shape: &Shape,
        table: &mut Table,
    ) -> Result<()> {
        if shape.is_direct() {
            return self.flush_direct(names, shape, table);
        }
        for (key, mut state) in std::mem::take(&mut self.groups) {
            if shape.exposure.is_some() {
                if let Some(exposure) = self.exposures.get_mut(&(key.0, key.1, NONE)) {
                    push_rates(&mut state, exposure, key, names, shape, table)?;
                }
                continue;
            }
            let decimals = if state.gauge && shape.aggregate != Aggregate::Cells {
                None
            } else {
                Some(state.merged.decimals)
            };
            let first_minute = state.merged.first_minute;
            let rows = state.merged.rows(join_groups(shape.aggregate))?;
            let labelled =
                |(bucket, value): &(u32, i128)| (shape.label(*bucket, first_minute), *value);
            push(
                names.group(key)?,
                decimals,
                rows.iter().map(labelled),
                table,
            )?;
        }
        self.exposures.clear();
        Ok(())
    }

    fn flush_direct(
        &mut self,
        names: &mut NameCache<'_, '_>,
        shape: &Shape,
        table: &mut Table,
    ) -> Result<()> {
        let mut run = std::mem::take(&mut self.run);
        let direct = std::mem::take(&mut self.direct);
        if table.len() + run.buckets.len() > TABLE_ROWS_MAX {
            return Err(too_many());
        }
        let ends = direct
            .iter()
            .skip(1)
            .map(|series| series.3)
            .chain([run.buckets.len()]);
        for ((_, _, first_minute, start), end) in direct.iter().zip(ends.clone()) {
            if shape.width != Some(1) {
                for bucket in &mut run.buckets[*start..end] {
                    *bucket = shape.label(*bucket, *first_minute);
                }
            }
        }
        // One batch of integers, as mostly, is handed over as it is.
        let moved = table.is_empty()
            && direct
                .iter()
                .all(|series| shape.decimals(series.1).is_some());
        let first_row = table.minutes.len();
        table.groups.reserve(direct.len());
        for ((key, kind, _, start), end) in direct.iter().zip(ends) {
            let decimals = shape.decimals(*kind);
            let mut rows = names.group(*key)?;
            rows.decimals = decimals;
            rows.start = first_row + start;
            rows.rows = end - start;
            let values = &run.values[*start..end];
            match decimals {
                _ if moved => rows.value = *start,
                Some(_) => {
                    rows.value = table.exact.len();
                    table.exact.extend_from_slice(values);
                }
                None => {
                    rows.value = table.floats.len();
                    table.floats.extend(values.iter().map(|bits| float(*bits)));
                }
            }
            table.groups.push(rows);
        }
        if moved {
            table.minutes = run.buckets;
            table.exact = run.values;
        } else if table.minutes.is_empty() {
            table.minutes = run.buckets;
        } else {
            table.minutes.append(&mut run.buckets);
        }
        Ok(())
    }
}

/// How values of several series come together.
fn join_groups(aggregate: Aggregate) -> Join {
    match aggregate {
        Aggregate::Total | Aggregate::Cells => Join::Add,
        Aggregate::Min => Join::Min,
        Aggregate::Max => Join::Max,
    }
}

/// Appends a group's rows.
fn push(
    mut group: GroupRows,
    decimals: Option<u8>,
    rows: impl ExactSizeIterator<Item = (u32, i128)>,
    table: &mut Table,
) -> Result<()> {
    group.decimals = decimals;
    group.start = table.minutes.len();
    group.rows = rows.len();
    if group.start + group.rows > TABLE_ROWS_MAX {
        return Err(too_many());
    }
    group.value = if decimals.is_some() {
        table.exact.len()
    } else {
        table.floats.len()
    };
    for (minute, value) in rows {
        table.minutes.push(minute);
        match decimals {
            Some(_) => table.exact.push(value),
            None => table.floats.push(float(value)),
        }
    }
    table.groups.push(group);
    Ok(())
}

/// Appends a group's rates: buckets without exposure have none.
fn push_rates(
    state: &mut GroupState,
    exposure: &mut GroupState,
    key: Key,
    names: &mut NameCache<'_, '_>,
    shape: &Shape,
    table: &mut Table,
) -> Result<()> {
    let (decimals, exposure_decimals) = (state.merged.decimals, exposure.merged.decimals);
    let first_minute = state.merged.first_minute;
    let mut exposures = exposure.merged.rows(Join::Add)?.iter().peekable();
    let mut rates = Vec::new();
    for (bucket, total) in state.merged.rows(Join::Add)? {
        while exposures.next_if(|row| row.0 < *bucket).is_some() {}
        let Some((_, exposed)) = exposures.next_if(|row| row.0 == *bucket && row.1 != 0) else {
            continue;
        };
        let rate = rate((*total, decimals), (*exposed, exposure_decimals));
        rates.push((
            shape.label(*bucket, first_minute),
            i128::from(rate.to_bits()),
        ));
    }
    if rates.is_empty() {
        return Ok(());
    }
    push(names.group(key)?, None, rates.into_iter(), table)
}

/// What one total is for each 1,000 of another, which is not zero.
pub fn rate((total, decimals): (i128, u8), (exposed, exposed_decimals): (i128, u8)) -> f64 {
    let over = total.checked_mul(1_000 * decimal_power(exposed_decimals));
    let under = exposed.checked_mul(decimal_power(decimals));
    match over.zip(under) {
        // Rounded three times: each integer once, and the quotient.
        Some((over, under)) => over as f64 / under as f64,
        None => {
            let scale = decimal_power(exposed_decimals) as f64 / decimal_power(decimals) as f64;
            total as f64 / exposed as f64 * (1_000.0 * scale)
        }
    }
}

/// Names of a table, made once each.
pub struct NameCache<'n, 'a> {
    names: &'n Names<'a>,
    known: [BTreeMap<u32, Name>; 3],
}

impl<'n, 'a> NameCache<'n, 'a> {
    pub fn new(names: &'n Names<'a>) -> Self {
        NameCache {
            names,
            known: Default::default(),
        }
    }

    fn group(&mut self, key: Key) -> Result<GroupRows> {
        let names = self.names;
        let mut name = |sort: usize, list: &[&str], index: u32| -> Result<Option<Name>> {
            if index == NONE {
                return Ok(None);
            }
            let name = match self.known[sort].entry(index) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(new) => {
                    let text = list.get(index as usize).copied().unwrap_or_default();
                    new.insert(Name::new(text)?).clone()
                }
            };
            Ok(Some(name))
        };
        Ok(GroupRows {
            release: name(0, &names.releases, key.0)?,
            branch: name(1, &names.branches, key.1)?,
            metric: name(2, &names.metrics, key.2)?,
            decimals: None,
            start: 0,
            rows: 0,
            value: 0,
        })
    }
}
