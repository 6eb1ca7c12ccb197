//! The writer: this test binary started again, with its orders in the
//! environment. It waits for a word on its standard input, so that a tracer can
//! take hold of it first, and says over standard error what was acknowledged.

use std::env;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use hotstove::{Durability, ErrorKind, Minute, Options, Result, Store};

use super::plan::{self, FLOORS, batch, source};
use super::process::Told;
use super::random::Random;

const ORDERS: &str = "HOTSTOVE_TORTURE";
const STORE: &str = "HOTSTOVE_TORTURE_STORE";

/// Set, a writer waits for a word after each failure: its parent mends the cause.
pub const PATIENT: &str = "HOTSTOVE_TORTURE_PATIENT";

/// The exit code of a writer that met errors without end.
pub const GAVE_UP: i32 = 9;

/// Tries of one step, and openings, before a writer goes.
const TRIES: usize = 4;

/// What a writer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Commits, each synced.
    Sync,
    /// Commits that are not, with a sync amid them.
    Buffered,
    /// Three threads that commit in groups.
    Group,
    /// Commits, flushes, merges.
    Flush,
    /// Late batches and retention amid them.
    Late,
    /// Backups, and a reopening between.
    Backup,
    /// Everything at once, without end, by chance.
    Mixed,
    /// The same without syncs.
    MixedBuffered,
    /// Opens the store and holds it; where it is refused it asks before it tries
    /// again.
    Holder,
}

/// The workloads that end.
pub const FINITE: [Workload; 6] = [
    Workload::Sync,
    Workload::Buffered,
    Workload::Group,
    Workload::Flush,
    Workload::Late,
    Workload::Backup,
];

impl Workload {
    const ALL: [Workload; 9] = [
        Workload::Sync,
        Workload::Buffered,
        Workload::Group,
        Workload::Flush,
        Workload::Late,
        Workload::Backup,
        Workload::Mixed,
        Workload::MixedBuffered,
        Workload::Holder,
    ];

    /// Whether a commit survives a power cut once it is acknowledged.
    pub fn syncs_commits(self) -> bool {
        !matches!(self, Workload::Buffered | Workload::MixedBuffered)
    }

    /// One letter a step: commit, sync, flush, merge, retain, backup, reopen.
    fn steps(self) -> &'static str {
        match self {
            Workload::Sync => "cccccccc",
            Workload::Buffered => "cccsccccsc",
            Workload::Flush => "ccfcfmccmfc",
            Workload::Late => "cccrcfccrcmcrfmc",
            Workload::Backup => "ccfcbcocmbc",
            Workload::Group | Workload::Mixed | Workload::MixedBuffered | Workload::Holder => "",
        }
    }

    fn options(self) -> Options {
        let options = Options::new().background(false);
        let interval = Duration::from_millis(3);
        match self {
            Workload::Buffered => options
                .durability(Durability::Buffered { interval })
                .background(true),
            Workload::Mixed => Options::new().wal_limit(64 << 10),
            Workload::MixedBuffered => Options::new()
                .wal_limit(64 << 10)
                .durability(Durability::Buffered { interval }),
            _ => options,
        }
    }
}

/// Where the backup of this number goes: beside the store.
pub fn backup_path(store: &Path, number: usize) -> PathBuf {
    store.with_extension(format!("backup-{number}"))
}

