//! An ascending list of places below 1,440, coded by its gaps (Rice): close
//! to the entropy of places that are chosen at random.
//!
//! Presence uses it for minutes, sparse columns for the values that differ.

use super::bits::{self, WINDOW_BITS, window};
use super::cursor::Cursor;
use super::presence::{MINUTES, Presence};
use super::put;
use super::simd;

/// The most low bits of a gap that are stored as they are: 2^10 is the largest
/// power of two below a day's minutes.
const LOW_BITS_MAX: u8 = 10;

/// How a list will be written, and at what cost.
pub struct Plan {
    /// Bytes it takes.
    pub size: usize,
    low_bits: u8,
}

impl Plan {
    /// The best number of low bits for a list.
    ///
    /// One low bit more costs a bit a gap and saves half of every quotient, so
    /// the cost falls, then rises: the first rise ends the search.
    pub fn of(places: &Presence) -> Self {
        let count = places.count();
        let bits_at = |low_bits: u8| -> usize {
            let quotients = gaps(places).map(|gap| usize::from(gap >> low_bits));
            quotients.sum::<usize>() + count * (1 + usize::from(low_bits))
        };
        let (mut low_bits, mut bits) = (0, bits_at(0));
        while low_bits < LOW_BITS_MAX {
            let more = bits_at(low_bits + 1);
            if more >= bits {
                break;
            }
            (low_bits, bits) = (low_bits + 1, more);
        }
        let head = put::varint_bytes(head(count, low_bits));
        Plan {
            size: head + bits.div_ceil(8),
            low_bits,
        }
    }

    /// Appends `places`, of which this is the plan.
    pub fn write(&self, places: &Presence, out: &mut Vec<u8>) {
        put::varint(out, head(places.count(), self.low_bits));
        let (mut pending, mut pending_bits) = (0_u64, 0_u32);
        let mut push = |value: u64, width: u32| {
            pending |= value << pending_bits;
            pending_bits += width;
            while pending_bits >= 8 {
                out.push(pending as u8);
                pending >>= 8;
                pending_bits -= 8;
            }
        };
        for gap in gaps(places) {
            let mut quotient = u32::from(gap >> self.low_bits);
            while quotient >= 32 {
                push(0xffff_ffff, 32);
                quotient -= 32;
            }
            push((1 << quotient) - 1, quotient + 1);
            let low = u64::from(gap) & bits::mask(self.low_bits);
            push(low, u32::from(self.low_bits));
        }
        push(0, 7);
    }
}

/// The first field of a list.
fn head(count: usize, low_bits: u8) -> u64 {
    (count as u64) << 4 | u64::from(low_bits)
}

/// How many places lie between each and the one before.
fn gaps(places: &Presence) -> impl Iterator<Item = u16> + '_ {
    let mut next = 0;
    places.iter().map(move |place| {
        let gap = place - next;
        next = place + 1;
        gap
    })
}

/// Reads a list, which may be empty.
pub fn read(cursor: &mut Cursor<'_>) -> Presence {
    simd::with_bit_instructions(
        #[inline(always)]
        || read_list(cursor),
    )
}

#[inline(always)]
fn read_list(cursor: &mut Cursor<'_>) -> Presence {
    let head_at = cursor.position();
    let head = cursor.length(head(usize::from(MINUTES), 0xf) as usize);
    let (count, low_bits) = (head >> 4, (head & 0xf) as u8);
    if low_bits > LOW_BITS_MAX {
        cursor.fail_at(head_at, "a gap with too many low bits");
    }
    if !cursor.is_sound() {
        return Presence::new();
    }
    let bytes = cursor.clone().take(cursor.remaining());
    let (mut places, mut next, mut bit) = (Presence::new(), 0_u32, 0_usize);
    let (mask, low_width) = (bits::mask(low_bits), u32::from(low_bits));
    for _ in 0..count {
        let mut word = window(bytes, bit);
        let mut quotient = word.trailing_ones();
        if quotient + 1 + low_width > WINDOW_BITS {
            // Further than a window shows, as only long gaps are.
            quotient = 0;
            loop {
                let ones = window(bytes, bit).trailing_ones().min(WINDOW_BITS);
                quotient += ones;
                bit += ones as usize;
                if ones < WINDOW_BITS || quotient >= u32::from(MINUTES) {
                    break;
                }
            }
            bit += 1;
            word = window(bytes, bit);
        } else {
            bit += quotient as usize + 1;
            word >>= quotient + 1;
        }
        let low = (word & mask) as u32;
        bit += usize::from(low_bits);
        let place = next + (quotient << low_bits) + low;
        if place >= u32::from(MINUTES) {
            cursor.fail("a place beyond the last");
            return Presence::new();
        }
        places.set(place as u16);
        next = place + 1;
    }
    let padding = window(bytes, bit) & bits::mask(((8 - bit % 8) % 8) as u8);
    cursor.take(bit.div_ceil(8));
    cursor.require(padding == 0, "bits set behind a list");
    places
}
