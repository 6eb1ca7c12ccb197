//! Hotstove through its public names.

use std::time::Duration;

use hotstove::{
    Batch, Cells, Every, GroupBy, Kind, Metric, Minute, Name, Options, Pattern, Reader, Series,
    SeriesKey, Snapshot, Store, StoredSeries, Value, Values,
};

use super::{Durability, Peer, Place};
use crate::Outcome;
use crate::question::{ASKED, Answer, GAUGE, q1_minutes, q1_series};
use crate::w1::{self, BRANCHES, METRICS, W1};
use crate::workload::{Delta, Reading};

pub struct Hotstove {
    writing: Option<(Store, Vec<Series>)>,
    compacts: bool,
    reading: Option<Stored>,
    place: std::path::PathBuf,
    series: u32,
}

/// What questions are asked of: a snapshot of its own, and series found in it,
/// as other stores have prepared statements. Neither is ever freed: the
/// process ends with the questions.
struct Stored {
    snapshot: &'static Snapshot,
    series: Vec<Option<StoredSeries<'static>>>,
    cells: Cells,
}

fn minute(minutes: u32) -> Outcome<Minute> {
    Ok(Minute::new(minutes)?)
}

impl Hotstove {
    pub fn open(place: &Place, durability: Durability, compacts: bool) -> Outcome<Self> {
        let own = Hotstove {
            writing: None,
            compacts,
            reading: None,
            place: place.file("store"),
            series: place.series,
        };
        // An existing store is opened to be read, until something is committed.
        if own.place.exists() && durability == Durability::Bulk {
            return Ok(own);
        }
        let durability = match durability {
            Durability::Synced => hotstove::Durability::Sync,
            _ => hotstove::Durability::Buffered {
                interval: Duration::from_millis(100),
            },
        };
        let store = Store::open(&own.place, Options::new().durability(durability))?;
        store.define(|catalogue| {
            for metric in 0..METRICS {
                let kind = match w1::kind(metric) {
                    w1::Kind::Counter => Kind::Counter,
                    w1::Kind::Sum => Kind::Sum { decimals: 4 },
                    w1::Kind::Gauge => Kind::Gauge,
                };
                catalogue.define_metric(&Metric::new(Name::new(&W1::names(metric).2)?, kind))?;
            }
            Ok(())
        })?;
        let handles = (0..own.series).map(|series| {
            let (release, branch, metric) = W1::names(series);
            store.series(&release, &branch, &metric)
        });
        let handles = handles.collect::<hotstove::Result<_>>()?;
        Ok(Hotstove {
            writing: Some((store, handles)),
            ..own
        })
    }

    fn stored(&mut self) -> Outcome<&mut Stored> {
        if self.reading.is_none() {
            let snapshot = match &self.writing {
                Some((store, _)) => store.snapshot(),
                None => Reader::open(&self.place)?.snapshot()?,
            };
            let snapshot: &'static Snapshot = Box::leak(Box::new(snapshot));
            let series = (0..self.series).map(|series| {
                let (release, branch, metric) = W1::names(series);
                snapshot.find(&SeriesKey {
                    release: Name::new(&release)?,
                    branch: Name::new(&branch)?,
                    metric: Name::new(&metric)?,
                })
            });
            self.reading = Some(Stored {
                snapshot,
                series: series.collect::<hotstove::Result<_>>()?,
                cells: Cells::default(),
            });
        }
        self.reading.as_mut().ok_or_else(|| "no snapshot".into())
    }

    /// The totals of nine metrics, added up.
    fn total(&mut self, every: Every) -> Outcome<Answer> {
        let snapshot = self.stored()?.snapshot;
        let mut query = snapshot.query();
        for metric in (0..METRICS).filter(|metric| *metric != GAUGE) {
            query = query.metrics(&Pattern::new(&W1::names(metric).2)?);
        }
        let by = GroupBy {
            release: false,
            branch: false,
            metric: true,
        };
        let table = query.every(every).by(by).run()?;
        let mut answer = Answer::default();
        for group in table.groups() {
            if let Values::Exact { units, .. } = group.values {
                units.iter().for_each(|total| answer.total(*total as u64));
            }
        }
        Ok(answer)
    }
}

