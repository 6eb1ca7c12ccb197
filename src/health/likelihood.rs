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

use super::grid::Grid;

/// Moments kept a bin.
const MOMENTS: usize = 8;
/// Octaves of the smaller share that have bins: down to 2⁻⁴⁰.
const OCTAVES: usize = 40;
/// Bins an octave.
const BINS_AN_OCTAVE: usize = 16;
/// Bins a side (T the smaller arm, or C).
const SIDE: usize = OCTAVES * BINS_AN_OCTAVE;
/// Bits of the mantissa below those that name a bin.
const MANTISSA_REST: u32 = 52 - BINS_AN_OCTAVE.ilog2();

/// S(δ), gathered minute by minute.
#[derive(Clone, Debug)]
pub struct Likelihood {
    /// Which bin a share falls into: its index plus one, 0 where it has none yet.
    index: Vec<u16>,
    bins: Vec<Bin>,
    /// Events of T, less those of both arms in minutes where C was smaller:
    /// there ln(1 − p + p·w) = ln w + ln(1 + q·(1/w − 1)).
    slope: f64,
    /// Events of T and of C.
    events: [f64; 2],
    /// Σ n·q below the last octave, where ln(1 + q·(w − 1)) = q·(w − 1).
    faint: [f64; 2],
}

#[derive(Clone, Debug)]
struct Bin {
    middle: f64,
    inverse: f64,
    control_smaller: bool,
    moments: [f64; MOMENTS],
    /// Over the grid: ln(1 + z), then c; filled with the first evaluation.
    tables: Vec<f64>,
    /// Over the grid: what this bin takes from S, where `stale` is not set.
    taken: Vec<f64>,
    stale: bool,
}

impl Likelihood {
    /// Of no minute yet: S = 0 everywhere.
    pub fn new() -> Self {
        Likelihood {
            index: Vec::new(),
            bins: Vec::new(),
            slope: 0.0,
            events: [0.0; 2],
            faint: [0.0; 2],
        }
    }

    /// Adds a minute: `share` = min(e_T, e_C)/(e_T + e_C) in (0, ½], whose arm
    /// is the smaller one, T's events and those of both.
    #[inline]
    pub fn add(&mut self, share: f64, control_smaller: bool, treated: f64, events: f64) {
        let bits = share.to_bits();
        let octave = 1022_u64.wrapping_sub(bits >> 52) as usize;
        self.slope += treated - events * f64::from(u8::from(control_smaller));
        self.events[0] += treated;
        self.events[1] += events - treated;
        if octave >= OCTAVES {
            self.faint[usize::from(control_smaller)] += events * share;
            return;
        }
        let cell = (bits >> MANTISSA_REST) as usize % BINS_AN_OCTAVE;
        let key = usize::from(control_smaller) * SIDE + octave * BINS_AN_OCTAVE + cell;
        let known = self.index.get(key).copied().unwrap_or(0);
        let bin = match usize::from(known).checked_sub(1) {
            Some(bin) => bin,
            None => self.open(key, bits, control_smaller),
        };
        let bin = &mut self.bins[bin];
        let v = share * bin.inverse - 1.0;
        let square = v * v;
        let (even, odd) = (events, events * v);
        bin.moments[0] += even;
        bin.moments[1] += odd;
        bin.moments[2] += even * square;
        bin.moments[3] += odd * square;
        let fourth = square * square;
        bin.moments[4] += even * fourth;
        bin.moments[5] += odd * fourth;
        let sixth = fourth * square;
        bin.moments[6] += even * sixth;
        bin.moments[7] += odd * sixth;
        bin.stale = true;
    }

    #[cold]
    fn open(&mut self, key: usize, bits: u64, control_smaller: bool) -> usize {
        if self.index.is_empty() {
            self.index = vec![0; 2 * SIDE];
        }
        let bin = self.bins.len();
        // At most 2·SIDE = 1,280 bins, well within 16 bits.
        self.index[key] = bin as u16 + 1;
        let rest = (1_u64 << MANTISSA_REST) - 1;
        let middle = f64::from_bits((bits & !rest) | (1 << (MANTISSA_REST - 1)));
        self.bins.push(Bin {
            middle,
            inverse: 1.0 / middle,
            control_smaller,
            moments: [0.0; MOMENTS],
            tables: Vec::new(),
            taken: Vec::new(),
            stale: true,
        });
        bin
    }

    /// S(δ).
    pub fn score(&self, delta: f64) -> f64 {
        let up = delta.exp_m1();
        let down = (-delta).exp_m1();
        let mut score = self.slope * delta - self.faint[0] * up - self.faint[1] * down;
        for bin in &self.bins {
            let z = bin.middle * if bin.control_smaller { down } else { up };
            score -= taken(&bin.moments, z.ln_1p(), z / (1.0 + z));
        }
        score
    }

