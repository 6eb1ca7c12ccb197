//! Autocorrelation of the differences of blocks: whether a burst length is too
//! short for what is seen.

/// Lags at which the differences of blocks are held against each other.
const LAGS: usize = 3;

/// What the autocorrelation of the differences needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drift {
    first: [f64; LAGS],
    recent: [f64; LAGS],
    lagged: [f64; LAGS],
}

impl Drift {
    /// Adds the difference of the block after `count` others.
    pub fn add(&mut self, difference: f64, count: usize) {
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
    pub fn highest(&self, total: f64, mean: f64, blocks: f64) -> f64 {
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
