//! The command line's import, killed at its system calls: repeated, it goes on
//! where it stopped, and counts nothing twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hotstove::{Every, Reader, Values};

use super::place::Place;
use super::tools::{has, number, skipped};

/// There where the command is built, too.
const BINARY: Option<&str> = option_env!("CARGO_BIN_EXE_hotstove");

/// Lines of the file: two batches and some.
const LINES: u64 = 17_000;

fn file() -> String {
    let mut text = "release,branch,metric,minute,value\n".to_owned();
    for at in 0..LINES {
        let (hour, minute) = (at / 60 % 24, at % 60);
        text.push_str(&format!(
            "r{},a,m,2026-01-01T{hour:02}:{minute:02}Z,{}\n",
            at % 3,
            at % 97
        ));
    }
    text
}

fn sums(path: &Path) -> BTreeMap<String, i128> {
    let reader = Reader::open(path).expect("opening");
    let found = reader.verify().expect("verifying");
    assert!(
        found.is_sound() && reader.warnings().is_empty(),
        "{found:?}"
    );
    let snapshot = reader.snapshot().expect("a snapshot");
    let table = snapshot.query().every(Every::Whole).run().expect("a query");
    let of = |values| match values {
        Values::Exact { units, .. } => units.iter().sum(),
        Values::Float(_) => unreachable!("a counter"),
    };
    table
        .groups()
        .map(|group| (group.release.to_owned(), of(group.values)))
        .collect()
}

fn import(binary: &str, place: &Place, through: &[String]) -> std::process::ExitStatus {
    let mut words: Vec<String> = through.to_vec();
    words.push(binary.to_owned());
    words.extend(
        [
            "import",
            "store",
            "a.csv",
            "--define-missing",
            "--source",
            "feed",
        ]
        .map(String::from),
    );
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .current_dir(place.path("."))
        .stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("starting the import")
}

fn traced(words: &[&str]) -> Vec<String> {
    let words = ["strace", "-f", "-qq", "-o", "strace.log"]
        .iter()
        .chain(words);
    words.map(|word| (*word).to_owned()).collect()
}

fn kill_at_calls(stride: usize) {
    let Some(binary) = BINARY.filter(|_| has("strace")) else {
        return skipped(
            "kills of the import",
            "no strace, or built without the command line",
        );
    };
    let place = Place::new();
    let text = file();
    let begin = || {
        place.clear();
        fs::write(place.path("a.csv"), &text).unwrap();
    };
    begin();
    assert!(import(binary, &place, &traced(&[])).success());
    let whole = sums(&place.path("store"));
    let log = fs::read_to_string(place.path("strace.log")).unwrap();
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for line in log.lines() {
        let call = line
            .split_once(' ')
            .and_then(|(thread, rest)| Some((thread, rest.trim_start().split_once('(')?.0)));
        let call =
            call.filter(|(_, name)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        if let Some(call) = call {
            *counts.entry(call).or_default() += 1;
        }
    }
    let mut most: BTreeMap<&str, u64> = BTreeMap::new();
    for ((_, name), count) in &counts {
        let known = most.entry(name).or_default();
        *known = (*known).max(*count);
    }
    let moments = most
        .iter()
        .flat_map(|(name, count)| (1..=*count).map(move |at| (*name, at)));
    let (mut killed, mut moment) = (0, 0);
    for (name, at) in moments.step_by(stride) {
        begin();
        let inject = format!("-einject={name}:signal=SIGKILL:when={at}");
        let status = import(
            binary,
            &place,
            &traced(&[&format!("-etrace={name}"), &inject]),
        );
        moment += 1;
        killed += u64::from(!status.success());
        let said = format!("killed at {name} {at}");
        assert!(
            import(binary, &place, &[]).success(),
            "{said}: the import is not repeated"
        );
        assert_eq!(sums(&place.path("store")), whole, "{said}");
    }
    println!(
        "Import: {} system calls, {moment} moments, {killed} kills",
        counts.values().sum::<u64>()
    );
}

#[test]
fn some_calls_kill_an_import() {
    kill_at_calls(67);
}

#[test]
#[ignore = "long: every call of an import"]
fn long_every_call_kills_an_import() {
    kill_at_calls(number("STRIDE", 1) as usize);
}
