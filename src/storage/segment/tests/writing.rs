//! What the writer refuses, and what it leaves behind.

use super::*;
use crate::error::ErrorKind;
use crate::storage::sim_disk::{Call, Fault};

fn writer<'a>(disk: &'a SimDisk, model: &Model) -> SegmentWriter<'a> {
    SegmentWriter::create(disk, STORE, 7, BUCKET, (3, 9), &mut model.keys()).unwrap()
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_the_writer_sound() {
    let disk = SimDisk::new(1);
    let model = small();
    let mut writer = writer(&disk, &model);
    let (first, (kind, pages)) = model.first_key_value().unwrap();
    let mut refused = |key: &SeriesKey, kind, pages: &[(u32, Page)]| {
        let error = writer.push(key, kind, pages, 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    };
    refused(&key("a/1", "control", "unheard of"), *kind, pages);
    refused(first, *kind, &[]);
    refused(first, Kind::Gauge, pages);
    let reversed: Vec<_> = pages.iter().rev().cloned().collect();
    refused(first, *kind, &reversed);
    refused(first, *kind, &[(FIRST_DAY - 1, pages[0].1.clone())]);
    refused(first, *kind, &[(FIRST_DAY + 32, pages[0].1.clone())]);
    refused(first, *kind, &[(FIRST_DAY, Page::new(family_of(*kind)))]);
    let mut odd = pages[0].1.clone();
    odd.column = Column::Ints(vec![1]);
    refused(first, *kind, &[(FIRST_DAY, odd)]);
    for (key, (kind, pages)) in &model {
        writer.push(key, *kind, pages, 0).unwrap();
    }
    let error = writer.push(first, *kind, pages, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "out of order");
    let meta = writer.finish().unwrap();
    assert_eq!(
        Segment::open(&disk, STORE, &meta)
            .unwrap()
            .series()
            .unwrap()
            .len(),
        5
    );
}

#[test]
fn a_sum_beyond_128_bits_is_refused() {
    let disk = SimDisk::new(1);
    let model = small();
    let mut presence = Presence::new();
    presence.set(0);
    let page = Page {
        presence,
        column: Column::Wides(vec![i128::MAX]),
    };
    let pages = [(FIRST_DAY, page.clone()), (FIRST_DAY + 1, page)];
    let mut writer = writer(&disk, &model);
    let first = model.keys().next().unwrap();
    let error = writer.push(first, Kind::Counter, &pages, 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    writer.push(first, Kind::Counter, &pages[..1], 0).unwrap();
    let meta = writer.finish().unwrap();
    let segment = Segment::open(&disk, STORE, &meta).unwrap();
    assert_eq!(segment.series().unwrap().entry(0).unwrap().sum, i128::MAX);
}

#[test]
fn nothing_is_left_of_a_segment_given_up() {
    let disk = SimDisk::new(1);
    let model = small();
    drop(writer(&disk, &model));
    let error = writer(&disk, &model).finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "no series");
    assert_eq!(disk.list().unwrap(), Vec::<String>::new());
}

#[test]
fn what_a_dead_process_left_is_no_obstacle() {
    let disk = SimDisk::new(1);
    let stale = format!("{}.tmp", segment_file_name(7));
    let file = disk.open(&stale, Open::Create).unwrap();
    file.write_at(0, &[1; 1_000_000]).unwrap();
    let model = small();
    let meta = write(&disk, 7, &model, 0);
    assert_eq!(disk.list().unwrap(), [segment_file_name(7)]);
    assert_eq!(bytes_of(&disk, 7).len() as u64, meta.bytes);
}

#[test]
fn every_failing_call_is_an_error_and_leaves_no_segment() {
    let model = small();
    let attempt = |disk: &SimDisk| -> crate::error::Result<SegmentMeta> {
        let mut writer = SegmentWriter::create(disk, STORE, 7, BUCKET, (3, 9), &mut model.keys())?;
        for (key, (kind, pages)) in &model {
            writer.push(key, *kind, pages, 0)?;
        }
        writer.finish()
    };
    for call in [Call::Create, Call::Write, Call::Sync, Call::Rename] {
        let disk = SimDisk::new(1);
        disk.inject(Fault::on(&[call]).kind(std::io::ErrorKind::StorageFull));
        let error = attempt(&disk).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{call:?}");
        assert_eq!(disk.list().unwrap(), Vec::<String>::new(), "{call:?}");
        attempt(&disk).unwrap();
    }
}
