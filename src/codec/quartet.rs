//! Up to four cold pages of a block, read at once: faster than one by one by
//! half and more. What is wrong with a page is found by reading it alone.

use super::chunk_together::{LANES, Rows};
use super::cold::{self, ColdMeta};
use super::cursor::Cursor;
use super::page::{CELLS_MAX, Column, Page};
use super::partial::{PARTS_MAX, Part};
use super::presence::Presence;
use super::presence_code;

/// Pages that are read together.
pub const QUARTET: usize = LANES;

/// Cold pages as they were read together, in buffers that are used again.
#[derive(Clone, Debug)]
pub struct Quartet {
    base: i64,
    presences: [Presence; LANES],
    rows: Box<Rows>,
}

/// Whether a page is one of those that are read together.
#[must_use]
pub fn is_cold(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|tags| tags >> 4 == cold::COLD)
}

impl Default for Quartet {
    /// One without pages.
    fn default() -> Self {
        Quartet {
            base: 0,
            presences: [const { Presence::new() }; LANES],
            rows: Box::new([[0; LANES]; CELLS_MAX]),
        }
    }
}

impl Quartet {
    /// Reads pages of integers, at most [`QUARTET`]. Says whether it did: not
    /// where one of them is damaged or of another form; it is empty then.
    pub fn read(&mut self, pages: &[&[u8]], cold: &ColdMeta) -> bool {
        let read = self.read_pages(pages, cold).is_some();
        if !read {
            self.presences.iter_mut().for_each(Presence::clear);
        }
        read
    }

    fn read_pages(&mut self, pages: &[&[u8]], cold: &ColdMeta) -> Option<()> {
        let (base, chunk) = cold.own_integers()?;
        // So that no value leaves 64 bits.
        base.checked_add(u32::MAX.into())?;
        if pages.len() > LANES {
            return None;
        }
        let mut bodies: [(&[u8], usize); LANES] = [(&[], 0); LANES];
        for ((bytes, body), presence) in pages.iter().zip(&mut bodies).zip(&mut self.presences) {
            let mut cursor = Cursor::new(bytes);
            let tags = cursor.u8();
            *presence = presence_code::read(tags & 0xf, &mut cursor);
            if tags >> 4 != cold::COLD || !cursor.is_sound() {
                return None;
            }
            *body = (cursor.take(cursor.remaining()), presence.count());
        }
        self.presences[pages.len()..].fill(Presence::new());
        self.base = base;
        chunk.read_together(bodies, &mut self.rows)
    }

    /// Cells of page `index`.
    #[must_use]
    pub fn cells(&self, index: usize) -> u32 {
        self.presences.get(index).map_or(0, Presence::count) as u32
    }

    /// Adds the cells of page `index` to `parts`, as
    /// [`add_sums`](super::add_sums) does.
    pub fn add_sums(&self, index: usize, cuts: &[u16], parts: &mut [Part]) -> bool {
        let Some(presence) = self.presences.get(index) else {
            return false;
        };
        if parts.len() > PARTS_MAX || cuts.len() != parts.len() + 1 {
            return false;
        }
        let mut ranks = [0; PARTS_MAX + 1];
        presence.ranks(cuts, &mut ranks);
        for (part, rank) in parts.iter_mut().zip(ranks.windows(2)) {
            let rows = self.rows.get(rank[0]..rank[1]).unwrap_or_default();
            let lane = rows.iter().map(|row| u64::from(row[index % LANES]));
            // A day of 32 bits each stays far below 64.
            let above = lane.fold(0, u64::wrapping_add);
            let sum = i128::from(self.base) * rows.len() as i128 + i128::from(above);
            // Only what else is in it can leave 128 bits: that is for who knows.
            let Some(total) = part.sum.checked_add(sum) else {
                return false;
            };
            part.cells += rows.len() as u32;
            part.sum = total;
        }
        true
    }

    /// Page `index`, whole, into `out`, in the buffers it has.
    pub fn page(&self, index: usize, out: &mut Page) -> bool {
        let Some(presence) = self.presences.get(index) else {
            return false;
        };
        out.presence = presence.clone();
        let mut values = out.column.take_ints();
        values.clear();
        let rows = self.rows[..presence.count()].iter();
        // No more than was looked at when they were read.
        values.extend(rows.map(|row| self.base.wrapping_add(row[index % LANES].into())));
        out.column = Column::Ints(values);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::{Family, decode};
    use super::super::{add_sums, cold::encode_together};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pages_are_what_they_are_alone(
            missing in proptest::collection::btree_set(0..1_440_u16, 0..60),
            lengths in proptest::collection::vec(70..1_440_u16, 1..=QUARTET),
            seed: u64,
            form in 0..3_u8,
            cuts in proptest::collection::btree_set(0..=1_440_u16, 2..25),
            damage in (0..2_000_usize, 1..=255_u8),
        ) {
            let mut state = seed | 1;
            let mut level = -5_i64;
            let mut value = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                level += (state >> 60) as i64 - 7;
                [level, (state % 300) as i64, (state >> 40) as i64][usize::from(form)]
            };
            let pages: Vec<Page> = lengths.iter().map(|length| {
                let presence: Presence = (0..*length).filter(|m| !missing.contains(m)).collect();
                let column = Column::Ints((0..presence.count()).map(|_| value()).collect());
                Page { presence, column }
            }).collect();
            let refs: Vec<&Page> = pages.iter().collect();
            let block = encode_together(&refs).unwrap();
            let cold = ColdMeta::parse(&block.meta, Family::Integer).unwrap();
            let cuts: Vec<u16> = cuts.into_iter().collect();
            let mut payloads: Vec<&[u8]> = block.pages.iter().map(Vec::as_slice).collect();
            let mut quartet = Quartet::default();
            let read = quartet.read(&payloads, &cold);
            prop_assert_eq!(read, cold.own_integers().is_some());
            for (index, page) in pages.iter().enumerate().filter(|_| read) {
                let mut own = Page::new(Family::Integer);
                prop_assert!(quartet.page(index, &mut own));
                prop_assert_eq!(&own, page);
                prop_assert_eq!(quartet.cells(index) as usize, page.column.len());
                let mut parts = vec![Part { cells: 1, sum: -2 }; cuts.len() - 1];
                let mut expected = parts.clone();
                add_sums(payloads[index], Some(&cold), &cuts, &mut expected).unwrap();
                prop_assert!(quartet.add_sums(index, &cuts, &mut parts));
                prop_assert_eq!(parts, expected);
            }
            let mut flipped = block.pages[0].clone();
            if let Some(byte) = flipped.get_mut(damage.0) {
                *byte ^= damage.1;
            }
            payloads[0] = &flipped;
            let mut alone = Page::new(Family::Integer);
            let sound = decode(&flipped, Family::Integer, Some(&cold), &mut alone).is_ok();
            let together = quartet.read(&payloads, &cold);
            prop_assert!(sound || !together);
            if together {
                prop_assert!(quartet.page(0, &mut alone.clone()) && quartet.cells(0) as usize == alone.column.len());
            }
        }
    }
}
