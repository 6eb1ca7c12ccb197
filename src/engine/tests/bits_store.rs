//! The stores that the tests of damage hurt: small, and of everything something.

use std::ops::Range;
use std::sync::Arc;

use super::deeds::record;
use super::{Model, Write, apply, batch, name, open, read};
use crate::codec::{Column, Family, Page};
use crate::engine::audit;
use crate::engine::reader::Reader;
use crate::engine::store::Store;
use crate::format::audit as audit_format;
use crate::format::wal::HEADER_BYTES;
use crate::limits::{MINUTES_PER_BUCKET, MINUTES_PER_DAY};
use crate::model::Release;
use crate::storage::sim_disk::SimDisk;

/// A store that nobody has open, and all that is in it.
pub struct Sample {
    pub disk: SimDisk,
    pub model: Model,
    /// What a log without so many of its batches leaves.
    pub without: Vec<(String, usize, Model)>,
    /// Where the last frame or record begins that nothing durable vouches for.
    pub tails: Vec<(String, usize)>,
    /// Records in the audit log.
    pub records: usize,
    /// Lengths at which whole frames or records end.
    ends: Vec<(String, usize)>,
}

/// What was written into which log.
#[derive(Default)]
struct History {
    batches: Vec<(Option<String>, Vec<Write>)>,
    ends: Vec<(String, usize)>,
}

impl History {
    fn commit(&mut self, disk: &SimDisk, store: &Store, writes: Vec<Write>) {
        let mut batch = batch(store, &writes);
        batch.stamp(&name("source"), self.batches.len() as u64 + 1);
        store.commit(batch).unwrap();
        let log = newest_log(disk);
        // The file is longer: room is set aside.
        let length = store.core.log.lock().last.1 as usize;
        self.ends.push((log.clone(), length));
        self.batches.push((Some(log), writes));
    }

    /// What was written so far is in segments.
    fn flushed(&mut self) {
        self.batches.iter_mut().for_each(|(log, _)| *log = None);
        self.ends.clear();
    }

    fn model(&self, without: Range<usize>) -> Model {
        let mut model = Model::new();
        for (index, (_, writes)) in self.batches.iter().enumerate() {
            if !without.contains(&index) {
                writes.iter().for_each(|write| apply(&mut model, write));
            }
        }
        model
    }

    fn sample(self, disk: SimDisk, torn: bool) -> Sample {
        let mut without = Vec::new();
        for from in 0..self.batches.len() {
            for to in from + 1..=self.batches.len() {
                let logs = &self.batches[from..to];
                if let (Some(log), true) =
                    (&logs[0].0, logs.iter().all(|(log, _)| *log == logs[0].0))
                {
                    without.push((log.clone(), to - from, self.model(from..to)));
                }
            }
        }
        let mut ends = Vec::new();
        let mut tails = Vec::new();
        let newest = newest_log(&disk);
        if torn {
            let own: Vec<usize> = self
                .ends
                .iter()
                .filter(|(log, _)| *log == newest)
                .map(|(_, end)| *end)
                .collect();
            tails.push((newest.clone(), own[own.len() - 2]));
            ends.extend(own.into_iter().map(|end| (newest.clone(), end)));
            ends.push((newest, HEADER_BYTES));
        }
        let records = audit::read(&disk).unwrap().records;
        let mut end = 0;
        ends.push((audit_format::FILE.to_owned(), 0));
        for (index, record) in records.iter().enumerate() {
            if index + 1 == records.len() {
                tails.push((audit_format::FILE.to_owned(), end));
            }
            end += record.encode().len();
            ends.push((audit_format::FILE.to_owned(), end));
        }
        let sample = Sample {
            model: self.model(0..0),
            records: records.len(),
            disk,
            without,
            tails,
            ends,
        };
        assert_eq!(read(&sample.disk), sample.model);
        sample
    }
}

fn newest_log(disk: &SimDisk) -> String {
    let names = disk.names().into_iter();
    names.filter(|name| name.starts_with("wal-")).max().unwrap()
}

impl Sample {
    /// Bytes of all files.
    pub fn bytes(&self) -> usize {
        let names = self.disk.names();
        names
            .iter()
            .map(|name| self.disk.content(name).unwrap().len())
            .sum()
    }

    /// Whether nothing tells that a file was cut to that length: a log after a
    /// death and the audit log end where they end, and the rest is no data.
    pub fn unnoticed(&self, file: &str, length: usize) -> bool {
        ["LOCK", audit::LOCK, "published"].contains(&file)
            || self
                .ends
                .iter()
                .any(|(name, end)| name == file && *end == length)
            || self.is_room(file, length)
    }

