//! A bounds-checked byte cursor whose first failure sticks, so that a decoder
//! reads as a straight line and checks once, at its end.

use std::fmt;

use crate::codec::put;

/// Bytes that are not what the format says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt {
    /// Offset of the first offending byte, relative to the bytes decoded.
    pub at: usize,
    /// What was wrong there.
    pub what: &'static str,
}

impl Corrupt {
    /// Bytes that are wrong at `at`.
    #[must_use]
    pub const fn new(at: usize, what: &'static str) -> Self {
        Corrupt { at, what }
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.what, self.at)
    }
}

/// The result of a decoder.
pub type Result<T> = std::result::Result<T, Corrupt>;

/// Reads little-endian values front to back. After the first failure every
/// read returns zero and [`Cursor::check`] returns that failure.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
    failure: Option<Corrupt>,
}

macro_rules! fixed {
    ($($name:ident: $type:ty),*) => {$(
        #[doc = concat!("The next `", stringify!($type), "`, little-endian.")]
        pub fn $name(&mut self) -> $type {
            self.array().map_or(0, <$type>::from_le_bytes)
        }
    )*};
}

impl<'a> Cursor<'a> {
    /// A cursor at the front of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor {
            bytes,
            position: 0,
            failure: None,
        }
    }

    fixed!(u8: u8, u16: u16, u32: u32, u64: u64);

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N).first_chunk().copied()
    }

    /// The next `count` bytes, or none of them.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        if self.failure.is_some() {
            return &[];
        }
        match self
            .bytes
            .get(self.position..)
            .and_then(|rest| rest.get(..count))
        {
            Some(taken) => {
                self.position += count;
                taken
            }
            None => {
                self.fail("cut short");
                &[]
            }
        }
    }

    /// As [`Cursor::take`], with everything that follows them: who may look
    /// further reads whole words without a copy.
    pub fn take_and_beyond(&mut self, count: usize) -> &'a [u8] {
        let start = self.position;
        self.take(count);
        if self.failure.is_some() {
            return &[];
        }
        self.bytes.get(start..).unwrap_or_default()
    }

    /// The next unsigned LEB128 varint of at most 64 bits.
    pub fn varint(&mut self) -> u64 {
        // One byte is by far the most common length.
        if self.failure.is_none()
            && let Some(&byte) = self.bytes.get(self.position)
            && byte < 0x80
        {
            self.position += 1;
            return u64::from(byte);
        }
        self.long_varint()
    }

    /// As [`Cursor::varint`], of more than a byte.
    fn long_varint(&mut self) -> u64 {
        let ahead = self.bytes.get(self.position..).unwrap_or_default();
        if self.failure.is_none()
            && let Some(word) = ahead.first_chunk::<8>()
        {
            let word = u64::from_le_bytes(*word);
            // The highest bit of the byte that ends it.
            let end = !word & 0x8080_8080_8080_8080;
            let last = end & end.wrapping_neg();
            // Without an end in it, or with nothing in its last byte, it is read
            // below, where failures are told.
            if last > 0x80 && word & (last - (last >> 7)) != 0 {
                self.position += last.trailing_zeros() as usize / 8 + 1;
                return put::gather(word & (last - 1));
            }
        }
        let value = self.varint128();
        u64::try_from(value).unwrap_or_else(|_| {
            self.fail("a varint beyond 64 bits");
            0
        })
    }

    /// The next varint as a count or length no larger than `max`.
    pub fn length(&mut self, max: usize) -> usize {
        let value = self.varint();
        match usize::try_from(value) {
            Ok(value) if value <= max => value,
            _ => {
                self.fail("a length beyond its limit");
                0
            }
        }
    }

    /// The next zigzag varint of at most 64 bits.
    pub fn zigzag(&mut self) -> i64 {
        let value = self.varint();
        (value >> 1) as i64 ^ -((value & 1) as i64)
    }

    /// The next unsigned LEB128 varint of at most 128 bits, in its shortest form.
    pub fn varint128(&mut self) -> u128 {
        let start = self.position;
        let mut value = 0_u128;
        for shift in (0..=126).step_by(7) {
            let byte = self.u8();
            let low = u128::from(byte & 0x7f);
            if shift == 126 && low > 3 {
                break;
            }
            value |= low << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 && self.failure.is_none() {
                    self.fail_at(start, "a varint longer than it needs");
                    return 0;
                }
                return value;
            }
        }
        self.fail_at(start, "a varint beyond 128 bits");
        0
    }

    /// The next zigzag varint of at most 128 bits.
    pub fn zigzag128(&mut self) -> i128 {
        let value = self.varint128();
        (value >> 1) as i128 ^ -((value & 1) as i128)
    }

    /// The next string: a varint length of at most `max` bytes, then UTF-8.
    pub fn string(&mut self, max: usize) -> &'a str {
        let length = self.length(max);
        let start = self.position;
        std::str::from_utf8(self.take(length)).unwrap_or_else(|_| {
            self.fail_at(start, "text that is not UTF-8");
            ""
        })
    }

    /// Records a failure at the current position, unless one stands already.
    pub fn fail(&mut self, what: &'static str) {
        self.fail_at(self.position, what);
    }

    /// Records a failure at `at`, unless one stands already.
    pub fn fail_at(&mut self, at: usize, what: &'static str) {
        self.failure.get_or_insert(Corrupt { at, what });
    }

    /// Records a failure unless `holds`.
    pub fn require(&mut self, holds: bool, what: &'static str) {
        if !holds {
            self.fail(what);
        }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes not read yet; zero after a failure.
    #[must_use]
    pub fn remaining(&self) -> usize {
        if self.failure.is_some() {
            0
        } else {
            self.bytes.len() - self.position
        }
    }

    /// Whether everything read so far was there.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.failure.is_none()
    }

    /// # Errors
    /// The first failure, if there was one.
    pub fn check(&self) -> Result<()> {
        self.failure.map_or(Ok(()), Err)
    }

    /// # Errors
    /// The first failure, or bytes left over.
    pub fn finish(mut self) -> Result<()> {
        if self.remaining() > 0 {
            self.fail("bytes left over");
        }
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_failure_sticks() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.u16(), 0x0201);
        assert_eq!(cursor.u32(), 0);
        assert_eq!(cursor.u8(), 0, "reads after a failure give nothing");
        assert_eq!(cursor.finish(), Err(Corrupt::new(2, "cut short")));
    }

    #[test]
    fn varints_have_one_form() {
        assert!(Cursor::new(&[0x80, 0x00]).varint128() == 0);
        let mut long = Cursor::new(&[0x80, 0x00]);
        long.varint();
        assert!(long.check().is_err());
        let mut long = Cursor::new(&[0x81, 0x80, 0x00, 1, 1, 1, 1, 1, 1]);
        long.varint();
        assert!(long.check().is_err());
        let mut beyond = Cursor::new(&[0xff; 19]);
        beyond.varint128();
        assert!(beyond.check().is_err());
    }

    proptest! {
        #[test]
        fn varints_round_trip(value: u128, shift in 0_u32..128, signed: i128, small: i64) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put::varint128(&mut bytes, value);
            put::zigzag128(&mut bytes, signed);
            put::zigzag(&mut bytes, small);
            put::varint(&mut bytes, value as u64);
            let mut place = [0xff; put::VARINT_BYTES_MAX];
            let taken = put::varint_in_place(&mut place, value as u64);
            prop_assert!(bytes.ends_with(&place[..taken]));
            prop_assert_eq!(taken, put::varint_bytes(value as u64));
            let again = &bytes[bytes.len() - taken..];
            // With and without bytes behind it.
            prop_assert_eq!(Cursor::new(again).varint(), value as u64);
            prop_assert_eq!(Cursor::new(&[again, &[0x80; 8]].concat()).varint(), value as u64);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.varint128(), value);
            prop_assert_eq!(cursor.zigzag128(), signed);
            prop_assert_eq!(cursor.zigzag(), small);
            prop_assert_eq!(cursor.varint(), value as u64);
            prop_assert!(cursor.finish().is_ok());
            for cut in 0..bytes.len() {
                let mut cursor = Cursor::new(&bytes[..cut]);
                cursor.varint128();
                cursor.zigzag128();
                cursor.zigzag();
                cursor.varint();
                prop_assert!(cursor.finish().is_err());
            }
        }
    }
}
