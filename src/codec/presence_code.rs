//! Presence to bytes and back, in the smallest of six forms
//! (`docs/format/codecs.md`).
//!
//! Three of the forms are one list of minutes, read in three ways: the
//! minutes present, the minutes absent, or the minutes at which presence
//! changes. A list is coded by its gaps (Rice), close to the entropy of
//! minutes that are missing or present at random.

use super::bits;
use super::cursor::Cursor;
use super::presence::{BITMAP_BYTES, MINUTES, Presence};
use super::put;

/// Every minute of the day; no bytes.
const WHOLE: u8 = 1;
/// One run: its first minute, its length less one.
const RUN: u8 = 2;
/// The list of the minutes present.
const PRESENT: u8 = 3;
/// The list of the first minute, the minutes absent after it, the last minute.
const ABSENT: u8 = 4;
/// The list of the minutes that differ from the minute before.
const FLIPS: u8 = 5;
/// One bit a minute.
const BITMAP: u8 = 6;

/// The most low bits of a gap that are stored as they are: 2^10 is the largest
/// power of two below a day's minutes.
const LOW_BITS_MAX: u8 = 10;

/// How a presence will be written, and at what cost.
pub struct Plan {
    /// The form: the low half of a page's first byte.
    pub tag: u8,
    /// Bytes it takes.
    pub size: usize,
    minutes: Presence,
    low_bits: u8,
}

impl Plan {
    /// The smallest form of `presence`.
    pub fn of(presence: &Presence) -> Self {
        let (first, last) = (presence.first().unwrap_or(0), presence.last().unwrap_or(0));
        let count = presence.count();
        let plan = |tag, size| Plan {
            tag,
            size,
            minutes: presence.clone(),
            low_bits: 0,
        };
        if count == usize::from(MINUTES) {
            return plan(WHOLE, 0);
        }
        if count == usize::from(last - first) + 1 {
            let long = usize::from(first >= 0x80) + usize::from(last - first >= 0x80);
            return plan(RUN, 2 + long);
        }
        let mut best = plan(BITMAP, BITMAP_BYTES);
        let mut absent = presence.holes(first..last);
        absent.set(first);
        absent.set(last);
        for (tag, minutes) in [
            (PRESENT, presence.clone()),
            (ABSENT, absent),
            (FLIPS, presence.flips()),
        ] {
            let (low_bits, size) = list_size(&minutes);
            if size < best.size {
                best = Plan {
                    tag,
                    size,
                    minutes,
                    low_bits,
                };
            }
        }
        best
    }

    /// Appends the form without its tag.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self.tag {
            WHOLE => {}
            RUN => {
                let first = self.minutes.first().unwrap_or(0);
                put::varint(out, u64::from(first));
                let last = self.minutes.last().unwrap_or(first);
                put::varint(out, u64::from(last - first));
            }
            BITMAP => out.extend(self.minutes.bitmap()),
            _ => write_list(&self.minutes, self.low_bits, out),
        }
    }
}

/// Reads the form `tag`; a presence without a minute is refused.
pub fn read(tag: u8, cursor: &mut Cursor<'_>) -> Presence {
    let start = cursor.position();
    let presence = match tag {
        WHOLE => {
            let mut presence = Presence::new();
            presence.set_range(0..MINUTES);
            presence
        }
        RUN => read_run(cursor),
        PRESENT => read_list(cursor),
        ABSENT => read_absent(cursor),
        FLIPS => read_flips(cursor),
        BITMAP => match cursor.take(BITMAP_BYTES).first_chunk() {
            Some(bitmap) => Presence::from_bitmap(bitmap),
            None => Presence::new(),
        },
        _ => {
            cursor.fail_at(start, "an unknown form of presence");
            Presence::new()
        }
    };
    if presence.is_empty() {
        cursor.fail_at(start, "a page without a cell");
    }
    presence
}

fn read_run(cursor: &mut Cursor<'_>) -> Presence {
    let first = cursor.length(usize::from(MINUTES - 1)) as u16;
    let more = cursor.length(usize::from(MINUTES - 1 - first)) as u16;
    let mut presence = Presence::new();
    if cursor.is_sound() {
        presence.set_range(first..first + more + 1);
    }
    presence
}

