//! The conditional log-likelihood of a rate ratio, in constant memory.
//!
//! Given n = x_T + x_C events in a minute, and p = e_T/(e_T + e_C) the share
//! of the exposure that is T's, the events of T are binomial with probability
//! p·e^δ/(1 − p + p·e^δ) where δ = ln r. Summed over minutes, and up to a
//! constant,
//!
//! ```text
//! S(δ) = Σ [ x_T·δ − n·ln(1 − p + p·e^δ) ]
//! ```
//!
//! S is wanted at sixty δ and at any other, at any moment, while the share
//! moves a little every minute. A logarithm for each would cost more than all
//! the rest of the report; so minutes are gathered by share into narrow bins
//! (16 an octave), each with the moments Σ n·vᵏ, k = 0…7, of v = q/q₀ − 1,
//! where q ≤ ½ is the smaller arm's share and q₀ the middle of the bin. With
//! z = q₀·(w − 1), c = z/(1 + z), and w = e^δ (1/e^δ where C is the smaller arm)
//!
//! ```text
//! ln(1 + q·(w − 1)) = ln(1 + z) + ln(1 + c·v) = ln(1 + z) + c·v − c²·v²/2 + …
//! ```
//!
//! where |c·v| ≤ 1/32, so that what is cut off is below 2·10⁻¹³ an event.

use std::ops::Range;

use super::grid::Grid;
use super::root::{self, Root};
use super::shares::{Place, SIDE, Shares, powers};
use super::vectors::{LANES, logs_1p};
use crate::codec::with_bit_instructions;

/// Moments kept a bin.
pub const MOMENTS: usize = 8;

/// S(δ), gathered minute by minute.
///
/// Every sum is kept bin by bin and within it in the order of the minutes, so
/// that minutes added one by one and in runs come to the same to the last bit.
#[derive(Clone, Debug)]
pub struct Likelihood {
    /// Which bin a share falls into: its index plus one, 0 where it has none yet.
    index: Vec<u16>,
    /// Ascending by key.
    bins: Vec<Bin>,
    /// Below the last octave, where ln(1 + q·(w − 1)) = q·(w − 1): Σ n·q, and
    /// events of T and C, where T is the smaller arm and where C is.
    faint: [Faint; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Faint {
    taken: f64,
    events: [f64; 2],
}

#[derive(Clone, Debug)]
struct Bin {
    place: Place,
    sums: Sums,
    /// Over the grid: what this bin takes from S, where `stale` is not set.
    taken: Vec<f64>,
    stale: bool,
}

/// What a bin adds up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    moments: [f64; MOMENTS],
    /// Of T and of C.
    events: [f64; 2],
}

impl Sums {
    #[inline(always)]
    fn add(&mut self, powers: &[f64; MOMENTS], treated: f64, control: f64) {
        let events = treated + control;
        for (moment, power) in self.moments.iter_mut().zip(powers) {
            *moment += events * power;
        }
        self.events[0] += treated;
        self.events[1] += control;
    }

    /// What x_T·δ sums up to, over δ, once minutes where C is the smaller arm
    /// are written as ln(1 − p + p·w) = ln w + ln(1 + q·(1/w − 1)).
    fn slope(&self, control_smaller: bool) -> f64 {
        if control_smaller {
            -self.events[1]
        } else {
            self.events[0]
        }
    }
}

impl Likelihood {
    /// Of no minute yet: S = 0 everywhere.
    pub fn new() -> Self {
        Likelihood {
            index: Vec::new(),
            bins: Vec::new(),
            faint: [Faint::default(); 2],
        }
    }

    /// Adds a minute: `share` = min(e_T, e_C)/(e_T + e_C) in (0, ½], whose arm
    /// is the smaller one, T's events and C's, not both 0.
    #[inline]
    pub fn add(&mut self, share: f64, control_smaller: bool, treated: f64, control: f64) {
        let place = Place::of(share, control_smaller);
        if place.is_faint() {
            self.add_faint(control_smaller, share, treated, control);
            return;
        }
        let bin = match self.known(place) {
            Some(bin) => bin,
            None => self.open(place, Sums::default()),
        };
        let bin = &mut self.bins[bin];
        let powers = powers(share * place.inverse() - 1.0);
        bin.sums.add(&powers, treated, control);
        bin.stale = true;
    }

