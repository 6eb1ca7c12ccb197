//! An embedded time-series store for the health of software releases and experiments.

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
