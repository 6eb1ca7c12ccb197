//! An embedded time-series store for the health of software releases and experiments.

mod codec;
mod error;
pub mod health;
pub mod limits;
mod model;
mod storage;

pub use error::{Error, ErrorKind, Result};
pub use model::{
    Branch, Catalogue, Decimal, Kind, Metric, Minute, Name, Release, Role, Rounding, SeriesKey,
    Worse,
};
