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
use super::bets::{Bets, highest_stake};
use super::drift::Drift;
use super::exposures::ahead;
use super::logspace::log_phi;

/// A block closes no earlier than at this many expected events of either arm.
const EXPECTED_EVENTS: f64 = 10.0;
/// … and of the arm said to have fewer, at this many bursts' worth.
const EXPECTED_BURSTS: f64 = 2.0;
/// Minutes of a stratum: exposure and rate may move together from hour to hour.
pub(super) const STRATUM_MINUTES: u32 = 60;
/// The scale s² over the variance that independent events of the first block
/// would have.
const SCALE: f64 = 20.0;

/// What evidence is gathered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// r is more than a ratio.
    Above,
    /// r is less than a ratio.
    Below,
}

/// Minutes on their way into the blocks of both claims.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Whether a minute with data has come.
    pub(super) started: bool,
    /// The minute after the last one added.
    pub(super) next: u32,
    /// The first minute at which a block may be long enough.
    pub(super) due: u32,
    /// The hour of the open stratum.
    pub(super) hour: u32,
    /// Events and exposure of both arms before `next`.
    pub(super) before: Arm,
    /// Events of T and of C expected so far.
    pub(super) expected: [f64; 2],
    /// T and C since the last cut: the end of a stratum, or of a block.
    pub(super) open: [Arm; 2],
    pub(super) claims: [Claimed; 2],
}

/// The blocks of one claim and what they add up to.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub(super) claim: Claim,
    burst_minutes: u32,
    burst_events: f64,
    /// The first minute at which the open block is as long as a burst.
    pub(super) due: u32,
    /// Expected events of T and of C at which the open block may close.
    wanted: [f64; 2],
    /// … counted from here.
    expected_before: [f64; 2],
    /// What the open stratum held before the last cut.
    stratum: [Arm; 2],
    /// The open block, its closed strata.
    a: f64,
    c: f64,
    exposure: [f64; 2],
    /// s², 0 until the first block closes.
    pub(super) scale: f64,
    /// Blocks closed.
    pub(super) count: u32,
    pub(super) sums: Sums,
    drift: Drift,
    /// The ratio alarms are raised against, and the bets on it.
    ratio: f64,
    bets: Bets,
    /// What the last block leaves to be expected of the next one's difference.
    left_over: f64,
    /// T's share of the exposure of the last block.
    share: Option<f64>,
}

/// Running sums over blocks, sound where raw sums of squares would cancel:
/// D1 = Σ(a−c), D2 = Σ(a−c)², DC = Σ(a−c)·c, C1 = Σc, CC = Σc².
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub d1: f64,
    pub d2: f64,
    pub dc: f64,
    pub c1: f64,
    pub cc: f64,
}

/// S and V + s² against one ratio.
#[derive(Clone, Copy, Debug)]
struct Standing {
    sum: f64,
    spread: f64,
    scale: f64,
}

impl Blocks {
    /// No block yet; alarms of "above" are against `ratio`, of "below" against 1.
    pub fn new(ratio: f64, burst_minutes: u32, burst_events: u32) -> Self {
        let claimed = |claim, ratio| Claimed::new(claim, ratio, burst_minutes, burst_events);
        Blocks {
            started: false,
            next: 0,
            due: u32::MAX,
            hour: u32::MAX,
            before: Arm::default(),
            expected: [0.0; 2],
            open: [Arm::default(); 2],
            claims: [claimed(Claim::Above, ratio), claimed(Claim::Below, 1.0)],
        }
    }

    /// Lets minutes without data go by, up to but not including `minute`; the
    /// minute of the first look among them, where a block closed. To be called
    /// again until there is none.
    #[inline]
    pub fn pass(&mut self, minute: u32) -> Option<u32> {
        if minute <= self.next || minute <= self.due {
            return None;
        }
        self.pass_slowly(minute)
    }

    #[cold]
    fn pass_slowly(&mut self, minute: u32) -> Option<u32> {
        let ripe = self.claims.iter().filter(|it| it.ripe(self.expected));
        let look = ripe.map(|it| it.due.max(self.next)).min()?;
        (look < minute && self.close(look)).then_some(look)
    }

