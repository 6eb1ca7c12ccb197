//! The shared part of a `pco` chunk, read without `pco`, so that its pages are
//! read as fast again ([`chunk_read`](super::chunk_read)). Chunks of any other
//! kind than those written here most are left to `pco`, which also judges what
//! is wrong with metadata.
//!
//! The format is `pco`'s, version 4: mode classic, or multiples of a step and the
//! same rest (sums of whole hours in units of microseconds); one latent variable that
//! varies, of 16 or 32 bits; no delta, the first difference, or the prediction from
//! six values.
//! Every length is checked before it is used, and no bytes make it panic.

use super::bits;
use super::cold::PCO_MAJOR;

/// Numbers of a batch: its symbols come first, then all its offsets.
pub const BATCH: usize = 256;
/// The newest minor version whose pages are known here.
const PCO_MINOR_MAX: u8 = 1;
/// The mode of numbers that are multiples of a step, and a rest.
const MULTIPLES: u64 = 1;
/// Decoders that take turns at the symbols of a batch.
pub(super) const TURNS: usize = 4;
/// The largest table that is read here, in bits; `pco` reads larger ones.
const TABLE_LOG_MAX: u32 = 10;
pub(super) const TABLE_MAX: usize = 1 << TABLE_LOG_MAX;
/// Values that a prediction is made from.
pub(super) const ORDER: usize = 6;

/// The shared part of a chunk, ready to read its pages.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Bits of a number: 16 or 32.
    pub(super) number_bits: u32,
    /// What is read is multiplied by, and what is added then.
    step: u32,
    rest: u32,
    pub(super) delta: Delta,
    pub(super) table_log: u32,
    /// A state of the decoder each; beyond the table all are zero.
    pub(super) table: Box<[Node; TABLE_MAX]>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Delta {
    None,
    First,
    Predicted(Prediction),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Prediction {
    pub(super) quantization: u32,
    pub(super) bias: i64,
    pub(super) weights: [i64; ORDER],
}

/// What a state of the decoder says, and where it goes, in one word: from the
/// lowest byte up the bits to read, the bits of what the number is above the
/// least of its bin, that least number (32), and what the bits read are added
/// to for the next state (16). Widths stand lowest, so that words can be added
/// and shifted by without taking them apart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node(u64);

impl Node {
    fn new(bits: u32, offset_bits: u8, lower: u32, next: u16) -> Self {
        let widths = u64::from(bits as u8) | u64::from(offset_bits) << 8;
        Node(widths | u64::from(lower) << 16 | u64::from(next) << 48)
    }

    /// The bits to read, in the lowest byte of a word with more in it.
    #[inline(always)]
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// The bits of the offset, likewise.
    #[inline(always)]
    pub(super) fn offset_bits(self) -> u64 {
        self.0 >> 8
    }

    #[inline(always)]
    pub(super) fn lower(self) -> u32 {
        (self.0 >> 16) as u32
    }

    #[inline(always)]
    pub(super) fn next(self) -> usize {
        (self.0 >> 48) as usize
    }
}

/// A bit stream; zeros behind its end.
pub(super) struct Bits<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl Bits<'_> {
    /// The next `count` bits, at most 57.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u64 {
        let value = low_bits(bits::window(self.bytes, self.at), count.into());
        self.at += count as usize;
        value
    }

    /// The next 64 bits.
    fn take_u64(&mut self) -> u64 {
        self.take(32) | self.take(32) << 32
    }

    /// Goes on to the next byte; whether all bits passed are there, those up to
    /// the next byte zero.
    pub(super) fn align(&mut self) -> bool {
        let rest = self.at.wrapping_neg() % 8;
        self.take(rest as u32) == 0 && self.at <= self.bytes.len() * 8
    }
}

impl Chunk {
    /// Parses version and metadata of a chunk of numbers of `number_bits` bits.
    /// `None` for what is left to `pco`: other kinds, and whatever is wrong.
    pub fn parse(bytes: &[u8], number_bits: u32) -> Option<Chunk> {
        let (version, bytes) = bytes.split_first_chunk()?;
        let [PCO_MAJOR, 0..=PCO_MINOR_MAX] = *version else {
            return None;
        };
        let mut bits = Bits { bytes, at: 0 };
        let mode = bits.take(4);
        if mode > MULTIPLES || !matches!(number_bits, 16 | 32) {
            return None;
        }
        let step = match mode {
            MULTIPLES => bits.take(number_bits) as u32,
            _ => 1,
        };
        if step == 0 {
            return None;
        }
        let delta = match bits.take(4) {
            0 => Delta::None,
            // Order 1, and a bit for the second variable, where there is one.
            1 if bits.take(3) == 1 => match (bits.take(1), mode) {
                (1, MULTIPLES) => return None,
                _ => Delta::First,
            },
            3 => Delta::Predicted(Prediction::parse(&mut bits, number_bits)?),
            _ => return None,
        };
        let table_log = bits.take(4) as u32;
        let bins = bits.take(15) as usize;
        let table_bits = 1_usize << table_log;
        let none = bins == 0 || bins == 1 && table_log > 0;
        if table_log > TABLE_LOG_MAX || none || bins > table_bits {
            return None;
        }
        let offset_bits_bits = u32::BITS - number_bits.leading_zeros();
        let mut list = Vec::with_capacity(bins);
        for _ in 0..bins {
            let weight = bits.take(table_log) as usize + 1;
            let lower = bits.take(number_bits) as u32;
            let offset_bits = bits.take(offset_bits_bits) as u8;
            list.push((weight, lower, offset_bits));
        }
        let total: usize = list.iter().map(|bin| bin.0).sum();
        let narrow = list.iter().all(|bin| u32::from(bin.2) <= number_bits);
        let rest = match mode {
            MULTIPLES => constant(&mut bits, number_bits, offset_bits_bits)?,
            _ => 0,
        };
        if !bits.align() || bits.at != bytes.len() * 8 || total != table_bits || !narrow {
            return None;
        }
        Some(Chunk {
            number_bits,
            step,
            rest,
            delta,
            table_log,
            table: table(&list, table_log),
        })
    }
}

