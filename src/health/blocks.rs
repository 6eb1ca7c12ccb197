//! The self-normalized test on blocks of the burst length: half (b) of the
//! default, the one that finds a small lasting change.
//!
//! Sums over blocks at least as long as any crash loop are independent enough
//! to be tested by their own spread, whatever the spread is: no assumption of
//! Poisson counts, which real crashes do not obey. Per block and ratio r0
//!
//! ```text
//! d(r0) = 2·(a − r0·c)/(1 + r0)     a = Σ E_C·X_T/(E_T + E_C),  c = Σ E_T·X_C/(E_T + E_C)
//! ```
//!
//! summed over the strata (full hours) of the block, and
//! exp(λ·Σd − λ²·Σd²/2) mixed over λ normal (Robbins; self-normalized sums:
//! de la Peña, Lai and Shao 2009; Howard et al. 2021, arXiv 1810.08240):
//!
//! ```text
//! log E = ½·ln(s²/(V + s²)) + S²/(2·(V + s²))   [ + ln 2 + ln Φ(S/√(V + s²)) one-sided ]
//! ```

use std::f64::consts::LN_2;

use super::Arm;
use super::bets::Bets;
use super::logspace::log_phi;

/// A block closes no earlier than at this many expected events of either arm.
const EXPECTED_EVENTS: f64 = 10.0;
/// … and of the arm said to have fewer, at this many bursts' worth.
const EXPECTED_BURSTS: f64 = 2.0;
/// Minutes of a stratum: exposure and rate may move together from hour to hour.
const STRATUM_MINUTES: u32 = 60;
/// The scale s² over the variance that independent events of the first block
/// would have.
const SCALE: f64 = 20.0;
/// Lags at which the differences of blocks are held against each other.
const LAGS: usize = 3;

/// What evidence is gathered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// r is more than a ratio.
    Above,
    /// r is less than a ratio.
    Below,
}

/// Blocks and what they add up to.
#[derive(Clone, Debug)]
pub struct Blocks {
    burst_minutes: u32,
    /// Expected events of T and of C at which a block may close.
    wanted: [f64; 2],
    /// Whether the evidence is for r above a ratio, or below it.
    claim: Claim,
    /// First minute of the open block; none before the first minute with data.
    start: Option<u32>,
    /// The minute after the last one added.
    next: u32,
    /// The hour of the open stratum.
    hour: u32,
    /// Events and exposure of both arms before `next`.
    before: Arm,
    /// Events of T and of C expected in the open block.
    expected: [f64; 2],
    /// The open stratum.
    treatment: Arm,
    control: Arm,
    /// The open block, its closed strata.
    a: f64,
    c: f64,
    block_exposure: [f64; 2],
    /// s², 0 until the first block closes.
    scale: f64,
    /// Blocks closed.
    count: u32,
    sums: Sums,
    drift: Drift,
    /// The ratio alarms are raised against, and the bets on it.
    ratio: f64,
    bets: Bets,
}

/// Running sums over blocks, sound where raw sums of squares would cancel:
/// D1 = Σ(a−c), D2 = Σ(a−c)², DC = Σ(a−c)·c, C1 = Σc, CC = Σc².
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    d1: f64,
    d2: f64,
    dc: f64,
    c1: f64,
    cc: f64,
}

/// S and V + s² against one ratio.
#[derive(Clone, Copy, Debug)]
struct Standing {
    sum: f64,
    spread: f64,
    scale: f64,
}

/// What the autocorrelation of the differences needs.
#[derive(Clone, Copy, Debug, Default)]
struct Drift {
    first: [f64; LAGS],
    recent: [f64; LAGS],
    lagged: [f64; LAGS],
}

