//! Readers of a store that is being written, flushed, merged and cut back by
//! another process, through a mount that is read-only where that can be had.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hotstove::{ErrorKind, Options, Reader, Snapshot, Store};

use super::child::{self, Workload};
use super::client::Client;
use super::mounts::Mount;
use super::place::Place;
use super::plan::{self, FLOORS, Key, Model, WRITERS, cells, counts};
use super::process::{Process, Told};
use super::survivor::{Death, Depth, check};
use super::tools::{number, skipped};

/// Acknowledged so far, by writer.
type Acknowledged = [AtomicU64; WRITERS];

/// Looks at the store until told to stop; gives how often it did.
fn look(path: &Path, acknowledged: &Acknowledged, stop: &AtomicBool) -> u64 {
    let mut looks = 0;
    let mut model = Model::default();
    let mut held: Option<(Snapshot, BTreeMap<Key, i128>)> = None;
    let mut reader = Reader::open(path).expect("opening to read");
    while !stop.load(Ordering::Relaxed) {
        if looks % 16 == 15 {
            reader = Reader::open(path).expect("opening to read again");
        }
        let least = acknowledged
            .each_ref()
            .map(|count| count.load(Ordering::SeqCst));
        let snapshot = reader.snapshot().expect("a snapshot");
        let counts = counts(&snapshot);
        for writer in 0..WRITERS {
            assert!(
                counts[writer] >= least[writer],
                "{counts:?}, acknowledged {least:?}"
            );
        }
        // A state between two acknowledgements, and none before the last one seen.
        model.advance(counts);
        let seen = cells(&snapshot).expect("reading");
        let floors = [0].iter().chain(&FLOORS);
        let whole = floors.clone().any(|floor| seen == model.from(*floor));
        assert!(whole, "{counts:?} and {seen:?}");
        // What was seen stays, though its segments are gone from the directory.
        match &held {
            Some((snapshot, seen)) if looks % 8 == 7 => {
                assert_eq!(cells(snapshot).expect("reading once more"), *seen);
                held = None;
            }
            None => held = Some((snapshot, seen)),
            Some(_) => {}
        }
        assert!(reader.warnings().is_empty(), "{:?}", reader.warnings());
        looks += 1;
    }
    looks
}

/// Two readers beside a writer, for so long.
fn watch(seconds: u64) {
    let place = Place::new();
    let store = place.path("store");
    drop(Store::open(&store, Options::new()).unwrap());
    let bind = format!("mount -o bind,ro {}", store.display());
    let mount = Mount::new(place.path("read-only"), &bind);
    let through = match &mount {
        Some(mount) => mount.path.clone(),
        None => {
            skipped(
                "a read-only mount",
                "mounting is not allowed; the directory itself is read",
            );
            store.clone()
        }
    };
    let mut process = Process::start(child::command(&[], Workload::Mixed, 5, &store));
    process.hear();
    process.go();
    let acknowledged = Acknowledged::default();
    let stop = AtomicBool::new(false);
    let mut client = Client::default();
    let (mut files, mut looks) = (0, 0);
    std::thread::scope(|scope| {
        let readers =
            [&store, &through].map(|path| scope.spawn(|| look(path, &acknowledged, &stop)));
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            let told = process
                .hear()
                .unwrap_or_else(|| panic!("{}", process.noise));
            if let Told::Acknowledged(writer, number) = told {
                acknowledged[writer].store(number, Ordering::SeqCst);
            }
            client.hear(&told);
        }
        stop.store(true, Ordering::Relaxed);
        process.kill();
        while let Some(told) = process.hear() {
            client.hear(&told);
        }
        process.end();
        looks = readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .sum();
        files = Reader::open(&store).unwrap().inspect().unwrap().generation;
    });
    check(&store, &mut client, Death::Kill, Depth::Read).unwrap();
    let batches: u64 = client.acknowledged.iter().sum();
    println!("{looks} looks at {batches} batches, {files} manifests");
}

#[test]
fn readers_see_states_between_acknowledgements() {
    watch(2);
}

#[test]
#[ignore = "long: readers for SECONDS"]
fn long_readers_see_states_between_acknowledgements() {
    watch(number("SECONDS_OF_READING", 300));
}

/// On a read-only mount a reader reads and a writer is refused.
#[test]
fn a_read_only_mount_is_for_readers() {
    let place = Place::new();
    let path = place.path("store");
    let store = Store::open(&path, Options::new()).unwrap();
    plan::define(&store).unwrap();
    store.commit(plan::batch(&store, 0, 1).unwrap()).unwrap();
    store.close().unwrap();
    let bind = format!("mount -o bind,ro {}", path.display());
    let Some(mount) = Mount::new(place.path("read-only"), &bind) else {
        return skipped("a read-only mount", "mounting is not allowed");
    };
    let reader = Reader::open(&mount.path).unwrap();
    assert!(reader.verify().unwrap().is_sound());
    assert_eq!(counts(&reader.snapshot().unwrap())[0], 1);
    let refused = Store::open(&mount.path, Options::new()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Io, "{refused}");
}
