//! Every system call of every workload: the process is killed there, or the
//! call fails.
//!
//! `strace` takes hold of the writer before it opens the store and counts calls
//! by name and thread. So the K-th call of a name is one moment where one
//! thread works; where several do, it is that of the first to get there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::child::{self, FINITE, Workload};
use super::client::Client;
use super::place::{Place, copy};
use super::process::{Ended, Process};
use super::survivor::{Death, Depth, check};
use super::tools::{has, number, skipped};

/// Calls that name or hold a file, and may fail by the world's doing.
const FILE_CALLS: [&str; 20] = [
    "open",
    "openat",
    "read",
    "pread64",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "rename",
    "renameat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "getdents64",
    "flock",
    "statx",
    "fstat",
    "newfstatat",
];

const ERRNOS: [&str; 7] = [
    "EIO", "ENOSPC", "EDQUOT", "EMFILE", "EACCES", "EROFS", "EINTR",
];

/// How often in a row a call that is interrupted once more is interrupted.
/// The standard library tries most calls again for as long as they are, as
/// POSIX means it; without an end neither would the writer have one.
const INTERRUPTIONS: u64 = 100;

/// A writer that takes longer hangs. None was seen to take two seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which calls of a name fail, in the words of `strace`: that one, or it and
/// those that follow.
fn moments(errno: &str, at: u64, for_ever: bool) -> String {
    match (for_ever, errno) {
        (false, _) => at.to_string(),
        (true, "EINTR") => format!("{at}..{}", at + INTERRUPTIONS - 1),
        (true, _) => format!("{at}+"),
    }
}

/// What a writer begins with.
#[derive(Clone)]
enum Start {
    Nothing,
    /// A store left behind, and what is known of it.
    Left(PathBuf, Box<Client>),
}

struct Ran {
    ended: Ended,
    client: Client,
    noise: String,
    /// What `strace` wrote.
    log: String,
}

/// A tracer that holds a process. It says something of each thread, so somebody
/// has to hold the other end of its pipe.
struct Tracer {
    child: Child,
    _said: BufReader<ChildStderr>,
}

/// Lets a tracer take hold; none where that is not allowed.
fn attach(id: u32, words: &[String], log: &Path) -> Option<Tracer> {
    let mut command = Command::new("strace");
    command
        .args(["-f", "-p", &id.to_string(), "-o"])
        .arg(log)
        .args(words);
    let mut tracer = command
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting strace");
    let mut said = BufReader::new(tracer.stderr.take().unwrap());
    let mut line = String::new();
    while said.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line.contains("attached") {
            return Some(Tracer {
                child: tracer,
                _said: said,
            });
        }
        line.clear();
    }
    let _ = tracer.wait();
    None
}

/// Whether calls can be traced here, and why not.
fn untraceable() -> Option<&'static str> {
    if !has("strace") {
        return Some("no strace");
    }
    let place = Place::new();
    let mut sleeper = Command::new("sleep").arg("60").spawn().ok()?;
    let tracer = attach(sleeper.id(), &["-etrace=none".into()], &place.path("log"));
    let _ = sleeper.kill();
    let _ = sleeper.wait();
    let Some(mut tracer) = tracer else {
        return Some("strace may not take hold of a process");
    };
    let _ = tracer.child.wait();
    None
}

fn store(place: &Place) -> PathBuf {
    place.path("store")
}

fn run(place: &Place, workload: Workload, start: &Start, words: &[String]) -> Ran {
    place.clear();
    let (store, log) = (store(place), place.path("strace.log"));
    let mut client = match start {
        Start::Nothing => Client::default(),
        Start::Left(path, client) => {
            copy(path, &store);
            (**client).clone()
        }
    };
    let mut process = Process::start(child::command(&[], workload, 0, &store));
    process.hear();
    let mut tracer = attach(process.id(), words, &log).expect("a tracer");
    let (over, ends) = mpsc::channel::<()>();
    let id = process.id();
    let watch = thread::spawn(move || {
        let hangs = ends.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
        if hangs {
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        }
        hangs
    });
    process.go();
    while let Some(told) = process.hear() {
        client.hear(&told);
    }
    drop(over);
    let hung = watch.join().expect("the watch");
    let ended = process.end();
    tracer.child.wait().expect("the end of strace");
    assert!(!hung, "{workload:?} hangs with {words:?}");
    let noise = std::mem::take(&mut process.noise);
    Ran {
        ended,
        client,
        noise,
        log: fs::read_to_string(log).unwrap_or_default(),
    }
}

/// The calls of a workload.
struct Calls {
    /// How often the thread that does so most makes each.
    most: BTreeMap<String, u64>,
    total: u64,
    /// Files of the store that were named.
    files: BTreeSet<String>,
}

fn calls(place: &Place, workload: Workload, start: &Start) -> Calls {
    let ran = run(place, workload, start, &["-y".into()]);
    assert_eq!(ran.ended, Ended::Done, "{}", ran.noise);
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for line in ran.log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        let Some((name, _)) = rest.split_once('(') else {
            continue;
        };
        if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            *counts.entry((thread, name)).or_default() += 1;
        }
    }
    let mut most: BTreeMap<String, u64> = BTreeMap::new();
    for ((_, name), count) in &counts {
        let known = most.entry((*name).to_owned()).or_default();
        *known = (*known).max(*count);
    }
    let mut files = BTreeSet::new();
    for (at, text) in ran.log.match_indices("store") {
        let rest = &ran.log[at + text.len()..];
        let end = rest.find(['"', '>', ' ']).unwrap_or(0);
        files.insert(rest[..end].to_owned());
    }
    Calls {
        most,
        total: counts.values().sum(),
        files,
    }
}

