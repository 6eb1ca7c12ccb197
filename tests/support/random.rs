//! Seeded random numbers for simulations: xoshiro256++ (Blackman and Vigna),
//! with Poisson, gamma and exponential counts.

/// A generator; the same seed gives the same numbers on every machine.
pub struct Random {
    state: [u64; 4],
}

#[allow(dead_code, reason = "each test uses some of it")]
impl Random {
    pub fn new(seed: u64) -> Self {
        let mut state = [0; 4];
        let mut weyl = seed;
        for word in &mut state {
            weyl = weyl.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (weyl ^ (weyl >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *word = mixed ^ (mixed >> 31);
        }
        Random { state }
    }

    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// Uniform in (0, 1).
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) * (1.0 / (1_u64 << 53) as f64)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.unit() * end as f64) as u64
    }

    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }

    /// Marsaglia's polar method.
    pub fn normal(&mut self) -> f64 {
        loop {
            let (x, y) = (2.0 * self.unit() - 1.0, 2.0 * self.unit() - 1.0);
            let radius = x * x + y * y;
            if radius < 1.0 && radius > 0.0 {
                return x * (-2.0 * radius.ln() / radius).sqrt();
            }
        }
    }

    /// Marsaglia and Tsang.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            return self.gamma(shape + 1.0) * self.unit().powf(1.0 / shape);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.unit().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    /// By inversion below 10, above it by Hörmann's transformed rejection.
    pub fn poisson(&mut self, mean: f64) -> f64 {
        if mean <= 0.0 {
            return 0.0;
        }
        if mean < 10.0 {
            let (mut left, mut chance, mut count) = (self.unit(), (-mean).exp(), 0.0);
            while left > chance && count < 200.0 {
                left -= chance;
                count += 1.0;
                chance *= mean / count;
            }
            return count;
        }
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.02483 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let v_r = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.unit() - 0.5;
            let v = self.unit();
            let us = 0.5 - u.abs();
            let count = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= v_r {
                return count;
            }
            if count < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let density = count * mean.ln() - mean - libm::lgamma(count + 1.0);
            if (v * inverse_alpha / (a / (us * us) + b)).ln() <= density {
                return count;
            }
        }
    }

    /// Negative binomial with variance `dispersion` times the mean.
    pub fn count(&mut self, mean: f64, dispersion: f64) -> f64 {
        if mean <= 0.0 || dispersion <= 1.0 {
            return self.poisson(mean);
        }
        let scale = dispersion - 1.0;
        let mean = scale * self.gamma(mean / scale);
        self.poisson(mean)
    }
}
