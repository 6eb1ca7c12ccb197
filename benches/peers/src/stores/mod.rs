//! The contenders behind one trait, a file each.

mod duckdb;
mod fjall;
mod hotstove;
mod parquet;
mod redb;
mod sqlite;
mod tsink;

use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::question::Answer;
use crate::workload::Delta;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    Hotstove,
    HotstoveFresh,
    Sqlite,
    Redb,
    Fjall,
    Tsink,
    DuckdbUpsert,
    DuckdbArrived,
    DuckdbSorted,
    Parquet,
}

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it survives a power cut.
    Synced,
    /// Once it survives the death of the process, or as near as the store comes.
    Unsynced,
    /// Whatever is fastest for a load that is begun anew if it fails.
    Bulk,
}

/// Releases of W1 that tsink is loaded with: it is too slow for all of them.
const TSINK_RELEASES: u32 = 4;

impl Contender {
    pub const ALL: [Contender; 10] = [
        Contender::Hotstove,
        Contender::HotstoveFresh,
        Contender::Sqlite,
        Contender::Redb,
        Contender::Fjall,
        Contender::Tsink,
        Contender::DuckdbUpsert,
        Contender::DuckdbArrived,
        Contender::DuckdbSorted,
        Contender::Parquet,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Hotstove => "hotstove",
            Contender::HotstoveFresh => "hotstove-fresh",
            Contender::Sqlite => "sqlite",
            Contender::Redb => "redb",
            Contender::Fjall => "fjall",
            Contender::Tsink => "tsink",
            Contender::DuckdbUpsert => "duckdb-upsert",
            Contender::DuckdbArrived => "duckdb-arrived",
            Contender::DuckdbSorted => "duckdb-sorted",
            Contender::Parquet => "parquet",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|contender| contender.name() == name)
    }

    /// Its name in a table.
    pub fn title(self) -> &'static str {
        match self {
            Contender::Hotstove => "**hotstove**, compacted",
            Contender::HotstoveFresh => "**hotstove**, fresh",
            Contender::Sqlite => "SQLite",
            Contender::Redb => "redb 4",
            Contender::Fjall => "fjall 3",
            Contender::Tsink => "tsink 0.10 (cannot add)",
            Contender::DuckdbUpsert => "DuckDB, adding by upsert",
            Contender::DuckdbArrived => "DuckDB, appending, summed at query",
            Contender::DuckdbSorted => "DuckDB, rewritten merged and sorted",
            Contender::Parquet => "DuckDB over Parquet + zstd",
        }
    }

    pub fn is_hotstove(self) -> bool {
        [Contender::Hotstove, Contender::HotstoveFresh].contains(&self)
    }

    pub fn needs_duckdb(self) -> bool {
        self >= Contender::DuckdbUpsert
    }

    /// Whether it commits minute by minute, synced.
    pub fn ingests(self) -> bool {
        self <= Contender::DuckdbArrived && self != Contender::HotstoveFresh
    }

    /// Whether the whole of W1 is loaded into it, then queried.
    pub fn loads(self) -> bool {
        self != Contender::DuckdbUpsert
    }

    /// Whether it is killed and has to recover.
    pub fn is_killed(self) -> bool {
        self.loads() && self <= Contender::DuckdbArrived && self != Contender::HotstoveFresh
    }

    /// Whether two deltas of a cell add up in it.
    pub fn adds(self) -> bool {
        self != Contender::Tsink
    }

    /// How many series of W1 it is loaded with.
    pub fn series(self, all: u32) -> u32 {
        match self {
            Contender::Tsink => all.min(TSINK_RELEASES * 50),
            _ => all,
        }
    }

    /// Opens or creates its store in a directory of its own.
    pub fn open(self, place: &Place, durability: Durability) -> Outcome<Box<dyn Peer>> {
        std::fs::create_dir_all(&place.directory)?;
        let duckdb = |form| duckdb::Duckdb::open(place, form, durability);
        Ok(match self {
            Contender::Hotstove => Box::new(hotstove::Hotstove::open(place, durability, true)?),
            Contender::HotstoveFresh => {
                Box::new(hotstove::Hotstove::open(place, durability, false)?)
            }
            Contender::Sqlite => Box::new(sqlite::Sqlite::open(place, durability)?),
            Contender::Redb => Box::new(redb::Redb::open(place, durability)?),
            Contender::Fjall => Box::new(fjall::Fjall::open(place, durability)?),
            Contender::Tsink => Box::new(tsink::Tsink::open(place, durability)?),
            Contender::DuckdbUpsert => Box::new(duckdb(duckdb::Form::Upsert)?),
            Contender::DuckdbArrived => Box::new(duckdb(duckdb::Form::Arrived)?),
            Contender::DuckdbSorted => Box::new(duckdb(duckdb::Form::Sorted)?),
            Contender::Parquet => Box::new(parquet::Parquet::open(place)?),
        })
    }
}

/// Where a contender lives, and what it is fed from.
pub struct Place {
    pub directory: PathBuf,
    /// W1's deltas in arrival order, a minute a group.
    pub deltas: PathBuf,
    /// W1's cells, merged and sorted, a series a group.
    pub cells: PathBuf,
    /// Series it is loaded with.
    pub series: u32,
    /// The prebuilt DuckDB library.
    pub duckdb: Option<PathBuf>,
}

impl Place {
    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// A store that is measured.
pub trait Peer {
    /// Commits a minute in one transaction, each delta added to its cell.
    fn commit(&mut self, deltas: &[Delta]) -> Outcome;

    /// Loads W1 in the way that is fastest for it; how many rows it was given.
    fn load(&mut self, place: &Place) -> Outcome<u64>;

    /// Finishes what goes on in the background, and closes.
    fn close(self: Box<Self>) -> Outcome;

    /// Ten series, a day of minutes.
    fn q1(&mut self) -> Outcome<Answer>;

    /// Totals of two metrics by release and branch.
    fn q2(&mut self) -> Outcome<Answer>;

    /// The sum of every cell that is no gauge.
    fn q3(&mut self) -> Outcome<Answer>;

    /// The same without aggregates kept beside the data, if it has such.
    fn q3_decoding(&mut self) -> Option<Outcome<Answer>> {
        None
    }

    /// One cell.
    fn get(&mut self, series: u32, minute: u32) -> Outcome<Option<u64>>;
}

/// A key of 8 bytes that sorts by series, then minute.
fn key(series: u32, minute: u32) -> u64 {
    u64::from(series) << 32 | u64::from(minute)
}

/// Both halves of a key.
fn unkey(key: u64) -> (u32, u32) {
    ((key >> 32) as u32, key as u32)
}

/// Makes sure a path can stand inside quotes of SQL.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "''"))
}
