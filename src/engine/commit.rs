//! The life of a write: many committers, one leader at a time.
//!
//! Whoever finds no leader becomes one, takes all that waits, writes it in one
//! call, syncs it in another and merges it into the memtable, then wakes the
//! others with their results. Nothing is visible before it is as durable as
//! the store promises.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::batch::{Batch, Receipt};
use crate::engine::core::{Core, Frozen, Log};
use crate::engine::options::Durability;
use crate::engine::replay::note_stamp;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::Delta;
use crate::storage::planted::{Bug, planted};
use crate::storage::wal::SeriesNames;

/// Deltas one group takes at most: what waits longer than that is a group of its own.
const GROUP_DELTAS: usize = 1 << 18;

/// Commits waiting for a leader, and results waiting for their committers.
#[derive(Default)]
pub struct Queue {
    next_ticket: u64,
    waiting: Vec<Request>,
    results: HashMap<u64, Result<Receipt>>,
    leading: bool,
}

struct Request {
    ticket: u64,
    batch: Batch,
}

/// Ends a leader's turn, also where it ends in a panic.
struct Turn<'a> {
    core: &'a Core,
    /// Whose batches are being written.
    tickets: Vec<u64>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let core = self.core;
        let panicking = std::thread::panicking();
        if panicking {
            core.poison(&"a thread panicked while it wrote the log");
        }
        if panicking && planted(Bug::TurnNeverEnds) {
            return;
        }
        let mut queue = core.queue.lock();
        if panicking {
            // Their requests are gone with the group: nobody else would answer.
            for ticket in self.tickets.drain(..) {
                queue
                    .results
                    .insert(ticket, core.check_alive().map(|()| Receipt::default()));
            }
        }
        queue.leading = false;
        drop(queue);
        core.committed.notify_all();
    }
}

impl Core {
    /// Commits a batch. See [`crate::Store::commit`].
    pub fn commit(&self, batch: Batch) -> Result<Receipt> {
        batch.check(self.tag)?;
        let mut queue = self.queue.lock();
        let ticket = queue.next_ticket;
        queue.next_ticket += 1;
        queue.waiting.push(Request { ticket, batch });
        loop {
            if let Some(result) = queue.results.remove(&ticket) {
                return result;
            }
            if queue.leading {
                self.committed.wait(&mut queue);
                continue;
            }
            queue.leading = true;
            let mut deltas = 0;
            let count = queue
                .waiting
                .iter()
                .take_while(|request| {
                    deltas += request.batch.len();
                    deltas <= GROUP_DELTAS || deltas == request.batch.len()
                })
                .count();
            let group: Vec<Request> = queue.waiting.drain(..count).collect();
            let tickets: Vec<u64> = group.iter().map(|request| request.ticket).collect();
            let turn = Turn {
                core: self,
                tickets: tickets.clone(),
            };
            drop(queue);
            let results = self
                .write_group(group)
                .unwrap_or_else(|error| tickets.iter().map(|_| Err(error.shared())).collect());
            queue = self.queue.lock();
            queue.results.extend(tickets.into_iter().zip(results));
            drop(queue);
            drop(turn);
            queue = self.queue.lock();
        }
    }

    /// Writes a group; an error concerns all of it.
    fn write_group(&self, group: Vec<Request>) -> Result<Vec<Result<Receipt>>> {
        self.check_alive()?;
        let mut log = self.log.lock();
        self.make_room(&mut log)?;
        let mut staged = self.stage_group(&mut log, group)?;
        if staged.frames > 0 {
            self.write_staged(&mut log)?;
        }
        if self.options.durability == Durability::Sync && !planted(Bug::CommitNotSynced) {
            // A repeated batch is answered only once the first is durable, so
            // this comes even where nothing was written.
            self.sync_log(&mut log)?;
        }
        let infos = self.series.infos();
        let mut state = self.state.write();
        let deltas = staged.batches.iter().map(|batch| &batch.deltas[..]);
        state
            .active
            .apply(deltas, |id| infos.kind(id), &mut log.scratch);
        for batch in &staged.batches {
            if let Some(stamp) = &batch.stamp {
                note_stamp(&mut log.sources, stamp);
                note_stamp(Arc::make_mut(&mut state.sources), stamp);
            }
        }
        log.next_sequence = staged.next_sequence;
        state.sequence = staged.next_sequence - 1;
        drop((state, infos));
        let (wal_bytes, sequence) = (log.last.1, log.next_sequence - 1);
        self.publisher.lock().publish(|record| {
            record.wal_bytes = wal_bytes;
            record.sequence = sequence;
        });
        if staged
            .batches
            .iter()
            .any(|batch| batch.deltas.capacity() > GROUP_DELTAS / 4)
        {
            // Large batches are freed outside the lock.
            drop(log);
            staged.batches.clear();
        }
        Ok(staged.results)
    }

