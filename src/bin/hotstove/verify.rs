//! `verify`: every byte against its checksum.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::failure::{Failure, Result, note};
use crate::print::{answer, bytes, grouped};
use crate::{open, progress};

/// Check every byte of a store; a writer may go on meanwhile.
///
/// Says nothing on standard output and exits with 0 where all is sound;
/// otherwise names file, offset and what is lost, and exits with 1.
#[derive(Args)]
pub struct Verify {
    /// The store's directory.
    store: PathBuf,
}

impl Verify {
    pub fn run(self) -> Result<ExitCode> {
        let failed = |error| Failure::store(&self.store, &error);
        let reader = open::reader(&self.store)?;
        let spinner = progress::spinner("checking");
        let found = reader.verify();
        spinner.finish_and_clear();
        let found = found.map_err(failed)?;
        for what in &found.notes {
            note(what);
        }
        answer(|out| {
            found
                .damage
                .iter()
                .try_for_each(|damage| writeln!(out, "{damage}"))
        })?;
        let (files, size) = (grouped(found.files as u64), bytes(found.bytes));
        if found.is_sound() {
            note(format_args!("{files} files with {size} are sound"));
            return Ok(ExitCode::SUCCESS);
        }
        Err(Failure::new(format!(
            "{} damages in {files} files with {size}: {} (`hotstove repair` saves all else; make a copy of the directory first)",
            grouped(found.damage.len() as u64),
            crate::failure::shown(&self.store),
        )))
    }
}
