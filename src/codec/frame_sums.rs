//! Adding up columns of frames, mostly without their values.

use std::ops::Range;

use super::bits;
use super::cursor::Cursor;
use super::frames::{FRAME, Headers, read_groups};
use super::simd;

impl Headers {
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