impl Blocks {
    /// No block yet; `burst_minutes` of at least 1.
    pub fn new(claim: Claim, ratio: f64, burst_minutes: u32, burst_events: u32) -> Self {
        let bursts = EXPECTED_EVENTS.max(EXPECTED_BURSTS * f64::from(burst_events));
        Blocks {
            burst_minutes: burst_minutes.max(1),
            wanted: match claim {
                Claim::Above => [EXPECTED_EVENTS, bursts],
                Claim::Below => [bursts, EXPECTED_EVENTS],
            },
            claim,
            start: None,
            next: 0,
            hour: 0,
            before: Arm::default(),
            expected: [0.0; 2],
            treatment: Arm::default(),
            control: Arm::default(),
            a: 0.0,
            c: 0.0,
            block_exposure: [0.0; 2],
            scale: 0.0,
            count: 0,
            sums: Sums::default(),
            drift: Drift::default(),
            ratio,
            bets: Bets::new(1.0),
        }
    }

    /// Lets the minutes without data before `minute` go by; the minute of the
    /// look where the open block came of age among them.
    #[inline]
    pub fn pass(&mut self, minute: u32) -> Option<u32> {
        if minute <= self.next || !self.of_age() {
            return None;
        }
        let due = self.start? + (self.burst_minutes - 1);
        let look = due.max(self.next);
        if look >= minute {
            return None;
        }
        self.close(look);
        Some(look)
    }

    /// Adds a minute after all earlier ones (call [`Blocks::pass`] first);
    /// says whether a block closed with it, which is a look.
    #[inline]
    pub fn add(&mut self, minute: u32, treatment: Arm, control: Arm) -> bool {
        let hour = minute / STRATUM_MINUTES;
        let start = *self.start.get_or_insert(minute);
        if hour != self.hour {
            self.close_stratum();
            self.hour = hour;
        }
        // Known before the counts of this minute are.
        if self.before.exposure > 0.0 {
            let rate = self.before.events / self.before.exposure;
            self.expected[0] += treatment.exposure * rate;
            self.expected[1] += control.exposure * rate;
        }
        self.before.events += treatment.events + control.events;
        self.before.exposure += treatment.exposure + control.exposure;
        self.treatment.events += treatment.events;
        self.treatment.exposure += treatment.exposure;
        self.control.events += control.events;
        self.control.exposure += control.exposure;
        self.next = minute + 1;
        let whole = minute - start + 1 >= self.burst_minutes && self.of_age();
        if whole {
            self.close(minute);
        }
        whole
    }

    #[inline]
    fn of_age(&self) -> bool {
        self.expected[0] >= self.wanted[0] && self.expected[1] >= self.wanted[1]
    }

    fn close_stratum(&mut self) {
        let (t, c) = (self.treatment, self.control);
        self.block_exposure[0] += t.exposure;
        self.block_exposure[1] += c.exposure;
        if t.exposure > 0.0 && c.exposure > 0.0 {
            let both = t.exposure + c.exposure;
            self.a += t.events * (c.exposure / both);
            self.c += c.events * (t.exposure / both);
        }
        (self.treatment, self.control) = (Arm::default(), Arm::default());
    }

    #[cold]
    fn close(&mut self, minute: u32) {
        self.close_stratum();
        if self.count == 0 {
            let [t, c] = self.block_exposure;
            let both = t + c;
            let expected = self.expected[0].min(self.expected[1]);
            self.scale = SCALE * expected * (t / both) * (c / both);
            self.scale = self.scale.max(f64::MIN_POSITIVE);
            self.bets = Bets::new((expected * (t / both).max(c / both)).sqrt());
        }
        let (d, c) = (self.a - self.c, self.c);
        self.sums.d1 += d;
        self.sums.d2 += d * d;
        self.sums.dc += d * c;
        self.sums.c1 += c;
        self.sums.cc += c * c;
        self.drift.add(d, self.count as usize);
        let above = 2.0 * (self.a - self.ratio * self.c) / (1.0 + self.ratio);
        self.bets.add(match self.claim {
            Claim::Above => above,
            Claim::Below => -above,
        });
        self.count = self.count.saturating_add(1);
        (self.a, self.c) = (0.0, 0.0);
        self.expected = [0.0; 2];
        self.block_exposure = [0.0; 2];
        self.start = Some(minute + 1);
        self.next = self.next.max(minute + 1);
    }

