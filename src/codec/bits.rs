//! Fixed-width bit packing: value `i` occupies bits `[i * width, (i + 1) *
//! width)` of a little-endian bit stream, for any width from 0 to 64.
//!
//! Eight values of one width fill exactly `width` bytes, so unpacking runs in
//! groups of eight with every shift known to the compiler, or in vectors where
//! the processor has them ([`simd`]).

use super::simd::{self, GROUP};

/// The widest value, in bits.
pub const WIDTH_MAX: u8 = 64;

/// Bits `value` needs: 0 for 0, 64 for the largest.
pub fn width_of(value: u64) -> u8 {
    (u64::BITS - value.leading_zeros()) as u8
}

/// The largest value of `width` bits.
pub fn mask(width: u8) -> u64 {
    u64::MAX
        .checked_shr(u64::BITS - u32::from(width.min(WIDTH_MAX)))
        .unwrap_or(0)
}

/// Bytes that `count` values of `width` bits occupy.
pub fn packed_bytes(count: usize, width: u8) -> usize {
    (count * usize::from(width)).div_ceil(8)
}

/// Appends `values`, each of at most `width` bits; the last byte is filled
/// with zero bits.
pub fn pack(values: impl Iterator<Item = u64>, width: u8, out: &mut Vec<u8>) {
    let (mut pending, mut pending_bits) = (0_u128, 0_u32);
    for value in values {
        debug_assert!(value <= mask(width));
        pending |= u128::from(value) << pending_bits;
        pending_bits += u32::from(width);
        if pending_bits >= u64::BITS {
            out.extend_from_slice(&(pending as u64).to_le_bytes());
            pending >>= u64::BITS;
            pending_bits -= u64::BITS;
        }
    }
    let rest = pending.to_le_bytes();
    out.extend(rest.iter().take(pending_bits.div_ceil(8) as usize));
}

/// Fills `out` with the values packed at the front of `bytes`, each added to
/// `base` modulo 2^64. A width beyond 64 counts as 64; where `bytes` is too
/// short, the values missing are `base`. Where `bytes` goes on behind them,
/// all the better: vectors are loaded whole.
pub fn unpack(bytes: &[u8], width: u8, base: i64, out: &mut [i64]) {
    let unpack_groups = UNPACK[usize::from(width.min(WIDTH_MAX))];
    let (groups, rest) = out.as_chunks_mut::<GROUP>();
    let mut done = simd::unpack(bytes, width, base, groups);
    if done < groups.len() {
        let bytes = bytes.get(done * usize::from(width)..).unwrap_or(&[]);
        done += unpack_groups(bytes, base, &mut groups[done..]);
    }
    if done == groups.len() && rest.is_empty() {
        return;
    }
    // What does not fill a group is unpacked from a copy with zeros behind it.
    let mut source = bytes.get(done * usize::from(width)..).unwrap_or(&[]);
    for target in groups[done..]
        .iter_mut()
        .map(|group| &mut group[..])
        .chain([rest])
    {
        let mut padded = [0; WIDTH_MAX as usize];
        let length = source.len().min(usize::from(width));
        let (group, after) = source.split_at(length);
        padded[..length].copy_from_slice(group);
        source = after;
        let mut values = [[0; GROUP]];
        unpack_groups(&padded, base, &mut values);
        target.copy_from_slice(&values[0][..target.len()]);
    }
}

/// The sum of the first `count` values, at most 64, packed at the front of
/// `bytes`, which may go on; values missing count as zero.
#[inline]
pub fn sum(bytes: &[u8], width: u8, count: usize) -> u128 {
    let (groups, mut total) = simd::sum(bytes, width, count / GROUP);
    let mut wide = u128::from(total);
    let done = groups * GROUP;
    if done < count {
        let mut values = [0; 64];
        let values = &mut values[..(count - done).min(64)];
        let bytes = bytes.get(groups * usize::from(width)..).unwrap_or(&[]);
        unpack(bytes, width, 0, values);
        if width < 58 {
            // 64 of these do not leave 64 bits.
            total = values.iter().map(|value| *value as u64).sum();
            wide += u128::from(total);
        } else {
            wide += values.iter().map(|v| u128::from(*v as u64)).sum::<u128>();
        }
    }
    wide
}

/// The value at `index`; zero bits where `bytes` is too short.
pub fn get(bytes: &[u8], width: u8, index: usize) -> u64 {
    let bit = index * usize::from(width);
    let rest = bytes.get(bit / 8..).unwrap_or(&[]);
    let word = rest.first_chunk().copied().unwrap_or_else(|| {
        let mut word = [0; 16];
        let length = rest.len().min(16);
        word[..length].copy_from_slice(&rest[..length]);
        word
    });
    (u128::from_le_bytes(word) >> (bit % 8)) as u64 & mask(width)
}

/// Bits of a [`window`] that are always those of the stream.
pub const WINDOW_BITS: u32 = 57;

