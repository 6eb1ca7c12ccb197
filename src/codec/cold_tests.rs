//! Cold blocks: every sort of number there and back, and damage of every sort.

use proptest::prelude::*;

use super::cold::*;
use super::*;

/// Days of values drawn by `value`, each day with a few holes.
fn days(count: u64, mut column: impl FnMut(&mut dyn FnMut() -> u64, usize) -> Column) -> Vec<Page> {
    let mut state = 1_u64;
    let mut noise = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 33
    };
    (0..count)
        .map(|day| {
            let mut presence = Presence::new();
            presence.set_range(0..MINUTES);
            (0..day as u16 * 3).for_each(|hole| presence.unset(hole * 31 % MINUTES));
            let count = presence.count();
            let column = column(&mut noise, count);
            Page { presence, column }
        })
        .collect()
}

fn integers(shift: u32, base: i64) -> Vec<Page> {
    days(3, |noise, count| {
        let value = |_| base.wrapping_add(((noise() * noise()) >> shift) as i64);
        Column::Ints((0..count).map(value).collect())
    })
}

fn round_trip(pages: &[Page], family: Family) -> ColdBlock {
    let block = encode_cold(&pages.iter().collect::<Vec<_>>()).unwrap();
    let meta = ColdMeta::parse(&block.meta, family).unwrap();
    let mut out = Page::new(Family::Integer);
    for (page, bytes) in pages.iter().zip(&block.pages) {
        decode(bytes, family, Some(&meta), &mut out).unwrap();
        assert_eq!(out, *page);
        assert!(decode(bytes, family, None, &mut out).is_err());
    }
    block
}

#[test]
fn every_number_round_trips() {
    for (shift, base, number) in [
        (55, 0, U16),
        (55, -7, U16),
        (40, 0, U32),
        (40, i64::MIN, U32),
        (40, i64::MAX - (1 << 22), U32),
        (20, 5, U64),
        (1, i64::MIN, U64),
    ] {
        let pages = integers(shift, base);
        assert_eq!(
            round_trip(&pages, Family::Integer).meta[..2],
            [INTEGERS, number]
        );
    }
    let grid = days(3, |noise, count| {
        Column::Floats((0..count).map(|_| (noise() % 997) as f64 / 1e3).collect())
    });
    assert_eq!(
        round_trip(&grid, Family::Float).meta[..3],
        [DECIMALS, U16, 3]
    );
    let raw = days(3, |noise, count| {
        Column::Floats(
            (0..count)
                .map(|_| 1.0 / (noise() % 997 + 3) as f64)
                .collect(),
        )
    });
    assert_eq!(round_trip(&raw, Family::Float).meta[..2], [FLOATS, F64]);
}

#[test]
fn not_applicable() {
    assert_eq!(encode_cold(&[]), None);
    let presence = Presence::from_iter([3]);
    let page = |column| Page {
        presence: presence.clone(),
        column,
    };
    let (int, wide) = (
        page(Column::Ints(vec![5])),
        page(Column::Wides(vec![1 << 90])),
    );
    assert_eq!(encode_cold(&[&int]), None, "one cell is smaller alone");
    assert_eq!(encode_cold(&[&wide]), None);
    assert_eq!(encode_cold(&[&int, &wide]), None);
}

#[test]
fn damage_is_an_error_never_a_panic() {
    let pages = integers(55, 0);
    let block = round_trip(&pages[..2], Family::Integer);
    assert!(ColdMeta::parse(&block.meta, Family::Float).is_err());
    for cut in 0..block.meta.len() {
        assert!(ColdMeta::parse(&block.meta[..cut], Family::Integer).is_err());
    }
    let meta = ColdMeta::parse(&block.meta, Family::Integer).unwrap();
    let mut out = Page::new(Family::Integer);
    let page = &block.pages[1];
    for cut in 0..page.len() {
        assert!(decode(&page[..cut], Family::Integer, Some(&meta), &mut out).is_err());
        assert!(out.column.is_empty() && out.presence.is_empty());
    }
    for at in 0..page.len() {
        let mut page = page.clone();
        page[at] ^= 1 << (at % 8);
        let _ = decode(&page, Family::Integer, Some(&meta), &mut out);
        assert_eq!(out.column.len(), out.presence.count());
    }
    for at in 0..block.meta.len() {
        for flip in [0x01, 0x08, 0x80, 0xff] {
            let mut bytes = block.meta.clone();
            bytes[at] ^= flip;
            if let Ok(meta) = ColdMeta::parse(&bytes, Family::Integer) {
                let _ = decode(page, Family::Integer, Some(&meta), &mut out);
                assert_eq!(out.column.len(), out.presence.count());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_chunk_is_handled(
        number in U16..=F64,
        mode in 0..=PCO_MODE_MAX,
        chunk in proptest::collection::vec(any::<u8>(), 0..80),
        page in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let family = if number == F64 { Family::Float } else { Family::Integer };
        let kind = if number == F64 { FLOATS } else { INTEGERS };
        let mut bytes = vec![kind, number];
        if number != F64 {
            bytes.push(0);
        }
        bytes.extend([PCO_MAJOR, 1, mode]);
        bytes.extend(chunk);
        if let Ok(meta) = ColdMeta::parse(&bytes, family) {
            let mut out = Page::new(family);
            let page = [&[0x91][..], &page].concat();
            let _ = decode(&page, family, Some(&meta), &mut out);
            prop_assert_eq!(out.column.len(), out.presence.count());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_block_round_trips(
        values in proptest::collection::vec(any::<i64>(), 70..1_000),
        shift in 0..64_u32,
        floats: bool,
        exponent in 0..12_i32,
        cuts in proptest::collection::vec(1..600_usize, 1..5),
    ) {
        let mut rest = values.as_slice();
        let mut pages = Vec::new();
        for cut in cuts {
            let (day, after) = rest.split_at(cut.min(rest.len()));
            rest = after;
            if day.is_empty() {
                break;
            }
            let column = if floats {
                let scale = 10_f64.powi(exponent);
                Column::Floats(day.iter().map(|value| (value >> shift) as f64 / scale).collect())
            } else {
                Column::Ints(day.iter().map(|value| value >> shift).collect())
            };
            let presence = (0..day.len() as u16).collect();
            pages.push(Page { presence, column });
        }
        if let Some(block) = encode_cold(&pages.iter().collect::<Vec<_>>()) {
            let family = if floats { Family::Float } else { Family::Integer };
            let meta = ColdMeta::parse(&block.meta, family).unwrap();
            let mut out = Page::new(family);
            for (page, bytes) in pages.iter().zip(&block.pages) {
                decode(bytes, family, Some(&meta), &mut out).unwrap();
                prop_assert_eq!(&out, page);
            }
        }
    }
}

/// Regression: `pco` 1.1 panics in prediction where a page ends just behind
/// one of its batches, as with 513 cells.
#[test]
fn pages_of_any_length_round_trip_without_a_panic() {
    // A panic is caught inside the codec: only the hook sees it.
    let panicked = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (seen, own) = (panicked.clone(), std::thread::current().id());
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == own {
            seen.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        hook(info);
    }));
    for first in [
        64, 511, 512, 513, 514, 517, 518, 1_023, 1_024, 1_025, 1_030, 1_439,
    ] {
        let mut pages = integers(52, 0);
        let page = &mut pages[0];
        page.presence = Presence::new();
        page.presence.set_range(0..first);
        if let Column::Ints(values) = &mut page.column {
            values.truncate(usize::from(first));
        }
        round_trip(&pages, Family::Integer);
    }
    assert!(!panicked.load(std::sync::atomic::Ordering::Relaxed));
}
