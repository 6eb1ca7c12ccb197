//! Any sequence of commits, late batches, resends, flushes, merges, retentions,
//! kills, power cuts and reopenings on the simulated disk, against a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use hotstove::internals::storage::sim_disk::SimDisk;
use hotstove::internals::{open_reader, open_store};
use hotstove::{Batch, Every, Kind, Metric, Minute, Name, Options, Snapshot, Store, Values};

/// Operations of one input.
const OPS_MAX: usize = 40;

const METRICS: [(&str, Kind); 3] = [
    ("c", Kind::Counter),
    ("s", Kind::Sum { decimals: 1 }),
    ("g", Kind::Gauge),
];

/// Release, metric, minute.
type Model = BTreeMap<(usize, usize, u32), i128>;

fn open(disk: &SimDisk) -> Store {
    let store =
        open_store(Arc::new(disk.clone()), Options::new().background(false)).expect("opening");
    for (metric, kind) in METRICS {
        store
            .define_metric(&Metric::new(Name::new(metric).unwrap(), kind))
            .expect("defining");
    }
    store
}

fn cells(snapshot: &Snapshot) -> Model {
    let table = snapshot
        .query()
        .every(Every::Minutes(1))
        .run()
        .expect("reading");
    let mut cells = Model::new();
    for group in table.groups() {
        let release = group.release[1..].parse().unwrap();
        let metric = METRICS
            .iter()
            .position(|(name, _)| *name == group.metric)
            .unwrap();
        let values: Vec<i128> = match group.values {
            Values::Exact { units, .. } => units.to_vec(),
            Values::Float(floats) => floats.iter().map(|float| *float as i128).collect(),
        };
        cells.extend(
            group
                .minutes
                .iter()
                .zip(values)
                .map(|(minute, value)| ((release, metric, *minute), value)),
        );
    }
    cells
}

/// One batch: a few deltas out of one byte each.
fn deltas(bytes: &[u8], late: bool) -> Vec<((usize, usize, u32), i64)> {
    let delta = |(at, byte): (usize, &u8)| {
        let (release, metric) = (usize::from(byte & 3), usize::from(byte >> 2 & 3) % 3);
        let day = u32::from(byte >> 4) * 1_440;
        let minute = if late {
            day / 16 + at as u32
        } else {
            46_000 + day + at as u32 % 3
        };
        ((release, metric, minute), i64::from(*byte) + 1)
    };
    bytes.iter().enumerate().map(delta).collect()
}

fn send(store: &Store, offset: u64, deltas: &[((usize, usize, u32), i64)]) -> bool {
    let mut batch = Batch::new();
    for ((release, metric, minute), value) in deltas {
        let series = store
            .series(&format!("r{release}"), "x", METRICS[*metric].0)
            .unwrap();
        let minute = Minute::new(*minute).unwrap();
        match METRICS[*metric].1 {
            Kind::Counter => batch.add(series, minute, value.unsigned_abs()),
            Kind::Gauge => batch.set(series, minute, *value as f64),
            _ => batch.add_units(series, minute, *value),
        };
    }
    batch.stamp(&Name::new("source").unwrap(), offset);
    store.commit(batch).expect("committing").already_applied
}

pub fn run(input: &[u8]) {
    let mut disk = SimDisk::new(1);
    let mut store = Some(open(&disk));
    let (mut model, mut floor, mut offset) = (Model::new(), 0, 0);
    let mut last = Vec::new();
    let mut rest = input;
    for _ in 0..OPS_MAX {
        let [op, next @ ..] = rest else { break };
        rest = next;
        let own = store.as_ref().expect("open");
        match op % 9 {
            0 | 1 => {
                let (bytes, next) = rest.split_at(usize::from(op >> 5).min(rest.len()));
                rest = next;
                last = deltas(bytes, op % 9 == 1);
                offset += 1;
                assert!(!send(own, offset, &last), "a first sending");
                for (key, value) in last.iter().filter(|(key, _)| key.2 >= floor) {
                    let cell = model.entry(*key).or_default();
                    *cell = i128::from(*value) + if key.1 == 2 { 0 } else { *cell };
                }
            }
            2 if offset > 0 => assert!(send(own, offset, &last), "sent again"),
            3 => own.flush().expect("flushing"),
            4 => own.compact().expect("merging"),
            5 => {
                let to = u32::from(op >> 5) * 8_000;
                floor = own
                    .retain_before(Minute::new(to).unwrap())
                    .expect("retaining")
                    .floor
                    .get();
                model.retain(|(_, _, minute), _| *minute >= floor);
            }
            6 => {
                store
                    .take()
                    .map(Store::close)
                    .expect("open")
                    .expect("closing");
                store = Some(open(&disk));
            }
            7 => {
                let left = disk.kill();
                drop(store.take());
                disk = left;
                store = Some(open(&disk));
            }
            8 => {
                // Some subset of what is not synced goes; nothing acknowledged does.
                let left = disk.crash_random(u64::from(*op));
                drop(store.take());
                disk = left;
                store = Some(open(&disk));
            }
            _ => {}
        }
        let own = store.as_ref().expect("open");
        assert_eq!(own.committed_offset("source").unwrap_or(0), offset);
        assert_eq!(cells(&own.snapshot()), model);
    }
    let reader = open_reader(Arc::new(disk.read_only())).expect("reading");
    assert!(reader.verify().expect("verifying").is_sound());
    assert_eq!(cells(&reader.snapshot().expect("a snapshot")), model);
}
