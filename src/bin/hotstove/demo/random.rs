//! Random numbers that are the same in every run.

use std::f64::consts::TAU;

/// SplitMix64: enough for a demonstration, and nothing to seed wrongly.
pub struct Random(u64);

impl Random {
    /// A stream of its own for every combination of `parts`.
    pub fn of(parts: &[u64]) -> Self {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for part in parts {
            random.0 ^= part.wrapping_mul(0xbf58_476d_1ce4_e5b9);
            random.0 = random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Above 0 and at most 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// A draw from the normal distribution.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let (radius, angle) = ((-2.0 * self.unit().ln()).sqrt(), TAU * self.unit());
        mean + deviation * radius * angle.cos()
    }

    /// A draw from the Poisson distribution; by its normal limit where the
    /// mean is large.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean > 60.0 {
            return self.normal(mean, mean.sqrt()).round().max(0.0) as u64;
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poisson_has_its_mean_and_its_variance() {
        for mean in [0.2, 4.0, 50.0, 500.0] {
            let mut random = Random::of(&[7]);
            let draws: Vec<_> = (0..20_000).map(|_| random.poisson(mean) as f64).collect();
            let average = draws.iter().sum::<f64>() / draws.len() as f64;
            let squares = draws.iter().map(|draw| (draw - average).powi(2));
            let variance = squares.sum::<f64>() / draws.len() as f64;
            assert!((average / mean - 1.0).abs() < 0.03, "{mean}: {average}");
            assert!((variance / mean - 1.0).abs() < 0.05, "{mean}: {variance}");
        }
    }

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |parts: &[u64]| Random::of(parts).normal(0.0, 1.0).to_bits();
        assert_eq!(draw(&[1, 2]), draw(&[1, 2]));
        assert_ne!(draw(&[1, 2]), draw(&[2, 1]));
    }
}
