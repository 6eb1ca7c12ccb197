//! Undoing predictions of four pages at once: residuals to numbers, row by row.
//! The definition, and what is left by [`simd`].

use super::chunk::{ORDER, Prediction, centered, truncated};
use super::chunk_together::LANES;
use super::simd;

impl Prediction {
    /// Makes numbers of the residuals in `rows`; the first [`ORDER`] rows are
    /// numbers already.
    #[inline(always)]
    pub(super) fn undo<const BITS: u32>(&self, rows: &mut [[u32; LANES]]) {
        let done = simd::unpredict(self.quantization, self.bias, &self.weights, BITS, rows);
        for at in ORDER + done..rows.len() {
            let (past, rest) = rows[at - ORDER..].split_at_mut(ORDER);
            let Some(row) = rest.first_mut() else { break };
            for (lane, number) in row.iter_mut().enumerate() {
                let products = past.iter().zip(&self.weights);
                let sum = products.fold(self.bias, |sum, (past, weight)| {
                    sum.wrapping_add(weight.wrapping_mul(i64::from(past[lane])))
                });
                let predicted = sum.max(0) >> self.quantization;
                let residual = centered::<BITS>(*number);
                *number = truncated::<BITS>((predicted as u32).wrapping_add(residual));
            }
        }
    }
}
