//! `inspect`: what a store consists of, on one screen.

mod json;
mod screen;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use hotstove::Reader;

use crate::failure::{Failure, Result};
use crate::print::{answer, line_width};

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// One object.
    Json,
}

/// Show what a store consists of: files, sizes, cells, sources, damage.
///
/// Reads nothing but what opening reads, and writes nothing: safe at any time.
#[derive(Args)]
pub struct Inspect {
    /// The store's directory.
    store: PathBuf,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Inspect {
    pub fn run(self) -> Result<ExitCode> {
        let failed = |error| Failure::store(&self.store, &error);
        // Warnings are part of the answer here, so they are not told twice.
        let reader = Reader::open(&self.store).map_err(failed)?;
        let found = reader.inspect().map_err(failed)?;
        answer(|out| match self.format {
            Format::Table => screen::write(out, &self.store, &found, line_width()),
            Format::Json => json::write(out, &found),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
