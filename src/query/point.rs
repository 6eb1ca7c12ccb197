//! One series, read without a table: what a loop over minutes needs.

use std::ops::Range;

use crate::codec::{Column, Page};
use crate::engine::merge::family;
use crate::engine::state::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MINUTE_END, MINUTES_PER_BUCKET, MINUTES_PER_DAY};
use crate::model::{Kind, Minute, Role, SeriesKey};
use crate::query::accumulate::{Join, Run};
use crate::query::gather::{Found, MEMTABLES, check_broken};
use crate::query::plan::{Window, segments_in};
use crate::query::request::Aggregate;
use crate::query::result::Value;
use crate::query::scan::{self, Scratch, Task};

/// A series of a [`Snapshot`], looked up once. Made by [`Snapshot::find`].
#[derive(Debug)]
pub struct StoredSeries<'a> {
    snapshot: &'a Snapshot,
    kind: Kind,
    /// By bucket, then age; memtables last.
    found: Vec<Found>,
}

/// Cells read from a series, in buffers that are used again. The default is
/// empty.
#[derive(Debug, Default)]
pub struct Cells {
    run: Run,
    scratch: Scratch,
    kind: Option<Kind>,
}

impl Snapshot {
    /// Looks up a series, to read it cell by cell. `None` where it has none.
    ///
    /// # Errors
    /// [`ErrorKind::Corruption`] where names are lost that may be this one's;
    /// [`ErrorKind::Held`] for a decision metric: ask for it with
    /// [`Snapshot::query`].
    pub fn find(&self, key: &SeriesKey) -> Result<Option<StoredSeries<'_>>> {
        let metric = self.state.catalogue.metric(&key.metric);
        if metric.is_some_and(|metric| metric.role() == Role::Decision) {
            return Err(Error::new(
                ErrorKind::Held,
                format!("{} is a decision metric and held back", key.metric),
            )
            .help("ask for it by a query, as of a minute at which its window is whole"));
        }
        self.find_any(&key.release, &key.branch, &key.metric)
    }

    /// As [`Snapshot::find`], decision metrics included: for guards, which
    /// can only stop a release.
    pub(crate) fn find_any(
        &self,
        release: &str,
        branch: &str,
        metric: &str,
    ) -> Result<Option<StoredSeries<'_>>> {
        let mut found = Vec::with_capacity(self.state.segments.len() + 1);
        let mut push = |source, index, kind| {
            found.push(Found { release: 0, branch: 0, metric: 0, source, index, kind });
        };
        for (segment, source) in self.state.segments.iter().zip(0..) {
            let series = segment.series()?;
            let index = series.find(release, branch, metric);
            if let Some((index, entry)) = index.and_then(|index| Some((index, series.entry(index)?))) {
                push(source, index as u32, entry.kind);
            }
        }
        if let Some(id) = self.series.find(release, branch, metric)
            && self.memtables().any(|memtable| memtable.contains(id))
        {
            push(MEMTABLES, id, self.series.info(id).kind);
        }
        let Some(first) = found.first() else { return Ok(None) };
        Ok(Some(StoredSeries { snapshot: self, kind: first.kind, found }))
    }
}

