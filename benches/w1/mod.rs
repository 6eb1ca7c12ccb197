//! W1: the workload every figure is measured on. Deterministic at any scale.
//!
//! 40 releases × 5 branches × 10 metrics, 14 days of minutes; release r is
//! active for 10 days from minute r·5760/39. Metrics 0 to 6 are Poisson counts
//! with a base rate log-uniform in 0.05…20,000 a minute, a daily wave, a
//! weekend factor and a ramp over the first day; 7 and 8 are gamma sums with
//! four decimals; 9 is a gauge, a random walk with three decimals. 2 % of the
//! minutes are missing; 3 % of the cells send part of their value as a delta of
//! its own 1 to 180 minutes later.

#![allow(dead_code, reason = "each bench uses its part")]

pub mod entropy;
pub mod random;

use entropy::Entropies;
use random::Random;

pub const RELEASES: u32 = 40;
pub const BRANCHES: u32 = 5;
pub const METRICS: u32 = 10;
pub const DAYS: u32 = 14;
/// The first minute: 2026-01-05T00:00Z, a Monday.
pub const START: u32 = 29_459_520;
const ACTIVE: u32 = 10 * 1_440;
const LATE_MAX: usize = 180;

/// How a metric's values merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    /// Four decimals.
    Sum,
    Gauge,
}

pub fn kind(metric: u32) -> Kind {
    match metric {
        0..=6 => Kind::Counter,
        7 | 8 => Kind::Sum,
        _ => Kind::Gauge,
    }
}

/// One delta: series number, minute, and the value as an integer (units of
/// four decimals for sums) or the bits of an `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    pub series: u32,
    pub minute: u32,
    pub bits: u64,
}

struct Series {
    release: u32,
    metric: u32,
    rate: f64,
    gauge: f64,
}

/// Generates W1 minute by minute.
pub struct W1 {
    random: Random,
    entropies: Entropies,
    series: Vec<Series>,
    releases: u32,
    minutes: u32,
    late: Vec<Vec<Delta>>,
    out: Vec<Delta>,
    /// Deltas given out so far.
    pub deltas: u64,
    /// Cells given out so far.
    pub cells: u64,
    /// A checksum of everything given out so far.
    pub checksum: u64,
    /// The entropy of the counts given out so far, in bits, given their rates.
    pub count_entropy_bits: f64,
    /// The entropy of all cells given out so far, in bits, given their rates,
    /// and of which minutes there are: what no lossless coder can go below.
    pub entropy_bits: f64,
    counts: u64,
}

impl W1 {
    /// The workload at `scale`: 1 is the whole, 0.1 a tenth of the releases.
    pub fn new(seed: u64, scale: f64) -> Self {
        let mut random = Random::new(seed);
        let releases = ((f64::from(RELEASES) * scale).round() as u32).max(1);
        let series = (0..releases * BRANCHES * METRICS)
            .map(|id| {
                let span = (20_000.0_f64 / 0.05).ln();
                Series {
                    release: id / (BRANCHES * METRICS),
                    metric: id % METRICS,
                    rate: 0.05 * (random.unit() * span).exp(),
                    gauge: 100.0 + 900.0 * random.unit(),
                }
            })
            .collect();
        W1 {
            random,
            entropies: Entropies::new(),
            series,
            releases,
            minutes: DAYS * 1_440,
            late: vec![Vec::new(); LATE_MAX + 1],
            out: Vec::new(),
            deltas: 0,
            cells: 0,
            checksum: 0,
            count_entropy_bits: 0.0,
            entropy_bits: 0.0,
            counts: 0,
        }
    }

    pub fn releases(&self) -> u32 {
        self.releases
    }

    pub fn series(&self) -> u32 {
        self.series.len() as u32
    }

    /// Minutes in which something may arrive.
    pub fn minutes(&self) -> u32 {
        self.minutes + LATE_MAX as u32
    }

    /// The first and last-plus-one minute of a release.
    pub fn active(&self, release: u32) -> (u32, u32) {
        let first = START + release * 5_760 / 39;
        (first, first + ACTIVE)
    }

