//! Undoing predictions with AVX2: a number of four pages at a time, each in
//! 64 bits.

use std::arch::x86_64::*;

use super::avx2::{store, vector};

/// Makes numbers of the residuals behind the first six rows, two rows at a
/// time; how many. Numbers are counted from 2^31, so that they are signed words
/// of 32 bits, which one instruction multiplies to 64.
#[target_feature(enable = "avx2")]
pub fn unpredict(
    quantization: u32,
    bias: i64,
    weights: &[i64; 6],
    number_bits: u32,
    rows: &mut [[u32; 4]],
) -> usize {
    let (pairs, _) = rows.as_chunks_mut::<2>();
    let Some((past, pairs)) = pairs.split_first_chunk_mut::<3>() else {
        return 0;
    };
    let all = _mm256_set1_epi64x(1 << 31);
    let from_middle = |words: __m128i| _mm256_xor_si256(_mm256_cvtepu32_epi64(words), all);
    let [ab, cd, ef] = past.map(|pair| vector(&pair));
    let low = |pair| from_middle(_mm256_castsi256_si128(pair));
    let high = |pair| from_middle(_mm256_extracti128_si256::<1>(pair));
    let (mut b, mut c, mut d) = (high(ab), low(cd), high(cd));
    let (mut e, mut f) = (low(ef), high(ef));
    let [w0, w1, w2, w3, w4, w5] = weights.map(|weight| _mm256_set1_epi64x(weight));
    // Modulo 2^64 the sum is what it is without the shift of the middle, and
    // that stays far within 64 bits: `Prediction::parse` saw to it.
    let steep = weights.iter().fold(0_i64, |sum, w| sum.wrapping_add(*w));
    let bias = _mm256_set1_epi64x(bias.wrapping_add(steep.wrapping_mul(1 << 31)));
    let shift = _mm_cvtsi32_si128(quantization as i32);
    let mask = _mm256_set1_epi64x((1_i64 << number_bits) - 1);
    let centre = _mm256_set1_epi64x(1 << (number_bits - 1));
    // All of a prediction but the product of the newest number.
    let early = |a, b, c, d, e| {
        let left = _mm256_add_epi64(_mm256_mul_epi32(w0, a), _mm256_mul_epi32(w1, b));
        let middle = _mm256_add_epi64(_mm256_mul_epi32(w2, c), _mm256_mul_epi32(w3, d));
        let right = _mm256_add_epi64(_mm256_mul_epi32(w4, e), bias);
        _mm256_add_epi64(_mm256_add_epi64(left, middle), right)
    };
    let number = |early, newest, residual: __m128i| {
        let sum = _mm256_add_epi64(early, _mm256_mul_epi32(w5, newest));
        let negative = _mm256_cmpgt_epi64(_mm256_setzero_si256(), sum);
        let predicted = _mm256_srl_epi64(_mm256_andnot_si256(negative, sum), shift);
        let residual = _mm256_xor_si256(_mm256_cvtepu32_epi64(residual), centre);
        _mm256_and_si256(_mm256_add_epi64(predicted, residual), mask)
    };
    let mut next = early(low(ab), b, c, d, e);
    let done = pairs.len() * 2;
    for pair in pairs {
        let residuals = vector(pair);
        let first = number(next, f, _mm256_castsi256_si128(residuals));
        let g = _mm256_xor_si256(first, all);
        next = early(b, c, d, e, f);
        let second = number(next, g, _mm256_extracti128_si256::<1>(residuals));
        let h = _mm256_xor_si256(second, all);
        next = early(c, d, e, f, g);
        (b, c, d, e, f) = (d, e, f, g, h);
        let packed = _mm256_castps_si256(_mm256_shuffle_ps::<0x88>(
            _mm256_castsi256_ps(first),
            _mm256_castsi256_ps(second),
        ));
        store(pair, _mm256_permute4x64_epi64::<0xd8>(packed));
    }
    done
}
