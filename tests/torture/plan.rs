//! What is written: batches as a pure function of who writes and which one it
//! is, and what a store holds after so many of them.

use std::collections::BTreeMap;

use hotstove::{
    Batch, Every, GroupBy, Kind, Metric, Minute, Name, Result, Snapshot, Store, Values,
};

/// Writers there may be, each with a source and branches of its own.
pub const WRITERS: usize = 4;

/// The floors that one retention after the other sets: amid a page, at a day,
/// amid a later day, amid the second bucket.
pub const FLOORS: [u32; 4] = [700, 2_880, 5_000, BUCKET + 200];

const BUCKET: u32 = 32 * 1_440;
const RELEASES: [&str; 3] = ["fox/1", "fox/2", "fox/night"];
const METRICS: [(&str, Kind); 3] = [
    ("crashes", Kind::Counter),
    ("hours", Kind::Sum { decimals: 2 }),
    ("memory", Kind::Gauge),
];

/// Release, branch, metric, minute.
pub type Key = (usize, usize, usize, u32);

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn source(writer: usize) -> Name {
    name(&format!("source-{writer}"))
}

/// Counters and sums meet in one branch; of a gauge the last write counts, so
/// each writer has a branch to itself.
fn branch(branch: usize) -> String {
    match branch {
        WRITERS => "all".to_owned(),
        writer => format!("of-{writer}"),
    }
}

fn noise(writer: usize, number: u64) -> u64 {
    let mut mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ((writer as u64) << 17);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

/// The deltas of one batch; `number` begins at 1 and is its offset.
fn writes(writer: usize, number: u64) -> Vec<(Key, i64)> {
    let noise = noise(writer, number);
    let weight = (noise % 1_000) as i64 + 1;
    let recent = BUCKET + (number % 40) as u32 * 29;
    let all = WRITERS;
    let mut writes = vec![
        ((0, all, 0, recent), weight),
        ((1, all, 0, recent), weight),
        ((1, all, 1, recent), weight - 500),
        ((2, writer, 2, recent), weight * 3),
    ];
    if number.is_multiple_of(3) {
        let late = (noise >> 32) as u32 % 40 * 211;
        writes.push(((0, all, 0, late), weight));
        writes.push(((0, all, 1, late), -weight));
        writes.push(((2, writer, 2, late), weight));
    }
    writes
}

pub fn define(store: &Store) -> Result<bool> {
    store.define(|catalogue| {
        METRICS.iter().try_fold(false, |changed, (metric, kind)| {
            Ok(catalogue.define_metric(&Metric::new(name(metric), *kind))? || changed)
        })
    })
}

pub fn batch(store: &Store, writer: usize, number: u64) -> Result<Batch> {
    let mut batch = Batch::new();
    for ((release, own, metric, minute), value) in writes(writer, number) {
        let series = store.series(RELEASES[release], &branch(own), METRICS[metric].0)?;
        let minute = Minute::new(minute)?;
        match METRICS[metric].1 {
            Kind::Counter => batch.add(series, minute, value.unsigned_abs()),
            Kind::Gauge => batch.set(series, minute, value as f64),
            _ => batch.add_units(series, minute, value),
        };
    }
    batch.stamp(&source(writer), number);
    Ok(batch)
}

/// What a store of so many batches of each writer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub counts: [u64; WRITERS],
    cells: BTreeMap<Key, i128>,
}

impl Model {
    /// Applies the batches up to `counts`; there is no way back.
    pub fn advance(&mut self, counts: [u64; WRITERS]) {
        for (writer, count) in counts.into_iter().enumerate() {
            assert!(self.counts[writer] <= count, "the model runs backwards");
            for number in self.counts[writer] + 1..=count {
                for (key, value) in writes(writer, number) {
                    let cell = self.cells.entry(key).or_default();
                    *cell = i128::from(value) + if key.2 == 2 { 0 } else { *cell };
                }
            }
        }
        self.counts = counts;
    }

    /// The cells that retention up to `floor` leaves.
    pub fn from(&self, floor: u32) -> BTreeMap<Key, i128> {
        let left = self
            .cells
            .iter()
            .filter(|((.., minute), _)| *minute >= floor);
        left.map(|(key, value)| (*key, *value)).collect()
    }
}

/// So many batches of each writer does a snapshot hold, by its own word.
pub fn counts(snapshot: &Snapshot) -> [u64; WRITERS] {
    let mut counts = [0; WRITERS];
    for (source, state) in snapshot.sources() {
        let writer = source.as_str().rsplit('-').next().unwrap();
        counts[writer.parse::<usize>().unwrap()] = state.offset.unwrap_or(0);
    }
    counts
}

/// Every cell of a snapshot.
pub fn cells(snapshot: &Snapshot) -> Result<BTreeMap<Key, i128>> {
    let query = snapshot.query().every(Every::Minutes(1)).by(GroupBy::ALL);
    let table = query.run()?;
    let mut cells = BTreeMap::new();
    for group in table.groups() {
        let at = |names: &[&str], name| names.iter().position(|own| *own == name).unwrap();
        let release = at(&RELEASES, group.release);
        let metric = at(&METRICS.map(|(name, _)| name), group.metric);
        let own = (0..=WRITERS)
            .find(|own| branch(*own) == group.branch)
            .unwrap();
        let values: Vec<i128> = match group.values {
            Values::Exact { units, .. } => units.to_vec(),
            Values::Float(floats) => floats.iter().map(|value| *value as i128).collect(),
        };
        let minutes = group.minutes.iter();
        cells.extend(
            minutes
                .zip(values)
                .map(|(minute, value)| ((release, own, metric, *minute), value)),
        );
    }
    Ok(cells)
}
