//! What an administrator may limit: files open, the size of a file, who one is.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::child::{self, PATIENT, Workload};
use super::client::Client;
use super::mounts::done;
use super::place::Place;
use super::process::{Ended, Process, Told};
use super::survivor::{Death, Depth, check};
use super::tools::{has, skipped};

struct Limited {
    ended: Ended,
    client: Client,
    noise: String,
}

/// A writer under a limit; `lifted` is run on the first failure, if given.
fn run(place: &Place, shell: &str, lifted: Option<&str>) -> Limited {
    let line = format!("{shell}; exec \"$@\"");
    let mut command = child::command(
        &["sh", "-c", &line, "sh"],
        Workload::Flush,
        0,
        &place.path("store"),
    );
    if lifted.is_some() {
        command.env(PATIENT, "1");
    }
    let mut process = Process::start(command);
    let mut client = Client::default();
    process.go();
    while let Some(told) = process.hear() {
        client.hear(&told);
        if let (Told::Failed(_), Some(lifted)) = (&told, lifted) {
            assert!(
                done(&format!("{lifted} --pid {}", process.id())),
                "lifting the limit"
            );
            process.go();
        }
    }
    let ended = process.end();
    Limited {
        ended,
        client,
        noise: std::mem::take(&mut process.noise),
    }
}

fn look(place: &Place, limited: &mut Limited, said: &str) {
    check(
        &place.path("store"),
        &mut limited.client,
        Death::Kill,
        Depth::Recover,
    )
    .unwrap_or_else(|wrong| {
        panic!(
            "{said}: {wrong} {:?} {}",
            limited.client.failures, limited.noise
        )
    });
}

/// From 4 files open upward, as many as it takes.
#[test]
fn few_open_files() {
    let place = Place::new();
    let (mut refused, mut enough) = (0, None);
    for files in 4..40 {
        place.clear();
        let said = format!("{files} files");
        let mut limited = run(&place, &format!("ulimit -n {files}"), None);
        match limited.ended {
            Ended::Done => enough = enough.or(Some(files)),
            // With too few the test harness itself does not start.
            Ended::Other(_) if files < 8 && !limited.client.opened => {}
            Ended::GaveUp => refused += 1,
            ended => panic!("{said}: {ended:?} {}", limited.noise),
        }
        look(&place, &mut limited, &said);
        if limited.ended != Ended::GaveUp || !has("prlimit") {
            continue;
        }
        place.clear();
        let lifted = Some("prlimit --nofile=1024");
        let mut limited = run(&place, &format!("ulimit -S -n {files}"), lifted);
        assert_eq!(
            limited.ended,
            Ended::Done,
            "{said}, lifted: {:?}",
            limited.client.failures
        );
        look(&place, &mut limited, &said);
    }
    println!("{refused} numbers of files are too few, {enough:?} are enough");
    assert!(refused > 0 && enough.is_some());
}

/// Files no longer than so many blocks of 512 bytes. Where the signal is
/// ignored a write that goes beyond fails, and the store is full; where not,
/// the signal is one more death.
#[test]
fn short_files() {
    let place = Place::new();
    let (mut died, mut full) = (0, 0);
    for blocks in [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24] {
        for (ignored, shell) in [(false, ""), (true, "trap '' XFSZ; ")] {
            place.clear();
            let said = format!("{blocks} blocks, ignored: {ignored}");
            let mut limited = run(&place, &format!("{shell}ulimit -f {blocks}"), None);
            match limited.ended {
                Ended::Done => {}
                Ended::Signal(25) if !ignored => died += 1,
                Ended::GaveUp => full += 1,
                ended => panic!("{said}: {ended:?} {}", limited.noise),
            }
            let typed = |why: &String| why.starts_with("StorageFull");
            assert!(
                limited.client.failures.iter().all(typed),
                "{said}: {:?}",
                limited.client.failures
            );
            look(&place, &mut limited, &said);
            if !ignored || limited.ended != Ended::GaveUp || !has("prlimit") {
                continue;
            }
            place.clear();
            let lifted = Some("prlimit --fsize=unlimited");
            let mut limited = run(&place, &format!("{shell}ulimit -S -f {blocks}"), lifted);
            assert_eq!(
                limited.ended,
                Ended::Done,
                "{said}, lifted: {:?}",
                limited.client.failures
            );
            look(&place, &mut limited, &said);
        }
    }
    println!("{died} deaths by SIGXFSZ, {full} writers found it full");
    assert!(died > 0 && full > 0);
}

/// Somebody else is refused, and has a store of its own.
#[test]
fn somebody_else() {
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    if !done(&format!("{nobody} true")) {
        return skipped("somebody else", "who one is can not be changed here");
    }
    let place = Place::new();
    let mut owner = run(&place, "true", None);
    assert_eq!(owner.ended, Ended::Done, "{}", owner.noise);
    let through: Vec<_> = nobody.split(' ').collect();
    // The way to the store is open, the store is not.
    fs::set_permissions(place.path("."), fs::Permissions::from_mode(0o777)).unwrap();
    let mut process = Process::start(child::command(
        &through,
        Workload::Flush,
        0,
        &place.path("store"),
    ));
    process.go();
    let told: Vec<_> = std::iter::from_fn(|| process.hear()).collect();
    if told.is_empty() {
        return skipped("somebody else", "they may not run this test");
    }
    assert_eq!(process.end(), Ended::GaveUp, "{told:?}");
    assert!(
        told.iter()
            .any(|told| matches!(told, Told::Failed(why) if why.starts_with("Io"))),
        "{told:?}"
    );
    look(&place, &mut owner, "after somebody else");
    let mut process = Process::start(child::command(
        &through,
        Workload::Flush,
        0,
        &place.path("own"),
    ));
    process.go();
    let mut client = Client::default();
    while let Some(told) = process.hear() {
        client.hear(&told);
    }
    assert_eq!(process.end(), Ended::Done, "{}", process.noise);
    check(&place.path("own"), &mut client, Death::Kill, Depth::Recover).unwrap();
}
