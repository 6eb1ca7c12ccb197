//! Reading: from what is asked, over what can be left unread, to a table.

mod accumulate;
mod ahead;
pub(crate) mod beside;
mod column;
mod days;
mod execute;
mod fold;
mod gather;
mod held;
mod name_cache;
mod names;
mod output;
mod overlay;
mod plan;
mod point;
mod rates;
mod request;
mod result;
mod scan;
mod series;
mod source;
mod sum_day;
#[cfg(test)]
mod tests;

pub(crate) use column::Units;
pub(crate) use days::{DayBuffers, DayMinutes, DayUnits, Days};
pub use point::{Cells, StoredSeries};
pub use request::{Aggregate, Every, GroupBy, Query};
pub use result::{Axis, Group, Held, Row, Table, Value, Values};