/// The bits from `bit` on; zeros behind the end.
#[inline(always)]
pub fn window(bytes: &[u8], bit: usize) -> u64 {
    let at = bit / 8;
    let word = match bytes.get(at..at + 8).and_then(<[u8]>::first_chunk) {
        Some(word) => *word,
        None => last_word(bytes, at),
    };
    u64::from_le_bytes(word) >> (bit % 8)
}

#[cold]
#[inline(never)]
fn last_word(bytes: &[u8], at: usize) -> [u8; 8] {
    let mut word = [0; 8];
    let rest = bytes.get(at..).unwrap_or(&[]);
    word[..rest.len().min(8)].copy_from_slice(&rest[..rest.len().min(8)]);
    word
}

/// Unpacks whole groups as long as `bytes` holds them; how many it did.
type UnpackGroups = fn(&[u8], i64, &mut [[i64; GROUP]]) -> usize;

fn unpack_groups<const WIDTH: usize>(bytes: &[u8], base: i64, out: &mut [[i64; GROUP]]) -> usize {
    if WIDTH == 0 {
        out.as_flattened_mut().fill(base);
        return out.len();
    }
    let (packed, _) = bytes.as_chunks::<WIDTH>();
    for (group, values) in packed.iter().zip(&mut *out) {
        for (index, value) in values.iter_mut().enumerate() {
            *value = base.wrapping_add(extract(group, index) as i64);
        }
    }
    packed.len().min(out.len())
}

/// Value `index` of a group. Reads the eight bytes that hold it, moved back
/// where they would leave the group; beyond 57 bits a value can touch nine.
#[inline(always)]
fn extract<const WIDTH: usize>(group: &[u8; WIDTH], index: usize) -> u64 {
    let bit = index * WIDTH;
    let mask = u64::MAX >> (64 - WIDTH);
    if WIDTH < 8 {
        let mut word = [0; 8];
        word[..WIDTH].copy_from_slice(group);
        (u64::from_le_bytes(word) >> bit) & mask
    } else if WIDTH <= 57 {
        let start = (bit / 8).min(WIDTH - 8);
        let mut word = [0; 8];
        word.copy_from_slice(&group[start..start + 8]);
        (u64::from_le_bytes(word) >> (bit - start * 8)) & mask
    } else {
        let start = (bit / 8).min(WIDTH - 16);
        let mut word = [0; 16];
        word.copy_from_slice(&group[start..start + 16]);
        (u128::from_le_bytes(word) >> (bit - start * 8)) as u64 & mask
    }
}

macro_rules! by_width {
    ($($width:literal)*) => { [$(unpack_groups::<$width>),*] };
}

static UNPACK: [UnpackGroups; WIDTH_MAX as usize + 1] = by_width!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
    33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_the_little_endian_bit_stream() {
        let mut bytes = Vec::new();
        pack([1, 2, 3, 7, 0].into_iter(), 3, &mut bytes);
        assert_eq!(bytes, [0b1101_0001, 0b0000_1110]);
    }

    #[test]
    fn widths_and_masks() {
        assert_eq!((width_of(0), width_of(1), width_of(u64::MAX)), (0, 1, 64));
        assert_eq!((mask(0), mask(1), mask(64)), (0, 1, u64::MAX));
        assert_eq!((mask(200), packed_bytes(3, 3)), (u64::MAX, 2));
    }

    #[test]
    fn too_few_bytes_leave_the_base() {
        let mut values = [0; 19];
        unpack(&[0xff, 0xff], 8, 5, &mut values);
        assert_eq!(values[..3], [260, 260, 5]);
        unpack(&[], 64, -1, &mut values);
        assert_eq!(values, [-1; 19]);
        unpack(&[1, 2], 255, 0, &mut values);
        assert_eq!(values[..2], [513, 0]);
        // Nor does anything of what was there stay where the groups are whole.
        let mut whole = [7; 4 * GROUP];
        unpack(&[0xff; 9], 8, 5, &mut whole);
        assert_eq!((whole[8], whole[9], whole[4 * GROUP - 1]), (260, 5, 5));
    }

    proptest! {
        #[test]
        fn every_width_round_trips(
            width in 0..=WIDTH_MAX,
            base: i64,
            values in proptest::collection::vec(any::<u64>(), 0..200),
            behind in 0..9_usize,
        ) {
            let values: Vec<u64> = values.iter().map(|value| value & mask(width)).collect();
            let mut bytes = Vec::new();
            pack(values.iter().copied(), width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_bytes(values.len(), width));
            bytes.extend(std::iter::repeat_n(0xff, behind));
            let mut out = vec![0; values.len()];
            unpack(&bytes, width, base, &mut out);
            for (index, (value, got)) in values.iter().zip(&out).enumerate() {
                prop_assert_eq!(base.wrapping_add(*value as i64), *got);
                prop_assert_eq!(get(&bytes, width, index), *value);
            }
            for count in [values.len().min(64), values.len().min(13)] {
                let expected = values[..count].iter().map(|value| u128::from(*value));
                prop_assert_eq!(sum(&bytes, width, count), expected.sum::<u128>());
            }
        }
    }
}
