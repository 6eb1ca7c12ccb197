//! A whole log of any bytes: read step by step to its end, sealed and not.

use hotstove::internals::storage::sim_disk::SimDisk;
use hotstove::internals::storage::wal_reader::{Step, WalReader};

pub fn run(bytes: &[u8]) {
    super::without_checksums();
    let disk = SimDisk::new(1);
    disk.put(&hotstove::internals::format::wal::file_name(1), bytes);
    for sealed in [None, Some(bytes.len() as u64), Some(bytes.len() as u64 + 9)] {
        let Ok(mut reader) = WalReader::open(&disk, 5, 1, sealed) else {
            continue;
        };
        for steps in 0.. {
            assert!(steps <= bytes.len() + 2, "a log without an end");
            match reader.next_step() {
                Ok(Step::End) | Err(_) => break,
                Ok(_) => {}
            }
        }
    }
}
