//! A segment with any bytes overwritten: opened, verified, read; what verify
//! calls sound is sound.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use hotstove::internals::format::segment_meta::SegmentMeta;
use hotstove::internals::storage::segment::{Segment, describe};
use hotstove::internals::{open_store, storage::sim_disk::SimDisk};
use hotstove::{Batch, Kind, Metric, Minute, Name, Options};

/// A small segment of every kind of column, made once.
fn sound() -> &'static (Vec<u8>, u64, SegmentMeta) {
    static SOUND: OnceLock<(Vec<u8>, u64, SegmentMeta)> = OnceLock::new();
    SOUND.get_or_init(|| {
        let disk = SimDisk::new(1);
        let store = open_store(Arc::new(disk.clone()), Options::new().background(false)).unwrap();
        let kinds = [
            ("a", Kind::Counter),
            ("b", Kind::Sum { decimals: 2 }),
            ("c", Kind::Gauge),
        ];
        for (metric, kind) in kinds {
            store
                .define_metric(&Metric::new(Name::new(metric).unwrap(), kind))
                .unwrap();
        }
        let mut batch = Batch::new();
        for minute in 0..9_000_u32 {
            let at = Minute::new(minute).unwrap();
            let noise = u64::from(minute.wrapping_mul(2_654_435_761) >> 24);
            batch.add(store.series("r", "x", "a").unwrap(), at, noise);
            batch.add_units(store.series("r", "x", "b").unwrap(), at, noise as i64 - 50);
            batch.set(store.series("r", "y", "c").unwrap(), at, noise as f64 / 8.0);
        }
        store.commit(batch).unwrap();
        store.compact().unwrap();
        let name = disk
            .names()
            .into_iter()
            .find(|name| name.starts_with("segment-"))
            .unwrap();
        let bytes = disk.content(&name).unwrap();
        let (store_id, meta) = describe(&bytes).unwrap();
        (bytes, store_id, meta)
    })
}

pub fn run(edits: &[u8]) {
    let (sound, store_id, meta) = sound();
    let mut bytes = sound.clone();
    for edit in edits.chunks_exact(5) {
        let at = u32::from_le_bytes([edit[0], edit[1], edit[2], edit[3]]) as usize % bytes.len();
        bytes[at] = edit[4];
    }
    let changed = bytes != *sound;
    let Ok(segment) = Segment::from_bytes(Bytes::from(bytes), *store_id, meta) else {
        return;
    };
    let mut damage = 0;
    segment.verify(&mut |_| damage += 1);
    assert_eq!(
        changed,
        damage > 0,
        "verify finds what changed, and nothing else"
    );
    let Ok(index) = segment.series() else { return };
    let mut page =
        hotstove::internals::codec::Page::new(hotstove::internals::codec::Family::Integer);
    for at in 0..index.len() {
        let Ok(block) = segment.block(at) else {
            continue;
        };
        for number in 0..block.page_count() {
            let _ = block.decode(number, &mut page);
        }
    }
}