fn read_absent(cursor: &mut Cursor<'_>) -> Presence {
    let absent = read_list(cursor);
    let (Some(first), Some(last)) = (absent.first(), absent.last()) else {
        return absent;
    };
    let mut presence = absent.holes(first..last);
    presence.set(first);
    presence.set(last);
    presence
}

fn read_flips(cursor: &mut Cursor<'_>) -> Presence {
    let flips = read_list(cursor);
    let mut presence = Presence::new();
    let mut minutes = flips.iter();
    while let Some(start) = minutes.next() {
        presence.set_range(start..minutes.next().unwrap_or(MINUTES));
    }
    presence
}

/// The gaps of a list: how many minutes lie between one and the one before.
fn gaps(minutes: &Presence) -> impl Iterator<Item = u16> + '_ {
    let mut next = 0;
    minutes.iter().map(move |minute| {
        let gap = minute - next;
        next = minute + 1;
        gap
    })
}

/// The best number of low bits for a list, and the bytes it then takes.
///
/// One low bit more costs a bit a gap and saves half of every quotient, so the
/// cost falls, then rises: the first rise ends the search.
fn list_size(minutes: &Presence) -> (u8, usize) {
    let count = minutes.count();
    let bits_at = |low_bits: u8| -> usize {
        let quotients: usize = gaps(minutes).map(|gap| usize::from(gap >> low_bits)).sum();
        quotients + count * (1 + usize::from(low_bits))
    };
    let (mut low_bits, mut bits) = (0, bits_at(0));
    while low_bits < LOW_BITS_MAX {
        let more = bits_at(low_bits + 1);
        if more >= bits {
            break;
        }
        (low_bits, bits) = (low_bits + 1, more);
    }
    let head = match list_head(count, low_bits) {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => 3,
    };
    (low_bits, head + bits.div_ceil(8))
}

fn list_head(count: usize, low_bits: u8) -> u64 {
    (count as u64) << 4 | u64::from(low_bits)
}

fn write_list(minutes: &Presence, low_bits: u8, out: &mut Vec<u8>) {
    put::varint(out, list_head(minutes.count(), low_bits));
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
    for gap in gaps(minutes) {
        let mut quotient = u32::from(gap >> low_bits);
        while quotient >= 32 {
            push(0xffff_ffff, 32);
            quotient -= 32;
        }
        push((1 << quotient) - 1, quotient + 1);
        push(u64::from(gap) & bits::mask(low_bits), u32::from(low_bits));
    }
    push(0, 7);
}

fn read_list(cursor: &mut Cursor<'_>) -> Presence {
    let head_at = cursor.position();
    let head = cursor.length(list_head(usize::from(MINUTES), 0xf) as usize);
    let (count, low_bits) = (head >> 4, (head & 0xf) as u32);
    if low_bits > u32::from(LOW_BITS_MAX) {
        cursor.fail_at(head_at, "a gap with too many low bits");
    }
    if !cursor.is_sound() {
        return Presence::new();
    }
    let bytes = cursor.clone().take(cursor.remaining());
    let (mut minutes, mut next, mut bit) = (Presence::new(), 0, 0);
    for _ in 0..count {
        let mut quotient = 0;
        loop {
            // At least 57 bits of the window are there.
            let ones = window(bytes, bit).trailing_ones().min(57);
            quotient += ones;
            bit += ones as usize;
            if ones < 57 || quotient >= u32::from(MINUTES) {
                break;
            }
        }
        bit += 1;
        let low = (window(bytes, bit) & bits::mask(low_bits as u8)) as u32;
        bit += low_bits as usize;
        let minute = next + (quotient << low_bits) + low;
        if minute >= u32::from(MINUTES) {
            cursor.fail("a minute beyond the day");
            return Presence::new();
        }
        minutes.set(minute as u16);
        next = minute + 1;
    }
    let padding = window(bytes, bit) & bits::mask(((8 - bit % 8) % 8) as u8);
    cursor.take(bit.div_ceil(8));
    cursor.require(padding == 0, "bits set behind a list of minutes");
    minutes
}