    #[cold]
    fn add_faint(&mut self, control_smaller: bool, share: f64, treated: f64, control: f64) {
        let faint = &mut self.faint[usize::from(control_smaller)];
        faint.taken += (treated + control) * share;
        faint.events[0] += treated;
        faint.events[1] += control;
    }

    /// Adds these of a run's minutes, given the events of T and of C in each.
    pub fn add_run(&mut self, shares: &Shares, minutes: Range<usize>, events: [&[f64]; 2]) {
        with_bit_instructions(
            #[inline(always)]
            || self.add_bins(shares, minutes, events),
        );
    }

    #[inline(always)]
    fn add_bins(&mut self, shares: &Shares, minutes: Range<usize>, events: [&[f64]; 2]) {
        for (place, run) in shares.bins(minutes) {
            if place.is_faint() {
                for (minute, powers) in run {
                    let [treated, control] = events.map(|arm| arm[minute]);
                    self.add_faint(place.control_smaller(), powers[0], treated, control);
                }
                continue;
            }
            let known = self.known(place);
            let mut sums = known.map_or(Sums::default(), |bin| self.bins[bin].sums);
            let before = sums;
            for (minute, powers) in run {
                sums.add(powers, events[0][minute], events[1][minute]);
            }
            match known {
                Some(bin) if sums != before => {
                    self.bins[bin].sums = sums;
                    self.bins[bin].stale = true;
                }
                None if sums.moments[0] > 0.0 => {
                    self.open(place, sums);
                }
                _ => {}
            }
        }
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
            .bins
            .partition_point(|bin| bin.place.key() < place.key());
        let bin = Bin {
            place,
            sums,
            taken: Vec::new(),
            stale: true,
        };
        self.bins.insert(at, bin);
        // At most 2·SIDE = 1,280 bins, well within 16 bits.
        for (bin, number) in self.bins[at..].iter().zip(at as u16 + 1..) {
            self.index[bin.place.key()] = number;
        }
        at
    }

    /// S(δ).
    pub fn score(&self, delta: f64) -> f64 {
        self.scores_at([delta; LANES])[0]
    }

    /// S at four δ, each to the last bit what [`Likelihood::score`] says.
    pub fn scores_at(&self, deltas: [f64; LANES]) -> [f64; LANES] {
        let up = deltas.map(f64::exp_m1);
        with_bit_instructions(
            #[inline(always)]
            || self.scores_of(deltas, up),
        )
    }

    #[inline(always)]
    fn scores_of(&self, deltas: [f64; LANES], up: [f64; LANES]) -> [f64; LANES] {
        let [by_treatment, by_control] = &self.faint;
        let mut slope = by_treatment.events[0] - by_control.events[1];
        let (mut down, mut scores) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            down[lane] = -up[lane] / (1.0 + up[lane]);
            scores[lane] = -by_treatment.taken * up[lane] - by_control.taken * down[lane];
        }
        for bin in &self.bins {
            let control_smaller = bin.place.control_smaller();
            let w = if control_smaller { &down } else { &up };
            let (mut z, mut c) = ([0.0; LANES], [0.0; LANES]);
            for lane in 0..LANES {
                z[lane] = bin.place.middle() * w[lane];
                c[lane] = z[lane] / (1.0 + z[lane]);
            }
            let logs = logs_1p(z);
            for lane in 0..LANES {
                scores[lane] -= taken(&bin.sums.moments, logs[lane], c[lane]);
            }
            slope += bin.sums.slope(control_smaller);
        }
        for lane in 0..LANES {
            scores[lane] += slope * deltas[lane];
        }
        scores
    }

    /// S over a grid, which must always be the same one.
    pub fn scores(&mut self, grid: &Grid, scores: &mut Vec<f64>) {
        scores.clear();
        let slope = self.slope();
        scores.extend(grid.deltas.iter().map(|delta| slope * delta));
        let [by_treatment, by_control] = self.faint.map(|it| it.taken);
        if by_treatment + by_control > 0.0 {
            for (score, delta) in scores.iter_mut().zip(&grid.deltas) {
                *score -= by_treatment * delta.exp_m1() + by_control * (-delta).exp_m1();
            }
        }
        with_bit_instructions(
            #[inline(always)]
            || {
                for bin in &mut self.bins {
                    bin.refresh(grid);
                    for (score, taken) in scores.iter_mut().zip(&bin.taken) {
                        *score -= taken;
                    }
                }
            },
        );
    }

