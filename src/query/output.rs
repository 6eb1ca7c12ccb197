//! From series to rows: as they come where each is a group of its own, else
//! brought together group by group.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::engine::answers::Allowance;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::TABLE_ROWS_MAX;
use crate::model::Kind;
use crate::query::accumulate::{Join, Merged, Run, float};
use crate::query::name_cache::NameCache;
use crate::query::names::NONE;
use crate::query::rates::rates;
use crate::query::request::{Aggregate, GroupBy};
use crate::query::result::{GroupRows, Table};
use crate::query::scan::Task;

/// Release, branch and metric; [`NONE`] for what is not grouped by.
type Key = (u32, u32, u32);

/// A series read as it is: its kind, first minute, and where its rows begin.
type Direct = (Key, Kind, Option<u32>, usize);

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
    direct: Vec<Direct>,
    groups: BTreeMap<Key, GroupState>,
    exposures: BTreeMap<Key, GroupState>,
}

/// Bytes charged for a group that is brought together, beside its rows.
const GROUP_BYTES: usize = size_of::<(Key, GroupState)>() * 2;

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

    /// What the minutes of a bucket are said to be.
    pub fn label(&self, bucket: u32, first_minute: Option<u32>) -> u32 {
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
    pub fn reusing(table: &mut Table, shape: &Shape, allowance: Arc<Allowance>) -> Self {
        let mut output = Output::within(allowance);
        if shape.is_direct() {
            output.run.buckets = std::mem::take(&mut table.minutes);
            output.run.values = std::mem::take(&mut table.exact);
        }
        output
    }

    /// Nothing yet, in memory of an allowance.
    pub fn within(allowance: Arc<Allowance>) -> Self {
        let run = Run {
            allowance: Some(allowance),
            ..Run::default()
        };
        Output {
            run,
            ..Output::default()
        }
    }

    /// Makes room in a list of what becomes the answer.
    fn make_room<T>(&self, list: &mut Vec<T>, more: usize) -> Result<()> {
        let allowance = self.run.allowance.as_ref();
        allowance.map_or(Ok(()), |allowance| {
            allowance.make_room(list, more).map(drop)
        })
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
            if self.direct.len() == self.direct.capacity() {
                let mut direct = std::mem::take(&mut self.direct);
                self.make_room(&mut direct, 1)?;
                self.direct = direct;
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
        let group = match groups.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                if let Some(allowance) = &self.run.allowance {
                    allowance.hold(GROUP_BYTES)?;
                }
                new.insert(GroupState::default())
            }
        };
        group.check(gauge, 1, shape.aggregate)?;
        group.gauge |= gauge;
        let decimals = shape.decimals(task.kind).unwrap_or(0);
        group.merged.add(&self.run, decimals, task.join())
    }

    /// Takes what another thread has made of the series that follow.
    pub fn absorb(&mut self, other: Output, shape: &Shape) -> Result<()> {
        if shape.is_direct() {
            let offset = self.run.buckets.len();
            self.run.make_room(other.run.buckets.len())?;
            self.run.buckets.extend_from_slice(&other.run.buckets);
            self.run.values.extend_from_slice(&other.run.values);
            let mut direct = std::mem::take(&mut self.direct);
            self.make_room(&mut direct, other.direct.len())?;
            let moved = other.direct.iter();
            direct.extend(
                moved.map(|(key, kind, first, start)| (*key, *kind, *first, start + offset)),
            );
            self.direct = direct;
            let theirs = other.direct.capacity() * size_of::<Direct>();
            self.release(other.run.charged + theirs);
            return Ok(());
        }
        let mut given_back = 0;
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
                        let allowance = self.run.allowance.clone();
                        let join = join_groups(shape.aggregate);
                        own.merged.absorb(state.merged, join, allowance)?;
                        given_back += GROUP_BYTES;
                    }
                }
            }
        }
        self.release(given_back);
        Ok(())
    }

    /// Gives back what a group took, whose rows are elsewhere now.
    fn give_back(&self, group: &Merged) {
        self.release(group.charged + GROUP_BYTES);
    }

    fn release(&self, bytes: usize) {
        if let Some(allowance) = &self.run.allowance {
            allowance.release(bytes);
        }
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
        let mut exposures = std::mem::take(&mut self.exposures);
        for (key, mut state) in std::mem::take(&mut self.groups) {
            if shape.exposure.is_some() {
                if let Some(exposure) = exposures.get_mut(&(key.0, key.1, NONE)) {
                    let rates = rates(&mut state.merged, &mut exposure.merged, shape)?;
                    if !rates.is_empty() {
                        let group = names.group(key, self.run.allowance.as_deref())?;
                        self.push(group, None, rates.into_iter(), table)?;
                    }
                }
                self.give_back(&state.merged);
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
            let group = names.group(key, self.run.allowance.as_deref())?;
            self.push(group, decimals, rows.iter().map(labelled), table)?;
            self.give_back(&state.merged);
        }
        for exposure in exposures.values() {
            self.give_back(&exposure.merged);
        }
        Ok(())
    }

    fn flush_direct(
        &mut self,
        names: &mut NameCache<'_, '_>,
        shape: &Shape,
        table: &mut Table,
    ) -> Result<()> {
        let mut run = self.run.take();
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
        self.make_room(&mut table.groups, direct.len())?;
        for ((key, kind, _, start), end) in direct.iter().zip(ends) {
            let decimals = shape.decimals(*kind);
            let mut rows = names.group(*key, self.run.allowance.as_deref())?;
            rows.decimals = decimals;
            rows.start = first_row + start;
            rows.rows = end - start;
            let values = &run.values[*start..end];
            match decimals {
                _ if moved => rows.value = *start,
                Some(_) => {
                    rows.value = table.exact.len();
                    self.make_room(&mut table.exact, values.len())?;
                    table.exact.extend_from_slice(values);
                }
                None => {
                    rows.value = table.floats.len();
                    self.make_room(&mut table.floats, values.len())?;
                    table.floats.extend(values.iter().map(|bits| float(*bits)));
                }
            }
            table.groups.push(rows);
        }
        if moved {
            table.minutes = run.buckets;
            table.exact = run.values;
        } else if table.minutes.is_empty() {
            table.minutes = std::mem::take(&mut run.buckets);
            let stays = table.minutes.capacity() * size_of::<u32>();
            self.release(run.charged.saturating_sub(stays));
        } else {
            self.make_room(&mut table.minutes, run.buckets.len())?;
            table.minutes.append(&mut run.buckets);
            self.release(run.charged);
        }
        self.release(direct.capacity() * size_of::<Direct>());
        Ok(())
    }

    /// Appends a group's rows.
    fn push(
        &self,
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
        self.make_room(&mut table.groups, 1)?;
        self.make_room(&mut table.minutes, rows.len())?;
        group.value = if decimals.is_some() {
            self.make_room(&mut table.exact, rows.len())?;
            table.exact.len()
        } else {
            self.make_room(&mut table.floats, rows.len())?;
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
}

/// How values of several series come together.
fn join_groups(aggregate: Aggregate) -> Join {
    match aggregate {
        Aggregate::Total | Aggregate::Cells => Join::Add,
        Aggregate::Min => Join::Min,
        Aggregate::Max => Join::Max,
    }
}
