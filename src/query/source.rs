//! Where a series lies in segments, and its blocks, read when they are needed
//! first and kept by who asks again.

use std::ops::Deref;
use std::sync::OnceLock;

use crate::engine::state::Snapshot;
use crate::error::Result;
use crate::format::directory::Entry;
use crate::query::accumulate::{Join, Run, earlier};
use crate::query::gather::Found;
use crate::query::plan::Part;
use crate::query::scan::Task;
use crate::storage::segment::{Block, Segment};

/// Where a series lies in segments, ascending by bucket and age.
#[derive(Clone, Copy)]
pub struct Stored<'s, 'a> {
    pub found: &'s [Found],
    /// Its blocks, where they are kept from one reading to the next: as many,
    /// or none.
    pub kept: &'s [OnceLock<Box<Block<'a>>>],
}

/// A series' run in one segment.
pub struct Source<'s, 'a> {
    pub segment: &'a Segment,
    pub index: usize,
    pub entry: Entry,
    pub kept: Option<&'s OnceLock<Box<Block<'a>>>>,
}

/// A block, read now or before.
#[expect(
    clippy::large_enum_variant,
    reason = "a few live at a time; a box would be an allocation for each of them"
)]
pub enum Held<'s, 'a> {
    Now(Block<'a>),
    Before(&'s Block<'a>),
}

impl<'a> Deref for Held<'_, 'a> {
    type Target = Block<'a>;
    fn deref(&self) -> &Block<'a> {
        match self {
            Held::Now(block) => block,
            Held::Before(block) => block,
        }
    }
}

/// The block of a series in a segment, which is kept once it is read.
///
/// # Errors
/// Damage to its header.
pub fn kept_block<'s, 'a>(
    segment: &'a Segment,
    index: usize,
    kept: &'s OnceLock<Box<Block<'a>>>,
) -> Result<&'s Block<'a>> {
    if let Some(block) = kept.get() {
        return Ok(block);
    }
    let block = Box::new(segment.block(index)?);
    Ok(kept.get_or_init(|| block))
}

impl<'s, 'a> Source<'s, 'a> {
    /// Its block.
    ///
    /// # Errors
    /// Damage to its header.
    pub fn block(&self) -> Result<Held<'s, 'a>> {
        Ok(match self.kept {
            Some(kept) => Held::Before(kept_block(self.segment, self.index, kept)?),
            None => Held::Now(self.segment.block(self.index)?),
        })
    }
}

/// Adds up a series of which the directory says all that is asked: one bucket,
/// and no end of the window inside any of its parts. Says whether it did.
///
/// # Errors
/// A sum beyond 128 bits; a directory that can not be read.
pub fn add_entries(
    snapshot: &Snapshot,
    found: &[Found],
    task: &Task,
    run: &mut Run,
) -> Result<bool> {
    if task.window.width.is_some() || !task.additive() {
        return Ok(false);
    }
    let (mut total, mut first) = (None, None);
    for found in found {
        let Some(segment) = snapshot.state.segments.get(found.source as usize) else {
            return Ok(false);
        };
        let Some(entry) = segment.series()?.entry(found.index as usize) else {
            return Ok(false);
        };
        match task.window.part(entry.first_minute, entry.last_minute) {
            Part::Outside => {}
            Part::Whole(_) if entry.kind == task.kind => {
                total = Some(match total {
                    Some(sum) => Join::Add.apply(sum, entry.sum)?,
                    None => entry.sum,
                });
                first = earlier(first, Some(entry.first_minute));
            }
            _ => return Ok(false),
        }
    }
    if let Some(total) = total {
        if task.wants_first {
            run.first_minute = first.map(|minute| minute - task.window.origin);
        }
        run.make_room(1)?;
        run.push(0, total, Join::Add)?;
    }
    Ok(true)
}
