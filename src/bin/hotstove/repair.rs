//! `repair`: everything sound is kept, and what is lost is told.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::failure::{Failure, Result, note};
use crate::print::{answer, grouped};
use crate::progress;

/// Mend a damaged store: keep all that is sound, list what is lost.
///
/// What was damaged is renamed aside, never deleted. A sound store is left as
/// it is.
#[derive(Args)]
pub struct Repair {
    /// The store's directory.
    store: PathBuf,
}

impl Repair {
    pub fn run(self) -> Result<ExitCode> {
        let spinner = progress::spinner("repairing");
        let result = hotstove::repair(&self.store);
        spinner.finish_and_clear();
        let repaired = result.map_err(|error| Failure::store(&self.store, &error))?;
        for action in &repaired.actions {
            note(action);
        }
        answer(|out| {
            repaired
                .damage
                .iter()
                .try_for_each(|damage| writeln!(out, "{damage}"))
        })?;
        match repaired.damage.len() as u64 {
            0 => note("nothing is damaged"),
            damages => note(format_args!(
                "{} damages mended; all else is kept, {} batches of the log among it",
                grouped(damages),
                grouped(repaired.batches)
            )),
        }
        Ok(ExitCode::SUCCESS)
    }
}
