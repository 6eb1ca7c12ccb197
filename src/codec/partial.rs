//! What is wanted of a page without all of its cells: sums between some
//! minutes, and the cell of one.

use super::cold::{self, ColdMeta};
use super::cursor::{Corrupt, Cursor, Result};
use super::page::{CELLS_MAX, Family, cold_meta};
use super::presence::MINUTES;
use super::{frame_sums, gauge, pack, presence_code, simd, wide};

/// Cells of a part of a page, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// How many there are.
    pub cells: u32,
    /// Their sum.
    pub sum: i128,
}

/// Adds the cells of a page of integers to `parts`: part `i` has the minutes
/// from `cuts[i]` to `cuts[i + 1]`; cuts ascend. Packed values are added up as
/// they are unpacked and never stored. Says whether it did: not where cells are
/// beyond 64 bits, sums beyond 128, or parts more than [`PARTS_MAX`].
///
/// # Errors
/// The first byte that is not what the format says. Then, and where it did not,
/// `parts` is not to be used.
pub fn add_sums(
    bytes: &[u8],
    cold: Option<&ColdMeta>,
    cuts: &[u16],
    parts: &mut [Part],
) -> Result<bool> {
    if parts.len() > PARTS_MAX || cuts.len() != parts.len() + 1 {
        return Ok(false);
    }
    let mut cursor = Cursor::new(bytes);
    let tags = cursor.u8();
    let presence = presence_code::read(tags & 0xf, &mut cursor);
    cursor.check()?;
    // Minutes to places in the column.
    let mut ranks = [0; PARTS_MAX + 2];
    let mut minutes = [MINUTES; PARTS_MAX + 2];
    minutes[..cuts.len()].copy_from_slice(cuts);
    simd::with_bit_instructions(
        #[inline(always)]
        || presence.ranks(&minutes[..=cuts.len()], &mut ranks),
    );
    let count = ranks[cuts.len()];
    let mut sums = [0_i128; PARTS_MAX];
    let (ranks, sums) = (&ranks[..cuts.len()], &mut sums[..parts.len()]);
    match tags >> 4 {
        tag @ pack::CONSTANT..=pack::SPARSE => {
            pack::sums(tag, &mut cursor, count, ranks, sums);
        }
        cold::COLD => {
            let mut values = [0; CELLS_MAX];
            let (start, end) = (ranks[0], ranks[parts.len()]);
            let values = &mut values[..end - start];
            cold_meta(cold)?.read_ints(&mut cursor, count, start, values);
            for (cut, sum) in ranks.windows(2).zip(&mut *sums) {
                *sum = frame_sums::add(&values[cut[0] - start..cut[1] - start]);
            }
        }
        wide::SPLIT..=wide::VARINTS => return Ok(false),
        _ => return Err(Corrupt::new(0, "a column that does not fit the metric")),
    }
    cursor.finish()?;
    for ((part, cut), sum) in parts.iter_mut().zip(ranks.windows(2)).zip(sums) {
        // Only what else is in it can leave 128 bits: that is for who knows.
        let Some(total) = part.sum.checked_add(*sum) else {
            return Ok(false);
        };
        part.cells += (cut[1] - cut[0]) as u32;
        part.sum = total;
    }
    Ok(true)
}

/// The most parts a page is summed in: its hours, and one that is cut.
pub const PARTS_MAX: usize = 25;

