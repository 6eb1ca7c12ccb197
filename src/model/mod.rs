//! Plain values: no bytes, no files, no clocks.

mod catalogue;
mod decimal;
mod metric;
mod minute;
mod name;
mod pattern;
mod release;
mod series;

pub use catalogue::Catalogue;
pub(crate) use decimal::POWERS;
pub use decimal::{Decimal, Rounding};
pub use metric::{Kind, Metric, Role, Worse};
pub use minute::Minute;
pub use name::Name;
pub use pattern::Pattern;
pub use release::{Branch, Release};
pub use series::SeriesKey;
