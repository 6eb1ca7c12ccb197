//! The engine: how writes become durable and visible, and how files are made,
//! merged, dropped, checked and mended.

pub mod answers;
pub mod arrivals;
pub mod audit;
pub mod backup;
pub mod batch;
pub mod budget;
pub mod commit;
pub mod compaction;
pub mod core;
pub mod flush;
pub mod group;
pub mod group_merge;
pub mod inspect;
pub mod members;
pub mod memtable;
pub mod merge;
pub mod name_table;
pub mod open;
pub mod options;
pub mod order;
pub mod published;
pub mod reader;
pub mod rebuild;
pub mod recovery;
pub mod repair;
pub mod replay;
pub mod retention;
pub mod room;
pub mod series;
pub mod series_cells;
pub mod slots;
pub mod state;
pub mod store;
pub mod tight;
pub mod verify;
pub mod window;
pub mod worker;

#[cfg(test)]
mod tests;
