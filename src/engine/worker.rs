//! The threads of a store, all of them: one flushes, one compacts, one syncs
//! what is buffered. A panic in any of them poisons the store instead of
//! leaving others waiting. Here, too, are the short-lived ones that share the
//! work of one call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::engine::core::{Core, Work};
use crate::engine::options::Durability;
use crate::error::{Error, ErrorKind, Result};

/// How long a failed flush or compaction rests before it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The threads of an open store.
#[derive(Default)]
pub struct Workers(Vec<JoinHandle<()>>);

impl Workers {
    /// Starts the threads the options ask for.
    pub fn start(core: &Arc<Core>) -> Result<Self> {
        let mut workers = Workers::default();
        if core.options.background {
            workers.spawn(core, "hotstove-flush", flush_loop)?;
            workers.spawn(core, "hotstove-compact", compact_loop)?;
        }
        if let Durability::Buffered { interval } = core.options.durability {
            workers.spawn(core, "hotstove-sync", move |core| sync_loop(core, interval))?;
        }
        Ok(workers)
    }

    fn spawn(
        &mut self,
        core: &Arc<Core>,
        name: &'static str,
        run: impl FnOnce(&Core) + Send + 'static,
    ) -> Result<()> {
        let core = core.clone();
        let body = move || {
            let guard = Panicking(&core);
            run(&core);
            std::mem::forget(guard);
        };
        let handle = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map_err(|error| Error::io("starting a thread", error))?;
        self.0.push(handle);
        Ok(())
    }

    /// Asks the threads to stop and waits: at most for the flush, merge or
    /// sync under way.
    pub fn stop(&mut self, core: &Core) {
        core.work.lock().stop = true;
        core.work_changed.notify_all();
        for handle in self.0.drain(..) {
            // A panic has poisoned the store already.
            let _ = handle.join();
        }
    }
}

/// Poisons the store when a thread unwinds through it.
struct Panicking<'a>(&'a Core);

impl Drop for Panicking<'_> {
    fn drop(&mut self) {
        self.0.poison(&"a background thread panicked");
    }
}

/// Does `count` pieces of work on up to `threads` threads, this one among them,
/// and gives the results in order. The threads end with the call; where one can
/// not be started the others do its share, and a panic in one goes on here.
pub fn in_order<S, T: Send>(
    threads: usize,
    count: usize,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut scratch = scratch();
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return done;
            }
            done.push((index, work(&mut scratch, index)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(count))
            .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, run).ok())
            .collect();
        let mut done = run();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Waits until `wanted` or a stop; says whether to go on.
fn wait(core: &Core, wanted: impl Fn(&Work) -> bool) -> bool {
    let mut work = core.work.lock();
    while !wanted(&work) && !work.stop {
        core.work_changed.wait(&mut work);
    }
    !work.stop
}

/// Rests after a failure, unless asked to stop or, by `wanted`, to try at once.
fn rest(core: &Core, wanted: impl Fn(&Work) -> bool) {
    let until = Instant::now() + RETRY;
    let mut work = core.work.lock();
    while !work.stop && !wanted(&work) {
        if core.work_changed.wait_until(&mut work, until).timed_out() {
            return;
        }
    }
}

fn flush_loop(core: &Core) {
    while wait(core, |work| work.flush) {
        let flushed = core.flush_frozen(1);
        let failed = flushed.is_err();
        let mut work = core.work.lock();
        match flushed {
            Ok(()) => {
                work.flush = false;
                work.flush_error = None;
                work.compact = true;
            }
            Err(error) if error.kind() == ErrorKind::Poisoned => return,
            Err(error) => work.flush_error = Some(error),
        }
        drop(work);
        core.work_changed.notify_all();
        if failed {
            // A committer that finds no room clears the error to have the
            // flush tried again now: there may be room again.
            rest(core, |work| work.flush_error.is_none());
        }
    }
}

fn compact_loop(core: &Core) {
    while wait(core, |work| work.compact) {
        core.work.lock().compact = false;
        loop {
            match core.compact_step() {
                Ok(true) if !core.work.lock().stop => {}
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Poisoned => return,
                Err(error) if error.kind() == ErrorKind::Corruption => {}
                // No room, or a call refused: the next flush asks again.
                Err(_) => {
                    rest(core, |_| false);
                    break;
                }
            }
        }
    }
}

fn sync_loop(core: &Core, interval: Duration) {
    loop {
        let until = Instant::now() + interval;
        let mut work = core.work.lock();
        while !work.stop && Instant::now() < until {
            core.work_changed.wait_until(&mut work, until);
        }
        if work.stop {
            return;
        }
        drop(work);
        let pending = {
            let log = core.log.lock();
            log.wal
                .as_ref()
                .filter(|wal| !wal.is_synced())
                .map(|wal| wal.pending_sync())
        };
        // Outside the lock: commits go on meanwhile.
        let Some(pending) = pending else { continue };
        if let Err(error) = pending.run() {
            core.poison(&error);
            return;
        }
        if let Some(wal) = core.log.lock().wal.as_mut() {
            wal.note_synced(&pending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::in_order;

    #[test]
    fn results_come_in_order_whatever_the_threads() {
        for (threads, count) in [(1, 5), (2, 0), (2, 1), (3, 1_000)] {
            let squares = in_order(threads, count, || (), |(), index| index * index);
            let expected: Vec<usize> = (0..count).map(|index| index * index).collect();
            assert_eq!(squares, expected);
        }
    }

    #[test]
    #[should_panic(expected = "of a thread")]
    fn a_panic_goes_on_in_the_caller() {
        in_order(
            2,
            64,
            || (),
            |(), index| assert!(index != 40, "of a thread"),
        );
    }
}
