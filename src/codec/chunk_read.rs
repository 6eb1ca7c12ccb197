//! Reading a page of a chunk, and no more of it than is wanted: the symbols of
//! a batch first, four decoders by turns, then what each number is above the
//! least of its bin.

use super::bits::{WINDOW_BITS, window};
use super::chunk::{
    BATCH, Bits, Chunk, Delta, Node, ORDER, Prediction, TABLE_MAX, TURNS, above, centered,
    low_bits, truncated,
};
use super::page::CELLS_MAX;
use super::simd;

/// A page as it is read.
pub(super) struct Reading<'a> {
    pub(super) bits: Bits<'a>,
    states: [usize; TURNS],
    /// The numbers stored before the body, even where there are fewer.
    pub(super) first: [u32; ORDER],
    /// Numbers of the body.
    pub(super) body: usize,
}

impl Reading<'_> {
    /// A page of no numbers.
    pub(super) fn nothing() -> Self {
        Reading {
            bits: Bits { bytes: &[], at: 0 },
            states: [0; TURNS],
            first: [0; ORDER],
            body: 0,
        }
    }

    /// Whether the page ends where its last number does.
    pub(super) fn ends(&mut self) -> bool {
        self.bits.align() && self.bits.at == self.bits.bytes.len() * 8
    }
}

impl Chunk {
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
        let mut reading = self.begin::<BITS>(bytes, count)?;
        let (head, rest) = out.split_at_mut(self.order().min(out.len()));
        head.copy_from_slice(&reading.first[..head.len()]);
        let first = reading.first;
        match &self.delta {
            Delta::None => self.read_body::<BITS>(&mut reading, rest, |number| number),
            Delta::First => {
                let mut sum = first[0];
                self.read_body::<BITS>(&mut reading, rest, |difference| {
                    sum = truncated::<BITS>(sum.wrapping_add(centered::<BITS>(difference)));
                    sum
                });
            }
            Delta::Predicted(prediction) => {
                let mut past = Past::new(prediction, first);
                self.read_body::<BITS>(&mut reading, rest, |residual| past.next::<BITS>(residual));
            }
        }
        let whole = rest.len() == reading.body;
        self.scale::<BITS>(out);
        let ends = !whole || reading.ends();
        (ends && reading.bits.at <= bytes.len() * 8).then_some(())
    }

    /// Numbers stored before the body.
    pub(super) fn order(&self) -> usize {
        match self.delta {
            Delta::None => 0,
            Delta::First => 1,
            Delta::Predicted(_) => ORDER,
        }
    }

    /// Reads what stands before the body of a page of `count` numbers.
    #[inline(always)]
    pub(super) fn begin<'a, const BITS: u32>(
        &self,
        bytes: &'a [u8],
        count: usize,
    ) -> Option<Reading<'a>> {
        let mut reading = Reading::nothing();
        reading.bits.bytes = bytes;
        reading.body = count.saturating_sub(self.order());
        for value in &mut reading.first[..self.order()] {
            *value = reading.bits.take(BITS) as u32;
        }
        for state in &mut reading.states {
            *state = reading.bits.take(self.table_log) as usize;
        }
        reading.bits.align().then_some(reading)
    }

    /// Reads the front of a body, as many numbers as `out` takes, each made by
    /// `number` of what is stored of it.
    #[inline(always)]
    fn read_body<const BITS: u32>(
        &self,
        reading: &mut Reading<'_>,
        out: &mut [u32],
        mut number: impl FnMut(u32) -> u32,
    ) {
        let mut nodes = [self.table[0]; BATCH];
        for (index, out) in out.chunks_mut(BATCH).enumerate() {
            let nodes = &mut nodes[..(reading.body - index * BATCH).min(BATCH)];
            self.read_symbols(reading, nodes);
            let (bytes, mut at) = (reading.bits.bytes, reading.bits.at);
            for (value, node) in out.iter_mut().zip(&*nodes) {
                let offset = low_bits(window(bytes, at), node.offset_bits());
                at = at.wrapping_add(width(node.offset_bits()));
                *value = number(truncated::<BITS>(node.lower().wrapping_add(offset as u32)));
            }
            // Those not wanted are passed over.
            for node in &nodes[out.len()..] {
                at = at.wrapping_add(width(node.offset_bits()));
            }
            reading.bits.at = at;
        }
    }

    /// Reads the symbols of a batch: what the decoders' states say. A table of
    /// one state has none, and `nodes` stay as they are.
    #[inline(always)]
    pub(super) fn read_symbols(&self, reading: &mut Reading<'_>, nodes: &mut [Node]) {
        if self.table_log == 0 {
            return;
        }
        let (groups, rest) = nodes.as_chunks_mut::<TURNS>();
        let (bytes, mut at, mut states) = (reading.bits.bytes, reading.bits.at, reading.states);
        for group in groups {
            at = at.wrapping_add(turn(&self.table, window(bytes, at), &mut states, group));
        }
        (reading.bits.at, reading.states) = (at, states);
        self.read_last_symbols(reading, rest);
    }

    /// As [`Self::read_symbols`] of two pages, whose batches are as long as each
    /// other or not. The decoders of one page wait for each other; those of the
    /// other page have no part in that.
    #[inline(always)]
    pub(super) fn read_symbols_of_two(
        &self,
        [left, right]: [&mut Reading<'_>; 2],
        [nodes, others]: [&mut [Node]; 2],
    ) {
        if self.table_log == 0 {
            return;
        }
        let both = nodes.len().min(others.len()) / TURNS * TURNS;
        let ((front, rest), (other_front, other_rest)) =
            (nodes.split_at_mut(both), others.split_at_mut(both));
        let (bytes, mut at, mut states) = (left.bits.bytes, left.bits.at, left.states);
        let (other_bytes, mut other_at, mut other_states) =
            (right.bits.bytes, right.bits.at, right.states);
        let table = &*self.table;
        let (groups, _) = front.as_chunks_mut::<TURNS>();
        let (other_groups, _) = other_front.as_chunks_mut::<TURNS>();
        for (group, other) in groups.iter_mut().zip(other_groups) {
            let (word, other_word) = (window(bytes, at), window(other_bytes, other_at));
            at = at.wrapping_add(turn(table, word, &mut states, group));
            let bits = turn(table, other_word, &mut other_states, other);
            other_at = other_at.wrapping_add(bits);
        }
        (left.bits.at, left.states) = (at, states);
        (right.bits.at, right.states) = (other_at, other_states);
        self.read_symbols(left, rest);
        self.read_symbols(right, other_rest);
    }

    /// The symbols behind the last whole turn.
    #[inline(always)]
    fn read_last_symbols(&self, reading: &mut Reading<'_>, nodes: &mut [Node]) {
        for (node, state) in nodes.iter_mut().zip(&mut reading.states) {
            *node = self.table[*state % TABLE_MAX];
            *state = node.next() + reading.bits.take(width(node.bits()) as u32) as usize;
        }
    }
}

