//! Columns of 128-bit integers, for pages with cells beyond 64 bits.

use super::cursor::Cursor;
use super::pack;
use super::page::CELLS_MAX;
use super::put;

/// The low and the high 64 bits as a column each.
pub const SPLIT: u8 = 5;
/// One zigzag varint a value.
pub const VARINTS: u8 = 6;

/// Appends `values` in the smaller layout; its tag.
pub fn write(values: &[i128], out: &mut Vec<u8>) -> u8 {
    let low: Vec<i64> = values.iter().map(|value| *value as i64).collect();
    let high: Vec<i64> = values.iter().map(|value| (value >> 64) as i64).collect();
    let (low_plan, high_plan) = (pack::Plan::of(&low), pack::Plan::of(&high));
    let varints: usize = values
        .iter()
        .map(|value| put::zigzag128_bytes(*value))
        .sum();
    if varints < 1 + low_plan.size + high_plan.size {
        values.iter().for_each(|value| put::zigzag128(out, *value));
        return VARINTS;
    }
    out.push(low_plan.tag() | high_plan.tag() << 4);
    low_plan.write(&low, out);
    high_plan.write(&high, out);
    SPLIT
}

/// Fills `out` with the values from `start` on of a column of `count`, at most
/// [`CELLS_MAX`], which stands at the cursor in layout `tag`.
pub fn read(tag: u8, cursor: &mut Cursor<'_>, count: usize, start: usize, out: &mut [i128]) {
    if tag == VARINTS {
        for index in 0..count {
            let value = cursor.zigzag128();
            if let Some(target) = index
                .checked_sub(start)
                .and_then(|index| out.get_mut(index))
            {
                *target = value;
            }
        }
        return;
    }
    let tags = cursor.u8();
    let (mut low, mut high) = ([0; CELLS_MAX], [0; CELLS_MAX]);
    let length = out.len().min(CELLS_MAX);
    pack::read(tags & 0xf, cursor, count, start, &mut low[..length]);
    pack::read(tags >> 4, cursor, count, start, &mut high[..length]);
    for ((value, low), high) in out.iter_mut().zip(low).zip(high) {
        *value = i128::from(high) << 64 | i128::from(low as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i128]) -> u8 {
        let mut bytes = Vec::new();
        let tag = write(values, &mut bytes);
        let mut out = vec![0; values.len()];
        let mut cursor = Cursor::new(&bytes);
        read(tag, &mut cursor, values.len(), 0, &mut out);
        assert_eq!(cursor.finish(), Ok(()));
        assert_eq!(out, values);
        let varints: usize = values
            .iter()
            .map(|value| put::zigzag128_bytes(*value))
            .sum();
        assert!(bytes.len() <= varints);
        if tag == VARINTS {
            assert_eq!(bytes.len(), varints);
        }
        tag
    }

    #[test]
    fn each_layout_where_it_is_smallest() {
        assert_eq!(round_trip(&[i128::MIN, i128::MAX, 0, -1]), VARINTS);
        assert_eq!(round_trip(&[i128::from(i64::MAX) + 1; 100]), SPLIT);
        let mut mixed = [5; 100];
        mixed[50] = i128::from(u64::MAX);
        round_trip(&mixed);
    }

    proptest! {
        #[test]
        fn every_column_round_trips(
            values in proptest::collection::vec(any::<i128>(), 1..300),
            shift in 0..128_u32,
        ) {
            let values: Vec<i128> = values.iter().map(|value| value >> shift).collect();
            round_trip(&values);
        }

        #[test]
        fn any_bytes_are_handled(
            tag in SPLIT..=VARINTS,
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            count in 1..1_441_usize,
        ) {
            read(tag, &mut Cursor::new(&bytes), count, 0, &mut vec![0; count]);
        }
    }
}