    fn standing(&self, ratio: f64) -> Option<Standing> {
        if self.count == 0 {
            return None;
        }
        let Sums { d1, d2, dc, c1, cc } = self.sums;
        let (over, half) = (ratio - 1.0, 2.0 / (1.0 + ratio));
        let variance = half * half * (d2 - 2.0 * over * dc + over * over * cc);
        Some(Standing {
            sum: match self.claim {
                Claim::Above => half * (d1 - over * c1),
                Claim::Below => half * (over * c1 - d1),
            },
            spread: variance.max(0.0) + self.scale,
            scale: self.scale,
        })
    }

    /// log E of the claim: r above, or below, `ratio` (0 before the first block
    /// closes).
    pub fn log_e(&self, ratio: f64) -> f64 {
        self.standing(ratio).map_or(0.0, Standing::log_e)
    }

    /// log E of the claim against the one ratio alarms are raised against, by
    /// the bets on signs: sharper than [`Blocks::log_e`], and not to be had of
    /// any ratio afterwards.
    pub fn log_e_bet(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.bets.log_e()
        }
    }

    /// No smaller than [`Blocks::log_e_bet`].
    pub fn log_e_bet_at_most(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.bets.log_e_at_most()
        }
    }

    /// No smaller than [`Blocks::log_e`], for the price of a division.
    pub fn log_e_at_most(&self, ratio: f64) -> f64 {
        self.standing(ratio)
            .map_or(0.0, |it| LN_2 + it.sum * it.sum / (2.0 * it.spread))
    }

    /// The pooled estimate Σa/Σc of r over closed blocks (Mantel and Haenszel).
    pub fn estimate(&self) -> Option<f64> {
        let Sums { d1, c1, .. } = self.sums;
        (c1 > 0.0 && d1 + c1 > 0.0).then(|| (d1 + c1) / c1)
    }

    /// The highest autocorrelation of the differences at lags 1 to 3, beyond
    /// what chance would leave; none with too few blocks to tell.
    pub fn autocorrelation(&self) -> Option<f64> {
        let blocks = f64::from(self.count);
        if self.count < 40 {
            return None;
        }
        let mean = self.sums.d1 / blocks;
        let spread = self.sums.d2 - mean * self.sums.d1;
        if spread <= 0.0 {
            return None;
        }
        let highest = self.drift.highest(self.sums.d1, mean, blocks) / spread;
        let chance = 2.0 / blocks.sqrt();
        (highest > chance).then_some(highest)
    }
}

impl Standing {
    fn log_e(self) -> f64 {
        let z = self.sum / self.spread.sqrt();
        LN_2 + 0.5 * (self.scale / self.spread).ln() + 0.5 * z * z + log_phi(z)
    }
}

impl Drift {
    fn add(&mut self, difference: f64, count: usize) {
        if let Some(first) = self.first.get_mut(count) {
            *first = difference;
        }
        for (lag, (lagged, earlier)) in self.lagged.iter_mut().zip(self.recent).enumerate() {
            if count > lag {
                *lagged += difference * earlier;
            }
        }
        self.recent.rotate_right(1);
        self.recent[0] = difference;
    }

    /// Of Σ(dᵢ − m)(dᵢ₋ₖ − m) over the lags, the highest.
    fn highest(&self, total: f64, mean: f64, blocks: f64) -> f64 {
        let mut left_out = 0.0;
        let mut highest = f64::NEG_INFINITY;
        for lag in 0..LAGS {
            left_out += self.first[lag] + self.recent[lag];
            let both = 2.0 * total - left_out;
            let pairs = blocks - (lag + 1) as f64;
            highest = highest.max(self.lagged[lag] - mean * both + pairs * mean * mean);
        }
        highest
    }
}