/// A store whose writer was killed amid it, with segments and a log.
fn left_behind(place: &Place) -> Start {
    let path = place.path("store");
    let mut process = Process::start(child::command(&[], Workload::Flush, 0, &path));
    let mut client = Client::default();
    process.go();
    while let Some(told) = process.hear() {
        client.hear(&told);
        if client.acknowledged[0] == 5 {
            process.kill();
            break;
        }
    }
    while let Some(told) = process.hear() {
        client.hear(&told);
    }
    process.end();
    Start::Left(path, Box::new(client))
}

/// All workloads, that of opening what another left behind among them; or the
/// ones that WORKLOADS names, in its order.
fn workloads(left: &Place) -> Vec<(String, Workload, Start)> {
    let mut all: Vec<_> = FINITE
        .into_iter()
        .map(|workload| (format!("{workload:?}"), workload, Start::Nothing))
        .collect();
    all.push(("Reopen".to_owned(), Workload::Sync, left_behind(left)));
    let Ok(wanted) = std::env::var("WORKLOADS") else {
        return all;
    };
    let named = |name| {
        let found = all.iter().find(|(own, ..)| own == name);
        found
            .cloned()
            .unwrap_or_else(|| panic!("no workload is called {name:?}"))
    };
    wanted.split(',').map(named).collect()
}

/// Says once a minute how far it is, so that a run cut short leaves a figure.
struct Pace(Instant);

impl Pace {
    fn new() -> Pace {
        Pace(Instant::now())
    }

    fn say(&mut self, said: impl FnOnce() -> String) {
        if self.0.elapsed() > Duration::from_secs(60) {
            self.0 = Instant::now();
            println!("{}", said());
        }
    }
}

/// Kills at every `stride`-th call.
fn kill_at_calls(stride: usize) {
    if let Some(why) = untraceable() {
        return skipped("kills at system calls", why);
    }
    let (place, left) = (Place::new(), Place::new());
    for (named, workload, start) in workloads(&left) {
        let calls = calls(&place, workload, &start);
        let moments = calls
            .most
            .iter()
            .flat_map(|(name, count)| (1..=*count).map(move |at| (name, at)));
        let (mut killed, mut moment, mut pace) = (0, 0, Pace::new());
        for (name, at) in moments.step_by(stride) {
            let words = [
                format!("-etrace={name}"),
                format!("-einject={name}:signal=SIGKILL:when={at}"),
            ];
            let ran = run(&place, workload, &start, &words);
            moment += 1;
            let said = format!("{named}, killed at {name} {at}");
            match ran.ended {
                Ended::Signal(9) => killed += 1,
                Ended::Done => assert_ne!(ran.client.acknowledged, [0; 4], "{said}"),
                ended => panic!("{said}: {ended:?} {}", ran.noise),
            }
            let mut client = ran.client;
            check(&store(&place), &mut client, Death::Kill, Depth::Recover)
                .unwrap_or_else(|wrong| panic!("{said}: {wrong}"));
            pace.say(|| format!("{said}, the {moment}th moment"));
        }
        println!(
            "{named}: {} system calls, {moment} moments, {killed} kills",
            calls.total
        );
    }
}

/// Lets every `stride`-th call fail, with every errno, once and from then on.
fn fail_calls(stride: usize) {
    if let Some(why) = untraceable() {
        return skipped("calls that fail", why);
    }
    let (place, left) = (Place::new(), Place::new());
    for (named, workload, start) in workloads(&left) {
        let calls = calls(&place, workload, &start);
        let paths: Vec<_> = calls
            .files
            .iter()
            .flat_map(|file| {
                [
                    "-P".to_owned(),
                    format!("{}{file}", store(&place).display()),
                ]
            })
            .collect();
        let of_files = calls
            .most
            .iter()
            .filter(|(name, _)| FILE_CALLS.contains(&name.as_str()));
        let faults = of_files.flat_map(|(name, count)| {
            (1..=*count).flat_map(move |at| {
                ERRNOS
                    .into_iter()
                    .flat_map(move |errno| [false, true].map(|mode| (name, at, errno, mode)))
            })
        });
        let (mut faults_met, mut gave_up, mut pace) = (0, 0, Pace::new());
        for (name, at, errno, for_ever) in faults.step_by(stride) {
            let when = moments(errno, at, for_ever);
            let mut words = vec![
                format!("-etrace={name}"),
                format!("-einject={name}:error={errno}:when={when}"),
            ];
            words.extend(paths.iter().cloned());
            let ran = run(&place, workload, &start, &words);
            let met = ran.log.matches("(INJECTED)").count();
            if met == 0 {
                // Of this name fewer calls go to the store's files.
                continue;
            }
            faults_met += 1;
            let said = format!("{named}, {name} {when} {errno}: {:?}", ran.client.failures);
            match ran.ended {
                Ended::Done => {}
                Ended::GaveUp if for_ever => gave_up += 1,
                ended => panic!("{said}: {ended:?} {}", ran.noise),
            }
            let mut client = ran.client;
            check(&store(&place), &mut client, Death::Kill, Depth::Recover)
                .unwrap_or_else(|wrong| panic!("{said}: {wrong}"));
            pace.say(|| format!("{named}, {name} {when} {errno}: {faults_met} faults met"));
        }
        println!("{named}: {faults_met} faults met, {gave_up} writers gave up");
    }
}

#[test]
fn some_calls_kill() {
    kill_at_calls(17);
}

#[test]
#[ignore = "long: every call of every workload"]
fn long_every_call_kills() {
    kill_at_calls(number("STRIDE", 1) as usize);
}

#[test]
fn some_calls_fail() {
    fail_calls(101);
}

#[test]
#[ignore = "long: every call, every errno"]
fn long_every_call_fails() {
    fail_calls(number("STRIDE", 1) as usize);
}
