//! `retain`: dropping what is no longer wanted.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hotstove::Minute;

use crate::failure::{Failure, Result, note};
use crate::print::{bytes, grouped};
use crate::query::{Glob, glob};
use crate::{clock, open};

/// Drop minutes or releases for good. Offsets of sources stay where they are.
#[derive(Args)]
pub struct Retain {
    /// The store's directory.
    store: PathBuf,
    #[command(flatten)]
    what: What,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Drop every minute before this one; what comes late for them is dropped
    /// too from now on.
    #[arg(long, value_name = "T", value_parser = clock::minute)]
    before: Option<Minute>,
    /// Drop the releases that match; they may come again.
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    release: Option<Glob>,
}

impl Retain {
    pub fn run(self) -> Result<ExitCode> {
        let failed = |error| Failure::store(&self.store, &error);
        let store = open::writer(&self.store)?;
        let retained = match (self.what.before, &self.what.release) {
            (Some(minute), _) => store.retain_before(minute),
            (None, Some(glob)) => store.retain_without(&glob.pattern),
            (None, None) => return Err(Failure::Usage("--before or --release is needed".into())),
        };
        let retained = retained.map_err(failed)?;
        note(format_args!(
            "{} segments dropped, {} rewritten, {} given back",
            grouped(retained.dropped as u64),
            grouped(retained.rewritten as u64),
            bytes(retained.bytes),
        ));
        open::close(&self.store, store)?;
        Ok(ExitCode::SUCCESS)
    }
}