/// The cell at a minute, of a gauge its bits. Little more than that one is
/// unpacked.
///
/// # Errors
/// The first byte that is not what the format says. Damage to other cells can
/// go unnoticed.
pub fn cell(
    bytes: &[u8],
    family: Family,
    cold: Option<&ColdMeta>,
    minute: u16,
) -> Result<Option<i128>> {
    let mut cursor = Cursor::new(bytes);
    let tags = cursor.u8();
    let presence = presence_code::read(tags & 0xf, &mut cursor);
    cursor.check()?;
    if !presence.get(minute) {
        return Ok(None);
    }
    let mut ranks = [0; 2];
    simd::with_bit_instructions(
        #[inline(always)]
        || presence.ranks(&[minute, MINUTES], &mut ranks),
    );
    let [rank, count] = ranks;
    let from = &mut cursor;
    let value = match (family, tags >> 4) {
        (Family::Integer, tag @ pack::CONSTANT..=pack::SPARSE) => {
            pack::get(tag, from, count, rank).into()
        }
        (Family::Integer, tag @ wide::SPLIT..=wide::VARINTS) => {
            let mut value = [0];
            wide::read(tag, from, count, rank, &mut value);
            value[0]
        }
        (Family::Integer, cold::COLD) => {
            let mut value = [0];
            cold_meta(cold)?.read_ints(from, count, rank, &mut value);
            value[0].into()
        }
        (Family::Float, tag @ gauge::DECIMAL..=gauge::RAW) => {
            gauge::get(tag, from, count, rank).to_bits().into()
        }
        (Family::Float, cold::COLD) => {
            let mut value = [0.0_f64];
            cold_meta(cold)?.read_floats(from, count, rank, &mut value);
            value[0].to_bits().into()
        }
        _ => return Err(Corrupt::new(0, "a column that does not fit the metric")),
    };
    cursor.check()?;
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::super::page::{self, Column, Page};
    use super::super::presence::Presence;
    use super::super::{ColdMeta, encode_cold};
    use super::*;
    use proptest::prelude::*;

    fn check(page: &Page, bytes: &[u8], cold: Option<&ColdMeta>, cuts: &[u16]) {
        let family = match page.column {
            Column::Floats(_) => Family::Float,
            _ => Family::Integer,
        };
        let value = |minute| {
            let rank = page.presence.rank(minute);
            page.presence.get(minute).then(|| match &page.column {
                Column::Ints(values) => values[rank].into(),
                Column::Wides(values) => values[rank],
                Column::Floats(values) => values[rank].to_bits().into(),
            })
        };
        for minute in cuts.iter().copied().chain(page.presence.first()) {
            let cell = cell(bytes, family, cold, minute);
            assert_eq!(cell, Ok(value(minute)), "minute {minute}");
        }
        if family == Family::Float {
            return;
        }
        let mut parts = vec![Part { cells: 3, sum: 4 }; cuts.len() - 1];
        let done = add_sums(bytes, cold, cuts, &mut parts);
        let wide = matches!(page.column, Column::Wides(_));
        assert_eq!(done, Ok(!wide && parts.len() <= PARTS_MAX));
        for (part, cut) in parts
            .iter()
            .zip(cuts.windows(2))
            .filter(|_| done == Ok(true))
        {
            let cells: Vec<i128> = (cut[0]..cut[1].min(MINUTES)).filter_map(value).collect();
            assert_eq!(part.cells, 3 + cells.len() as u32);
            assert_eq!(part.sum, 4 + cells.iter().sum::<i128>());
        }
    }

    proptest! {
        #[test]
        fn a_part_is_what_the_whole_says(
            missing in proptest::collection::btree_set(0..MINUTES, 0..60),
            length in 1..=MINUTES,
            seed: u64,
            shift in 0..64_u32,
            form in 0..6_u8,
            cuts in proptest::collection::btree_set(0..=MINUTES, 2..30),
        ) {
            let presence: Presence = (0..length).filter(|m| !missing.contains(m)).collect();
            prop_assume!(!presence.is_empty());
            let mut state = seed | 1;
            let mut random = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state as i64) >> shift
            };
            let values: Vec<i64> = (0..presence.count()).map(|_| random()).collect();
            let column = match form {
                0 => Column::Floats(values.iter().map(|v| (*v >> 12) as f64 / 8.0).collect()),
                1 => Column::Wides(values.iter().map(|v| i128::from(*v) << 40).collect()),
                2 => Column::Ints(values.iter().map(|v| i64::from(*v % 9 == 0)).collect()),
                3 => Column::Ints(values.iter().scan(0_i64, |sum, v| {
                    *sum = sum.wrapping_add(*v % 100 + 1_000);
                    Some(*sum)
                }).collect()),
                _ => Column::Ints(values),
            };
            let cuts: Vec<u16> = cuts.into_iter().collect();
            let page = Page { presence, column };
            let mut bytes = Vec::new();
            page::encode(&page, &mut bytes);
            check(&page, &bytes, None, &cuts);
            if let Some(block) = encode_cold(&[&page, &page]) {
                let family = match page.column {
                    Column::Floats(_) => Family::Float,
                    _ => Family::Integer,
                };
                let meta = ColdMeta::parse(&block.meta, family).unwrap();
                check(&page, &block.pages[1], Some(&meta), &cuts);
            }
        }
    }
}
