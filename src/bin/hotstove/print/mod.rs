//! Answers on standard output: for people a table, for programs CSV or JSON.

mod grid;
mod listing;
mod shape;

use std::io::{self, BufWriter, IsTerminal, Write};

use clap::ValueEnum;

pub use self::grid::{Align, Column, Grid};
pub use self::listing::Listing;
pub use self::shape::{bytes, float, grouped, grouped_decimal, json_string, width as shape_width};

use crate::failure::{Failure, Result};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; what a terminal gets unless told otherwise.
    Table,
    /// RFC 4180, exact; what everything else gets.
    Csv,
    /// One array of objects; numbers are exact to the last digit, also where
    /// they have more of them than a double holds.
    Json,
}

impl Format {
    /// The format asked for, or the one that suits standard output.
    pub fn or_default(format: Option<Format>) -> Format {
        let default = if io::stdout().is_terminal() {
            Format::Table
        } else {
            Format::Csv
        };
        format.unwrap_or(default)
    }
}

/// Writes an answer to standard output, whole or with an error.
pub fn answer(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    write(&mut out)
        .and_then(|()| out.flush())
        .map_err(Failure::output)
}

/// Characters a line of standard output holds, where that is a terminal.
pub fn line_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0)).filter(|width| *width > 0)
}
