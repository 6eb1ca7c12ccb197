//! Room for a commit: in the log, and in the memory budget.

use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;

use crate::engine::core::{Core, Frozen, Log};
use crate::error::Result;

/// Deltas being merged that need not be in the memory that is counted.
const MERGING_MAX: usize = 1 << 16;

impl Core {
    /// Sees to it that a group can be taken: a log to write to, and room in
    /// the budget, for which it waits if it must.
    pub fn make_room(&self, log: &mut MutexGuard<'_, Log>) -> Result<()> {
        loop {
            if log.wal.is_none() {
                self.start_log(log)?;
            }
            if log.merging > MERGING_MAX {
                self.settle(log);
            }
            let bytes = self.active_bytes.load(Ordering::Relaxed);
            let most = self.options.budget().memtable(self.series.bytes());
            let full = bytes >= most || log.last.1 >= self.options.wal_limit / 2;
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
                MutexGuard::unlocked(log, || self.flush_frozen(1))?;
            } else if self.options.background {
                self.wait_for_flush(log)?;
            } else {
                MutexGuard::unlocked(log, || self.flush_frozen(1))?;
            }
        }
    }

    /// Backpressure: waits until the frozen memtable is in segments.
    fn wait_for_flush(&self, log: &mut MutexGuard<'_, Log>) -> Result<()> {
        MutexGuard::unlocked(log, || {
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
        self.active_bytes.store(0, Ordering::Relaxed);
        state.frozen = Some(std::mem::take(&mut state.active));
        state.frozen_sequence = state.sequence;
        Ok(())
    }
}
