//! Running a query: release after release, in batches whose memory is bounded,
//! on several threads where a batch is worth it.

use std::ops::Range;
use std::sync::Arc;

use crate::engine::state::Snapshot;
use crate::error::Result;
use crate::limits::MINUTE_END;
use crate::model::{Kind, Minute, Pattern};
use crate::query::beside::beside;
use crate::query::gather::{
    Choice, Found, Gather, MEMTABLES, Names, Recent, check_broken, check_lost,
};
use crate::query::held::held;
use crate::query::name_cache::NameCache;
use crate::query::names::NONE;
use crate::query::output::{Output, Shape};
use crate::query::plan::{Window, segments_in};
use crate::query::request::{Aggregate, Every, Query, chosen};
use crate::query::result::{Axis, Table};
use crate::query::scan::{self, Scratch, Task};
use crate::query::source::{Stored, add_entries};

/// Parts of series brought together before they are read.
const BATCH_PARTS: usize = if cfg!(test) { 8 } else { 1 << 16 };

/// Bytes for each of them: where it is, and what reading it costs.
const PART_BYTES: usize = size_of::<Found>() + size_of::<u64>();

/// Cells to decode, at most, that end a batch.
const BATCH_CELLS: u64 = 1 << 25;

/// Cells to decode from which on a second thread pays for itself: starting one
/// costs as much as decoding some ten thousand.
const CELLS_PER_THREAD: u64 = 1 << 20;

/// Names listed in a note.
const NOTED: usize = 8;

/// What is the same for all series.
struct Context<'q> {
    snapshot: &'q Snapshot,
    shape: Shape,
    /// By release; `None` for those that are left out.
    windows: Vec<Option<Window>>,
    /// Release and metric of what is held back, sorted.
    held: Vec<(u32, u32)>,
    wants_first: bool,
    /// The first and the last minute with anything that may be read.
    span: (u32, u32),
}

/// Answers a query whose arguments are in order, in the buffers of `table`.
///
/// # Errors
/// As [`Query::run`]; `table` is then not to be used.
pub fn run(query: &Query<'_>, table: &mut Table) -> Result<()> {
    let snapshot = query.snapshot;
    let axis = if query.ages.is_some() {
        Axis::Age
    } else {
        Axis::Minute
    };
    table.restart(axis);
    table.held = held(query)?;
    if query.minutes().is_empty() {
        return Ok(());
    }
    let mut metrics = query.metrics.clone();
    if let Some(exposure) = query.per.as_ref().filter(|_| !metrics.is_empty()) {
        metrics.push(Pattern::exactly(exposure));
    }
    let choice = Choice {
        releases: &query.releases,
        branches: &query.branches,
        metrics: &metrics,
    };
    let segments = &snapshot.state.segments;
    let in_range = readable_segments(query, choice)?;
    let recent = Recent::find(snapshot, choice)?;
    let sources = in_range
        .iter()
        .map(|index| (*index as u32, &*segments[*index]));
    let mut gather = Gather::new(snapshot, sources, &recent, choice)?;
    let names = std::mem::take(&mut gather.names);
    let allowance = Arc::new(snapshot.answers.begin());
    allowance.hold(names.bytes() + names.releases.len() * size_of::<Option<Window>>())?;
    let context = Context::new(query, &names, table);
    let mut cache = NameCache::new(&names);
    let mut output = Output::reusing(table, &context.shape, allowance.clone());
    let mut scratch = Scratch::default();
    let mut batch = Vec::new();
    let mut left_out = LeftOut::default();
    let mut release = 0;
    while release < names.releases.len() {
        batch.clear();
        let mut cells = 0;
        while release < names.releases.len() && batch.len() < BATCH_PARTS && cells < BATCH_CELLS {
            let (before, room) = (batch.len(), batch.capacity());
            gather.take(release as u32, &mut batch);
            allowance.hold((batch.capacity() - room) * PART_BYTES)?;
            match &context.windows[release] {
                Some(window) => {
                    let parts = (batch.len() - before) as u64;
                    cells += parts * window.minutes_to_decode(context.span, context.is_additive());
                }
                None if batch.len() > before => {
                    batch.truncate(before);
                    left_out.ageless.push(release as u32);
                }
                None => {}
            }
            release += 1;
        }
        context.leave_out(&mut batch, &mut left_out);
        run_batch(&context, query, &batch, cells, &mut output, &mut scratch)?;
        if query.by.release {
            output.flush(&mut cache, &context.shape, table)?;
        }
    }
    output.flush(&mut cache, &context.shape, table)?;
    left_out.note(&names.releases, &names.metrics, table);
    Ok(())
}

