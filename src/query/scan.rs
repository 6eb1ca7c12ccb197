//! Reading one series: aggregates where nothing cuts them, cells where
//! something does, and cells brought together where several sources have
//! parts of one day.

use std::ops::Range;

use crate::codec::Page;
use crate::engine::merge::family;
use crate::engine::state::Snapshot;
use crate::error::{Error, Result};
use crate::limits::{MINUTES_PER_BUCKET, MINUTES_PER_DAY};
use crate::model::Kind;
use crate::query::accumulate::{Join, Run, earlier};
use crate::query::ahead::{Ahead, Wanted};
use crate::query::fold::fold;
use crate::query::gather::{Found, MEMTABLES};
use crate::query::overlay::{overlay, page_of_cells};
use crate::query::plan::{Part, Window};
use crate::query::request::Aggregate;
use crate::query::source::{Held, Source, Stored};
use crate::query::sum_day::sum_day;
use crate::storage::planted::{Bug, planted};
use crate::storage::segment::{PageInfo, Segment};

/// How a series is read.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub kind: Kind,
    pub aggregate: Aggregate,
    pub window: Window,
    /// Whether the first minute with a cell is wanted.
    pub wants_first: bool,
}

impl Task {
    /// Whether parts of a bucket add up, wherever they lie.
    pub fn additive(&self) -> bool {
        self.aggregate == Aggregate::Total && self.kind != Kind::Gauge
    }

    /// How values of one bucket become one.
    pub fn join(&self) -> Join {
        match (self.aggregate, self.kind) {
            (Aggregate::Total, Kind::Gauge) => Join::Last,
            (Aggregate::Total | Aggregate::Cells, _) => Join::Add,
            (Aggregate::Min, Kind::Gauge) => Join::MinFloat,
            (Aggregate::Max, Kind::Gauge) => Join::MaxFloat,
            (Aggregate::Min, _) => Join::Min,
            (Aggregate::Max, _) => Join::Max,
        }
    }

    fn of_page(&self, page: &PageInfo) -> i128 {
        match self.aggregate {
            // Of a gauge the last one.
            Aggregate::Total => page.sum,
            Aggregate::Cells => page.cells.into(),
            Aggregate::Min => page.min,
            Aggregate::Max => page.max,
        }
    }
}

/// Buffers kept from one series to the next.
#[derive(Default)]
pub struct Scratch {
    /// A day as it is decoded, and two to bring parts of one together.
    page: Option<Page>,
    merged: Option<Page>,
    spare: Option<Page>,
    pub(super) ahead: Ahead,
    /// Cells of memtables in one time bucket, ascending.
    cells: Vec<(u32, i128)>,
    /// The pages of one day: which block, which page of it.
    pub(super) pages: Vec<(usize, usize)>,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

/// Reads a series to the end of `run`: from the segments in which it lies,
/// ascending, and from memtables, where it has the number `recent`.
///
/// # Errors
/// Damage to bytes that are needed; a sum beyond 128 bits.
pub fn read<'a>(
    snapshot: &'a Snapshot,
    stored: Stored<'_, 'a>,
    recent: Option<u32>,
    task: &Task,
    scratch: &mut Scratch,
    run: &mut Run,
) -> Result<()> {
    let segments = &snapshot.state.segments;
    let mut recent_minutes = recent.map_or(0..0, |id| recent_span(snapshot, id, &task.window));
    let kept = stored.kept.iter().map(Some).chain(std::iter::repeat(None));
    let mut sources = Vec::with_capacity(stored.found.len());
    let mut stored = stored.found.iter().zip(kept).peekable();
    let bucket_of = |found: &Found| {
        segments
            .get(found.source as usize)
            .map(|one| one.meta().bucket)
    };
    loop {
        let next_stored = stored.peek().and_then(|(found, _)| bucket_of(found));
        let next_recent =
            (!recent_minutes.is_empty()).then_some(recent_minutes.start / MINUTES_PER_BUCKET);
        let Some(bucket) = earlier(next_stored, next_recent) else {
            return Ok(());
        };
        sources.clear();
        while let Some((found, kept)) =
            stored.next_if(|(found, _)| bucket_of(found) == Some(bucket))
        {
            let segment: &Segment = &segments[found.source as usize];
            let index = found.index as usize;
            if let Some(entry) = segment.series()?.entry(index)
                && task.window.touches(entry.first_minute, entry.last_minute)
            {
                sources.push(Source {
                    segment,
                    index,
                    entry,
                    kept,
                });
            }
        }
        scratch.cells.clear();
        if let Some(id) = recent.filter(|_| next_recent == Some(bucket)) {
            let end = (bucket + 1) * MINUTES_PER_BUCKET;
            let minutes = recent_minutes.start..recent_minutes.end.min(end);
            recent_minutes.start = minutes.end;
            collect(snapshot, id, minutes, task.kind, &mut scratch.cells)?;
        }
        read_bucket(&mut sources, task, scratch, run)?;
    }
}

