//! What a manifest may not say, though its checksums hold, and where that stands.

use super::checksum::bound_crc;
use super::manifest::{Manifest, newer_version};
use super::segment_meta::SegmentMeta;
use crate::limits::MINUTES_PER_BUCKET;

fn meta(id: u64, bucket: u32, sequences: (u64, u64)) -> SegmentMeta {
    SegmentMeta {
        id,
        bucket,
        bytes: 1_000,
        hash: 1,
        first_sequence: sequences.0,
        last_sequence: sequences.1,
        first_minute: bucket * MINUTES_PER_BUCKET,
        last_minute: bucket * MINUTES_PER_BUCKET + 9,
        cells: 1,
        series: 1,
    }
}

/// What is said of a manifest of these segments, of which the next one is of number 5.
fn refused(segments: &[SegmentMeta]) -> Option<&'static str> {
    let manifest = Manifest {
        store_id: 7,
        generation: 9,
        next_segment: 5,
        first_wal: 1,
        flushed_sequence: 20,
        segments: segments.to_vec(),
        ..Manifest::default()
    };
    match Manifest::decode(&manifest.encode()) {
        Ok((back, damage)) => {
            assert_eq!((back, damage), (manifest, None));
            None
        }
        Err(corrupt) => {
            // Behind the header of a copy, which is 32 bytes long.
            assert!(corrupt.at > 32, "{corrupt:?}");
            Some(corrupt.what)
        }
    }
}

#[test]
fn segments_are_in_order_apart_and_of_numbers_given_out() {
    let first = meta(4, 1, (3, 6));
    assert_eq!(refused(&[first]), None);
    assert_eq!(refused(&[first, meta(3, 1, (7, 7))]), None);
    assert_eq!(refused(&[first, meta(3, 2, (1, 9))]), None);
    let order = Some("segments out of order");
    for next in [(1, (6, 7)), (1, (1, 2)), (1, (3, 6)), (0, (7, 7))] {
        assert_eq!(
            refused(&[first, meta(3, next.0, next.1)]),
            order,
            "{next:?}"
        );
    }
    let number = Some("a segment number yet to be given out");
    assert_eq!(refused(&[meta(5, 1, (3, 6))]), number);
    assert_eq!(refused(&[meta(6, 1, (3, 6))]), number);
}

#[test]
fn a_newer_version_is_read_from_the_second_copy_too() {
    let manifest = Manifest {
        generation: 9,
        next_segment: 1,
        first_wal: 1,
        ..Manifest::default()
    };
    let mut bytes = manifest.encode();
    let middle = bytes.len() / 2;
    bytes[middle + 8] = 3;
    let crc = bound_crc(9, middle as u64, &bytes[middle..middle + 28]);
    bytes[middle + 28..middle + 32].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(newer_version(&bytes), Some(3));
    // Where the first copy is damaged, the second is all there is.
    bytes[0] ^= 1;
    assert_eq!(newer_version(&bytes), Some(3));
}