/// The segments that may have anything asked for, by their indices.
///
/// # Errors
/// Where one of them can not be read, or has lost what may be asked for.
fn readable_segments(query: &Query<'_>, choice: Choice<'_>) -> Result<Vec<usize>> {
    let segments = &query.snapshot.state.segments;
    let (all, needed) = (query.minutes(), needed_minutes(query));
    check_broken(query.snapshot, &needed)?;
    let mut in_range = Vec::new();
    let near = segments_in(all.clone(), segments.len(), |index| {
        segments[index].meta().bucket
    });
    for index in near {
        let segment = &segments[index];
        let meta = segment.meta();
        let touches = |minutes: &Range<u32>| {
            !minutes.is_empty()
                && meta.first_minute < minutes.end
                && minutes.start <= meta.last_minute
        };
        if touches(&needed) {
            check_lost(segment, &needed, choice)?;
        }
        // Beyond the ages asked for are names still, to say what is left out.
        if touches(&all) && segment.series().is_ok() {
            in_range.push(index);
        }
    }
    Ok(in_range)
}

/// The first and the last minute of which segments or memtables may have cells.
fn span(snapshot: &Snapshot) -> (u32, u32) {
    if snapshot.memtables().any(|memtable| !memtable.is_empty()) {
        return (0, MINUTE_END);
    }
    let metas = snapshot.state.segments.iter().map(|segment| segment.meta());
    metas.fold((MINUTE_END, 0), |(first, last), meta| {
        (first.min(meta.first_minute), last.max(meta.last_minute))
    })
}

/// The absolute minutes in which anything asked for can lie.
fn needed_minutes(query: &Query<'_>) -> Range<u32> {
    let minutes = query.minutes();
    let Some(ages) = &query.ages else {
        return minutes;
    };
    let releases = query.snapshot.catalogue().releases();
    let asked = releases.filter(|release| chosen(&query.releases, &release.name));
    let windows = asked.filter_map(|release| {
        let public = release.public_from.map(Minute::get)?;
        Some((
            public.saturating_add(ages.start),
            public.saturating_add(ages.end),
        ))
    });
    // Nothing has an age where nothing went public.
    let span = windows.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)));
    let (start, end) = span.unwrap_or((0, 0));
    let start = start.max(minutes.start);
    start..end.min(minutes.end).max(start)
}

impl<'q> Context<'q> {
    fn new(query: &Query<'q>, names: &Names<'_>, table: &Table) -> Self {
        let minutes = query.minutes();
        let width = match query.every {
            Every::Minutes(width) => Some(width),
            Every::Whole => None,
        };
        let window = |release: &&str| {
            let (from, to) = (minutes.start, minutes.end);
            let Some(ages) = &query.ages else {
                return Some(Window {
                    from,
                    to,
                    origin: 0,
                    width,
                });
            };
            let origin = query.public_from(release)?.get();
            let first = origin.saturating_add(ages.start).min(MINUTE_END);
            let last = origin.saturating_add(ages.end).min(MINUTE_END);
            Some(Window {
                from: from.max(first),
                to: to.min(last),
                origin,
                width,
            })
        };
        let find =
            |names: &[&str], name: &str| names.binary_search(&name).map_or(NONE, |at| at as u32);
        let mut held: Vec<(u32, u32)> = table
            .held
            .iter()
            .map(|held| {
                (
                    find(&names.releases, &held.release),
                    find(&names.metrics, &held.metric),
                )
            })
            .collect();
        held.sort_unstable();
        let exposure = query
            .per
            .as_ref()
            .map(|metric| find(&names.metrics, metric));
        let whole_starts = query.whole_starts();
        Context {
            snapshot: query.snapshot,
            shape: Shape {
                by: query.by,
                aggregate: query.aggregate,
                width,
                whole_starts,
                exposure,
            },
            windows: names.releases.iter().map(window).collect(),
            held,
            wants_first: width.is_none() && whole_starts.is_none(),
            span: span(query.snapshot),
        }
    }

    fn is_additive(&self) -> bool {
        self.shape.aggregate == Aggregate::Total
    }

    /// Drops what is held back, and gauges where rates are asked for.
    fn leave_out(&self, batch: &mut Vec<Found>, left_out: &mut LeftOut) {
        if !self.held.is_empty() {
            batch.retain(|found| {
                self.held
                    .binary_search(&(found.release, found.metric))
                    .is_err()
            });
        }
        if self.shape.exposure.is_some() {
            batch.retain(|found| {
                let gauge = found.kind == Kind::Gauge;
                if gauge && !left_out.gauges.contains(&found.metric) {
                    left_out.gauges.push(found.metric);
                }
                !gauge
            });
        }
    }

    /// The window of a series; of releases without one nothing is read.
    fn window(&self, found: &Found) -> Option<Window> {
        *self.windows.get(found.release as usize)?
    }

