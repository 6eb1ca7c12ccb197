//! The evidence of blocks against four ratios at once: what the ends of a
//! confidence sequence are sought by.

use std::f64::consts::LN_2;

use super::blocks::Blocks;
use super::claimed::Side;
use super::track::Sums;
use super::vectors::{LANES, exps, log_means, log_phis, logs};
use crate::codec::with_bit_instructions;

impl Blocks {
    /// ln of the evidence that ln r is none of these: of each the mean over both
    /// claims.
    pub fn apart(&self, deltas: [f64; LANES]) -> [f64; LANES] {
        let ratios = with_bit_instructions(
            #[inline(always)]
            || exps(deltas),
        );
        let (above, below) = (self.above().against(ratios), self.below().against(ratios));
        with_bit_instructions(
            #[inline(always)]
            || log_means(above, below),
        )
    }
}

impl Side<'_> {
    /// [`Side::log_e`] at four ratios.
    fn against(self, ratios: [f64; LANES]) -> [f64; LANES] {
        if self.track.count == 0 {
            return [0.0; LANES];
        }
        with_bit_instructions(
            #[inline(always)]
            || {
                let (z, spreads) = self.standings(ratios);
                let (scales, spreads) = (logs([self.track.scale; LANES]), logs(spreads));
                let mut found = log_phis(z);
                for lane in 0..LANES {
                    let share = scales[lane] - spreads[lane];
                    found[lane] += LN_2 + 0.5 * share + 0.5 * z[lane] * z[lane];
                }
                found
            },
        )
    }

    /// S/√(V + s²), and V + s².
    #[inline(always)]
    fn standings(self, ratios: [f64; LANES]) -> ([f64; LANES], [f64; LANES]) {
        let Sums { d1, d2, dc, c1, cc } = self.track.sums;
        let side = self.sign();
        let (mut z, mut spreads) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            let (over, half) = (ratios[lane] - 1.0, 2.0 / (1.0 + ratios[lane]));
            let variance = half * half * (d2 - 2.0 * over * dc + over * over * cc);
            spreads[lane] = variance.max(0.0) + self.track.scale;
            z[lane] = side * half * (d1 - over * c1) / spreads[lane].sqrt();
        }
        (z, spreads)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Arm;
    use super::*;

    #[test]
    fn is_the_mean_of_both_claims() {
        let mut blocks = Blocks::new(1.0, 30, 80);
        let deltas = [-1.5, -0.02, 0.0, 0.7];
        assert_eq!(blocks.apart(deltas), [0.0; LANES]);
        for minute in 0..4_000 {
            let many = f64::from(20 + minute % 7);
            blocks.add(minute, Arm::new(many, 10.0), Arm::new(25.0, 11.0));
            if minute % 500 != 499 {
                continue;
            }
            for (delta, apart) in deltas.iter().zip(blocks.apart(deltas)) {
                let ratio = delta.exp();
                let (above, below) = (blocks.above().log_e(ratio), blocks.below().log_e(ratio));
                let expected = super::super::logspace::log_mean(above, below);
                let off = (apart - expected).abs();
                assert!(off <= 1e-12 * expected.abs().max(1.0), "{apart} {expected}");
            }
        }
    }
}
