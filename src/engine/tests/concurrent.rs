//! Many writers, readers, flushes and merges at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
