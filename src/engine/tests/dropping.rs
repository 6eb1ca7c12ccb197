//! What retention says it did: segments dropped and rewritten, and bytes given back.

use super::{Write, batch, cells, minute, open};
use crate::engine::store::Store;
use crate::limits::MINUTES_PER_BUCKET;
use crate::model::Pattern;
use crate::storage::sim_disk::SimDisk;

/// A release and a minute in each of three buckets: `a` alone in the first, `b/1`
/// alone in the third, both in the second.
fn three_segments(store: &Store) {
    for (release, bucket) in [(0, 0), (0, 1), (1, 1), (1, 2)] {
        let write = Write {
            release,
            metric: 0,
            minute: bucket * MINUTES_PER_BUCKET + 7,
            value: 1,
        };
        store.commit(batch(store, &[write])).unwrap();
    }
    store.flush().unwrap();
}

/// Bytes of all segments.
fn bytes(store: &Store) -> u64 {
    let segments = store.inspect().unwrap().segments;
    segments.iter().map(|segment| segment.bytes).sum()
}

#[test]
fn releases_that_are_dropped_are_counted_by_segment() {
    let store = open(&SimDisk::new(1)).unwrap();
    three_segments(&store);
    let before = bytes(&store);
    let retained = store.retain_without(&Pattern::new("b/*").unwrap()).unwrap();
    assert_eq!((retained.dropped, retained.rewritten), (1, 1));
    assert_eq!(retained.bytes, before - bytes(&store));
    assert_eq!(retained.floor, minute(0));
    let left: Vec<_> = cells(&store.snapshot()).unwrap().into_keys().collect();
    assert_eq!(left, [(0, 0, 7), (0, 0, MINUTES_PER_BUCKET + 7)]);
    // Again there is nothing to do.
    let again = store.retain_without(&Pattern::new("b/*").unwrap()).unwrap();
    assert_eq!((again.dropped, again.rewritten, again.bytes), (0, 0, 0));
}

#[test]
fn minutes_that_are_dropped_are_counted_by_segment() {
    let store = open(&SimDisk::new(1)).unwrap();
    three_segments(&store);
    let before = bytes(&store);
    // Amid the second bucket, so the first segment alone is behind it.
    let floor = minute(MINUTES_PER_BUCKET + 7);
    let retained = store.retain_before(floor).unwrap();
    assert_eq!((retained.dropped, retained.rewritten), (1, 0));
    assert_eq!(retained.bytes, before - bytes(&store));
    assert_eq!(retained.floor, floor);
    let again = store.retain_before(minute(3)).unwrap();
    assert_eq!((again.dropped, again.bytes, again.floor), (0, 0, floor));
    assert_eq!(cells(&store.snapshot()).unwrap().len(), 3);
    let past = store.retain_before(minute(MINUTES_PER_BUCKET + 8)).unwrap();
    assert_eq!(past.dropped, 1);
}
