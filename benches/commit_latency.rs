//! How long does a commit take while flushes and compactions run beside it?
//! W1 as fast as it goes, a commit a minute: the worst a writer can ask for.
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use common::memory::Watch;
use common::{buffered, directory, ingest, percentiles, scale, smoke};
use criterion::{Criterion, criterion_group, criterion_main};
use hotstove::Options;

fn commits(_: &mut Criterion) {
    let minutes = if smoke() { 500 } else { u32::MAX };
    for (what, options) in [("buffered", buffered()), ("synced", Options::new())] {
        let directory = directory();
        let path = directory.path().join("store");
        let watch = Watch::start();
        let (store, mut told) = ingest(&path, options, scale(), minutes);
        println!("{}", told.told);
        println!(
            "{what}, {} commits, {:.2} M deltas/s: {}",
            told.commits.len(),
            told.rate / 1e6,
            percentiles(&mut told.commits)
        );
        store.close().expect("a close");
        drop(watch);
    }
}

criterion_group!(benches, commits);
criterion_main!(benches);
