//! Reading and replacing the manifest.

use std::io;

use crate::codec::cursor::Corrupt;
use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::{FILE, Manifest, TEMPORARY, VERSION, newer_version};
use crate::limits::MANIFEST_BYTES_MAX;
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
