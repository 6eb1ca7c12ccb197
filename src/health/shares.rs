//! Where the share of the smaller arm falls: the bins of [`super::likelihood`],
//! and a run of minutes sorted into them.
//!
//! A release has a few exposure metrics and many metrics that are rates of the
//! same one, so that what depends on exposure alone is found once for all of
//! these.

use std::ops::Range;

use super::likelihood::MOMENTS;

/// Octaves of the smaller share that have bins: down to 2⁻⁴⁰.
const OCTAVES: usize = 40;
/// Bins an octave.
const BINS_AN_OCTAVE: usize = 16;
/// Bins a side (T the smaller arm, or C).
pub const SIDE: usize = OCTAVES * BINS_AN_OCTAVE;
/// Bits of the mantissa below those that name a bin.
const MANTISSA_REST: u32 = 52 - BINS_AN_OCTAVE.ilog2();
/// The keys, one a side, of all that is below the last octave.
const FAINT: usize = 2 * SIDE;
/// Keys there are.
const KEYS: usize = FAINT + 2;

/// A bin, as a number: side, octave and part of the octave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u16);

impl Place {
    /// Of a share in (0, ½].
    #[inline]
    pub fn of(share: f64, control_smaller: bool) -> Self {
        let bits = share.to_bits();
        let octave = 1022_u64.wrapping_sub(bits >> 52) as usize;
        let side = usize::from(control_smaller);
        if octave >= OCTAVES {
            return Place((FAINT + side) as u16);
        }
        let part = (bits >> MANTISSA_REST) as usize % BINS_AN_OCTAVE;
        // Below KEYS = 1,282.
        Place((side * SIDE + octave * BINS_AN_OCTAVE + part) as u16)
    }

    /// Its number, below 2·[`SIDE`] unless it is faint.
    #[inline]
    pub fn key(self) -> usize {
        usize::from(self.0)
    }

    /// Whether it is below the last octave, where there are no bins.
    #[inline]
    pub fn is_faint(self) -> bool {
        self.key() >= FAINT
    }

    /// Whether C is the smaller arm.
    #[inline]
    pub fn control_smaller(self) -> bool {
        (SIDE..FAINT).contains(&self.key()) || self.key() == FAINT + 1
    }

    /// q₀: the share in the middle of the bin.
    #[inline]
    pub const fn middle(self) -> f64 {
        let within = self.0 as usize % SIDE;
        let exponent = 1022 - (within / BINS_AN_OCTAVE) as u64;
        let part = (within % BINS_AN_OCTAVE) as u64;
        let half = 1_u64 << (MANTISSA_REST - 1);
        f64::from_bits(exponent << 52 | part << MANTISSA_REST | half)
    }

    /// 1/q₀.
    #[inline]
    pub fn inverse(self) -> f64 {
        INVERSES[self.key() % SIDE]
    }
}

/// 1/q₀ of the bins of a side: a division a minute less.
static INVERSES: [f64; SIDE] = {
    let mut all = [0.0; SIDE];
    let mut key = 0;
    while key < SIDE {
        all[key] = 1.0 / Place(key as u16).middle();
        key += 1;
    }
    all
};

/// v⁰ … v⁷.
#[inline(always)]
pub fn powers(v: f64) -> [f64; MOMENTS] {
    let square = v * v;
    let cube = v * square;
    let fourth = square * square;
    [
        1.0,
        v,
        square,
        cube,
        fourth,
        v * fourth,
        square * fourth,
        cube * fourth,
    ]
}

/// The minutes of a run in which both arms have exposure, bin by bin.
#[derive(Debug, Default)]
pub struct Shares {
    /// Minutes (counted from the start of the run), ascending within a bin.
    order: Vec<u16>,
    /// v⁰ … v⁷ of each, v = q/q₀ − 1; the share itself first where it is faint.
    powers: Vec<[f64; MOMENTS]>,
    /// Each bin, ascending, and where in these its minutes end.
    bins: Vec<(Place, usize)>,
    /// Scratch: the place of each minute, and how many each place has.
    places: Vec<(f64, Place)>,
    counts: Vec<u16>,
}

/// Of a minute without exposure on both sides.
const NOWHERE: Place = Place(KEYS as u16);

