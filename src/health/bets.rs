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
//! moment is held to a third: no bettor bets higher than [`highest_stake`].

use std::f64::consts::LN_2;

use super::logspace::log_sum_exp;
use super::vectors::{LANES, exps};

/// Bettors; λ doubles from one to the next, up to one over the spread that
/// independent events of the first block would have.
const BETTORS: usize = 8;

/// The bettors' capital.
#[derive(Clone, Debug)]
pub struct Bets {
    /// λ of the first.
    first: f64,
    /// Capital as ln and a factor near 1, so that no block needs a logarithm.
    logs: [f64; BETTORS],
    factors: [f64; BETTORS],
    /// log E, once asked for: a block closes twice an hour, and a service asks
    /// every minute.
    log_e: Option<f64>,
}

/// ln of the weights, ∝ 2^(j/4): bold bettors have a little more, since a
/// difference beyond chance is most often far beyond it.
fn log_weights() -> [f64; BETTORS] {
    let root = std::f64::consts::SQRT_2.sqrt();
    let total = (root.powi(BETTORS as i32) - 1.0) / (root - 1.0);
    std::array::from_fn(|bettor| 0.25 * LN_2 * bettor as f64 - total.ln())
}

/// A block's difference, on its way to the bettors.
pub struct Stake<'a> {
    pub bets: &'a mut Bets,
    /// Positive where it speaks for the claim.
    pub difference: f64,
    /// The highest λ it may be bet on with; see [`highest_stake`].
    pub highest: f64,
}

/// The highest λ a block may be bet on with: ∛(1/(3·M)), M a bound on the third
/// moment of a difference against the claim, from bursts of at most `burst` events
/// in the arm said to have fewer. `fewer` is that arm's share of the exposure,
/// `expected` the events it expects. M is burst²·expected times how far
/// the arms are apart; where that arm is the larger one (or equal) the moment
/// speaks for neither, or against the bettor, and there is no bound.
#[inline(always)]
pub fn highest_stake(burst: f64, expected: f64, fewer: f64) -> f64 {
    let more = 1.0 - fewer;
    let moment = burst * burst * expected * more * (more - fewer);
    if moment > 0.0 {
        inverse_cube_root(3.0 * moment)
    } else {
        f64::INFINITY
    }
}

