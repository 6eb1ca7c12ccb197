//! Reading and replacing the manifest.

use std::io;

use crate::codec::cursor::Corrupt;
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::{FILE, Manifest, TEMPORARY, VERSION, newer_version};
use crate::format::segment_meta::SegmentMeta;
use crate::limits::{MANIFEST_BYTES_MAX, MINUTES_PER_BUCKET};
use crate::storage::disk::{Disk, Open};
use crate::storage::planted::{Bug, planted};

/// Reads the manifest, and what is wrong with one of its copies; `None` where
/// the directory holds none.
///
/// # Errors
/// `Corruption` where both copies are damaged, `Unsupported` for a newer format.
pub fn load(disk: &dyn Disk) -> Result<Option<(Manifest, Option<Corrupt>)>> {
    let fail = |error| Error::io("reading the manifest", error).in_file(FILE);
    let file = match disk.open(FILE, Open::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let length = file.len().map_err(fail)?;
    if length > 2 * MANIFEST_BYTES_MAX as u64 + 1024 {
        return Err(
            Error::corruption("the manifest is larger than any that is written").in_file(FILE),
        );
    }
    let mut bytes = vec![0; length as usize];
    file.read_at(0, &mut bytes).map_err(fail)?;
    if let Some(version) = newer_version(&bytes) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "store format {version} is newer than {VERSION}, the newest this version reads"
            ),
        )
        .in_file(FILE)
        .help("open it with a newer hotstove"));
    }
    Manifest::decode(&bytes).map(Some).map_err(|corrupt| {
        Error::corruption(format!(
            "both copies of the manifest are damaged: {}",
            corrupt.what
        ))
        .in_file(FILE)
        .at(corrupt.at as u64)
        .help("run `hotstove repair`: segments describe themselves")
    })
}

/// How far a failed [`commit`] came.
#[derive(Debug)]
pub enum CommitError {
    /// The old manifest stands.
    Unchanged(Error),
    /// The new one is in place but may not outlive a power cut: nothing more
    /// may be acknowledged before the store was reopened.
    Unknown(Error),
}

/// Replaces the manifest: written aside, synced, renamed, directory synced.
pub fn commit(disk: &dyn Disk, manifest: &Manifest) -> Result<(), CommitError> {
    let unchanged = |doing: &'static str| {
        move |error: io::Error| CommitError::Unchanged(Error::io(doing, error).in_file(TEMPORARY))
    };
    debug_assert_eq!(contradiction(manifest), None);
    let bytes = manifest.encode();
    if bytes.len() > 2 * MANIFEST_BYTES_MAX {
        return Err(CommitError::Unchanged(
            Error::new(ErrorKind::Limit, "the manifest would outgrow its limit")
                .in_file(FILE)
                .help("fewer definitions, sources or segments: compact the store"),
        ));
    }
    match disk.remove(TEMPORARY) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(unchanged("removing a left-over manifest")(error));
        }
        _ => {}
    }
    let file = disk
        .open(TEMPORARY, Open::Create)
        .map_err(unchanged("creating a manifest"))?;
    let written = file
        .write_at(0, &bytes)
        .map_err(unchanged("writing the manifest"))
        .and_then(|()| {
            if planted(Bug::ManifestNotSynced) {
                return Ok(());
            }
            file.sync().map_err(unchanged("syncing the manifest"))
        });
    if written.is_err() {
        // Best effort: a left-over is removed before the next attempt anyway.
        let _ = disk.remove(TEMPORARY);
        return written;
    }
    if let Err(error) = disk.rename(TEMPORARY, FILE) {
        return Err(after_failed_rename(disk, manifest, error));
    }
    if planted(Bug::ManifestNameNotSynced) {
        return Ok(());
    }
    let synced = disk.sync_dir();
    if planted(Bug::ManifestNameErrorIgnored) {
        return Ok(());
    }
    synced.map_err(|error| {
        CommitError::Unknown(Error::io("syncing the directory", error).in_file(FILE))
    })
}

/// What no manifest that this code writes may say. Only a bug breaks it, and
/// the tests look at each one that is written.
fn contradiction(manifest: &Manifest) -> Option<&'static str> {
    let segments = &manifest.segments;
    let mut ids: Vec<u64> = segments.iter().map(|meta| meta.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let own = |meta: &SegmentMeta| {
        let bucket = |minute: u32| minute / MINUTES_PER_BUCKET;
        meta.first_sequence <= meta.last_sequence
            && meta.first_minute <= meta.last_minute
            && [bucket(meta.first_minute), bucket(meta.last_minute)] == [meta.bucket; 2]
            && meta.cells > 0
            && meta.series > 0
    };
    let apart = |pair: &[SegmentMeta]| {
        pair[0].bucket < pair[1].bucket
            || (pair[0].bucket == pair[1].bucket && pair[0].last_sequence < pair[1].first_sequence)
    };
    let flushed = |meta: &SegmentMeta| meta.last_sequence <= manifest.flushed_sequence;
    if ids.len() != segments.len() {
        Some("two segments of one number")
    } else if ids
        .last()
        .is_some_and(|last| *last >= manifest.next_segment)
    {
        Some("a segment of a number not given out")
    } else if !segments.iter().all(own) {
        Some("a segment of no commits, minutes or cells, or of another bucket")
    } else if !segments.windows(2).all(apart) {
        Some("segments that overlap, or out of order")
    } else if !segments.iter().all(flushed) {
        Some("a segment of commits that are not flushed")
    } else if manifest.generation == 0 || manifest.first_wal == 0 {
        Some("numbers that begin at nought")
    } else if manifest
        .sealed
        .is_some_and(|sealed| sealed.wal_id < manifest.first_wal)
    {
        Some("a sealed log that is not needed")
    } else {
        None
    }
}

/// A renaming that failed may have happened all the same. Only if the old
/// manifest is seen to stand is nothing changed.
fn after_failed_rename(disk: &dyn Disk, manifest: &Manifest, error: io::Error) -> CommitError {
    let error = Error::io("renaming the manifest", error).in_file(TEMPORARY);
    let old_stands = match load(disk) {
        Ok(Some((found, _))) => found.generation != manifest.generation,
        Ok(None) => true,
        Err(_) => false,
    };
    if old_stands || planted(Bug::FailedRenameTrusted) {
        let _ = disk.remove(TEMPORARY);
        CommitError::Unchanged(error)
    } else {
        CommitError::Unknown(error)
    }
}