    /// The δ where S is highest, which may be infinite, or none where no minute
    /// says anything: the conditional maximum-likelihood estimate of ln r. It is
    /// found soonest near `last`, the one before some minutes were added.
    pub fn estimate(&self, last: Option<Root>) -> Option<Root> {
        // S′ falls from the events of T to minus those of C.
        let [rising, falling] = self.events();
        let beyond = |at: f64| Some(Root { at, slope: 0.0 });
        match (rising > 0.0, falling > 0.0) {
            (true, true) => {}
            (true, false) => return beyond(f64::INFINITY),
            (false, true) => return beyond(f64::NEG_INFINITY),
            (false, false) => return None,
        }
        let derivative = |delta| self.derivatives([delta; LANES])[0];
        let last = last.filter(|it| it.at.is_finite() && it.slope < 0.0);
        let guess = last.and_then(|last| last.guess(derivative(last.at)));
        if let Some(guess) = guess {
            let cell = root::cell_of(guess);
            let [low, high] = root::ends_of(cell);
            let [low, high, ..] = self.derivatives([low, high, low, high]);
            let near = root::within(cell, [low, high], false);
            if let Some(again) = near.or_else(|| root::settle(guess, false, derivative)) {
                return Some(again);
            }
        }
        let (mut low, mut high) = (-1.0, 1.0);
        while derivative(low) < 0.0 && low > -60.0 {
            (low, high) = (low * 2.0, low);
        }
        while derivative(high) > 0.0 && high < 60.0 {
            (low, high) = (high, high * 2.0);
        }
        let at = root::between(low, high, root::NEAR, derivative);
        let settled = root::settle(at, false, derivative);
        Some(settled.unwrap_or(Root { at, slope: 0.0 }))
    }

    /// Events of T and of C, of minutes that say anything.
    fn events(&self) -> [f64; 2] {
        let bins = self.bins.iter().map(|bin| &bin.sums.events);
        let all = bins.chain(self.faint.iter().map(|it| &it.events));
        all.fold([0.0; 2], |sum, more| [sum[0] + more[0], sum[1] + more[1]])
    }

    fn slope(&self) -> f64 {
        let [by_treatment, by_control] = &self.faint;
        let slope = by_treatment.events[0] - by_control.events[1];
        self.bins.iter().fold(slope, |slope, bin| {
            slope + bin.sums.slope(bin.place.control_smaller())
        })
    }

    /// S′ at four δ.
    fn derivatives(&self, deltas: [f64; LANES]) -> [f64; LANES] {
        let up = deltas.map(f64::exp_m1);
        with_bit_instructions(
            #[inline(always)]
            || self.derivatives_of(up),
        )
    }

    #[inline(always)]
    fn derivatives_of(&self, up: [f64; LANES]) -> [f64; LANES] {
        let [by_treatment, by_control] = self.faint.map(|it| it.taken);
        let slope = self.slope();
        let (mut down, mut slopes) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            down[lane] = -up[lane] / (1.0 + up[lane]);
            slopes[lane] =
                slope - by_treatment * (up[lane] + 1.0) + by_control * (down[lane] + 1.0);
        }
        for bin in &self.bins {
            let (w, sign) = if bin.place.control_smaller() {
                (&down, -1.0)
            } else {
                (&up, 1.0)
            };
            // d/dδ of n·ln(1 + q·(w − 1)) is ± n·q·w/(1 + q·(w − 1)), with
            // q = q₀·(1 + v), and 1/(1 + c·v) = 1 − c·v + c²·v² − …
            let [m0, m1, m2, m3, m4, m5, m6, m7] = bin.sums.moments;
            let middle = sign * bin.place.middle();
            for lane in 0..LANES {
                let z = bin.place.middle() * w[lane];
                let c = z / (1.0 + z);
                let series = m4 + m5 - c * (m5 + m6 - c * (m6 + m7));
                let series = m2 + m3 - c * (m3 + m4 - c * series);
                let series = m0 + m1 - c * (m1 + m2 - c * series);
                slopes[lane] -= middle * series * (w[lane] + 1.0) / (1.0 + z);
            }
        }
        slopes
    }
}

