//! Damage is found, costs no more than its block, and never gives a wrong value.

use std::collections::BTreeSet;
use std::ops::Range;

use super::*;
use crate::error::ErrorKind;
use crate::storage::damage::Damage;

fn verify(segment: &Segment) -> Vec<Damage> {
    let mut damage = Vec::new();
    segment.verify(&mut |found| damage.push(found));
    damage
}

/// Which bytes hold what: the headers of blocks by series, and pages by day.
struct Map {
    headers: Vec<(SeriesKey, Range<usize>)>,
    pages: Vec<(SeriesKey, u32, Range<usize>)>,
}

impl Map {
    fn of(segment: &Segment, model: &Model) -> Self {
        let mut map = Map {
            headers: Vec::new(),
            pages: Vec::new(),
        };
        for (number, (key, (_, pages))) in model.iter().enumerate() {
            let block = segment.block(number).unwrap();
            let start = block.entry().block_offset as usize;
            let header = start..start + block.entry().header_bytes as usize;
            map.headers.push((key.clone(), header));
            for (index, (day, _)) in pages.iter().enumerate() {
                let page = block.header().page(index).unwrap();
                let bytes = start + page.start..start + page.end;
                map.pages.push((key.clone(), *day, bytes));
            }
        }
        map
    }

    /// The pages that may be unreadable where the bytes `touched` changed.
    fn lost(&self, touched: &Range<usize>) -> BTreeSet<(SeriesKey, u32)> {
        let meets = |range: &Range<usize>| range.start < touched.end && touched.start < range.end;
        let whole: Vec<_> = self
            .headers
            .iter()
            .filter(|(_, range)| meets(range))
            .collect();
        self.pages
            .iter()
            .filter(|(key, _, range)| meets(range) || whole.iter().any(|(lost, _)| lost == key))
            .map(|(key, day, _)| (key.clone(), *day))
            .collect()
    }
}

/// Everything outside of `lost` reads as it was written; nothing reads wrong.
fn check_readings(segment: &Segment, model: &Model, lost: &BTreeSet<(SeriesKey, u32)>, hint: &str) {
    let readings = read_all(segment, model);
    for (key, (_, pages)) in model {
        for (day, page) in pages {
            let place = (key.clone(), *day);
            match readings.get(&place) {
                Some(Ok(reading)) => assert_eq!(reading, page, "{hint}: {key} day {day}"),
                Some(Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Corruption);
                    assert_eq!(error.file(), Some(segment.file_name()));
                    assert!(error.offset().is_some());
                    assert!(lost.contains(&place), "{hint}: {key} day {day}: {error}");
                }
                None => assert!(lost.contains(&place), "{hint}: {key} day {day} is gone"),
            }
        }
    }
}

/// Flips bits of every byte of `bytes` and checks all that is promised.
fn flip_every(patterns: &dyn Fn(usize) -> Vec<u8>) {
    let model = small();
    let (sound, meta) = image(&model, COLD_BEFORE);
    let map = Map::of(&open(&sound, &meta), &model);
    let mut bytes = sound.clone();
    for at in 0..bytes.len() {
        for pattern in patterns(at) {
            bytes[at] ^= pattern;
            let hint = format!("byte {at} ^ {pattern:#x}");
            let segment = open(&bytes, &meta);
            let lost = map.lost(&(at..at + 1));
            check_readings(&segment, &model, &lost, &hint);
            let found = verify(&segment);
            assert!(!found.is_empty(), "{hint} is not found");
            for damage in &found {
                let keys: BTreeSet<_> = lost.iter().map(|(key, _)| Some(key)).collect();
                let said = damage.minutes.is_none() || keys.contains(&damage.key.as_ref());
                assert!(said, "{hint}: {damage}");
                assert_eq!(damage.file, segment.file_name());
                assert!(damage.offset < bytes.len() as u64, "{hint}: {damage}");
            }
            let named = found.iter().any(|damage| damage.minutes.is_some());
            assert_eq!(named, !lost.is_empty(), "{hint}: {found:?}");
            bytes[at] ^= pattern;
        }
    }
    assert_eq!(bytes, sound);
}

#[test]
fn every_flipped_byte_is_found_and_contained() {
    flip_every(&|at| vec![1 << (at % 8), 0xff]);
}

#[test]
#[ignore = "takes minutes: every bit"]
fn every_flipped_bit_is_found_and_contained() {
    flip_every(&|_| (0..8).map(|bit| 1 << bit).collect());
}

