//! Threads of hotstove under a scheduler: committers, a reader, flushes, merges
//! and retention, in as many orders of their locks as are asked for.
//!
//! The crate is taken as it is. Only `parking_lot` is another one here (see
//! `Cargo.toml`), whose locks are shuttle's: at each the scheduler chooses who
//! goes on. The disk is the simulated one. A schedule that fails is printed and
//! can be replayed (`shuttle::replay`).
//!
//! ```sh
//! cd schedules && SCHEDULES=100000 cargo test -- --nocapture
//! ```

#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hotstove::internals::storage::sim_disk::SimDisk;
use hotstove::internals::{open_reader, open_store};
use hotstove::{Batch, Every, Kind, Metric, Minute, Name, Options, Snapshot, Store, Values};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner, thread};

/// Threads that commit, and batches of each.
const COMMITTERS: usize = 3;
const BATCHES: u64 = 2;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn source(committer: usize) -> Name {
    name(&format!("source-{committer}"))
}

fn open(disk: &SimDisk) -> Store {
    let store = open_store(Arc::new(disk.clone()), Options::new().background(false)).unwrap();
    store
        .define_metric(&Metric::new(name("crashes"), Kind::Counter))
        .unwrap();
    store
}

/// Each batch adds its weight to two releases: half of it can not hide.
fn commit(store: &Store, committer: usize, number: u64) -> bool {
    let mut batch = Batch::new();
    for release in ["one", "two"] {
        let series = store.series(release, "all", "crashes").unwrap();
        batch.add(
            series,
            Minute::new(number as u32).unwrap(),
            weight(committer, number),
        );
    }
    batch.stamp(&source(committer), number);
    store.commit(batch).unwrap().already_applied
}

fn weight(committer: usize, number: u64) -> u64 {
    1 << (8 * committer as u64 + number)
}

fn sums(snapshot: &Snapshot) -> [i128; 2] {
    let table = snapshot.query().every(Every::Whole).run().unwrap();
    ["one", "two"].map(|release| {
        match table
            .group(release, "all", "crashes")
            .map(|group| group.values)
        {
            Some(Values::Exact { units, .. }) => units[0],
            _ => 0,
        }
    })
}

/// So many batches of each committer are in it, by its own word.
fn counts(snapshot: &Snapshot) -> [u64; COMMITTERS] {
    std::array::from_fn(|committer| {
        let known = snapshot
            .sources()
            .find(|(name, _)| **name == source(committer));
        known.and_then(|(_, state)| state.offset).unwrap_or(0)
    })
}

fn assert_least(snapshot: &Snapshot, least: [u64; COMMITTERS]) {
    let counts = counts(snapshot);
    let there = counts
        .iter()
        .zip(least)
        .all(|(count, least)| *count >= least);
    assert!(there, "{counts:?}, of which {least:?} were acknowledged");
}

/// What the offsets of a snapshot say it must hold.
fn wanted(snapshot: &Snapshot) -> i128 {
    let of =
        |(committer, count)| (1..=count).map(move |number| i128::from(weight(committer, number)));
    counts(snapshot).into_iter().enumerate().flat_map(of).sum()
}

fn look(snapshot: &Snapshot) -> i128 {
    let [one, two] = sums(snapshot);
    assert_eq!(one, two, "half a batch");
    assert_eq!(one, wanted(snapshot), "not what the offsets say");
    one
}

/// All of them at once, then a kill or a power cut.
fn everything_at_once() {
    let disk = SimDisk::new(1);
    let store = Arc::new(open(&disk));
    let acknowledged: Arc<[AtomicU64; COMMITTERS]> = Arc::default();
    let mut threads = Vec::new();
    for committer in 0..COMMITTERS {
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        threads.push(thread::spawn(move || {
            for number in 1..=BATCHES {
                assert!(!commit(&store, committer, number));
                acknowledged[committer].store(number, Ordering::SeqCst);
                // Read your write.
                let known = store.committed_offset(source(committer).as_str());
                assert_eq!(known, Some(number));
            }
            assert!(commit(&store, committer, BATCHES), "sent again");
        }));
    }
    let upkeep = store.clone();
    threads.push(thread::spawn(move || {
        upkeep.flush().unwrap();
        upkeep.compact().unwrap();
    }));
    let other = store.clone();
    threads.push(thread::spawn(move || other.flush().unwrap()));
    let (reading, reading_disk, answered) = (store.clone(), disk.clone(), acknowledged.clone());
    threads.push(thread::spawn(move || {
        let first = reading.snapshot();
        let before = look(&first);
        let least = answered
            .each_ref()
            .map(|count| count.load(Ordering::SeqCst));
        let reader = open_reader(Arc::new(reading_disk.read_only())).unwrap();
        let elsewhere = reader.snapshot().unwrap();
        let outside = look(&elsewhere);
        assert_least(&elsewhere, least);
        assert!(
            look(&reading.snapshot()) >= outside,
            "a reader is ahead of the writer"
        );
        assert_eq!(look(&first), before, "a snapshot moved");
    }));
    // The power goes at some moment amid them.
    let (cut, cut_from, sent) = (disk.clone(), store.clone(), acknowledged.clone());
    threads.push(thread::spawn(move || {
        drop(cut_from.snapshot());
        let least = sent.each_ref().map(|count| count.load(Ordering::SeqCst));
        let left = cut.crash_with_subset(0);
        let reader = open_reader(Arc::new(left.read_only())).unwrap();
        let snapshot = reader.snapshot().unwrap();
        look(&snapshot);
        assert_least(&snapshot, least);
    }));
    for thread in threads {
        thread.join().unwrap();
    }
    let all = (0..COMMITTERS)
        .flat_map(|committer| (1..=BATCHES).map(move |number| weight(committer, number)));
    let all = i128::from(all.sum::<u64>());
    assert_eq!(look(&store.snapshot()), all);
    Arc::into_inner(store)
        .expect("the last handle")
        .close()
        .unwrap();
    let reader = open_reader(Arc::new(disk.read_only())).unwrap();
    assert!(reader.verify().unwrap().is_sound());
    // What became visible in memory is on disk, too: in a segment or in a log that is kept.
    assert_eq!(look(&reader.snapshot().unwrap()), all);
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config
}

fn schedules() -> usize {
    std::env::var("SCHEDULES").map_or(300, |text| text.parse().unwrap())
}

#[test]
fn by_chance() {
    let seed = std::env::var("SEED").map_or(1, |text| text.parse().unwrap());
    let scheduler = RandomScheduler::new_from_seed(seed, schedules());
    let done = Runner::new(scheduler, config()).run(everything_at_once);
    println!("{done} schedules by chance, seed {seed}");
}

/// Few changes of thread, at moments of chance: what needs a certain order of a
/// few steps is found sooner.
#[test]
fn by_few_changes() {
    let seed = std::env::var("SEED").map_or(1, |text| text.parse().unwrap());
    let scheduler = PctScheduler::new_from_seed(seed, 3, schedules());
    let done = Runner::new(scheduler, config()).run(everything_at_once);
    println!("{done} schedules of few changes, seed {seed}");
}
