//! The memory budget holds for all that a store does, with many series and with many
//! buckets: every allocation of this process is counted.
//!
//! The tests take turns, since all of them count the same process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hotstove::{
    Batch, Durability, ErrorKind, Every, GroupBy, Kind, Metric, Minute, Name, Options, Pattern,
    Reader, Series, Store, Table,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: each call is that of the system's allocator, and is counted.
#[expect(unsafe_code, reason = "an allocator can not be made without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: what the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: what the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size >= layout.size() {
            grown(size - layout.size());
        } else {
            LIVE.fetch_sub(layout.size() - size, Ordering::Relaxed);
        }
        // SAFETY: what the caller promised.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

static TURN: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;
const DAY: u32 = 1_440;
const START: u32 = 20_000 * DAY;
const BRANCHES: [&str; 2] = ["control", "treatment"];
const METRICS: [&str; 5] = ["crashes", "hangs", "hours", "starts", "tabs"];

/// What was held when counting began; the peak is forgotten.
struct Count(usize);

impl Count {
    fn begin() -> Self {
        let live = LIVE.load(Ordering::Relaxed);
        PEAK.store(live, Ordering::Relaxed);
        Count(live)
    }

    /// Holds what was taken since to a bound, and begins anew.
    #[track_caller]
    fn hold(&self, doing: &str, most: usize) {
        let peak = PEAK.load(Ordering::Relaxed) - self.0;
        println!("{doing}: {:.1} MiB", peak as f64 / MIB as f64);
        assert!(
            peak <= most,
            "{doing}: {peak} bytes, and {most} are allowed"
        );
        PEAK.store(LIVE.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

fn options(budget: usize) -> Options {
    let interval = Duration::from_secs(1);
    Options::new()
        .memory_budget(budget)
        .durability(Durability::Buffered { interval })
}

fn minute(minutes: u32) -> Minute {
    Minute::new(minutes).unwrap()
}

fn store(path: &Path, options: Options) -> Store {
    let store = Store::open(path, options).unwrap();
    for metric in METRICS {
        let metric = Metric::new(Name::new(metric).unwrap(), Kind::Counter);
        store.define_metric(&metric).unwrap();
    }
    store
}

fn series(store: &Store, count: u32) -> Vec<Series> {
    let mut all = Vec::with_capacity(count as usize);
    for number in 0..count {
        let release = format!("firefox/nightly/{}/windows", number / 10);
        let branch = BRANCHES[number as usize / 5 % 2];
        let metric = METRICS[number as usize % 5];
        all.push(store.series(&release, branch, metric).unwrap());
    }
    all
}

/// A commit of one delta a series, in batches.
fn commit(store: &Store, all: &[Series], at: u32) {
    for part in all.chunks(1 << 14) {
        let mut batch = Batch::new();
        for (series, count) in part.iter().zip(1..) {
            batch.add(*series, minute(at), count % 1_000);
        }
        store.commit(batch).unwrap();
    }
}

/// The files of a store, as its process would leave them if it died now.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn many_series_stay_within_the_budget() {
    const SERIES: u32 = 200_000;
    const BUDGET: usize = 24 * MIB;
    let _turn = TURN.lock().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (path, dead) = (
        directory.path().join("store"),
        directory.path().join("dead"),
    );
    // The handles are the test's own.
    let own = SERIES as usize * size_of::<Series>();
    let count = Count::begin();
    let first = store(&path, options(BUDGET));
    let all = series(&first, SERIES);
    count.hold("meeting series", BUDGET / 2 + own);
    for at in 0..10 {
        commit(&first, &all, START + at);
    }
    count.hold("ingest", BUDGET + own);
    copy(&path, &dead);
    first.flush().unwrap();
    count.hold("flush", BUDGET + own);
    first.compact().unwrap();
    count.hold("compaction", BUDGET + own);
    drop(all);
    first.close().unwrap();

    let count = Count::begin();
    let second = Store::open(&dead, options(BUDGET)).unwrap();
    count.hold("replay", BUDGET);
    let snapshot = second.snapshot();
    let all = snapshot.query().every(Every::Whole);
    let by_metric = GroupBy {
        release: false,
        branch: false,
        metric: true,
    };
    let table = all.clone().by(by_metric).run().unwrap();
    assert_eq!(table.len(), METRICS.len());
    count.hold("a query over all", BUDGET);
    // Two hundred thousand groups are beyond a quarter of the budget.
    let refused = all.run().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Limit);
    assert!(refused.to_string().contains("memory_budget"), "{refused}");
    count.hold("a query that is refused", BUDGET);
    // What the refusal says to do.
    let mut rows = 0;
    for digit in 1..10 {
        let part = Pattern::new(&format!("firefox/nightly/{digit}*")).unwrap();
        let asked = snapshot.query().every(Every::Whole).releases(&part);
        for (branch, metric) in BRANCHES.iter().flat_map(|b| METRICS.map(|m| (*b, m))) {
            let [branch, metric] = [branch, metric].map(|name| Pattern::new(name).unwrap());
            let asked = asked.clone().branches(&branch).metrics(&metric);
            rows += asked.run().unwrap().len();
            count.hold("a part", BUDGET);
        }
    }
    assert_eq!(rows, SERIES as usize - 10);
    drop(snapshot);
    second.close().unwrap();
}

#[test]
fn many_buckets_stay_within_the_budget() {
    const SERIES: u32 = 400;
    const BUDGET: usize = 12 * MIB;
    let _turn = TURN.lock().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let count = Count::begin();
    let store = store(&path, options(BUDGET));
    let all = series(&store, SERIES);
    // Two days of each 32, for two years.
    for bucket in 0..24 {
        for at in (0..2 * DAY).step_by(3) {
            commit(&store, &all, START + bucket * 32 * DAY + at);
        }
    }
    count.hold("ingest", BUDGET);
    store.flush().unwrap();
    count.hold("flush", BUDGET);
    store.compact().unwrap();
    count.hold("compaction", BUDGET);
    store.close().unwrap();

    let count = Count::begin();
    let reader = Reader::open(&path).unwrap().memory_budget(BUDGET);
    let snapshot = reader.snapshot().unwrap();
    let mut table = Table::default();
    let days = snapshot.query().every(Every::Minutes(DAY));
    days.run_into(&mut table).unwrap();
    assert_eq!(table.len(), SERIES as usize * 48);
    count.hold("a query by days", BUDGET);
    let minutes = snapshot.query().run_into(&mut table).unwrap_err();
    assert_eq!(minutes.kind(), ErrorKind::Limit);
    assert!(table.is_empty());
    count.hold("a query by minutes that is refused", BUDGET + MIB);
    let by_metric = GroupBy {
        release: false,
        branch: false,
        metric: true,
    };
    let answered = snapshot.query().by(by_metric).run_into(&mut table);
    answered.unwrap();
    assert_eq!(table.len(), METRICS.len() * 24 * 2 * DAY as usize / 3);
    count.hold("a query by minutes", BUDGET + MIB);
}