#[test]
fn every_zeroed_sector_is_found_and_contained() {
    let model = small();
    let (sound, meta) = image(&model, COLD_BEFORE);
    let map = Map::of(&open(&sound, &meta), &model);
    for start in (0..sound.len()).step_by(64) {
        let touched = start..sound.len().min(start + 64);
        let mut bytes = sound.clone();
        bytes[touched.clone()].fill(0);
        if bytes == sound {
            continue;
        }
        let segment = open(&bytes, &meta);
        let hint = format!("zeros at {start}");
        check_readings(&segment, &model, &map.lost(&touched), &hint);
        assert!(!verify(&segment).is_empty(), "{hint}");
    }
}

#[test]
fn every_truncation_serves_the_blocks_before_it() {
    let model = small();
    let (sound, meta) = image(&model, COLD_BEFORE);
    let map = Map::of(&open(&sound, &meta), &model);
    let first_block = map.headers[0].1.start;
    for length in 0..sound.len() {
        let segment = open(&sound[..length], &meta);
        assert!(segment.damage().next().is_some(), "{length}");
        assert!(!verify(&segment).is_empty(), "{length}");
        let Ok(index) = segment.series() else {
            assert!(length < first_block, "{length}");
            continue;
        };
        assert!(index.len() <= model.len());
        // A block cut short is lost as a whole: its directory entry is rebuilt
        // from a block that is all there.
        let mut lost = map.lost(&(length..sound.len()));
        let cut: Vec<_> = lost.iter().map(|(key, _)| key.clone()).collect();
        lost.extend(
            map.pages
                .iter()
                .filter(|page| cut.contains(&page.0))
                .map(|page| (page.0.clone(), page.1)),
        );
        check_readings(&segment, &model, &lost, &format!("cut to {length}"));
    }
}

#[test]
fn a_grown_file_is_served_and_reported() {
    let model = small();
    let (mut bytes, meta) = image(&model, COLD_BEFORE);
    for added in [1, 63, 64, 128, 4_096] {
        bytes.resize(meta.bytes as usize + added, 0xf5);
        let segment = open(&bytes, &meta);
        check_readings(&segment, &model, &BTreeSet::new(), "grown");
        let found = verify(&segment);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].offset, meta.bytes);
    }
}

#[test]
fn swapped_and_misdirected_blocks_are_found() {
    // Equal pages, so that the blocks are equal but for their places.
    let mut model = small();
    let pages = model[&key("a/1", "control", "crashes")].clone();
    model.insert(key("a/1", "treatment", "crashes"), pages);
    let (sound, meta) = image(&model, COLD_BEFORE);
    let map = Map::of(&open(&sound, &meta), &model);
    let whole = |number: usize| {
        let mut pages = map
            .pages
            .iter()
            .filter(|page| page.0 == map.headers[number].0);
        map.headers[number].1.start..pages.next_back().unwrap().2.end
    };
    let (first, second) = (whole(0), whole(2));
    assert_eq!(first.len(), second.len());
    let mut swapped = sound.clone();
    swapped[first.clone()].copy_from_slice(&sound[second.clone()]);
    swapped[second.clone()].copy_from_slice(&sound[first.clone()]);
    let segment = open(&swapped, &meta);
    for number in [0, 2] {
        let error = segment.block(number).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption);
    }
    assert_eq!(verify(&segment).len(), 2);

    // Pages of equal bytes in one block and another.
    let mut swapped = sound.clone();
    let (page, other) = (map.pages[0].2.clone(), map.pages[4].2.clone());
    assert_eq!(
        sound[page.clone()],
        sound[other.clone()],
        "the swap changes nothing"
    );
    swapped[page].copy_from_slice(&sound[other]);
    assert!(verify(&open(&swapped, &meta)).is_empty());

    // The same block of another segment.
    let disk = SimDisk::new(1);
    write(&disk, 8, &model, COLD_BEFORE);
    let other = bytes_of(&disk, 8);
    for (_, header) in &map.headers {
        let mut mixed = sound.clone();
        mixed[header.clone()].copy_from_slice(&other[header.clone()]);
        let segment = open(&mixed, &meta);
        assert_eq!(verify(&segment).len(), 1);
        let lost = map.lost(header);
        check_readings(&segment, &model, &lost, "a header of another segment");
    }
}

