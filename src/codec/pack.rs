//! Columns of 64-bit integers, in the smallest of four layouts
//! (`docs/format/codecs.md`).

use super::cursor::Cursor;
use super::page::CELLS_MAX;
use super::places;
use super::presence::Presence;
use super::put;
use super::{frame_sums, frames};

/// One value throughout.
pub const CONSTANT: u8 = 1;
/// Frames of the values.
pub const PACKED: u8 = 2;
/// The first value, then frames of differences.
pub const DELTA: u8 = 3;
/// One value nearly throughout, the places where it is not, and what stands
/// there: rare events.
pub const SPARSE: u8 = 4;

/// How a column will be written, and at what cost.
pub struct Plan {
    layout: Layout,
    /// Bytes it takes, without its tag.
    pub size: usize,
}

enum Layout {
    Constant(i64),
    Packed(frames::Plan),
    Delta(i64, frames::Plan),
    Sparse(Box<Sparse>),
}

struct Sparse {
    common: i64,
    places: Presence,
    list: places::Plan,
    others: Vec<i64>,
    plan: Plan,
}

impl Plan {
    /// The smallest layout of `values`, of which there are at most
    /// [`CELLS_MAX`].
    pub fn of(values: &[i64]) -> Self {
        let dense = Self::dense(values);
        if let Layout::Constant(_) = dense.layout {
            return dense;
        }
        match Self::sparse(values) {
            Some(sparse) if sparse.size < dense.size => sparse,
            _ => dense,
        }
    }

    fn dense(values: &[i64]) -> Self {
        let first = values.first().copied().unwrap_or(0);
        if values.iter().all(|value| *value == first) {
            return Plan {
                layout: Layout::Constant(first),
                size: put::zigzag_bytes(first),
            };
        }
        let packed = frames::Plan::of(values.iter().copied());
        let delta = frames::Plan::of(differences(values));
        let delta_size = put::zigzag_bytes(first) + delta.size;
        // Without differences a frame can be read alone: they have to pay.
        if delta_size < packed.size {
            Plan {
                layout: Layout::Delta(first, delta),
                size: delta_size,
            }
        } else {
            Plan {
                size: packed.size,
                layout: Layout::Packed(packed),
            }
        }
    }

    /// The sparse layout, where one value is that of more than half the column.
    fn sparse(values: &[i64]) -> Option<Self> {
        let common = majority(values)?;
        let differ = |place: &u16| values[usize::from(*place)] != common;
        let places: Presence = (0..values.len() as u16).filter(differ).collect();
        if places.count() * 2 >= values.len() {
            return None;
        }
        let others: Vec<i64> = places
            .iter()
            .map(|place| values[usize::from(place)])
            .collect();
        let (list, plan) = (places::Plan::of(&places), Self::dense(&others));
        Some(Plan {
            size: put::zigzag_bytes(common) + list.size + 1 + plan.size,
            layout: Layout::Sparse(Box::new(Sparse {
                common,
                places,
                list,
                others,
                plan,
            })),
        })
    }

    /// The layout's number in the format.
    pub fn tag(&self) -> u8 {
        match self.layout {
            Layout::Constant(_) => CONSTANT,
            Layout::Packed(_) => PACKED,
            Layout::Delta(..) => DELTA,
            Layout::Sparse(_) => SPARSE,
        }
    }

    /// Appends `values`, of which this is the plan, without the tag.
    pub fn write(&self, values: &[i64], out: &mut Vec<u8>) {
        match &self.layout {
            Layout::Constant(value) => put::zigzag(out, *value),
            Layout::Packed(frames) => frames.write(values.iter().copied(), out),
            Layout::Delta(first, frames) => {
                put::zigzag(out, *first);
                frames.write(differences(values), out);
            }
            Layout::Sparse(sparse) => {
                put::zigzag(out, sparse.common);
                sparse.list.write(&sparse.places, out);
                out.push(sparse.plan.tag());
                sparse.plan.write(&sparse.others, out);
            }
        }
    }
}

/// Differences modulo 2^64: adding them up gives the values back whatever
/// they are.
fn differences(values: &[i64]) -> impl Iterator<Item = i64> + '_ {
    values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]))
}

/// The value of more than half of `values`, or any one where none is.
fn majority(values: &[i64]) -> Option<i64> {
    let (mut candidate, mut lead) = (*values.first()?, 0_usize);
    for value in values {
        if *value == candidate {
            lead += 1;
        } else if lead == 0 {
            (candidate, lead) = (*value, 1);
        } else {
            lead -= 1;
        }
    }
    Some(candidate)
}