impl Peer for Hotstove {
    fn commit(&mut self, deltas: &[Delta]) -> Outcome {
        let (store, handles) = self.writing.as_ref().ok_or("open for reading")?;
        let mut batch = Batch::new();
        for delta in deltas {
            let (series, at) = (handles[delta.series as usize], minute(delta.minute)?);
            match w1::kind(delta.metric()) {
                w1::Kind::Counter => batch.add(series, at, delta.value),
                w1::Kind::Sum => batch.add_units(series, at, delta.value as i64),
                w1::Kind::Gauge => batch.set(series, at, delta.value as f64 / 1_000.0),
            };
        }
        store.commit(batch)?;
        Ok(())
    }

    /// In arrival order, a commit a minute: it has no other way, and needs none.
    fn load(&mut self, place: &Place) -> Outcome<u64> {
        let mut reading = Reading::open(&place.deltas)?;
        let (mut deltas, mut rows) = (Vec::new(), 0);
        while reading.next(&mut deltas)? {
            rows += deltas.len() as u64;
            self.commit(&deltas)?;
        }
        if let Some((store, _)) = &self.writing {
            if self.compacts {
                store.compact()?;
            } else {
                store.flush()?;
            }
        }
        Ok(rows)
    }

    fn close(self: Box<Self>) -> Outcome {
        if let Some((store, _)) = self.writing {
            store.close()?;
        }
        Ok(())
    }

    fn q1(&mut self) -> Outcome<Answer> {
        let minutes = minute(q1_minutes().start)?..minute(q1_minutes().end)?;
        let stored = self.stored()?;
        let mut answer = Answer::default();
        for number in q1_series() {
            let series = stored.series[number as usize].as_ref().ok_or("no series")?;
            series.read(minutes.clone(), &mut stored.cells)?;
            let rows = stored.cells.minutes().iter().zip(stored.cells.units());
            rows.for_each(|(minute, units)| answer.add(number, *minute, *units as u64));
        }
        Ok(answer)
    }

    fn q2(&mut self) -> Outcome<Answer> {
        let snapshot = self.stored()?.snapshot;
        let mut query = snapshot.query();
        for metric in ASKED {
            query = query.metrics(&Pattern::new(&W1::names(metric).2)?);
        }
        let table = query.every(Every::Whole).run()?;
        // Groups are sorted by name: releases as numbered, "branch_1" before
        // "control", "crashes" before "usage_hours".
        let mut answer = Answer::default();
        for (place, group) in table.groups().enumerate() {
            let place = place as u32;
            let branch = (place / 2 + 1) % BRANCHES;
            let release = place / (2 * BRANCHES);
            let metric = ASKED[(place % 2) as usize];
            if let Values::Exact { units, .. } = group.values {
                let series = (release * BRANCHES + branch) * METRICS + metric;
                answer.add(series, 0, units[0] as u64);
            }
        }
        Ok(answer)
    }

    fn q3(&mut self) -> Outcome<Answer> {
        self.total(Every::Whole)
    }

    /// A total for each half day, which cuts every page: all cells are decoded.
    fn q3_decoding(&mut self) -> Option<Outcome<Answer>> {
        Some(self.total(Every::Minutes(720)))
    }

    fn get(&mut self, series: u32, at: u32) -> Outcome<Option<u64>> {
        let series = self.stored()?.series[series as usize].as_ref();
        let value = series.ok_or("no series")?.get(minute(at)?)?;
        Ok(value.map(|value| match value {
            Value::Float(float) => (float * 1_000.0).round() as u64,
            Value::Exact(exact) => exact.units as u64,
        }))
    }
}
