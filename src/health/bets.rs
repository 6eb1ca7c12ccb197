//! Bets on the signs of the blocks' differences: what half (b) alarms by.
//!
//! Whatever its size, a difference d that is as likely to be −d as d gives
//! exp(λd)/cosh(λd) = 2/(1 + e^(−2λd)) = 1 + tanh(λd) the mean 1: the product over
//! blocks is an e-process for every λ, and so is a mean over several. Since
//! cosh(x) ≤ exp(x²/2) it is never below Robbins' exp(λd − λ²d²/2) of the same λ,
//! and it grows by up to ln 2 a block where that grows by ½ at the most: six
//! blocks can suffice where eleven were needed.
//!
//! Two things keep real differences from being symmetric given those before.
//! *Loops that run on into the next block*: what they leave to be expected is
//! taken off first (see `carry` in [`super::blocks`]). *Bursts in the smaller
//! arm*: it mostly has a few events less than its due, and rarely many more. The mean
//! of tanh(λd) is then about −λ³·E[d³]/3, which is why λ³ times a bound on that
//! moment is held to a third: no bettor bets higher than ∛(1/(3·M)), M that bound.

use std::f64::consts::LN_2;

use super::logspace::log_sum_exp;
use super::vectors::{LANES, exps};
use crate::codec::with_bit_instructions;

/// Bettors; λ doubles from one to the next, up to one over the spread that
/// independent events of the first block would have.
const BETTORS: usize = 8;

/// The bettors, and what they bet on.
#[derive(Clone, Debug)]
pub struct Bets {
    /// λ of the first.
    first: f64,
    capital: Capital,
    /// Blocks since: always as many are bet on at once, so that what comes of it never
    /// depends on when somebody asked. Of those still to come the difference is 0, which
    /// nobody wins or loses by.
    waiting: [Stake; LANES],
    count: usize,
    /// log E, once asked for: a block closes twice an hour, and a service asks
    /// every minute.
    log_e: Option<f64>,
}

/// What each bettor has, as ln and a factor near 1, so that no block needs a logarithm.
#[derive(Clone, Copy, Debug)]
struct Capital {
    logs: [f64; BETTORS],
    factors: [f64; BETTORS],
}

/// A block, on its way to the bettors.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stake {
    /// Its difference, positive where it speaks for the claim.
    pub difference: f64,
    /// What limits bets on it; see [`third_moment`].
    pub moment: f64,
}

/// ln of the weights, ∝ 2^(j/4): bold bettors have a little more, since a
/// difference beyond chance is most often far beyond it.
fn log_weights() -> [f64; BETTORS] {
    let root = std::f64::consts::SQRT_2.sqrt();
    let total = (root.powi(BETTORS as i32) - 1.0) / (root - 1.0);
    std::array::from_fn(|bettor| 0.25 * LN_2 * bettor as f64 - total.ln())
}

/// A bound M on the third moment of a difference against the claim, from bursts of
/// at most `burst` events in the arm said to have fewer. `fewer` is that arm's share
/// of the exposure, `expected` the events it expects. M is burst²·expected times how
/// far the arms are apart; where that arm is the larger one (or equal) the moment
/// speaks for neither, or against the bettor: it is not positive, and no limit.
#[inline(always)]
pub fn third_moment(burst: f64, expected: f64, fewer: f64) -> f64 {
    let more = 1.0 - fewer;
    burst * burst * expected * more * (more - fewer)
}

/// The highest λ blocks of these moments may be bet on with: ∛(1/(3·M)).
#[inline(always)]
fn highest_stakes(moments: [f64; LANES]) -> [f64; LANES] {
    let cubes = moments.map(|moment| 3.0 * moment);
    let mut highest = [0.0; LANES];
    let mut far = false;
    for (highest, cube) in highest.iter_mut().zip(cubes) {
        far |= (cube > 0.0) & !(1e-200..1e200).contains(&cube);
        let root = inverse_cube_root(cube);
        *highest = if cube > 0.0 { root } else { f64::INFINITY };
    }
    if far {
        for (highest, cube) in highest.iter_mut().zip(cubes) {
            if cube > 0.0 && !(1e-200..1e200).contains(&cube) {
                *highest = cube.cbrt().recip();
            }
        }
    }
    highest
}

/// 1/∛x, x from 10⁻²⁰⁰ to 10²⁰⁰, to ten digits: any limit known beforehand will do.
#[inline(always)]
fn inverse_cube_root(x: f64) -> f64 {
    // A third of the exponent, with the sign turned, is right to one part in
    // twenty; every step of Halley's takes the error's cube.
    let mut y = f64::from_bits(THIRD_OF_ONE.wrapping_sub(x.to_bits() / 3));
    for _ in 0..2 {
        let rest = 1.0 - x * y * y * y;
        y += y * rest * (1.0 / 3.0 + rest * (2.0 / 9.0));
    }
    y
}

