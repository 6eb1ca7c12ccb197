//! One file on its way into the store: a thread reads and understands rows,
//! this one commits them.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use hotstove::{Batch, Minute, Name, Rounding, Store};

use super::rows::{Row, Rows, Wrong};
use super::targets::Targets;
use super::value::{Delta, quoted};

/// Lines of one batch at most.
const BATCH_LINES: usize = 8_192;

/// Batches understood and not committed yet: enough that neither thread waits
/// for the other, few enough to weigh nothing.
const BATCHES_WAITING: usize = 4;

/// A batch with what it came from.
struct Understood {
    batch: Batch,
    first_line: u64,
    last_line: u64,
    rounded: u64,
}

/// What became of a file.
#[derive(Debug, Default)]
pub struct Progress {
    /// Rows committed.
    pub rows: u64,
    /// Values of them with digits rounded away.
    pub rounded: u64,
    /// Rows of them that lie before the retention floor, and so were dropped.
    pub dropped: u64,
    /// The first and the last line committed.
    pub lines: Option<(u64, u64)>,
}

/// Why a file could not be imported to its end.
#[derive(Debug)]
pub enum Stop {
    /// A row that can not be taken.
    Row(Wrong),
    /// The store refused lines.
    Store {
        lines: (u64, u64),
        error: hotstove::Error,
    },
}

/// How rows are taken.
pub struct Rules<'a> {
    pub source: Option<&'a Name>,
    pub rounding: Rounding,
}

/// Commits all rows, batch by batch, and keeps in `progress` what is in.
pub fn run(
    store: &Store,
    rows: &mut Rows,
    rules: &Rules<'_>,
    progress: &mut Progress,
) -> Result<(), Stop> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(BATCHES_WAITING);
        let reading = scope.spawn(move || understand(store, rows, rules, &sender));
        let committed = commit(store, &receiver, progress);
        // A thread that still sends finds nobody and stops.
        drop(receiver);
        let read = reading
            .join()
            .unwrap_or_else(|_| Err(Wrong::new(0, "the reading thread died")));
        committed?;
        read.map_err(Stop::Row)
    })
}

fn commit(
    store: &Store,
    receiver: &Receiver<Understood>,
    progress: &mut Progress,
) -> Result<(), Stop> {
    for understood in receiver {
        let rows = understood.batch.len() as u64;
        let lines = (understood.first_line, understood.last_line);
        let receipt = store
            .commit(understood.batch)
            .map_err(|error| Stop::Store { lines, error })?;
        tracing::debug!(?lines, sequence = receipt.sequence, "committed");
        progress.rows += rows;
        progress.rounded += understood.rounded;
        progress.dropped += receipt.dropped as u64;
        let first = progress.lines.map_or(lines.0, |(first, _)| first);
        progress.lines = Some((first, lines.1));
    }
    Ok(())
}

fn understand(
    store: &Store,
    rows: &mut Rows,
    rules: &Rules<'_>,
    sender: &SyncSender<Understood>,
) -> Result<(), Wrong> {
    let mut targets = Targets::new(store);
    loop {
        let mut batch = Batch::new();
        let (mut first_line, mut last_line, mut rounded) = (0, 0, 0);
        while batch.len() < BATCH_LINES
            && let Some(row) = rows.next()?
        {
            last_line = row.line;
            if batch.is_empty() {
                first_line = row.line;
            }
            let taken = take(&row, &mut targets, rules.rounding, &mut batch);
            rounded += u64::from(taken.map_err(|what| Wrong::new(last_line, what))?);
        }
        if batch.is_empty() {
            return Ok(());
        }
        if let Some(source) = rules.source {
            batch.stamp_checked(source, rows.input.offset(), rows.input.check());
        }
        let understood = Understood {
            batch,
            first_line,
            last_line,
            rounded,
        };
        if sender.send(understood).is_err() {
            return Ok(());
        }
    }
}

/// Adds a row to the batch; says whether its value was rounded.
fn take(
    row: &Row<'_>,
    targets: &mut Targets<'_>,
    rounding: Rounding,
    batch: &mut Batch,
) -> Result<bool, String> {
    let series = targets.find(row)?;
    let minute = Minute::parse(&row.minute).ok_or_else(|| {
        format!(
            "{} is not a minute in UTC between 1970 and {}, such as 2026-11-22T10:41Z",
            quoted(&row.minute),
            Minute::END
        )
    })?;
    let (delta, rounded) = Delta::parse(&row.value, series.kind(), rounding)
        .map_err(|what| format!("{what}; the metric is {}", quoted(&row.metric)))?;
    delta.put(batch, series, minute);
    Ok(rounded)
}
