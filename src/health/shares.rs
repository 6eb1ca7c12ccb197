//! Where the share of the smaller arm falls: the bins of [`super::likelihood`],
//! and a run of minutes sorted into them.
//!
//! A release has a few exposure metrics and many metrics that are rates of the
//! same one, so that what depends on exposure alone is found once for all of
//! these.

use std::ops::Range;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

    /// [`Place::of`] any share, [`NOWHERE`] of 0: without a branch, so that many
    /// are found at once.
    #[inline(always)]
    fn or_nowhere(share: f64, control_smaller: bool) -> Self {
        let bits = share.to_bits();
        let octave = 1022_u64.wrapping_sub(bits >> 52);
        let side = u64::from(control_smaller);
        let part = bits >> MANTISSA_REST & (BINS_AN_OCTAVE as u64 - 1);
        let within = side * SIDE as u64 + octave * BINS_AN_OCTAVE as u64 + part;
        let faint = FAINT as u64 + side;
        let key = if octave >= OCTAVES as u64 {
            faint
        } else {
            within
        };
        Place(if share > 0.0 { key as u16 } else { NOWHERE.0 })
    }

    /// What a bin takes of a share in it.
    #[inline(always)]
    pub fn powers(self, share: f64) -> Powers {
        match self.slot() {
            FAINT.. => [share, 0.0, 0.0, 0.0],
            key => powers(share * INVERSES[key % SIDE] - 1.0),
        }
    }

    /// Its number, with a bound that a compiler sees.
    #[inline(always)]
    fn slot(self) -> usize {
        self.key().min(KEYS)
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

/// The smaller arm's share of exposure, 0 where it has none, and whether that
/// is C.
#[inline(always)]
pub fn smaller_share(treatment: f64, control: f64) -> (f64, bool) {
    let smaller = treatment.min(control);
    // Rounding may put equal arms a hair above one half.
    let share = (smaller * (1.0 / (treatment + control))).min(0.5);
    let some = smaller > 0.0;
    (if some { share } else { 0.0 }, some && control < treatment)
}

/// A buffer of so many.
#[inline(always)]
pub(super) fn sized<T: Clone + Default>(buffer: &mut Vec<T>, length: usize) -> &mut [T] {
    buffer.resize(length, T::default());
    &mut buffer[..length]
}

/// v⁰ … v³, v = q/q₀ − 1; of a faint place the share itself and nothing.
pub type Powers = [f64; 4];

#[inline(always)]
fn powers(v: f64) -> Powers {
    let square = v * v;
    [1.0, v, square, v * square]
}

/// v⁴ … v⁷.
#[inline(always)]
pub fn high_powers(low: &Powers) -> Powers {
    let fourth = low[2] * low[2];
    low.map(|power| power * fourth)
}

/// The minutes of a run in which both arms have exposure, bin by bin.
#[derive(Debug)]
pub struct Shares {
    /// Minutes (counted from the start of the run), ascending within a bin.
    order: Vec<u16>,
    powers: Vec<Powers>,
    /// Each bin, ascending, and where in these its minutes end.
    bins: Vec<(Place, usize)>,
    /// Scratch: the share and place of each minute, and how many each place has,
    /// all 0 between two runs.
    shares: Vec<f64>,
    places: Vec<Place>,
    counts: Box<[u16; PLACES]>,
}

/// Of a minute without exposure on both sides.
const NOWHERE: Place = Place(KEYS as u16);
const PLACES: usize = KEYS + 1;

impl Default for Shares {
    /// A run of no minute.
    fn default() -> Self {
        Shares {
            order: Vec::new(),
            powers: Vec::new(),
            bins: Vec::new(),
            shares: Vec::new(),
            places: Vec::new(),
            counts: Box::new([0; PLACES]),
        }
    }
}

impl Shares {
    /// Sorts a run of at most 65,535 minutes, given the exposures of T and of C.
    #[inline(always)]
    pub fn sort(&mut self, treatment: &[f64], control: &[f64]) {
        let length = treatment.len();
        let control = &control[..length];
        let shares = sized(&mut self.shares, length);
        let places = sized(&mut self.places, length);
        for at in 0..length {
            let (share, control_smaller) = smaller_share(treatment[at], control[at]);
            shares[at] = share;
            places[at] = Place::or_nowhere(share, control_smaller);
        }
        self.bins.clear();
        let counts = &mut *self.counts;
        for place in &*places {
            let count = &mut counts[place.slot()];
            if *count == 0 {
                self.bins.push((*place, 0));
            }
            *count += 1;
        }
        // Those of nowhere come last.
        self.bins.sort_unstable_by_key(|(place, _)| place.key());
        let mut end = 0;
        for (place, ends) in &mut self.bins {
            // From here on the count is where the next of its minutes goes.
            let count = std::mem::replace(&mut counts[place.slot()], end);
            end += count;
            *ends = usize::from(end);
        }
        let (order, powers) = (
            sized(&mut self.order, length),
            sized(&mut self.powers, length),
        );
        for ((share, place), minute) in shares.iter().zip(&*places).zip(0..) {
            let next = &mut counts[place.slot()];
            let at = usize::from(*next);
            *next += 1;
            order[at] = minute;
            powers[at] = place.powers(*share);
        }
        for (place, _) in &self.bins {
            counts[place.slot()] = 0;
        }
        if self.bins.last().is_some_and(|(place, _)| *place == NOWHERE) {
            self.bins.pop();
        }
    }

    /// Each bin, with those of its minutes that lie in `minutes`, and their powers.
    pub fn bins(&self, minutes: Range<usize>) -> impl Iterator<Item = (Place, &[u16], &[Powers])> {
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
                (*place, &self.order[from..to], &self.powers[from..to])
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
                    assert!(place.powers(share)[1].abs() <= 1.0 / 32.0);
                }
                assert_eq!(place.control_smaller(), control_smaller);
            }
            share *= 0.99;
        }
        assert!(Place::of(1e-13, true).is_faint() && !Place::of(1e-12, true).is_faint());
    }

    #[test]
    fn every_minute_is_in_one_bin_and_in_order() {
        let arms = |minute: u32| match minute % 7 {
            0 => [0.0, f64::from(minute % 2)],
            1 if minute.is_multiple_of(2) => [1.0, 1e-14],
            1 => [1e-14, 1.0],
            _ => {
                let share = f64::from(minute % 91 + 1) / 200.0;
                [share, 1.0 - share]
            }
        };
        let (treatment, control): (Vec<f64>, Vec<f64>) =
            (0..1_440).map(arms).map(<(f64, f64)>::from).unzip();
        let mut shares = Shares::default();
        for _ in 0..2 {
            shares.sort(&treatment, &control);
            for minutes in [0..1_440, 0..700, 700..701, 701..1_440] {
                let mut seen = Vec::new();
                for (place, run, powers) in shares.bins(minutes.clone()) {
                    let mut last = None;
                    for (minute, powers) in run.iter().map(|it| usize::from(*it)).zip(powers) {
                        let (share, control_smaller) =
                            smaller_share(treatment[minute], control[minute]);
                        assert_eq!(Place::of(share, control_smaller), place);
                        assert_eq!(place.powers(share), *powers);
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
