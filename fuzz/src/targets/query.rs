//! Questions as anybody may put them: any patterns, minutes, buckets, groups,
//! ages and rates, to a small store. An answer, or a refusal.

use std::sync::{Arc, OnceLock};

use hotstove::internals::open_store;
use hotstove::internals::storage::sim_disk::SimDisk;
use hotstove::{
    Aggregate, Batch, Every, GroupBy, Kind, Metric, Minute, Name, Options, Pattern, Release,
    Snapshot,
};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn snapshot() -> &'static Snapshot {
    static SNAPSHOT: OnceLock<Snapshot> = OnceLock::new();
    SNAPSHOT.get_or_init(|| {
        let store =
            open_store(Arc::new(SimDisk::new(1)), Options::new().background(false)).unwrap();
        let kinds = [
            ("a", Kind::Counter),
            ("ab", Kind::Sum { decimals: 2 }),
            ("g", Kind::Gauge),
        ];
        for (metric, kind) in kinds {
            store
                .define_metric(&Metric::new(name(metric), kind))
                .unwrap();
        }
        store.define_release(&Release::new(name("r/1"))).unwrap();
        let mut batch = Batch::new();
        for minute in [0, 1, 59, 1_440, 46_080, hotstove::limits::MINUTE_END - 1] {
            let at = Minute::new(minute).unwrap();
            for release in ["r/1", "r/2", "*?\\"] {
                batch.add(store.series(release, "x", "a").unwrap(), at, u64::MAX);
                batch.add_units(store.series(release, "x", "ab").unwrap(), at, i64::MIN);
                batch.set(
                    store.series(release, "y", "g").unwrap(),
                    at,
                    f64::MIN_POSITIVE,
                );
            }
        }
        store.commit(batch).unwrap();
        store.flush().unwrap();
        store.snapshot()
    })
}

pub fn run(input: &[u8]) {
    let Some((head, text)) = input.split_first_chunk::<16>() else {
        return;
    };
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let mut query = snapshot().query();
    let mut parts = text
        .split(|byte| *byte == 0)
        .map(|part| std::str::from_utf8(part).unwrap_or("*"));
    let mut pattern = || parts.next().and_then(|part| Pattern::new(part).ok());
    if let Some(pattern) = pattern() {
        query = query.releases(&pattern);
    }
    if let Some(pattern) = pattern() {
        query = query.branches(&pattern);
    }
    if let Some(pattern) = pattern() {
        query = query.metrics(&pattern);
    }
    if let Some(per) = parts.next() {
        query = query.per(per);
    }
    let flags = head[12];
    // Neighbours, whose buckets are few; far ones only as a whole.
    if let (true, Ok(from)) = (flags & 1 != 0, Minute::new(word(0))) {
        query = query.from(from);
    }
    if let (true, Ok(to)) = (flags & 2 != 0, Minute::new(word(4))) {
        query = query.to(to);
    }
    query = match flags & 4 {
        0 => query.every(Every::Whole),
        _ => query.every(Every::Minutes(word(8))),
    };
    if flags & 8 != 0 {
        query = query.by_age();
    }
    if flags & 16 != 0 {
        query = query.ages(word(0)..word(4));
    }
    let by = GroupBy {
        release: flags & 32 != 0,
        branch: flags & 64 != 0,
        metric: flags & 128 != 0,
    };
    query = query.by(by);
    if head[13] & 1 != 0 {
        query = query.aggregate(Aggregate::Cells);
    }
    let first = query.run();
    if let Ok(table) = &first {
        assert!(table.rows().count() == table.len());
        let again = query.run().expect("the same question");
        assert!(table.rows().eq(again.rows()), "two answers to one question");
    }
}
