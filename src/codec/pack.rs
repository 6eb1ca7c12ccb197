//! Columns of 64-bit integers: one value throughout, or frames of 128 values
//! packed at the width each needs, of the values themselves or of their
//! differences.
//!
//! All headers stand before all packed bits, so that a reader finds any frame
//! without unpacking another.

use super::bits;
use super::cursor::Cursor;
use super::put;

/// One value throughout.
pub const CONSTANT: u8 = 1;
/// Frames of values.
pub const PACKED: u8 = 2;
/// The first value, then frames of differences.
pub const DELTA: u8 = 3;

/// Values of a frame; the last one of a column may hold fewer.
pub const FRAME: usize = 128;

/// The lowest value and the width of one frame.
#[derive(Clone, Copy)]
struct Frame {
    minimum: i64,
    width: u8,
}

/// The headers of a column: which frames, and what they will take.
struct Frames {
    minimum: i64,
    frames: Vec<Frame>,
    size: usize,
}

/// How a column will be written, and at what cost.
pub struct Plan {
    layout: Layout,
    /// Bytes it takes, without its tag.
    pub size: usize,
}

enum Layout {
    Constant(i64),
    Packed(Frames),
    Delta(i64, Frames),
}

impl Plan {
    /// The smallest layout of `values`.
    pub fn of(values: &[i64]) -> Self {
        let first = values.first().copied().unwrap_or(0);
        if values.iter().all(|value| *value == first) {
            return Plan {
                layout: Layout::Constant(first),
                size: zigzag_bytes(first),
            };
        }
        let packed = Frames::of(values.iter().copied());
        let delta = Frames::of(differences(values));
        let delta_size = zigzag_bytes(first) + delta.size;
        // Without differences a frame is read on its own: they have to pay.
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

    /// The layout's number in the format.
    pub fn tag(&self) -> u8 {
        match self.layout {
            Layout::Constant(_) => CONSTANT,
            Layout::Packed(_) => PACKED,
            Layout::Delta(..) => DELTA,
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
        }
    }
}

/// Differences modulo 2^64: adding them up gives the values back whatever
/// they are.
fn differences(values: &[i64]) -> impl Iterator<Item = i64> + Clone + '_ {
    values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]))
}

fn zigzag_bytes(value: i64) -> usize {
    varint_bytes(((value << 1) ^ (value >> 63)) as u64)
}

fn varint_bytes(value: u64) -> usize {
    usize::from(bits::width_of(value).max(1)).div_ceil(7)
}

/// The distance from `low` up to `high`; two 64-bit integers are never
/// further apart than 64 bits hold.
fn distance(low: i64, high: i64) -> u64 {
    high.wrapping_sub(low) as u64
}

impl Frames {
    fn of(mut values: impl Iterator<Item = i64>) -> Self {
        let (mut frames, mut packed) = (Vec::new(), 0);
        while let Some(first) = values.next() {
            let (mut low, mut high, mut count) = (first, first, 1);
            for value in values.by_ref().take(FRAME - 1) {
                low = low.min(value);
                high = high.max(value);
                count += 1;
            }
            let width = bits::width_of(distance(low, high));
            packed += bits::packed_bytes(count, width);
            frames.push(Frame {
                minimum: low,
                width,
            });
        }
        let minimum = frames.iter().map(|frame| frame.minimum).min().unwrap_or(0);
        let bases: usize = frames
            .iter()
            .map(|frame| varint_bytes(distance(minimum, frame.minimum)))
            .sum();
        let size = zigzag_bytes(minimum) + frames.len() + bases + packed;
        Frames {
            minimum,
            frames,
            size,
        }
    }

    fn write(&self, mut values: impl Iterator<Item = i64>, out: &mut Vec<u8>) {
        put::zigzag(out, self.minimum);
        for frame in &self.frames {
            out.push(frame.width);
            put::varint(out, distance(self.minimum, frame.minimum));
        }
        for frame in &self.frames {
            let offsets = values.by_ref().take(FRAME);
            let offsets = offsets.map(|value| distance(frame.minimum, value));
            bits::pack(offsets, frame.width, out);
        }
    }
}

