//! What a store consists of, for people and for monitoring.

use crate::engine::open::{LOCK, is_temporary};
use crate::engine::state::Snapshot;
use crate::error::{Error, Result};
use crate::format::manifest::{self, Manifest, SourceState};
use crate::format::segment_meta::SegmentMeta;
use crate::format::{audit, published, wal};
use crate::model::{Minute, Name};
use crate::storage::disk::{Disk, Open};
use crate::storage::segment;

/// A segment, as [`Inspection`] lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentReport {
    /// Its file.
    pub file: String,
    /// Its first minute with a cell.
    pub first_minute: Minute,
    /// Its last minute with a cell.
    pub last_minute: Minute,
    /// The first and last commit in it.
    pub sequences: (u64, u64),
    /// Cells in it; a cell whose deltas lie in several segments counts in each.
    pub cells: u64,
    /// Series in it.
    pub series: u32,
    /// Bytes of its file.
    pub bytes: u64,
    /// Why it can not be read, if that is so.
    pub broken: Option<String>,
}

/// A file, as [`Inspection`] lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// Its name.
    pub file: String,
    /// Its bytes; none where it can not be opened.
    pub bytes: Option<u64>,
}

/// What a store consists of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The number drawn when the store was created.
    pub store_id: u64,
    /// Version of the store's format.
    pub format_version: u16,
    /// Whether a writer is alive, as far as a look at its lock tells.
    pub writer_alive: bool,
    /// How many manifests there have been.
    pub generation: u64,
    /// The last commit.
    pub sequence: u64,
    /// The last commit that is in segments.
    pub flushed_sequence: u64,
    /// Minutes before this one have been dropped.
    pub floor: Minute,
    /// Segments by bucket, then sequence.
    pub segments: Vec<SegmentReport>,
    /// Logs that are still needed.
    pub logs: Vec<FileReport>,
    /// Files of the store that are no longer needed and not removed yet.
    pub obsolete: Vec<FileReport>,
    /// Files that are not the store's. They are never touched.
    pub unknown: Vec<FileReport>,
    /// Bytes in memory that are in the log and not in segments yet.
    pub memory_bytes: usize,
    /// Series with cells in memory.
    pub memory_series: usize,
    /// Sources by name.
    pub sources: Vec<(Name, SourceState)>,
    /// What is damaged and was worked around.
    pub warnings: Vec<String>,
}

impl Inspection {
    /// Cells in segments.
    #[must_use]
    pub fn cells(&self) -> u64 {
        self.segments.iter().map(|segment| segment.cells).sum()
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Bytes of everything the store keeps on disk.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        let files = self.logs.iter().chain(&self.obsolete);
        self.segment_bytes() + files.filter_map(|file| file.bytes).sum::<u64>()
    }
}

/// Looks at a store through a snapshot and its directory.
pub fn inspect(
    disk: &dyn Disk,
    manifest: &Manifest,
    snapshot: &Snapshot,
    writer_alive: bool,
    warnings: Vec<String>,
) -> Result<Inspection> {
    let state = &snapshot.state;
    let sound = state.segments.iter().map(|segment| (segment.meta(), None));
    let broken = state
        .broken
        .iter()
        .map(|broken| (&broken.meta, Some(broken.error.to_string())));
    let mut segments: Vec<_> = sound.chain(broken).map(report_segment).collect();
    segments.sort_by_key(|segment| (segment.first_minute, segment.sequences));
    let mut inspection = Inspection {
        store_id: manifest.store_id,
        format_version: manifest::VERSION,
        writer_alive,
        generation: manifest.generation,
        sequence: state.sequence,
        flushed_sequence: state.flushed_sequence,
        floor: Minute::clamped(state.floor.into()),
        segments,
        logs: Vec::new(),
        obsolete: Vec::new(),
        unknown: Vec::new(),
        memory_bytes: snapshot.memtables().map(|memtable| memtable.bytes()).sum(),
        memory_series: 0,
        sources: snapshot
            .sources()
            .map(|(name, state)| (name.clone(), *state))
            .collect(),
        warnings,
    };
    for id in 0..u32::try_from(snapshot.series.len()).unwrap_or(u32::MAX) {
        let present = snapshot.memtables().any(|memtable| memtable.contains(id));
        inspection.memory_series += usize::from(present);
    }
    let mut names = disk
        .list()
        .map_err(|error| Error::io("listing the store", error))?;
    names.sort_unstable();
    for name in names {
        let list = match (wal::file_id(&name), segment::file_id(&name)) {
            (Some(id), _) if id >= manifest.first_wal => &mut inspection.logs,
            (_, Some(id)) if manifest.segments.iter().any(|meta| meta.id == id) => continue,
            (Some(_), _) | (_, Some(_)) => &mut inspection.obsolete,
            _ if [
                LOCK,
                crate::engine::audit::LOCK,
                manifest::FILE,
                published::FILE,
                audit::FILE,
            ]
            .contains(&name.as_str()) =>
            {
                continue;
            }
            _ if is_temporary(&name) => &mut inspection.obsolete,
            _ => &mut inspection.unknown,
        };
        let bytes = disk
            .open(&name, Open::Read)
            .and_then(|file| file.len())
            .ok();
        list.push(FileReport { file: name, bytes });
    }
    Ok(inspection)
}

fn report_segment((meta, broken): (&SegmentMeta, Option<String>)) -> SegmentReport {
    SegmentReport {
        file: segment::segment_file_name(meta.id),
        first_minute: Minute::clamped(meta.first_minute.into()),
        last_minute: Minute::clamped(meta.last_minute.into()),
        sequences: (meta.first_sequence, meta.last_sequence),
        cells: meta.cells,
        series: meta.series,
        bytes: meta.bytes,
        broken,
    }
}
