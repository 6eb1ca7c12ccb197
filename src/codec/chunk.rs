//! Reading a page of a `pco` chunk without `pco`: as fast again, and no more of
//! the page than is wanted. Chunks of any other kind than those written here
//! most are left to `pco`, which also judges what is wrong with metadata.
//!
//! The format is `pco`'s, version 4: mode classic, one latent variable of 16 or
//! 32 bits, no delta, the first difference, or the prediction from six values.
//! Every length is checked before it is used, and no bytes make it panic.

use super::bits;
use super::cold::PCO_MAJOR;
use super::page::CELLS_MAX;
use super::simd;

/// Numbers of a batch: its symbols come first, then all its offsets.
pub const BATCH: usize = 256;
/// The newest minor version whose pages are known here.
const PCO_MINOR_MAX: u8 = 1;
/// Decoders that take turns at the symbols of a batch.
const TURNS: usize = 4;
/// The largest table that is read here, in bits; `pco` reads larger ones.
const TABLE_LOG_MAX: u32 = 10;
const TABLE_MAX: usize = 1 << TABLE_LOG_MAX;
/// Values that a prediction is made from.
pub(super) const ORDER: usize = 6;

/// The shared part of a chunk, ready to read its pages.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Bits of a number: 16 or 32.
    number_bits: u32,
    delta: Delta,
    table_log: u32,
    /// A state of the decoder each; beyond the table all are zero.
    table: Box<[Node; TABLE_MAX]>,
}

#[derive(Clone, Copy, Debug)]
enum Delta {
    None,
    First,
    Predicted(Prediction),
}

#[derive(Clone, Copy, Debug)]
struct Prediction {
    quantization: u32,
    bias: i64,
    weights: [i64; ORDER],
}

/// What a state of the decoder says, and where it goes.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// The least number of the bin.
    lower: u32,
    /// Added to the bits read it is the next state.
    next: u16,
    bits: u8,
    /// Bits of what the number is above `lower`.
    offset_bits: u8,
}

