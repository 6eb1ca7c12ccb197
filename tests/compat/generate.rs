//! Makes the golden store of format 1: every sort of file, page and state.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use hotstove::{
    Batch, Branch, Decimal, Kind, Metric, Minute, Options, Override, Reader, Release, Role, Store,
    Worse,
};

use super::name;

pub const RELEASE: &str = "firefox/release/57.0";
const BETA: &str = "firefox/bêta \u{1f525}/58.0";
const KINDS: [(&str, Kind); 4] = [
    ("crashes", Kind::Counter),
    ("hours", Kind::Sum { decimals: 3 }),
    ("memory", Kind::Gauge),
    ("retention", Kind::Counter),
];
const DAY: u32 = 1_440;
const BUCKET: u32 = 32 * DAY;
/// 2026-05-03, the first day of a bucket.
const START: u32 = 643 * BUCKET;

type Key = (&'static str, &'static str, &'static str);

/// What every cell is, told apart from all the code under test.
#[derive(Default)]
pub struct Model {
    integers: BTreeMap<(Key, u32), i128>,
    floats: BTreeMap<(Key, u32), f64>,
}

impl Model {
    fn drop_before(&mut self, minute: u32) {
        self.integers.retain(|(_, at), _| *at >= minute);
        self.floats.retain(|(_, at), _| *at >= minute);
    }

    /// Lines of release, branch, metric, hour, total, cells, least, greatest.
    pub fn hours(&self) -> String {
        let mut lines = BTreeMap::new();
        let mut exact: BTreeMap<(Key, u32), Vec<i128>> = BTreeMap::new();
        for ((key, minute), value) in &self.integers {
            exact
                .entry((*key, minute / 60 * 60))
                .or_default()
                .push(*value);
        }
        for (place, values) in exact {
            let (_, kind) = KINDS
                .iter()
                .find(|(metric, _)| *metric == place.0.2)
                .unwrap();
            let show = |units: i128| {
                Decimal {
                    units,
                    decimals: kind.decimals(),
                }
                .to_string()
            };
            let (least, greatest) = (values.iter().min().unwrap(), values.iter().max().unwrap());
            let total = show(values.iter().sum());
            let line = format!(
                "{total},{},{},{}",
                values.len(),
                show(*least),
                show(*greatest)
            );
            lines.insert(place, line);
        }
        let mut floats: BTreeMap<(Key, u32), Vec<f64>> = BTreeMap::new();
        for ((key, minute), value) in &self.floats {
            floats
                .entry((*key, minute / 60 * 60))
                .or_default()
                .push(*value);
        }
        for (place, values) in floats {
            let last = values.last().unwrap();
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            lines.insert(place, format!("{last},{},{least},{greatest}", values.len()));
        }
        let mut text = String::new();
        for (((release, branch, metric), minute), line) in lines {
            let minute = Minute::new(minute).unwrap();
            writeln!(text, "{release},{branch},{metric},{minute},{line}").unwrap();
        }
        text
    }
}

/// A batch, and the model it goes into.
struct Writing<'a> {
    store: &'a Store,
    model: &'a mut Model,
    batch: Batch,
}

