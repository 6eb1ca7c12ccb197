//! Columns of 64-bit floats, kept to the last bit.
//!
//! Readings written with a few decimals are integers over a power of ten;
//! where that gives back every bit, the integers are stored. All others are
//! stored as their bits, in an order that keeps near values near.

use super::cursor::Cursor;
use super::pack;
use super::page::CELLS_MAX;
use crate::limits::DECIMALS_MAX;

/// Integers over a power of ten.
pub const DECIMAL: u8 = 7;
/// The bits of the floats.
pub const RAW: u8 = 8;

/// 10^0 to 10^9: all of them exact.
const POWERS: [f64; DECIMALS_MAX as usize + 1] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

/// Integers up to here are floats without rounding.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// The bits of the largest finite float.
const FINITE_MAX: u64 = 0x7fef_ffff_ffff_ffff;

const SIGN: u64 = 1 << 63;

/// The most low bits that are left out: a magnitude has 63.
const SHIFT_MAX: u8 = 62;

/// The power of ten of `decimals`; none beyond [`DECIMALS_MAX`].
pub fn power(decimals: u8) -> Option<f64> {
    POWERS.get(usize::from(decimals)).copied()
}

/// The integer that gives `value` back, bit by bit, when divided by `power`.
fn scaled(value: f64, power: f64) -> Option<i64> {
    let scaled = (value * power).round();
    // Refuses what is not a number, too.
    let integer = (scaled.abs() <= EXACT_MAX).then_some(scaled as i64)?;
    // By its bits: minus zero has no integer.
    ((integer as f64 / power).to_bits() == value.to_bits()).then_some(integer)
}

/// The fewest decimals with which all values are integers over a power of ten.
///
/// More decimals never make a value inexact but by size, so one pass finds the
/// only candidate; [`scale`] tells whether it holds.
pub fn decimals(values: impl Iterator<Item = f64>) -> Option<u8> {
    let mut decimals = 0_u8;
    for value in values {
        while scaled(value, power(decimals)?).is_none() {
            decimals += 1;
        }
    }
    Some(decimals)
}

/// All values as integers over `10^decimals`, or none.
pub fn scale(values: impl Iterator<Item = f64>, decimals: u8) -> Option<Vec<i64>> {
    let power = power(decimals)?;
    values.map(|value| scaled(value, power)).collect()
}

/// The low bits that are zero in every magnitude: 29 for what once was an `f32`.
fn common_zeros(values: &[f64]) -> u8 {
    let ones = values.iter().fold(0, |ones, value| ones | value.to_bits());
    match ones & !SIGN {
        0 => 0,
        ones => ones.trailing_zeros() as u8,
    }
}

/// The bits of `value` as an integer ordered as the floats are, less `shift`
/// low bits; minus zero comes right before zero.
fn ordered(value: f64, shift: u8) -> i64 {
    let magnitude = ((value.to_bits() & !SIGN) >> shift) as i64;
    if value.is_sign_negative() {
        !magnitude
    } else {
        magnitude
    }
}

/// Undoes [`ordered`]; none for what is not a finite float.
fn float(ordered: i64, shift: u8) -> Option<f64> {
    let (sign, magnitude) = if ordered < 0 {
        (SIGN, !ordered as u64)
    } else {
        (0, ordered as u64)
    };
    let finite = magnitude <= FINITE_MAX >> shift;
    finite.then(|| f64::from_bits(sign | magnitude << shift))
}

/// Appends `values` in the smaller layout; its tag.
pub fn write(values: &[f64], out: &mut Vec<u8>) -> u8 {
    let shift = common_zeros(values);
    let raw: Vec<i64> = values.iter().map(|value| ordered(*value, shift)).collect();
    let raw_plan = pack::Plan::of(&raw);
    let decimal = decimals(values.iter().copied())
        .and_then(|decimals| Some((decimals, scale(values.iter().copied(), decimals)?)));
    if let Some((decimals, integers)) = decimal {
        let plan = pack::Plan::of(&integers);
        if plan.size <= raw_plan.size {
            out.extend([decimals, plan.tag()]);
            plan.write(&integers, out);
            return DECIMAL;
        }
    }
    out.extend([shift, raw_plan.tag()]);
    raw_plan.write(&raw, out);
    RAW
}

/// Fills `out` with the values from `first` on of a column of `count`, at most
/// [`CELLS_MAX`], which stands at the cursor in layout `tag`.
pub fn read(tag: u8, cursor: &mut Cursor<'_>, count: usize, first: usize, out: &mut [f64]) {
    let start = cursor.position();
    let (scale, layout) = (cursor.u8(), cursor.u8());
    let mut integers = [0; CELLS_MAX];
    let integers = &mut integers[..out.len().min(CELLS_MAX)];
    if tag == DECIMAL {
        let Some(power) = power(scale) else {
            return cursor.fail_at(start, "more decimals than nine");
        };
        pack::read(layout, cursor, count, first, integers);
        for (value, integer) in out.iter_mut().zip(integers) {
            *value = *integer as f64 / power;
        }
    } else {
        if scale > SHIFT_MAX {
            return cursor.fail_at(start, "a shift beyond a float");
        }
        pack::read(layout, cursor, count, first, integers);
        let mut finite = true;
        for (value, integer) in out.iter_mut().zip(integers) {
            let float = float(*integer, scale);
            finite &= float.is_some();
            *value = float.unwrap_or(0.0);
        }
        if !finite {
            cursor.fail_at(start, "a value that is not finite");
        }
    }
}

