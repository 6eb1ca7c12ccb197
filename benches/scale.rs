//! What does each cost as the data grows, tenfold and a hundredfold? In minutes
//! (2,000 series, up to a year: a billion cells) and in series (up to a million).
//!
//! Each point is a process of its own, so that peaks of memory are its own, and
//! prints one line. `HOTSTOVE_SCALE_POINTS` chooses the points by name, as in
//! `minutes-1,series-3`; without it all are measured but the billion. With
//! `HOTSTOVE_SCALE_DRAW`, a directory, nothing is measured: the pictures are
//! drawn anew from the `curves.csv` there.

#[path = "scale/picture.rs"]
mod picture;
#[path = "w1/mod.rs"]
mod w1;

use std::path::Path;
use std::time::{Duration, Instant};

use hotstove::{
    Batch, Durability, Every, Kind, Metric, Minute, Name, Options, Pattern, Reader, Store,
};
use w1::random::Random;

/// One point of a curve.
struct Point {
    name: &'static str,
    series: u32,
    minutes: u32,
}

const DAY: u32 = 1_440;
const fn point(name: &'static str, series: u32, minutes: u32) -> Point {
    Point {
        name,
        series,
        minutes,
    }
}
const POINTS: [Point; 8] = [
    point("smoke", 50, 300),
    point("minutes-1", 2_000, 3 * DAY),
    point("minutes-2", 2_000, 36 * DAY),
    point("minutes-3", 2_000, 365 * DAY),
    point("series-1", 1_000, 10),
    point("series-2", 10_000, 10),
    point("series-3", 100_000, 10),
    point("series-4", 1_000_000, 10),
];
/// What is too long for everyday.
const SELDOM: &str = "minutes-3";
const CHOSEN: &str = "HOTSTOVE_SCALE_POINTS";
const CHILD: &str = "HOTSTOVE_SCALE_CHILD";
const DRAW: &str = "HOTSTOVE_SCALE_DRAW";
/// The columns of a line.
pub const COLUMNS: &str = "name,series,minutes,cells,ingest_ns_a_delta,flush_ms,compact_ns_a_cell,\
open_us,q1_us,q2_us,anonymous_mib,resident_mib,fresh_bytes_a_cell,compacted_bytes_a_cell,written_bytes_a_delta";

fn main() {
    if let Ok(directory) = std::env::var(DRAW) {
        return picture::draw(Path::new(&directory));
    }
    if let Ok(name) = std::env::var(CHILD) {
        let point = POINTS.iter().find(|point| point.name == name);
        return measure(point.expect("a point of that name"));
    }
    let smoke = std::env::args().any(|argument| argument == "--test");
    let chosen = std::env::var(CHOSEN).ok();
    println!("{COLUMNS}");
    for point in &POINTS {
        let wanted = match &chosen {
            Some(names) => names.split(',').any(|name| name == point.name),
            None if smoke => point.name == "smoke",
            None => ![SELDOM, "smoke"].contains(&point.name),
        };
        if wanted {
            let own = std::env::current_exe().expect("a path");
            let done = std::process::Command::new(own)
                .env(CHILD, point.name)
                .status();
            assert!(done.expect("a process").success(), "{}", point.name);
        }
    }
}

/// Counts of eight rates, drawn beforehand: the store is measured, not the dice.
struct Counts(Vec<u64>);

const DRAWN: usize = 1 << 12;

impl Counts {
    fn new() -> Self {
        let mut random = Random::new(42);
        let rates = [0.05, 0.5, 2.0, 10.0, 50.0, 200.0, 1_000.0, 10_000.0];
        let drawn = rates.map(|rate| (0..DRAWN).map(|_| random.poisson(rate)).collect::<Vec<_>>());
        Counts(drawn.concat())
    }

    fn get(&self, series: u32, minute: u32) -> u64 {
        let mixed = (u64::from(series) << 32 | u64::from(minute)) + 1;
        let place = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
        self.0[series as usize % 8 * DRAWN + place as usize]
    }
}