/// Fills `out` with the column of layout `tag` that stands at the cursor.
pub fn read(tag: u8, cursor: &mut Cursor<'_>, out: &mut [i64]) {
    match tag {
        CONSTANT => out.fill(cursor.zigzag()),
        PACKED => read_frames(cursor, out, true),
        DELTA => {
            let Some((first, rest)) = out.split_first_mut() else {
                return;
            };
            *first = cursor.zigzag();
            read_frames(cursor, rest, false);
            let mut sum = *first;
            for value in rest {
                sum = sum.wrapping_add(*value);
                *value = sum;
            }
        }
        _ => cursor.fail("an unknown layout of integers"),
    }
}

/// Reads as many frames as `out` takes. Values may leave 64 bits only where
/// they are differences.
fn read_frames(cursor: &mut Cursor<'_>, out: &mut [i64], bounded: bool) {
    let minimum = cursor.zigzag();
    let mut headers = cursor.clone();
    for _ in out.chunks(FRAME) {
        let _ = read_header(cursor, minimum);
    }
    for frame in out.chunks_mut(FRAME) {
        let Some(header) = read_header(&mut headers, minimum) else {
            return;
        };
        let at = cursor.position();
        let length = bits::packed_bytes(frame.len(), header.width);
        let packed = cursor.take(length);
        if packed.len() < length {
            return;
        }
        bits::unpack(packed, header.width, header.minimum, frame);
        let highest = header
            .minimum
            .checked_add_unsigned(bits::mask(header.width));
        if bounded && highest.is_none() && frame.iter().any(|value| *value < header.minimum) {
            cursor.fail_at(at, "a value beyond 64 bits");
        }
        let used_bits = frame.len() * usize::from(header.width) % 8;
        if used_bits > 0 && packed.last().is_some_and(|last| last >> used_bits != 0) {
            cursor.fail_at(at, "bits set behind a frame");
        }
    }
}

fn read_header(cursor: &mut Cursor<'_>, minimum: i64) -> Option<Frame> {
    let at = cursor.position();
    let width = cursor.u8();
    if width > bits::WIDTH_MAX {
        cursor.fail_at(at, "a frame wider than 64 bits");
    }
    let base = cursor.varint();
    let Some(minimum) = minimum.checked_add_unsigned(base) else {
        cursor.fail_at(at, "a value beyond 64 bits");
        return None;
    };
    cursor.is_sound().then_some(Frame { minimum, width })
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
        read(plan.tag(), &mut cursor, &mut out);
        assert_eq!(cursor.finish(), Ok(()));
        assert_eq!(out, values);
        for cut in 0..bytes.len() {
            let mut cursor = Cursor::new(&bytes[..cut]);
            read(plan.tag(), &mut cursor, &mut out);
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
            (PACKED, &[0, 65, 0, 0, 0], "a frame wider than 64 bits"),
            (PACKED, &[2, 2, 0, 0b1_0000], "bits set behind a frame"),
            (
                PACKED,
                // i64::MAX and one more.
                &[
                    0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 0, 0b10,
                ],
                "a value beyond 64 bits",
            ),
            (
                PACKED,
                &[
                    0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 1,
                ],
                "a value beyond 64 bits",
            ),
        ] {
            let mut cursor = Cursor::new(bytes);
            read(tag, &mut cursor, &mut [0; 2]);
            assert_eq!(cursor.finish().unwrap_err().what, what, "{tag} {bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_column_round_trips(
            values in proptest::collection::vec(any::<i64>(), 1..400),
            shift in 0..64_u32,
            sum: bool,
        ) {
            let mut values: Vec<i64> = values.iter().map(|value| value >> shift).collect();
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
            count in 0..1_441_usize,
        ) {
            read(tag, &mut Cursor::new(&bytes), &mut vec![0; count]);
        }
    }
}
