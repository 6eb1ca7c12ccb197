//! From files to a state: what every opening does, numbered.
//!
//! 1. Read the manifest: segments, sources, definitions, the first live log.
//! 2. Open the segments it names. One that can not be opened is set aside:
//!    reads that would need it fail and name it, all else works. Where the
//!    system refused a call, each snapshot tries again.
//! 3. List the logs from the first live one on; none may be missing.
//! 4. Replay them in order through the ordinary memtable. Each but the last is
//!    as long as its successor's header says; the last is as long as the clean
//!    close, or the live writer, says; after a crash it may end in a torn
//!    tail, which is dropped and counted. Damage before that is an error for a
//!    writer and a warning for a reader; every good frame counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::replay::{Replay, WalDamage};
use crate::engine::series::SeriesTable;
use crate::engine::state::{Broken, State};
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::Manifest;
use crate::format::wal::{HEADER_BYTES, file_id};
use crate::storage::disk::Disk;
use crate::storage::manifest;
use crate::storage::segment::Segment;
use crate::storage::wal_reader::WalReader;

/// Loads the manifest of a store.
///
/// # Errors
/// [`ErrorKind::NotAStore`] where there is none.
pub fn load_manifest(disk: &dyn Disk) -> Result<(Manifest, Vec<String>)> {
    let Some((manifest, damage)) = manifest::load(disk)? else {
        return Err(not_a_store(disk));
    };
    let warnings = damage.map(|corrupt| {
        format!(
            "MANIFEST at byte {}: one of its two copies is damaged ({}); the other is used",
            corrupt.at, corrupt.what
        )
    });
    Ok((manifest, warnings.into_iter().collect()))
}

/// The error for a directory without a manifest.
pub fn not_a_store(disk: &dyn Disk) -> Error {
    Error::new(
        ErrorKind::NotAStore,
        format!("{} is not a hotstove store", disk.describe()),
    )
    .help("it holds no MANIFEST; `define`, `import` and `demo` make a store of an empty directory")
}

/// Segments that opened, and those that did not.
pub type Opened = (Vec<Arc<Segment>>, Vec<Broken>);

/// Step 2: opens segments, taking those that are open already from `known`.
pub fn open_segments(
    disk: &dyn Disk,
    manifest: &Manifest,
    known: &[Arc<Segment>],
) -> Result<Opened> {
    let mut opened = Vec::with_capacity(manifest.segments.len());
    let mut broken = Vec::new();
    for meta in &manifest.segments {
        if let Some(segment) = known.iter().find(|segment| segment.meta() == meta) {
            opened.push(segment.clone());
            continue;
        }
        match Segment::open(disk, manifest.store_id, meta) {
            Ok(segment) => opened.push(Arc::new(segment)),
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error),
            Err(error) => broken.push(Broken {
                meta: *meta,
                error: Arc::new(error),
            }),
        }
    }
    Ok((opened, broken))
}

/// Step 2 once more for segments of which the system refused a call. What kept
/// them from opening may have passed, as where a process had too many files open.
pub fn open_refused(disk: &dyn Disk, store_id: u64, broken: &[Broken]) -> Vec<Arc<Segment>> {
    broken
        .iter()
        .filter(|broken| broken.error.is_refusal())
        .filter_map(|broken| Segment::open(disk, store_id, &broken.meta).ok())
        .map(Arc::new)
        .collect()
}

/// Step 3: the numbers of live logs, ascending, and those that are missing.
pub fn live_logs(disk: &dyn Disk, first: u64) -> Result<(Vec<u64>, Vec<u64>)> {
    let names = disk
        .list()
        .map_err(|error| Error::io("listing the store", error))?;
    let mut logs: Vec<u64> = names
        .iter()
        .filter_map(|name| file_id(name))
        .filter(|id| *id >= first)
        .collect();
    logs.sort_unstable();
    let mut missing = Vec::new();
    let mut expected = first;
    for id in &logs {
        // A gap of files is a gap of few: numbers are given out one by one.
        missing.extend((expected..*id).take(64));
        expected = id + 1;
    }
    if logs.is_empty() {
        missing.push(first);
    }
    Ok((logs, missing))
}

