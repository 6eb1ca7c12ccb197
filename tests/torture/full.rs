//! Full disks: a file system in memory of every size, and one that runs out of
//! inodes. Whatever is refused is refused as that, reads go on, and writes
//! resume by themselves once there is room.

use std::path::Path;

use hotstove::{
    Batch, ErrorKind, Every, GroupBy, Kind, Metric, Minute, Options, Reader, Result, Snapshot,
    Store, Values,
};

use super::mounts::{Mount, done, memory};
use super::place::Place;
use super::plan::{name, source};
use super::tools::{number, skipped};

/// Deltas of one batch.
const DELTAS: u64 = 3_000;

/// How often each was refused: opening, commits, flushes, merges, definitions,
/// closing.
type Refusals = [u64; 6];

fn value(batch: u64, at: u64) -> u64 {
    (batch * DELTAS + at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44
}

fn batch(store: &Store, number: u64) -> Result<Batch> {
    let mut batch = Batch::new();
    for at in 0..DELTAS {
        let series = store.series(&format!("r{}", at % 3), "all", "crashes")?;
        // New minutes all the time, so that merging does not make room.
        let minute = Minute::new((number * DELTAS / 2 + at / 2) as u32)?;
        batch.add(series, minute, value(number, at));
    }
    batch.stamp(&source(0), number + 1);
    Ok(batch)
}

/// The sum of everything in the first so many batches.
fn wanted(batches: u64) -> i128 {
    let values = (0..batches).flat_map(|number| (0..DELTAS).map(move |at| value(number, at)));
    values.map(i128::from).sum()
}

fn seen(snapshot: &Snapshot) -> Result<i128> {
    let by = GroupBy {
        release: false,
        branch: false,
        metric: true,
    };
    let table = snapshot.query().every(Every::Whole).by(by).run()?;
    let of = |values| match values {
        Values::Exact { units, .. } => units.iter().sum::<i128>(),
        Values::Float(_) => unreachable!("a counter"),
    };
    Ok(table.groups().map(|group| of(group.values)).sum())
}

/// Does one thing after the other until commits are refused for good. Gives the
/// batches acknowledged.
fn fill(store: &Store, refusals: &mut Refusals) -> u64 {
    let (mut batches, mut refused) = (0, 0);
    let mut sum = 0;
    for round in 0_u64.. {
        let mut count = |kind: usize, outcome: Result<()>| match outcome {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                refusals[kind] += 1;
                false
            }
        };
        let committed = batch(store, batches).and_then(|batch| store.commit(batch));
        if count(1, committed.map(drop)) {
            sum += (0..DELTAS)
                .map(|at| i128::from(value(batches, at)))
                .sum::<i128>();
            batches += 1;
            refused = 0;
        } else {
            refused += 1;
        }
        if round % 12 == 11 || refused > 0 {
            count(2, store.flush());
        }
        if round % 60 == 59 || refused == 2 {
            count(3, store.compact());
        }
        if refused == 1 {
            let late = Metric::new(name(&format!("later-{round}")), Kind::Counter);
            count(4, store.define_metric(&late).map(drop));
        }
        if refused > 0 || round % 16 == 0 {
            let seen = seen(&store.snapshot());
            assert_eq!(seen.expect("reading a full store"), sum);
        }
        if refused == 3 {
            break;
        }
    }
    batches
}

fn open(path: &Path) -> Result<Store> {
    let options = Options::new().background(false).wal_limit(256 << 10);
    let store = Store::open(path, options)?;
    store.define_metric(&Metric::new(name("crashes"), Kind::Counter))?;
    Ok(store)
}

