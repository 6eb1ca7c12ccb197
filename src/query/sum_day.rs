//! Adding up a day from everything that has a part of it, mostly without its
//! cells.

use crate::codec::{PARTS_MAX, Part as Sums};
use crate::error::Result;
use crate::limits::MINUTES_PER_DAY;
use crate::query::accumulate::{Join, Run};
use crate::query::ahead::Wanted;
use crate::query::plan::Part;
use crate::query::scan::{Scratch, Task};
use crate::query::source::Held;

/// Adds up the day that begins at `start`, bucket by bucket, from everything
/// that has a part of it; says whether it did. Sums add wherever their cells
/// lie, so no cells are brought together, and most are never stored.
pub fn sum_day(
    blocks: &[Held<'_, '_>],
    cells: &[(u32, i128)],
    start: u32,
    task: &Task,
    scratch: &mut Scratch,
    run: &mut Run,
) -> Result<bool> {
    let window = &task.window;
    let minutes = window.clip(start..start + MINUTES_PER_DAY);
    let (mut cuts, mut parts) = ([0; PARTS_MAX + 1], [Sums::default(); PARTS_MAX]);
    let first = window.bucket(minutes.start);
    let mut count = 0;
    cuts[0] = (minutes.start - start) as u16;
    while cuts[count] < (minutes.end - start) as u16 {
        if count == PARTS_MAX {
            return Ok(false);
        }
        let end = window.bucket_end(first + count as u32).min(minutes.end);
        count += 1;
        cuts[count] = (end - start) as u16;
    }
    let (cuts, parts) = (&cuts[..=count], &mut parts[..count]);
    let add = |part: Option<&mut Sums>, cells: u32, sum: i128| -> Result<()> {
        if let Some(part) = part {
            part.sum = Join::Add.apply(part.sum, sum)?;
            part.cells += cells;
        }
        Ok(())
    };
    for (number, index) in &scratch.pages {
        let block = &blocks[*number];
        let entry = block.entry();
        let from = entry.first_minute.max(start);
        let to = entry.last_minute.min(start + MINUTES_PER_DAY - 1);
        match window.part(from, to) {
            Part::Outside => {}
            Part::Whole(bucket) => {
                // Only here is the summary looked at.
                if let Some(info) = block.page(*index) {
                    let part = parts.get_mut((bucket - first) as usize);
                    add(part, info.cells, info.sum)?;
                }
            }
            Part::Cut => {
                let wanted = Wanted::of(blocks, *number, *index);
                if !scratch.ahead.add_sums(&wanted, window, cuts, parts)? {
                    return Ok(false);
                }
            }
        }
    }
    for (minute, value) in cells {
        let part = parts.get_mut((window.bucket(*minute) - first) as usize);
        add(part, 1, *value)?;
    }
    for (bucket, part) in (first..).zip(&*parts).filter(|(_, part)| part.cells > 0) {
        run.push(bucket, part.sum, Join::Add)?;
    }
    Ok(true)
}
