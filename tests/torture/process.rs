//! A writer seen from its parent: what it says, and how it ends.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

/// What a writer says, one line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is about to open the store.
    Start,
    /// What it found: so many batches of this writer.
    Found(usize, u64),
    /// A batch was acknowledged.
    Acknowledged(usize, u64),
    /// A sync returned: batches up to this one survive a power cut.
    Synced(usize, u64),
    /// The floor of this number is asked for.
    FloorAsked(usize),
    /// It was granted.
    Floor(usize),
    /// A backup of this number, with so many batches of writer 0, is asked for.
    BackupAsked(usize, u64),
    /// It was made.
    Backup(usize),
    /// Something failed.
    Failed(String),
    /// The store was opened and nothing done with it.
    Held,
    /// It has done all it was told to.
    End,
}

impl Told {
    pub fn failed(error: &hotstove::Error) -> Told {
        Told::Failed(format!("{:?}: {error}", error.kind()))
    }

    pub fn line(&self) -> String {
        match self {
            Told::Start => "@start".into(),
            Told::Found(writer, number) => format!("@found {writer} {number}"),
            Told::Acknowledged(writer, number) => format!("@ack {writer} {number}"),
            Told::Synced(writer, number) => format!("@synced {writer} {number}"),
            Told::FloorAsked(number) => format!("@floor-asked {number}"),
            Told::Floor(number) => format!("@floor {number}"),
            Told::BackupAsked(number, count) => format!("@backup-asked {number} {count}"),
            Told::Backup(number) => format!("@backup {number}"),
            Told::Failed(why) => format!("@failed {}", why.replace('\n', " ")),
            Told::Held => "@held".into(),
            Told::End => "@end".into(),
        }
    }

    fn parse(line: &str) -> Option<Told> {
        let (word, rest) = line
            .strip_prefix('@')?
            .split_once(' ')
            .unwrap_or((&line[1..], ""));
        let mut numbers = rest
            .split(' ')
            .map_while(|number| number.parse::<u64>().ok());
        let mut number = || numbers.next();
        Some(match word {
            "start" => Told::Start,
            "found" => Told::Found(number()? as usize, number()?),
            "ack" => Told::Acknowledged(number()? as usize, number()?),
            "synced" => Told::Synced(number()? as usize, number()?),
            "floor-asked" => Told::FloorAsked(number()? as usize),
            "floor" => Told::Floor(number()? as usize),
            "backup-asked" => Told::BackupAsked(number()? as usize, number()?),
            "backup" => Told::Backup(number()? as usize),
            "failed" => Told::Failed(rest.to_owned()),
            "held" => Told::Held,
            "end" => Told::End,
            _ => return None,
        })
    }
}

/// A running writer.
pub struct Process {
    child: Child,
    lines: BufReader<ChildStderr>,
    /// When it said what was heard last; see [`super::child::now`].
    pub told_at: u64,
    /// What it said that is no message: panics.
    pub noise: String,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// It met too many errors and went.
    GaveUp,
    /// By this signal.
    Signal(i32),
    Other(Option<i32>),
}

impl Process {
    /// Starts it; it waits for [`Process::go`] before it touches the store.
    pub fn start(mut command: Command) -> Process {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("starting a writer");
        let lines = BufReader::new(child.stderr.take().unwrap());
        Process {
            child,
            lines,
            told_at: 0,
            noise: String::new(),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next message; none at its end.
    pub fn hear(&mut self) -> Option<Told> {
        loop {
            let mut line = Vec::new();
            let read = self.lines.read_until(b'\n', &mut line).expect("a pipe");
            if read == 0 {
                return None;
            }
            let line = String::from_utf8_lossy(&line);
            // A line cut short by its death was not said.
            let whole = line.strip_suffix('\n');
            let told = whole.and_then(|line| line.rsplit_once(' '));
            match told.and_then(|(told, at)| Some((Told::parse(told)?, at.parse().ok()?))) {
                Some((told, at)) => {
                    self.told_at = at;
                    return Some(told);
                }
                None if line.starts_with('@') => {}
                None => self.noise.push_str(&line),
            }
        }
    }

    pub fn go(&mut self) {
        let stdin = self.child.stdin.as_mut().unwrap();
        // It may be dead already, which its end will tell.
        let _ = stdin.write_all(b"go\n");
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("killing a writer");
    }

    /// Waits for its end.
    pub fn end(&mut self) -> Ended {
        ended(self.child.wait().expect("the end of a writer"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn ended(status: ExitStatus) -> Ended {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Ended::Signal(signal),
        (None, Some(0)) => Ended::Done,
        (None, Some(super::child::GAVE_UP)) => Ended::GaveUp,
        (None, code) => Ended::Other(code),
    }
}
