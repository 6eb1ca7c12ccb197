//! What the writer of a log leaves in its file beside frames.

use super::sim_disk::{Call, SimDisk};
use super::wal::{SeriesNames, WalWriter};
use crate::format::batch::Delta;
use crate::format::wal::{HEADER_BYTES, Header, file_name};
use crate::model::Kind;

struct One;

impl SeriesNames for One {
    fn series(&self, _: u32) -> ([&str; 3], Kind) {
        (["a/1", "b", "c"], Kind::Counter)
    }

    fn kind(&self, _: u32) -> Kind {
        Kind::Counter
    }
}

fn write(log: &mut WalWriter, sequence: u64) {
    let delta = Delta {
        series: 0,
        minute: sequence as u32,
        bits: 1,
    };
    log.stage(sequence, None, &[delta], &One).unwrap();
    log.write().unwrap();
}

fn create(disk: &SimDisk) -> WalWriter {
    let header = Header {
        store_id: 7,
        wal_id: 3,
        first_sequence: 1,
        previous_bytes: 0,
    };
    WalWriter::create(disk, &header).unwrap()
}

#[test]
fn zeros_are_written_ahead_where_asked_for_and_not_before_they_are_used_up() {
    let disk = SimDisk::new(1);
    let mut log = create(&disk);
    let bytes = |disk: &SimDisk| disk.content(&file_name(3)).unwrap().len() as u64;
    write(&mut log, 1);
    assert_eq!(bytes(&disk), log.written(), "not asked for");
    log.write_ahead();
    write(&mut log, 2);
    // At least as much again as a small log may be, to the end of a block.
    assert_eq!(bytes(&disk), 8 << 10);
    let mut sequence = 2;
    while log.written() < 7 << 10 {
        let before = disk.calls_of(Call::Write);
        sequence += 1;
        write(&mut log, sequence);
        assert_eq!(disk.calls_of(Call::Write) - before, 1, "zeros are there");
        assert_eq!(bytes(&disk), 8 << 10);
    }
    while bytes(&disk) == 8 << 10 {
        sequence += 1;
        write(&mut log, sequence);
    }
    // Used up: there are zeros for as much as there is already.
    assert!(log.written() >= 8 << 10);
    assert_eq!(bytes(&disk), (2 * log.written()).next_multiple_of(4 << 10));
    log.cut();
    assert_eq!(bytes(&disk), log.written());
}

#[test]
fn what_is_synced_is_told_by_the_sync_that_ran() {
    let disk = SimDisk::new(1);
    let mut log = create(&disk);
    assert!(log.is_synced() && log.written() == HEADER_BYTES as u64);
    write(&mut log, 1);
    let first = log.pending_sync();
    write(&mut log, 2);
    let second = log.pending_sync();
    second.run().unwrap();
    log.note_synced(&second);
    assert!(log.is_synced());
    // An older one says nothing that a newer one has not said.
    first.run().unwrap();
    log.note_synced(&first);
    assert!(log.is_synced());
    write(&mut log, 3);
    assert!(!log.is_synced());
    let before = disk.calls_of(Call::Sync);
    log.sync().unwrap();
    log.sync().unwrap();
    assert!(log.is_synced());
    assert_eq!(
        disk.calls_of(Call::Sync) - before,
        1,
        "nothing was left to sync"
    );
}
