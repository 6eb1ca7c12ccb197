//! Reading four pages of a chunk at once. One page is a chain in which each
//! number waits for the one before, and leaves most of a processor idle; four
//! pages have nothing to do with each other.

use super::chunk::{BATCH, Chunk, Delta, Node, TURNS, centered, truncated};
use super::chunk_read::{Reading, numbers};
use super::page::CELLS_MAX;
use super::simd;

/// Pages read together.
pub const LANES: usize = 4;

/// The numbers of as many pages: row `i` is number `i` of each.
pub type Rows = [[u32; LANES]; CELLS_MAX];

impl Chunk {
    /// Reads pages of so many numbers, each into its lane of `rows`; what is
    /// behind a page's last number, and in lanes without a page, is anything.
    /// `None` where one is damaged, or longer than a page can be.
    pub fn read_together(&self, pages: [(&[u8], usize); LANES], rows: &mut Rows) -> Option<()> {
        if pages.iter().any(|(_, count)| *count > CELLS_MAX) {
            return None;
        }
        simd::with_bit_instructions(
            #[inline(always)]
            || match self.number_bits {
                16 => self.read_lanes::<16>(pages, rows),
                _ => self.read_lanes::<32>(pages, rows),
            },
        )
    }

    #[inline(always)]
    fn read_lanes<const BITS: u32>(
        &self,
        pages: [(&[u8], usize); LANES],
        rows: &mut Rows,
    ) -> Option<()> {
        let most = pages.iter().map(|page| page.1).max().unwrap_or(0);
        let order = self.order();
        let [mut a, mut b, mut c, mut d] = [(); LANES].map(|()| Reading::nothing());
        for (lane, reading) in [&mut a, &mut b, &mut c, &mut d].into_iter().enumerate() {
            let (bytes, count) = pages[lane];
            if count > 0 {
                *reading = self.begin::<BITS>(bytes, count)?;
            }
            for (row, first) in rows.iter_mut().zip(&reading.first[..order]) {
                row[lane] = *first;
            }
        }
        self.read_two::<BITS>([&mut a, &mut b], 0, &mut rows[order..]);
        self.read_two::<BITS>([&mut c, &mut d], 2, &mut rows[order..]);
        if ![a, b, c, d].iter_mut().all(Reading::ends) {
            return None;
        }
        let rows = &mut rows[..most.max(order)];
        match &self.delta {
            Delta::None => {}
            Delta::First => {
                let mut sums = rows.first().copied().unwrap_or_default();
                for row in rows.iter_mut().skip(1) {
                    for (sum, stored) in sums.iter_mut().zip(*row) {
                        let step = centered::<BITS>(stored);
                        *sum = truncated::<BITS>(sum.wrapping_add(step));
                    }
                    *row = sums;
                }
            }
            Delta::Predicted(prediction) => prediction.undo::<BITS>(rows),
        }
        self.scale::<BITS>(rows.as_flattened_mut());
        Some(())
    }

    /// Reads the bodies of two pages, into the lanes from `lane` on.
    #[inline(always)]
    fn read_two<const BITS: u32>(
        &self,
        [left, right]: [&mut Reading<'_>; 2],
        lane: usize,
        rows: &mut [[u32; LANES]],
    ) {
        let mut nodes = [self.table[0]; BATCH];
        let mut others = nodes;
        for (index, rows) in rows.chunks_mut(BATCH).enumerate() {
            let length = |body: usize| body.saturating_sub(index * BATCH).min(rows.len());
            let (count, other_count) = (length(left.body), length(right.body));
            if count.max(other_count) == 0 {
                break;
            }
            let (nodes, others) = (&mut nodes[..count], &mut others[..other_count]);
            self.read_symbols_of_two([left, right], [nodes, others]);
            read_offsets::<BITS>(left, nodes, lane, rows);
            read_offsets::<BITS>(right, others, lane + 1, rows);
        }
    }
}

/// Reads what the numbers of a batch are above their bins, into a lane.
#[inline(always)]
fn read_offsets<const BITS: u32>(
    reading: &mut Reading<'_>,
    nodes: &[Node],
    lane: usize,
    rows: &mut [[u32; LANES]],
) {
    let (bytes, mut at) = (reading.bits.bytes, reading.bits.at);
    let (groups, rest) = nodes.as_chunks::<TURNS>();
    let (row_groups, row_rest) = rows[..nodes.len()].as_chunks_mut::<TURNS>();
    for (group, rows) in groups.iter().zip(row_groups) {
        let numbers = numbers::<BITS>(bytes, &mut at, group);
        for (row, number) in rows.iter_mut().zip(numbers) {
            row[lane % LANES] = number;
        }
    }
    // The last few, with some that take no bits.
    let mut group = [Node::default(); TURNS];
    group[..rest.len()].copy_from_slice(rest);
    let numbers = numbers::<BITS>(bytes, &mut at, &group);
    for (row, number) in row_rest.iter_mut().zip(numbers) {
        row[lane % LANES] = number;
    }
    reading.bits.at = at;
}