    /// Reads series, of which all parts are neighbours.
    fn read(&self, parts: &[Found], scratch: &mut Scratch, output: &mut Output) -> Result<()> {
        for series in parts.chunk_by(|left, right| left.key() == right.key()) {
            let Some((first, window)) = series
                .first()
                .and_then(|first| Some((first, self.window(first)?)))
            else {
                continue;
            };
            let task = Task {
                kind: first.kind,
                aggregate: self.shape.aggregate,
                window,
                wants_first: self.wants_first,
            };
            output.begin(&self.shape);
            let stored = series.partition_point(|found| found.source != MEMTABLES);
            let (found, recent) = series.split_at(stored);
            let recent = recent.first().map(|found| found.index);
            let run = &mut output.run;
            if recent.is_some() || !add_entries(self.snapshot, found, &task, run)? {
                let stored = Stored { found, kept: &[] };
                scan::read(self.snapshot, stored, recent, &task, scratch, run)?;
            }
            output.end(first.key(), &task, &self.shape)?;
        }
        Ok(())
    }

    /// About how many cells of a part have to be decoded.
    fn cost(&self, found: &Found) -> u64 {
        let Some(window) = self.window(found) else {
            return 0;
        };
        let additive = self.is_additive() && found.kind != Kind::Gauge;
        if found.source == MEMTABLES {
            return 64;
        }
        let segment = self.snapshot.state.segments.get(found.source as usize);
        let series = segment.and_then(|segment| segment.series().ok());
        let entry = series.and_then(|series| series.entry(found.index as usize));
        entry.map_or(0, |entry| {
            window.cells_to_decode(entry.first_minute, entry.last_minute, entry.cells, additive)
        })
    }
}

/// Reads a batch, on several threads where that is worth it.
fn run_batch(
    context: &Context<'_>,
    query: &Query<'_>,
    batch: &[Found],
    at_most: u64,
    output: &mut Output,
    scratch: &mut Scratch,
) -> Result<()> {
    // Most questions are small, and known to be without looking any closer.
    if at_most < 2 * CELLS_PER_THREAD && query.threads.is_none() {
        return context.read(batch, scratch, output);
    }
    let costs: Vec<u64> = batch.iter().map(|found| context.cost(found)).collect();
    let total: u64 = costs.iter().sum();
    let wanted = usize::try_from(total / CELLS_PER_THREAD).unwrap_or(usize::MAX);
    let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = match query.threads {
        Some(threads) => threads,
        None if wanted < 2 => 1,
        None => wanted.min(processors()),
    };
    if threads < 2 {
        return context.read(batch, scratch, output);
    }
    let chunks = chunks(batch, &costs, total, threads);
    let (mine, others) = chunks
        .split_first()
        .map_or((batch, &[][..]), |(mine, others)| (*mine, others));
    let allowance = output.run.allowance.clone();
    let output_beside = || {
        allowance
            .clone()
            .map_or_else(Output::default, Output::within)
    };
    let theirs = |chunk: &&[Found]| {
        let mut output = output_beside();
        context.read(chunk, &mut Scratch::default(), &mut output)?;
        Ok(output)
    };
    let (mut done, theirs) = beside(others, theirs, || context.read(mine, scratch, output));
    for theirs in theirs {
        // The first error in the order of series, whoever came first.
        if done.is_ok() {
            done = theirs.and_then(|theirs| output.absorb(theirs, &context.shape));
        }
    }
    done
}

/// The batch in parts of about the same cost, none of which cuts a series.
fn chunks<'b>(batch: &'b [Found], costs: &[u64], total: u64, count: usize) -> Vec<&'b [Found]> {
    let share = total.div_ceil(count as u64).max(1);
    let mut chunks = Vec::with_capacity(count);
    let (mut start, mut cost) = (0, 0);
    for index in 0..batch.len() {
        let new_series = index > start && batch[index].key() != batch[index - 1].key();
        if new_series && cost >= share && chunks.len() + 1 < count {
            chunks.push(&batch[start..index]);
            (start, cost) = (index, 0);
        }
        cost += costs[index];
    }
    chunks.push(&batch[start..]);
    chunks
}

/// What was left out, for the notes.
#[derive(Default)]
struct LeftOut {
    ageless: Vec<u32>,
    gauges: Vec<u32>,
}

impl LeftOut {
    fn note(mut self, releases: &[&str], metrics: &[&str], table: &mut Table) {
        self.gauges.sort_unstable();
        let list = |left_out: &[u32], names: &[&str]| {
            let shown = left_out.iter().take(NOTED);
            let shown: Vec<&str> = shown
                .filter_map(|index| names.get(*index as usize).copied())
                .collect();
            let more = match left_out.len().saturating_sub(NOTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("{}{more}", shown.join(", "))
        };
        if !self.ageless.is_empty() {
            let names = list(&self.ageless, releases);
            table.notes.push(format!(
                "left out, since no minute is said at which they went public: {names}"
            ));
        }
        if !self.gauges.is_empty() {
            let names = list(&self.gauges, metrics);
            table
                .notes
                .push(format!("left out, since gauges have no rate: {names}"));
        }
    }
}
