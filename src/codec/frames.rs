//! Frames of 64 integers, each stored as its distance from the lowest of its
//! frame at the width the frame needs.
//!
//! All headers stand before all packed bits, and are packed themselves, so
//! that a reader finds any frame without unpacking another.

use std::ops::Range;

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
struct Headers {
    count: usize,
    minimum: i64,
    width_minimum: u8,
    widths: [i64; HEADERS],
    bases: [i64; HEADERS],
}

/// Headers are unpacked in whole groups: those behind the last frame's say nothing.
const HEADERS: usize = FRAMES_MAX.next_multiple_of(simd::GROUP);

impl Headers {
    /// Those of a column of `values`, at most [`CELLS_MAX`].
    fn read(cursor: &mut Cursor<'_>, values: usize) -> Self {
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
    fn frame(&self, index: usize) -> Option<(i64, u8)> {
        let base = self.bases[index] as u64;
        let width = u64::from(self.width_minimum).checked_add(self.widths[index] as u64)?;
        let width = u8::try_from(width).ok()?;
        let fits = width <= bits::WIDTH_MAX;
        Some((self.minimum.checked_add_unsigned(base)?, width)).filter(|_| fits)
    }

    /// Adds up the values of whole frames as long as it can, in one go: how many frames
    /// it did, and the sum.
    fn add_up(&self, cursor: &mut Cursor<'_>, frames: Range<usize>) -> (usize, i128) {
        let widths = &self.widths[frames.clone()];
        let packed = cursor.clone().take_and_beyond(0);
        let (done, above) = simd::sum_frames(packed, self.width_minimum, widths);
        let bases = &self.bases[frames.start..frames.start + done];
        let widths = &widths[..done];
        let (mut base, mut most, mut width, mut bits) = (0_u64, 0, 0, 0);
        for (own, more) in bases.iter().zip(widths) {
            // Held against their limit below, all at once.
            base = base.wrapping_add(*own as u64);
            most |= *own as u64;
            width = width.max(*more as u64);
            bits += u64::from(self.width_minimum) + *more as u64;
        }
        let highest = self.minimum.checked_add_unsigned(most);
        let span = bits::mask((u64::from(self.width_minimum) + width) as u8);
        let fits = highest.and_then(|it| it.checked_add_unsigned(span));
        if most > BASES_FAR || fits.is_none() {
            return (0, 0);
        }
        cursor.take(bits as usize * FRAME / 8);
        let lowest = i128::from(self.minimum) * done as i128 + i128::from(base);
        (done, (lowest << FRAME.ilog2()) + i128::from(above))
    }
}

/// Bases of a page's frames up to here add up within 64 bits.
const BASES_FAR: u64 = u64::MAX >> 8;

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

/// Adds to `sums` those of a column of `count`, at most [`CELLS_MAX`], whose
/// frames stand at the cursor: sum `i` is that of the values from `cuts[i]` to
/// `cuts[i + 1]`. Cuts ascend and do not go beyond `count`. Frames that no cut
/// divides are added up as they are unpacked. Values leave 64 bits as in
/// [`read`].
pub fn sums(cursor: &mut Cursor<'_>, count: usize, cuts: &[usize], sums: &mut [i128], wrap: bool) {
    let headers = Headers::read(cursor, count);
    let (mut part, mut done) = (0, 0);
    for index in 0..headers.count {
        if index < done {
            continue;
        }
        let at = cursor.position();
        let first = index * FRAME;
        let next = (first + FRAME).min(count);
        while part < sums.len() && cuts[part + 1] <= first {
            part += 1;
        }
        if part < sums.len() && cuts[part] <= first && next <= cuts[part + 1] {
            let (frames, sum) = headers.add_up(cursor, index..cuts[part + 1] / FRAME);
            sums[part] += sum;
            done = index + frames;
            if frames > 0 {
                continue;
            }
        }
        let Some((low, width)) = headers.frame(index) else {
            return cursor.fail_at(at, "a frame beyond 64 bits");
        };
        if part == sums.len() || next <= cuts[part] {
            cursor.take(bits::packed_bytes(next - first, width));
            continue;
        }
        let fits = low.checked_add_unsigned(bits::mask(width)).is_some();
        let divided = first < cuts[part] || cuts[part + 1] < next;
        if fits && !divided && next - first == FRAME {
            let packed = cursor.take_and_beyond(bits::packed_bytes(FRAME, width));
            let above = bits::sum(packed, width, FRAME);
            // A shift: a checked product of 128 bits is a call.
            sums[part] += (i128::from(low) << FRAME.ilog2()) + above as i128;
            continue;
        }
        let mut frame = [0; FRAME];
        read_groups(cursor, width, low, next - first, &mut frame);
        let frame = &mut frame[..next - first];
        if !fits && !wrap && frame.iter().any(|value| *value < low) {
            cursor.fail_at(at, "a value beyond 64 bits");
        }
        let parts = cuts.windows(2).zip(&mut *sums).skip(part);
        for (cut, sum) in parts.take_while(|(cut, _)| cut[0] < next) {
            let from = cut[0].clamp(first, next) - first;
            let to = cut[1].clamp(first, next) - first;
            *sum += add(&frame[from..to.max(from)]);
        }
    }
}

/// As [`sums`], of a column of `count` and one more that begins with `before`: what is in
/// the frames is how far each is from the one before, around 64 bits.
pub fn running_sums(
    cursor: &mut Cursor<'_>,
    mut before: i64,
    count: usize,
    cuts: &[usize],
    sums: &mut [i128],
) {
    let headers = Headers::read(cursor, count);
    for (cut, sum) in cuts.windows(2).zip(&mut *sums) {
        if cut[0] == 0 && cut[1] > 0 {
            *sum += i128::from(before);
        }
    }
    let mut part = 0;
    for index in 0..headers.count {
        let at = cursor.position();
        let Some((low, width)) = headers.frame(index) else {
            return cursor.fail_at(at, "a frame beyond 64 bits");
        };
        // Values, of which the first stands before all frames.
        let first = index * FRAME + 1;
        let next = (first + FRAME).min(count + 1);
        while part < sums.len() && cuts[part + 1] <= first {
            part += 1;
        }
        if part == sums.len() {
            cursor.take(bits::packed_bytes(next - first, width));
            continue;
        }
        let divided = first < cuts[part] || cuts[part + 1] < next;
        if !divided && next - first == FRAME && is_near(before, low, width) {
            let packed = cursor.clone().take_and_beyond(0);
            if let Some((sum, running)) = simd::sum_running(packed, width) {
                cursor.take(bits::packed_bytes(FRAME, width));
                let frame = FRAME as i64;
                let running = running as i64 + low * (frame * (frame + 1) / 2);
                sums[part] += i128::from(before) * FRAME as i128 + i128::from(running);
                before += low * frame + sum as i64;
                continue;
            }
        }
        let mut frame = [0; FRAME];
        read_groups(cursor, width, low, next - first, &mut frame);
        let frame = &mut frame[..next - first];
        for value in &mut *frame {
            before = before.wrapping_add(*value);
            *value = before;
        }
        let parts = cuts.windows(2).zip(&mut *sums).skip(part);
        for (cut, sum) in parts.take_while(|(cut, _)| cut[0] < next) {
            let from = cut[0].clamp(first, next) - first;
            let to = cut[1].clamp(first, next) - first;
            *sum += add(&frame[from..to.max(from)]);
        }
    }
}

/// Whether 64 steps of `width` bits above `low` from `before` stay within 64 bits, their
/// sums included.
fn is_near(before: i64, low: i64, width: u8) -> bool {
    const STEP: i64 = 1 << 40;
    width < 40 && (-STEP..STEP).contains(&low) && before.unsigned_abs() < 1 << 62
}

/// The sum of at most [`CELLS_MAX`] values.
pub fn add(values: &[i64]) -> i128 {
    // Counted from the least integer there is, and the halves of 32 bits apart:
    // so vectors add without a carry and without a sign.
    let above = |value: &i64| *value as u64 ^ 1 << 63;
    let (mut low, mut high) = (0_u64, 0_u64);
    for value in values {
        // A page of 32 bits each stays far below 64, so nothing wraps; a check
        // for each would keep vectors away.
        low = low.wrapping_add(above(value) & 0xffff_ffff);
        high = high.wrapping_add(above(value) >> 32);
    }
    (i128::from(high) << 32) + i128::from(low) - ((values.len() as i128) << 63)
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
fn read_groups<const N: usize>(
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
