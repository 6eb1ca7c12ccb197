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

use super::bins::{Bin, Bins, Tail};
use super::grid::Grid;
use super::root::{self, Root};
use super::shares::Shares;
use super::vectors::{LANES, logs_1p};
use crate::codec::with_bit_instructions;

/// S(δ), gathered minute by minute.
#[derive(Clone, Debug)]
pub struct Likelihood {
    bins: Bins,
}

impl Likelihood {
    /// Of no minute yet: S = 0 everywhere.
    pub fn new() -> Self {
        Likelihood { bins: Bins::new() }
    }

    /// Adds a minute: `share` = min(e_T, e_C)/(e_T + e_C) in (0, ½], whose arm
    /// is the smaller one, T's events and C's, not both 0.
    #[inline]
    pub fn add(&mut self, share: f64, control_smaller: bool, treated: f64, control: f64) {
        self.bins.add(share, control_smaller, treated, control);
    }

    /// These minutes of a run, yet to be added.
    pub fn tail<'e>(&mut self, minutes: Range<usize>, events: [&'e [f64]; 2]) -> Tail<'_, 'e> {
        Tail {
            bins: &mut self.bins,
            minutes,
            events,
        }
    }

    /// Adds these of a run's minutes, given the events of T and of C in each.
    pub fn add_run(&mut self, shares: &Shares, minutes: Range<usize>, events: [&[f64]; 2]) {
        Tail::add_all(shares, &mut [self.tail(minutes, events)]);
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
        let [by_treatment, by_control] = self.bins.faint();
        let slope = self.bins.slope();
        let (mut down, mut scores) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            down[lane] = -up[lane] / (1.0 + up[lane]);
            scores[lane] = -by_treatment.taken * up[lane] - by_control.taken * down[lane];
        }
        for bin in self.bins.all() {
            let control_smaller = bin.place.control_smaller();
            let w = if control_smaller { &down } else { &up };
            let (mut z, mut c) = ([0.0; LANES], [0.0; LANES]);
            for lane in 0..LANES {
                z[lane] = bin.place.middle() * w[lane];
                c[lane] = z[lane] / (1.0 + z[lane]);
            }
            let (logs, moments) = (logs_1p(z), bin.moments());
            for lane in 0..LANES {
                scores[lane] -= taken(&moments, logs[lane], c[lane]);
            }
        }
        for lane in 0..LANES {
            scores[lane] += slope * deltas[lane];
        }
        scores
    }

    /// S over a grid, which must always be the same one.
    pub fn scores(&mut self, grid: &Grid, scores: &mut Vec<f64>) {
        scores.clear();
        let slope = self.bins.slope();
        scores.extend(grid.deltas.iter().map(|delta| slope * delta));
        let [by_treatment, by_control] = self.bins.faint().map(|it| it.taken);
        if by_treatment + by_control > 0.0 {
            for (score, delta) in scores.iter_mut().zip(&grid.deltas) {
                *score -= by_treatment * delta.exp_m1() + by_control * (-delta).exp_m1();
            }
        }
        with_bit_instructions(
            #[inline(always)]
            || {
                for bin in self.bins.all_mut() {
                    refresh(bin, grid);
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
        let [rising, falling] = self.bins.events();
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
        let [by_treatment, by_control] = self.bins.faint().map(|it| it.taken);
        let slope = self.bins.slope();
        let (mut down, mut slopes) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            down[lane] = -up[lane] / (1.0 + up[lane]);
            slopes[lane] =
                slope - by_treatment * (up[lane] + 1.0) + by_control * (down[lane] + 1.0);
        }
        for bin in self.bins.all() {
            let (w, sign) = if bin.place.control_smaller() {
                (&down, -1.0)
            } else {
                (&up, 1.0)
            };
            // d/dδ of n·ln(1 + q·(w − 1)) is ± n·q·w/(1 + q·(w − 1)), with
            // q = q₀·(1 + v), and 1/(1 + c·v) = 1 − c·v + c²·v² − …
            let [m0, m1, m2, m3, m4, m5, m6, m7] = bin.moments();
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
fn taken(moments: &[f64; 8], log: f64, c: f64) -> f64 {
    let [m0, m1, m2, m3, m4, m5, m6, m7] = *moments;
    let series = m5 * (1.0 / 5.0) - c * (m6 * (1.0 / 6.0) - c * (m7 * (1.0 / 7.0)));
    let series = m3 * (1.0 / 3.0) - c * (m4 * 0.25 - c * series);
    let series = m1 - c * (m2 * 0.5 - c * series);
    m0 * log + c * series
}

/// Brings what a bin takes over the grid up to what it has added up.
#[inline(always)]
fn refresh(bin: &mut Bin, grid: &Grid) {
    if !bin.stale {
        return;
    }
    let tables = grid.tables(bin.place);
    let moments = bin.moments();
    bin.taken.resize(tables.logs.len(), 0.0);
    let points = tables.logs.iter().zip(&tables.slopes);
    for (sink, (log, c)) in bin.taken.iter_mut().zip(points) {
        *sink = taken(&moments, *log, *c);
    }
    bin.stale = false;
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
