//! The memory budget of a store, and which part of it is whose.
//!
//! Parts are fixed, and not taken from one pot by whoever comes first: so a question
//! is answered or refused whatever else the store does, and a commit never waits for
//! a reader. The one part that moves is between memtables and the table of series:
//! what the table takes the memtables lack.
//!
//! ```text
//! 1/2   the table of series; what it leaves goes to the memtables
//! 1/8   the memtables, at least: one being written, one being flushed
//! 1/4   answers of queries, all that are being made
//! 1/8   commits under way, flushes and merges
//! ```

use crate::error::{Error, ErrorKind};

/// Bytes of input merged between two writes at most.
const MERGE_INPUT_MAX: usize = 2 << 20;

/// The memory budget of a store, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Budget(usize);

impl Budget {
    /// A budget of so many bytes.
    pub const fn new(bytes: usize) -> Self {
        Budget(bytes)
    }

    /// What the table of series may take; beyond it no new series is met.
    pub const fn series(self) -> usize {
        self.0 / 2
    }

    /// What one of the two memtables may take beside a table of so many bytes.
    pub const fn memtable(self, table: usize) -> usize {
        let least = self.0 / 16;
        let spare = self.series().saturating_sub(table) / 2;
        least + spare
    }

    /// What answers that are being made may take, all of them together.
    pub const fn answers(self) -> usize {
        self.0 / 4
    }

    /// Bytes of input that a merge reads between two writes; more than some give
    /// nothing, as threads are busy then.
    pub const fn merge_input(self) -> usize {
        let share = self.0 / 48;
        if share < MERGE_INPUT_MAX {
            share
        } else {
            MERGE_INPUT_MAX
        }
    }

    /// Why a new series is refused where so many fill their part.
    pub fn too_many_series(self, count: usize) -> Error {
        let (part, whole) = (shown(self.series()), shown(self.0));
        Error::new(
            ErrorKind::Limit,
            format!(
                "the names of {count} series take {part}, half of the memory budget of {whole}"
            ),
        )
        .help(
            "open the store with a larger memory_budget; series that were met go on being written",
        )
    }
}

/// Bytes in words.
pub fn shown(bytes: usize) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes >> 10),
        mebibytes => format!("{mebibytes} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole() {
        for bytes in [1 << 20, 96 << 20, 1 << 40] {
            let budget = Budget::new(bytes);
            for table in [0, bytes / 5, budget.series()] {
                let work = bytes / 8;
                let parts = table + 2 * budget.memtable(table) + budget.answers() + work;
                assert!(parts.abs_diff(bytes) < 4, "{bytes} {table}");
            }
            assert!(budget.memtable(bytes) > 0, "a table beyond its part");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let error = Budget::new(96 << 20).too_many_series(1_200_000);
        assert_eq!(error.kind(), ErrorKind::Limit);
        let told = error.to_string();
        assert!(told.contains("48 MiB") && told.contains("96 MiB"), "{told}");
        assert!(told.contains("memory_budget"), "{told}");
    }
}
