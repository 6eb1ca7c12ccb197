//! Adding up with AVX2.

use std::arch::x86_64::*;

use super::SUM_GROUPS_MAX;
use super::avx2::{LOAD, NARROW_MAX, WIDE_MAX, loadable, narrow_how, quad, store, wide_how, words};

#[expect(unsafe_code, reason = "calls what needs AVX2, which is there")]
pub fn sum(bytes: &[u8], width: usize, wanted: usize) -> (usize, u64) {
    match width {
        1..=NARROW_MAX => {
            let groups = loadable(bytes, width, 4 * width / 8, wanted);
            // SAFETY: `is_there` was asked; `loadable` keeps every load of
            // so many groups inside `bytes`.
            (groups, unsafe { sum_narrow(bytes, width, groups) })
        }
        0 | WIDE_MAX.. => (0, 0),
        _ => {
            let groups = loadable(bytes, width, 6 * width / 8, wanted);
            // SAFETY: as above.
            (groups, unsafe { sum_wide(bytes, width, groups) })
        }
    }
}

#[expect(unsafe_code, reason = "calls what needs AVX2, which is there")]
pub fn sum_frames(bytes: &[u8], width: u8, more: &[i64]) -> (usize, u64) {
    // SAFETY: `is_there` was asked.
    unsafe { sum_narrow_frames(bytes, width, more) }
}

#[expect(unsafe_code, reason = "calls what needs AVX2, which is there")]
pub fn sum_running(bytes: &[u8], width: usize) -> Option<(u64, u64)> {
    if width == 0 {
        return Some((0, 0));
    }
    if width > NARROW_MAX || loadable(bytes, width, 4 * width / 8, SUM_GROUPS_MAX) < SUM_GROUPS_MAX
    {
        return None;
    }
    // SAFETY: `is_there` was asked; `loadable` counted eight groups.
    Some(unsafe { sum_narrow_running(bytes, width) })
}

/// Groups from `at` on, added up in eight words of 32 bits.
///
/// # Safety
/// So many groups can be loaded. There are at most eight.
#[target_feature(enable = "avx2")]
#[inline]
#[expect(unsafe_code, reason = "loads without a check each")]
unsafe fn add_narrow(bytes: &[u8], at: usize, width: usize, groups: usize) -> __m256i {
    let (how, second) = (narrow_how(width), 4 * width / 8);
    let mut sum = _mm256_setzero_si256();
    for group in 0..groups {
        // SAFETY: the caller counted this group.
        let words = unsafe { words(bytes, at + group * width, second, how) };
        // Eight of 25 bits make 28.
        sum = _mm256_add_epi32(sum, words);
    }
    sum
}

/// # Safety
/// So many groups can be loaded: [`loadable`]. There are at most eight.
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "loads without a check each")]
unsafe fn sum_narrow(bytes: &[u8], width: usize, groups: usize) -> u64 {
    // SAFETY: as the caller says.
    let sum = unsafe { add_narrow(bytes, 0, width, groups) };
    across(both_halves(sum))
}

/// Frames up to the first that is too wide, or too near the end. A page has so few
/// that their sum stays far below 64 bits.
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "loads without a check each")]
fn sum_narrow_frames(bytes: &[u8], width: u8, more: &[i64]) -> (usize, u64) {
    let (mut at, mut total) = (0, _mm256_setzero_si256());
    for (done, more) in more.iter().enumerate() {
        let width = (*more as u64).saturating_add(width.into());
        let next = at + SUM_GROUPS_MAX * width.min(WIDE_MAX as u64) as usize;
        // The last group begins a width before `next`, and its second load not a
        // width after that.
        if width > NARROW_MAX as u64 || next + LOAD > bytes.len() {
            return (done, across(total));
        }
        if width > 0 {
            // SAFETY: the loads of eight groups end before `next` and a load.
            let sum = unsafe { add_narrow(bytes, at, width as usize, SUM_GROUPS_MAX) };
            total = _mm256_add_epi64(total, both_halves(sum));
        }
        at = next;
    }
    (more.len(), across(total))
}

/// # Safety
/// Eight groups can be loaded: [`loadable`].
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "loads without a check each")]
unsafe fn sum_narrow_running(bytes: &[u8], width: usize) -> (u64, u64) {
    let (how, second) = (narrow_how(width), 4 * width / 8);
    let (mut sum, mut running) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    for group in 0..SUM_GROUPS_MAX {
        // SAFETY: the caller counted this group.
        let words = unsafe { words(bytes, group * width, second, how) };
        sum = _mm256_add_epi32(sum, words);
        // 36 of 25 bits make less than 31.
        running = _mm256_add_epi32(running, sum);
    }
    // Value l of group g is in 64 − 8·g − l of the sums: in 8·(8 − g), but for l.
    let behind = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    let behind = _mm256_mullo_epi32(sum, behind);
    let running = SUM_GROUPS_MAX as u64 * across(both_halves(running));
    (
        across(both_halves(sum)),
        running - across(both_halves(behind)),
    )
}

/// The eight words of 32 bits as four of 64, two each added up.
#[target_feature(enable = "avx2")]
#[inline]
fn both_halves(words: __m256i) -> __m256i {
    let low = _mm256_cvtepu32_epi64(_mm256_castsi256_si128(words));
    let high = _mm256_cvtepu32_epi64(_mm256_extracti128_si256::<1>(words));
    _mm256_add_epi64(low, high)
}

/// The sum of the four words, which does not leave 64 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn across(words: __m256i) -> u64 {
    let mut parts = [0_u64; 4];
    store(&mut parts, words);
    parts.iter().sum()
}

/// # Safety
/// So many groups can be loaded: [`loadable`]. There are at most eight.
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "loads without a check each")]
unsafe fn sum_wide(bytes: &[u8], width: usize, groups: usize) -> u64 {
    let how = wide_how(width);
    let mut sum = _mm256_setzero_si256();
    for group in 0..groups {
        for (half, how) in how.into_iter().enumerate() {
            // SAFETY: `loadable` counted this group.
            let words = unsafe { quad(bytes, group * width, width, half, how) };
            // Sixteen of below 57 bits, and four of those, stay within 64.
            sum = _mm256_add_epi64(sum, words);
        }
    }
    across(sum)
}
