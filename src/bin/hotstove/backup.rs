//! `backup`: a copy that is exactly one state of a store.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::failure::{Failure, Result, note, shown};
use crate::print::{bytes, grouped};
use crate::{open, progress};

/// Copy a store as it is now; a writer may go on meanwhile.
#[derive(Args)]
pub struct Backup {
    /// The store's directory.
    store: PathBuf,
    /// Where the copy goes: a directory that is empty or not there.
    directory: PathBuf,
}

impl Backup {
    pub fn run(self) -> Result<ExitCode> {
        let reader = open::reader(&self.store)?;
        let spinner = progress::spinner("copying");
        let result = reader.backup(&self.directory);
        spinner.finish_and_clear();
        let copied = result.map_err(|error| Failure::store(&self.store, &error))?;
        note(format_args!(
            "{} holds everything up to commit {}: {} segments with {}",
            shown(&self.directory),
            grouped(copied.sequence),
            grouped(copied.segments as u64),
            bytes(copied.bytes),
        ));
        Ok(ExitCode::SUCCESS)
    }
}