    /// Decides on each batch and stages the frames of those that are applied.
    fn stage_group(&self, log: &mut Log, group: Vec<Request>) -> Result<Staged> {
        let floor = self.floor();
        let infos = self.series.infos();
        let mut offsets = HashMap::new();
        let mut staged = Staged {
            next_sequence: log.next_sequence,
            frames: 0,
            results: Vec::with_capacity(group.len()),
            batches: Vec::with_capacity(group.len()),
        };
        let Some(wal) = log.wal.as_mut() else {
            return Err(Error::new(ErrorKind::Io, "the log is gone"));
        };
        for Request { mut batch, .. } in group {
            let receipt = Receipt {
                sequence: staged.next_sequence - 1,
                already_applied: false,
                dropped: 0,
            };
            if let Some(stamp) = &batch.stamp
                && let Some((offset, _)) = stamp.offset
            {
                let known = offsets.get(&stamp.source).copied().or_else(|| {
                    log.sources
                        .get(&stamp.source)
                        .and_then(|state| state.offset)
                });
                let again = |known| {
                    offset <= known && !(planted(Bug::LastOffsetTakenTwice) && offset == known)
                };
                if known.is_some_and(again) {
                    staged.results.push(Ok(Receipt {
                        already_applied: true,
                        ..receipt
                    }));
                    continue;
                }
            }
            let dropped = drop_before(floor, &mut batch.deltas);
            if dropped > 0 && batch.refuse_dropped {
                staged.results.push(Err(Error::invalid(format!(
                    "the batch is refused: {dropped} deltas lie before the retention floor"
                ))));
                continue;
            }
            if batch.deltas.is_empty() && batch.stamp.is_none() {
                staged.results.push(Ok(Receipt { dropped, ..receipt }));
                continue;
            }
            let sequence = staged.next_sequence;
            if let Err(error) = wal.stage(sequence, batch.stamp.as_ref(), &batch.deltas, &infos) {
                // Definitions of the refused frame may count as written: what
                // comes next goes to a new log, whose header vouches for this one.
                self.sync_log(log)?;
                log.wal = None;
                return Err(error);
            }
            if let Some(stamp) = &batch.stamp
                && let Some((offset, _)) = stamp.offset
            {
                offsets.insert(stamp.source.clone(), offset);
            }
            staged.frames += 1;
            staged.next_sequence += 1;
            staged.results.push(Ok(Receipt {
                sequence,
                dropped,
                ..receipt
            }));
            staged.batches.push(batch);
        }
        Ok(staged)
    }

    fn write_staged(&self, log: &mut Log) -> Result<()> {
        let Some(wal) = log.wal.as_mut() else {
            return Err(Error::new(ErrorKind::Io, "the log is gone"));
        };
        let written = wal.write();
        log.last.1 = wal.written();
        if written.is_err() && !planted(Bug::AppendsAfterTornWrite) {
            // Sync what is good: the next log's header vouches for it.
            let synced = wal.sync();
            log.wal = None;
            if let Err(error) = synced {
                self.poison(&error);
            }
        }
        if planted(Bug::WriteErrorIgnored) {
            return Ok(());
        }
        written
    }

    /// Syncs the log; a failure poisons the store, since nobody knows what the
    /// medium holds.
    pub fn sync_log(&self, log: &mut Log) -> Result<()> {
        let Some(wal) = log.wal.as_mut() else {
            return Ok(());
        };
        let synced = wal.sync();
        if planted(Bug::SyncErrorIgnored) {
            return Ok(());
        }
        if planted(Bug::PoisonForgotten) {
            return synced;
        }
        synced.inspect_err(|error| self.poison(error))
    }

    /// Sees to it that a group can be taken: a log to write to, and room in
    /// the budget, for which it waits if it must.
    fn make_room(&self, log: &mut parking_lot::MutexGuard<'_, Log>) -> Result<()> {
        loop {
            if log.wal.is_none() {
                self.start_log(log)?;
            }
            let full = self.state.read().active.bytes() >= self.options.memory_budget / 2
                || log.last.1 >= self.options.wal_limit / 2;
            if !full {
                return Ok(());
            }
            if log.frozen.is_none() {
                self.freeze(log)?;
                if self.options.background {
                    self.work.lock().flush = true;
                    self.work_changed.notify_all();
                    return Ok(());
                }
                parking_lot::MutexGuard::unlocked(log, || self.flush_frozen(1))?;
            } else if self.options.background {
                self.wait_for_flush(log)?;
            } else {
                parking_lot::MutexGuard::unlocked(log, || self.flush_frozen(1))?;
            }
        }
    }

    /// Backpressure: waits until the frozen memtable is in segments.
    fn wait_for_flush(&self, log: &mut parking_lot::MutexGuard<'_, Log>) -> Result<()> {
        parking_lot::MutexGuard::unlocked(log, || {
            let mut work = self.work.lock();
            work.flush = true;
            work.flush_error = None;
            self.work_changed.notify_all();
            while work.flush && work.flush_error.is_none() && !work.stop {
                self.check_alive()?;
                self.work_changed.wait(&mut work);
            }
            match &work.flush_error {
                Some(error) => Err(error.shared()),
                None => self.check_alive(),
            }
        })
    }

    /// Sets the active memtable aside for flushing and begins a new log.
    pub fn freeze(&self, log: &mut Log) -> Result<()> {
        self.sync_log(log)?;
        self.start_log(log)?;
        log.frozen = Some(Frozen {
            next_wal: log.last.0,
            sequence: log.next_sequence - 1,
            sources: log.sources.clone(),
        });
        let mut state = self.state.write();
        state.frozen = Some(std::mem::take(&mut state.active));
        state.frozen_sequence = state.sequence;
        Ok(())
    }
}

/// What became of a group before it is written.
struct Staged {
    next_sequence: u64,
    frames: usize,
    results: Vec<Result<Receipt>>,
    batches: Vec<Batch>,
}

/// Drops deltas before the retention floor and counts them.
fn drop_before(floor: u32, deltas: &mut Vec<Delta>) -> usize {
    if floor == 0 {
        return 0;
    }
    let before = deltas.len();
    deltas.retain(|delta| delta.minute >= floor);
    before - deltas.len()
}
