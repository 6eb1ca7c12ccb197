//! The command line: no more than names and values.

use std::path::PathBuf;

use crate::Outcome;
use crate::stores::Contender;

/// What is to be run.
pub struct Arguments {
    /// Scale of W1.
    pub scale: f64,
    /// Which phases, in order.
    pub phases: Vec<String>,
    /// Which contenders.
    pub contenders: Vec<Contender>,
    /// Rounds of what is repeated; medians are shown.
    pub rounds: usize,
    /// Where stores, deltas and results are kept until the last phase is done.
    pub work: PathBuf,
    /// A prebuilt DuckDB library.
    pub duckdb: Option<PathBuf>,
    /// In a child: what it does. The first of `contenders` is its store.
    pub child: Option<String>,
    /// In a child: where its store is.
    pub directory: PathBuf,
}

pub const PHASES: [&str; 6] = ["prepare", "ingest", "bulk", "query", "kill", "table"];

const USAGE: &str = "\
peers [--scale 1] [--rounds 3] [--phases prepare,ingest,bulk,query,kill,table]
      [--stores hotstove,sqlite,…] [--work DIR] [--duckdb LIBRARY]

--work    keeps everything between calls that run a phase each (default target/peers)
--duckdb  libduckdb.so, or the extension module of DuckDB's Python package (then
          with LIBPYTHON=/path/to/libpython3.x.so); without it DuckDB is left out";

impl Arguments {
    pub fn parse() -> Outcome<Self> {
        let mut own = Arguments {
            scale: 1.0,
            phases: PHASES.map(str::to_owned).to_vec(),
            contenders: Contender::ALL.to_vec(),
            rounds: 3,
            work: PathBuf::from("target/peers"),
            duckdb: std::env::var_os("DUCKDB_LIBRARY").map(PathBuf::from),
            child: None,
            directory: PathBuf::new(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(USAGE);
            match word.as_str() {
                "--scale" => own.scale = value()?.parse()?,
                "--rounds" => own.rounds = value()?.parse()?,
                "--phases" => own.phases = value()?.split(',').map(str::to_owned).collect(),
                "--stores" => {
                    let names = value()?;
                    let found = names.split(',').map(Contender::named);
                    own.contenders = found.collect::<Option<_>>().ok_or(USAGE)?;
                }
                "--work" => own.work = PathBuf::from(value()?),
                "--duckdb" => own.duckdb = Some(PathBuf::from(value()?)),
                "--directory" => own.directory = PathBuf::from(value()?),
                "--child" => own.child = Some(value()?),
                _ => return Err(USAGE.into()),
            }
        }
        if own
            .phases
            .iter()
            .any(|phase| !PHASES.contains(&phase.as_str()))
        {
            return Err(USAGE.into());
        }
        if own.duckdb.is_none() {
            own.contenders.retain(|contender| !contender.needs_duckdb());
        }
        own.work = std::path::absolute(&own.work)?;
        Ok(own)
    }
}

impl Arguments {
    /// Series that the first contender is loaded with, or all if there are more.
    pub fn series(&self) -> u32 {
        let all = crate::w1::W1::new(0, self.scale).series();
        match (self.child.as_deref(), self.contenders.first()) {
            (Some("load" | "query" | "kill" | "recover"), Some(own)) => own.series(all),
            _ => all,
        }
    }
}