impl Shares {
    /// Sorts a run of at most 65,535 minutes, given the share of the smaller
    /// arm (0 where there is none) and whether that is C.
    #[inline(always)]
    pub fn sort(&mut self, shares: impl Iterator<Item = (f64, bool)>) {
        self.counts.clear();
        self.counts.resize(KEYS + 1, 0);
        self.places.clear();
        self.bins.clear();
        for (share, control_smaller) in shares {
            let place = if share > 0.0 {
                Place::of(share, control_smaller)
            } else {
                NOWHERE
            };
            let count = &mut self.counts[place.key()];
            if *count == 0 && place != NOWHERE {
                self.bins.push((place, 0));
            }
            *count += 1;
            self.places.push((share, place));
        }
        self.bins.sort_unstable_by_key(|(place, _)| place.key());
        let mut end = 0;
        for (place, ends) in &mut self.bins {
            // From here on the count is where the next of its minutes goes.
            let count = std::mem::replace(&mut self.counts[place.key()], end);
            end += count;
            *ends = usize::from(end);
        }
        let total = usize::from(end);
        self.order.clear();
        self.order.resize(total, 0);
        self.powers.clear();
        self.powers.resize(total, [0.0; MOMENTS]);
        for ((share, place), minute) in self.places.iter().zip(0..) {
            if *place == NOWHERE {
                continue;
            }
            let next = &mut self.counts[place.key()];
            let at = usize::from(*next);
            *next += 1;
            self.order[at] = minute;
            self.powers[at] = if place.is_faint() {
                [*share, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
            } else {
                powers(share * place.inverse() - 1.0)
            };
        }
    }

    /// Each bin, with those of its minutes that lie in `minutes` and their
    /// powers.
    pub fn bins(
        &self,
        minutes: Range<usize>,
    ) -> impl Iterator<Item = (Place, impl Iterator<Item = (usize, &[f64; MOMENTS])>)> {
        let whole = minutes.start == 0 && minutes.end >= self.places.len();
        let starts = std::iter::once(0).chain(self.bins.iter().map(|(_, end)| *end));
        self.bins
            .iter()
            .zip(starts)
            .map(move |((place, end), start)| {
                let (mut from, mut to) = (start, *end);
                if !whole {
                    let order = &self.order[start..*end];
                    from = start + order.partition_point(|it| usize::from(*it) < minutes.start);
                    to = start + order.partition_point(|it| usize::from(*it) < minutes.end);
                }
                let order = self.order[from..to].iter().map(|it| usize::from(*it));
                (*place, order.zip(&self.powers[from..to]))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_in_the_bin() {
        let mut share = 0.5;
        while share > 1e-14 {
            for control_smaller in [false, true] {
                let place = Place::of(share, control_smaller);
                if !place.is_faint() {
                    assert_eq!(Place::of(place.middle(), control_smaller), place);
                    assert!((share * place.inverse() - 1.0).abs() <= 1.0 / 32.0);
                }
                assert_eq!(place.control_smaller(), control_smaller);
            }
            share *= 0.99;
        }
        assert!(Place::of(1e-13, true).is_faint() && !Place::of(1e-12, true).is_faint());
    }

    #[test]
    fn every_minute_is_in_one_bin_and_in_order() {
        let given: Vec<(f64, bool)> = (0..1_440_u32)
            .map(|minute| match minute % 7 {
                0 => (0.0, false),
                1 => (1e-14, minute % 2 == 0),
                _ => (f64::from(minute % 91 + 1) / 200.0, minute % 3 == 0),
            })
            .collect();
        let mut shares = Shares::default();
        for _ in 0..2 {
            shares.sort(given.iter().copied());
            for minutes in [0..1_440, 0..700, 700..701, 701..1_440] {
                let mut seen = Vec::new();
                for (place, run) in shares.bins(minutes.clone()) {
                    let mut last = None;
                    for (minute, powers) in run {
                        let (share, control_smaller) = given[minute];
                        assert_eq!(Place::of(share, control_smaller), place);
                        assert!(place.is_faint() || powers[1].abs() <= 1.0 / 32.0);
                        assert!(last.replace(minute) < Some(minute));
                        seen.push(minute);
                    }
                }
                seen.sort_unstable();
                let expected: Vec<usize> = minutes.filter(|it| it % 7 != 0).collect();
                assert_eq!(seen, expected);
            }
        }
    }
}
