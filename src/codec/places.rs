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
    let (mut places, mut next) = (Presence::new(), 0_u32);
    let (mask, low_width) = (bits::mask(low_bits), u32::from(low_bits));
    let mut stream = Bits::from(bytes, 0);
    for index in 0..count {
        // Between times the next gap waits for the bits of the one before alone, and
        // for no load.
        if index % GAPS_A_WORD == 0 {
            stream.fill();
        }
        let mut quotient = stream.word.trailing_ones();
        if quotient + 1 + low_width > GAP_BITS {
            // Only long gaps are, and those of long lists of few.
            let bit;
            (quotient, bit) = long_run(bytes, stream.position());
            stream = Bits::from(bytes, bit);
        } else {
            stream.skip(quotient + 1);
        }
        let low = (stream.word & mask) as u32;
        stream.skip(low_width);
        let place = next + (quotient << low_bits) + low;
        if place >= u32::from(MINUTES) {
            cursor.fail("a place beyond the last");
            return Presence::new();
        }
        places.set(place as u16);
        next = place + 1;
    }
    let bit = stream.position();
    let padding = window(bytes, bit) & bits::mask(((8 - bit % 8) % 8) as u8);
    cursor.take(bit.div_ceil(8));
    cursor.require(padding == 0, "bits set behind a list");
    places
}

/// Bits of a [`Bits::word`] that are always those of the stream once it is full.
const ALWAYS: u32 = 56;

/// Gaps that are read from one word, and the most bits each of them takes.
const GAPS_A_WORD: usize = 3;
const GAP_BITS: u32 = (ALWAYS - 7) / GAPS_A_WORD as u32;

/// A stream of bits, the next ones in a word.
struct Bits<'a> {
    bytes: &'a [u8],
    /// The byte behind those that are in the word.
    at: usize,
    word: u64,
    /// How many bits of the word count.
    left: u32,
}

impl<'a> Bits<'a> {
    /// Full, from a bit on.
    #[inline(always)]
    fn from(bytes: &'a [u8], bit: usize) -> Self {
        let used = (bit % 8) as u32;
        Bits {
            bytes,
            at: bit / 8 + 7,
            word: window(bytes, bit),
            left: ALWAYS - used,
        }
    }

    /// Tops the word up with whole bytes; zeros behind the end.
    #[inline(always)]
    fn fill(&mut self) {
        self.word |= window(self.bytes, 8 * self.at) << self.left;
        self.at += (63 - self.left) as usize / 8;
        self.left |= ALWAYS;
    }

    /// Goes on by `count` bits, no more than count.
    #[inline(always)]
    fn skip(&mut self, count: u32) {
        self.word >>= count;
        self.left -= count;
    }

    /// Where the next bit is.
    #[inline(always)]
    fn position(&self) -> usize {
        8 * self.at - self.left as usize
    }
}

/// Ones from a bit on up to the next 0, and the bit behind that. Ends at more than a day
/// has minutes.
#[cold]
fn long_run(bytes: &[u8], mut bit: usize) -> (u32, usize) {
    let mut ones = 0;
    loop {
        let more = window(bytes, bit).trailing_ones().min(WINDOW_BITS);
        ones += more;
        bit += more as usize;
        if more < WINDOW_BITS || ones >= u32::from(MINUTES) {
            return (ones, bit + 1);
        }
    }
}
