//! What was written reads back, in any shape.

use proptest::prelude::*;

use super::*;
use crate::format::dictionary::Sort;

fn check(segment: &Segment, model: &Model) {
    assert_eq!(segment.damage().count(), 0);
    let index = segment.series().unwrap();
    assert_eq!(index.len(), model.len());
    for (number, (key, (kind, pages))) in model.iter().enumerate() {
        let names = (&*key.release, &*key.branch, &*key.metric);
        assert_eq!(index.key(number), Some(names));
        assert_eq!(index.find(names.0, names.1, names.2), Some(number));
        let entry = index.entry(number).unwrap();
        let summaries: Vec<_> = pages
            .iter()
            .map(|(_, page)| crate::codec::summarize(page))
            .collect();
        let sum = match kind {
            Kind::Gauge => summaries.last().unwrap().sum,
            _ => summaries.iter().map(|summary| summary.sum).sum(),
        };
        let cells: u32 = summaries.iter().map(|summary| summary.cells).sum();
        assert_eq!((entry.kind, entry.sum, entry.cells), (*kind, sum, cells));
        assert!(segment.block(number).is_ok());
    }
    let readings = read_all(segment, model);
    for (key, (_, pages)) in model {
        for (day, page) in pages {
            assert_eq!(readings[&(key.clone(), *day)].as_ref().unwrap(), page);
        }
    }
    let mut damage = Vec::new();
    segment.verify(&mut |found| damage.push(found));
    assert_eq!(damage, []);
}

#[test]
fn a_small_segment() {
    let model = small();
    let (bytes, meta) = image(&model, COLD_BEFORE);
    let segment = open(&bytes, &meta);
    check(&segment, &model);
    assert_eq!(*segment.meta(), meta);
    assert_eq!(meta.series as usize, model.len());
    let cold = segment.block(4).unwrap();
    assert!(
        !cold.cold_meta().is_empty(),
        "the test should have a cold block"
    );
    let index = segment.series().unwrap();
    assert_eq!(index.find("a/1", "control", "opens"), None);
    assert_eq!(index.find("c", "control", "opens"), None);
    assert!(index.find_name(Sort::Branch, "control").is_some());
    assert!(segment.block(5).is_err());
    assert!(cold.payload(4).is_err());
}

#[test]
fn blocks_are_copied_unchanged() {
    let model = small();
    let disk = SimDisk::new(1);
    let meta = write(&disk, 7, &model, COLD_BEFORE);
    let source = Segment::open(&disk, STORE, &meta).unwrap();
    // Without the first release, so that indices and offsets all change.
    let kept: Model = model
        .into_iter()
        .filter(|(key, _)| &*key.release == "b")
        .collect();
    let mut writer =
        SegmentWriter::create(&disk, STORE, 8, BUCKET, (3, 9), &mut kept.keys()).unwrap();
    for key in kept.keys() {
        let number = source
            .series()
            .unwrap()
            .find(&key.release, &key.branch, &key.metric);
        let block = source.block(number.unwrap()).unwrap();
        let indices = writer.indices(key).unwrap();
        writer.push_raw(indices, &block).unwrap();
    }
    let meta = writer.finish().unwrap();
    let copy = Segment::open(&disk, STORE, &meta).unwrap();
    check(&copy, &kept);
    assert!(!copy.block(1).unwrap().cold_meta().is_empty());
}

#[test]
fn a_damaged_page_is_not_copied() {
    let model = small();
    let (mut bytes, meta) = image(&model, 0);
    let end = open(&bytes, &meta)
        .series()
        .unwrap()
        .entry(0)
        .unwrap()
        .block_end();
    bytes[end as usize - 1] ^= 1;
    let source = open(&bytes, &meta);
    let disk = SimDisk::new(1);
    let mut writer =
        SegmentWriter::create(&disk, STORE, 8, BUCKET, (3, 9), &mut model.keys()).unwrap();
    let first = model.keys().next().unwrap();
    let error = writer
        .push_raw(writer.indices(first).unwrap(), &source.block(0).unwrap())
        .unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Corruption);
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Counter),
        (0..10_u8).prop_map(|decimals| Kind::Sum { decimals }),
        Just(Kind::Gauge),
    ]
}

prop_compose! {
    fn series()(
        release in "[abc]{1,2}",
        branch in "[xy]",
        metric in "[a-zé]{1,3}",
        kind in kind(),
        days in prop::collection::btree_set(0..32_u32, 1..6),
        every in prop_oneof![Just(1), 2..30_u64, 100..3_000_u64],
        bits in 1..110_u32,
        seed: u64,
    ) -> (SeriesKey, (Kind, Vec<(u32, Page)>)) {
        let mut random = Random(seed);
        let pages = days
            .into_iter()
            .map(|day| (FIRST_DAY + day, page(&mut random, kind, every, bits)))
            .collect();
        (key(&release, &branch, &metric), (kind, pages))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_segment(series in prop::collection::vec(series(), 1..8), cold in 0..33_u32) {
        let model: Model = series.into_iter().collect();
        let (bytes, meta) = image(&model, FIRST_DAY + cold);
        check(&open(&bytes, &meta), &model);
    }
}
