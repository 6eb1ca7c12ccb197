//! Presence to bytes and back, in the smallest of six forms
//! (`docs/format/codecs.md`).
//!
//! Three of the forms are one list of minutes, read in three ways: the
//! minutes present, the minutes absent, or the minutes at which presence
//! changes.

use super::cursor::Cursor;
use super::places;
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

/// How a presence will be written, and at what cost.
pub struct Plan {
    /// The form: the low half of a page's first byte.
    pub tag: u8,
    /// Bytes it takes.
    pub size: usize,
    body: Body,
}

enum Body {
    None,
    Run(u16, u16),
    List(Presence, places::Plan),
    Bitmap(Presence),
}

impl Plan {
    /// The smallest form of `presence`.
    pub fn of(presence: &Presence) -> Self {
        let (first, last) = (presence.first().unwrap_or(0), presence.last().unwrap_or(0));
        let (count, more) = (presence.count(), last - first);
        if count == usize::from(MINUTES) {
            return Plan {
                tag: WHOLE,
                size: 0,
                body: Body::None,
            };
        }
        if count == usize::from(more) + 1 {
            return Plan {
                tag: RUN,
                size: put::varint_bytes(first.into()) + put::varint_bytes(more.into()),
                body: Body::Run(first, more),
            };
        }
        let mut best = Plan {
            tag: BITMAP,
            size: BITMAP_BYTES,
            body: Body::Bitmap(presence.clone()),
        };
        let mut absent = presence.holes(first..last);
        absent.set(first);
        absent.set(last);
        let lists = [
            (PRESENT, presence.clone()),
            (ABSENT, absent),
            (FLIPS, presence.flips()),
        ];
        for (tag, minutes) in lists {
            // A gap takes a bit at least.
            if minutes.count() / 8 >= best.size {
                continue;
            }
            let list = places::Plan::of(&minutes);
            if list.size < best.size {
                best = Plan {
                    tag,
                    size: list.size,
                    body: Body::List(minutes, list),
                };
            }
        }
        best
    }

    /// Appends the form without its tag.
    pub fn write(&self, out: &mut Vec<u8>) {
        match &self.body {
            Body::None => {}
            Body::Run(first, more) => {
                put::varint(out, u64::from(*first));
                put::varint(out, u64::from(*more));
            }
            Body::List(minutes, list) => list.write(minutes, out),
            Body::Bitmap(minutes) => out.extend(minutes.bitmap()),
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
        PRESENT => places::read(cursor),
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
    let absent = places::read(cursor);
    let (Some(first), Some(last)) = (absent.first(), absent.last()) else {
        return absent;
    };
    let mut presence = absent.holes(first..last);
    presence.set(first);
    presence.set(last);
    presence
}

fn read_flips(cursor: &mut Cursor<'_>) -> Presence {
    let flips = places::read(cursor);
    let mut presence = Presence::new();
    let mut minutes = flips.iter();
    while let Some(start) = minutes.next() {
        presence.set_range(start..minutes.next().unwrap_or(MINUTES));
    }
    presence
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
                "a place beyond the last",
            ),
            (PRESENT, &[0x10, 0b10], "bits set behind a list"),
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
