//! The two checksums: CRC-32 bound to its place, checked before any byte is
//! used, and a 64-bit hash over a whole segment, to pin down exactly that file.
//!
//! They fail independently: bytes forged or mangled so that one of them still
//! agrees do not agree with the other. See `docs/format/README.md`.

/// CRC-32 of `bytes` bound to where they belong: two 64-bit numbers, such as a
/// segment's id and an offset, come first, so that bytes which are sound but
/// swapped, stale or in the wrong file do not pass.
#[must_use]
pub fn bound_crc(owner: u64, offset: u64, bytes: &[u8]) -> u32 {
    #[cfg(fuzzing)]
    if fuzzing::taken_for_zero() {
        return 0;
    }
    let mut hasher = bound(owner, offset);
    hasher.update(bytes);
    hasher.finalize()
}

/// The bound CRC-32 of `prefix`, and that of `prefix` and `rest`, in one pass.
///
/// The second must not cover the first: a CRC taken over bytes and their own
/// CRC is the same whatever the bytes and wherever they are.
#[must_use]
pub fn bound_crcs(owner: u64, offset: u64, prefix: &[u8], rest: &[u8]) -> (u32, u32) {
    #[cfg(fuzzing)]
    if fuzzing::taken_for_zero() {
        return (0, 0);
    }
    let mut hasher = bound(owner, offset);
    hasher.update(prefix);
    let first = hasher.clone().finalize();
    hasher.update(rest);
    (first, hasher.finalize())
}

/// A fuzzer does not guess checksums: at its request each is zero, when written
/// and when checked, so that it gets to what is behind them.
#[cfg(fuzzing)]
pub use fuzzing::take_for_zero;

#[cfg(fuzzing)]
mod fuzzing {
    use std::sync::atomic::{AtomicBool, Ordering};

    static ZERO: AtomicBool = AtomicBool::new(false);

    /// From here on every checksum is zero.
    pub fn take_for_zero() {
        ZERO.store(true, Ordering::Relaxed);
    }

    pub fn taken_for_zero() -> bool {
        ZERO.load(Ordering::Relaxed)
    }
}

/// A CRC-32 bound to its place, to be fed piece by piece.
#[must_use]
pub fn bound(owner: u64, offset: u64) -> crc32fast::Hasher {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&owner.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place);
    hasher
}

/// Bytes taken in at once: 16 for each of four independent lanes.
const STRIPE_BYTES: usize = 64;

/// Odd constants: the first 64-bit groups of the fractional part of pi, with
/// the lowest bit set.
const KEYS: [u64; 6] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7345,
    0xa409_3822_299f_31d1,
    0x082e_fa98_ec4e_6c89,
    0x4528_21e6_38d0_1377,
    0xbe54_66cf_34e9_0c6d,
];

/// The two halves of the 128-bit product, folded by exclusive or.
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// A 64-bit hash of a stream of bytes, independent of how it is cut into
/// calls. Against accidents, not against attackers: its keys are known.
#[derive(Clone, Debug)]
pub struct Hasher64 {
    lanes: [u64; 4],
    pending: [u8; STRIPE_BYTES],
    length: u64,
}

impl Default for Hasher64 {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher64 {
    /// The hash of no bytes yet.
    #[must_use]
    pub const fn new() -> Self {
        Hasher64 {
            lanes: [KEYS[0], KEYS[1], KEYS[2], KEYS[3]],
            pending: [0; STRIPE_BYTES],
            length: 0,
        }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let held = (self.length % STRIPE_BYTES as u64) as usize;
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if held > 0 {
            let missing = (STRIPE_BYTES - held).min(bytes.len());
            let (head, rest) = bytes.split_at(missing);
            self.pending[held..held + missing].copy_from_slice(head);
            bytes = rest;
            if held + missing < STRIPE_BYTES {
                return;
            }
            self.lanes = absorb(self.lanes, &self.pending);
        }
        let mut lanes = self.lanes;
        let (stripes, rest) = bytes.as_chunks::<STRIPE_BYTES>();
        for stripe in stripes {
            lanes = absorb(lanes, stripe);
        }
        self.lanes = lanes;
        self.pending[..rest.len()].copy_from_slice(rest);
    }

