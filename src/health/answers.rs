//! What a comparison answers at a look: evidence, and the confidence sequence.

use super::blocks::{Blocks, Claim};
use super::combined::{Comparison, apart};
use super::logspace::log_mean;
use super::sequence::{self, Ends};
use super::vectors::{LANES, log_means};
use crate::codec::with_bit_instructions;

/// Evidence as natural logarithms, at one look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// For "T's rate is more than the margin times C's".
    pub worse: f64,
    /// For "T's rate is less than C's".
    pub better: f64,
    /// For "the rates differ".
    pub either: f64,
}

/// A confidence sequence of the ratio r of T's rate to C's at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ratio {
    /// The conditional maximum-likelihood estimate; none without events on
    /// either side, or where it is infinite.
    pub estimate: Option<f64>,
    /// The lower bound; none where none is reached.
    pub lower: Option<f64>,
    /// The upper bound; none where none is reached.
    pub upper: Option<f64>,
}

/// Answers that hold until the next minute.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answers {
    /// Whether the heights are current.
    pub(super) heights: bool,
    evidence: Option<Evidence>,
    /// With its alpha.
    ratio: Option<(f64, Ratio)>,
}

impl Comparison {
    /// Evidence as of the minutes added (and passed).
    pub fn evidence(&mut self) -> Evidence {
        if let Some(known) = self.answers.evidence {
            return known;
        }
        self.raise();
        let offset = self.margin_score() / self.settings.burst();
        let grid = &self.grid;
        let tempered = |prior| self.heights.log_mean(grid, prior);
        let [worse, better, either] = [&grid.worse, &grid.better, &grid.either].map(tempered);
        let worse = worse - offset;
        let evidence = match &mut self.blocks {
            Some(blocks) => Evidence {
                worse: log_mean(worse, blocks.log_e_bet(Claim::Above)),
                better: log_mean(better, blocks.log_e_bet(Claim::Below)),
                either: log_mean(either, apart(blocks, 1.0)),
            },
            None => Evidence {
                worse,
                better,
                either,
            },
        };
        *self.answers.evidence.insert(evidence)
    }

    /// Brings the heights up to the minutes added.
    fn raise(&mut self) {
        if !self.answers.heights {
            self.likelihood.scores(&self.grid, &mut self.scores);
            self.heights
                .set(&self.grid, &self.scores, self.settings.burst());
            self.answers.heights = true;
        }
    }

    /// The confidence sequence of r at level 1 − alpha, at this look.
    pub fn ratio(&mut self, alpha: f64) -> Ratio {
        match self.answers.ratio {
            Some((known, ratio)) if known == alpha => return ratio,
            _ => self.raise(),
        }
        let height = self.heights.log_mean(&self.grid, &self.grid.either);
        let burst = self.settings.burst();
        let limit = -alpha.ln();
        let estimate = self.likelihood.estimate(self.estimate);
        self.estimate = estimate;
        let estimate = estimate.map(|it| it.at);
        let blocks = self.blocks.as_ref();
        let against = |deltas: [f64; LANES]| {
            let scores = self.likelihood.scores_at(deltas);
            let tempered = scores.map(|score| height - score / burst);
            match blocks {
                Some(blocks) => {
                    let apart = blocks.apart(deltas);
                    with_bit_instructions(
                        #[inline(always)]
                        || log_means(tempered, apart),
                    )
                }
                None => tempered,
            }
        };
        let again = |estimate| self.ends?.again(estimate, limit, against);
        let found = match (estimate, estimate.and_then(again)) {
            (None, _) => (None, None),
            (Some(_), Some(found)) => found,
            (Some(estimate), None) => {
                let width = blocks.map_or(0.02, Blocks::width);
                let pooled = blocks.and_then(Blocks::log_estimate);
                let against = |delta| against([delta; LANES])[0];
                sequence::around(estimate, pooled, width, limit, against)
            }
        };
        self.ends = Ends::of(found, limit);
        let (lower, upper) = found;
        let ratio = Ratio {
            estimate: estimate.map(f64::exp).filter(|it| it.is_finite()),
            lower: lower.map(|it| it.at.exp()),
            upper: upper.map(|it| it.at.exp()),
        };
        self.answers.ratio = Some((alpha, ratio));
        ratio
    }

    /// The estimate of 1/r.
    pub(super) fn inverse_estimate(&self) -> Option<f64> {
        let inverse = self.likelihood.estimate(self.estimate);
        let inverse = inverse.map(|delta| (-delta.at).exp());
        inverse.filter(|it| it.is_finite())
    }

    /// How far the differences of blocks depend on the blocks before, where it
    /// is more than chance and 0.1: the burst length is too short then.
    pub(super) fn autocorrelation(&self) -> Option<f64> {
        let blocks = self.blocks.as_ref()?;
        blocks.autocorrelation().filter(|it| *it > 0.1)
    }
}
