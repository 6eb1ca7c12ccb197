//! How a command fails: one line on standard error, and an exit code.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// What, where, what next: exit code 1.
    Failed(String),
    /// Arguments that contradict each other: exit code 2.
    Usage(String),
    /// Whoever read the output wants no more of it. Nothing to say.
    OutputClosed,
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// Exit code 1 and a line.
    pub fn new(what: impl Into<String>) -> Self {
        Failure::Failed(what.into())
    }

    /// A call of the system that failed on a file the user named.
    pub fn io(doing: &str, path: &Path, error: &io::Error) -> Self {
        Failure::Failed(format!("{doing} failed: {}: {error}", shown(path)))
    }

    /// An error of the store at `path`.
    pub fn store(path: &Path, error: &hotstove::Error) -> Self {
        let (error, path) = (error.to_string(), shown(path));
        let named = |word: &str| word.trim_end_matches('/') == path.trim_end_matches('/');
        if error.split([' ', ':']).any(named) {
            Failure::Failed(error)
        } else {
            Failure::Failed(format!("{path}: {error}"))
        }
    }

    /// Standard output that can not be written.
    pub fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::OutputClosed;
        }
        Failure::Failed(format!("writing failed: standard output: {error}"))
    }

    /// Says it and turns it into the exit code.
    pub fn tell(self) -> ExitCode {
        match self {
            Failure::Failed(what) => {
                say(&what);
                ExitCode::FAILURE
            }
            Failure::Usage(what) => {
                say(&format!("{what} (see `hotstove --help`)"));
                ExitCode::from(2)
            }
            Failure::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Failed(what) | Failure::Usage(what) => f.write_str(what),
            Failure::OutputClosed => f.write_str("standard output is closed"),
        }
    }
}

/// A path in a message: without anything that could break the line.
pub fn shown(path: &Path) -> String {
    one_line(&path.display().to_string())
}

/// A note on standard error.
pub fn note(what: impl fmt::Display) {
    say(&format!("note: {what}"));
}

/// A warning on standard error.
pub fn warn(what: impl fmt::Display) {
    say(&format!("warning: {what}"));
}

fn say(what: &str) {
    // With standard error gone there is nobody left to tell.
    let _ = writeln!(io::stderr().lock(), "hotstove: {}", one_line(what));
}

/// Control characters would let a file name or a record forge a second line.
fn one_line(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(printable).collect()
}

/// `HOTSTOVE_LOG=debug` follows what a command does, on standard error.
pub fn follow_log() {
    let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("HOTSTOVE_LOG") else {
        return;
    };
    // Fails only where a subscriber is already there, which is as good.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_forges_a_second_line() {
        assert_eq!(one_line("a\nb\u{1b}[31m"), "a\u{fffd}b\u{fffd}[31m");
    }
}