    /// Adds a minute after all earlier ones (call [`Blocks::pass`] first);
    /// says whether a block closed with it, which is a look.
    #[inline]
    pub fn add(&mut self, minute: u32, treatment: Arm, control: Arm) -> bool {
        let hour = minute / STRATUM_MINUTES;
        if hour != self.hour {
            self.turn_hour(minute, hour);
        }
        // Known before the counts of this minute are.
        let before = self.before;
        self.expected[0] += ahead(treatment.exposure, before.exposure) * before.events;
        self.expected[1] += ahead(control.exposure, before.exposure) * before.events;
        self.before.events += treatment.events + control.events;
        self.before.exposure += treatment.exposure + control.exposure;
        self.open[0].add(treatment);
        self.open[1].add(control);
        self.next = minute + 1;
        minute >= self.due && self.close(minute)
    }

    pub(super) fn turn_hour(&mut self, minute: u32, hour: u32) {
        if !self.started {
            self.started = true;
            for claimed in &mut self.claims {
                claimed.start(minute, [0.0; 2]);
            }
            self.due = self.claims[0].due;
        }
        self.cut();
        for claimed in &mut self.claims {
            claimed.close_stratum();
        }
        self.hour = hour;
    }

    /// Hands what is open to both claims.
    fn cut(&mut self) {
        for claimed in &mut self.claims {
            claimed.stratum[0].add(self.open[0]);
            claimed.stratum[1].add(self.open[1]);
        }
        self.open = [Arm::default(); 2];
    }

    /// Closes the blocks that are due at `minute`; whether there were any.
    #[inline(never)]
    pub(super) fn close(&mut self, minute: u32) -> bool {
        let due = |it: &Claimed, expected| minute >= it.due && it.ripe(expected);
        if !self.claims.iter().any(|it| due(it, self.expected)) {
            return false;
        }
        self.cut();
        for claimed in &mut self.claims {
            if due(claimed, self.expected) {
                claimed.close(minute, self.expected);
            }
        }
        self.due = self.claims[0].due.min(self.claims[1].due);
        self.next = self.next.max(minute + 1);
        true
    }

    /// The blocks of "above".
    pub fn above(&self) -> &Claimed {
        &self.claims[0]
    }

    /// The blocks of "below".
    pub fn below(&self) -> &Claimed {
        &self.claims[1]
    }

    /// ln of the pooled estimate of r: the mean over both claims, so that the arms
    /// swapped have the same with the other sign.
    pub fn log_estimate(&self) -> Option<f64> {
        let [above, below] = self.claims.each_ref().map(Claimed::log_estimate);
        match above.zip(below) {
            Some((above, below)) => Some(0.5 * (above + below)),
            None => above.or(below),
        }
    }

    /// About how far the ends of a 95 % sequence are from the estimate, in ln r:
    /// the same for the arms swapped, too.
    pub fn width(&self) -> f64 {
        let [above, below] = self.claims.each_ref().map(Claimed::width);
        above.min(below)
    }

    /// The same, to ask for the evidence of bets.
    pub fn above_mut(&mut self) -> &mut Claimed {
        &mut self.claims[0]
    }

    /// The same, to ask for the evidence of bets.
    pub fn below_mut(&mut self) -> &mut Claimed {
        &mut self.claims[1]
    }
}

impl Claimed {
    fn new(claim: Claim, ratio: f64, burst_minutes: u32, burst_events: u32) -> Self {
        let bursts = EXPECTED_EVENTS.max(EXPECTED_BURSTS * f64::from(burst_events));
        Claimed {
            claim,
            burst_minutes: burst_minutes.max(1),
            burst_events: f64::from(burst_events),
            due: u32::MAX,
            wanted: match claim {
                Claim::Above => [EXPECTED_EVENTS, bursts],
                Claim::Below => [bursts, EXPECTED_EVENTS],
            },
            expected_before: [0.0; 2],
            stratum: [Arm::default(); 2],
            a: 0.0,
            c: 0.0,
            exposure: [0.0; 2],
            scale: 0.0,
            count: 0,
            sums: Sums::default(),
            drift: Drift::default(),
            ratio,
            bets: Bets::new(1.0),
            left_over: 0.0,
            share: None,
        }
    }

    fn start(&mut self, minute: u32, expected: [f64; 2]) {
        self.due = minute.saturating_add(self.burst_minutes - 1);
        self.expected_before = expected;
    }