/// The width that the lowest byte of a word is.
#[inline(always)]
fn width(word: u64) -> usize {
    (word & 0xff) as usize
}

/// Four neighbouring values of a window, as wide as the lowest bytes of
/// `widths` say; all of them, in the lowest byte.
#[inline(always)]
fn four(window: u64, widths: [u64; TURNS]) -> ([u64; TURNS], u64) {
    let [one, two, three, four] = widths;
    let half = one.wrapping_add(two);
    let most = half.wrapping_add(three);
    let values = [
        low_bits(window, one),
        low_bits(above(window, one), two),
        low_bits(above(window, half), three),
        low_bits(above(window, most), four),
    ];
    (values, half.wrapping_add(three.wrapping_add(four)))
}

/// One symbol of each decoder, from a window of the stream; the bits they took.
#[inline(always)]
fn turn(
    table: &[Node; TABLE_MAX],
    window: u64,
    states: &mut [usize; TURNS],
    nodes: &mut [Node; TURNS],
) -> usize {
    *nodes = states.map(|state| table[state % TABLE_MAX]);
    // Four times ten bits, of the 57 that a window has.
    let (read, bits) = four(window, nodes.map(Node::bits));
    for ((state, node), read) in states.iter_mut().zip(nodes).zip(read) {
        *state = node.next().wrapping_add(read as usize);
    }
    width(bits)
}

/// The numbers of a turn, whose offsets begin at bit `at`: mostly all in one
/// window.
#[inline(always)]
pub(super) fn numbers<const BITS: u32>(
    bytes: &[u8],
    at: &mut usize,
    nodes: &[Node; TURNS],
) -> [u32; TURNS] {
    let widths = nodes.map(Node::offset_bits);
    let [one, two, three, last] = widths;
    let half = width(one.wrapping_add(two));
    let rest = width(three.wrapping_add(last));
    let all = half + rest;
    let offsets = if all <= WINDOW_BITS as usize {
        four(window(bytes, *at), widths).0
    } else if half.max(rest) <= WINDOW_BITS as usize {
        let (left, right) = (window(bytes, *at), window(bytes, at.wrapping_add(half)));
        [
            low_bits(left, one),
            low_bits(above(left, one), two),
            low_bits(right, three),
            low_bits(above(right, three), last),
        ]
    } else {
        wide_offsets(bytes, *at, widths)
    };
    *at = at.wrapping_add(all);
    let mut numbers = [0; TURNS];
    for ((number, node), offset) in numbers.iter_mut().zip(nodes).zip(offsets) {
        *number = truncated::<BITS>(node.lower().wrapping_add(offset as u32));
    }
    numbers
}

/// Apart, so that its masks take no registers from the other way.
#[inline(never)]
fn wide_offsets(bytes: &[u8], mut at: usize, widths: [u64; TURNS]) -> [u64; TURNS] {
    widths.map(|bits| {
        let offset = low_bits(window(bytes, at), bits);
        at = at.wrapping_add(width(bits));
        offset
    })
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
