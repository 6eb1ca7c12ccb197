//! A disk in memory that does to the store what real ones do, on demand and
//! from a seed, so that a test can try every one of its misdeeds.
//!
//! # The fault model
//!
//! **Files and names are two things.** A file is an inode: content that a
//! [`sync`](super::disk::DiskFile::sync) of it makes durable. Its name is an
//! entry of the directory, which only
//! [`sync_dir`](super::disk::Disk::sync_dir) makes durable. A file that was
//! synced under a name that was not is gone after a power cut; a name that was
//! synced before its file leads to an empty or half-written one. No sync makes
//! anything durable but what it names, though real file systems often do more.
//!
//! **A power cut** ([`SimDisk::crash`]) keeps all that is durable, and of the
//! effects since (each write, `set_len`, creation, renaming, removal) any
//! subset, in whatever order they reached the medium.
//!
//! * A sector of 512 bytes is written whole or not at all, and holds one state
//!   that the cache held: the effects of earlier writes to it are in it, too.
//!   A write of several sectors may leave any of them.
//! * A file that grew may have any length in between, to the byte. Where the
//!   length went ahead of the content stand zeros, or stale bytes of a file
//!   removed before, or noise; or what the file itself held there before it was
//!   cut, as ext4 with `data=writeback` does, which journals the new length and
//!   writes the zeros later.
//! * A file that was cut may have its old length, and zeros in any of the
//!   sectors that were cut: a file system zeroes the rest of the block that the
//!   cut goes through, and that block may reach the medium before the length.
//!   ext4 with blocks of 1 KiB leaves this often.
//! * A renaming happens or does not: afterwards the file has the one name or
//!   the other, and what it replaced is there or is not, together. Creations
//!   and removals likewise. But each happens or not for itself, even if a later
//!   one on the same name happened; journalling file systems keep their order,
//!   and nothing here relies on that.
//! * What was durable and is not being written stays as it is: a cut does not
//!   harm neighbours. Damage of that kind is dealt out by [`SimDisk::damage`].
//!
//! **A kill** ([`SimDisk::kill`]) ends the process: whatever its calls had done
//! is there, synced or not, and its locks are free. A call it died in may have
//! written a part ([`Fault::dying`] with an [`Outcome`]).
//!
//! **Calls fail** ([`SimDisk::inject`]): any of them, the n-th or from then on,
//! with any error, having done nothing, all, or a part. A failed sync may have
//! kept its pages dirty, so that a later one succeeds rightly; or dropped them,
//! so that a later one succeeds wrongly while reads still show what is lost; or
//! it may have worked.
//!
//! **The medium fills up** ([`SimDisk::set_capacity`]): each file costs its
//! length and one sector, until it has neither a name nor an open handle. A
//! write that does not fit writes what does and fails. There are no sparse files
//! and no space that is promised first and refused at the sync; that is a fault
//! to inject.
//!
//! **The medium lies** ([`SimDisk::set_lying`]): syncs succeed and do nothing.
//!
//! **The medium rots** ([`SimDisk::damage`]): any bytes of any file are other
//! ones, or gone, to every reader from then on.
//!
//! Not in the model: errors of a mapping (SIGBUS; here it is a copy), reads that differ from call
//! to call, time, and several machines on one medium.

mod calls;
mod crash;
mod fault;
mod random;
mod record;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crash::{RandomChoice, after_crash};
use fault::Died;
use state::State;

pub use crash::{Change, CrashChoice, Fate, Filler, Tear, Unsynced};
pub use fault::{Call, Fault, Outcome, Traced};
pub use random::Random;
pub use record::Recorded;
pub use state::SECTOR_BYTES;

/// Of more effects not every subset is tried.
const SUBSETS_OF_MAX: usize = 10;

/// A simulated disk. Clones share it, as processes share a real one.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    writable: bool,
}