/// How far the newest log may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// To its end: no writer is alive, or it has not written yet.
    File,
    /// A live writer has acknowledged this much of this log.
    Published { wal_id: u64, bytes: u64 },
}

/// What replay built.
pub struct Replayed {
    /// The state, complete.
    pub state: State,
    /// Where replay stands, for readers that follow the log.
    pub replay: Replay,
    /// The newest log read and its good length; none where none was readable.
    pub last: Option<(u64, u64)>,
    /// Good bytes of all logs read.
    pub bytes: u64,
}

/// Steps 2 to 4.
pub fn replay(
    disk: &dyn Disk,
    manifest: &Manifest,
    opened: Opened,
    series: &SeriesTable,
    end: End,
) -> Result<Replayed> {
    let onto = Replay::from_sequence(manifest.flushed_sequence);
    replay_onto(onto, disk, manifest, opened, series, end)
}

/// As [`replay`], going on with what is known already.
pub fn replay_onto(
    mut replay: Replay,
    disk: &dyn Disk,
    manifest: &Manifest,
    opened: Opened,
    series: &SeriesTable,
    end: End,
) -> Result<Replayed> {
    let (segments, broken) = opened;
    let mut state = State {
        segments: Arc::new(segments),
        broken: Arc::new(broken),
        catalogue: Arc::new(manifest.catalogue.clone()),
        floor: manifest.floor,
        frozen_sequence: manifest.flushed_sequence,
        flushed_sequence: manifest.flushed_sequence,
        ..State::empty()
    };
    let mut sources: BTreeMap<_, _> = manifest.sources.clone();
    let (mut logs, missing) = live_logs(disk, manifest.first_wal)?;
    for id in missing {
        replay.findings.damage.push(WalDamage {
            file: crate::format::wal::file_name(id),
            from: 0,
            to: 0,
            what: "the file is missing",
            after_sequence: manifest.flushed_sequence,
        });
    }
    if let End::Published { wal_id, .. } = end {
        logs.retain(|id| *id <= wal_id);
    }
    let mut last = None;
    let mut bytes = 0;
    for (index, id) in logs.iter().enumerate() {
        let length = match (logs.get(index + 1), end, manifest.sealed) {
            (Some(next), _, sealed) => {
                let sealed = sealed.filter(|sealed| sealed.wal_id == *id);
                successor_says(disk, manifest.store_id, *next)?
                    .or(sealed.map(|sealed| sealed.bytes))
            }
            (None, End::Published { wal_id, bytes }, _) if wal_id == *id => Some(bytes),
            (None, _, Some(sealed)) if sealed.wal_id == *id => Some(sealed.bytes),
            _ => None,
        };
        let mut reader = WalReader::open(disk, manifest.store_id, *id, length)?;
        replay.next_log();
        let frames = replay.findings.frames;
        replay.run(&mut reader, series, &mut state.active, &mut sources)?;
        if let Some(what) = reader.header_damage() {
            let empty = replay.findings.frames == frames
                && length.is_none()
                && reader.file_bytes() <= HEADER_BYTES as u64;
            if empty {
                // A crash while the file was made: nothing was ever
                // acknowledged in it, and no later log vouches for it. If it
                // is the last, its number is given out again.
                replay.findings.torn_bytes += reader.offset();
                continue;
            }
            replay.findings.damage.push(WalDamage {
                file: reader.name().to_owned(),
                from: 0,
                to: HEADER_BYTES as u64,
                what,
                after_sequence: replay.sequence,
            });
        }
        last = Some((*id, reader.offset()));
        bytes += reader.offset();
    }
    state.sources = Arc::new(sources);
    state.sequence = replay.sequence;
    Ok(Replayed {
        state,
        replay,
        last,
        bytes,
    })
}

/// The length of the log before `id`, if the header of `id` vouches for it: one
/// begun by a recovery does not, and holds no batch before the manifest has
/// moved on to it.
pub fn successor_says(disk: &dyn Disk, store_id: u64, id: u64) -> Result<Option<u64>> {
    let reader = WalReader::open(disk, store_id, id, None)?;
    let vouched = reader.header().map(|header| header.previous_bytes);
    Ok(vouched.filter(|bytes| *bytes > 0))
}
