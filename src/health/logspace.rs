//! Logarithms of sums, of the normal distribution and of the gamma function.
//!
//! Evidence grows to e^10000 and sinks as far, so all of it is kept as natural
//! logarithms. `erfc` and `lgamma` are those of the `libm` crate (FreeBSD
//! msun), within a few units in the last place.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

/// ln √(2π).
const LN_SQRT_TWO_PI: f64 = 0.918_938_533_204_672_8;

/// ln Σ exp(terms); minus infinity for none.
pub fn log_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let highest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if highest == f64::NEG_INFINITY {
        return highest;
    }
    // Further down a term is below the last place of the sum, were there a thousand.
    let exp = |below: f64| if below < -45.0 { 0.0 } else { below.exp() };
    highest + terms.map(|term| exp(term - highest)).sum::<f64>().ln()
}

/// ln((exp(left) + exp(right)) / 2): the mean of two e-values, an e-value
/// whatever their dependence.
pub fn log_mean(left: f64, right: f64) -> f64 {
    let (low, high) = (left.min(right), left.max(right));
    // Further down the lesser is below the last place of the sum; far down `exp`
    // is slow.
    if low - high < -45.0 {
        return high - LN_2;
    }
    high + (low - high).exp().ln_1p() - LN_2
}

/// ln Φ(z), the logarithm of the standard normal distribution function, to
/// about 1e-15 relative over the whole range.
pub fn log_phi(z: f64) -> f64 {
    if z > 0.0 {
        return (-0.5 * libm::erfc(z * FRAC_1_SQRT_2)).ln_1p();
    }
    if z > -12.0 {
        return (0.5 * libm::erfc(-z * FRAC_1_SQRT_2)).ln();
    }
    // Mills' ratio as Laplace's continued fraction, x + 1/(x + 2/(x + 3/…)):
    // at x = 12 thirty terms leave nothing to add.
    let x = -z;
    let fraction = (1..=30)
        .rev()
        .fold(x, |rest, index| x + f64::from(index) / rest);
    -0.5 * x * x - fraction.ln() - LN_SQRT_TWO_PI
}

/// What Stirling's formula leaves of ln Γ(x), x > 0:
/// ln Γ(x) − ((x − ½)·ln x − x + ½·ln 2π). Falls from infinity to 1/(12x).
///
/// Differences of ln Γ at 10^15 lose every digit; differences of this do not,
/// once the rest is written out (see [`super::ratio`]).
pub fn stirling_rest(x: f64) -> f64 {
    if x < 15.0 {
        return libm::lgamma(x) - ((x - 0.5) * x.ln() - x + LN_SQRT_TWO_PI);
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = [
        1.0 / 12.0,
        -1.0 / 360.0,
        1.0 / 1260.0,
        -1.0 / 1680.0,
        1.0 / 1188.0,
        -691.0 / 360_360.0,
    ];
    inverse
        * series
            .iter()
            .rev()
            .fold(0.0, |sum, term| sum * square + term)
}

/// 2ⁿ/C(n, n/2) for even n up to 62: each is the one before times n/(n − 1).
const FEW_TOSSES: [f64; 32] = {
    let mut odds = [1.0; 32];
    let mut half = 1;
    while half < odds.len() {
        odds[half] = odds[half - 1] * (2 * half) as f64 / (2 * half - 1) as f64;
        half += 1;
    }
    odds
};

/// 2ⁿ/C(n, n/2) for even n: one over the chance of a draw among n fair tosses.
///
/// With m = n/2 it is √(π·m)·exp(1/(8m) − 1/(192m³) + 1/(640m⁵) − …) by Stirling's
/// formula; at m = 32 the next term is below 10⁻¹³.
pub fn odds_against_a_draw(n: f64) -> f64 {
    debug_assert!(n >= 2.0);
    let half = 0.5 * n;
    if let Some(odds) = FEW_TOSSES.get(half as usize) {
        return *odds;
    }
    let inverse = 1.0 / half;
    let square = inverse * inverse;
    let series = 1.0 / 8.0 - square * (1.0 / 192.0 - square * (1.0 / 640.0));
    (std::f64::consts::PI * half).sqrt() * (inverse * series).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: f64, expected: f64, relative: f64) {
        assert!(
            (actual - expected).abs() <= relative * expected.abs().max(1e-300),
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn log_phi_in_the_tails() {
        // Computed with 50 digits (mpmath `log(ncdf(z))`).
        for (z, expected) in [
            (0.0, -LN_2),
            (-1.0, -1.841_021_645_009_263_6),
            (-5.0, -15.064_998_393_988_725),
            (-12.0, -75.410_673_001_568_8),
            (-40.0, -804.608_442_013_754_1),
            (-1e4, -50_000_010.129_278_92),
            (3.0, -0.001_350_809_964_748_202),
            (9.0, -1.128_588_405_953_840_6e-19),
        ] {
            close(log_phi(z), expected, 1e-12);
        }
        close(log_phi(-11.999_999), log_phi(-12.000_001), 1e-5);
    }

    #[test]
    fn stirling_rest_is_smooth_where_the_methods_meet() {
        for x in [14.999_999f64, 15.0, 20.0, 170.0] {
            let direct = libm::lgamma(x) - ((x - 0.5) * x.ln() - x + LN_SQRT_TWO_PI);
            assert!((stirling_rest(x) - direct).abs() < 1e-12, "{x}");
        }
        close(stirling_rest(1.0), 1.0 - LN_SQRT_TWO_PI, 1e-14);
        close(stirling_rest(1e15), 1e-15 / 12.0, 1e-12);
    }

    #[test]
    fn the_odds_against_a_draw() {
        close(odds_against_a_draw(2.0), 2.0, 1e-15);
        close(odds_against_a_draw(4.0), 16.0 / 6.0, 1e-15);
        close(odds_against_a_draw(20.0), 1_048_576.0 / 184_756.0, 1e-14);
        // Each is the one before times n/(n − 1), across where the methods meet.
        let mut odds = 1.0;
        for n in (2..4_000_u32).step_by(2) {
            odds *= f64::from(n) / f64::from(n - 1);
            close(odds_against_a_draw(n.into()), odds, 1e-12);
        }
        close(
            odds_against_a_draw(2e15),
            (1e15 * std::f64::consts::PI).sqrt(),
            1e-15,
        );
    }

    #[test]
    fn sums_and_means_of_what_is_far_apart() {
        close(
            log_sum_exp([1000.0, 1000.0].into_iter()),
            1000.0 + LN_2,
            1e-15,
        );
        assert_eq!(log_sum_exp(std::iter::empty()), f64::NEG_INFINITY);
        close(log_mean(5000.0, -5000.0), 5000.0 - LN_2, 1e-15);
        assert_eq!(log_mean(0.0, 0.0), 0.0);
    }
}