    /// The hash of all bytes so far.
    #[must_use]
    pub fn finish(&self) -> u64 {
        #[cfg(fuzzing)]
        if fuzzing::taken_for_zero() {
            return 0;
        }
        let held = (self.length % STRIPE_BYTES as u64) as usize;
        let mut last = [0; STRIPE_BYTES];
        last[..held].copy_from_slice(&self.pending[..held]);
        // Always one more stripe, empty or not; the length tells the zeros
        // filled in from zeros that were there.
        let [a, b, c, d] = absorb(self.lanes, &last);
        let folded = fold(a ^ KEYS[4], b) ^ fold(c ^ KEYS[5], d).rotate_left(32);
        fold(folded ^ KEYS[5], self.length ^ KEYS[4])
    }
}

/// One stripe into the four lanes.
#[inline]
fn absorb(lanes: [u64; 4], stripe: &[u8; STRIPE_BYTES]) -> [u64; 4] {
    let (words, _) = stripe.as_chunks::<8>();
    let word = |index: usize| u64::from_le_bytes(words[index]);
    [
        fold(word(0) ^ lanes[0], word(1) ^ KEYS[0]),
        fold(word(2) ^ lanes[1], word(3) ^ KEYS[1]),
        fold(word(4) ^ lanes[2], word(5) ^ KEYS[2]),
        fold(word(6) ^ lanes[3], word(7) ^ KEYS[3]),
    ]
}

/// The hash of `bytes` at once.
#[must_use]
pub fn hash64(bytes: &[u8]) -> u64 {
    let mut hasher = Hasher64::new();
    hasher.update(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn counting(count: usize) -> Vec<u8> {
        (0..count).map(|index| index as u8).collect()
    }

    #[test]
    fn the_hash_is_what_the_format_says() {
        let document = include_str!("../../docs/format/README.md");
        for bytes in [vec![], b"hotstove".to_vec(), counting(64), counting(1_000)] {
            let row = format!("`{:016x}`", hash64(&bytes));
            assert!(document.contains(&row), "{} bytes: {row}", bytes.len());
        }
    }

    #[test]
    fn cutting_the_stream_changes_nothing() {
        let bytes = counting(1_000);
        for first in 0..200 {
            for second in [0, 1, 63, 64, 65, 500] {
                let mut hasher = Hasher64::new();
                hasher.update(&bytes[..first]);
                hasher.update(&bytes[first..first + second]);
                hasher.update(&bytes[first + second..]);
                assert_eq!(hasher.finish(), hash64(&bytes), "{first} {second}");
            }
        }
    }

    #[test]
    fn lengths_flips_and_swaps_all_differ() {
        let mut seen = HashSet::new();
        for length in 0..300 {
            assert!(seen.insert(hash64(&vec![0; length])), "{length} zeros");
        }
        let mut bytes = counting(300);
        seen.insert(hash64(&bytes));
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(hash64(&bytes)), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for first in 0..18 {
            for second in first + 1..18 {
                let mut swapped = bytes.clone();
                for byte in 0..16 {
                    swapped.swap(first * 16 + byte, second * 16 + byte);
                }
                assert!(swapped == bytes || seen.insert(hash64(&swapped)));
            }
        }
    }

    #[test]
    fn a_place_is_part_of_the_checksum() {
        let crc = bound_crc(1, 64, b"bytes");
        assert_eq!(crc, bound_crc(1, 64, b"bytes"));
        assert_ne!(crc, bound_crc(2, 64, b"bytes"));
        assert_ne!(crc, bound_crc(1, 65, b"bytes"));
        assert_ne!(crc, bound_crc(1, 64, b"byte"));
        assert_eq!(
            bound_crcs(1, 64, b"by", b"tes"),
            (bound_crc(1, 64, b"by"), crc)
        );
    }
}