/// The value at `index` of a column as in [`read`]; no other is unpacked where
/// that can be helped.
pub fn get(tag: u8, cursor: &mut Cursor<'_>, count: usize, index: usize) -> f64 {
    let start = cursor.position();
    let (scale, layout) = (cursor.u8(), cursor.u8());
    let integer = pack::get(layout, cursor, count, index);
    let value = match tag {
        DECIMAL => power(scale).map(|power| integer as f64 / power),
        _ if scale > SHIFT_MAX => None,
        _ => float(integer, scale),
    };
    value.unwrap_or_else(|| {
        cursor.fail_at(start, "a value that is not finite");
        0.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[f64]) -> (u8, usize) {
        let mut bytes = Vec::new();
        let tag = write(values, &mut bytes);
        let mut out = vec![0.0; values.len()];
        let mut cursor = Cursor::new(&bytes);
        read(tag, &mut cursor, values.len(), 0, &mut out);
        assert_eq!(cursor.finish(), Ok(()));
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&out), bits(values));
        for index in [0, values.len() / 2, values.len() - 1] {
            let got = get(tag, &mut Cursor::new(&bytes), values.len(), index);
            assert_eq!(got.to_bits(), values[index].to_bits());
        }
        (tag, bytes.len())
    }

    #[test]
    fn decimals_are_found() {
        for (values, expected) in [
            (&[0.0, 1.0, -5.0][..], Some(0)),
            (&[0.1, 0.25, 17.5], Some(2)),
            (&[1e-9, 123_456.789], Some(9)),
            (&[1e-10], None),
            (&[1.0 / 3.0], None),
            (&[-0.0], None),
            (&[1e300], None),
            (&[f64::NAN], None),
        ] {
            assert_eq!(decimals(values.iter().copied()), expected, "{values:?}");
        }
        let far_apart = [9e15, 1e-9];
        let candidate = decimals(far_apart.into_iter());
        assert_eq!(candidate, Some(9));
        assert_eq!(scale(far_apart.into_iter(), 9), None);
    }

    #[test]
    fn each_layout_where_it_is_smallest() {
        let readings: Vec<f64> = (0..1_440)
            .map(|i| f64::from(i * 7919 % 1000) / 1e3)
            .collect();
        let (tag, size) = round_trip(&readings);
        assert_eq!(tag, DECIMAL);
        assert!(size < 1_440 * 11 / 8);
        let singles: Vec<f64> = (0..1_440).map(|i| f64::from((i as f32).sin())).collect();
        let (tag, size) = round_trip(&singles);
        assert_eq!(tag, RAW);
        assert!(size < 1_440 * 37 / 8);
        round_trip(&[
            -0.0,
            0.0,
            f64::MIN,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            -5e-324,
        ]);
        round_trip(&[9e15, 1e-9]);
        round_trip(&[0.0; 3]);
        round_trip(&[-0.0; 3]);
    }

    #[test]
    fn refused() {
        for (tag, bytes, what) in [
            (DECIMAL, &[10, 1, 0][..], "more decimals than nine"),
            (DECIMAL, &[1, 0, 0], "an unknown layout of integers"),
            (RAW, &[0, 0, 0], "an unknown layout of integers"),
            (
                RAW,
                // The bits of infinity, as a constant.
                &[
                    0, 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0xf0, 0xff, 1,
                ],
                "a value that is not finite",
            ),
            (RAW, &[62, 1, 6], "a value that is not finite"),
        ] {
            let mut cursor = Cursor::new(bytes);
            read(tag, &mut cursor, 2, 0, &mut [0.0; 2]);
            assert_eq!(cursor.finish().unwrap_err().what, what, "{tag} {bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_finite_column_round_trips(
            bits in proptest::collection::vec(any::<u64>(), 1..300),
            decimals in proptest::option::of(0..=9_u8),
        ) {
            let values: Vec<f64> = bits
                .iter()
                .map(|bits| match decimals {
                    Some(decimals) => (*bits as i32) as f64 / POWERS[usize::from(decimals)],
                    None => f64::from_bits(*bits),
                })
                .filter(|value| value.is_finite())
                .collect();
            prop_assume!(!values.is_empty());
            round_trip(&values);
        }

        #[test]
        fn what_is_read_is_finite(
            tag in DECIMAL..=RAW,
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            count in 1..1_441_usize,
        ) {
            let mut out = vec![0.0; count];
            let mut cursor = Cursor::new(&bytes);
            read(tag, &mut cursor, count, 0, &mut out);
            prop_assert!(!cursor.is_sound() || out.iter().all(|value: &f64| value.is_finite()));
        }
    }
}