impl Chunk {
    /// Makes of what was read what was written: multiples of the step, and the rest.
    #[inline(always)]
    pub(super) fn scale<const BITS: u32>(&self, numbers: &mut [u32]) {
        let (step, rest) = (self.step, self.rest);
        if (step, rest) == (1, 0) {
            return;
        }
        for number in numbers {
            *number = truncated::<BITS>(number.wrapping_mul(step).wrapping_add(rest));
        }
    }
}

/// The value of a variable that does not vary: a table of one bin, without offsets.
fn constant(bits: &mut Bits<'_>, number_bits: u32, offset_bits_bits: u32) -> Option<u32> {
    let (table_log, bins) = (bits.take(4), bits.take(15));
    let lower = bits.take(number_bits) as u32;
    let offset_bits = bits.take(offset_bits_bits);
    ((table_log, bins, offset_bits) == (0, 1, 0)).then_some(lower)
}

/// The lowest bits, as many as the lowest six bits of `count` say.
#[inline(always)]
pub(super) fn low_bits(word: u64, count: u64) -> u64 {
    word & !u64::MAX.wrapping_shl(count as u32)
}

/// `word` without its lowest bits, as many as the lowest six bits of `count` say.
#[inline(always)]
pub(super) fn above(word: u64, count: u64) -> u64 {
    word.wrapping_shr(count as u32)
}

/// What is stored of a difference or a residual, so that small ones of either
/// sign are near each other.
#[inline(always)]
pub(super) fn centered<const BITS: u32>(stored: u32) -> u32 {
    stored ^ 1 << (BITS - 1)
}

/// The number that `BITS` bits hold of `value`.
#[inline(always)]
pub(super) fn truncated<const BITS: u32>(value: u32) -> u32 {
    value & (u32::MAX >> (32 - BITS))
}

/// The table of states: bins are spread over it by a stride near three fifths.
fn table(bins: &[(usize, u32, u8)], table_log: u32) -> Box<[Node; TABLE_MAX]> {
    let size = 1_usize << table_log;
    let stride = match 3 * size / 5 {
        even if even % 2 == 0 => even + 1,
        odd => odd,
    };
    let mut symbols = [0_u16; TABLE_MAX];
    let mut at = 0;
    for (symbol, (weight, ..)) in (0_u16..).zip(bins) {
        for _ in 0..*weight {
            symbols[at % TABLE_MAX] = symbol;
            at = at.wrapping_add(stride) & (size - 1);
        }
    }
    let mut table = Box::new([Node::default(); TABLE_MAX]);
    // Of each bin the states met so far, beginning with its weight.
    let mut states: Vec<(u32, u32, u8)> = bins
        .iter()
        .map(|(weight, lower, offset_bits)| (*weight as u32, *lower, *offset_bits))
        .collect();
    let size_zeros = (size as u32).leading_zeros();
    for (node, symbol) in table[..size].iter_mut().zip(symbols) {
        let Some((state, lower, offset_bits)) = states.get_mut(usize::from(symbol)) else {
            break;
        };
        // So many that the state reaches the size of the table.
        let bits = state.leading_zeros().wrapping_sub(size_zeros);
        let next = state.wrapping_shl(bits).wrapping_sub(size as u32);
        *node = Node::new(bits, *offset_bits, *lower, next as u16);
        *state = state.wrapping_add(1);
    }
    table
}

impl Prediction {
    /// `None` for another order than six, and for predictions that could leave
    /// twice as many bits as a number has.
    fn parse(bits: &mut Bits<'_>, number_bits: u32) -> Option<Self> {
        let quantization = bits.take(5) as u32;
        let bias = (bits.take_u64() ^ 1 << 63) as i64;
        if bits.take(5) as usize + 1 != ORDER {
            return None;
        }
        let mut weights = [0; ORDER];
        for weight in &mut weights {
            *weight = i64::from((bits.take(32) as u32 ^ 1 << 31) as i32);
        }
        let steep: u64 = weights
            .iter()
            .map(|weight: &i64| weight.unsigned_abs())
            .sum();
        let highest = u128::from(bias.unsigned_abs()) + (u128::from(steep) << number_bits);
        let wide_bits = 2 * number_bits - 1;
        if quantization > wide_bits || highest >= 1 << wide_bits {
            return None;
        }
        Some(Prediction {
            quantization,
            bias,
            weights,
        })
    }
}
