//! tsink: points of a metric with labels. It can not add: of two deltas of a
//! cell it keeps what it keeps, so it is loaded with merged cells, and what it
//! holds after committing deltas is not compared.

use std::sync::Arc;
use std::time::Duration;

use tsink::{DataPoint, Label, Row, Storage, StorageBuilder, TimestampPrecision, WalSyncMode};

use super::{Durability, Peer, Place};
use crate::Outcome;
use crate::question::{Answer, in_q2, in_q3, q1_minutes, q1_series};
use crate::w1::W1;
use crate::workload::{Delta, Reading};

pub struct Tsink {
    storage: Arc<dyn Storage>,
    names: Vec<(String, Vec<Label>)>,
    points: Vec<DataPoint>,
}

/// Whole seconds.
fn time(minute: u32) -> i64 {
    i64::from(minute) * 60
}

impl Tsink {
    /// Synced: `WalSyncMode::PerAppend`. Unsynced: `Periodic`, every 100 ms.
    pub fn open(place: &Place, durability: Durability) -> Outcome<Self> {
        let mode = match durability {
            Durability::Synced => WalSyncMode::PerAppend,
            _ => WalSyncMode::Periodic(Duration::from_millis(100)),
        };
        let storage = StorageBuilder::new()
            .with_data_path(place.file("tsink"))
            .with_timestamp_precision(TimestampPrecision::Seconds)
            .with_retention(Duration::from_secs(100 * 365 * 86_400))
            .with_partition_duration(Duration::from_secs(86_400))
            .with_wal_sync_mode(mode)
            .build()?;
        let names = (0..place.series).map(|series| {
            let (release, branch, metric) = W1::names(series);
            let labels = vec![Label::new("branch", branch), Label::new("release", release)];
            (metric, labels)
        });
        Ok(Tsink {
            storage,
            names: names.collect(),
            points: Vec::new(),
        })
    }

    fn each(
        &mut self,
        series: impl Iterator<Item = u32>,
        minutes: std::ops::Range<u32>,
        mut each: impl FnMut(u32, u32, u64),
    ) -> Outcome {
        for series in series {
            let (metric, labels) = &self.names[series as usize];
            let (start, end) = (time(minutes.start), time(minutes.end));
            self.storage
                .select_into(metric, labels, start, end, &mut self.points)?;
            for point in &self.points {
                let value = point.value_as_f64().ok_or("no number")?;
                each(series, (point.timestamp / 60) as u32, value as u64);
            }
        }
        Ok(())
    }
}

impl Peer for Tsink {
    fn commit(&mut self, deltas: &[Delta]) -> Outcome {
        let row = |delta: &Delta| {
            let (metric, labels) = &self.names[delta.series as usize];
            let point = DataPoint::new(time(delta.minute), delta.value as f64);
            Row::with_labels(metric.clone(), labels.clone(), point)
        };
        let rows: Vec<Row> = deltas.iter().map(row).collect();
        self.storage.insert_rows(&rows)?;
        Ok(())
    }

    /// Merged cells, a series a batch, and only those of its first releases.
    fn load(&mut self, place: &Place) -> Outcome<u64> {
        let mut reading = Reading::open(&place.cells)?;
        let (mut cells, mut rows) = (Vec::new(), 0);
        while reading.next(&mut cells)?
            && cells.first().is_some_and(|cell| cell.series < place.series)
        {
            rows += cells.len() as u64;
            self.commit(&cells)?;
        }
        Ok(rows)
    }

    fn close(self: Box<Self>) -> Outcome {
        self.storage.close()?;
        Ok(())
    }

    fn q1(&mut self) -> Outcome<Answer> {
        let mut answer = Answer::default();
        self.each(q1_series(), q1_minutes(), |series, minute, value| {
            answer.add(series, minute, value);
        })?;
        Ok(answer)
    }

    fn q2(&mut self) -> Outcome<Answer> {
        let all = self.names.len() as u32;
        let mut totals = vec![None; self.names.len()];
        let asked = (0..all).filter(|series| in_q2(*series));
        self.each(asked, 0..u32::MAX, |series, _, value| {
            *totals[series as usize].get_or_insert(0) += value;
        })?;
        let mut answer = Answer::default();
        for (series, total) in totals.into_iter().enumerate() {
            if let Some(total) = total {
                answer.add(series as u32, 0, total);
            }
        }
        Ok(answer)
    }

    fn q3(&mut self) -> Outcome<Answer> {
        let all = self.names.len() as u32;
        let mut answer = Answer::default();
        let asked = (0..all).filter(|series| in_q3(*series));
        self.each(asked, 0..u32::MAX, |_, _, value| answer.total(value))?;
        Ok(answer)
    }

    fn get(&mut self, series: u32, minute: u32) -> Outcome<Option<u64>> {
        let mut found = None;
        self.each(
            std::iter::once(series),
            minute..minute + 1,
            |_, _, value| {
                found = Some(value);
            },
        )?;
        Ok(found)
    }
}
