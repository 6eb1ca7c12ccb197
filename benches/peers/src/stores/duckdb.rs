//! DuckDB in three forms: a table with a key whose upserts add; deltas as they
//! arrive, summed by every question; and those rewritten, merged and sorted.

use super::{Durability, Peer, Place};
use crate::Outcome;
use crate::duckdb_api::{BIGINT, Chunk, Duckdb as Api, INTEGER, Prepared, UTINYINT};
use crate::question::{Answer, q1_minutes};
use crate::w1::{BRANCHES, METRICS};
use crate::workload::{Delta, Reading};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Upsert,
    Arrived,
    Sorted,
}

const COLUMNS: &str =
    "release UTINYINT, branch UTINYINT, metric UTINYINT, minute INTEGER, value BIGINT";

pub struct Duckdb {
    api: Api,
    form: Form,
    asking: Asking,
}

impl Duckdb {
    /// Synced: a commit syncs DuckDB's log, as it does unless told not to.
    /// Unsynced: `fsync_mode = NONE`.
    pub fn open(place: &Place, form: Form, durability: Durability) -> Outcome<Self> {
        let library = place.duckdb.as_ref().ok_or("no DuckDB library")?;
        let api = Api::open(library, Some(&place.file("cells.duckdb")))?;
        if durability == Durability::Unsynced {
            api.run("SET fsync_mode = 'NONE'")?;
        }
        match form {
            Form::Upsert => api.run(&format!(
                "CREATE TABLE IF NOT EXISTS cells ({COLUMNS}, PRIMARY KEY (release, branch, metric, minute));
                 CREATE TEMP TABLE arriving ({COLUMNS})"
            ))?,
            _ => api.run(&format!("CREATE TABLE IF NOT EXISTS cells ({COLUMNS})"))?,
        }
        let asking = Asking::new("cells".to_owned(), form != Form::Arrived);
        Ok(Duckdb { api, form, asking })
    }
}

/// Appends deltas to a table of [`COLUMNS`].
fn append(api: &Api, table: &str, deltas: &[Delta]) -> Outcome {
    let types = [UTINYINT, UTINYINT, UTINYINT, INTEGER, BIGINT];
    api.append(table, &types, deltas.len(), |columns, rows| {
        let rows = &deltas[rows];
        // SAFETY: the types are those above, and DuckDB asked for these rows.
        unsafe {
            columns.write(
                0,
                rows.iter()
                    .map(|delta| (delta.series / (BRANCHES * METRICS)) as u8),
            );
            columns.write(
                1,
                rows.iter()
                    .map(|delta| (delta.series / METRICS % BRANCHES) as u8),
            );
            columns.write(2, rows.iter().map(|delta| (delta.series % METRICS) as u8));
            columns.write(3, rows.iter().map(|delta| delta.minute as i32));
            columns.write(4, rows.iter().map(|delta| delta.value as i64));
        }
    })
}

/// All of W1 in arrival order, in transactions of about 100,000 deltas.
pub fn append_all(api: &Api, place: &Place) -> Outcome<u64> {
    let mut reading = Reading::open(&place.deltas)?;
    let (mut minute, mut deltas, mut rows) = (Vec::new(), Vec::new(), 0);
    loop {
        let more = reading.next(&mut minute)?;
        deltas.append(&mut minute);
        if deltas.len() > 100_000 || !more {
            rows += deltas.len() as u64;
            append(api, "cells", &deltas)?;
            deltas.clear();
        }
        if !more {
            return Ok(rows);
        }
    }
}

/// Creates a table of [`COLUMNS`] for [`append_all`].
pub fn create(api: &Api) -> Outcome {
    api.run(&format!("CREATE TABLE cells ({COLUMNS})"))
}

/// Cells, merged and sorted, of a table of deltas.
pub const MERGED: &str =
    "SELECT release, branch, metric, minute, sum(value)::BIGINT AS value FROM cells
    GROUP BY ALL ORDER BY release, branch, metric, minute";

impl Peer for Duckdb {
    fn commit(&mut self, deltas: &[Delta]) -> Outcome {
        if self.form != Form::Upsert {
            return append(&self.api, "cells", deltas);
        }
        // The staging table is temporary: only the upsert is logged.
        append(&self.api, "arriving", deltas)?;
        self.api.run(
            "INSERT INTO cells SELECT * FROM arriving
             ON CONFLICT DO UPDATE SET value = value + excluded.value",
        )?;
        self.api.run("TRUNCATE arriving")
    }

    fn load(&mut self, place: &Place) -> Outcome<u64> {
        println!("version {}", self.api.version());
        let rows = append_all(&self.api, place)?;
        if self.form == Form::Sorted {
            // A file of its own: space of dropped tables stays in the old one.
            let (own, aside) = (place.file("cells.duckdb"), place.file("sorted.duckdb"));
            self.api.run(&format!(
                "ATTACH {} AS aside; CREATE TABLE aside.cells AS {MERGED}; CHECKPOINT aside; DETACH aside",
                super::quoted(&aside)
            ))?;
            let library = place.duckdb.as_ref().ok_or("no DuckDB library")?;
            self.api = Api::open(library, None)?;
            std::fs::rename(aside, own)?;
        } else {
            self.api.run("CHECKPOINT")?;
        }
        Ok(rows)
    }