/// The bits from `bit` on, at least 57 of them; zeros behind the end.
fn window(bytes: &[u8], bit: usize) -> u64 {
    let rest = bytes.get(bit / 8..).unwrap_or(&[]);
    let word = rest.first_chunk().copied().unwrap_or_else(|| {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        word
    });
    u64::from_le_bytes(word) >> (bit % 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(presence: &Presence) -> (u8, usize) {
        let plan = Plan::of(presence);
        let mut bytes = Vec::new();
        plan.write(&mut bytes);
        assert_eq!(bytes.len(), plan.size, "form {}", plan.tag);
        let mut cursor = Cursor::new(&bytes);
        assert_eq!(read(plan.tag, &mut cursor), *presence);
        assert_eq!(cursor.finish(), Ok(()));
        for cut in 0..bytes.len() {
            let mut cursor = Cursor::new(&bytes[..cut]);
            read(plan.tag, &mut cursor);
            assert!(cursor.finish().is_err(), "form {} cut at {cut}", plan.tag);
        }
        (plan.tag, plan.size)
    }

    #[test]
    fn each_form_where_it_is_smallest() {
        let mut whole = Presence::new();
        whole.set_range(0..MINUTES);
        assert_eq!(round_trip(&whole), (WHOLE, 0));
        let single = Presence::from_iter([1_439]);
        assert_eq!(round_trip(&single), (RUN, 3));
        let run: Presence = (5..100).collect();
        assert_eq!(round_trip(&run), (RUN, 2));
        let sparse: Presence = (0..14).map(|i| i * 97 + 31).collect();
        assert_eq!(round_trip(&sparse).0, PRESENT);
        assert!(round_trip(&sparse).1 <= 18);
        let mut holes = whole.clone();
        (0..29).for_each(|i| holes.unset(i * 49 + i % 7));
        assert_eq!(round_trip(&holes).0, ABSENT);
        assert!(round_trip(&holes).1 <= 31);
        let hours: Presence = (0..MINUTES).filter(|m| m / 60 % 2 == 0).collect();
        assert_eq!(round_trip(&hours).0, FLIPS);
        let coin: Presence = (0..MINUTES)
            .filter(|m| u32::from(*m).wrapping_mul(0x9e37_79b9) >> 31 == 0)
            .collect();
        assert!(round_trip(&coin).1 <= BITMAP_BYTES);
        let mut noise = 1_u64;
        let coin: Presence = (0..MINUTES)
            .filter(|_| {
                noise = noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                noise >> 63 == 0
            })
            .collect();
        assert_eq!(round_trip(&coin), (BITMAP, BITMAP_BYTES));
    }

    #[test]
    fn refused() {
        for (tag, bytes, what) in [
            (0, &[][..], "an unknown form of presence"),
            (7, &[], "an unknown form of presence"),
            (RUN, &[0xa0, 0x0b, 0], "a length beyond its limit"),
            (RUN, &[1, 0x9f, 0x0b], "a length beyond its limit"),
            (PRESENT, &[0x00], "a page without a cell"),
            (PRESENT, &[0x1b, 0, 0], "a gap with too many low bits"),
            (
                PRESENT,
                &[0x1a, 0xff, 0xff, 0xff],
                "a minute beyond the day",
            ),
            (PRESENT, &[0x10, 0b10], "bits set behind a list of minutes"),
            (BITMAP, &[0; 180], "a page without a cell"),
            (BITMAP, &[1; 179], "cut short"),
        ] {
            let mut cursor = Cursor::new(bytes);
            read(tag, &mut cursor);
            assert_eq!(cursor.finish().unwrap_err().what, what, "{tag} {bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_presence_round_trips(
            minutes in proptest::collection::btree_set(0..MINUTES, 1..400),
            runs in proptest::collection::vec((0..MINUTES, 1..400_u16), 0..4),
            inverted: bool,
        ) {
            let mut presence: Presence = minutes.into_iter().collect();
            for (start, length) in runs {
                presence.set_range(start..start + length);
            }
            if inverted {
                presence = presence.holes(0..MINUTES);
            }
            prop_assume!(!presence.is_empty());
            round_trip(&presence);
        }

        #[test]
        fn any_bytes_are_handled(tag: u8, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut cursor = Cursor::new(&bytes);
            let presence = read(tag, &mut cursor);
            prop_assert!(cursor.check().is_err() || !presence.is_empty());
            prop_assert!(presence.count() <= 1_440);
        }
    }
}