    /// Release, branch and metric of a series.
    pub fn names(series: u32) -> (String, String, String) {
        let metric = series % METRICS;
        let branch = series / METRICS % BRANCHES;
        let release = series / METRICS / BRANCHES;
        let metric = match metric {
            0 => "crashes".to_owned(),
            7 => "usage_hours".to_owned(),
            metric => format!("metric_{metric}"),
        };
        let branch = if branch == 0 {
            "control".to_owned()
        } else {
            format!("branch_{branch}")
        };
        (
            format!("product/release/{release:02}.0/windows"),
            branch,
            metric,
        )
    }

    /// A line that says what was given out so far.
    pub fn told(&self) -> String {
        format!(
            "{} deltas, {} cells, checksum {:016x}, entropy {:.3} bits a count, {:.4} bytes a cell",
            self.deltas,
            self.cells,
            self.checksum,
            self.count_entropy_bits / self.counts as f64,
            self.entropy_bits / 8.0 / self.cells as f64
        )
    }

    /// What arrives in the minute `START + offset`; to be called for each in turn.
    pub fn minute(&mut self, offset: u32) -> &[Delta] {
        self.out.clear();
        let slot = offset as usize % self.late.len();
        let mut out = std::mem::take(&mut self.out);
        out.append(&mut self.late[slot]);
        let minute = START + offset;
        if offset < self.minutes {
            let hour = f64::from(offset % 1_440) / 1_440.0 * std::f64::consts::TAU;
            let weekend = if offset / 1_440 % 7 >= 5 { 0.7 } else { 1.0 };
            let season = (1.0 + 0.6 * hour.sin()) * weekend;
            for id in 0..self.series.len() {
                let release = self.series[id].release;
                let (first, last) = self.active(release);
                if minute < first || minute >= last || self.random.unit() < 0.02 {
                    continue;
                }
                let ramp = f64::from((minute - first).min(1_440)) / 1_440.0;
                let series = &mut self.series[id];
                let rate = series.rate * season * ramp.max(0.001);
                let bits = match kind(series.metric) {
                    Kind::Counter => {
                        self.counts += 1;
                        let bits = self.entropies.poisson(rate);
                        self.count_entropy_bits += bits;
                        self.entropy_bits += bits;
                        self.random.poisson(rate)
                    }
                    Kind::Sum => {
                        self.entropy_bits += self.entropies.gamma(rate * 2_500.0);
                        (self.random.gamma(4.0) * rate * 2_500.0).round() as u64
                    }
                    Kind::Gauge => {
                        // A step is uniform over 2,000 thousandths.
                        self.entropy_bits += 2_000.0_f64.log2();
                        series.gauge += (self.random.unit() - 0.5) * 2.0;
                        ((series.gauge * 1_000.0).round() / 1_000.0).to_bits()
                    }
                };
                // 2 % of the minutes are missing: 0.1414 bits for each there might be.
                self.entropy_bits += 0.141_441 / 0.98;
                self.cells += 1;
                let delta = Delta {
                    series: id as u32,
                    minute,
                    bits,
                };
                let splits = kind(series.metric) != Kind::Gauge && bits > 1;
                if splits && self.random.unit() < 0.03 {
                    let part = 1 + self.random.below(bits - 1);
                    let wait = 1 + self.random.below(LATE_MAX as u64) as usize;
                    let slot = (offset as usize + wait) % self.late.len();
                    self.late[slot].push(Delta {
                        bits: part,
                        ..delta
                    });
                    out.push(Delta {
                        bits: bits - part,
                        ..delta
                    });
                } else {
                    out.push(delta);
                }
            }
        }
        self.deltas += out.len() as u64;
        for delta in &out {
            let mixed = (u64::from(delta.series) << 32 | u64::from(delta.minute))
                ^ delta.bits.rotate_left(17);
            self.checksum = self
                .checksum
                .wrapping_add(mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        self.out = out;
        &self.out
    }
}
