//! What the likelihood of a rate ratio gathers: minutes by share, in narrow bins.

use std::ops::Range;

use super::shares::{Place, Powers, SIDE, Shares, high_powers};
use crate::codec::with_bit_instructions;

/// Minutes, gathered.
///
/// Every sum is kept bin by bin and within it in the order of the minutes, so
/// that minutes added one by one and in runs come to the same to the last bit.
#[derive(Clone, Debug)]
pub struct Bins {
    /// Which bin a share falls into: its index plus one, 0 where it has none yet.
    index: Vec<u16>,
    /// Ascending by key.
    all: Vec<Bin>,
    /// Below the last octave, where ln(1 + q·(w − 1)) = q·(w − 1): where T is the
    /// smaller arm, and where C is.
    faint: [Faint; 2],
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Faint {
    /// Σ n·q.
    pub taken: f64,
    /// Of T and of C.
    pub events: [f64; 2],
}

#[derive(Clone, Debug)]
pub struct Bin {
    pub place: Place,
    sums: Sums,
    /// Over the grid: what this bin takes from S, where `stale` is not set.
    pub taken: Vec<f64>,
    pub stale: bool,
}

/// What a bin adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    /// Σ n·vᵏ, k = 0 … 3 and 4 … 7.
    moments: [Powers; 2],
    treated: f64,
}

impl Sums {
    #[inline(always)]
    fn add(&mut self, [low, high]: [&Powers; 2], treated: f64, control: f64) {
        let events = treated + control;
        let [lower, higher] = &mut self.moments;
        for at in 0..low.len() {
            lower[at] += events * low[at];
            higher[at] += events * high[at];
        }
        self.treated += treated;
    }
}

impl Bin {
    /// Σ n·vᵏ, k = 0 … 7.
    #[inline(always)]
    pub fn moments(&self) -> [f64; 8] {
        let [[a, b, c, d], [e, f, g, h]] = self.sums.moments;
        [a, b, c, d, e, f, g, h]
    }

    /// Events of T and of C.
    #[inline(always)]
    pub fn events(&self) -> [f64; 2] {
        let treated = self.sums.treated;
        [treated, self.sums.moments[0][0] - treated]
    }
}

/// Some minutes of a run, with T's and C's events in each minute of it, on their
/// way into bins.
pub struct Tail<'a, 'e> {
    pub bins: &'a mut Bins,
    pub minutes: Range<usize>,
    pub events: [&'e [f64]; 2],
}

impl Tail<'_, '_> {
    /// Adds them, of one run all. Three that have the same minutes are added at
    /// once, which is what fits into registers: what depends on exposure alone is
    /// loaded for all of these together.
    pub fn add_all(shares: &Shares, tails: &mut [Tail<'_, '_>]) {
        for same in tails.chunk_by_mut(|left, right| left.minutes == right.minutes) {
            let (threes, rest) = same.as_chunks_mut::<3>();
            for three in threes {
                Tail::add_together(shares, three.each_mut());
            }
            match rest {
                [left, right] => Tail::add_together(shares, [left, right]),
                [one] => Tail::add_together(shares, [one]),
                _ => {}
            }
        }
    }

