//! Frames of 64 integers, each stored as its distance from the lowest of its
//! frame at the width the frame needs.
//!
//! All headers stand before all packed bits, and are packed themselves, so
//! that a reader finds any frame without unpacking another.

use super::bits;
use super::cursor::Cursor;
use super::page::CELLS_MAX;
use super::put;
use super::simd;

/// Values of a frame; the last one of a column may hold fewer. Measured on
/// counts: 128 cost up to 4 % more bytes, 32 up to a quarter of the speed.
pub const FRAME: usize = 64;

const FRAMES_MAX: usize = CELLS_MAX.div_ceil(FRAME);

/// How a column will be written, and at what cost.
pub struct Plan {
    /// Bytes it takes.
    pub size: usize,
    minimum: i64,
    /// The lowest value and the width of each frame.
    frames: Vec<(i64, u8)>,
    width_minimum: u8,
    width_bits: u8,
    base_bits: u8,
}

/// The distance from `low` up to `high`; two 64-bit integers are never
/// further apart than 64 bits hold.
fn distance(low: i64, high: i64) -> u64 {
    high.wrapping_sub(low) as u64
}

impl Plan {
    /// Looks at all values once.
    pub fn of(mut values: impl Iterator<Item = i64>) -> Self {
        let (mut frames, mut packed) = (Vec::with_capacity(FRAMES_MAX), 0);
        while let Some(first) = values.next() {
            let (mut low, mut high, mut count) = (first, first, 1);
            for value in values.by_ref().take(FRAME - 1) {
                low = low.min(value);
                high = high.max(value);
                count += 1;
            }
            let width = bits::width_of(distance(low, high));
            packed += bits::packed_bytes(count, width);
            frames.push((low, width));
        }
        let lows = frames.iter().map(|(low, _)| *low);
        let (low, high) = (lows.clone().min().unwrap_or(0), lows.max().unwrap_or(0));
        let widths = frames.iter().map(|(_, width)| *width);
        let width_minimum = widths.clone().min().unwrap_or(0);
        let width_spread = widths.max().unwrap_or(0) - width_minimum;
        let width_bits = bits::width_of(width_spread.into());
        let base_bits = bits::width_of(distance(low, high));
        let mut head = put::zigzag_bytes(low) + 1;
        if frames.len() > 1 {
            head += 2
                + bits::packed_bytes(frames.len(), width_bits)
                + bits::packed_bytes(frames.len(), base_bits);
        }
        Plan {
            size: head + packed,
            minimum: low,
            frames,
            width_minimum,
            width_bits,
            base_bits,
        }
    }

    /// Appends `values`, of which this is the plan.
    pub fn write(&self, mut values: impl Iterator<Item = i64>, out: &mut Vec<u8>) {
        put::zigzag(out, self.minimum);
        out.push(self.width_minimum);
        if self.frames.len() > 1 {
            out.extend([self.width_bits, self.base_bits]);
            let widths = self.frames.iter();
            let widths = widths.map(|(_, width)| u64::from(width - self.width_minimum));
            bits::pack(widths, self.width_bits, out);
            let bases = self.frames.iter();
            let bases = bases.map(|(low, _)| distance(self.minimum, *low));
            bits::pack(bases, self.base_bits, out);
        }
        for (low, width) in &self.frames {
            let offsets = values.by_ref().take(FRAME);
            bits::pack(offsets.map(|value| distance(*low, value)), *width, out);
        }
    }
}

/// The headers of a column's frames.
pub(super) struct Headers {
    pub count: usize,
    pub minimum: i64,
    pub width_minimum: u8,
    pub widths: [i64; HEADERS],
    pub bases: [i64; HEADERS],
}

/// Headers are unpacked in whole groups: those behind the last frame's say nothing.
const HEADERS: usize = FRAMES_MAX.next_multiple_of(simd::GROUP);

impl Headers {
    /// Those of a column of `values`, at most [`CELLS_MAX`].
    pub fn read(cursor: &mut Cursor<'_>, values: usize) -> Self {
        let mut headers = Headers {
            count: values.div_ceil(FRAME).min(FRAMES_MAX),
            minimum: cursor.zigzag(),
            width_minimum: cursor.u8(),
            widths: [0; HEADERS],
            bases: [0; HEADERS],
        };
        if headers.count > 1 {
            let (width_bits, base_bits) = (cursor.u8(), cursor.u8());
            let count = headers.count;
            read_groups(cursor, width_bits, 0, count, &mut headers.widths);
            read_groups(cursor, base_bits, 0, count, &mut headers.bases);
        }
        headers
    }