impl SimDisk {
    /// An empty disk. All chance on it comes from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(State::new(seed))
    }

    fn of(state: State) -> Self {
        SimDisk {
            state: Arc::new(Mutex::new(state)),
            writable: true,
        }
    }

    /// The same disk for a process that may only read.
    #[must_use]
    pub fn read_only(&self) -> Self {
        SimDisk {
            state: Arc::clone(&self.state),
            writable: false,
        }
    }

    // Crashes. None of them touches this disk: a test may try many on one.

    /// The effects a power cut might lose now, oldest first.
    #[must_use]
    pub fn unsynced(&self) -> Vec<Unsynced> {
        let unsynced = self.state.lock().unsynced();
        unsynced.into_iter().map(|(_, effect)| effect).collect()
    }

    /// The disk after a power cut that left what `choice` says.
    #[must_use]
    pub fn crash(&self, choice: &mut dyn CrashChoice) -> SimDisk {
        let unsynced = self.state.lock().unsynced();
        let fates: BTreeMap<u64, Fate> = unsynced
            .iter()
            .map(|(order, effect)| (*order, choice.fate(effect)))
            .collect();
        Self::of(after_crash(&self.state.lock(), &fates))
    }

    /// The disk after a power cut that left of [`SimDisk::unsynced`] exactly
    /// those whose bit is set; all from the 65th on are lost.
    #[must_use]
    pub fn crash_with_subset(&self, subset: u64) -> SimDisk {
        let mut index = 0_u32;
        self.crash(&mut |_: &Unsynced| {
            let kept = subset.checked_shr(index).unwrap_or(0) & 1 == 1;
            index += 1;
            if kept { Fate::Whole } else { Fate::Lost }
        })
    }

    /// The disk after a power cut that left, and tore, what `seed` says.
    #[must_use]
    pub fn crash_random(&self, seed: u64) -> SimDisk {
        let effects = self.state.lock().unsynced().len();
        self.crash(&mut RandomChoice::new(seed, effects))
    }

    /// The disk after many power cuts: one for every subset of the effects, if
    /// they are at most ten, or else one that kept none and one that kept all;
    /// then so many random ones.
    pub fn crashes(&self, random: u64) -> impl Iterator<Item = SimDisk> {
        let effects = self.unsynced().len();
        let subsets = if effects <= SUBSETS_OF_MAX {
            1 << effects
        } else {
            0
        };
        let extremes = if subsets == 0 { 2 } else { 0 };
        (0..subsets)
            .map(|subset| self.crash_with_subset(subset))
            .chain(
                [Fate::Lost, Fate::Whole]
                    .into_iter()
                    .take(extremes)
                    .map(|fate| self.crash(&mut |_: &Unsynced| fate)),
            )
            .chain((0..random).map(|seed| self.crash_random(seed)))
    }

    /// The disk after the process was killed. It forgets all plans to fail.
    #[must_use]
    pub fn kill(&self) -> SimDisk {
        Self::of(self.state.lock().without_processes())
    }

    // Faults.

    /// Plans to fail some calls. The first plan that matches a call decides.
    pub fn inject(&self, fault: Fault) {
        self.state.lock().calls.faults.push(fault);
    }

    /// The process dies at that call, counted as [`SimDisk::calls`] counts from
    /// the very first, which is number zero: it and all after it fail and do
    /// nothing.
    pub fn crash_after_call(&self, calls: u64) {
        self.state.lock().calls.dies_at = Some(calls);
    }

    /// Forgets all plans to fail, deaths included.
    pub fn heal(&self) {
        let calls = &mut self.state.lock().calls;
        calls.faults.clear();
        calls.dies_at = None;
    }

    /// Whether a call failed for the simulated death of its process.
    #[must_use]
    pub fn is_death(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|cause| cause.is::<Died>())
    }

    /// The bytes there is room for in all, or no bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// The bytes taken of the capacity.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// Whether syncs only pretend from now on.
    pub fn set_lying(&self, lying: bool) {
        self.state.lock().lying = lying;
    }

    // What was called.

    /// How many calls were made, failed ones included.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state.lock().calls.total
    }

    /// How many calls of one sort were made, failed ones included.
    #[must_use]
    pub fn calls_of(&self, call: Call) -> u64 {
        self.state.lock().calls.counts[call as usize]
    }

    /// Starts the record of calls anew.
    pub fn start_trace(&self) {
        self.state.lock().calls.trace = Some(Vec::new());
    }

    /// Ends the record of calls and returns it.
    #[must_use]
    pub fn take_trace(&self) -> Vec<Traced> {
        self.state.lock().calls.trace.take().unwrap_or_default()
    }

    // What is on it, past the calls: nothing here counts, fails or dies.

    /// The names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state.lock().visible.keys().cloned().collect()
    }

    /// The content of a file as a reader sees it.
    pub fn content(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut state = self.state.lock();
        let node = state.find(name)?;
        Ok(state.node(node).cached.to_vec())
    }

    /// Puts a file there, durable, content and name, over whatever had it. All
    /// names are durable first.
    pub fn put(&self, name: &str, content: &[u8]) {
        let mut state = self.state.lock();
        state.make_names_durable(Outcome::Everything);
        let id = state.add_node(name);
        let node = state.node(id);
        node.durable = Arc::new(content.to_vec());
        node.cached = Arc::clone(&node.durable);
        state.visible.insert(name.to_owned(), id);
        state.durable.insert(name.to_owned(), id);
        state.forget_unreachable();
    }

    /// Takes a file away, durably. All names are durable first.
    pub fn lose(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.make_names_durable(Outcome::Everything);
        let id = state.find(name)?;
        state.visible.retain(|_, node| *node != id);
        state.durable.retain(|_, node| *node != id);
        state.forget_unreachable();
        Ok(())
    }

    /// Changes a file's bytes behind everybody's back. What was unsynced of
    /// its content is durable first, so that the damage is, too.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.state.lock();
        let id = state.find(name)?;
        let node = state.node(id);
        node.effects.clear();
        // Let go of first, so that the change is made in place.
        node.durable = Arc::default();
        change(Arc::make_mut(&mut node.cached));
        node.durable = Arc::clone(&node.cached);
        Ok(())
    }

    /// Flips one bit, counted from the lowest of the first byte.
    pub fn flip_bit(&self, name: &str, bit: u64) -> io::Result<()> {
        self.damage(name, |bytes| {
            if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
                *byte ^= 1 << (bit % 8);
            }
        })
    }

    /// Puts other bytes over the file's, growing it if they reach beyond.
    pub fn overwrite(&self, name: &str, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.damage(name, |content| {
            let end = offset + bytes.len();
            content.resize(content.len().max(end), 0);
            content[offset..end].copy_from_slice(bytes);
        })
    }

    /// Cuts the file, or grows it with zeros.
    pub fn truncate(&self, name: &str, length: usize) -> io::Result<()> {
        self.damage(name, |bytes| bytes.resize(length, 0))
    }

    /// Fills one sector with zeros.
    pub fn zero_sector(&self, name: &str, sector: usize) -> io::Result<()> {
        self.damage(name, |bytes| {
            let sectors = bytes.chunks_mut(SECTOR_BYTES);
            if let Some(sector) = sectors.into_iter().nth(sector) {
                sector.fill(0);
            }
        })
    }
}