#[test]
fn two_faults_cost_no_more_than_they_must() {
    let model = small();
    let (sound, meta) = image(&model, COLD_BEFORE);
    let segment = open(&sound, &meta);
    let (_, layout) = segment.trailer.unwrap();
    let map = Map::of(&segment, &model);
    let header = 20;
    let first_dictionary = 70;
    let directory = layout.directory as usize + 100;
    let second_dictionary = layout.second_dictionary as usize + 9;
    let trailer = layout.trailer as usize + 50;
    let block = map.headers[1].1.start + 50;
    let prefix = map.headers[2].1.start + 5;
    let none: &[usize] = &[];
    let cases: [(&[usize], &[usize]); 9] = [
        (&[header, trailer], none),
        (&[header, first_dictionary], none),
        (&[trailer, first_dictionary], none),
        (&[trailer, second_dictionary], none),
        (&[header, trailer, first_dictionary], none),
        (&[directory, first_dictionary], none),
        (&[directory, block], &[1]),
        (&[directory, prefix], &[2]),
        (&[header, trailer, first_dictionary, block, prefix], &[1, 2]),
    ];
    for (flips, lost) in cases {
        let mut bytes = sound.clone();
        for at in flips {
            bytes[*at] ^= 0x10;
        }
        let segment = open(&bytes, &meta);
        let hint = format!("flips at {flips:?}");
        let gone: BTreeSet<_> = lost
            .iter()
            .flat_map(|number| map.lost(&map.headers[*number].1))
            .collect();
        check_readings(&segment, &model, &gone, &hint);
        let found: Vec<Damage> = segment.damage().cloned().collect();
        let losing = found
            .iter()
            .filter(|damage| damage.minutes.is_some())
            .count();
        assert!(!found.is_empty(), "{hint}");
        assert_eq!(losing > 0, !lost.is_empty(), "{hint}: {found:?}");
        if lost == [1] {
            let lost_key = &map.headers[1].0;
            assert!(
                found
                    .iter()
                    .any(|damage| damage.key.as_ref() == Some(lost_key))
            );
        }
        assert!(verify(&segment).len() >= found.len());
    }
    let mut bytes = sound.clone();
    bytes[first_dictionary] ^= 1;
    bytes[second_dictionary] ^= 1;
    let segment = open(&bytes, &meta);
    assert_eq!(segment.series().unwrap_err().kind(), ErrorKind::Corruption);
    assert!(!verify(&segment).is_empty());
}

/// Each copy is sound by its own checksum; only side by side is one seen to be
/// another segment's.
#[test]
fn copies_of_the_dictionary_that_differ_are_found() {
    let model = small();
    let (mut bytes, meta) = image(&model, COLD_BEFORE);
    let renamed = |key: &SeriesKey| match key.release.as_str() {
        "b" => self::key("c", key.branch.as_str(), key.metric.as_str()),
        _ => key.clone(),
    };
    let other: Model = model
        .into_iter()
        .map(|(key, pages)| (renamed(&key), pages))
        .collect();
    let (other, _) = image(&other, COLD_BEFORE);
    assert_eq!(bytes.len(), other.len());
    assert!(verify(&open(&bytes, &meta)).is_empty());
    let (_, layout) = open(&bytes, &meta).trailer.unwrap();
    let copy = layout.second_dictionary as usize..layout.trailer as usize;
    bytes[copy.clone()].copy_from_slice(&other[copy]);
    let found = verify(&open(&bytes, &meta));
    let differ = |damage: &Damage| damage.to_string().contains("dictionary differ");
    assert!(found.iter().any(differ), "{found:?}");
}

#[test]
fn another_file_in_its_place_is_refused() {
    let model = small();
    let (bytes, meta) = image(&model, COLD_BEFORE);
    let refused = |store, meta: &SegmentMeta| {
        let error = Segment::from_bytes(Bytes::copy_from_slice(&bytes), store, meta).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption);
        assert!(error.file().is_some());
        error.to_string()
    };
    assert!(refused(STORE + 1, &meta).contains("another store"));
    let changes: [fn(&mut SegmentMeta); 8] = [
        |meta| meta.id += 1,
        |meta| meta.bucket += 1,
        |meta| meta.hash += 1,
        |meta| meta.first_sequence += 1,
        |meta| meta.last_sequence += 1,
        |meta| meta.cells += 1,
        |meta| meta.series += 1,
        |meta| meta.bucket = u32::MAX,
    ];
    for change in changes {
        let mut other = meta;
        change(&mut other);
        refused(STORE, &other);
    }
    for junk in [vec![], vec![0; 10_000], vec![0xf5; 10_000]] {
        let segment = open(&junk, &meta);
        assert!(segment.series().is_err());
        assert!(!verify(&segment).is_empty());
    }
}

#[test]
fn a_newer_version_is_refused_as_such() {
    let (mut bytes, meta) = image(&small(), COLD_BEFORE);
    bytes[8] = 2;
    let crc = crate::format::checksum::bound_crc(7, 0, &bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    let error = Segment::from_bytes(bytes.into(), STORE, &meta).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn magics_everywhere_are_scanned_in_linear_time() {
    let (_, meta) = image(&small(), COLD_BEFORE);
    for magic in [[0xf5, b'h', b'b', 0x0a], [0xf5, b'h', b'd', 0x0a]] {
        let bytes = magic.repeat(1 << 20);
        assert!(open(&bytes, &meta).series().is_err());
    }
}
