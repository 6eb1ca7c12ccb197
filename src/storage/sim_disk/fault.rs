//! Which calls fail, how, and what they have done all the same.

use std::fmt;
use std::io;

/// The calls of the seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `Disk::open` of an existing file.
    Open,
    /// `Disk::open` of a new file.
    Create,
    /// `Disk::rename`.
    Rename,
    /// `Disk::remove`.
    Remove,
    /// `Disk::list`.
    List,
    /// `Disk::sync_dir`.
    SyncDir,
    /// `Disk::lock`.
    Lock,
    /// `DiskFile::len`.
    Len,
    /// `DiskFile::read_at`.
    Read,
    /// `DiskFile::write_at`.
    Write,
    /// `DiskFile::sync`.
    Sync,
    /// `DiskFile::set_len`.
    SetLen,
    /// `DiskFile::map`.
    Map,
}

impl Call {
    /// Every call.
    pub const ALL: [Call; 13] = [
        Call::Open,
        Call::Create,
        Call::Rename,
        Call::Remove,
        Call::List,
        Call::SyncDir,
        Call::Lock,
        Call::Len,
        Call::Read,
        Call::Write,
        Call::Sync,
        Call::SetLen,
        Call::Map,
    ];
}

/// What a failed call has done before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing. A failed sync keeps what is dirty: a later one may succeed.
    Nothing,
    /// All it was asked for: the error is a lie in the safe direction.
    Everything,
    /// A write: so many bytes. A sync: so many of the oldest unsynced effects
    /// are durable, and the rest is dropped from the dirty pages, so that it
    /// still reads well, a later sync succeeds, and a crash loses it.
    /// Any other call: nothing.
    Prefix(u64),
    /// As [`Outcome::Prefix`], of a length taken from the seed for a write; of
    /// a sync any of the effects, taken from the seed.
    Torn,
}

impl Outcome {
    /// A failed sync that drops all the dirty pages it should have written.
    pub const DROPS: Outcome = Outcome::Prefix(0);
}

#[derive(Clone, Copy, Debug)]
enum Cause {
    Kind(io::ErrorKind),
    Errno(i32),
    Died,
    Panic,
}

/// A plan to fail some calls. Unless told otherwise: the next one, once, with
/// EIO, having done nothing.
#[derive(Clone, Debug)]
pub struct Fault {
    calls: Vec<Call>,
    file: Option<String>,
    skip: u64,
    times: u64,
    cause: Cause,
    outcome: Outcome,
}

impl Fault {
    /// Fails any of these calls.
    pub fn on(calls: &[Call]) -> Self {
        Fault {
            calls: calls.to_vec(),
            file: None,
            skip: 0,
            times: 1,
            cause: Cause::Errno(libc::EIO),
            outcome: Outcome::Nothing,
        }
    }

    /// Only calls on files whose name contains this.
    #[must_use]
    pub fn in_file(mut self, part: &str) -> Self {
        self.file = Some(part.to_owned());
        self
    }

    /// Lets so many calls that match pass first.
    #[must_use]
    pub fn after(mut self, calls: u64) -> Self {
        self.skip = calls;
        self
    }

    /// Fails so many calls.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Fails until [`SimDisk::heal`](super::SimDisk::heal).
    #[must_use]
    pub fn forever(self) -> Self {
        self.times(u64::MAX)
    }

    /// Fails with an error of this kind.
    #[must_use]
    pub fn kind(mut self, kind: io::ErrorKind) -> Self {
        self.cause = Cause::Kind(kind);
        self
    }

    /// Fails with this error of the operating system.
    #[must_use]
    pub fn errno(mut self, errno: i32) -> Self {
        self.cause = Cause::Errno(errno);
        self
    }

    /// The process dies there: that call and all that follow fail, as
    /// [`SimDisk::is_death`](super::SimDisk::is_death) tells.
    #[must_use]
    pub fn dying(mut self) -> Self {
        self.cause = Cause::Died;
        self
    }

    /// The calling thread panics there, having done nothing.
    #[must_use]
    pub fn panicking(mut self) -> Self {
        self.cause = Cause::Panic;
        self
    }

    /// What the call has done all the same.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    fn matches(&self, call: Call, file: &str) -> bool {
        self.times > 0
            && self.calls.contains(&call)
            && self.file.as_ref().is_none_or(|part| file.contains(part))
    }
}

/// The error of a call after the simulated death of the process.
#[derive(Debug)]
pub(super) struct Died;

impl fmt::Display for Died {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated process died before this call")
    }
}

impl std::error::Error for Died {}

/// One call as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Which call.
    pub call: Call,
    /// The file, by the name under which it was opened; empty for the directory.
    pub file: String,
    /// Where a read or write began, or the length set.
    pub offset: u64,
    /// The bytes read or written.
    pub length: u64,
    /// Whether it was made to fail. What the disk itself refuses, such as a
    /// file that is not there, does not count.
    pub failed: bool,
}

/// The verdict on one call.
pub(super) struct Verdict {
    failure: Option<(Cause, Outcome)>,
}

impl Verdict {
    /// What the call has to do, failed or not.
    pub fn outcome(&self) -> Outcome {
        self.failure
            .map_or(Outcome::Everything, |(_, outcome)| outcome)
    }

    /// The error, if the call fails and has nothing to do first.
    pub fn before(&self) -> io::Result<()> {
        match self.outcome() {
            Outcome::Everything => Ok(()),
            _ => self.after(()),
        }
    }

    /// The error, if the call fails; the result, if not.
    pub fn after<T>(&self, result: T) -> io::Result<T> {
        match self.failure {
            None => Ok(result),
            Some((Cause::Kind(kind), _)) => Err(kind.into()),
            Some((Cause::Errno(errno), _)) => Err(io::Error::from_raw_os_error(errno)),
            Some((Cause::Died, _)) => Err(io::Error::other(Died)),
            Some((Cause::Panic, _)) => panic!("a panic that a test asked for"),
        }
    }
}

/// Counts the calls and holds the plans to fail them.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    pub total: u64,
    pub counts: [u64; Call::ALL.len()],
    pub faults: Vec<Fault>,
    /// The process is dead from this call on.
    pub dies_at: Option<u64>,
    pub trace: Option<Vec<Traced>>,
}

impl Calls {
    /// Counts one call and decides on it.
    pub fn enter(&mut self, call: Call, file: &str, offset: u64, length: u64) -> Verdict {
        let number = self.total;
        self.total += 1;
        self.counts[call as usize] += 1;
        let failure = self.judge(number, call, file);
        if let Some(trace) = &mut self.trace {
            trace.push(Traced {
                call,
                file: file.to_owned(),
                offset,
                length,
                failed: failure.is_some(),
            });
        }
        Verdict { failure }
    }

    fn judge(&mut self, number: u64, call: Call, file: &str) -> Option<(Cause, Outcome)> {
        if self.dies_at.is_some_and(|dies_at| number >= dies_at) {
            return Some((Cause::Died, Outcome::Nothing));
        }
        let mut failure = None;
        for fault in &mut self.faults {
            if !fault.matches(call, file) {
            } else if fault.skip > 0 {
                fault.skip -= 1;
            } else if failure.is_none() {
                fault.times = fault
                    .times
                    .saturating_sub(u64::from(fault.times != u64::MAX));
                failure = Some((fault.cause, fault.outcome));
            }
        }
        if let Some((Cause::Died, _)) = failure {
            self.dies_at = Some(number);
        }
        failure
    }
}