    /// Whether there is nothing but room set aside from that byte of a file on.
    pub fn is_room(&self, file: &str, at: usize) -> bool {
        let tail = self.tails.iter().any(|(tail, _)| tail == file);
        let content = self.disk.content(file).unwrap();
        tail && at < content.len() && content[at..].iter().all(|byte| *byte == 0)
    }

    /// Where the blocks of all segments are.
    pub fn blocks(&self) -> Vec<(String, Range<usize>)> {
        let reader = Reader::open_on(Arc::new(self.disk.read_only())).unwrap();
        let snapshot = reader.snapshot().unwrap();
        let mut blocks = Vec::new();
        for segment in snapshot.state.segments.iter() {
            let index = segment.series().unwrap();
            for entry in index.entries(0..index.len()) {
                let bytes = entry.block_offset as usize..entry.block_end() as usize;
                blocks.push((segment.file_name().to_owned(), bytes));
            }
        }
        blocks
    }
}

fn write(release: usize, metric: usize, minute: u32, value: u64) -> Write {
    Write {
        release,
        metric,
        minute,
        value,
    }
}

/// Segments of all sorts of pages, definitions and overrides.
fn segments(disk: &SimDisk) -> (Store, History) {
    let store = open(disk).unwrap();
    store.define_release(&Release::new(name("a"))).unwrap();
    let mut history = History::default();
    let day = MINUTES_PER_DAY;
    // A day that is dense, and cold once there are later ones.
    let dense = (0..200).map(|at| write(0, 0, at, u64::from(at * 7 % 13)));
    history.commit(disk, &store, dense.collect());
    let mut mixed = vec![
        // Sparse, beyond 64 bits, floats.
        write(1, 0, 1, 3),
        write(1, 0, 700, 1),
        write(1, 0, 5 * day + 1, 2),
        write(2, 0, 10, u64::MAX),
        write(2, 0, 10, u64::MAX),
        write(2, 0, 11, 7),
    ];
    mixed.extend((0..12).map(|at| write(0, 2, 9 * day + at, u64::from(at * at))));
    // Blocks of one length.
    for release in 0..3 {
        mixed.extend(
            (0..8).map(|at| write(release, 1, 9 * day + at, u64::from(at) + release as u64)),
        );
    }
    history.commit(disk, &store, mixed);
    store.compact().unwrap();
    // Late data beside it, and another bucket.
    let mut late = vec![write(0, 0, 5, 100), write(1, 2, 3, 8)];
    for release in 0..3 {
        late.extend(
            (0..8).map(|at| write(release, 1, MINUTES_PER_BUCKET + at, 2 + release as u64)),
        );
    }
    history.commit(disk, &store, late);
    store.flush().unwrap();
    history.flushed();
    for index in 0..3 {
        audit::append(disk, &record(index)).unwrap();
    }
    let sorts = sorts(&store);
    assert_eq!(sorts, [true; 4], "cold, wide, floats, sums");
    (store, history)
}

/// Which sorts of pages there are.
fn sorts(store: &Store) -> [bool; 4] {
    let mut sorts = [false; 4];
    let mut page = Page::new(Family::Integer);
    for segment in store.snapshot().state.segments.iter() {
        for at in 0..segment.series().unwrap().len() {
            let block = segment.block(at).unwrap();
            sorts[0] |= !block.cold_meta().is_empty();
            for index in 0..block.page_count() {
                block.decode(index, &mut page).unwrap();
                match page.column {
                    Column::Wides(_) => sorts[1] = true,
                    Column::Floats(_) => sorts[2] = true,
                    Column::Ints(_) => sorts[3] = true,
                }
            }
        }
    }
    sorts
}

fn log(disk: &SimDisk, store: &Store, history: &mut History, rounds: Range<u32>) {
    for round in rounds {
        let at = 2 * MINUTES_PER_BUCKET + round;
        history.commit(
            disk,
            store,
            vec![
                write(0, 0, at, u64::from(round) + 1),
                write((round % 3) as usize, 1, at, 5),
            ],
        );
    }
}

/// Closed: every byte is vouched for but the last override.
pub fn closed() -> Sample {
    let disk = SimDisk::new(1);
    let (store, mut history) = segments(&disk);
    log(&disk, &store, &mut history, 0..4);
    store.close().unwrap();
    history.sample(disk.kill(), false)
}

/// Its process was killed, with a log that is sealed and one that is not.
pub fn killed() -> Sample {
    let disk = SimDisk::new(1);
    let (store, mut history) = segments(&disk);
    log(&disk, &store, &mut history, 0..3);
    store.close().unwrap();
    let store = open(&disk).unwrap();
    log(&disk, &store, &mut history, 3..6);
    let left = disk.kill();
    history.sample(left, true)
}
