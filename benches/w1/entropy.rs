//! How much information there is in what W1 draws, in bits.

/// Entropies by the mean. They are asked for every cell, so what has no closed
/// form comes from a table.
pub struct Entropies {
    poisson: Table,
    gamma: Table,
}

/// Means above which the closed forms are right to four digits.
const POISSON_EXACT_TO: f64 = 20.0;
const GAMMA_EXACT_TO: f64 = 32.0;

impl Entropies {
    pub fn new() -> Self {
        Entropies {
            poisson: Table::new(POISSON_EXACT_TO, poisson_summed),
            gamma: Table::new(GAMMA_EXACT_TO, gamma_summed),
        }
    }

    /// Of a Poisson count: Gaussian with its first correction where it is large.
    pub fn poisson(&self, mean: f64) -> f64 {
        if mean < POISSON_EXACT_TO {
            return self.poisson.at(mean);
        }
        let gauss = 0.5 * (std::f64::consts::TAU * std::f64::consts::E * mean).log2();
        gauss - 1.0 / (12.0 * mean) / std::f64::consts::LN_2
    }

    /// Of a gamma value of shape 4, rounded to a whole number.
    pub fn gamma(&self, mean: f64) -> f64 {
        if mean < GAMMA_EXACT_TO {
            return self.gamma.at(mean);
        }
        // k + ln θ + ln Γ(k) + (1 − k) ψ(k), for k = 4.
        let nats = 4.0 + (mean / 4.0).ln() + 6.0_f64.ln() - 3.0 * 1.256_117_668_431_8;
        nats / std::f64::consts::LN_2
    }
}

/// A function of the logarithm, straight between its points.
struct Table {
    first: f64,
    step: f64,
    values: Vec<f64>,
}

impl Table {
    const POINTS: usize = 4_096;

    fn new(last: f64, function: fn(f64) -> f64) -> Self {
        let first = 1e-6_f64.ln();
        let step = (last.ln() - first) / (Self::POINTS - 1) as f64;
        let values = (0..Self::POINTS).map(|at| function((first + step * at as f64).exp()));
        Table {
            first,
            step,
            values: values.collect(),
        }
    }

    fn at(&self, mean: f64) -> f64 {
        let place = ((mean.max(1e-6).ln() - self.first) / self.step).max(0.0);
        let left = (place as usize).min(Self::POINTS - 2);
        let part = place - left as f64;
        self.values[left] * (1.0 - part) + self.values[left + 1] * part
    }
}

fn poisson_summed(mean: f64) -> f64 {
    let mut probability = (-mean).exp();
    let mut entropy = 0.0;
    let mut count = 0.0;
    while count < 80.0 {
        if probability > 1e-18 {
            entropy -= probability * probability.log2();
        }
        count += 1.0;
        probability *= mean / count;
    }
    entropy
}

fn gamma_summed(mean: f64) -> f64 {
    let scale = mean / 4.0;
    // The share above x, in closed form since the shape is whole.
    let above = |x: f64| {
        let x = x / scale;
        (-x).exp() * (1.0 + x * (1.0 + x / 2.0 * (1.0 + x / 3.0)))
    };
    let mut entropy = 0.0;
    let mut left = 1.0;
    let mut edge = 0.5;
    while left > 1e-12 {
        let right = above(edge);
        let probability: f64 = left - right;
        if probability > 1e-18 {
            entropy -= probability * probability.log2();
        }
        left = right;
        edge += 1.0;
    }
    entropy
}
