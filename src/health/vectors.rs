//! Logarithms and exponentials, a few at a time.
//!
//! Loops without a branch or a call, which a compiler makes vectors of. The
//! polynomials are those of FreeBSD's msun (`e_log.c`, `e_exp.c`).

/// How many.
pub const LANES: usize = 4;

/// Bits of a double below its exponent.
const MANTISSA: u32 = 52;
/// ln 2 in two parts, the first so short that its multiples up to 2^11 are exact.
const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// ln((1 + s)/(1 − s)) = 2s + s·Σ cᵢ·s^(2i) where the argument is within √½ … √2,
/// to 2⁻⁵⁸.
const SERIES: [f64; 7] = [
    0.666_666_666_666_673_5,
    0.399_999_999_994_094_2,
    0.285_714_287_436_623_9,
    0.222_221_984_321_497_84,
    0.181_835_721_616_180_5,
    0.153_138_376_992_093_73,
    0.147_981_986_051_165_86,
];

/// ln(1 + z) of each, z from −½ to 10^15, to about the last place: without a branch
/// or a call, so that four take little longer than one.
#[inline(always)]
pub fn logs_1p(z: [f64; LANES]) -> [f64; LANES] {
    let (mut sums, mut lost) = ([0.0; LANES], [0.0; LANES]);
    for lane in 0..LANES {
        sums[lane] = 1.0 + z[lane];
        // What rounding the sum took from it, as ln sees it.
        lost[lane] = (z[lane] - (sums[lane] - 1.0)) / sums[lane];
    }
    logs_and(sums, lost)
}

/// ln x of each, x positive and not subnormal, to about the last place.
#[inline(always)]
pub fn logs(x: [f64; LANES]) -> [f64; LANES] {
    logs_and(x, [0.0; LANES])
}

/// ln x + `more`.
#[inline(always)]
fn logs_and(x: [f64; LANES], more: [f64; LANES]) -> [f64; LANES] {
    let mut logs = [0.0; LANES];
    for (log, (sum, lost)) in logs.iter_mut().zip(x.into_iter().zip(more)) {
        // Into √½ … √2: halves and doubles until the top bits say so.
        let shifted = sum.to_bits().wrapping_add(ONE - ROOT_HALF);
        let power = (shifted >> MANTISSA) as i32 - 1_023;
        let rest = (shifted & ((1 << MANTISSA) - 1)).wrapping_add(ROOT_HALF);
        let f = f64::from_bits(rest) - 1.0;
        let s = f / (2.0 + f);
        let square = s * s;
        let [a, b, c, d, e, g, h] = SERIES;
        let series = square * (e + square * (g + square * h));
        let series = square * (a + square * (b + square * (c + square * (d + series))));
        let half = 0.5 * f * f;
        let power = f64::from(power);
        *log = power * LN2_HIGH - ((half - (s * (half + series) + (power * LN2_LOW + lost))) - f);
    }
    logs
}

/// x·(e^x + 1)/(e^x − 1) = 2 + Σ cᵢ·x^(2i), i from 1, within ±½·ln 2, to 2⁻⁵⁹.
const EXP_SERIES: [f64; 5] = [
    0.166_666_666_666_666_02,
    -0.002_777_777_777_701_559_3,
    6.613_756_321_437_934e-5,
    -1.653_390_220_546_525_2e-6,
    4.138_136_797_057_238_5e-8,
];
/// Adding this rounds what is below 2^51 to whole numbers.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// e^x of each, x from −700 to 700, to about the last place.
#[inline(always)]
pub fn exps(x: [f64; LANES]) -> [f64; LANES] {
    let mut exps = [0.0; LANES];
    for (exp, x) in exps.iter_mut().zip(x) {
        // x = k·ln 2 + r, r = high − low.
        let shifted = x * std::f64::consts::LOG2_E + ROUND;
        let k = shifted - ROUND;
        let high = x - k * LN2_HIGH;
        let low = k * LN2_LOW;
        let r = high - low;
        let square = r * r;
        let [a, b, c, d, e] = EXP_SERIES;
        let series = square * (a + square * (b + square * (c + square * (d + square * e))));
        let c = r - series;
        let y = 1.0 + (r * c / (2.0 - c) - low + high);
        // k is in the lowest bits of the sum that rounded it.
        let power = (shifted.to_bits().wrapping_add(1_023)) << MANTISSA;
        *exp = y * f64::from_bits(power);
    }
    exps
}

/// ln erfc(x) + x² − ln t of t = 2/(2 + x), x ≥ 0, as a polynomial of u = 2t − 1 (even
/// powers, then odd ones): its Chebyshev series up to 25, to 4·10⁻¹⁶. The
/// substitution is that of Numerical Recipes (Press et al. 2007, 6.2.2).
const ERFC_EVEN: [f64; 13] = [
    -0.671_794_084_056_692_2,
    0.047_343_306_841_863_525,
    -0.009_872_689_364_099_222,
    0.001_758_933_507_402_803_2,
    -0.000_146_246_287_421_284_06,
    -9.373_894_767_667_295e-5,
    7.141_810_433_422_301e-5,
    -3.023_784_054_007_137e-5,
    8.662_535_397_475_538e-6,
    -1.409_445_991_433_531e-6,
    -4.146_853_754_663_641e-8,
    7.745_572_408_758_512e-8,
    -1.277_608_655_496_867_7e-8,
];
const ERFC_ODD: [f64; 13] = [
    0.672_643_223_977_656,
    -0.046_895_610_231_083_025,
    0.008_824_938_553_738_764,
    -0.002_345_812_444_802_156,
    0.000_673_678_269_706_983_1,
    -0.000_174_299_849_331_556_44,
    3.173_310_599_377_061e-5,
    1.699_233_231_227_702e-7,
    -3.007_645_434_410_669e-6,
    1.326_781_360_851_888_9e-6,
    -3.168_341_367_694_147e-7,
    3.972_203_547_273_795e-8,
    -1.586_704_292_413_804_2e-9,
];

