//! An embedded time-series store for the health of software releases and
//! experiments.
//!
//! A release goes out to millions of people, and whoever ships it has minutes
//! to notice that it is bad. This crate keeps the numbers that tell (crashes
//! and hours of use, by release, branch, metric and minute) inside the service
//! that receives them, and says from the first minute on whether to take the
//! release back. An experiment is a release with branches, so the same store,
//! key and questions serve both.
//!
//! # The model
//!
//! | | |
//! |---|---|
//! | [`Metric`] | what is counted: its [`Kind`] (counter, exact decimal sum or gauge), its [`Role`], which direction is [`Worse`], and what it is a rate of |
//! | [`Release`] | what is watched: a path such as `firefox/release/57.0`, when it went public, its branches and their planned shares |
//! | series | one (release, branch, metric), resolved once by [`Store::series`] |
//! | [`Minute`] | minutes since the Unix epoch, UTC, always the caller's: no clock is read |
//! | cell | one series at one minute. Absent is not zero |
//! | [`Batch`] | deltas to cells, applied all or not at all, and once for each source and offset it is stamped with |
//! | [`Snapshot`] | one state, unmoved by what is written meanwhile, from which everything is asked |
//!
//! Deltas of counters and sums are added, exactly, in 128 bits. So late, split
//! and reordered data give the same answer to the last bit; of a gauge the last
//! write counts.
//!
//! # From delta to verdict
//!
//! ```
//! use hotstove::health::Verdict;
//! use hotstove::{Batch, Every, Kind, Metric, Minute, Name, Options, Pattern, Store, Worse};
//!
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = directory.path().join("store");
//! let store = Store::open(&path, Options::new())?;
//!
//! // Crashes are watched as a rate of usage hours, and more is worse.
//! let mut crashes = Metric::new(Name::new("crashes")?, Kind::Counter);
//! crashes.per = Some(Name::new("usage_hours")?);
//! crashes.worse = Some(Worse::Higher);
//! store.define_metric(&crashes)?;
//! store.define_metric(&Metric::new(Name::new("usage_hours")?, Kind::Sum { decimals: 2 }))?;
//!
//! let release = "firefox/release/57.0";
//! let branches = [("control", 4), ("treatment", 8)];
//! let public: Minute = "2026-11-22T10:00Z".parse()?;
//! for minute in 0..360 {
//!     let at = Minute::new(public.get() + minute)?;
//!     let mut batch = Batch::new();
//!     for (branch, count) in branches {
//!         batch.add(store.series(release, branch, "crashes")?, at, count);
//!         // 1,000.00 hours, in hundredths.
//!         batch.add_units(store.series(release, branch, "usage_hours")?, at, 100_000);
//!     }
//!     batch.stamp(&Name::new("collector-1")?, minute.into());
//!     store.commit(batch)?;
//! }
//!
//! // A question of one's own: crashes per 1,000 hours, hour by hour.
//! let snapshot = store.snapshot();
//! let table = snapshot
//!     .query()
//!     .releases(&Pattern::new("firefox/*")?)
//!     .per("usage_hours")
//!     .every(Every::Minutes(60))
//!     .run()?;
//! assert_eq!(table.rows().count(), 12);
//! assert_eq!(table.rows().last().unwrap().value.to_f64(), 8.0);
//!
//! // The question the store is made for. Ask it every minute: it stays valid.
//! let report = snapshot.health(release, Minute::new(public.get() + 360)?).run()?;
//! assert_eq!(report.verdict, Verdict::Regressed);
//! store.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What holds
//!
//! - An acknowledged commit survives the death of the process, and with
//!   [`Durability::Sync`] that of the machine. A batch is whole or absent, to
//!   every reader and through any crash, and visible to the next snapshot.
//! - One writer, any number of readers, other processes included ([`Reader`]).
//!   Neither waits for the other.
//! - Every byte is checked before it is used. Damage is an [`Error`] of kind
//!   [`ErrorKind::Corruption`] that names file, offset and what is lost; [`repair`]
//!   saves the rest. No bytes and no arguments make anything here panic.
//! - Metrics of [`Role::Decision`] are held back until their window is whole;
//!   a reading before that is asked for by name and leaves a record
//!   ([`Override`]).
//!
//! What these rest on is in `docs/durability.md` and `docs/medium.md`, what was
//! tried to break them in `docs/testing.md`, the statistics in `docs/health.md`.
//!
//! # Features
//!
//! None by default. `cli` builds the command line `hotstove`, `serde` serializes
//! the health report.

#![cfg_attr(
    feature = "internals",
    expect(
        clippy::len_without_is_empty,
        reason = "the door makes public what has no use for it"
    )
)]

mod codec;
mod engine;
mod error;
mod format;
pub mod health;
pub mod limits;
mod model;
mod query;
mod storage;

pub use engine::backup::Backup;
pub use engine::batch::{Batch, Receipt, Series};
pub use engine::inspect::{FileReport, Inspection, SegmentReport};
pub use engine::open::Recovered;
pub use engine::options::{Durability, Options};
pub use engine::reader::Reader;
pub use engine::repair::{Repair, repair};
pub use engine::retention::Retained;
pub use engine::state::Snapshot;
pub use engine::store::Store;
pub use engine::verify::Verification;
pub use error::{Error, ErrorKind, Result};
pub use format::audit::Override;
pub use format::manifest::SourceState;
pub use model::{
    Branch, Catalogue, Decimal, Kind, Metric, Minute, Name, Pattern, Release, Role, Rounding,
    SeriesKey, Worse,
};
pub use query::{
    Aggregate, Axis, Cells, Every, Group, GroupBy, Held, Query, Row, StoredSeries, Table, Value,
    Values,
};
pub use storage::damage::Damage;

/// The door for benches, fuzz targets and white-box tests. Nothing behind it is
/// covered by semver.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    use std::sync::Arc;

    use crate::{Options, Reader, Result, Store};

    /// Columns to bytes and back.
    pub mod codec {
        pub use crate::codec::*;
    }
    /// On-disk structures.
    pub mod format {
        pub use crate::format::*;
    }
    /// Files.
    pub mod storage {
        pub use crate::storage::*;
    }

    /// Opens a store for writing on any disk.
    pub fn open_store(disk: Arc<dyn storage::disk::Disk>, options: Options) -> Result<Store> {
        Store::open_on(disk, options)
    }

    /// Repairs a store on any disk.
    pub fn repair(disk: &dyn storage::disk::Disk) -> Result<crate::Repair> {
        crate::engine::repair::repair_on(disk)
    }

    /// Opens a store for reading on any disk.
    pub fn open_reader(disk: Arc<dyn storage::disk::Disk>) -> Result<Reader> {
        Reader::open_on(disk)
    }
}

/// The README's example, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