/// 1/∛x, x positive, to about the last place.
#[inline(always)]
fn inverse_cube_root(x: f64) -> f64 {
    if !(1e-200..1e200).contains(&x) {
        return x.cbrt().recip();
    }
    // A third of the exponent, with the sign turned, is right to one part in
    // twenty; every step of Halley's takes the error's cube.
    let mut y = f64::from_bits(THIRD_OF_ONE - x.to_bits() / 3);
    for _ in 0..3 {
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
            logs: [0.0; BETTORS],
            factors: [1.0; BETTORS],
            log_e: None,
        }
    }

    /// Bets on a block, for one claim or for both at once.
    #[inline(always)]
    pub fn bet<const CLAIMS: usize>(mut stakes: [Stake<'_>; CLAIMS]) {
        const { assert!(2 * CLAIMS <= LANES) };
        let mut doubled = [0.0; LANES];
        let mut bound = [false; CLAIMS];
        for (claim, stake) in stakes.iter().enumerate() {
            let (first, top) = (stake.bets.first, stake.bets.highest());
            let size = -2.0 * stake.difference.abs();
            // Who may bet as high as he likes has no least odds.
            bound[claim] = stake.highest < top;
            doubled[2 * claim] = (first * size).max(-700.0);
            doubled[2 * claim + 1] = (stake.highest.min(top) * size).max(-700.0);
        }
        let odds = exps(doubled);
        for (claim, stake) in stakes.iter_mut().enumerate() {
            let least = if bound[claim] {
                odds[2 * claim + 1]
            } else {
                0.0
            };
            let lost = stake.difference < 0.0;
            stake.bets.settle(odds[2 * claim], least, lost);
        }
    }

    /// λ of the last bettor.
    #[inline(always)]
    fn highest(&self) -> f64 {
        self.first * (1 << (BETTORS - 1)) as f64
    }

    /// Every bettor wins or loses, at odds of e^(−2λ|d|); `next` are those of the first.
    #[inline(always)]
    fn settle(&mut self, mut next: f64, least: f64, lost: bool) {
        let mut all = [0.0; BETTORS];
        for odds in &mut all {
            *odds = next;
            next *= next;
        }
        let mut far = false;
        for (factor, odds) in self.factors.iter_mut().zip(all) {
            let odds = odds.max(least);
            // A bettor who loses everything could not come back, nor be shown.
            let against = if lost { odds.max(1e-100) } else { 1.0 };
            *factor *= 2.0 * against / (1.0 + odds);
            far |= (*factor < 1e-100) | (*factor >= 1e100);
        }
        self.log_e = None;
        if far {
            self.take_logs();
        }
    }

    #[cold]
    fn take_logs(&mut self) {
        for (log, factor) in self.logs.iter_mut().zip(&mut self.factors) {
            *log += factor.ln();
            *factor = 1.0;
        }
    }

    /// log E.
    pub fn log_e(&mut self) -> f64 {
        *self.log_e.get_or_insert_with(|| {
            let capital = self.logs.iter().zip(&self.factors).zip(log_weights());
            let logs = capital.map(|((log, factor), weight)| weight + log + factor.ln());
            let mut all = [0.0; BETTORS];
            all.iter_mut().zip(logs).for_each(|(all, log)| *all = log);
            log_sum_exp(all.into_iter())
        })
    }

    /// Whether log E may be more than this: not where the richest bettor has less,
    /// and ln x is less than (e + 1)·ln 2 for x = m·2^e, 1 ≤ m < 2.
    pub fn may_be_over(&self, limit: f64) -> bool {
        let log = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let factor = self.factors.iter().copied().fold(0.0, f64::max);
        let exponent = (factor.to_bits() >> 52) as f64 - 1_022.0;
        log + exponent * LN_2 > limit && log + factor.ln() > limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(bets: &mut Bets, difference: f64, highest: f64) {
        Bets::bet([Stake {
            bets,
            difference,
            highest,
        }]);
    }

    /// No smaller than log E.
    fn at_most(bets: &Bets) -> f64 {
        let capital = bets.logs.iter().zip(&bets.factors);
        capital.fold(f64::NEG_INFINITY, |most, (log, factor)| {
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
        let care = highest_stake(80.0, expected, share);
        assert!(mean(care) < 1.01, "{}", mean(care));
        assert_eq!(highest_stake(80.0, expected, 0.5), f64::INFINITY);
        assert_eq!(highest_stake(80.0, expected, 0.95), f64::INFINITY);
    }

    #[test]
    fn cube_roots() {
        let mut x = 1e-300;
        while x < 1e300 {
            let (found, expected) = (inverse_cube_root(x), x.cbrt().recip());
            assert!((found - expected).abs() <= 1e-15 * expected, "{x}: {found}");
            x *= 1.37;
        }
    }

    #[test]
    fn both_at_once_are_each_alone() {
        let mut together = [Bets::new(3.0), Bets::new(0.2)];
        let mut alone = together.clone();
        for block in 0..400 {
            let at = f64::from(block);
            let (differences, highest) = ([at.sin() * 9.0, at.cos()], [0.1 * at, f64::INFINITY]);
            let [left, right] = &mut together;
            let stake = |bets, claim: usize| Stake {
                bets,
                difference: differences[claim],
                highest: highest[claim],
            };
            Bets::bet([stake(left, 0), stake(right, 1)]);
            for (claim, bets) in alone.iter_mut().enumerate() {
                Bets::bet([stake(bets, claim)]);
            }
        }
        for (together, alone) in together.iter_mut().zip(&mut alone) {
            assert_eq!(together.log_e(), alone.log_e());
        }
    }
}
