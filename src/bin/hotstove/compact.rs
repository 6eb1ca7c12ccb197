//! `compact`: everything merged.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::failure::{Failure, Result, note};
use crate::print::{bytes, grouped};
use crate::{open, progress};

/// Merge until one segment a time bucket is left, and wait for it.
#[derive(Args)]
pub struct Compact {
    /// The store's directory.
    store: PathBuf,
}

impl Compact {
    pub fn run(self) -> Result<ExitCode> {
        let failed = |error| Failure::store(&self.store, &error);
        let store = open::writer(&self.store)?;
        let before = store.inspect().map_err(failed)?;
        let spinner = progress::spinner("compacting");
        let result = store.compact();
        spinner.finish_and_clear();
        result.map_err(failed)?;
        let after = store.inspect().map_err(failed)?;
        note(format_args!(
            "{} segments with {} became {} with {}",
            grouped(before.segments.len() as u64),
            bytes(before.segment_bytes()),
            grouped(after.segments.len() as u64),
            bytes(after.segment_bytes()),
        ));
        open::close(&self.store, store)?;
        Ok(ExitCode::SUCCESS)
    }
}