    /// S over a grid, which must always be the same one.
    pub fn scores(&mut self, grid: &Grid, scores: &mut Vec<f64>) {
        let points = grid.deltas.len();
        scores.clear();
        scores.extend(grid.deltas.iter().map(|delta| self.slope * delta));
        if self.faint != [0.0; 2] {
            for (score, delta) in scores.iter_mut().zip(&grid.deltas) {
                *score -= self.faint[0] * delta.exp_m1() + self.faint[1] * (-delta).exp_m1();
            }
        }
        for bin in &mut self.bins {
            if bin.tables.is_empty() {
                bin.tabulate(grid);
            }
            if bin.stale {
                let (logs, slopes) = bin.tables.split_at(points);
                for ((sink, log), c) in bin.taken.iter_mut().zip(logs).zip(slopes) {
                    *sink = taken(&bin.moments, *log, *c);
                }
                bin.stale = false;
            }
            for (score, taken) in scores.iter_mut().zip(&bin.taken) {
                *score -= taken;
            }
        }
    }

    /// The δ where S is highest, which may be infinite, or none where no minute
    /// says anything: the conditional maximum-likelihood estimate of ln r.
    pub fn estimate(&self) -> Option<f64> {
        // S′ falls from the events of T to minus those of C.
        let [rising, falling] = self.events;
        match (rising > 0.0, falling > 0.0) {
            (true, true) => {}
            (true, false) => return Some(f64::INFINITY),
            (false, true) => return Some(f64::NEG_INFINITY),
            (false, false) => return None,
        }
        let (mut low, mut high) = (-1.0, 1.0);
        while self.derivative(low) < 0.0 && low > -60.0 {
            (low, high) = (low * 2.0, low);
        }
        while self.derivative(high) > 0.0 && high < 60.0 {
            (low, high) = (high, high * 2.0);
        }
        Some(super::root::between(low, high, 1e-12, |delta| {
            self.derivative(delta)
        }))
    }

    /// S′(δ).
    fn derivative(&self, delta: f64) -> f64 {
        let (up, down) = (delta.exp_m1(), (-delta).exp_m1());
        let mut slope = self.slope - self.faint[0] * (up + 1.0) + self.faint[1] * (down + 1.0);
        for bin in &self.bins {
            let (w, sign) = if bin.control_smaller {
                (down, -1.0)
            } else {
                (up, 1.0)
            };
            let z = bin.middle * w;
            // d/dδ of n·ln(1 + q·(w − 1)) is ± n·q·w/(1 + q·(w − 1)), with
            // q = q₀·(1 + v), and 1/(1 + c·v) = 1 − c·v + c²·v² − …
            let c = z / (1.0 + z);
            let m = &bin.moments;
            let series = (0..MOMENTS - 1).rev().fold(0.0, |rest, power| {
                let last = if power == MOMENTS - 2 { 0.0 } else { c * rest };
                m[power] + m[power + 1] - last
            });
            slope -= sign * series * bin.middle * (w + 1.0) / (1.0 + z);
        }
        slope
    }
}

/// Σ n·ln(1 + q·(w − 1)) over a bin.
#[inline(always)]
fn taken(moments: &[f64; MOMENTS], log: f64, c: f64) -> f64 {
    let [m0, m1, m2, m3, m4, m5, m6, m7] = *moments;
    let series = m5 / 5.0 - c * (m6 / 6.0 - c * (m7 / 7.0));
    let series = m1 - c * (m2 / 2.0 - c * (m3 / 3.0 - c * (m4 / 4.0 - c * series)));
    m0 * log + c * series
}

impl Bin {
    fn tabulate(&mut self, grid: &Grid) {
        let w = |delta: f64| {
            if self.control_smaller {
                (-delta).exp_m1()
            } else {
                delta.exp_m1()
            }
        };
        let z: Vec<f64> = grid
            .deltas
            .iter()
            .map(|delta| self.middle * w(*delta))
            .collect();
        self.tables = z.iter().map(|z| z.ln_1p()).collect();
        self.tables.extend(z.iter().map(|z| z / (1.0 + z)));
        self.taken = vec![0.0; z.len()];
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
                likelihood.add(p.min(1.0 - p), p > 0.5, treated, treated + other);
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
        let estimate = likelihood.estimate().unwrap();
        let best = plain(&minutes, estimate);
        assert!(best >= plain(&minutes, estimate + 1e-4));
        assert!(best >= plain(&minutes, estimate - 1e-4));
        let mut one_sided = Likelihood::new();
        assert_eq!(one_sided.estimate(), None);
        one_sided.add(0.5, false, 3.0, 3.0);
        assert_eq!(one_sided.estimate(), Some(f64::INFINITY));
        one_sided.add(0.5, false, 0.0, 1.0);
        assert!((one_sided.estimate().unwrap() - 3.0f64.ln()).abs() < 1e-10);
    }
}