impl Writing<'_> {
    /// One delta; gauges are set to a 64th of it.
    fn write(&mut self, key: Key, minute: u32, value: i128) {
        let (release, branch, metric) = key;
        let series = self.store.series(release, branch, metric).unwrap();
        let at = Minute::new(minute).unwrap();
        if series.kind() == Kind::Gauge {
            let value = value as f64 / 64.0;
            self.batch.set(series, at, value);
            self.model.floats.insert((key, minute), value);
            return;
        }
        if series.kind() == Kind::Counter {
            self.batch.add(series, at, u64::try_from(value).unwrap());
        } else {
            self.batch
                .add_units(series, at, i64::try_from(value).unwrap());
        }
        *self.model.integers.entry((key, minute)).or_default() += value;
    }

    fn commit(&mut self) {
        self.store.commit(std::mem::take(&mut self.batch)).unwrap();
    }

    /// Days of both branches, minute by minute, with holes.
    fn days(&mut self, from: u32, days: u32, seed: u64) {
        let mut random = Random(seed);
        for minute in from..from + days * DAY {
            for branch in ["control", "new"] {
                let draw = random.next();
                if !draw.is_multiple_of(50) {
                    let crashes = (draw >> 8) % 6 * ((draw >> 16) % 3);
                    self.write((RELEASE, branch, "crashes"), minute, crashes.into());
                }
                if minute % 5 == 0 {
                    let hours = i128::from(draw >> 20 & 0x3ff) - 8;
                    self.write((RELEASE, branch, "hours"), minute, hours);
                }
                if minute % 10 == 3 {
                    self.write(
                        (RELEASE, branch, "memory"),
                        minute,
                        i128::from(draw >> 40 & 0xffff),
                    );
                }
            }
            if minute % 720 == 0 {
                self.write((RELEASE, "control", "retention"), minute, 40);
            }
            if minute % DAY == DAY - 1 {
                self.commit();
            }
        }
    }

    /// Late deltas, cells that outgrow 64 bits, and a release nobody declared.
    fn late(&mut self, from: u32, value: i128) {
        for minute in (from..from + 2 * DAY).step_by(97) {
            self.write((RELEASE, "new", "crashes"), minute, value);
            self.write((RELEASE, "new", "hours"), minute, -value);
            self.write((RELEASE, "new", "memory"), minute, -value);
        }
        for _ in 0..2 {
            self.write((BETA, "all", "crashes"), from + 777, u64::MAX.into());
            self.write((BETA, "all", "hours"), from + 777, i64::MIN.into());
        }
        self.write((BETA, "all", "crashes"), from + 778, 1);
        self.write((BETA, "all", "memory"), from + 778, -1);
    }
}

/// Numbers that look like noise.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }
}

fn define(store: &Store) {
    store
        .define(|catalogue| {
            for (metric, kind) in KINDS {
                let mut metric = Metric::new(name(metric), kind);
                match metric.name.as_str() {
                    "crashes" => {
                        metric.role = Some(Role::Vital);
                        metric.worse = Some(Worse::Higher);
                        metric.per = Some(name("hours"));
                        metric.unit = Some(name("crashes"));
                        metric.must_differ = Some(1.25);
                        metric.burst_minutes = Some(30);
                        metric.burst_events = Some(80);
                        metric.independent = Some(false);
                    }
                    "hours" => metric.role = Some(Role::Exposure),
                    "retention" => metric.role = Some(Role::Decision),
                    _ => {}
                }
                catalogue.define_metric(&metric)?;
            }
            let mut release = Release::new(name(RELEASE));
            release.public_from = Some(Minute::new(START)?);
            release.control = Some(name("control"));
            release.decision_weeks = Some(2);
            release.branches = vec![
                Branch::new(name("control"), Some(0.75)),
                Branch::new(name("new"), Some(0.25)),
            ];
            catalogue.define_release(&release)
        })
        .unwrap();
}

/// Makes the store: a dense segment, one half dense and half packed, a small
/// one of late data, and two logs with more of it.
pub fn store(path: &Path) -> Model {
    let mut model = Model::default();
    let store = Store::open(path, Options::new().background(false)).unwrap();
    define(&store);
    let collector = name("collector-1");
    let mut writing = Writing {
        store: &store,
        model: &mut model,
        batch: Batch::new(),
    };
    writing.days(START, 3, 1);
    store.flush().unwrap();
    writing.days(START + BUCKET, 4, 2);
    store.compact().unwrap();
    store
        .retain_before(Minute::new(START + 700).unwrap())
        .unwrap();
    writing.model.drop_before(START + 700);
    writing.late(START + 800, 3);
    writing.batch.stamp_checked(&collector, 6_000, 0xbeef);
    writing.commit();
    store.flush().unwrap();
    writing.late(START + 900, 5);
    writing.batch.stamp_checked(&collector, 7_000, 0xfeed);
    writing.commit();
    store.close().unwrap();

    let store = Store::open(path, Options::new().background(false)).unwrap();
    let mut writing = Writing {
        store: &store,
        model: &mut model,
        batch: Batch::new(),
    };
    writing.late(START + BUCKET + 100, 7);
    writing
        .batch
        .watermark(&collector, Minute::new(START + BUCKET + 2 * DAY).unwrap());
    writing.commit();
    store.close().unwrap();
    let record = Override {
        at: START + BUCKET,
        release: RELEASE.to_owned(),
        metric: "retention".to_owned(),
        reason: "golden".to_owned(),
    };
    Reader::open(path)
        .unwrap()
        .record_override(&record)
        .unwrap();
    model
}
