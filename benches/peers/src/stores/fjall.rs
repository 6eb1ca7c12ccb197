//! fjall: a keyspace of 8-byte keys and values, read, added to, written.

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Durability, Peer, Place, key, unkey};
use crate::Outcome;
use crate::question::{Answer, in_q2, in_q3, q1_minutes, q1_series};
use crate::workload::{Delta, Reading};

pub struct Fjall {
    database: Database,
    cells: Keyspace,
    durability: Durability,
    series: u32,
}

fn number(bytes: &[u8]) -> Outcome<u64> {
    Ok(u64::from_be_bytes(bytes.try_into()?))
}

impl Fjall {
    /// Synced: each batch with `PersistMode::SyncAll`. Unsynced:
    /// `PersistMode::Buffer`.
    pub fn open(place: &Place, durability: Durability) -> Outcome<Self> {
        let database = Database::builder(place.file("cells.fjall")).open()?;
        let cells = database.keyspace("cells", KeyspaceCreateOptions::default)?;
        Ok(Fjall {
            database,
            cells,
            durability,
            series: place.series,
        })
    }

    fn each(
        &self,
        series: impl Iterator<Item = u32>,
        minutes: std::ops::Range<u32>,
        mut each: impl FnMut(u32, u32, u64),
    ) -> Outcome {
        for series in series {
            let first = key(series, minutes.start).to_be_bytes();
            let last = key(series, minutes.end).to_be_bytes();
            for row in self.cells.range(first..last) {
                let (key, value) = row.into_inner()?;
                each(series, unkey(number(&key)?).1, number(&value)?);
            }
        }
        Ok(())
    }
}

impl Peer for Fjall {
    fn commit(&mut self, deltas: &[Delta]) -> Outcome {
        let mode = match self.durability {
            Durability::Synced => PersistMode::SyncAll,
            _ => PersistMode::Buffer,
        };
        let mut batch = self.database.batch().durability(Some(mode));
        for delta in deltas {
            let key = key(delta.series, delta.minute).to_be_bytes();
            let old = match self.cells.get(key)? {
                Some(value) => number(&value)?,
                None => 0,
            };
            batch.insert(&self.cells, key, (old + delta.value).to_be_bytes());
        }
        batch.commit()?;
        Ok(())
    }

    /// Cells merged and sorted beforehand, by its bulk ingestion.
    fn load(&mut self, place: &Place) -> Outcome<u64> {
        let mut reading = Reading::open(&place.cells)?;
        let (mut cells, mut rows) = (Vec::new(), 0);
        let mut ingestion = self.cells.start_ingestion()?;
        while reading.next(&mut cells)? {
            for cell in &cells {
                let key = key(cell.series, cell.minute).to_be_bytes();
                ingestion.write(key, cell.value.to_be_bytes())?;
            }
            rows += cells.len() as u64;
        }
        ingestion.finish()?;
        self.cells.major_compact()?;
        Ok(rows)
    }

    fn close(self: Box<Self>) -> Outcome {
        self.database.persist(PersistMode::SyncAll)?;
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
        let mut totals = vec![None; self.series as usize];
        let asked = (0..self.series).filter(|series| in_q2(*series));
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
        let mut total = 0;
        for row in self.cells.iter() {
            let (key, value) = row.into_inner()?;
            if in_q3(unkey(number(&key)?).0) {
                total += number(&value)?;
            }
        }
        let mut answer = Answer::default();
        answer.total(total);
        Ok(answer)
    }

    fn get(&mut self, series: u32, minute: u32) -> Outcome<Option<u64>> {
        let value = self.cells.get(key(series, minute).to_be_bytes())?;
        value.map(|value| number(&value)).transpose()
    }
}