/// ln Φ(z) of each, the logarithm of the standard normal distribution function,
/// within ±10^7, to a few units in the last place of itself or of 1.
#[inline(always)]
pub fn log_phis(z: [f64; LANES]) -> [f64; LANES] {
    let (mut t, mut tails) = ([0.0; LANES], [0.0; LANES]);
    for lane in 0..LANES {
        let x = z[lane].abs() * std::f64::consts::FRAC_1_SQRT_2;
        t[lane] = 2.0 / (2.0 + x);
        let u = 2.0 * t[lane] - 1.0;
        let square = u * u;
        let (mut even, mut odd) = (0.0, 0.0);
        for (even_factor, odd_factor) in ERFC_EVEN.iter().zip(&ERFC_ODD).rev() {
            even = even * square + even_factor;
            odd = odd * square + odd_factor;
        }
        tails[lane] = even + u * odd - 0.5 * z[lane] * z[lane] - std::f64::consts::LN_2;
    }
    let logs = logs(t);
    let mut lost = [0.0; LANES];
    for lane in 0..LANES {
        tails[lane] += logs[lane];
        lost[lane] = tails[lane].max(-700.0);
    }
    let mut phis = logs_1p(exps(lost).map(|tail| -tail));
    for lane in 0..LANES {
        phis[lane] = if z[lane] > 0.0 {
            phis[lane]
        } else {
            tails[lane]
        };
    }
    phis
}

/// ln((e^left + e^right)/2) of each.
#[inline(always)]
pub fn log_means(left: [f64; LANES], right: [f64; LANES]) -> [f64; LANES] {
    let mut below = [0.0; LANES];
    for lane in 0..LANES {
        // Further down the lesser is below the last place of the sum.
        below[lane] = (-(left[lane] - right[lane]).abs()).max(-45.0);
    }
    let mut means = logs_1p(exps(below));
    for lane in 0..LANES {
        means[lane] += left[lane].max(right[lane]) - std::f64::consts::LN_2;
    }
    means
}

const ONE: u64 = 1.0_f64.to_bits();
const ROOT_HALF: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_and_means_agree_with_the_library() {
        let x: Vec<f64> = (-600_000..600_000)
            .map(|at| (f64::from(at) / 1000.0).exp())
            .collect();
        for four in x.as_chunks::<LANES>().0 {
            for (x, log) in four.iter().zip(logs(*four)) {
                let expected = x.ln();
                let off = (log - expected).abs();
                assert!(
                    off <= 4e-16 * expected.abs().max(0.1),
                    "{x}: {log} {expected}"
                );
            }
        }
        let left = [3.0, -800.0, 0.0, 1e4];
        let right = [2.5, 900.0, 0.0, 1e4 - 36.0];
        for (lane, mean) in log_means(left, right).into_iter().enumerate() {
            let expected = super::super::logspace::log_mean(left[lane], right[lane]);
            assert!((mean - expected).abs() <= 4e-16 * expected.abs().max(1.0));
        }
    }

    #[test]
    fn the_normal_distribution_agrees() {
        let z: Vec<f64> = (-400_000..400_000).map(|at| f64::from(at) * 1e-4).collect();
        for four in z.as_chunks::<LANES>().0 {
            for (z, log) in four.iter().zip(log_phis(*four)) {
                let expected = super::super::logspace::log_phi(*z);
                let off = (log - expected).abs();
                assert!(
                    off <= 1e-15 * expected.abs().max(1.0),
                    "{z}: {log} {expected}"
                );
            }
        }
        let far = log_phis([-1e7, -1e3, 1e3, 1e7]);
        assert!(
            (far[0] + 5e13).abs() < 20.0 && (far[1] + 500_007.8).abs() < 0.1,
            "{far:?}"
        );
        assert!(
            far[2..].iter().all(|it| (-1e-300..=0.0).contains(it)),
            "{far:?}"
        );
    }

    #[test]
    fn exponentials_agree_with_the_library() {
        let mut x: Vec<f64> = (-700_000..700_000)
            .map(|at| f64::from(at) / 1000.0)
            .collect();
        x.extend([
            0.0,
            1e-300,
            -1e-17,
            0.346_573_590_279_972_6,
            -0.346_573_590_28,
            1e-9,
        ]);
        x.extend([0.5 * std::f64::consts::LN_2; 2]);
        for four in x.as_chunks::<LANES>().0 {
            for (x, exp) in four.iter().zip(exps(*four)) {
                let expected = x.exp();
                assert!(
                    (exp - expected).abs() <= 4e-16 * expected,
                    "{x}: {exp} {expected}"
                );
            }
        }
    }

    #[test]
    fn agrees_with_the_library() {
        let mut z = Vec::new();
        for step in 0..200_000 {
            z.push(-0.5 + f64::from(step) * 1e-5);
            z.push((f64::from(step) * 2e-4 - 20.0).exp());
            z.push(-(f64::from(step) * -2e-4 - 0.7).exp());
        }
        z.extend([
            0.0,
            1e-300,
            -1e-17,
            f64::MIN_POSITIVE,
            1.0,
            0.41421,
            0.41422,
        ]);
        for four in z.chunks_exact(LANES) {
            let four: [f64; LANES] = four.try_into().unwrap();
            for (z, log) in four.into_iter().zip(logs_1p(four)) {
                let expected = z.ln_1p();
                let off = (log - expected).abs();
                assert!(off <= 5e-16 * expected.abs(), "{z}: {log} {expected}");
            }
        }
    }
}
