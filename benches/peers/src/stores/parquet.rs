//! A Parquet file, zstd, merged and sorted, asked by DuckDB.

use super::duckdb::{Asking, MERGED, append_all, create};
use super::{Peer, Place};
use crate::Outcome;
use crate::duckdb_api::Duckdb as Api;
use crate::question::Answer;
use crate::workload::Delta;

pub struct Parquet {
    api: Api,
    asking: Asking,
}

impl Parquet {
    pub fn open(place: &Place) -> Outcome<Self> {
        let library = place.duckdb.as_ref().ok_or("no DuckDB library")?;
        let file = super::quoted(&place.file("cells.parquet"));
        Ok(Parquet {
            api: Api::open(library, None)?,
            asking: Asking::new(format!("read_parquet({file})"), true),
        })
    }
}

impl Peer for Parquet {
    fn commit(&mut self, _: &[Delta]) -> Outcome {
        Err("a file of Parquet is written once".into())
    }

    fn load(&mut self, place: &Place) -> Outcome<u64> {
        let library = place.duckdb.as_ref().ok_or("no DuckDB library")?;
        let aside = place.file("aside.duckdb");
        let api = Api::open(library, Some(&aside))?;
        create(&api)?;
        let rows = append_all(&api, place)?;
        api.run(&format!(
            "COPY ({MERGED}) TO {} (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2)",
            super::quoted(&place.file("cells.parquet"))
        ))?;
        drop(api);
        std::fs::remove_file(aside)?;
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
