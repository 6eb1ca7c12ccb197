//! An embedded time-series store for the health of software releases and experiments.

mod codec;
mod engine;
mod error;
mod format;
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
    Branch, Catalogue, Decimal, Kind, Metric, Minute, Name, Pattern, Release, Role, Rounding, SeriesKey,
    Worse,
};
pub use query::{
    Aggregate, Axis, Cells, Every, Group, GroupBy, Held, Query, Row, StoredSeries, Table, Value,
    Values,
};
pub use storage::damage::Damage;
