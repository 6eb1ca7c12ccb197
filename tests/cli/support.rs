//! Running the command in a directory of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub const HEADER: &str = "release,branch,metric,minute,value\n";

/// A directory with a store `s` and files beside it.
pub struct Home(tempfile::TempDir);

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Home {
    pub fn new() -> Self {
        Home(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).expect("writing a file of the test");
    }

    /// The command, not started yet.
    pub fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hotstove"));
        command
            .args(line)
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command.env_remove("HOTSTOVE_LOG");
        command
    }

    pub fn run(&self, line: &[&str]) -> Ran {
        ran(self.command(line))
    }

    /// Runs a command that takes `input` from a pipe.
    pub fn pipe(&self, line: &[&str], input: &str) -> Ran {
        let mut command = self.command(line);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("starting hotstove");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A command that fails early closes it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Ran::of(child.wait_with_output().expect("the end of hotstove"))
    }

    /// Runs a command that must do, and returns its answer.
    pub fn ok(&self, line: &[&str]) -> String {
        let ran = self.run(line);
        assert_eq!(ran.code, Some(0), "{line:?}: {}", ran.err);
        ran.out
    }

    /// Runs a command that must fail, and returns its one line.
    pub fn fails(&self, line: &[&str]) -> String {
        self.run(line).failed()
    }

    /// The rows of a query, without the header.
    pub fn rows(&self, line: &[&str]) -> Vec<String> {
        let line: Vec<_> = ["query", "s"].iter().chain(line).copied().collect();
        let answer = self.ok(&line);
        let mut lines = answer.lines();
        assert_eq!(lines.next(), Some(HEADER.trim_end()));
        lines.map(str::to_owned).collect()
    }

    /// Every byte of a directory, to see that nothing was touched. Whoever tries
    /// to write leaves its mark in the lock, which is no data.
    pub fn image(&self, name: &str) -> Vec<(PathBuf, Vec<u8>)> {
        image(&self.path(name))
    }
}

impl Ran {
    fn of(output: std::process::Output) -> Self {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            err: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
        }
    }

    /// The line of an expected failure: exit code 1, nothing else said.
    pub fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        let told = |line: &&str| {
            !line.starts_with("hotstove: note:") && !line.starts_with("hotstove: warning:")
        };
        let lines: Vec<_> = self.err.lines().filter(told).collect();
        assert_eq!(lines.len(), 1, "{self:?}");
        lines[0].to_owned()
    }
}

pub fn ran(mut command: Command) -> Ran {
    Ran::of(command.output().expect("running hotstove"))
}

pub fn image(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.ends_with("LOCK"))
        .map(|path| (path.clone(), std::fs::read(path).expect("a file")))
        .collect();
    files.sort();
    files
}

/// Fails with the message where a part of what it should say is missing.
#[track_caller]
pub fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in {message:?}");
    }
}