/// The minutes of the window in which a series may have cells in memtables.
pub fn recent_span(snapshot: &Snapshot, id: u32, window: &Window) -> Range<u32> {
    let spans = snapshot
        .memtables()
        .filter_map(|memtable| memtable.series_span(id));
    let span = spans.reduce(|left, right| (left.0.min(right.0), left.1.max(right.1)));
    span.map_or(0..0, |(first, last)| window.clip(first..last + 1))
}

/// The cells of a series in all memtables, ascending.
///
/// # Errors
/// A cell beyond 128 bits.
pub fn collect(
    snapshot: &Snapshot,
    id: u32,
    minutes: Range<u32>,
    kind: Kind,
    cells: &mut Vec<(u32, i128)>,
) -> Result<()> {
    let mut sources = 0;
    for memtable in snapshot.memtables() {
        let before = cells.len();
        memtable.visit(id, minutes.clone(), |minute, value| {
            cells.push((minute, value))
        });
        sources += usize::from(cells.len() > before);
    }
    if sources > 1 {
        let join = if kind == Kind::Gauge {
            Join::Last
        } else {
            Join::Add
        };
        let mut failed = Ok(());
        if planted(Bug::GaugesSortedUnstably) {
            cells.sort_unstable_by_key(|cell| cell.0);
        }
        // Stable: of a gauge the later memtable's cell has to stay the later one.
        cells.sort_by_key(|cell| cell.0);
        cells.dedup_by(|next, kept| {
            if next.0 != kept.0 {
                return false;
            }
            match join.apply(kept.1, next.1) {
                Ok(value) => kept.1 = value,
                Err(error) => failed = Err(error),
            }
            true
        });
        failed?;
    }
    Ok(())
}

/// Reads what lies in one time bucket of the store.
fn read_bucket(
    sources: &mut Vec<Source<'_, '_>>,
    task: &Task,
    scratch: &mut Scratch,
    run: &mut Run,
) -> Result<()> {
    let window = &task.window;
    if sources.iter().any(|source| source.entry.kind != task.kind) {
        return Err(Error::corruption("a series is of two kinds"));
    }
    let cells = std::mem::take(&mut scratch.cells);
    let recent = cells
        .first()
        .zip(cells.last())
        .map(|(first, last)| (first.0, last.0));
    let spans = sources
        .iter()
        .map(|source| (source.entry.first_minute, source.entry.last_minute));
    let spans = spans.chain(recent);
    let Some((first, last)) = spans.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1))) else {
        scratch.cells = cells;
        return Ok(());
    };
    if task.wants_first && run.first_minute.is_none() {
        let first = first_minute(sources, recent.map(|span| span.0), window, scratch)?;
        run.first_minute = first.map(|minute| minute - window.origin);
    }
    let count = |source: &Source<'_, '_>| source.entry.cells as usize;
    let most = cells.len() + sources.iter().map(count).sum::<usize>();
    run.make_room(window.buckets_in(first, last).min(most))?;
    let only = window.only_bucket(first, last);
    let alone = sources.len() == 1 && cells.is_empty();
    if let Some(bucket) = only
        && (task.additive() || alone)
    {
        let join = task.join();
        let mut failed = Ok(());
        sources.retain(|source| {
            let entry = &source.entry;
            let value = match task.aggregate {
                Aggregate::Total => entry.sum,
                Aggregate::Cells => entry.cells.into(),
                // Known of pages alone.
                Aggregate::Min | Aggregate::Max => return true,
            };
            let whole = window.part(entry.first_minute, entry.last_minute) == Part::Whole(bucket);
            if whole && failed.is_ok() {
                failed = run.push(bucket, value, join);
            }
            !whole
        });
        failed?;
    }
    let blocks = sources.iter().map(Source::block);
    let blocks = blocks.collect::<Result<Vec<_>>>()?;
    let result = read_days(&blocks, &cells, first..last + 1, task, scratch, run);
    scratch.cells = cells;
    result
}

/// Reads what is left of one time bucket, day by day.
fn read_days(
    blocks: &[Held<'_, '_>],
    cells: &[(u32, i128)],
    minutes: Range<u32>,
    task: &Task,
    scratch: &mut Scratch,
    run: &mut Run,
) -> Result<()> {
    let (span, minutes) = (minutes.clone(), task.window.clip(minutes));
    if minutes.is_empty() || blocks.is_empty() && cells.is_empty() {
        return Ok(());
    }
    scratch.ahead.restart();
    let mut cells = cells;
    for day in minutes.start / MINUTES_PER_DAY..=(minutes.end - 1) / MINUTES_PER_DAY {
        let end = (day + 1) * MINUTES_PER_DAY;
        let (today, later) = cells.split_at(cells.partition_point(|cell| cell.0 < end));
        cells = later;
        scratch.pages.clear();
        for (index, block) in blocks.iter().enumerate() {
            scratch
                .pages
                .extend(block.page_of_day(day).map(|page| (index, page)));
        }
        if !scratch.pages.is_empty() || !today.is_empty() {
            let start = day * MINUTES_PER_DAY;
            let (first, last) = (span.start.max(start), span.end.min(end) - 1);
            let only = task.window.only_bucket(first, last);
            read_day(blocks, today, start, only, task, scratch, run)?;
        }
    }
    Ok(())
}