/// Fills `out` with the values from `start` on of a column of `count`, at most
/// [`CELLS_MAX`], which stands at the cursor in layout `tag`.
pub fn read(tag: u8, cursor: &mut Cursor<'_>, count: usize, start: usize, out: &mut [i64]) {
    if tag != SPARSE {
        return read_dense(tag, cursor, count, start, out);
    }
    let at = cursor.position();
    out.fill(cursor.zigzag());
    let places = places::read(cursor);
    let layout = cursor.u8();
    // Mostly few: a page of zeros on the stack would cost more.
    let mut others = vec![0; places.count()];
    if others.is_empty() || places.last().is_some_and(|last| usize::from(last) >= count) {
        return cursor.fail_at(at, "a place beyond the column");
    }
    read_dense(layout, cursor, others.len(), 0, &mut others);
    for (place, other) in places.iter().zip(others) {
        let index = usize::from(place).checked_sub(start);
        if let Some(value) = index.and_then(|index| out.get_mut(index)) {
            *value = other;
        }
    }
}

/// Adds to `sums` those of the values from `cuts[i]` to `cuts[i + 1]` of a
/// column as in [`read`]; cuts ascend and do not go beyond `count`.
pub fn sums(tag: u8, cursor: &mut Cursor<'_>, count: usize, cuts: &[usize], sums: &mut [i128]) {
    match tag {
        CONSTANT => {
            let value = i128::from(cursor.zigzag());
            for (cut, sum) in cuts.windows(2).zip(sums) {
                *sum += value * (cut[1] - cut[0]) as i128;
            }
        }
        PACKED => frame_sums::sums(cursor, count, cuts, sums, false),
        SPARSE => sparse_sums(cursor, count, cuts, sums),
        DELTA if count > 0 => {
            let first = cursor.zigzag();
            frame_sums::running_sums(cursor, first, count - 1, cuts, sums);
        }
        DELTA => cursor.fail("differences of nothing"),
        _ => cursor.fail("an unknown layout of integers"),
    }
}

fn sparse_sums(cursor: &mut Cursor<'_>, count: usize, cuts: &[usize], sums: &mut [i128]) {
    let at = cursor.position();
    let common = i128::from(cursor.zigzag());
    let places = places::read(cursor);
    let layout = cursor.u8();
    let mut others = vec![0; places.count()];
    if others.is_empty() || places.last().is_some_and(|last| usize::from(last) >= count) {
        return cursor.fail_at(at, "a place beyond the column");
    }
    read_dense(layout, cursor, others.len(), 0, &mut others);
    for (cut, sum) in cuts.windows(2).zip(sums) {
        let others = &others[places.rank(cut[0] as u16)..places.rank(cut[1] as u16)];
        let same = cut[1] - cut[0] - others.len();
        *sum += common * same as i128 + frame_sums::add(others);
    }
}

/// The value at `index` of a column as in [`read`].
pub fn get(tag: u8, cursor: &mut Cursor<'_>, count: usize, index: usize) -> i64 {
    if tag == PACKED {
        return frames::get(cursor, count, index);
    }
    if tag == SPARSE {
        return get_sparse(cursor, count, index);
    }
    if tag == DELTA && count > 1 {
        // The differences up to it, added up as they are unpacked.
        let first = cursor.zigzag();
        let mut sum = [0];
        frame_sums::sums(cursor, count - 1, &[0, index], &mut sum, true);
        return first.wrapping_add(sum[0] as i64);
    }
    let mut value = [0];
    read_dense(tag, cursor, count, index, &mut value);
    value[0]
}

fn get_sparse(cursor: &mut Cursor<'_>, count: usize, index: usize) -> i64 {
    let at = cursor.position();
    let common = cursor.zigzag();
    let places = places::read(cursor);
    let layout = cursor.u8();
    if places.is_empty() || places.last().is_some_and(|last| usize::from(last) >= count) {
        cursor.fail_at(at, "a place beyond the column");
        return 0;
    }
    if !places.get(index as u16) {
        return common;
    }
    let rank = places.rank(index as u16);
    if layout == PACKED {
        return frames::get(cursor, places.count(), rank);
    }
    let mut value = [0];
    read_dense(layout, cursor, places.count(), rank, &mut value);
    value[0]
}

