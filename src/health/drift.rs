//! Autocorrelation of the differences of blocks: whether a burst length is too
//! short for what is seen.

/// Lags at which the differences of blocks are held against each other.
const LAGS: usize = 3;

/// A block: the difference a − c, and c.
type Block = [f64; 2];

/// What the autocorrelation of the differences needs, at whatever ratio they are taken:
/// that of a ratio r is (a − c) − (r − 1)·c. Differences at 1 of a branch that crashes
/// three times as often go with the exposure, up by day and down at night, however short
/// its bursts are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drift {
    recent: [Block; LAGS],
    /// Over the lags Σdᵢdᵢ₋ₖ, Σ(dᵢcᵢ₋ₖ + cᵢdᵢ₋ₖ), Σcᵢcᵢ₋ₖ.
    lagged: [[f64; 3]; LAGS],
}

impl Drift {
    /// Adds a block.
    #[inline(always)]
    pub fn add(&mut self, [d, c]: Block) {
        for (lagged, [earlier_d, earlier_c]) in self.lagged.iter_mut().zip(self.recent) {
            lagged[0] += d * earlier_d;
            lagged[1] += d * earlier_c + c * earlier_d;
            lagged[2] += c * earlier_c;
        }
        self.recent.rotate_right(1);
        self.recent[0] = [d, c];
    }

    /// Of Σdᵢdᵢ₋ₖ over the lags, the highest; differences at the ratio 1 + `excess`, at
    /// which they add up to 0.
    pub fn highest(&self, excess: f64) -> f64 {
        let at = |[dd, both, cc]: [f64; 3]| dd - excess * both + excess * excess * cc;
        let lags = self.lagged.into_iter().map(at);
        lags.fold(f64::NEG_INFINITY, f64::max)
    }
}
