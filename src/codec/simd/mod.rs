//! Unpacking and adding up eight packed integers at a time with AVX2, found
//! out at run time, so that a build for any x86-64 reaches it. The one place
//! of the codecs with `unsafe`: `docs/decisions/0023-simd.md` says why.
//!
//! Every function does the front part it can do and says how much that is:
//! nothing where the processor has no AVX2. What is left is done by
//! [`bits`](super::bits), of which this is a faster copy and nothing more.

/// Values taken at a time: the fewest that always end on a byte.
pub const GROUP: usize = 8;

/// Groups added up at most by one call: a frame of 64 values.
pub const SUM_GROUPS_MAX: usize = 8;

/// Fills groups of `out` with values of `width` bits, each added to `base`;
/// how many it did.
#[inline]
pub fn unpack(bytes: &[u8], width: u8, base: i64, out: &mut [[i64; GROUP]]) -> usize {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if avx2::is_there() {
        return avx2::unpack(bytes, width.into(), base, out);
    }
    let _ = (bytes, width, base, out);
    0
}

/// Adds up to [`SUM_GROUPS_MAX`] groups of values of `width` bits; how many it
/// did, and their sum.
#[inline]
pub fn sum(bytes: &[u8], width: u8, groups: usize) -> (usize, u64) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if avx2::is_there() {
        return sums::sum(bytes, width.into(), groups.min(SUM_GROUPS_MAX));
    }
    let _ = (bytes, width, groups);
    (0, 0)
}

/// Adds up frames of 64 values, one behind the other at the front of `bytes`, of as
/// many bits as `width` and one of `more` each: how many frames it did, and their sum.
#[inline]
pub fn sum_frames(bytes: &[u8], width: u8, more: &[i64]) -> (usize, u64) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if avx2::is_there() {
        return sums::sum_frames(bytes, width, more);
    }
    let _ = (bytes, width, more);
    (0, 0)
}

/// Of a frame of 64 values of `width` bits at the front of `bytes`, the sum, and that of
/// the sums of the first one, the first two, and so on to all of them.
#[inline]
pub fn sum_running(bytes: &[u8], width: u8) -> Option<(u64, u64)> {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if avx2::is_there() {
        return sums::sum_running(bytes, width.into());
    }
    let _ = (bytes, width);
    None
}

/// How many it did.
#[inline]
fn widen_front(values: &[i64], out: &mut [i128]) -> usize {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if avx2::is_there() {
        return avx2::widen(values, out);
    }
    let _ = (values, out);
    0
}

/// Fills `out` with integers as such of 128 bits.
pub fn widen(values: &[i64], out: &mut [i128]) {
    let done = widen_front(values, out);
    for (value, out) in values.iter().zip(out).skip(done) {
        *out = i128::from(*value);
    }
}

/// Makes numbers of the residuals in `rows` behind the first six, which are
/// numbers of `number_bits` bits: the prediction of each is `bias` and the six
/// before it times `weights`, shifted by `quantization`. How many rows it did.
#[inline]
#[cfg_attr(
    all(target_arch = "x86_64", not(miri)),
    expect(unsafe_code, reason = "calls what needs AVX2, which is there")
)]
pub fn unpredict(
    quantization: u32,
    bias: i64,
    weights: &[i64; 6],
    number_bits: u32,
    rows: &mut [[u32; 4]],
) -> usize {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if avx2::is_there() {
        // SAFETY: the processor was asked for AVX2.
        return unsafe { predict::unpredict(quantization, bias, weights, number_bits, rows) };
    }
    let _ = (quantization, bias, weights, number_bits, rows);
    0
}

/// Does `work`, compiled for the instructions on single bits and runs of them
/// where the processor has these. It must be inlined to gain from that.
#[inline]
#[cfg_attr(
    all(target_arch = "x86_64", not(miri)),
    expect(unsafe_code, reason = "calls what needs AVX2, which is there")
)]
pub fn with_bit_instructions<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if avx2::bits_are_there() {
        // SAFETY: the processor was asked for all that it needs.
        return unsafe { avx2::with_bit_instructions(work) };
    }
    work()
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod predict;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod sums;

#[cfg(test)]
mod tests {
    use super::super::bits;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn widened(values in proptest::collection::vec(any::<i64>(), 0..40), more in 0..3_usize) {
            let mut out = vec![7; values.len() + more];
            widen(&values, &mut out);
            prop_assert!(out.iter().zip(&values).all(|(wide, value)| *wide == i128::from(*value)));
            prop_assert!(out[values.len()..].iter().all(|wide| *wide == 7));
        }

        #[test]
        fn as_without(
            width in 0..=64_u8,
            base: i64,
            words in proptest::collection::vec(any::<u64>(), 0..80),
            cut in 0..8_usize,
        ) {
            let values: Vec<u64> = words.iter().map(|word| word & bits::mask(width)).collect();
            let mut bytes = Vec::new();
            bits::pack(values.iter().copied(), width, &mut bytes);
            bytes.truncate(bytes.len().saturating_sub(cut));
            let mut out = vec![[0; GROUP]; values.len() / GROUP];
            let done = unpack(&bytes, width, base, &mut out);
            for (value, got) in values.iter().zip(out[..done].as_flattened()) {
                prop_assert_eq!(base.wrapping_add(*value as i64), *got);
            }
            let more = vec![i64::from(width / 2); values.len() / 64];
            let (frames, framed) = sum_frames(&bytes, width - width / 2, &more);
            prop_assert!(frames <= more.len());
            prop_assert_eq!(framed, values[..frames * 64].iter().sum::<u64>());
            if let Some((sum, running)) = sum_running(&bytes, width) {
                let mut frame = values.clone();
                frame.resize(64, 0);
                let sums = frame.iter().scan(0, |sum, value| {
                    *sum += value;
                    Some(*sum)
                });
                prop_assert_eq!(sum, frame.iter().sum::<u64>());
                prop_assert_eq!(running, sums.sum::<u64>());
            }
            let (done, sum) = sum(&bytes, width, values.len() / GROUP);
            prop_assert!(done <= SUM_GROUPS_MAX);
            prop_assert_eq!(sum, values[..done * GROUP].iter().sum::<u64>());
        }
    }
}
