//! Tempered likelihoods averaged over priors: ln Σ π(δ)·e^(S(δ)/b), for all priors of
//! a look from one exponential a point.
//!
//! Priors overlap, and weigh the same points differently. So the grid is cut where
//! one of them begins or ends, each piece is raised by its own highest point (S
//! may reach ±10,000 on either side), and a prior takes its pieces together.

use super::grid::{Grid, Prior};
use super::vectors::{LANES, exps};
use crate::codec::with_bit_instructions;

/// Below the highest point by this much, what a point adds is lost in rounding,
/// whatever its weight: those of a prior are within e^18 of each other.
const NOTHING: f64 = -70.0;

/// e^(S/b) over a grid.
#[derive(Clone, Debug, Default)]
pub struct Heights {
    /// Of each piece, its highest S/b.
    highest: Vec<f64>,
    /// Of each point, e^(S/b) over that of its piece's highest.
    factors: Vec<f64>,
}

impl Heights {
    /// Those of `scores` over b.
    pub fn set(&mut self, grid: &Grid, scores: &[f64], burst: f64) {
        with_bit_instructions(
            #[inline(always)]
            || self.set_pieces(grid, scores, 1.0 / burst),
        );
    }

    #[inline(always)]
    fn set_pieces(&mut self, grid: &Grid, scores: &[f64], inverse: f64) {
        self.highest.clear();
        self.factors.resize(scores.len(), 0.0);
        for piece in &grid.pieces {
            let scores = &scores[piece.clone()];
            let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            self.highest.push(highest * inverse);
            let factors = self.factors[piece.clone()].chunks_mut(LANES);
            for (scores, sinks) in scores.chunks(LANES).zip(factors) {
                let mut below = [0.0; LANES];
                for (below, score) in below.iter_mut().zip(scores) {
                    *below = (score - highest) * inverse;
                }
                let factors = exps(below.map(|below| below.max(NOTHING)));
                for (sink, (factor, below)) in sinks.iter_mut().zip(factors.into_iter().zip(below))
                {
                    *sink = if below > NOTHING { factor } else { 0.0 };
                }
            }
        }
    }

    /// ln Σ π(δ)·e^(S(δ)/b) over a prior of the grid.
    pub fn log_mean(&self, grid: &Grid, prior: &Prior) -> f64 {
        let highest = &self.highest[prior.pieces.clone()];
        let top = highest.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let first = prior.points.start;
        let mut sum = 0.0;
        for (piece, highest) in grid.pieces[prior.pieces.clone()].iter().zip(highest) {
            let weights = &prior.weights[piece.start - first..piece.end - first];
            let part = product(weights, &self.factors[piece.clone()]);
            sum += if *highest == top {
                part
            } else {
                part * (highest - top).exp()
            };
        }
        top + sum.ln()
    }
}

/// Σ of the products, in four sums that do not wait for each other.
fn product(left: &[f64], right: &[f64]) -> f64 {
    let (fours, last) = left.as_chunks::<4>();
    let (other_fours, other_last) = right.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (left, right) in fours.iter().zip(other_fours) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += left * right;
        }
    }
    let rest = last.iter().zip(other_last);
    let rest: f64 = rest.map(|(left, right)| left * right).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::super::logspace::log_sum_exp;
    use super::*;

    #[test]
    fn is_the_mean_over_each_prior() {
        for grid in [Grid::tempered(1.0), Grid::tempered(1.1), Grid::exact(1.3)] {
            for (bend, slope) in [(0.0, 0.0), (30.0, 10.0), (2e4, -9e3), (1e6, 4e5)] {
                let score = |delta: &f64| delta * (slope - bend * delta);
                let scores: Vec<f64> = grid.deltas.iter().map(score).collect();
                for burst in [1.0, 80.0] {
                    let mut heights = Heights::default();
                    heights.set(&grid, &scores, burst);
                    for prior in [&grid.worse, &grid.better, &grid.either] {
                        let terms = scores[prior.points.clone()].iter();
                        let terms = terms.zip(&prior.log_weights);
                        let expected =
                            log_sum_exp(terms.map(|(score, weight)| weight + score / burst));
                        let found = heights.log_mean(&grid, prior);
                        assert!(
                            (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
                            "{found} {expected}"
                        );
                    }
                }
            }
        }
    }
}