/// A bit stream; zeros behind its end.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` bits, at most 57.
    #[inline(always)]
    fn take(&mut self, count: u32) -> u64 {
        let value = low_bits(bits::window(self.bytes, self.at), count as u8);
        self.at += count as usize;
        value
    }

    /// The next 64 bits.
    fn take_u64(&mut self) -> u64 {
        self.take(32) | self.take(32) << 32
    }

    /// Goes on to the next byte; whether all bits passed are there, those up to
    /// the next byte zero.
    fn align(&mut self) -> bool {
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
        let (mode, variant) = (bits.take(4), bits.take(4));
        if mode != 0 || !matches!(number_bits, 16 | 32) {
            return None;
        }
        let delta = match variant {
            0 => Delta::None,
            // Order 1, and a bit for a second variable, of which there is none.
            1 if bits.take(3) == 1 => {
                bits.take(1);
                Delta::First
            }
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
        if !bits.align() || bits.at != bytes.len() * 8 || total != table_bits || !narrow {
            return None;
        }
        Some(Chunk {
            number_bits,
            delta,
            table_log,
            table: table(&list, table_log),
        })
    }

    /// Fills `out` with the numbers from `start` on of a page of `count`,
    /// at most [`CELLS_MAX`]. Batches behind those wanted are not read.
    /// `None` for a page that is damaged.
    pub fn read(&self, bytes: &[u8], count: usize, start: usize, out: &mut [u32]) -> Option<()> {
        let end = start + out.len();
        if count > CELLS_MAX || end > count {
            return None;
        }
        let whole = start == 0 && end == count;
        if whole {
            return self.read_front(bytes, count, out);
        }
        let mut values = [0; CELLS_MAX];
        self.read_front(bytes, count, &mut values[..end])?;
        out.copy_from_slice(&values[start..end]);
        Some(())
    }

    fn read_front(&self, bytes: &[u8], count: usize, out: &mut [u32]) -> Option<()> {
        simd::with_bit_instructions(
            #[inline(always)]
            || match self.number_bits {
                16 => self.read_numbers::<16>(bytes, count, out),
                _ => self.read_numbers::<32>(bytes, count, out),
            },
        )
    }

    #[inline(always)]
    fn read_numbers<const BITS: u32>(
        &self,
        bytes: &[u8],
        count: usize,
        out: &mut [u32],
    ) -> Option<()> {
        let mut bits = Bits { bytes, at: 0 };
        let order = match self.delta {
            Delta::None => 0,
            Delta::First => 1,
            Delta::Predicted(_) => ORDER,
        };
        // Stored before the body, even where there are fewer numbers.
        let mut first = [0; ORDER];
        for value in &mut first[..order] {
            *value = bits.take(BITS) as u32;
        }
        let mut states = [0; TURNS];
        for state in &mut states {
            *state = bits.take(self.table_log) as usize;
        }
        if !bits.align() {
            return None;
        }
        let body = count.saturating_sub(order);
        let (head, rest) = out.split_at_mut(order.min(out.len()));
        head.copy_from_slice(&first[..head.len()]);
        let stream = (&mut bits, &mut states);
        match &self.delta {
            Delta::None => self.read_body::<BITS>(stream, body, rest, |number| number),
            Delta::First => {
                let mut sum = first[0];
                self.read_body::<BITS>(stream, body, rest, |difference| {
                    sum = truncated::<BITS>(sum.wrapping_add(centered::<BITS>(difference)));
                    sum
                });
            }
            Delta::Predicted(prediction) => {
                let mut past = Past::new(prediction, first);
                self.read_body::<BITS>(stream, body, rest, |residual| past.next::<BITS>(residual));
            }
        }
        let whole = rest.len() == body;
        let ends = !whole || bits.align() && bits.at == bytes.len() * 8;
        (ends && bits.at <= bytes.len() * 8).then_some(())
    }

    /// Reads the front of a body of `numbers`, as many as `out` takes, each
    /// made by `number` of what is stored of it.
    #[inline(always)]
    fn read_body<const BITS: u32>(
        &self,
        (bits, states): (&mut Bits<'_>, &mut [usize; TURNS]),
        numbers: usize,
        out: &mut [u32],
        mut number: impl FnMut(u32) -> u32,
    ) {
        let mut nodes = [Node::default(); BATCH];
        if self.table_log == 0 {
            nodes.fill(self.table[0]);
        }
        for (index, out) in out.chunks_mut(BATCH).enumerate() {
            let nodes = &mut nodes[..(numbers - index * BATCH).min(BATCH)];
            if self.table_log > 0 {
                self.read_symbols(bits, states, nodes);
            }
            let mut at = bits.at;
            for (value, node) in out.iter_mut().zip(&*nodes) {
                let offset = low_bits(bits::window(bits.bytes, at), node.offset_bits);
                at = at.wrapping_add(usize::from(node.offset_bits));
                *value = number(truncated::<BITS>(node.lower.wrapping_add(offset as u32)));
            }
            // Those not wanted are passed over.
            for node in &nodes[out.len()..] {
                at = at.wrapping_add(usize::from(node.offset_bits));
            }
            bits.at = at;
        }
    }

    /// Reads the symbols of a batch: what the decoders' states say.
    #[inline(always)]
    fn read_symbols(&self, bits: &mut Bits<'_>, states: &mut [usize; TURNS], nodes: &mut [Node]) {
        let (groups, rest) = nodes.as_chunks_mut::<TURNS>();
        let [mut a, mut b, mut c, mut d] = *states;
        let mut at = bits.at;
        for group in groups {
            // Four times ten bits, of the 57 that a window has.
            let window = bits::window(bits.bytes, at);
            let nodes = [a, b, c, d].map(|state| self.table[state % TABLE_MAX]);
            let [one, two, three, four] = nodes.map(|node| node.bits);
            let (half, most) = (one + two, one + two + three);
            a = usize::from(nodes[0].next) + low_bits(window, one) as usize;
            b = usize::from(nodes[1].next) + low_bits(window >> (one & 63), two) as usize;
            c = usize::from(nodes[2].next) + low_bits(window >> (half & 63), three) as usize;
            d = usize::from(nodes[3].next) + low_bits(window >> (most & 63), four) as usize;
            at = at.wrapping_add(usize::from(half) + usize::from(three + four));
            *group = nodes;
        }
        bits.at = at;
        *states = [a, b, c, d];
        for (node, state) in rest.iter_mut().zip(states) {
            *node = self.table[*state % TABLE_MAX];
            *state = usize::from(node.next) + bits.take(node.bits.into()) as usize;
        }
    }
}

/// The lowest `count` bits, of fewer than 64.
#[inline(always)]
fn low_bits(word: u64, count: u8) -> u64 {
    word & (1_u64 << (count & 63)).wrapping_sub(1)
}

/// What is stored of a difference or a residual, so that small ones of either
/// sign are near each other.
#[inline(always)]
fn centered<const BITS: u32>(stored: u32) -> u32 {
    stored ^ 1 << (BITS - 1)
}

/// The number that `BITS` bits hold of `value`.
#[inline(always)]
fn truncated<const BITS: u32>(value: u32) -> u32 {
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
    let mut step = 0;
    for (symbol, (weight, ..)) in (0_u16..).zip(bins) {
        for _ in 0..*weight {
            symbols[(stride * step) & (size - 1)] = symbol;
            step += 1;
        }
    }
    let mut table = Box::new([Node::default(); TABLE_MAX]);
    let mut seen: Vec<usize> = bins.iter().map(|bin| bin.0).collect();
    for (node, symbol) in table[..size].iter_mut().zip(symbols) {
        let symbol = usize::from(symbol);
        let (_, lower, offset_bits) = bins[symbol];
        let count = seen[symbol];
        seen[symbol] += 1;
        let bits = table_log - count.ilog2();
        *node = Node {
            lower,
            next: ((count << bits) - size) as u16,
            bits: bits as u8,
            offset_bits,
        };
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

/// The six numbers before the next, and what is known of its prediction.
struct Past<'p> {
    prediction: &'p Prediction,
    numbers: [i64; ORDER],
    /// All of it but the product of the newest number: that one is all the
    /// next number waits for.
    early: i64,
}

impl<'p> Past<'p> {
    #[inline(always)]
    fn new(prediction: &'p Prediction, first: [u32; ORDER]) -> Self {
        let mut past = Past {
            prediction,
            numbers: first.map(i64::from),
            early: 0,
        };
        past.early = past.early(past.numbers);
        past
    }

    #[inline(always)]
    fn early(&self, [a, b, c, d, e, _]: [i64; ORDER]) -> i64 {
        let [w0, w1, w2, w3, w4, _] = self.prediction.weights;
        let left = w0.wrapping_mul(a).wrapping_add(w1.wrapping_mul(b));
        let middle = w2.wrapping_mul(c).wrapping_add(w3.wrapping_mul(d));
        let right = w4.wrapping_mul(e).wrapping_add(self.prediction.bias);
        left.wrapping_add(middle).wrapping_add(right)
    }

    /// The number of which this residual is stored.
    #[inline(always)]
    fn next<const BITS: u32>(&mut self, residual: u32) -> u32 {
        let [_, b, c, d, e, f] = self.numbers;
        let product = self.prediction.weights[ORDER - 1].wrapping_mul(f);
        let predicted = self.early.wrapping_add(product).max(0) >> self.prediction.quantization;
        self.early = self.early([b, c, d, e, f, 0]);
        let number = (predicted as u32).wrapping_add(centered::<BITS>(residual));
        let number = truncated::<BITS>(number);
        self.numbers = [b, c, d, e, f, i64::from(number)];
        number
    }
}