    fn close(self: Box<Self>) -> Outcome {
        Ok(())
    }

    fn q1(&mut self) -> Outcome<Answer> {
        self.asking.q1(&self.api)
    }

    fn q2(&mut self) -> Outcome<Answer> {
        self.asking.q2(&self.api)
    }

    fn q3(&mut self) -> Outcome<Answer> {
        self.asking.q3(&self.api)
    }

    fn get(&mut self, series: u32, minute: u32) -> Outcome<Option<u64>> {
        self.asking.get(&self.api, series, minute)
    }
}

/// The questions in SQL, of a table or of what stands for one.
pub struct Asking {
    table: String,
    /// Whether each cell is one row: else its deltas are added up.
    merged: bool,
    prepared: Option<[Prepared; 2]>,
}

impl Asking {
    pub fn new(table: String, merged: bool) -> Self {
        Asking {
            table,
            merged,
            prepared: None,
        }
    }

    fn prepared(&mut self, api: &Api) -> Outcome<&[Prepared; 2]> {
        if self.prepared.is_none() {
            let table = &self.table;
            let (value, group) = match self.merged {
                true => ("value", ""),
                false => ("sum(value)::BIGINT", "GROUP BY ALL"),
            };
            self.prepared = Some([
                api.prepare(&format!(
                    "SELECT branch, metric, minute, {value} FROM {table} WHERE release = 0
                     AND metric IN (0, 7) AND minute >= $1 AND minute < $2 {group}"
                ))?,
                api.prepare(&format!(
                    "SELECT minute, {value} FROM {table} WHERE release = $1 AND branch = $2
                     AND metric = $3 AND minute = $4 {group}"
                ))?,
            ]);
        }
        self.prepared.as_ref().ok_or_else(|| "no statements".into())
    }

    pub fn q1(&mut self, api: &Api) -> Outcome<Answer> {
        let mut answer = Answer::default();
        let minutes = [q1_minutes().start, q1_minutes().end];
        api.ask_prepared(&self.prepared(api)?[0], &minutes, |chunk| {
            // SAFETY: the types are those of the columns asked for.
            let (branches, metrics, minutes, values) = unsafe {
                (
                    chunk.column::<u8>(0),
                    chunk.column::<u8>(1),
                    chunk.column::<i32>(2),
                    chunk.column::<i64>(3),
                )
            };
            for (row, value) in values.iter().enumerate() {
                let series = u32::from(branches[row]) * METRICS + u32::from(metrics[row]);
                answer.add(series, minutes[row] as u32, *value as u64);
            }
            Ok(())
        })?;
        Ok(answer)
    }

    pub fn q2(&mut self, api: &Api) -> Outcome<Answer> {
        let mut answer = Answer::default();
        let sql = format!(
            "SELECT release, branch, metric, sum(value)::BIGINT FROM {}
             WHERE metric IN (0, 7) GROUP BY ALL",
            self.table
        );
        api.ask(&sql, |chunk| {
            // SAFETY: the types are those of the columns asked for.
            let (releases, branches, metrics, totals) = unsafe {
                (
                    chunk.column::<u8>(0),
                    chunk.column::<u8>(1),
                    chunk.column::<u8>(2),
                    chunk.column::<i64>(3),
                )
            };
            for (row, total) in totals.iter().enumerate() {
                let branch = u32::from(releases[row]) * BRANCHES + u32::from(branches[row]);
                let series = branch * METRICS + u32::from(metrics[row]);
                answer.add(series, 0, *total as u64);
            }
            Ok(())
        })?;
        Ok(answer)
    }

    pub fn q3(&mut self, api: &Api) -> Outcome<Answer> {
        let mut answer = Answer::default();
        let sql = format!(
            "SELECT sum(value)::BIGINT FROM {} WHERE metric <> 9",
            self.table
        );
        api.ask(&sql, |chunk: &Chunk<'_>| {
            // SAFETY: the type is that of the column asked for.
            let totals = unsafe { chunk.column::<i64>(0) };
            totals.iter().for_each(|total| answer.total(*total as u64));
            Ok(())
        })?;
        Ok(answer)
    }

    pub fn get(&mut self, api: &Api, series: u32, minute: u32) -> Outcome<Option<u64>> {
        let place = [
            series / (BRANCHES * METRICS),
            series / METRICS % BRANCHES,
            series % METRICS,
            minute,
        ];
        let mut found = None;
        api.ask_prepared(&self.prepared(api)?[1], &place, |chunk| {
            // SAFETY: the type is that of the column asked for.
            let values = unsafe { chunk.column::<i64>(1) };
            found = values.first().map(|value| *value as u64);
            Ok(())
        })?;
        Ok(found)
    }
}