/// A writer to be started, `through` which other command if any.
pub fn command(through: &[&str], workload: Workload, seed: u64, store: &Path) -> Command {
    let own = env::current_exe().expect("this binary");
    let mut words = through.iter().map(Path::new).chain([own.as_path()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args([
        "--exact",
        "child::writer",
        "--test-threads=1",
        "--nocapture",
        "-q",
    ]);
    command
        .env(ORDERS, format!("{workload:?} {seed}"))
        .env(STORE, store);
    command
}

/// Waits for a word of the parent; its end is ours.
fn wait_for_go() {
    let mut word = [0; 3];
    if std::io::stdin().read_exact(&mut word).is_err() {
        std::process::exit(GAVE_UP);
    }
}

/// Microseconds that a writer and its parent count alike.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

fn tell(told: &Told) {
    // One write, so that a death leaves whole lines or none. Whoever listened
    // may be gone.
    let line = format!("{} {}\n", told.line(), now());
    let _ = std::io::stderr().write_all(line.as_bytes());
}

#[test]
fn writer() {
    let (Ok(orders), Ok(store)) = (env::var(ORDERS), env::var(STORE)) else {
        return;
    };
    let (workload, seed) = orders.split_once(' ').unwrap();
    let named = |own: &&Workload| format!("{own:?}") == workload;
    let workload = *Workload::ALL.iter().find(named).unwrap();
    tell(&Told::Start);
    wait_for_go();
    super::memory::begin();
    let mut life = Life {
        path: store.into(),
        workload,
        step: 0,
        tries: 0,
    };
    let random = Random::new(seed.parse().unwrap());
    match workload {
        Workload::Mixed | Workload::MixedBuffered => life.go_on_for_ever(random),
        Workload::Holder => life.hold(),
        _ => life.go_to_the_end(),
    }
    tell(&Told::End);
}

struct Life {
    path: PathBuf,
    workload: Workload,
    /// Steps done.
    step: usize,
    /// Failures since the last step that was done.
    tries: usize,
}

impl Life {
    /// Says what failed; ends the process after too many.
    fn failed(&mut self, error: &hotstove::Error) {
        tell(&Told::failed(error));
        self.tries += 1;
        if self.tries >= TRIES {
            std::process::exit(GAVE_UP);
        }
        if env::var(PATIENT).is_ok() {
            wait_for_go();
        }
    }

    fn hold(&mut self) {
        let held = loop {
            match Store::open(&self.path, self.workload.options()) {
                Ok(store) => break store,
                Err(error) => tell(&Told::failed(&error)),
            }
            wait_for_go();
        };
        tell(&Told::Held);
        wait_for_go();
        drop(held);
    }

    fn open(&mut self) -> Store {
        loop {
            let opened = Store::open(&self.path, self.workload.options());
            match opened.and_then(|store| plan::define(&store).map(|_| store)) {
                Ok(store) => {
                    for (name, state) in store.snapshot().sources() {
                        let writer = (0..plan::WRITERS).find(|own| source(*own) == *name);
                        tell(&Told::Found(writer.unwrap(), state.offset.unwrap_or(0)));
                    }
                    return store;
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    fn go_to_the_end(&mut self) {
        let steps = self.workload.steps().as_bytes();
        'opening: loop {
            let store = self.open();
            if self.workload == Workload::Group {
                match group(&store) {
                    Ok(()) => {}
                    Err(error) => {
                        self.failed(&error);
                        continue;
                    }
                }
            }
            while self.step < steps.len() {
                if steps[self.step] == b'o' {
                    self.step += 1;
                    if let Err(error) = store.close() {
                        self.failed(&error);
                    }
                    continue 'opening;
                }
                match self.step(&store, steps[self.step]) {
                    Ok(()) => {
                        self.step += 1;
                        self.tries = 0;
                    }
                    Err(error) => {
                        self.failed(&error);
                        if error.kind() == ErrorKind::Poisoned {
                            continue 'opening;
                        }
                    }
                }
            }
            match store.close() {
                Ok(()) => return,
                // The next opening recovers; a failed close loses nothing.
                Err(error) => self.failed(&error),
            }
        }
    }

    fn step(&self, store: &Store, step: u8) -> Result<()> {
        let number = |letter| {
            let done = &self.workload.steps().as_bytes()[..self.step];
            done.iter().filter(|own| **own == letter).count() + 1
        };
        match step {
            b'c' => commit(store, 0),
            b's' => sync(store),
            b'f' => store.flush(),
            b'm' => store.compact(),
            b'r' => retain(store, number(b'r')),
            b'b' => self.backup(store, number(b'b')),
            _ => unreachable!("no such step"),
        }
    }

    fn backup(&self, store: &Store, number: usize) -> Result<()> {
        let path = backup_path(&self.path, number);
        // What a failed one left is no store; it is made again from nothing.
        let _ = std::fs::remove_dir_all(&path);
        let count = store.committed_offset(source(0).as_str()).unwrap_or(0);
        tell(&Told::BackupAsked(number, count));
        store.backup(path)?;
        tell(&Told::Backup(number));
        Ok(())
    }

    /// Two threads commit; this one keeps house by chance.
    fn go_on_for_ever(&mut self, mut random: Random) {
        loop {
            let store = self.open();
            if let Err(error) = resend(&store) {
                self.failed(&error);
                continue;
            }
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                for writer in 0..2 {
                    let (store, stop) = (&store, &stop);
                    scope.spawn(move || {
                        while !stop.load(Ordering::Relaxed) && commit(store, writer).is_ok() {}
                        stop.store(true, Ordering::Relaxed);
                    });
                }
                let mut outcome = Ok(());
                while outcome.is_ok() && !stop.load(Ordering::Relaxed) {
                    outcome = match random.below(40) {
                        0..10 => store.flush(),
                        10..15 => store.compact(),
                        15 if self.workload == Workload::MixedBuffered => sync(&store),
                        16 => raise_floor(&store),
                        17 => break,
                        _ => {
                            std::thread::sleep(Duration::from_micros(random.below(300)));
                            Ok(())
                        }
                    };
                }
                stop.store(true, Ordering::Relaxed);
                if let Err(error) = outcome {
                    self.failed(&error);
                }
            });
            if let Err(error) = store.close() {
                self.failed(&error);
            }
        }
    }
}

/// Commits the next batch of a writer.
fn commit(store: &Store, writer: usize) -> Result<()> {
    let known = store.committed_offset(source(writer).as_str()).unwrap_or(0);
    let receipt = store.commit(batch(store, writer, known + 1)?)?;
    assert!(
        !receipt.already_applied,
        "batch {} was never sent",
        known + 1
    );
    tell(&Told::Acknowledged(writer, known + 1));
    Ok(())
}

/// The last batches once more: each was counted.
fn resend(store: &Store) -> Result<()> {
    for writer in 0..plan::WRITERS {
        let known = store.committed_offset(source(writer).as_str()).unwrap_or(0);
        for number in known.saturating_sub(2).max(1)..=known {
            let receipt = store.commit(batch(store, writer, number)?)?;
            assert!(
                receipt.already_applied,
                "batch {number} of {known} counted again"
            );
        }
    }
    Ok(())
}

fn sync(store: &Store) -> Result<()> {
    let known = plan::counts(&store.snapshot());
    store.sync()?;
    for (writer, number) in known.into_iter().enumerate() {
        tell(&Told::Synced(writer, number));
    }
    Ok(())
}

fn retain(store: &Store, number: usize) -> Result<()> {
    tell(&Told::FloorAsked(number));
    store.retain_before(Minute::new(FLOORS[number - 1])?)?;
    tell(&Told::Floor(number));
    Ok(())
}

fn raise_floor(store: &Store) -> Result<()> {
    let floor = store.inspect()?.floor.get();
    let number = FLOORS.iter().filter(|known| **known <= floor).count() + 1;
    if number <= FLOORS.len() {
        retain(store, number)
    } else {
        Ok(())
    }
}

/// Three threads commit four batches each; what is there already is not made
/// again.
fn group(store: &Store) -> Result<()> {
    let one = |writer: usize| -> Result<()> {
        while store.committed_offset(source(writer).as_str()).unwrap_or(0) < 4 {
            commit(store, writer)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..plan::WRITERS)
            .map(|writer| scope.spawn(move || one(writer)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap())
    })
}
