//! The life of a write: many committers, one leader at a time.
//!
//! Whoever finds no leader becomes one, takes all that waits, writes it in one
//! call and syncs it in another. Then another may lead: while that one writes and
//! syncs, this one merges its group into the memtable and wakes the others with their
//! results. Nothing is visible before it is as durable as the store promises, and
//! groups become visible in the order they were written.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;

use crate::engine::batch::{Batch, Receipt};
use crate::engine::core::{Core, Log};
use crate::engine::group_merge::Scratch;
use crate::engine::options::Durability;
use crate::engine::replay::note_stamp;
use crate::error::{Error, ErrorKind, Result};
use crate::format::batch::{Delta, Stamp};
use crate::model::Name;
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
    /// Whose batches are being written or merged.
    tickets: Vec<u64>,
    /// Whether nobody else may lead yet.
    leading: bool,
}

impl Turn<'_> {
    /// Lets another lead: what is left to do does not need the log.
    fn hand_over(&mut self) {
        self.leading = false;
        let mut queue = self.core.queue.lock();
        queue.leading = false;
        let waited_for = !queue.waiting.is_empty();
        drop(queue);
        if waited_for {
            self.core.committed.notify_all();
        }
    }
}

/// Poisons the store where merging a group ends in a panic, before the next group can be
/// merged: half of this one may be there.
struct Alarm<'a>(&'a Core);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison(&"a thread panicked while it merged commits");
        }
    }
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
        if self.leading {
            queue.leading = false;
        }
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
            // Requests wait in the order of their tickets. Whose is in a group already
            // has but to wait for its result.
            let waiting = queue.waiting.first();
            let taken = waiting.is_none_or(|first| first.ticket > ticket);
            if queue.leading || taken {
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
            let mut turn = Turn {
                core: self,
                tickets: tickets.clone(),
                leading: true,
            };
            drop(queue);
            let results = self
                .write_group(group, &mut turn)
                .unwrap_or_else(|error| tickets.iter().map(|_| Err(error.shared())).collect());
            queue = self.queue.lock();
            queue.results.extend(tickets.into_iter().zip(results));
            drop(queue);
            drop(turn);
            queue = self.queue.lock();
        }
    }

    /// Writes a group and merges it; an error concerns all of it.
    fn write_group(
        &self,
        group: Vec<Request>,
        turn: &mut Turn<'_>,
    ) -> Result<Vec<Result<Receipt>>> {
        self.check_alive()?;
        let mut log = self.log.lock();
        self.make_room(&mut log)?;
        let staged = self.stage_group(&mut log, group)?;
        if staged.frames > 0 {
            self.write_staged(&mut log)?;
        }
        if self.options.durability == Durability::Sync && !planted(Bug::CommitNotSynced) {
            // A repeated batch is answered only once the first is durable, so
            // this comes even where nothing was written.
            self.sync_log(&mut log)?;
        }
        for stamp in staged.stamps() {
            note_stamp(&mut log.sources, stamp);
        }
        log.next_sequence = staged.next_sequence;
        log.merging = staged.batches.iter().map(Batch::len).sum();
        let wal_bytes = log.last.1;
        // While the log is held: so nobody who writes later comes here sooner.
        let merging = self.merging.lock();
        drop(log);
        turn.hand_over();
        self.merge_group(&staged, wal_bytes, merging)?;
        Ok(staged.results)
    }

    /// Makes a group that is written visible.
    fn merge_group(
        &self,
        staged: &Staged,
        wal_bytes: u64,
        mut scratch: MutexGuard<'_, Scratch>,
    ) -> Result<()> {
        // The group before may have ended in a panic.
        self.check_alive()?;
        let alarm = Alarm(self);
        let infos = self.series.infos();
        let mut state = self.state.write();
        let deltas = staged.batches.iter().map(|batch| &batch.deltas[..]);
        state
            .active
            .apply(deltas, |id| infos.kind(id), &mut scratch);
        for stamp in staged.stamps() {
            note_stamp(Arc::make_mut(&mut state.sources), stamp);
        }
        let sequence = staged.next_sequence - 1;
        state.sequence = sequence;
        self.active_bytes
            .store(state.active.bytes(), Ordering::Relaxed);
        drop((state, infos));
        self.publisher.lock().publish(|record| {
            record.wal_bytes = wal_bytes;
            record.sequence = sequence;
        });
        drop(alarm);
        Ok(())
    }

    /// Waits until all that the log holds is merged. Nothing is added while the caller
    /// has the log.
    pub fn settle(&self, _log: &Log) {
        drop(self.merging.lock());
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
}

/// What became of a group before it is written.
struct Staged {
    next_sequence: u64,
    frames: usize,
    results: Vec<Result<Receipt>>,
    batches: Vec<Batch>,
}

impl Staged {
    fn stamps(&self) -> impl Iterator<Item = &Stamp<Name>> {
        self.batches.iter().filter_map(|batch| batch.stamp.as_ref())
    }
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