/// 4/3 of the bits of 1, a little less: the errors of both halves of an octave are
/// then alike.
const THIRD_OF_ONE: u64 = 0x553e_f0ff_289d_d796;

impl Bets {
    /// Before the first block; `spread` is the standard deviation that
    /// independent events of one block would have.
    pub fn new(spread: f64) -> Self {
        Bets {
            first: 1.0 / (spread.max(1e-100) * (1 << (BETTORS - 1)) as f64),
            capital: Capital {
                logs: [0.0; BETTORS],
                factors: [1.0; BETTORS],
            },
            waiting: [Stake::default(); LANES],
            count: 0,
            log_e: None,
        }
    }

    /// Bets on a block.
    #[inline(always)]
    pub fn bet(&mut self, stake: Stake) {
        // Those before first: a processor need not wait for numbers long stored.
        if self.count == LANES {
            self.capital = self.settled();
            self.waiting = [Stake::default(); LANES];
            self.count = 0;
        }
        self.waiting[self.count] = stake;
        self.count += 1;
        self.log_e = None;
    }

    /// λ of the last bettor.
    #[inline(always)]
    fn highest(&self) -> f64 {
        self.first * (1 << (BETTORS - 1)) as f64
    }

    /// The capital, once what waits has been bet on.
    #[inline(never)]
    fn settled(&self) -> Capital {
        with_bit_instructions(
            #[inline(always)]
            || self.settle(),
        )
    }

    #[inline(always)]
    fn settle(&self) -> Capital {
        let (first, top) = (self.first, self.highest());
        let highest = highest_stakes(self.waiting.map(|stake| stake.moment));
        let (mut timid, mut boldest) = ([0.0; LANES], [0.0; LANES]);
        for (lane, stake) in self.waiting.iter().enumerate() {
            let size = -2.0 * stake.difference.abs();
            timid[lane] = (first * size).max(-700.0);
            boldest[lane] = (highest[lane].min(top) * size).max(-700.0);
        }
        // e^(−2λ|d|) of the first bettor; those of the next are their squares.
        let (mut next, mut least) = (exps(timid), exps(boldest));
        let mut lost = [false; LANES];
        for lane in 0..LANES {
            lost[lane] = self.waiting[lane].difference < 0.0;
            // Who may bet as high as he likes has no least odds.
            least[lane] = if highest[lane] < top {
                least[lane]
            } else {
                0.0
            };
        }
        let mut capital = self.capital;
        let mut far = false;
        for factor in &mut capital.factors {
            let (mut against, mut both) = ([0.0; LANES], [0.0; LANES]);
            for lane in 0..LANES {
                let odds = next[lane].max(least[lane]);
                // A bettor who loses everything could not come back, nor be shown.
                against[lane] = if lost[lane] { odds.max(1e-50) } else { 1.0 };
                both[lane] = 1.0 + odds;
                next[lane] *= next[lane];
            }
            let doubled = f64::from(1_u32 << LANES);
            *factor *= product(against) / product(both) * doubled;
            far |= (*factor < 1e-80) | (*factor >= 1e80);
        }
        if far {
            capital.take_logs();
        }
        capital
    }

    /// log E.
    pub fn log_e(&mut self) -> f64 {
        if let Some(known) = self.log_e {
            return known;
        }
        let Capital { logs, factors } = self.settled();
        let capital = logs.iter().zip(factors).zip(log_weights());
        let logs = capital.map(|((log, factor), weight)| weight + log + factor.ln());
        let mut all = [0.0; BETTORS];
        all.iter_mut().zip(logs).for_each(|(all, log)| *all = log);
        *self.log_e.insert(log_sum_exp(all.into_iter()))
    }

    /// Whether log E may be more than this: not where the richest bettor has less,
    /// and ln x is less than (e + 1)·ln 2 for x = m·2^e, 1 ≤ m < 2. No block more
    /// than doubles what a bettor has.
    pub fn may_be_over(&self, limit: f64) -> bool {
        let [log, factor] = self.capital.richest();
        let exponent = (factor.to_bits() >> 52) as f64 - 1_022.0;
        if log + (exponent + self.count as f64) * LN_2 <= limit {
            return false;
        }
        let [log, factor] = self.settled().richest();
        log + factor.ln() > limit
    }
}

impl Capital {
    #[cold]
    fn take_logs(&mut self) {
        for (log, factor) in self.logs.iter_mut().zip(&mut self.factors) {
            *log += factor.ln();
            *factor = 1.0;
        }
    }

    /// As ln and a factor; nobody has more.
    #[inline(always)]
    fn richest(&self) -> [f64; 2] {
        let log = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let factor = self.factors.iter().copied().fold(0.0, f64::max);
        [log, factor]
    }
}