fn read_dense(tag: u8, cursor: &mut Cursor<'_>, count: usize, start: usize, out: &mut [i64]) {
    match tag {
        CONSTANT => out.fill(cursor.zigzag()),
        PACKED => frames::read(cursor, count, start, out, false),
        DELTA if start > 0 => {
            // A sum needs all differences before it.
            let mut values = [0; CELLS_MAX];
            let values = &mut values[..(start + out.len()).min(CELLS_MAX)];
            read_dense(DELTA, cursor, count, 0, values);
            out.copy_from_slice(&values[start..]);
        }
        DELTA => {
            let first = cursor.zigzag();
            let Some((target, rest)) = out.split_first_mut() else {
                return cursor.fail("differences of nothing");
            };
            *target = first;
            frames::read(cursor, count - 1, 0, rest, true);
            let mut sum = first;
            for value in rest {
                sum = sum.wrapping_add(*value);
                *value = sum;
            }
        }
        _ => cursor.fail("an unknown layout of integers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i64]) -> (u8, usize) {
        let plan = Plan::of(values);
        let mut bytes = Vec::new();
        plan.write(values, &mut bytes);
        assert_eq!(bytes.len(), plan.size, "layout {}", plan.tag());
        let mut out = vec![0; values.len()];
        let mut cursor = Cursor::new(&bytes);
        read(plan.tag(), &mut cursor, values.len(), 0, &mut out);
        assert_eq!(cursor.finish(), Ok(()));
        assert_eq!(out, values);
        for (start, end) in [
            (0, 1),
            (1, values.len()),
            (values.len() / 2, values.len() / 2 + 1),
        ] {
            if start == end {
                continue;
            }
            let mut cursor = Cursor::new(&bytes);
            let part = &mut out[start..end];
            read(plan.tag(), &mut cursor, values.len(), start, part);
            assert_eq!(cursor.finish(), Ok(()));
            assert_eq!(part, &values[start..end]);
            let mut cursor = Cursor::new(&bytes);
            assert_eq!(
                get(plan.tag(), &mut cursor, values.len(), start),
                values[start]
            );
            assert_eq!(cursor.check(), Ok(()));
            let cuts = [start, start, end, values.len()];
            let (mut cursor, mut out) = (Cursor::new(&bytes), [1, 10, 100]);
            sums(plan.tag(), &mut cursor, values.len(), &cuts, &mut out);
            assert_eq!(cursor.check(), Ok(()));
            let sum = |from: usize, to: usize| {
                values[from..to]
                    .iter()
                    .map(|v| i128::from(*v))
                    .sum::<i128>()
            };
            assert_eq!(out, [1, 10 + sum(start, end), 100 + sum(end, values.len())]);
        }
        for cut in 0..bytes.len() {
            let mut cursor = Cursor::new(&bytes[..cut]);
            read(plan.tag(), &mut cursor, values.len(), 0, &mut out);
            assert!(cursor.finish().is_err(), "cut at {cut}");
        }
        (plan.tag(), plan.size)
    }

    #[test]
    fn each_layout_where_it_is_smallest() {
        assert_eq!(round_trip(&[7; 1_440]), (CONSTANT, 1));
        assert_eq!(round_trip(&[i64::MIN]), (CONSTANT, 10));
        let slope: Vec<i64> = (0..1_440).map(|i| i * 1_000 - 5).collect();
        assert_eq!(round_trip(&slope).0, DELTA);
        let mut rare = [0; 1_440];
        (rare[77], rare[501], rare[1_439]) = (1, 1, 2);
        assert_eq!(round_trip(&rare), (SPARSE, 10));
        let noise: Vec<i64> = (0..1_440).map(|i| i * i * 0x9e37 % 61).collect();
        assert_eq!(round_trip(&noise).0, PACKED);
    }

    #[test]
    fn the_extremes_round_trip() {
        round_trip(&[i64::MIN, i64::MAX]);
        round_trip(&[i64::MAX, i64::MIN, 0, -1, i64::MAX]);
        round_trip(&[[i64::MIN; 129].as_slice(), &[i64::MAX; 200]].concat());
    }

    #[test]
    fn refused() {
        for (tag, bytes, what) in [
            (0, &[0][..], "an unknown layout of integers"),
            (9, &[], "an unknown layout of integers"),
            (SPARSE, &[0, 0x00, 1, 0], "a place beyond the column"),
            (
                SPARSE,
                &[0, 0x10, 0b0, SPARSE],
                "an unknown layout of integers",
            ),
            (SPARSE, &[0, 0x10, 0b11, 1, 0], "a place beyond the column"),
            (PACKED, &[0, 65, 0, 0, 0], "a frame beyond 64 bits"),
            (PACKED, &[2, 2, 0b1_0000], "bits set behind packed values"),
            (
                PACKED,
                // i64::MAX and one more.
                &[
                    0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 0b10,
                ],
                "a value beyond 64 bits",
            ),
        ] {
            let mut cursor = Cursor::new(bytes);
            read(tag, &mut cursor, 2, 0, &mut [0; 2]);
            assert_eq!(cursor.finish().unwrap_err().what, what, "{tag} {bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_column_round_trips(
            values in proptest::collection::vec(any::<i64>(), 1..400),
            shift in 0..64_u32,
            rare: bool,
            sum: bool,
        ) {
            let mut values: Vec<i64> = values.iter().map(|value| value >> shift).collect();
            if rare {
                let is_rare = |index: usize| index.wrapping_mul(0x9e37_79b9) >> 7 & 0xf == 0;
                (0..values.len()).filter(|index| !is_rare(*index)).for_each(|index| values[index] = 1);
            }
            if sum {
                let mut total = 0_i64;
                for value in &mut values {
                    total = total.wrapping_add(*value);
                    *value = total;
                }
            }
            round_trip(&values);
        }

        #[test]
        fn any_bytes_are_handled(
            tag in 0..5_u8,
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
            count in 1..1_441_usize,
            start in 0..1_440_usize,
            length in 1..1_441_usize,
        ) {
            let start = start % count;
            let length = length.min(count - start);
            read(tag, &mut Cursor::new(&bytes), count, start, &mut vec![0; length]);
            get(tag, &mut Cursor::new(&bytes), count, start);
            let cuts = [start, start + length];
            sums(tag, &mut Cursor::new(&bytes), count, &cuts, &mut [0]);
        }
    }
}
