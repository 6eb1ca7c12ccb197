//! One series, read without a table: what a loop over minutes needs.

use std::ops::Range;
use std::sync::OnceLock;

use crate::engine::state::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MINUTE_END, MINUTES_PER_DAY};
use crate::model::{Kind, Minute, Pattern, Role, SeriesKey};
use crate::query::accumulate::{Join, Run};
use crate::query::gather::{Choice, Found, check_broken, check_lost};
use crate::query::plan::{Window, segments_in};
use crate::query::request::Aggregate;
use crate::query::result::Value;
use crate::query::scan::{self, Scratch, Task};
use crate::query::source::{Stored, kept_block};
use crate::storage::segment::{Block, Segment};

/// A series of a [`Snapshot`], looked up once. Made by [`Snapshot::find`].
///
/// It keeps the headers of what it has read, so that reading again is faster,
/// and checks the checksum of a day when it reads that day first.
#[derive(Debug)]
pub struct StoredSeries<'a> {
    snapshot: &'a Snapshot,
    kind: Kind,
    /// By bucket, then age.
    stored: Vec<Found>,
    /// As many blocks, once they are read.
    blocks: Vec<OnceLock<Box<Block<'a>>>>,
    /// Its number in memtables, where they have cells of it.
    recent: Option<u32>,
    /// Minutes in which cells are lost, and why.
    lost: Vec<(Range<u32>, Error)>,
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
        let patterns = [release, branch, metric].map(|name| [Pattern::exactly(name)]);
        let choice = Choice {
            releases: &patterns[0],
            branches: &patterns[1],
            metrics: &patterns[2],
        };
        let mut kind = self
            .state
            .catalogue
            .metric(metric)
            .map(|metric| metric.kind);
        let (mut stored, mut lost) = (Vec::new(), Vec::new());
        for (segment, source) in self.state.segments.iter().zip(0..) {
            let meta = segment.meta();
            let minutes = meta.first_minute..meta.last_minute + 1;
            if let Err(error) = check_lost(segment, &minutes, choice) {
                lost.push((minutes, error));
            }
            let Ok(series) = segment.series() else {
                continue;
            };
            let index = series.find(release, branch, metric);
            if let Some((index, entry)) =
                index.and_then(|index| Some((index, series.entry(index)?)))
            {
                let (index, kind) = (index as u32, *kind.insert(entry.kind));
                stored.push(Found {
                    release: 0,
                    branch: 0,
                    metric: 0,
                    source,
                    index,
                    kind,
                });
            }
        }
        let recent = self.series.find(release, branch, metric);
        let recent = recent.filter(|id| self.memtables().any(|memtable| memtable.contains(*id)));
        let kind = recent.map(|id| self.series.kind(id)).or(kind);
        let none = stored.is_empty() && recent.is_none() && lost.is_empty();
        let series = |kind| StoredSeries {
            snapshot: self,
            kind,
            blocks: stored.iter().map(|_| OnceLock::new()).collect(),
            stored,
            recent,
            lost,
        };
        Ok(kind.filter(|_| !none).map(series))
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
        let minutes = window.from..window.to;
        self.check(&minutes)?;
        let task = Task {
            kind: self.kind,
            aggregate: Aggregate::Total,
            window,
            wants_first: false,
        };
        let near = segments_in(minutes, self.stored.len(), |index| self.bucket(index));
        let Cells { run, scratch, .. } = cells;
        let stored = Stored {
            found: &self.stored[near.clone()],
            kept: &self.blocks[near],
        };
        scan::read(self.snapshot, stored, self.recent, &task, scratch, run)
    }

    /// Where it lies, by bucket, then age.
    pub(super) fn stored(&self) -> &[Found] {
        &self.stored
    }

    /// Its cells in memtables, ascending.
    pub(super) fn collect(&self, window: &Window, cells: &mut Vec<(u32, i128)>) -> Result<()> {
        self.recent.map_or(Ok(()), |id| {
            let minutes = scan::recent_span(self.snapshot, id, window);
            scan::collect(self.snapshot, id, minutes, self.kind, cells)
        })
    }

    /// The first minute that is retained.
    pub(super) fn floor(&self) -> u32 {
        self.snapshot.state.floor
    }

    pub(super) fn segment(&self, found: &Found) -> Option<&Segment> {
        let segment = self.snapshot.state.segments.get(found.source as usize)?;
        Some(segment)
    }

    /// # Errors
    /// Where cells of these minutes can not be read or are lost.
    pub(super) fn check(&self, minutes: &Range<u32>) -> Result<()> {
        let lost =
            |(lost, _): &&(Range<u32>, Error)| lost.start < minutes.end && minutes.start < lost.end;
        if let Some((_, error)) = self.lost.iter().find(lost) {
            return Err(error.shared());
        }
        check_broken(self.snapshot, minutes)
    }

    /// The time bucket of a source.
    pub(super) fn bucket(&self, index: usize) -> u32 {
        let segments = &self.snapshot.state.segments;
        let segment = segments.get(self.stored[index].source as usize);
        segment.map_or(u32::MAX, |segment| segment.meta().bucket)
    }

    /// The cell at a minute, if there is one.
    ///
    /// # Errors
    /// As [`StoredSeries::read`].
    pub fn get(&self, minute: Minute) -> Result<Option<Value>> {
        let minute = minute.get();
        let state = &self.snapshot.state;
        if minute < state.floor || minute >= MINUTE_END {
            return Ok(None);
        }
        let minutes = minute..minute + 1;
        self.check(&minutes)?;
        let join = if self.kind == Kind::Gauge {
            Join::Last
        } else {
            Join::Add
        };
        let mut cell = None;
        let mut add = |value: i128| -> Result<()> {
            cell = Some(match cell {
                Some(old) => join.apply(old, value)?,
                None => value,
            });
            Ok(())
        };
        let near = segments_in(minutes.clone(), self.stored.len(), |index| {
            self.bucket(index)
        });
        for index in near {
            let found = &self.stored[index];
            let Some(segment) = state.segments.get(found.source as usize) else {
                continue;
            };
            let block = kept_block(segment, found.index as usize, &self.blocks[index])?;
            let entry = block.entry();
            if !(entry.first_minute..=entry.last_minute).contains(&minute) {
                continue;
            }
            if let Some(page) = block.page_of_day(minute / MINUTES_PER_DAY) {
                let at = (minute % MINUTES_PER_DAY) as u16;
                block.cell(page, at)?.map_or(Ok(()), &mut add)?;
            }
        }
        for (memtable, id) in self
            .snapshot
            .memtables()
            .zip(std::iter::repeat(self.recent))
        {
            let Some(id) = id else { break };
            let mut value = None;
            memtable.visit(id, minutes.clone(), |_, at| value = Some(at));
            value.map_or(Ok(()), &mut add)?;
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
