//! Size and speed of the codecs on diurnal Poisson counts.
#![allow(missing_docs, reason = "criterion's macros write what has none")]

mod common;

use common::memory::Watch;
use common::w1::random::Random;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hotstove::internals::codec::{
    ColdMeta, Column, Family, Page, Presence, decode, encode, encode_cold,
};

/// Two weeks of a series, a page a day.
fn fortnight(mean: f64) -> Vec<Page> {
    let mut random = Random::new(42);
    (0..14)
        .map(|_| {
            let mut presence = Presence::new();
            presence.set_range(0..1_440);
            let counts = (0..1_440).map(|minute| {
                let hour = f64::from(minute) / 1_440.0 * std::f64::consts::TAU;
                random.poisson(mean * (1.0 + 0.6 * hour.sin())) as i64
            });
            Page {
                presence,
                column: Column::Ints(counts.collect()),
            }
        })
        .collect()
}

fn codecs(criterion: &mut Criterion) {
    let watch = Watch::start();
    let mut group = criterion.benchmark_group("codecs");
    for mean in [0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0] {
        let pages = fortnight(mean);
        let cells = 14.0 * 1_440.0;
        let hot: Vec<Vec<u8>> = pages
            .iter()
            .map(|page| {
                let mut bytes = Vec::new();
                encode(page, &mut bytes);
                bytes
            })
            .collect();
        let hot_bytes: usize = hot.iter().map(Vec::len).sum();
        let refs: Vec<&Page> = pages.iter().collect();
        let cold = encode_cold(&refs);
        let cold_bits = cold.as_ref().map(|block| block.size() as f64 * 8.0 / cells);
        println!(
            "mean {mean}: hot {:.3} bits a cell, cold {}",
            hot_bytes as f64 * 8.0 / cells,
            cold_bits.map_or("not smaller".to_owned(), |bits| format!("{bits:.3}"))
        );
        group.throughput(Throughput::Elements(1_440));
        let mut page = Page::new(Family::Integer);
        group.bench_function(BenchmarkId::new("decode a hot day", mean), |bencher| {
            bencher.iter(|| decode(&hot[3], Family::Integer, None, &mut page));
        });
        if let Some(block) = cold {
            let meta = ColdMeta::parse(&block.meta, Family::Integer).expect("its own metadata");
            group.bench_function(BenchmarkId::new("decode a cold day", mean), |bencher| {
                bencher.iter(|| decode(&block.pages[3], Family::Integer, Some(&meta), &mut page));
            });
        }
        let mut bytes = Vec::new();
        group.bench_function(BenchmarkId::new("encode a hot day", mean), |bencher| {
            bencher.iter(|| {
                bytes.clear();
                encode(&pages[3], &mut bytes);
            });
        });
    }
    group.finish();
    drop(watch);
}

criterion_group!(benches, codecs);
criterion_main!(benches);
