//! What a reader sees: one state of the store, cheap to take and never moving.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::answers::Answers;
use crate::engine::memtable::Memtable;
use crate::engine::series::SeriesTable;
use crate::error::Error;
use crate::format::manifest::SourceState;
use crate::format::segment_meta::SegmentMeta;
use crate::model::{Catalogue, Name};
use crate::storage::segment::Segment;

/// A segment the manifest names and nobody can open.
#[derive(Clone, Debug)]
pub struct Broken {
    /// What the manifest says of it.
    pub meta: SegmentMeta,
    /// Why it does not open.
    pub error: Arc<Error>,
}

/// Everything queries depend on. Cloning it under the lock is a snapshot.
#[derive(Clone)]
pub struct State {
    /// The memtable being written.
    pub active: Memtable,
    /// The memtable being flushed.
    pub frozen: Option<Memtable>,
    /// The last commit in segments or in the frozen memtable.
    pub frozen_sequence: u64,
    /// The last commit in segments.
    pub flushed_sequence: u64,
    /// Segments by bucket, then sequence.
    pub segments: Arc<Vec<Arc<Segment>>>,
    /// Segments that could not be opened: reads that need them fail.
    pub broken: Arc<Vec<Broken>>,
    /// All definitions.
    pub catalogue: Arc<Catalogue>,
    /// Offsets and watermarks.
    pub sources: Arc<BTreeMap<Name, SourceState>>,
    /// Minutes before this one have been dropped.
    pub floor: u32,
    /// The last commit in it.
    pub sequence: u64,
}

impl State {
    /// A store without any data.
    pub fn empty() -> Self {
        State {
            active: Memtable::default(),
            frozen: None,
            frozen_sequence: 0,
            flushed_sequence: 0,
            segments: Arc::default(),
            broken: Arc::default(),
            catalogue: Arc::default(),
            sources: Arc::default(),
            floor: 0,
            sequence: 0,
        }
    }

    /// Takes in segments that could not be opened before.
    pub fn take_in(&mut self, opened: Vec<Arc<Segment>>) {
        let broken = Arc::make_mut(&mut self.broken);
        let segments = Arc::make_mut(&mut self.segments);
        for segment in opened {
            let id = segment.meta().id;
            // Somebody else may have taken it in, or retention have dropped it.
            if let Some(at) = broken.iter().position(|broken| broken.meta.id == id) {
                broken.remove(at);
                segments.push(segment);
            }
        }
        segments.sort_by_key(|segment| (segment.meta().bucket, segment.meta().first_sequence));
    }
}

/// One state of the store, unmoved by writes, flushes and compaction.
///
/// Taking one costs a few reference counts. It pins the segments it sees: files
/// removed meanwhile give their room back once it is dropped.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) state: State,
    pub(crate) series: Arc<SeriesTable>,
    /// What answers may take.
    pub(crate) answers: Arc<Answers>,
}

impl Snapshot {
    /// All definitions.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.state.catalogue
    }

    /// The sequence of the last commit in it.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.state.sequence
    }

    /// Sources with their offsets and watermarks, sorted by name.
    pub fn sources(&self) -> impl Iterator<Item = (&Name, &SourceState)> {
        self.state.sources.iter()
    }

    /// Memtables in the order of their commits.
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Memtable> {
        self.state
            .frozen
            .iter()
            .chain(std::iter::once(&self.state.active))
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("sequence", &self.state.sequence)
            .field("segments", &self.state.segments.len())
            .finish_non_exhaustive()
    }
}