fn measure(point: &Point) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = directory.path().join("store");
    let options = Options::new().durability(Durability::Buffered {
        interval: Duration::from_millis(100),
    });
    let store = Store::open(&path, options).expect("a store");
    for metric in 0..w1::METRICS {
        let name = Name::new(&w1::W1::names(metric).2).expect("a name");
        let metric = Metric::new(name, Kind::Counter);
        store.define_metric(&metric).expect("a definition");
    }
    let counts = Counts::new();
    // Forgets the peak of the preparations.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let handles: Vec<_> = (0..point.series)
        .map(|series| {
            let (release, branch, metric) = w1::W1::names(series);
            store.series(&release, &branch, &metric).expect("a series")
        })
        .collect();
    let (mut anonymous, mut spent) = (0, Duration::ZERO);
    for offset in 0..point.minutes {
        let at = minute(offset);
        for (chunk, handles) in handles.chunks(1 << 18).enumerate() {
            let start = Instant::now();
            let mut batch = Batch::new();
            for (index, series) in handles.iter().enumerate() {
                let number = (chunk << 18) + index;
                batch.add(*series, at, counts.get(number as u32, offset));
            }
            store.commit(batch).expect("a commit");
            spent += start.elapsed();
            if offset % 64 < 1 {
                anonymous = anonymous.max(memory_kib("RssAnon"));
            }
        }
    }
    let start = Instant::now();
    store.flush().expect("a flush");
    let flush = start.elapsed();
    anonymous = anonymous.max(memory_kib("RssAnon"));
    let cells = u64::from(point.series) * u64::from(point.minutes);
    let fresh = bytes_on_disk(&path);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let compaction = scope.spawn(|| store.compact().expect("a compaction"));
        while !compaction.is_finished() {
            anonymous = anonymous.max(memory_kib("RssAnon"));
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let compact = start.elapsed();
    let written = io_bytes("wchar: ");
    drop(handles);
    store.close().expect("a close");
    let compacted = bytes_on_disk(&path);
    let (open, q1, q2) = questions(&path, point);
    let a_cell = |amount: f64| amount / cells as f64;
    println!(
        "{},{},{},{cells},{:.1},{:.1},{:.1},{open:.0},{q1:.0},{q2:.0},{:.1},{:.1},{:.3},{:.3},{:.2}",
        point.name,
        point.series,
        point.minutes,
        a_cell(spent.as_nanos() as f64),
        flush.as_secs_f64() * 1e3,
        a_cell(compact.as_nanos() as f64),
        anonymous as f64 / 1_024.0,
        memory_kib("VmHWM") as f64 / 1_024.0,
        a_cell(fresh as f64),
        a_cell(compacted as f64),
        a_cell(written as f64),
    );
}

/// Microseconds, the best of some: an opening with its first look, the last day
/// of a release by minutes, totals of two metrics over everything.
fn questions(path: &Path, point: &Point) -> (f64, f64, f64) {
    let best = |rounds: usize, run: &mut dyn FnMut()| {
        let mut least = f64::INFINITY;
        for _ in 0..rounds {
            let start = Instant::now();
            run();
            least = least.min(start.elapsed().as_secs_f64() * 1e6);
        }
        least
    };
    let pattern = |text: &str| Pattern::new(text).expect("a pattern");
    let release = pattern(&w1::W1::names(0).0);
    let metrics = [0, 7].map(|metric| pattern(&w1::W1::names(metric).2));
    let open = best(5, &mut || {
        let reader = Reader::open(path).expect("a reader");
        reader.snapshot().expect("a snapshot");
    });
    let reader = Reader::open(path).expect("a reader");
    let snapshot = reader.snapshot().expect("a snapshot");
    let from = minute(point.minutes.saturating_sub(DAY));
    let q1 = best(20, &mut || {
        let query = snapshot.query().releases(&release);
        let query = query.metrics(&metrics[0]).metrics(&metrics[1]);
        let query = query.from(from).every(Every::Minutes(1));
        query.run().expect("an answer");
    });
    let q2 = best(20, &mut || {
        let query = snapshot.query().metrics(&metrics[0]).metrics(&metrics[1]);
        query.every(Every::Whole).run().expect("an answer");
    });
    (open, q1, q2)
}

fn minute(offset: u32) -> Minute {
    Minute::new(w1::START + offset).expect("a minute")
}

/// A line of `/proc/self/status`, in KiB; zero elsewhere.
fn memory_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kib.unwrap_or(0)
}

/// Bytes handed to the system by all writes of this process.
fn io_bytes(field: &str) -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let found = io.lines().find_map(|line| line.strip_prefix(field));
    found.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

fn bytes_on_disk(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).expect("a directory");
    let sizes = entries.map(|entry| entry.and_then(|entry| entry.metadata()));
    sizes.flatten().map(|metadata| metadata.len()).sum()
}