impl StoredSeries<'_> {
    /// How its deltas merge.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Reads the cells of these minutes.
    ///
    /// # Errors
    /// [`ErrorKind::Corruption`] where bytes of these minutes are damaged;
    /// [`ErrorKind::InvalidInput`] for minutes that run backwards. `cells` is
    /// empty then.
    pub fn read(&self, minutes: Range<Minute>, cells: &mut Cells) -> Result<()> {
        cells.run.restart();
        cells.kind = Some(self.kind);
        let result = self.read_into(minutes, cells);
        if result.is_err() {
            cells.run.restart();
        }
        result
    }

    fn read_into(&self, minutes: Range<Minute>, cells: &mut Cells) -> Result<()> {
        let (from, to) = (minutes.start.get(), minutes.end.get());
        if from > to {
            return Err(Error::invalid(format!(
                "the minutes from {} to {} run backwards",
                minutes.start, minutes.end
            )));
        }
        let window = Window {
            from: from.max(self.snapshot.state.floor),
            to,
            origin: 0,
            width: Some(1),
        };
        if window.is_empty() {
            return Ok(());
        }
        check_broken(self.snapshot, &(window.from..window.to))?;
        let task = Task { kind: self.kind, aggregate: Aggregate::Total, window, wants_first: false };
        let found = self.near(window.from..window.to);
        scan::read(self.snapshot, found, &task, &mut cells.scratch, &mut cells.run)
    }

    /// The sources that may have these minutes.
    fn near(&self, minutes: Range<u32>) -> &[Found] {
        let bucket = |index: usize| match self.found[index].source {
            MEMTABLES => u32::MAX,
            source => {
                let segment = self.snapshot.state.segments.get(source as usize);
                segment.map_or(u32::MAX, |segment| segment.meta().bucket)
            }
        };
        let near = segments_in(minutes, self.found.len(), bucket);
        let end = match self.found.last() {
            Some(last) if last.source == MEMTABLES => self.found.len(),
            _ => near.end,
        };
        // A memtable may be the only source near: then it stands right behind.
        if near.end == self.found.len() || end == near.end {
            return &self.found[near.start..end];
        }
        &self.found[near.start..]
    }

    /// The cell at a minute, if there is one.
    ///
    /// # Errors
    /// As [`StoredSeries::read`].
    pub fn get(&self, minute: Minute) -> Result<Option<Value>> {
        let mut page = Page::new(family(self.kind));
        let minute = minute.get();
        let state = &self.snapshot.state;
        if minute < state.floor || minute >= MINUTE_END {
            return Ok(None);
        }
        check_broken(self.snapshot, &(minute..minute + 1))?;
        let join = if self.kind == Kind::Gauge { Join::Last } else { Join::Add };
        let mut cell = None;
        let mut add = |value: i128| -> Result<()> {
            cell = Some(match cell {
                Some(old) => join.apply(old, value)?,
                None => value,
            });
            Ok(())
        };
        for found in &self.found {
            if found.source == MEMTABLES {
                for memtable in self.snapshot.memtables() {
                    let mut value = None;
                    memtable.visit(found.index, minute..minute + 1, |_, at| value = Some(at));
                    value.map_or(Ok(()), &mut add)?;
                }
                continue;
            }
            let Some(segment) = state.segments.get(found.source as usize) else { continue };
            if segment.meta().bucket != minute / MINUTES_PER_BUCKET {
                continue;
            }
            let block = segment.block(found.index as usize)?;
            let Some(index) = block.page_of_day(minute / MINUTES_PER_DAY) else { continue };
            block.decode(index, &mut page)?;
            let at = (minute % MINUTES_PER_DAY) as u16;
            if page.presence.get(at) {
                let rank = page.presence.rank(at);
                add(match &page.column {
                    Column::Ints(values) => values[rank].into(),
                    Column::Wides(values) => values[rank],
                    Column::Floats(values) => values[rank].to_bits().into(),
                })?;
            }
        }
        let decimals = (self.kind != Kind::Gauge).then(|| self.kind.decimals());
        Ok(cell.map(|cell| Value::of(cell, decimals)))
    }
}

impl Cells {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.run.buckets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.run.buckets.is_empty()
    }

    /// Their minutes, ascending.
    #[must_use]
    pub fn minutes(&self) -> &[u32] {
        &self.run.buckets
    }

    /// Their values: units of a counter's or sum's last decimal, or the bits of
    /// a gauge's floats.
    #[must_use]
    pub fn units(&self) -> &[i128] {
        &self.run.values
    }

    /// The cell at `index`, with its minute.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<(u32, Value)> {
        let kind = self.kind?;
        let decimals = (kind != Kind::Gauge).then(|| kind.decimals());
        let units = *self.run.values.get(index)?;
        Some((*self.run.buckets.get(index)?, Value::of(units, decimals)))
    }

    /// All cells with their minutes.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Value)> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}
