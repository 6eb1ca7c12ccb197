//! Unpacking and adding up with AVX2.

use std::arch::x86_64::*;

use super::GROUP;

/// The widest value of which every four bytes hold one, wherever in its
/// first byte it begins.
pub(super) const NARROW_MAX: usize = 25;
/// The same for eight bytes.
pub(super) const WIDE_MAX: usize = 57;
/// Bytes of a load.
pub(super) const LOAD: usize = 16;

pub fn is_there() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

pub fn bits_are_there() -> bool {
    use std::arch::is_x86_feature_detected as has;
    is_there() && has!("bmi1") && has!("bmi2") && has!("popcnt") && has!("lzcnt")
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
pub fn with_bit_instructions<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// How the bytes of a group come to eight words of 32 bits. The first four
/// are loaded from its start, the others from the byte at which the fifth
/// begins.
#[derive(Clone, Copy)]
struct Narrow {
    shuffle: [u8; 32],
    shift: [u32; 8],
}

/// How the bytes of a group come to two by four words of 64 bits. Each two
/// are loaded from the byte at which the first of them begins.
#[derive(Clone, Copy)]
struct Wide {
    shuffle: [[u8; 32]; 2],
    shift: [[u64; 4]; 2],
}

static NARROW: [Narrow; NARROW_MAX + 1] = {
    let mut all = [narrow(0); NARROW_MAX + 1];
    let mut width = 1;
    while width <= NARROW_MAX {
        all[width] = narrow(width);
        width += 1;
    }
    all
};

static WIDE: [Wide; WIDE_MAX + 1] = {
    let mut all = [wide(0); WIDE_MAX + 1];
    let mut width = 1;
    while width <= WIDE_MAX {
        all[width] = wide(width);
        width += 1;
    }
    all
};

const fn narrow(width: usize) -> Narrow {
    let mut out = Narrow {
        shuffle: [0; 32],
        shift: [0; 8],
    };
    let mut index = 0;
    while index < GROUP {
        let bit = index * width - (index / 4 * 4) * width / 8 * 8;
        let mut byte = 0;
        while byte < 4 {
            out.shuffle[index * 4 + byte] = (bit / 8 + byte) as u8;
            byte += 1;
        }
        out.shift[index] = (bit % 8) as u32;
        index += 1;
    }
    out
}

const fn wide(width: usize) -> Wide {
    let mut out = Wide {
        shuffle: [[0; 32]; 2],
        shift: [[0; 4]; 2],
    };
    let mut index = 0;
    while index < GROUP {
        let bit = index * width - (index / 2 * 2) * width / 8 * 8;
        let mut byte = 0;
        while byte < 8 {
            out.shuffle[index / 4][index % 4 * 8 + byte] = (bit / 8 + byte) as u8;
            byte += 1;
        }
        out.shift[index / 4][index % 4] = (bit % 8) as u64;
        index += 1;
    }
    out
}

/// How many of `wanted` groups can be loaded without leaving `bytes`, where
/// the last load of a group begins at its byte `last`.
#[inline]
pub(super) fn loadable(bytes: &[u8], width: usize, last: usize, wanted: usize) -> usize {
    match bytes.len().checked_sub(last + LOAD) {
        // All of them, as mostly: that is known without a division, which
        // takes as long as adding up several groups.
        Some(spare) if wanted.saturating_mul(width) <= spare => wanted,
        Some(spare) => (spare / width + 1).min(wanted),
        None => 0,
    }
}

#[expect(unsafe_code, reason = "calls what needs AVX2, which is there")]
pub fn unpack(bytes: &[u8], width: usize, base: i64, out: &mut [[i64; GROUP]]) -> usize {
    let wanted = out.len();
    match width {
        1..=NARROW_MAX => {
            let groups = loadable(bytes, width, 4 * width / 8, wanted);
            // SAFETY: `is_there` was asked; `loadable` keeps every load of
            // so many groups inside `bytes`.
            unsafe { unpack_narrow(bytes, width, base, &mut out[..groups]) };
            groups
        }
        0 | WIDE_MAX.. => 0,
        _ => {
            let groups = loadable(bytes, width, 6 * width / 8, wanted);
            // SAFETY: as above.
            unsafe { unpack_wide(bytes, width, base, &mut out[..groups]) };
            groups
        }
    }
}

#[expect(unsafe_code, reason = "calls what needs AVX2, which is there")]
pub fn widen(values: &[i64], out: &mut [i128]) -> usize {
    // SAFETY: `is_there` was asked.
    unsafe { widen_fours(values, out) }
}

#[target_feature(enable = "avx2")]
fn widen_fours(values: &[i64], out: &mut [i128]) -> usize {
    let (values, _) = values.as_chunks::<4>();
    let (pairs, _) = out.as_chunks_mut::<2>();
    let (fours, _) = pairs.as_chunks_mut::<2>();
    let done = values.len().min(fours.len()) * 4;
    for (values, [first, second]) in values.iter().zip(fours) {
        let low = vector(values);
        let high = _mm256_cmpgt_epi64(_mm256_setzero_si256(), low);
        let even = _mm256_unpacklo_epi64(low, high);
        let odd = _mm256_unpackhi_epi64(low, high);
        store(first, _mm256_permute2x128_si256::<0x20>(even, odd));
        store(second, _mm256_permute2x128_si256::<0x31>(even, odd));
    }
    done
}

/// Sixteen bytes from `low` and sixteen from `high`.
///
/// # Safety
/// Both are offsets at which `bytes` goes on for [`LOAD`] bytes.
#[target_feature(enable = "avx2")]
#[inline]
#[expect(unsafe_code, reason = "there is no other load without a check each")]
unsafe fn load(bytes: &[u8], low: usize, high: usize) -> __m256i {
    debug_assert!(low.max(high) + LOAD <= bytes.len());
    // SAFETY: inside the slice, as the caller says; loads need no alignment.
    let (low, high) = unsafe {
        (
            _mm_loadu_si128(bytes.as_ptr().add(low).cast()),
            _mm_loadu_si128(bytes.as_ptr().add(high).cast()),
        )
    };
    _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high)
}

