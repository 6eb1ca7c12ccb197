//! What a segment says of the whole of itself: to a backup, which copies none that
//! is not whole, and to who rebuilds a manifest.

use super::*;
use crate::error::ErrorKind;
use crate::format::trailer::TRAILER_BYTES;
use crate::limits::MINUTES_PER_BUCKET;
use crate::storage::segment::describe;

#[test]
fn a_segment_is_whole_to_the_last_byte() {
    let (sound, meta) = image(&small(), COLD_BEFORE);
    assert!(open(&sound, &meta).is_whole());
    let mut bytes = sound.clone();
    for at in 0..bytes.len() {
        bytes[at] ^= 1 << (at % 8);
        assert!(!open(&bytes, &meta).is_whole(), "byte {at}");
        bytes[at] ^= 1 << (at % 8);
    }
    // Whole, but not the one that the manifest names.
    let other = SegmentMeta {
        hash: meta.hash ^ 1,
        ..meta
    };
    let refused = Segment::from_bytes(Bytes::copy_from_slice(&sound), STORE, &other);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Corruption);
}

#[test]
fn a_segment_describes_itself_from_either_end() {
    let (sound, meta) = image(&small(), COLD_BEFORE);
    assert_eq!(describe(&sound), Some((STORE, meta)));
    // Without its trailer it tells what bounds its minutes, and counts nothing.
    let mut bytes = sound.clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let bucket = BUCKET * MINUTES_PER_BUCKET;
    let rough = SegmentMeta {
        hash: 0,
        cells: 0,
        series: 0,
        first_minute: bucket,
        last_minute: bucket + MINUTES_PER_BUCKET - 1,
        ..meta
    };
    assert_eq!(describe(&bytes), Some((STORE, rough)));
    let mut headless = sound;
    headless[0] ^= 1;
    assert_eq!(describe(&headless), Some((STORE, meta)));
    bytes[0] ^= 1;
    assert_eq!(describe(&bytes), None);
    assert_eq!(describe(&bytes[..TRAILER_BYTES - 1]), None);
}

#[test]
fn padding_that_is_not_zero_is_named() {
    // Sizes differ with the cells; not all need padding.
    let mut padded = 0;
    for seed in 0..8 {
        let page = page(&mut Random(seed), Kind::Counter, 200, 9);
        let pages = vec![(FIRST_DAY, page)];
        let model = Model::from([(key("a", "b", "c"), (Kind::Counter, pages))]);
        let (mut bytes, meta) = image(&model, 0);
        let layout = open(&bytes, &meta).trailer.unwrap().1;
        for at in layout.blocks_end..layout.directory {
            bytes[at as usize] = 1;
            let mut found = Vec::new();
            open(&bytes, &meta).verify(&mut |damage| found.push(damage));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].offset, layout.blocks_end);
            assert!(found[0].what.contains("padding"), "{:?}", found[0]);
            bytes[at as usize] = 0;
            padded += 1;
        }
    }
    assert!(padded > 0);
}
