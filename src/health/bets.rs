//! Bets on the signs of the blocks' differences: what half (b) alarms by.
//!
//! Whatever its size, a difference d that is as likely to be −d as d gives
//! exp(λd)/cosh(λd) = 2/(1 + e^(−2λd)) the mean 1: the product over blocks is an
//! e-process for every λ, and so is a mean over several. Since cosh(x) ≤
//! exp(x²/2) it is never below Robbins' exp(λd − λ²d²/2) of the same λ, and it
//! grows by up to ln 2 a block where that grows by ½ at the most: six blocks can
//! suffice where eleven were needed.

use std::f64::consts::LN_2;

use super::logspace::log_sum_exp;

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
}

/// ln of the weights, ∝ 2^(−j/2): cautious bettors have more.
fn log_weights() -> [f64; BETTORS] {
    let root = std::f64::consts::FRAC_1_SQRT_2;
    let total = (1.0 - root.powi(BETTORS as i32)) / (1.0 - root);
    std::array::from_fn(|bettor| -0.5 * LN_2 * bettor as f64 - total.ln())
}

impl Bets {
    /// Before the first block; `spread` is the standard deviation that
    /// independent events of one block would have.
    pub fn new(spread: f64) -> Self {
        Bets {
            first: 1.0 / (spread.max(1e-100) * (1 << (BETTORS - 1)) as f64),
            logs: [0.0; BETTORS],
            factors: [1.0; BETTORS],
        }
    }

    /// Adds a block's difference, positive where it speaks for the claim.
    pub fn add(&mut self, difference: f64) {
        let mut odds = (-2.0 * (self.first * difference).abs()).exp();
        for factor in &mut self.factors {
            // A bettor who loses everything could not come back, nor be shown.
            let bounded = odds.max(1e-100);
            let against = if difference < 0.0 { bounded } else { 1.0 };
            *factor *= 2.0 * against / (1.0 + odds);
            odds *= odds;
        }
        let far = |factor: &f64| !(1e-100..1e100).contains(factor);
        if self.factors.iter().any(far) {
            for (log, factor) in self.logs.iter_mut().zip(&mut self.factors) {
                *log += factor.ln();
                *factor = 1.0;
            }
        }
    }

    /// log E.
    pub fn log_e(&self) -> f64 {
        let capital = self.logs.iter().zip(&self.factors).zip(log_weights());
        log_sum_exp(capital.map(|((log, factor), weight)| weight + log + factor.ln()))
    }

    /// No smaller than [`Bets::log_e`]: what the richest has.
    pub fn log_e_at_most(&self) -> f64 {
        let log = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        log + self.factors.iter().copied().fold(0.0, f64::max).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_mean_of_the_products() {
        let differences = [3.0, -1.0, 0.5, 7.0, -20.0, 4.0, 0.0, 11.0];
        let mut bets = Bets::new(4.0);
        let mut plain = [0.0; BETTORS];
        for difference in differences {
            bets.add(difference);
            for (bettor, log) in plain.iter_mut().enumerate() {
                let x: f64 = difference / 4.0 * 2f64.powi(bettor as i32 - 7);
                *log += x - x.cosh().ln();
            }
        }
        let weights = log_weights();
        let expected = log_sum_exp(plain.iter().zip(weights).map(|(log, weight)| log + weight));
        assert!((bets.log_e() - expected).abs() < 1e-12);
        assert!(bets.log_e() <= bets.log_e_at_most());
        let total: f64 = weights.iter().map(|weight| weight.exp()).sum();
        assert!((total - 1.0).abs() < 1e-12);
    }

    #[test]
    fn stays_finite() {
        for difference in [1e80, -1e80, 1e-80, 0.0] {
            let mut bets = Bets::new(1e-3);
            for _ in 0..5_000 {
                bets.add(difference);
            }
            assert!(bets.log_e().is_finite() && bets.log_e() <= bets.log_e_at_most() + 1e-9);
        }
    }
}
