//! Days of a block that are read before they are asked for: where a scan will
//! want the next days too, four dense ones are decoded together.

use std::ops::{Deref, Range};

use crate::codec::{Page, Part, Quartet};
use crate::error::Result;
use crate::limits::MINUTES_PER_DAY;
use crate::query::plan::Window;
use crate::storage::segment::Block;

/// Pages decoded together, of one of the blocks that are read.
#[derive(Default)]
pub struct Ahead {
    quartet: Option<Quartet>,
    /// Which block, and which of its pages.
    block: usize,
    first: usize,
    count: usize,
    /// How many were asked for so far.
    used: usize,
}

/// Which page of which block is wanted.
pub struct Wanted<'b, 'a> {
    pub number: usize,
    pub block: &'b Block<'a>,
    pub index: usize,
}

impl<'b, 'a> Wanted<'b, 'a> {
    /// Page `index` of block `number`.
    pub fn of<B: Deref<Target = Block<'a>>>(blocks: &'b [B], number: usize, index: usize) -> Self {
        let block = &blocks[number];
        Wanted {
            number,
            block,
            index,
        }
    }
}

impl Ahead {
    /// Forgets what was read: the blocks are others now.
    pub fn restart(&mut self) {
        (self.count, self.used) = (0, 0);
    }

    /// Where the page wanted is in the quartet, which is read anew where it is
    /// used up.
    fn lane(&mut self, wanted: &Wanted<'_, '_>, window: &Window) -> Option<usize> {
        // Buckets of a day or more are known without their cells.
        let fine = window.width.is_some_and(|width| width < MINUTES_PER_DAY);
        if !fine || wanted.block.cold_meta().is_empty() {
            return None;
        }
        let held = self.first..self.first + self.count;
        if self.block != wanted.number || !held.contains(&wanted.index) {
            if self.used < self.count && self.block != wanted.number {
                return None;
            }
            let quartet = self.quartet.get_or_insert_default();
            let last_day = window.to.saturating_sub(1) / MINUTES_PER_DAY;
            (self.block, self.first, self.used) = (wanted.number, wanted.index, 0);
            self.count = wanted.block.read_ahead(wanted.index, last_day, quartet);
        }
        let lane = wanted.index.checked_sub(self.first)?;
        self.used = self.used.max(lane + 1);
        (lane < self.count).then_some(lane)
    }

    /// [`Block::add_sums`].
    ///
    /// # Errors
    /// As there.
    pub fn add_sums(
        &mut self,
        wanted: &Wanted<'_, '_>,
        window: &Window,
        cuts: &[u16],
        parts: &mut [Part],
    ) -> Result<bool> {
        if let Some(lane) = self.lane(wanted, window)
            && let Some(quartet) = &self.quartet
        {
            return Ok(quartet.add_sums(lane, cuts, parts));
        }
        wanted.block.add_sums(wanted.index, cuts, parts)
    }

    /// [`Block::decode_range`] of a day's minutes.
    ///
    /// # Errors
    /// As there.
    pub fn decode(
        &mut self,
        wanted: &Wanted<'_, '_>,
        window: &Window,
        minutes: Range<u16>,
        out: &mut Page,
    ) -> Result<()> {
        if minutes == (0..MINUTES_PER_DAY as u16)
            && let Some(lane) = self.lane(wanted, window)
            && let Some(quartet) = &self.quartet
            && quartet.page(lane, out)
        {
            return Ok(());
        }
        wanted.block.decode_range(wanted.index, minutes, out)
    }
}
