//! How fast deltas go in: the whole of W1 in arrival order, and synced commits.
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use std::time::Instant;

use common::{buffered, directory, handles, ingest, print_memory, push, scale, w1::W1};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hotstove::{Batch, Options, Store};

/// Not a criterion loop: one pass over all of W1, told once, with its sizes.
fn whole(_: &mut Criterion) {
    let directory = directory();
    let (store, told) = ingest(&directory.path().join("store"), buffered(), scale());
    println!(
        "ingest, buffered: {:.2} M deltas/s over {} deltas; {} MiB anonymous at the peak",
        told.deltas as f64 / told.spent.as_secs_f64() / 1e6,
        told.deltas,
        told.anonymous_mib
    );
    store.flush().expect("a flush");
    let bytes = |store: &Store| store.inspect().expect("an inspection").segment_bytes() as f64;
    println!(
        "fresh: {:.3} bytes a cell",
        bytes(&store) / told.cells as f64
    );
    let start = Instant::now();
    store.compact().expect("a compaction");
    println!("compaction: {:.2} s", start.elapsed().as_secs_f64());
    println!(
        "compacted: {:.3} bytes a cell",
        bytes(&store) / told.cells as f64
    );
    print_memory();
}

fn synced(criterion: &mut Criterion) {
    let directory = directory();
    let mut workload = W1::new(42, scale());
    let store = Store::open(directory.path().join("store"), Options::new()).expect("a store");
    let handles = handles(&store, &workload);
    // The busiest minutes, one commit each.
    let minutes: Vec<Vec<_>> = (0..6_250)
        .map(|offset| workload.minute(offset).to_vec())
        .skip(6_000)
        .collect();
    let deltas: usize = minutes.iter().map(Vec::len).sum();
    let mut group = criterion.benchmark_group("ingest");
    group
        .throughput(Throughput::Elements((deltas / minutes.len()) as u64))
        .sample_size(50);
    let mut next = minutes.iter().cycle();
    group.bench_function("synced commit of a minute", |bencher| {
        bencher.iter(|| {
            let mut batch = Batch::new();
            let minute = next.next().expect("an endless cycle");
            minute
                .iter()
                .for_each(|delta| push(&mut batch, &handles, delta));
            store.commit(batch).expect("a commit")
        });
    });
    group.finish();
}

criterion_group!(benches, whole, synced);
criterion_main!(benches);
