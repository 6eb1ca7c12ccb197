//! Hotstove beside other stores: the same workload, the same durability, the
//! same answers, in one go. How to run it is in docs/benchmarks.md.
//!
//! The parent generates W1, runs every store in processes of their own, one
//! after another, so that their memory is their own, compares their answers
//! with those it worked out itself, and prints the tables.

mod arguments;
mod child;
mod duckdb_api;
mod measure;
mod orchestra;
mod question;
mod report;
mod stores;
mod truth;
mod workload;

/// The benches' own generator, shared by its path.
#[path = "../../w1/mod.rs"]
mod w1;

/// What went wrong, in words: this is a bench, and its user reads them.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let arguments = arguments::Arguments::parse()?;
    match &arguments.child {
        Some(_) => child::run(&arguments),
        None => orchestra::run(&arguments),
    }
}