/// Reads the day that begins at `start` from everything that has a part of it;
/// `only` is the bucket of all of these, if it is one.
fn read_day(
    blocks: &[Held<'_, '_>],
    cells: &[(u32, i128)],
    start: u32,
    only: Option<u32>,
    task: &Task,
    scratch: &mut Scratch,
    run: &mut Run,
) -> Result<()> {
    let (window, join) = (&task.window, task.join());
    if task.additive() && sum_day(blocks, cells, start, task, scratch, run)? {
        return Ok(());
    }
    let minutes = window.clip(start..start + MINUTES_PER_DAY);
    let within = (minutes.start - start) as u16..(minutes.end - start) as u16;
    let alone = scratch.pages.len() == 1 && cells.is_empty();
    let mut page = scratch.page.take().unwrap_or(Page::new(family(task.kind)));
    if alone || only.is_some() && task.additive() {
        for (number, index) in &scratch.pages {
            let block = &blocks[*number];
            let entry = block.entry();
            let first = entry.first_minute.max(start);
            let last = entry.last_minute.min(start + MINUTES_PER_DAY - 1);
            match (window.part(first, last), block.page(*index)) {
                (Part::Outside, _) | (_, None) => {}
                (Part::Whole(bucket), Some(info)) => run.push(bucket, task.of_page(&info), join)?,
                (Part::Cut, Some(_)) => {
                    let wanted = Wanted::of(blocks, *number, *index);
                    let ahead = &mut scratch.ahead;
                    ahead.decode(&wanted, window, within.clone(), &mut page)?;
                    fold(&page, start, only, task, run)?;
                }
            }
        }
        if let Some(bucket) = only {
            cells
                .iter()
                .try_for_each(|(_, value)| run.push(bucket, *value, join))?;
        }
    } else {
        let mut merged = scratch
            .merged
            .take()
            .unwrap_or(Page::new(family(task.kind)));
        let mut spare = scratch.spare.take().unwrap_or(Page::new(family(task.kind)));
        let mut parts = scratch.pages.iter();
        match parts.next() {
            Some((block, index)) => {
                let wanted = Wanted::of(blocks, *block, *index);
                let ahead = &mut scratch.ahead;
                ahead.decode(&wanted, window, within.clone(), &mut merged)?;
            }
            None => page_of_cells(&[], start, task.kind, &mut merged),
        }
        for (block, index) in parts {
            blocks[*block].decode_range(*index, within.clone(), &mut page)?;
            overlay(&mut merged, &page, task.kind, &mut spare)?;
        }
        if !cells.is_empty() {
            page_of_cells(cells, start, task.kind, &mut page);
            overlay(&mut merged, &page, task.kind, &mut spare)?;
        }
        fold(&merged, start, only, task, run)?;
        scratch.merged = Some(merged);
        scratch.spare = Some(spare);
    }
    scratch.page = Some(page);
    Ok(())
}

/// The first minute of the window with a cell in any of these sources.
fn first_minute(
    sources: &[Source<'_, '_>],
    recent: Option<u32>,
    window: &Window,
    scratch: &mut Scratch,
) -> Result<Option<u32>> {
    let mut first = recent;
    for source in sources {
        let entry = &source.entry;
        if entry.first_minute >= window.from {
            first = earlier(first, Some(entry.first_minute));
            continue;
        }
        let block = source.block()?;
        let mut page = scratch.page.take().unwrap_or(Page::new(family(entry.kind)));
        for (index, info) in block.pages().enumerate() {
            let start = info.day * MINUTES_PER_DAY;
            if start + MINUTES_PER_DAY <= window.from {
                continue;
            }
            block.decode(index, &mut page)?;
            let minutes = page.presence.iter().map(|minute| start + u32::from(minute));
            if let Some(found) = { minutes }.find(|minute| *minute >= window.from) {
                first = earlier(first, Some(found));
                break;
            }
        }
        scratch.page = Some(page);
    }
    Ok(first.filter(|minute| *minute < window.to))
}

/// The first minute from `from` on with a cell of the series.
///
/// # Errors
/// Damage to bytes that are needed.
pub fn first_cell(
    snapshot: &Snapshot,
    found: &Found,
    from: u32,
    scratch: &mut Scratch,
) -> Result<Option<u32>> {
    let window = Window {
        from,
        to: u32::MAX,
        origin: 0,
        width: None,
    };
    if found.source == MEMTABLES {
        let mut cells = Vec::new();
        let minutes = recent_span(snapshot, found.index, &window);
        collect(snapshot, found.index, minutes, found.kind, &mut cells)?;
        return Ok(cells.first().map(|cell| cell.0));
    }
    let Some(segment) = snapshot.state.segments.get(found.source as usize) else {
        return Ok(None);
    };
    let index = found.index as usize;
    let entry = segment.series()?.entry(index);
    let source = entry.filter(|entry| entry.last_minute >= from);
    let source = source.map(|entry| Source {
        segment,
        index,
        entry,
        kept: None,
    });
    first_minute(source.as_slice(), None, &window, scratch)
}
