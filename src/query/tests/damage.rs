//! Damage fails the queries that need the damaged bytes, and no others.

use super::{BASE, key, minute, name, open, write};
use crate::engine::reader::Reader;
use crate::error::ErrorKind;
use crate::model::Pattern;
use crate::query::{Cells, Every};
use crate::storage::sim_disk::SimDisk;
use std::sync::Arc;

/// Two series in each of two time buckets, in a segment each.
fn filled() -> SimDisk {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    for day in [0, 1] {
        for branch in ["x", "y"] {
            let cells: Vec<(u32, u64)> = (0..700)
                .map(|at| (BASE + day * 1_440 + at, u64::from(at * at % 61)))
                .collect();
            write(&store, ("a", branch, "crashes"), &cells);
        }
    }
    store.compact().unwrap();
    store.close().unwrap();
    disk
}

fn segments(disk: &SimDisk) -> Vec<String> {
    let mut names: Vec<String> = disk
        .names()
        .into_iter()
        .filter(|name| name.starts_with("segment-"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_flipped_bit_costs_the_queries_that_need_it() {
    let whole = filled();
    let names = segments(&whole);
    assert_eq!(names.len(), 2);
    let file = &names[0];
    let length = whole.content(file).unwrap().len() as u64;
    let (mut both, mut one, mut none) = (0, 0, 0);
    for at in (0..length).step_by(7) {
        let disk = whole.kill();
        disk.flip_bit(file, at * 8 + 3).unwrap();
        let Ok(reader) = Reader::open_on(Arc::new(disk.read_only())) else {
            continue;
        };
        let snapshot = reader.snapshot().unwrap();
        let ask = |branch: &str, day: u32| {
            let query = snapshot.query().branches(&Pattern::exactly(branch));
            let from = BASE + day * 1_440;
            query
                .from(minute(from))
                .to(minute(from + 1_000))
                .every(Every::Minutes(1))
                .run()
        };
        for branch in ["x", "y"] {
            assert_eq!(
                ask(branch, 1).unwrap().len(),
                700,
                "the other segment, flip at {at}"
            );
        }
        let failed = ["x", "y"].map(|branch| {
            let found = ask(branch, 0);
            let key = key("a", branch, "crashes");
            let mut cells = Cells::default();
            let series = snapshot.find(&key).unwrap().unwrap();
            let read = series.read(minute(BASE)..minute(BASE + 1_000), &mut cells);
            assert_eq!(read.is_err(), found.is_err(), "flip at {at}");
            let column = series.column(minute(BASE)..minute(BASE + 1_000));
            assert_eq!(column.is_err(), found.is_err(), "flip at {at}");
            match found {
                Ok(table) => {
                    assert_eq!(table.len(), 700);
                    assert_eq!(cells.len(), 700);
                    false
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
                    assert_eq!(error.file(), Some(file.as_str()), "{error}");
                    assert!(error.offset().is_some());
                    assert!(series.get(minute(BASE)).is_err() && cells.is_empty());
                    let after = series.get(minute(BASE + 1_440 + 5)).unwrap();
                    assert_eq!(after.unwrap().to_string(), "25");
                    true
                }
            }
        });
        match failed {
            [true, true] => both += 1,
            [false, false] => none += 1,
            _ => one += 1,
        }
    }
    assert!(one > both && none > 0, "{both} {one} {none}");
    let _ = name("a");
}

#[test]
fn a_segment_that_does_not_open_fails_its_minutes_alone() {
    let disk = filled();
    let names = segments(&disk);
    // Another segment under its name.
    let other = disk.content(&names[1]).unwrap();
    disk.damage(&names[0], |bytes| *bytes = other).unwrap();
    let reader = Reader::open_on(Arc::new(disk.read_only())).unwrap();
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(snapshot.state.broken.len(), 1);
    let error = snapshot.query().run().unwrap_err();
    assert_eq!(
        (error.kind(), error.file()),
        (ErrorKind::Corruption, Some(names[0].as_str()))
    );
    assert_eq!(
        snapshot
            .query()
            .from(minute(BASE + 1_440))
            .run()
            .unwrap()
            .len(),
        1_400
    );
    assert_eq!(
        snapshot
            .query()
            .by_age()
            .ages(1_340..9_000)
            .run()
            .unwrap()
            .len(),
        1_400
    );
    let series = snapshot.find(&key("a", "x", "crashes")).unwrap().unwrap();
    assert!(series.get(minute(BASE)).is_err());
    assert!(series.get(minute(BASE + 1_440)).is_ok());
}
