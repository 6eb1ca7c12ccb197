//! Merging segments of one time bucket. What to merge is chosen by a pure
//! function, apart from the doing.

pub mod choose;
mod names;
pub mod run;