    fn add_together<const N: usize>(shares: &Shares, tails: [&mut Tail<'_, '_>; N]) {
        with_bit_instructions(
            #[inline(always)]
            || {
                let minutes = tails[0].minutes.clone();
                let events = tails.each_ref().map(|tail| tail.events);
                let mut bins = tails.map(|tail| &mut *tail.bins);
                for (place, minutes, powers) in shares.bins(minutes) {
                    add_bin(&mut bins, place, minutes, powers, events);
                }
            },
        );
    }
}

/// Adds minutes of one bin.
#[inline(always)]
fn add_bin<const N: usize>(
    bins: &mut [&mut Bins; N],
    place: Place,
    minutes: &[u16],
    powers: &[Powers],
    events: [[&[f64]; 2]; N],
) {
    if place.is_faint() {
        for (bins, [treated, control]) in bins.iter_mut().zip(events) {
            for (at, powers) in minutes.iter().map(|it| usize::from(*it)).zip(powers) {
                bins.add_faint(place, powers[0], treated[at], control[at]);
            }
        }
        return;
    }
    let known = bins.each_ref().map(|bins| bins.known(place));
    let mut sums = [Sums::default(); N];
    for ((sums, bins), known) in sums.iter_mut().zip(&*bins).zip(known) {
        *sums = known.map_or(*sums, |bin| bins.all[bin].sums);
    }
    let before = sums;
    let sums = gather(sums, minutes, powers, events);
    for (bins, (known, (sums, before))) in bins
        .iter_mut()
        .zip(known.into_iter().zip(sums.into_iter().zip(before)))
    {
        match known {
            Some(bin) if sums != before => {
                bins.all[bin].sums = sums;
                bins.all[bin].stale = true;
            }
            None if sums.moments[0][0] > 0.0 => {
                bins.open(place, sums);
            }
            _ => {}
        }
    }
}

/// Adds minutes to the sums of one bin. All are within the run; were that checked by
/// a panic, every sum would be kept in memory for it.
#[inline(always)]
fn gather<const N: usize>(
    mut sums: [Sums; N],
    minutes: &[u16],
    powers: &[Powers],
    events: [[&[f64]; 2]; N],
) -> [Sums; N] {
    for (at, low) in minutes.iter().map(|it| usize::from(*it)).zip(powers) {
        let high = high_powers(low);
        for lane in 0..N {
            let [treated, control] = events[lane];
            let event = |arm: &[f64]| arm.get(at).copied().unwrap_or(0.0);
            sums[lane].add([low, &high], event(treated), event(control));
        }
    }
    sums
}

impl Bins {
    /// Of no minute yet.
    pub fn new() -> Self {
        Bins {
            index: Vec::new(),
            all: Vec::new(),
            faint: [Faint::default(); 2],
        }
    }

    /// Adds a minute: `share` = min(e_T, e_C)/(e_T + e_C) in (0, ½], whose arm
    /// is the smaller one, T's events and C's, not both 0.
    #[inline]
    pub fn add(&mut self, share: f64, control_smaller: bool, treated: f64, control: f64) {
        let place = Place::of(share, control_smaller);
        if place.is_faint() {
            self.add_faint(place, share, treated, control);
            return;
        }
        let bin = match self.known(place) {
            Some(bin) => bin,
            None => self.open(place, Sums::default()),
        };
        let bin = &mut self.all[bin];
        let low = place.powers(share);
        bin.sums.add([&low, &high_powers(&low)], treated, control);
        bin.stale = true;
    }

    #[cold]
    fn add_faint(&mut self, place: Place, share: f64, treated: f64, control: f64) {
        let faint = &mut self.faint[usize::from(place.control_smaller())];
        faint.taken += (treated + control) * share;
        faint.events[0] += treated;
        faint.events[1] += control;
    }

    fn known(&self, place: Place) -> Option<usize> {
        let known = self.index.get(place.key()).copied().unwrap_or(0);
        usize::from(known).checked_sub(1)
    }

    #[cold]
    fn open(&mut self, place: Place, sums: Sums) -> usize {
        if self.index.is_empty() {
            self.index = vec![0; 2 * SIDE];
        }
        let at = self
            .all
            .partition_point(|bin| bin.place.key() < place.key());
        let bin = Bin {
            place,
            sums,
            taken: Vec::new(),
            stale: true,
        };
        self.all.insert(at, bin);
        // At most 2·SIDE = 1,280 bins, well within 16 bits.
        for (bin, number) in self.all[at..].iter().zip(at as u16 + 1..) {
            self.index[bin.place.key()] = number;
        }
        at
    }

    /// All of them, ascending by share and side.
    pub fn all(&self) -> &[Bin] {
        &self.all
    }

    /// The same, to have what they take found.
    pub fn all_mut(&mut self) -> &mut [Bin] {
        &mut self.all
    }

    /// What is below the last octave, where T is the smaller arm and where C is.
    pub fn faint(&self) -> &[Faint; 2] {
        &self.faint
    }

    /// Events of T and of C, of minutes that say anything.
    pub fn events(&self) -> [f64; 2] {
        let bins = self.all.iter().map(Bin::events);
        let all = bins.chain(self.faint.iter().map(|it| it.events));
        all.fold([0.0; 2], |sum, more| [sum[0] + more[0], sum[1] + more[1]])
    }

    /// What x_T·δ sums up to, over δ, once minutes where C is the smaller arm
    /// are written as ln(1 − p + p·w) = ln w + ln(1 + q·(1/w − 1)).
    #[inline(always)]
    pub fn slope(&self) -> f64 {
        let [by_treatment, by_control] = &self.faint;
        let slope = by_treatment.events[0] - by_control.events[1];
        self.all.iter().fold(slope, |slope, bin| {
            let [treated, control] = bin.events();
            if bin.place.control_smaller() {
                slope - control
            } else {
                slope + treated
            }
        })
    }
}