    /// Events each arm expects in the open block.
    fn in_block(&self, expected: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|arm| expected[arm] - self.expected_before[arm])
    }

    fn ripe(&self, expected: [f64; 2]) -> bool {
        let [treatment, control] = self.in_block(expected);
        treatment >= self.wanted[0] && control >= self.wanted[1]
    }

    /// What must be expected of T and of C in all, or a hair more, for the block
    /// to close.
    pub(super) fn expected_at_least(&self) -> [f64; 2] {
        let at_least = |arm: usize| (self.expected_before[arm] + self.wanted[arm]) * (1.0 - 1e-12);
        [at_least(0), at_least(1)]
    }

    fn close_stratum(&mut self) {
        let [t, c] = self.stratum;
        self.exposure[0] += t.exposure;
        self.exposure[1] += c.exposure;
        if t.exposure > 0.0 && c.exposure > 0.0 {
            let both = t.exposure + c.exposure;
            self.a += t.events * (c.exposure / both);
            self.c += c.events * (t.exposure / both);
        }
        self.stratum = [Arm::default(); 2];
    }

    fn close(&mut self, minute: u32, expected: [f64; 2]) {
        self.close_stratum();
        if self.count == 0 {
            let [t, c] = self.exposure;
            let (t, c) = (t / (t + c), c / (t + c));
            let [expected_t, expected_c] = self.in_block(expected);
            let smaller = expected_t.min(expected_c);
            self.scale = (SCALE * smaller * t * c).max(f64::MIN_POSITIVE);
            self.bets = Bets::new((smaller * t.max(c)).sqrt());
        }
        let (d, c) = (self.a - self.c, self.c);
        self.sums.d1 += d;
        self.sums.d2 += d * d;
        self.sums.dc += d * c;
        self.sums.c1 += c;
        self.sums.cc += c * c;
        self.drift.add(d, self.count as usize);
        let above = 2.0 * (self.a - self.ratio * self.c) / (1.0 + self.ratio);
        let new = match self.claim {
            Claim::Above => above,
            Claim::Below => -above,
        } - self.left_over;
        let [t, c] = self.exposure;
        let [expected_t, expected_c] = self.in_block(expected);
        // The share of the block before: this one's, where exposure comes late and
        // by chance, would make bettors bold just when they win.
        let now = t / (t + c);
        let before = self.share.replace(now);
        let (fewer, expected_fewer) = match self.claim {
            Claim::Above => (before.map(|it| 1.0 - it), expected_c),
            Claim::Below => (before, expected_t),
        };
        let fewer = fewer.unwrap_or(now.min(1.0 - now));
        let highest = highest_stake(self.burst_events, expected_fewer, fewer);
        self.bets.add(new, highest);
        let burst = f64::from(self.burst_minutes);
        let minutes = burst + f64::from(minute.saturating_sub(self.due));
        self.left_over = new * carry(burst, minutes);
        self.count = self.count.saturating_add(1);
        (self.a, self.c) = (0.0, 0.0);
        self.exposure = [0.0; 2];
        self.start(minute + 1, expected);
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
    /// the bets on signs: sharper than [`Claimed::log_e`], and not to be had of
    /// any ratio afterwards.
    pub fn log_e_bet(&mut self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.bets.log_e()
        }
    }

    /// No smaller than [`Claimed::log_e_bet`].
    pub fn log_e_bet_at_most(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.bets.log_e_at_most()
        }
    }

    /// No smaller than [`Claimed::log_e`], for the price of a division.
    pub fn log_e_at_most(&self, ratio: f64) -> f64 {
        self.standing(ratio)
            .map_or(0.0, |it| LN_2 + it.sum * it.sum / (2.0 * it.spread))
    }

    /// ln of the pooled estimate Σa/Σc of r over closed blocks (Mantel and Haenszel).
    fn log_estimate(&self) -> Option<f64> {
        let Sums { d1, c1, .. } = self.sums;
        (c1 > 0.0 && d1 + c1 > 0.0).then(|| ((d1 + c1) / c1).ln())
    }

    /// About how far the ends of a 95 % sequence are from the estimate, in ln r.
    fn width(&self) -> f64 {
        let Sums { d1, d2, c1, .. } = self.sums;
        let both = 0.5 * d1 + c1;
        if both > 0.0 {
            2.8 * (d2 + self.scale).sqrt() / both
        } else {
            0.02
        }
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

/// Of a block's difference, the share to be expected of the next one again, were
/// all of it loops as long as a burst may be: those that run across the boundary
/// count in both. A loop of L minutes that begins somewhere in a block of B has an
/// L³/6 of its square in common with the next, of L²·(B − L/3) in its own; the
/// quotient is L/(6B − 2L), ¼ where blocks are as short as bursts.
fn carry(burst: f64, minutes: f64) -> f64 {
    burst / (6.0 * minutes - 2.0 * burst)
}

impl Standing {
    fn log_e(self) -> f64 {
        let z = self.sum / self.spread.sqrt();
        LN_2 + 0.5 * (self.scale / self.spread).ln() + 0.5 * z * z + log_phi(z)
    }
}