#[target_feature(enable = "avx2")]
#[inline]
#[expect(unsafe_code, reason = "a load from an array")]
pub(super) fn vector<T, const N: usize>(array: &[T; N]) -> __m256i {
    const { assert!(size_of::<[T; N]>() == 32) };
    // SAFETY: the array is 32 bytes of plain numbers; loads need no alignment.
    unsafe { _mm256_loadu_si256(std::ptr::from_ref(array).cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
#[expect(unsafe_code, reason = "a store to an array")]
pub(super) fn store<T, const N: usize>(array: &mut [T; N], values: __m256i) {
    const { assert!(size_of::<[T; N]>() == 32) };
    // SAFETY: the array is 32 bytes of plain numbers, of which any bits are
    // some; stores need no alignment.
    unsafe { _mm256_storeu_si256(std::ptr::from_mut(array).cast(), values) }
}

/// Two vectors to the eight values of a group.
#[target_feature(enable = "avx2")]
fn store_group(values: &mut [i64; GROUP], low: __m256i, high: __m256i) {
    let (halves, _) = values.as_chunks_mut::<4>();
    if let [first, second] = halves {
        store(first, low);
        store(second, high);
    }
}

/// The eight values of a group of narrow values, as words of 32 bits.
///
/// # Safety
/// The loads at `at` and `second` bytes behind it stay inside `bytes`.
#[target_feature(enable = "avx2")]
#[inline]
#[expect(unsafe_code, reason = "loads without a check each")]
pub(super) unsafe fn words(bytes: &[u8], at: usize, second: usize, how: [__m256i; 3]) -> __m256i {
    let [shuffle, shift, mask] = how;
    // SAFETY: as the caller says.
    let loaded = unsafe { load(bytes, at, at + second) };
    let words = _mm256_shuffle_epi8(loaded, shuffle);
    _mm256_and_si256(_mm256_srlv_epi32(words, shift), mask)
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn narrow_how(width: usize) -> [__m256i; 3] {
    let table = &NARROW[width];
    let mask = _mm256_set1_epi32((1 << width) - 1);
    [vector(&table.shuffle), vector(&table.shift), mask]
}

/// # Safety
/// As many groups as `out` has can be loaded: [`loadable`].
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "loads without a check each")]
unsafe fn unpack_narrow(bytes: &[u8], width: usize, base: i64, out: &mut [[i64; GROUP]]) {
    let how = narrow_how(width);
    let (base, second) = (_mm256_set1_epi64x(base), 4 * width / 8);
    for (group, values) in out.iter_mut().enumerate() {
        // SAFETY: `loadable` counted this group.
        let words = unsafe { words(bytes, group * width, second, how) };
        let low = _mm256_cvtepu32_epi64(_mm256_castsi256_si128(words));
        let high = _mm256_cvtepu32_epi64(_mm256_extracti128_si256::<1>(words));
        store_group(
            values,
            _mm256_add_epi64(low, base),
            _mm256_add_epi64(high, base),
        );
    }
}

#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn wide_how(width: usize) -> [[__m256i; 3]; 2] {
    let table = &WIDE[width];
    let mask = _mm256_set1_epi64x((1 << width) - 1);
    [0, 1].map(|half| {
        [
            vector(&table.shuffle[half]),
            vector(&table.shift[half]),
            mask,
        ]
    })
}

/// Four of a group of wide values, those of a half.
///
/// # Safety
/// The loads of the group at `at` stay inside `bytes`.
#[target_feature(enable = "avx2")]
#[inline]
#[expect(unsafe_code, reason = "loads without a check each")]
pub(super) unsafe fn quad(
    bytes: &[u8],
    at: usize,
    width: usize,
    half: usize,
    how: [__m256i; 3],
) -> __m256i {
    let [shuffle, shift, mask] = how;
    let (low, high) = (4 * half * width / 8, (4 * half + 2) * width / 8);
    // SAFETY: as the caller says.
    let loaded = unsafe { load(bytes, at + low, at + high) };
    let words = _mm256_shuffle_epi8(loaded, shuffle);
    _mm256_and_si256(_mm256_srlv_epi64(words, shift), mask)
}

/// # Safety
/// As many groups as `out` has can be loaded: [`loadable`].
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "loads without a check each")]
unsafe fn unpack_wide(bytes: &[u8], width: usize, base: i64, out: &mut [[i64; GROUP]]) {
    let (how, base) = (wide_how(width), _mm256_set1_epi64x(base));
    for (group, values) in out.iter_mut().enumerate() {
        // SAFETY: `loadable` counted this group.
        let (low, high) = unsafe {
            (
                quad(bytes, group * width, width, 0, how[0]),
                quad(bytes, group * width, width, 1, how[1]),
            )
        };
        store_group(
            values,
            _mm256_add_epi64(low, base),
            _mm256_add_epi64(high, base),
        );
    }
}
