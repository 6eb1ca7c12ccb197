//! How a store is opened, explained by consequence.

use std::time::Duration;

use crate::engine::budget::Budget;

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After the log is synced: an acknowledged batch survives the death of
    /// the process and of the machine. Commits that arrive together share one
    /// sync.
    Sync,
    /// After the log is written: an acknowledged batch survives the death of
    /// the process. A power cut costs at most what came in the last
    /// `interval`, and always a suffix, never a hole.
    Buffered {
        /// The longest time between a write and its sync.
        interval: Duration,
    },
}

/// How a [`crate::Store`] is opened.
///
/// ```
/// use hotstove::{Durability, Options};
/// let options = Options::new()
///     .memory_budget(32 << 20)
///     .durability(Durability::Buffered { interval: std::time::Duration::from_millis(100) });
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) durability: Durability,
    pub(crate) memory_budget: usize,
    pub(crate) wal_limit: u64,
    pub(crate) background: bool,
    pub(crate) create: bool,
    pub(crate) mapping: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durability: Durability::Sync,
            memory_budget: 96 << 20,
            wal_limit: 16 << 20,
            background: true,
            create: true,
            mapping: true,
        }
    }
}

impl Options {
    /// Every commit synced, 96 MiB of memory, 16 MiB of log, created if absent.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When a commit is acknowledged. More than `Sync` is not to be had; less
    /// makes single small commits tens of times faster.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Bytes that the store may take, all in all (at least 1 MiB). Up to five
    /// eighths are for the names of series and what is not in segments yet, of
    /// which half is being written and half being flushed: commits wait while both
    /// are full. A quarter is for answers of queries. More makes fewer and larger
    /// segments, and room for more series and larger answers.
    #[must_use]
    pub fn memory_budget(mut self, bytes: usize) -> Self {
        self.memory_budget = bytes.max(1 << 20);
        self
    }

    /// The budget and its parts.
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.memory_budget)
    }

    /// Bytes of log (at least 64 KiB) before what it holds is flushed. It
    /// bounds what opening a store after a crash has to replay.
    #[must_use]
    pub fn wal_limit(mut self, bytes: u64) -> Self {
        self.wal_limit = bytes.max(64 << 10);
        self
    }

    /// Whether flushing and compaction happen on threads of the store's own
    /// (the default). Without them a commit that fills the budget flushes, and
    /// only [`crate::Store::compact`] compacts.
    #[must_use]
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// Whether an absent or empty directory becomes a store (the default).
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Whether sealed segments are memory-mapped (the default). Without it
    /// they are read into memory when first used: slower, but a medium that
    /// fails under a mapping kills the process, and one that fails under a
    /// read is an error.
    #[must_use]
    pub fn mapping(mut self, mapping: bool) -> Self {
        self.mapping = mapping;
        self
    }
}