#[inline(always)]
fn product([a, b, c, d]: [f64; LANES]) -> f64 {
    (a * b) * (c * d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(bets: &mut Bets, difference: f64, highest: f64) {
        let moment = (3.0 * highest.powi(3)).recip();
        bets.bet(Stake { difference, moment });
    }

    /// No smaller than log E.
    fn at_most(bets: &Bets) -> f64 {
        let Capital { logs, factors } = bets.settled();
        logs.iter()
            .zip(factors)
            .fold(f64::NEG_INFINITY, |most, (log, factor)| {
                most.max(log + factor.ln())
            })
    }

    #[test]
    fn is_the_mean_of_the_products() {
        let differences = [3.0, -1.0, 0.5, 7.0, -20.0, 4.0, 0.0, 11.0];
        let mut bets = Bets::new(4.0);
        let mut plain = [0.0; BETTORS];
        for difference in differences {
            let highest = [0.1, f64::INFINITY][usize::from(difference > 0.0)];
            add(&mut bets, difference, highest);
            for (bettor, log) in plain.iter_mut().enumerate() {
                let x = difference * (2f64.powi(bettor as i32 - 7) / 4.0).min(highest);
                *log += x - x.cosh().ln();
            }
        }
        let weights = log_weights();
        let expected = log_sum_exp(plain.iter().zip(weights).map(|(log, weight)| log + weight));
        assert!((bets.log_e() - expected).abs() < 1e-12);
        let most = at_most(&bets);
        assert!(bets.log_e() <= most);
        assert!(bets.may_be_over(most - 1e-9) && !bets.may_be_over(most + 1e-9));
        let total: f64 = weights.iter().map(|weight| weight.exp()).sum();
        assert!((total - 1.0).abs() < 1e-12);
    }

    #[test]
    fn stays_finite() {
        for difference in [1e80, -1e80, 1e-80, 0.0] {
            let mut bets = Bets::new(1e-3);
            for _ in 0..5_000 {
                add(&mut bets, difference, 1e6);
            }
            assert!(bets.log_e().is_finite() && bets.log_e() <= at_most(&bets) + 1e-9);
        }
    }

    #[test]
    fn bursts_in_the_smaller_arm_are_bet_on_with_care() {
        // T has 5 % of the exposure; is said to have fewer; a tenth of its events
        // come in bursts of 80. A bold bettor would gain a third a block.
        let (expected, share) = (160.0f64, 0.05);
        let mean = |highest: f64| {
            let mut mean = 0.0;
            let mut chance = (-0.2f64).exp();
            for bursts in 0..12 {
                let steady = 0.9 * expected;
                for step in -40..=40 {
                    let z = f64::from(step) / 10.0;
                    let weight = 0.1 * (-0.5 * z * z).exp() / 2.506_628;
                    let events = steady + z * steady.sqrt() + 80.0 * f64::from(bursts);
                    let d = 0.95 * (expected - events);
                    mean += chance * weight * (1.0 + (highest * d).tanh());
                }
                chance *= 0.2 / f64::from(bursts + 1);
            }
            mean
        };
        assert!(mean(1.0 / expected.sqrt()) > 1.3);
        let moment = |share| third_moment(80.0, expected, share);
        let [care, equal, larger, _] =
            highest_stakes([moment(share), moment(0.5), moment(0.95), 0.0]);
        assert!(mean(care) < 1.01, "{}", mean(care));
        assert_eq!([equal, larger], [f64::INFINITY; 2]);
    }

    #[test]
    fn cube_roots() {
        let mut x = 1e-300;
        while x < 1e300 {
            let [found, negative, ..] = highest_stakes([x / 3.0, -x, 0.0, 1.0]);
            let expected = (3.0 * (x / 3.0)).cbrt().recip();
            assert!((found - expected).abs() <= 1e-10 * expected, "{x}: {found}");
            assert_eq!(negative, f64::INFINITY);
            x *= 1.37;
        }
    }

    #[test]
    fn what_waits_changes_nothing() {
        let (mut asked, mut left) = (Bets::new(3.0), Bets::new(3.0));
        let (mut over, mut late) = (0, 0);
        for block in 0..400 {
            let at = f64::from(block);
            let (difference, highest) = (3.0 * at.sin() + 2.0, [0.1 * at, f64::INFINITY]);
            for bets in [&mut asked, &mut left] {
                add(bets, difference, highest[block as usize % 2]);
            }
            // The limit is never passed unseen.
            let now = asked.log_e();
            over += u32::from(now > 9.5);
            let seen = left.may_be_over(9.5);
            late += u32::from(now > 9.5 && !seen);
            if seen {
                assert_eq!(left.log_e(), now);
            }
        }
        assert_eq!(left.log_e(), asked.log_e());
        assert!(over > 10 && late == 0, "{over} {late}");
    }
}
