//! A copy of a live store that is exactly one state of it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::engine::audit::contents;
use crate::engine::flush::{Target, write_segments};
use crate::engine::memtable::Memtable;
use crate::engine::open::{is_blank, refuse_public};
use crate::engine::state::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::format::audit;
use crate::format::manifest::Manifest;
use crate::format::wal::Header;
use crate::storage::disk::{Disk, Open};
use crate::storage::manifest::{CommitError, commit};
use crate::storage::planted::{Bug, planted};
use crate::storage::real_disk::RealDisk;
use crate::storage::wal::WalWriter;

/// What a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The last commit in it.
    pub sequence: u64,
    /// Segments in it.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Copies the state of `snapshot` to `path`, an absent or empty directory.
pub fn backup(
    source: &dyn Disk,
    store_id: u64,
    snapshot: &Snapshot,
    path: &Path,
) -> Result<Backup> {
    let target = RealDisk::create(path)
        .map_err(|error| Error::io(format!("creating {}", path.display()), error))?;
    refuse_public(&target)?;
    backup_to(source, store_id, snapshot, &target)
}

/// As [`backup`], onto any disk. The manifest comes last: what is interrupted
/// is no store.
pub fn backup_to(
    source: &dyn Disk,
    store_id: u64,
    snapshot: &Snapshot,
    target: &dyn Disk,
) -> Result<Backup> {
    if !is_blank(target)? {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("{} is not empty", target.describe()),
        )
        .help("a backup goes into a directory of its own"));
    }
    let state = &snapshot.state;
    if let Some(broken) = state.broken.first() {
        return Err(broken.error.shared());
    }
    let mut metas = Vec::new();
    for segment in state.segments.iter() {
        let bytes = segment.bytes();
        if !segment.is_whole() {
            return Err(Error::corruption("the segment is not what was written")
                .in_file(segment.file_name())
                .help("run `hotstove repair` before a backup"));
        }
        write_file(target, segment.file_name(), bytes, true)?;
        metas.push(*segment.meta());
    }
    let mut next_segment = metas.iter().map(|meta| meta.id + 1).max().unwrap_or(1);
    let ranges = [
        (state.flushed_sequence + 1, state.frozen_sequence),
        (state.frozen_sequence + 1, state.sequence),
    ];
    let tables = [state.frozen.as_ref(), Some(&state.active)];
    for (memtable, (first, last)) in tables.into_iter().zip(ranges) {
        let kept =
            |memtable: &&Memtable| !memtable.is_empty() && !planted(Bug::BackupWithoutMemory);
        let Some(memtable) = memtable.filter(kept) else {
            continue;
        };
        let into = Target {
            disk: target,
            store_id,
            next_segment: &mut next_segment,
            sequences: (first.min(last), last),
            in_segments: &BTreeMap::new(),
            floor: state.floor,
            threads: 1,
        };
        metas.extend(write_segments(memtable, &snapshot.series, into)?);
    }
    metas.sort_by_key(|meta| (meta.bucket, meta.first_sequence));
    copy_audit(source, target)?;
    let header = Header {
        store_id,
        wal_id: 1,
        first_sequence: state.sequence + 1,
        previous_bytes: 0,
    };
    WalWriter::create(target, &header)?;
    let manifest = Manifest {
        store_id,
        generation: 1,
        next_segment,
        first_wal: 1,
        flushed_sequence: state.sequence,
        floor: state.floor,
        sealed: None,
        sources: match planted(Bug::BackupWithoutOffsets) {
            true => BTreeMap::new(),
            false => (*state.sources).clone(),
        },
        catalogue: match planted(Bug::BackupWithoutDefinitions) {
            true => crate::model::Catalogue::default(),
            false => (*state.catalogue).clone(),
        },
        segments: metas,
    };
    commit(target, &manifest).map_err(|error| match error {
        CommitError::Unchanged(error) | CommitError::Unknown(error) => error,
    })?;
    Ok(Backup {
        sequence: state.sequence,
        segments: manifest.segments.len(),
        bytes: manifest.segments.iter().map(|meta| meta.bytes).sum(),
    })
}

fn copy_audit(source: &dyn Disk, target: &dyn Disk) -> Result<()> {
    let fail = |error| Error::io("copying the audit log", error).in_file(audit::FILE);
    let file = match source.open(audit::FILE, Open::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fail(error)),
    };
    let bytes = contents(&*file).map_err(fail)?;
    write_file(target, audit::FILE, &bytes, false)
}

fn write_file(target: &dyn Disk, name: &str, bytes: &[u8], sealed: bool) -> Result<()> {
    let fail = |error| Error::io("writing the backup", error).in_file(name);
    let file = target.open(name, Open::Create).map_err(fail)?;
    file.write_at(0, bytes).map_err(fail)?;
    if sealed {
        // Some file systems know no rights: the file is as good without.
        let _ = file.seal();
    }
    if planted(Bug::BackupNotSynced) {
        return Ok(());
    }
    file.sync().map_err(fail)
}
