//! Segments against a model, undamaged and damaged.

mod damage;
mod golden;
mod measure;
mod round_trip;
mod whole;
mod writing;

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Segment, SegmentWriter};
use crate::codec::{Column, Page, Presence};
use crate::format::header::segment_file_name;
use crate::format::segment_meta::SegmentMeta;
use crate::limits::{DAYS_PER_BUCKET, MINUTES_PER_DAY};
use crate::model::{Kind, Name, SeriesKey};
use crate::storage::disk::{Disk, Open};
use crate::storage::segment::encoded::family_of;
use crate::storage::sim_disk::SimDisk;

pub const STORE: u64 = 0x5707_e000_0000_0001;
pub const BUCKET: u32 = 643;
pub const FIRST_DAY: u32 = BUCKET * DAYS_PER_BUCKET;

/// What a segment should hold: the pages of every series.
pub type Model = BTreeMap<SeriesKey, (Kind, Vec<(u32, Page)>)>;

pub fn key(release: &str, branch: &str, metric: &str) -> SeriesKey {
    let [release, branch, metric] = [release, branch, metric].map(|text| Name::new(text).unwrap());
    SeriesKey {
        release,
        branch,
        metric,
    }
}

/// SplitMix64: the same numbers for the same seed, for ever.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn poisson(&mut self, mean: f64) -> i64 {
        if mean > 60.0 {
            let angle = std::f64::consts::TAU * self.unit();
            let normal = (-2.0 * (1.0 - self.unit()).ln()).sqrt() * angle.cos();
            return (mean + normal * mean.sqrt()).round().max(0.0) as i64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

/// A page of `kind` with a cell in about one of `every` minutes, and at least one.
pub fn page(random: &mut Random, kind: Kind, every: u64, bits: u32) -> Page {
    let mut presence = Presence::new();
    presence.set(random.below(MINUTES_PER_DAY.into()) as u16);
    (0..MINUTES_PER_DAY as u16)
        .filter(|_| random.below(every) == 0)
        .for_each(|minute| presence.set(minute));
    let count = presence.count();
    let column = match kind {
        Kind::Gauge => Column::Floats(
            (0..count)
                .map(|_| (random.below(1 << 20) as f64 - 1e5) / 1e3)
                .collect(),
        ),
        _ if bits > 64 => Column::Wides(
            (0..count)
                .map(|_| (i128::from(random.next()) << (bits - 64)) - (1 << 70))
                .collect(),
        ),
        _ => Column::Ints(
            (0..count)
                .map(|_| (random.next() >> (64 - bits.clamp(1, 63))) as i64)
                .collect(),
        ),
    };
    Page { presence, column }
}

pub fn write(disk: &dyn Disk, id: u64, model: &Model, cold_before_day: u32) -> SegmentMeta {
    let mut writer =
        SegmentWriter::create(disk, STORE, id, BUCKET, (3, 9), &mut model.keys()).unwrap();
    for (key, (kind, pages)) in model {
        writer.push(key, *kind, pages, cold_before_day).unwrap();
    }
    writer.finish().unwrap()
}

/// The whole segment in memory.
pub fn bytes_of(disk: &dyn Disk, id: u64) -> Vec<u8> {
    let file = disk.open(&segment_file_name(id), Open::Read).unwrap();
    file.map().unwrap().to_vec()
}

/// A segment of `model` in memory.
pub fn image(model: &Model, cold_before_day: u32) -> (Vec<u8>, SegmentMeta) {
    let disk = SimDisk::new(1);
    let meta = write(&disk, 7, model, cold_before_day);
    (bytes_of(&disk, 7), meta)
}

pub fn open(bytes: &[u8], meta: &SegmentMeta) -> Segment {
    Segment::from_bytes(Bytes::copy_from_slice(bytes), STORE, meta).unwrap()
}

/// Four series: a counter, a decimal sum with a page of wide cells, a gauge,
/// and a long run of which the first days are cold.
pub fn small() -> Model {
    let mut random = Random(5);
    let mut model = Model::new();
    let mut add = |key, kind, pages: &[(u32, u64, u32)], random: &mut Random| {
        let pages = pages
            .iter()
            .map(|(day, every, bits)| (FIRST_DAY + day, page(random, kind, *every, *bits)))
            .collect();
        model.insert(key, (kind, pages));
    };
    let decimals = Kind::Sum { decimals: 4 };
    add(
        key("a/1", "control", "crashes"),
        Kind::Counter,
        &[(0, 300, 9), (31, 200, 3)],
        &mut random,
    );
    add(
        key("a/1", "control", "usage"),
        decimals,
        &[(4, 400, 40), (5, 300, 90)],
        &mut random,
    );
    add(
        key("a/1", "treatment", "crashes"),
        Kind::Counter,
        &[(0, 300, 9), (31, 200, 3)],
        &mut random,
    );
    add(
        key("b", "control", "load"),
        Kind::Gauge,
        &[(7, 200, 0)],
        &mut random,
    );
    let run: Vec<_> = (0..4).map(|day| (day, 8, 2)).collect();
    add(
        key("b", "control", "opens"),
        Kind::Counter,
        &run,
        &mut random,
    );
    model
}

pub const COLD_BEFORE: u32 = FIRST_DAY + 3;

/// What one page, or the block it is in, reads as.
pub type Reading = crate::error::Result<Page>;

/// Every page of `model`, as the segment has it.
pub fn read_all(segment: &Segment, model: &Model) -> BTreeMap<(SeriesKey, u32), Reading> {
    let mut readings = BTreeMap::new();
    let index = segment.series().unwrap();
    for (key, (kind, pages)) in model {
        let found = index.find(&key.release, &key.branch, &key.metric);
        let Some(found) = found else {
            continue;
        };
        let entry = index.entry(found).unwrap();
        assert_eq!(entry.kind, *kind);
        let block = match segment.block(found) {
            Ok(block) => block,
            Err(error) => {
                let day = pages[0].0;
                readings.insert((key.clone(), day), Err(error));
                continue;
            }
        };
        let days: Vec<u32> = block.pages().map(|page| page.day).collect();
        let expected: Vec<u32> = pages.iter().map(|(day, _)| *day).collect();
        assert_eq!(days, expected, "the days of {key}");
        for (number, (day, page)) in pages.iter().enumerate() {
            assert_eq!(block.page_of_day(*day), Some(number));
            let summary = crate::codec::summarize(page);
            let info = block.page(number).unwrap();
            assert_eq!(
                (info.cells, info.sum, info.min, info.max),
                (summary.cells, summary.sum, summary.min, summary.max)
            );
            let mut out = Page::new(family_of(*kind));
            let decoded = block.decode(number, &mut out).map(|()| out);
            readings.insert((key.clone(), *day), decoded);
        }
    }
    readings
}
