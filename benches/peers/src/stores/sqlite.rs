//! SQLite: a table without row ids, upserts that add, write-ahead log.

use rusqlite::{Connection, OptionalExtension};

use super::{Durability, Peer, Place};
use crate::Outcome;
use crate::question::{Answer, GAUGE, in_q2, q1_minutes, q1_series};
use crate::w1::METRICS;
use crate::workload::{Delta, Reading};

pub struct Sqlite {
    connection: Connection,
    series: u32,
}

impl Sqlite {
    /// Synced: `synchronous=FULL`, each commit syncs the log. Unsynced:
    /// `NORMAL`, which syncs at checkpoints. A load: `OFF`.
    pub fn open(place: &Place, durability: Durability) -> Outcome<Self> {
        let connection = Connection::open(place.file("cells.sqlite"))?;
        let synchronous = match durability {
            Durability::Synced => "FULL",
            Durability::Unsynced => "NORMAL",
            Durability::Bulk => "OFF",
        };
        // The default cache of 2 MB would be unfair.
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};
             PRAGMA cache_size = -65536; PRAGMA mmap_size = 2147483648;
             CREATE TABLE IF NOT EXISTS cells (series INTEGER, minute INTEGER, value INTEGER,
                 PRIMARY KEY (series, minute)) WITHOUT ROWID"
        ))?;
        Ok(Sqlite {
            connection,
            series: place.series,
        })
    }
}

impl Peer for Sqlite {
    fn commit(&mut self, deltas: &[Delta]) -> Outcome {
        let transaction = self.connection.transaction()?;
        let mut upsert = transaction.prepare_cached(
            "INSERT INTO cells VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET value = value + excluded.value",
        )?;
        for delta in deltas {
            upsert.execute((delta.series, delta.minute, delta.value as i64))?;
        }
        drop(upsert);
        transaction.commit()?;
        Ok(())
    }

    /// Cells merged and sorted beforehand, in one transaction.
    fn load(&mut self, place: &Place) -> Outcome<u64> {
        let mut reading = Reading::open(&place.cells)?;
        let (mut cells, mut rows) = (Vec::new(), 0);
        let transaction = self.connection.transaction()?;
        let mut insert = transaction.prepare("INSERT INTO cells VALUES (?1, ?2, ?3)")?;
        while reading.next(&mut cells)? {
            for cell in &cells {
                insert.execute((cell.series, cell.minute, cell.value as i64))?;
            }
            rows += cells.len() as u64;
        }
        drop(insert);
        transaction.commit()?;
        Ok(rows)
    }

    fn close(self: Box<Self>) -> Outcome {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
        self.connection.close().map_err(|(_, error)| error.into())
    }

    fn q1(&mut self) -> Outcome<Answer> {
        let mut statement = self.connection.prepare_cached(
            "SELECT minute, value FROM cells WHERE series = ?1 AND minute >= ?2 AND minute < ?3",
        )?;
        let mut answer = Answer::default();
        for series in q1_series() {
            let mut rows = statement.query((series, q1_minutes().start, q1_minutes().end))?;
            while let Some(row) = rows.next()? {
                answer.add(series, row.get(0)?, row.get::<_, i64>(1)? as u64);
            }
        }
        Ok(answer)
    }

    fn q2(&mut self) -> Outcome<Answer> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT sum(value) FROM cells WHERE series = ?1")?;
        let mut answer = Answer::default();
        for series in (0..self.series).filter(|series| in_q2(*series)) {
            let total: Option<i64> = statement.query_row((series,), |row| row.get(0))?;
            if let Some(total) = total {
                answer.add(series, 0, total as u64);
            }
        }
        Ok(answer)
    }

    fn q3(&mut self) -> Outcome<Answer> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT sum(value) FROM cells WHERE series % ?1 <> ?2")?;
        let total: Option<i64> = statement.query_row((METRICS, GAUGE), |row| row.get(0))?;
        let mut answer = Answer::default();
        answer.total(total.unwrap_or(0) as u64);
        Ok(answer)
    }

    fn get(&mut self, series: u32, minute: u32) -> Outcome<Option<u64>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM cells WHERE series = ?1 AND minute = ?2")?;
        let value: Option<i64> = statement
            .query_row((series, minute), |row| row.get(0))
            .optional()?;
        Ok(value.map(|value| value as u64))
    }
}