/// Fills the file system, makes room, and goes on.
fn fill_and_make_room(mount: &Mount, room: &str, refusals: &mut Refusals) {
    let path = mount.path.join("store");
    let make_room = || {
        assert!(done(&format!(
            "mount -o remount,{room} {}",
            mount.path.display()
        )))
    };
    let store = match open(&path) {
        Ok(store) => store,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "opening: {error}");
            refusals[0] += 1;
            make_room();
            open(&path).expect("opening once there is room")
        }
    };
    let batches = fill(&store, refusals);
    // What is on the disk is whole before there is room.
    let reader = Reader::open(&path).expect("opening a full store to read");
    assert!(reader.verify().expect("verifying a full store").is_sound());
    assert_eq!(seen(&reader.snapshot().unwrap()).unwrap(), wanted(batches));
    make_room();
    let next = batch(&store, batches).unwrap();
    store.commit(next).expect("commits resume by themselves");
    store.flush().expect("flushes, too");
    store.compact().expect("and merges");
    assert_eq!(seen(&store.snapshot()).unwrap(), wanted(batches + 1));
    store.close().expect("closing");
    let reader = Reader::open(&path).unwrap();
    let found = reader.verify().unwrap();
    assert!(found.is_sound() && found.notes.is_empty(), "{found:?}");
    assert_eq!(
        seen(&reader.snapshot().unwrap()).unwrap(),
        wanted(batches + 1)
    );
    assert!(reader.inspect().unwrap().obsolete.is_empty());
}

fn fill_sizes(sizes: impl Iterator<Item = u64>) {
    let place = Place::new();
    let (mut count, mut refusals) = (0, Refusals::default());
    for kib in sizes {
        let Some(mount) = memory(&place.path(&format!("mount-{kib}")), kib) else {
            return skipped("full disks", "mounting is not allowed");
        };
        fill_and_make_room(
            &mount,
            &format!("size={}k", kib + (16 << 10)),
            &mut refusals,
        );
        count += 1;
    }
    let [opening, commits, flushes, merges, definitions, _] = refusals;
    println!(
        "{count} sizes; refused: {opening} openings, {commits} commits, {flushes} flushes, \
         {merges} merges, {definitions} definitions"
    );
    assert!(commits > 0 && flushes > 0, "{refusals:?}");
}

#[test]
fn some_sizes_of_a_full_disk() {
    fill_sizes([48, 260, 612, 1_400].into_iter());
}

#[test]
#[ignore = "long: 256 KiB to 8 MiB by STEP KiB"]
fn long_every_size_of_a_full_disk() {
    fill_sizes((number("FROM", 256)..=8 << 10).step_by(number("STEP", 4) as usize));
}

/// So many files there may be, and no more.
#[test]
fn no_inode_is_left() {
    let place = Place::new();
    let mut refusals = Refusals::default();
    for inodes in 3..24 {
        let line = format!("mount -t tmpfs -o size=64m,nr_inodes={inodes} none");
        let Some(mount) = Mount::new(place.path(&format!("mount-{inodes}")), &line) else {
            return skipped("no inode left", "mounting is not allowed");
        };
        // Commits alone fill nothing here; so many flushes do.
        let path = mount.path.join("store");
        let room = format!("mount -o remount,nr_inodes=10000 {}", mount.path.display());
        let store = open(&path).or_else(|error| {
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            refusals[0] += 1;
            assert!(done(&room));
            open(&path)
        });
        let store = store.expect("opening once there are inodes");
        let mut batches = 0;
        for _ in 0..inodes + 2 {
            for (kind, outcome) in [
                (
                    1,
                    batch(&store, batches)
                        .and_then(|batch| store.commit(batch))
                        .map(drop),
                ),
                (2, store.flush()),
            ] {
                batches += u64::from(kind == 1 && outcome.is_ok());
                if let Err(error) = outcome {
                    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
                    refusals[kind] += 1;
                }
            }
            assert_eq!(seen(&store.snapshot()).unwrap(), wanted(batches));
        }
        assert!(done(&room));
        store
            .commit(batch(&store, batches).unwrap())
            .expect("commits resume");
        store.compact().expect("and merges");
        store.close().unwrap();
        let reader = Reader::open(&path).unwrap();
        assert!(reader.verify().unwrap().is_sound());
        assert_eq!(
            seen(&reader.snapshot().unwrap()).unwrap(),
            wanted(batches + 1)
        );
    }
    println!("refused for want of inodes: {refusals:?}");
    assert!(refusals[0] > 0 && refusals[2] > 0, "{refusals:?}");
}