    /// The lowest value and the width of frame `index`.
    pub fn frame(&self, index: usize) -> Option<(i64, u8)> {
        let base = self.bases[index] as u64;
        let width = u64::from(self.width_minimum).checked_add(self.widths[index] as u64)?;
        let width = u8::try_from(width).ok()?;
        let fits = width <= bits::WIDTH_MAX;
        Some((self.minimum.checked_add_unsigned(base)?, width)).filter(|_| fits)
    }
}

/// Fills `out` with the values from `start` on of a column of `count`, at most
/// [`CELLS_MAX`], whose frames stand at the cursor; unpacks no other frames.
/// Only where `wrap` says so may values leave 64 bits, around.
pub fn read(cursor: &mut Cursor<'_>, count: usize, start: usize, out: &mut [i64], wrap: bool) {
    let headers = Headers::read(cursor, count);
    let end = (start + out.len()).min(count);
    for index in 0..headers.count {
        let at = cursor.position();
        let Some((low, width)) = headers.frame(index) else {
            return cursor.fail_at(at, "a frame beyond 64 bits");
        };
        let first = index * FRAME;
        let next = (first + FRAME).min(count);
        if next <= start || first >= end {
            cursor.take(bits::packed_bytes(next - first, width));
            continue;
        }
        let mut edge = [0; FRAME];
        let whole = first >= start && next <= end;
        let frame = if whole {
            &mut out[first - start..next - start]
        } else {
            &mut edge[..next - first]
        };
        read_packed(cursor, width, low, frame);
        let highest = low.checked_add_unsigned(bits::mask(width));
        if highest.is_none() && !wrap && frame.iter().any(|value| *value < low) {
            cursor.fail_at(at, "a value beyond 64 bits");
        }
        if !whole {
            let (from, to) = (first.max(start), next.min(end));
            out[from - start..to - start].copy_from_slice(&edge[from - first..to - first]);
        }
    }
}

/// The value at `index` of a column of `count`, at most [`CELLS_MAX`], whose
/// frames stand at the cursor. Only the bits of that one are unpacked.
pub fn get(cursor: &mut Cursor<'_>, count: usize, index: usize) -> i64 {
    let frame = index / FRAME;
    let headers = Headers::read(cursor, count);
    for passed in 0..headers.count {
        let at = cursor.position();
        let Some((low, width)) = headers.frame(passed) else {
            cursor.fail_at(at, "a frame beyond 64 bits");
            return 0;
        };
        let values = (count - passed * FRAME).min(FRAME);
        let packed = cursor.take_and_beyond(bits::packed_bytes(values, width));
        if passed == frame {
            let above = bits::get(packed, width, index % FRAME);
            return low.checked_add_unsigned(above).unwrap_or_else(|| {
                cursor.fail_at(at, "a value beyond 64 bits");
                0
            });
        }
    }
    cursor.fail("a value beyond the column");
    0
}

/// Reads `count` values in whole groups; what is in `out` behind them says nothing.
pub(super) fn read_groups<const N: usize>(
    cursor: &mut Cursor<'_>,
    width: u8,
    base: i64,
    count: usize,
    out: &mut [i64; N],
) {
    let at = cursor.position();
    if width > bits::WIDTH_MAX {
        return cursor.fail_at(at, "values wider than 64 bits");
    }
    let length = bits::packed_bytes(count, width);
    let packed = cursor.take_and_beyond(length);
    let (groups, _) = out.as_chunks_mut();
    let wanted = count.div_ceil(simd::GROUP);
    if simd::unpack(packed, width, base, &mut groups[..wanted]) < wanted {
        bits::unpack(packed, width, base, &mut out[..count]);
    }
    check_padding(cursor, at, packed, width, count);
}

/// Reads as many values as `out` takes, to the last byte they touch.
fn read_packed(cursor: &mut Cursor<'_>, width: u8, base: i64, out: &mut [i64]) {
    let at = cursor.position();
    if width > bits::WIDTH_MAX {
        return cursor.fail_at(at, "values wider than 64 bits");
    }
    let length = bits::packed_bytes(out.len(), width);
    let packed = cursor.take_and_beyond(length);
    bits::unpack(packed, width, base, out);
    check_padding(cursor, at, packed, width, out.len());
}

/// The bits behind `count` values in the last byte they touch are not set.
fn check_padding(cursor: &mut Cursor<'_>, at: usize, packed: &[u8], width: u8, count: usize) {
    let used_bits = count * usize::from(width) % 8;
    let length = bits::packed_bytes(count, width);
    let last = packed.get(..length).and_then(<[u8]>::last);
    if used_bits > 0 && last.is_some_and(|last| last >> used_bits != 0) {
        cursor.fail_at(at, "bits set behind packed values");
    }
}
