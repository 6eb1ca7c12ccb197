//! The columns of a page table: every value as many bytes over a base as the
//! widest of the block needs, so that a value is read in place by its index.

use crate::codec::cursor::Cursor;
use crate::codec::put;

/// The widest value.
const WIDTH_MAX: u8 = 16;

/// A column of up to 32 values.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    base: i128,
    width: u8,
    /// From the first value on, with whatever follows the last.
    bytes: &'a [u8],
}

impl<'a> Column<'a> {
    /// Reads the width and the base.
    pub fn decode_shape(cursor: &mut Cursor<'_>) -> Self {
        let width = cursor.u8();
        cursor.require(width <= WIDTH_MAX, "a column wider than its values");
        Column {
            width: width.min(WIDTH_MAX),
            base: cursor.zigzag128(),
            bytes: &[],
        }
    }

    /// Takes the values of the column; `whole` is what the cursor reads.
    pub fn decode_values(&mut self, cursor: &mut Cursor<'a>, count: usize, whole: &'a [u8]) {
        let start = cursor.position();
        cursor.take(count * usize::from(self.width));
        if cursor.is_sound() {
            self.bytes = whole.get(start..).unwrap_or_default();
        }
    }

    /// The value at `index`.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> i128 {
        let width = usize::from(self.width);
        let rest = self.bytes.get(index * width..).unwrap_or_default();
        // Reading a whole word and masking beats copying a few bytes.
        let delta = match rest.first_chunk::<16>() {
            Some(word) => u128::from_le_bytes(*word),
            None => {
                let mut word = [0; 16];
                let count = rest.len().min(width);
                word[..count].copy_from_slice(&rest[..count]);
                u128::from_le_bytes(word)
            }
        };
        let mask = match width {
            0 => 0,
            width => u128::MAX >> (128 - 8 * width),
        };
        self.base.wrapping_add((delta & mask) as i128)
    }
}

/// How a column will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    base: i128,
    width: usize,
}

impl Shape {
    /// The narrowest shape for `values`, which are not none.
    #[must_use]
    pub fn of(values: impl Iterator<Item = i128> + Clone) -> Self {
        let base = values.clone().min().unwrap_or_default();
        let span = values.max().unwrap_or_default().wrapping_sub(base) as u128;
        let bits = 128 - span.leading_zeros() as usize;
        Shape {
            base,
            width: bits.div_ceil(8),
        }
    }

    /// Appends width and base.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.push(self.width as u8);
        put::zigzag128(out, self.base);
    }

    /// Appends a value.
    pub fn put_value(&self, value: i128, out: &mut Vec<u8>) {
        let delta = value.wrapping_sub(self.base) as u128;
        out.extend_from_slice(&delta.to_le_bytes()[..self.width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i128]) -> Vec<u8> {
        let shape = Shape::of(values.iter().copied());
        let mut bytes = Vec::new();
        shape.put(&mut bytes);
        for value in values {
            shape.put_value(*value, &mut bytes);
        }
        let mut cursor = Cursor::new(&bytes);
        let mut column = Column::decode_shape(&mut cursor);
        column.decode_values(&mut cursor, values.len(), &bytes);
        cursor.finish().unwrap();
        for (index, value) in values.iter().enumerate() {
            assert_eq!(column.get(index), *value);
        }
        bytes
    }

    #[test]
    fn a_constant_costs_no_values() {
        assert_eq!(round_trip(&[5; 32]), [0, 10]);
        assert_eq!(round_trip(&[5, 5 + 255]).len(), 2 + 2);
        assert_eq!(round_trip(&[5, 5 + 256]).len(), 2 + 4);
        round_trip(&[i128::MIN, i128::MAX, 0]);
    }

    #[test]
    fn a_column_cut_short_reads_as_its_base() {
        let mut cursor = Cursor::new(&[2, 10, 1]);
        let mut column = Column::decode_shape(&mut cursor);
        column.decode_values(&mut cursor, 1, &[2, 10, 1]);
        assert!(cursor.check().is_err());
        assert_eq!(column.get(0), 5);
        assert_eq!(column.get(usize::MAX / 16), 5);
    }

    proptest! {
        #[test]
        fn any_values_round_trip(
            values in prop::collection::vec(any::<i128>(), 1..33), shift in 0_u32..128,
        ) {
            let values: Vec<i128> = values.iter().map(|value| value >> shift).collect();
            round_trip(&values);
        }
    }
}
