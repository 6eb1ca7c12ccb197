//! A directory made of one input: each part of it is the whole content of one
//! file. Readers, verify, inspect, writers and repair answer.

use std::sync::Arc;

use hotstove::Options;
use hotstove::internals::storage::sim_disk::SimDisk;
use hotstove::internals::{open_reader, open_store, repair};

/// Names a store may meet, its own and others.
pub const NAMES: [&str; 10] = [
    "MANIFEST",
    "MANIFEST.tmp",
    "published",
    "audit.log",
    "LOCK",
    "wal-0000000000000001.log",
    "wal-0000000000000002.log",
    "segment-0000000000000001.seg",
    "segment-0000000000000002.seg",
    ".DS_Store",
];

pub fn run(input: &[u8]) {
    super::without_checksums();
    let disk = SimDisk::new(1);
    let mut rest = input;
    while let [name, low, high, bytes @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(bytes.len());
        let (content, next) = bytes.split_at(length);
        disk.put(NAMES[usize::from(*name) % NAMES.len()], content);
        rest = next;
    }
    if let Ok(reader) = open_reader(Arc::new(disk.read_only())) {
        let _ = reader.verify();
        let _ = reader.inspect();
        let _ = reader.snapshot().map(|snapshot| snapshot.query().run());
    }
    let options = || Options::new().background(false);
    if let Ok(store) = open_store(Arc::new(disk.kill()), options()) {
        let _ = store.compact();
    }
    let _ = repair(&disk);
}