/// Σ n·ln(1 + q·(w − 1)) over a bin.
#[inline(always)]
fn taken(moments: &[f64; MOMENTS], log: f64, c: f64) -> f64 {
    let [m0, m1, m2, m3, m4, m5, m6, m7] = *moments;
    let series = m5 * (1.0 / 5.0) - c * (m6 * (1.0 / 6.0) - c * (m7 * (1.0 / 7.0)));
    let series = m3 * (1.0 / 3.0) - c * (m4 * 0.25 - c * series);
    let series = m1 - c * (m2 * 0.5 - c * series);
    m0 * log + c * series
}

impl Bin {
    /// Brings what it takes over the grid up to what it has added up.
    #[inline(always)]
    fn refresh(&mut self, grid: &Grid) {
        if !self.stale {
            return;
        }
        let tables = grid.tables(self.place);
        self.taken.resize(tables.logs.len(), 0.0);
        let points = tables.logs.iter().zip(&tables.slopes);
        for (sink, (log, c)) in self.taken.iter_mut().zip(points) {
            *sink = taken(&self.sums.moments, *log, *c);
        }
        self.stale = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes of every share, and S by its definition.
    fn sample() -> (Likelihood, Vec<(f64, f64, f64)>) {
        let mut likelihood = Likelihood::new();
        let mut minutes = Vec::new();
        for index in 0..4_000_u32 {
            let p = match index % 5 {
                0 => f64::from(index + 1) / 4_001.0,
                1 => 1e-4 * f64::from(index + 1) / 4_001.0,
                2 => 1.0 - 1e-6 * f64::from(index + 1),
                3 => 0.5,
                _ => 1e-13,
            };
            let (treated, other) = (f64::from(index % 7), f64::from(index % 11));
            if treated + other > 0.0 {
                likelihood.add(p.min(1.0 - p), p > 0.5, treated, other);
                minutes.push((p, treated, treated + other));
            }
        }
        (likelihood, minutes)
    }

    fn plain(minutes: &[(f64, f64, f64)], delta: f64) -> f64 {
        let terms = minutes
            .iter()
            .map(|(p, treated, events)| treated * delta - events * (p * delta.exp_m1()).ln_1p());
        terms.sum()
    }

    #[test]
    fn bins_lose_nothing() {
        let (mut likelihood, minutes) = sample();
        let grid = Grid::exact(1.0);
        let mut scores = Vec::new();
        likelihood.scores(&grid, &mut scores);
        for (delta, score) in grid.deltas.iter().zip(&scores) {
            let expected = plain(&minutes, *delta);
            assert!(
                (score - expected).abs() < 1e-8,
                "{delta}: {score} {expected}"
            );
            assert!((likelihood.score(*delta) - expected).abs() < 1e-8);
        }
        for delta in [-13.0, -7.0, 7.0, 13.0] {
            let expected = plain(&minutes, delta);
            assert!((likelihood.score(delta) - expected).abs() < 1e-7 * expected.abs());
        }
    }

    #[test]
    fn the_estimate_is_where_the_score_is_highest() {
        let (likelihood, minutes) = sample();
        let estimate = likelihood.estimate(None).unwrap().at;
        let best = plain(&minutes, estimate);
        assert!(best >= plain(&minutes, estimate + 1e-4));
        assert!(best >= plain(&minutes, estimate - 1e-4));
        let mut one_sided = Likelihood::new();
        assert_eq!(one_sided.estimate(None), None);
        one_sided.add(0.5, false, 3.0, 0.0);
        assert_eq!(one_sided.estimate(None).unwrap().at, f64::INFINITY);
        one_sided.add(0.5, false, 0.0, 1.0);
        assert!((one_sided.estimate(None).unwrap().at - 3.0f64.ln()).abs() < 1e-10);
    }
}
