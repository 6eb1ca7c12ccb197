//! Own reader of chunks and `pco`: the same answers, the same refusals.

use pco::DeltaSpec;
use pco::data_types::Number;
use proptest::prelude::*;

use super::chunk::*;
use super::chunk_together::LANES;
use super::cold::{compress_with, parse_chunk, read_page};
use super::cursor::Cursor;
use super::page::CELLS_MAX;

/// Values as they are met: counts, steps, wanderings, and noise.
fn values(kind: u8, count: usize, seed: u64, bits: u32) -> Vec<u32> {
    let (mut state, mut level) = (seed | 1, 0_u32);
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32
    };
    let mask = u32::MAX >> (32 - bits);
    (0..count)
        .map(|index| match kind {
            0 => random() % 7,
            1 => 1_000 + (random() % 300).saturating_sub(200),
            2 => {
                level = level.wrapping_add(random() % 9).wrapping_sub(4) & mask;
                level
            }
            3 => (index as u32 * 13 + random() % 5) & mask,
            4 => 40 * (random() % 700),
            5 => (50_000 * (600 + random() % 300)) & mask,
            _ => random() & mask,
        })
        .collect()
}

fn both<T: Number + Default + Into<u32> + TryFrom<u32>>(
    chunk: &Chunk,
    meta: &[u8],
    page: &[u8],
    count: usize,
    start: usize,
    length: usize,
) -> (Option<Vec<u32>>, Option<Vec<u32>>) {
    let mut own = vec![0; length];
    let own = chunk.read(page, count, start, &mut own).map(|()| own);
    let pco = parse_chunk::<T>(meta).unwrap();
    let (mut cursor, mut theirs) = (Cursor::new(page), vec![T::default(); length]);
    read_page(&pco, &mut cursor, count, start, &mut theirs);
    let theirs = theirs.into_iter().map(Into::into).collect();
    (own, cursor.check().is_ok().then_some(theirs))
}

fn check<T: Number + Default + Into<u32> + TryFrom<u32>>(
    all: &[u32],
    counts: &[usize],
    delta: DeltaSpec,
    bits: u32,
    damage: (usize, u8),
) {
    let numbers: Vec<T> = all.iter().filter_map(|v| T::try_from(*v).ok()).collect();
    let Some(block) = compress_with::<T>(&[], &numbers, counts, delta) else {
        return;
    };
    let Some(chunk) = Chunk::parse(&block.meta, bits) else {
        return;
    };
    together(&chunk, &block.pages, all, counts, damage);
    let mut rest = all;
    for (page, count) in block.pages.iter().zip(counts) {
        let (expected, after) = rest.split_at(*count);
        rest = after;
        let whole = both::<T>(&chunk, &block.meta, page, *count, 0, *count);
        assert_eq!(whole.0.as_deref(), Some(expected));
        assert_eq!(whole.0, whole.1);
        let (start, end) = (count / 3, count / 2 + 1);
        let part = both::<T>(&chunk, &block.meta, page, *count, start, end - start);
        assert_eq!(part.0.as_deref(), Some(&expected[start..end]));
        let mut flipped = page.clone();
        if let Some(byte) = flipped.get_mut(damage.0) {
            *byte ^= damage.1;
        }
        let (own, theirs) = both::<T>(&chunk, &block.meta, &flipped, *count, 0, *count);
        assert_eq!(own, theirs, "a flipped bit");
        let cut = &page[..page.len() - 1 - damage.0 % page.len()];
        assert_eq!(
            both::<T>(&chunk, &block.meta, cut, *count, 0, *count).0,
            None
        );
    }
}

/// Pages read together are what they are alone, and so is whether one of them
/// is damaged.
fn together(chunk: &Chunk, pages: &[Vec<u8>], all: &[u32], counts: &[usize], damage: (usize, u8)) {
    let mut lanes: [(&[u8], usize); LANES] = [(&[], 0); LANES];
    for (lane, (page, count)) in lanes.iter_mut().zip(pages.iter().zip(counts)) {
        *lane = (page, *count);
    }
    let mut rows = Box::new([[7; LANES]; CELLS_MAX]);
    assert_eq!(chunk.read_together(lanes, &mut rows), Some(()));
    let mut rest = all;
    for (lane, count) in counts.iter().enumerate() {
        let (expected, after) = rest.split_at(*count);
        rest = after;
        assert!(
            rows.iter()
                .map(|row| row[lane])
                .take(*count)
                .eq(expected.iter().copied())
        );
    }
    let mut flipped = pages[0].clone();
    if let Some(byte) = flipped.get_mut(damage.0) {
        *byte ^= damage.1;
    }
    lanes[0].0 = &flipped;
    let mut alone = vec![0; counts[0]];
    let sound = chunk.read(&flipped, counts[0], 0, &mut alone);
    assert_eq!(chunk.read_together(lanes, &mut rows), sound);
    if sound.is_some() {
        assert!(rows.iter().map(|row| row[0]).take(counts[0]).eq(alone));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn reads_what_pco_reads(
        kind in 0..7_u8,
        counts in proptest::collection::vec(64..=CELLS_MAX, 1..5),
        seed: u64,
        delta in 0..3_u8,
        wide: bool,
        damage in (0..2_000_usize, 1..=255_u8),
    ) {
        let delta = match delta {
            0 => DeltaSpec::NoOp,
            1 => DeltaSpec::TryConsecutive(1),
            _ => DeltaSpec::TryConv1(ORDER),
        };
        let bits = if wide { 32 } else { 16 };
        let all = values(kind, counts.iter().sum(), seed, bits);
        if wide {
            check::<u32>(&all, &counts, delta, bits, damage);
        } else {
            check::<u16>(&all, &counts, delta, bits, damage);
        }
    }
}

#[test]
fn what_is_written_most_is_read_here() {
    for delta in [
        DeltaSpec::NoOp,
        DeltaSpec::TryConsecutive(1),
        DeltaSpec::TryConv1(ORDER),
    ] {
        let all = values(2, 4_320, 5, 16);
        let numbers: Vec<u16> = all.iter().map(|value| *value as u16).collect();
        let block = compress_with(&[], &numbers, &[1_440; 3], delta).unwrap();
        assert!(Chunk::parse(&block.meta, 16).is_some());
        for cut in 0..block.meta.len() {
            assert!(Chunk::parse(&block.meta[..cut], 16).is_none());
        }
    }
}

/// Sums of whole or half hours, in units of microseconds, are multiples.
#[test]
fn multiples_are_read_here() {
    let all = values(5, 3_000, 9, 32);
    let counts = [1_440, 1_440, 120];
    let block = compress_with::<u32>(&[], &all, &counts, DeltaSpec::NoOp).unwrap();
    assert!(Chunk::parse(&block.meta, 32).is_some());
    check::<u32>(&all, &counts, DeltaSpec::NoOp, 32, (7, 1));
}
