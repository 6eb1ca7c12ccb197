//! A whole store with any bytes in any of its files: readers, writers, verify
//! and repair answer; nothing panics, and a repaired store opens.

use std::sync::{Arc, OnceLock};

use hotstove::internals::storage::sim_disk::SimDisk;
use hotstove::internals::{open_reader, open_store, repair};
use hotstove::{Batch, ErrorKind, Kind, Metric, Minute, Name, Options};

fn options() -> Options {
    Options::new().background(false)
}

fn sound() -> &'static SimDisk {
    static SOUND: OnceLock<SimDisk> = OnceLock::new();
    SOUND.get_or_init(|| {
        let disk = SimDisk::new(1);
        let store = open_store(Arc::new(disk.clone()), options()).unwrap();
        store
            .define_metric(&Metric::new(Name::new("a").unwrap(), Kind::Counter))
            .unwrap();
        let series = store.series("r", "x", "a").unwrap();
        for round in 0..6_u32 {
            let mut batch = Batch::new();
            batch.add(series, Minute::new(round * 700).unwrap(), 1);
            batch.stamp(&Name::new("s").unwrap(), u64::from(round) + 1);
            store.commit(batch).unwrap();
            if round == 3 {
                store.flush().unwrap();
            }
        }
        store.close().unwrap();
        disk.kill()
    })
}

pub fn run(edits: &[u8]) {
    let disk = sound().kill();
    let names = disk.names();
    for edit in edits.chunks_exact(4) {
        let name = &names[usize::from(edit[0]) % names.len()];
        let length = disk.content(name).unwrap().len();
        if length == 0 {
            continue;
        }
        let at = usize::from(u16::from_le_bytes([edit[1], edit[2]])) % length;
        disk.overwrite(name, at, &edit[3..4]).unwrap();
    }
    if let Ok(reader) = open_reader(Arc::new(disk.read_only())) {
        let _ = reader.verify();
        let _ = reader.snapshot().map(|snapshot| snapshot.query().run());
        let _ = reader.inspect();
    }
    if let Ok(store) = open_store(Arc::new(disk.clone()), options().create(false)) {
        let _ = store.compact();
        drop(store);
    }
    match repair(&disk) {
        Ok(_) => {
            drop(open_store(Arc::new(disk.clone()), options()).expect("a repaired store opens"))
        }
        Err(error) => assert!(
            [ErrorKind::Unsupported, ErrorKind::Corruption].contains(&error.kind()),
            "{error}"
        ),
    }
}
