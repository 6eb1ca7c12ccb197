//! Figures of a segment like those of the workload W1, printed on request.

use std::time::Instant;

use super::*;
use crate::storage::real_disk::RealDisk;

#[test]
#[ignore = "prints figures; run with --release --nocapture"]
fn figures() {
    let mut random = Random(42);
    let mut model = Model::new();
    for number in 0..400 {
        let rate = 0.05 * (20_000.0_f64 / 0.05).powf(random.unit());
        let mut pages = Vec::new();
        for day in 0..10 {
            let mut presence = Presence::new();
            let mut values = Vec::new();
            for minute in 0..MINUTES_PER_DAY as u16 {
                if random.below(50) == 0 {
                    continue;
                }
                presence.set(minute);
                let wave = (f64::from(minute) / 1_440.0 * std::f64::consts::TAU).sin();
                values.push(random.poisson(rate * (1.0 + 0.5 * wave)));
            }
            let column = Column::Ints(values);
            pages.push((FIRST_DAY + day, Page { presence, column }));
        }
        let key = key(
            &format!("firefox/release/{}", number / 50),
            &format!("branch-{}", number / 10 % 5),
            &format!("metric-{}", number % 10),
        );
        model.insert(key, (Kind::Counter, pages));
    }
    let directory = tempfile::tempdir().unwrap();
    let disk = RealDisk::create(&directory.path().join("store")).unwrap();
    for (id, cold_before, name) in [(1, 0, "hot"), (2, u32::MAX, "cold")] {
        let start = Instant::now();
        let meta = write(&disk, id, &model, cold_before);
        let written = start.elapsed();
        let cells = meta.cells as f64;
        let segment = Segment::open(&disk, STORE, &meta).unwrap();
        let index = segment.series().unwrap();
        let headers: u32 = index
            .entries(0..index.len())
            .map(|entry| entry.header_bytes)
            .sum();
        let metas: usize = (0..index.len())
            .map(|number| segment.block(number).unwrap().cold_meta().len())
            .sum();
        println!(
            "{name}: {} bytes, {:.4} bytes a cell; {:.1} bytes a page in headers, {:.1} of metadata; \
             written in {written:?}, {:.1} M cells/s",
            meta.bytes,
            meta.bytes as f64 / cells,
            f64::from(headers - metas as u32) / f64::from(meta.series) / 10.0,
            metas as f64 / f64::from(meta.series),
            cells / written.as_secs_f64() / 1e6,
        );
        let mut opens: Vec<_> = (0..1_001)
            .map(|_| {
                let start = Instant::now();
                let segment = Segment::open(&disk, STORE, &meta).unwrap();
                (start.elapsed(), segment).0
            })
            .collect();
        opens.sort();
        let start = Instant::now();
        let segment = Segment::open(&disk, STORE, &meta).unwrap();
        let index = segment.series().unwrap();
        let first_use = start.elapsed();
        let start = Instant::now();
        let total: i128 = index.entries(0..index.len()).map(|entry| entry.sum).sum();
        let totalled = start.elapsed();
        let start = Instant::now();
        let mut page = Page::new(family_of(Kind::Counter));
        let mut sum = 0;
        for number in 0..index.len() {
            let block = segment.block(number).unwrap();
            for day in 0..block.page_count() {
                block.decode(day, &mut page).unwrap();
                sum += crate::codec::summarize(&page).sum;
            }
        }
        let scanned = start.elapsed();
        assert_eq!(sum, total);
        let start = Instant::now();
        let mut summed = 0;
        for number in 0..index.len() {
            summed += segment
                .block(number)
                .unwrap()
                .pages()
                .map(|page| page.sum)
                .sum::<i128>();
        }
        let tables = start.elapsed();
        assert_eq!(summed, total);
        let start = Instant::now();
        segment.verify(&mut |damage| panic!("{damage}"));
        println!(
            "  open {:?}, first use {first_use:?}, total {totalled:?}, {:?} a block's table, \
             {:.0} M cells/s scanned, verify {:?}",
            opens[500],
            tables / meta.series,
            cells / scanned.as_secs_f64() / 1e6,
            start.elapsed(),
        );
    }
    let bytes = vec![1_u8; 64 << 20];
    let start = Instant::now();
    let hash = crate::format::checksum::hash64(&bytes);
    println!(
        "hash {:.1} GB/s ({hash:x})",
        0.0671 / start.elapsed().as_secs_f64()
    );
}
