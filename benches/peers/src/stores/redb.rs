//! redb: a table of 8-byte keys and values, read, added to, written.

use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Durability, Peer, Place, key, unkey};
use crate::Outcome;
use crate::question::{Answer, in_q2, in_q3, q1_minutes, q1_series};
use crate::workload::{Delta, Reading};

const CELLS: TableDefinition<'_, u64, u64> = TableDefinition::new("cells");

pub struct Redb {
    database: Database,
    durability: Durability,
    series: u32,
    /// What questions are asked of: one snapshot.
    reading: Option<ReadOnlyTable<u64, u64>>,
}

impl Redb {
    /// Synced: `Durability::Immediate`. Unsynced, and all but the last
    /// transaction of a load: `Durability::None`, which a kill loses.
    pub fn open(place: &Place, durability: Durability) -> Outcome<Self> {
        Ok(Redb {
            database: Database::create(place.file("cells.redb"))?,
            durability,
            series: place.series,
            reading: None,
        })
    }

    fn table(&mut self) -> Outcome<&ReadOnlyTable<u64, u64>> {
        if self.reading.is_none() {
            self.reading = Some(self.database.begin_read()?.open_table(CELLS)?);
        }
        self.reading.as_ref().ok_or_else(|| "no snapshot".into())
    }

    fn write(&self, deltas: &[Delta], durability: redb::Durability, adds: bool) -> Outcome {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        let mut table = transaction.open_table(CELLS)?;
        for delta in deltas {
            let key = key(delta.series, delta.minute);
            let old = match adds {
                true => table.get(key)?.map_or(0, |value| value.value()),
                false => 0,
            };
            table.insert(key, old + delta.value)?;
        }
        drop(table);
        transaction.commit()?;
        Ok(())
    }

    /// Every cell of a series in these minutes.
    fn each(
        &mut self,
        series: impl Iterator<Item = u32>,
        minutes: std::ops::Range<u32>,
        mut each: impl FnMut(u32, u32, u64),
    ) -> Outcome {
        let table = self.table()?;
        for series in series {
            for row in table.range(key(series, minutes.start)..key(series, minutes.end))? {
                let (key, value) = row?;
                each(series, unkey(key.value()).1, value.value());
            }
        }
        Ok(())
    }
}

impl Peer for Redb {
    fn commit(&mut self, deltas: &[Delta]) -> Outcome {
        let durability = match self.durability {
            Durability::Synced => redb::Durability::Immediate,
            _ => redb::Durability::None,
        };
        self.write(deltas, durability, true)
    }

    /// Cells merged and sorted beforehand, a transaction a series.
    fn load(&mut self, place: &Place) -> Outcome<u64> {
        let mut reading = Reading::open(&place.cells)?;
        let (mut cells, mut rows) = (Vec::new(), 0);
        while reading.next(&mut cells)? {
            self.write(&cells, redb::Durability::None, false)?;
            rows += cells.len() as u64;
        }
        self.write(&[], redb::Durability::Immediate, false)?;
        self.database.compact()?;
        Ok(rows)
    }

    fn close(self: Box<Self>) -> Outcome {
        if self.durability == Durability::Unsynced {
            self.write(&[], redb::Durability::Immediate, false)?;
        }
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
        for row in self.table()?.iter()? {
            let (key, value) = row?;
            if in_q3(unkey(key.value()).0) {
                total += value.value();
            }
        }
        let mut answer = Answer::default();
        answer.total(total);
        Ok(answer)
    }

    fn get(&mut self, series: u32, minute: u32) -> Outcome<Option<u64>> {
        let value = self.table()?.get(key(series, minute))?;
        Ok(value.map(|value| value.value()))
    }
}
