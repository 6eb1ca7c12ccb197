//! Many writers, readers, flushes and merges at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Write, batch, cells, name, read};
use crate::engine::options::Options;
use crate::engine::store::Store;
use crate::model::{Kind, Metric};
use crate::storage::sim_disk::SimDisk;

#[test]
fn batches_are_atomic_to_readers_while_everything_runs() {
    let disk = SimDisk::new(1);
    let options = Options::new().memory_budget(1 << 20).wal_limit(64 << 10);
    let store = Store::open_on(Arc::new(disk.clone()), options).unwrap();
    store
        .define_metric(&Metric::new(name("crashes"), Kind::Counter))
        .unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3_u64)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    for round in 0..200_u64 {
                        // Each batch adds one to the same minute of two releases.
                        let both = [0, 1].map(|release| Write {
                            release,
                            metric: 0,
                            minute: (round * 37 % 5_000) as u32,
                            value: 1,
                        });
                        let mut batch = batch(store, &both);
                        batch.stamp(&name(&format!("writer-{writer}")), round + 1);
                        assert!(!store.commit(batch).unwrap().already_applied);
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..2)
            .map(|own| {
                let (store, disk, done) = (&store, &disk, &done);
                scope.spawn(move || {
                    let mut last = 0;
                    while !done.load(Ordering::Relaxed) {
                        let seen = if own == 0 {
                            cells(&store.snapshot()).unwrap()
                        } else {
                            read(disk)
                        };
                        let total = |wanted: usize| -> i128 {
                            let of = seen.iter().filter(|((release, ..), _)| *release == wanted);
                            of.map(|(_, value)| value).sum()
                        };
                        assert_eq!(total(0), total(1), "half a batch was seen");
                        assert!(total(0) >= last, "a reader went back in time");
                        last = total(0);
                    }
                })
            })
            .collect();
        let upkeep = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.flush().unwrap();
                store.compact().unwrap();
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
        upkeep.join().unwrap();
    });
    let total: i128 = cells(&store.snapshot()).unwrap().values().sum();
    assert_eq!(total, 2 * 3 * 200);
    drop(store);
    assert_eq!(read(&disk).values().sum::<i128>(), 2 * 3 * 200);
}

#[test]
fn a_power_cut_amid_many_threads_takes_nothing_that_was_acknowledged() {
    const WRITERS: usize = 3;
    let disk = SimDisk::new(1);
    let mut options = Options::new().memory_budget(1 << 20);
    options.wal_limit = 4_000;
    let store = Store::open_on(Arc::new(disk.clone()), options.clone()).unwrap();
    store
        .define_metric(&Metric::new(name("crashes"), Kind::Counter))
        .unwrap();
    let source = |writer: usize| format!("writer-{writer}");
    let acknowledged: [AtomicU64; WRITERS] = Default::default();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (writer, acknowledged) in acknowledged.iter().enumerate() {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                for offset in 1.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    let both = [0, 1].map(|release| Write {
                        release,
                        metric: 0,
                        minute: (offset * 37 % 5_000) as u32,
                        value: 1,
                    });
                    let mut batch = batch(store, &both);
                    batch.stamp(&name(&source(writer)), offset);
                    store.commit(batch).unwrap();
                    acknowledged.store(offset, Ordering::Release);
                }
            });
        }
        for seed in 0..60 {
            let least = acknowledged
                .each_ref()
                .map(|offset| offset.load(Ordering::Acquire));
            // As if the power went now: threads go on with the disk they have.
            let cut = match seed % 3 {
                0 => disk.crash_with_subset(0),
                1 => disk.kill(),
                _ => disk.crash_random(seed),
            };
            let store = Store::open_on(Arc::new(cut), options.clone().background(false)).unwrap();
            let seen = cells(&store.snapshot()).unwrap();
            let total = |wanted: usize| -> i128 {
                let of = seen.iter().filter(|((release, ..), _)| *release == wanted);
                of.map(|(_, value)| value).sum()
            };
            let mut counted = 0;
            for (writer, least) in least.iter().enumerate() {
                let found = store.committed_offset(&source(writer)).unwrap_or(0);
                assert!(found >= *least, "seed {seed}: {found} of {least} are left");
                counted += i128::from(found);
            }
            assert_eq!((total(0), total(1)), (counted, counted), "seed {seed}");
        }
        done.store(true, Ordering::Relaxed);
    });
}
