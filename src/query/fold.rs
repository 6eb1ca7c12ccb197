//! From the cells of a day to buckets.

use std::ops::Range;

use crate::codec::{Column, Page, widen, with_bit_instructions};
use crate::error::Result;
use crate::limits::MINUTES_PER_DAY;
use crate::query::accumulate::{Join, Run};
use crate::query::request::Aggregate;
use crate::query::scan::Task;

/// Adds the cells of a day to their buckets. Where all of the day is in one,
/// there may be something in it already.
///
/// # Errors
/// A sum beyond 128 bits.
pub fn fold(page: &Page, start: u32, only: Option<u32>, task: &Task, run: &mut Run) -> Result<()> {
    let window = &task.window;
    let minutes = window.clip(start..start + MINUTES_PER_DAY);
    if window.width == Some(1) && only.is_none() && task.aggregate != Aggregate::Cells {
        extend(page, start, minutes, window.origin, run);
        return Ok(());
    }
    let (mut minute, mut from) = (
        minutes.start,
        page.presence.rank((minutes.start - start) as u16),
    );
    while minute < minutes.end {
        let bucket = window.bucket(minute);
        minute = window.bucket_end(bucket).min(minutes.end);
        let to = page.presence.rank((minute - start) as u16);
        if from < to {
            let value = aggregate(&page.column, from..to, task.aggregate)?;
            run.push(bucket, value, task.join())?;
        }
        from = to;
    }
    Ok(())
}

/// Adds cells as buckets of their own.
fn extend(page: &Page, start: u32, minutes: Range<u32>, origin: u32, run: &mut Run) {
    with_bit_instructions(
        #[inline(always)]
        || extend_here(page, start, minutes, origin, run),
    );
}

/// Minutes of a run that are written together.
const MINUTES_AT_ONCE: usize = 8;

/// Fills the front of `out` with as many minutes, and up to seven more, which
/// the next run writes over.
#[inline(always)]
fn count_up(first: u32, count: usize, out: &mut [u32]) {
    let (groups, _) = out.as_chunks_mut::<MINUTES_AT_ONCE>();
    let mut next = first;
    for group in groups.iter_mut().take(count.div_ceil(MINUTES_AT_ONCE)) {
        *group = [0, 1, 2, 3, 4, 5, 6, 7].map(|step| next.wrapping_add(step));
        next = next.wrapping_add(MINUTES_AT_ONCE as u32);
    }
}

#[inline(always)]
fn extend_here(page: &Page, start: u32, minutes: Range<u32>, origin: u32, run: &mut Run) {
    let within = (minutes.start - start) as u16..(minutes.end - start) as u16;
    let from = page.presence.rank(within.start);
    let to = page.presence.rank(within.end);
    if to - from == within.len() {
        run.buckets
            .extend(minutes.start - origin..minutes.end - origin);
    } else {
        let mut at = run.buckets.len();
        let end = at + to - from;
        run.buckets.resize(end + MINUTES_AT_ONCE, 0);
        // The day may begin before the origin; its minutes asked for do not.
        let shift = start.wrapping_sub(origin);
        for (word, base) in page.presence.words().iter().zip((0_u32..).step_by(64)) {
            let skipped = u32::from(within.start).saturating_sub(base).min(64);
            let kept = u32::from(within.end).saturating_sub(base).min(64);
            let mut rest = word & u64::MAX.checked_shl(skipped).unwrap_or(0);
            rest &= u64::MAX.checked_shr(64 - kept).unwrap_or(0);
            // Run after run: few minutes are missing.
            while rest != 0 {
                let first = rest.trailing_zeros();
                let length = (rest >> first).trailing_ones();
                let first_minute = shift.wrapping_add(base + first);
                count_up(first_minute, length as usize, &mut run.buckets[at..]);
                at += length as usize;
                rest &= u64::MAX.checked_shl(first + length).unwrap_or(0);
            }
        }
        run.buckets.truncate(end);
    }
    match &page.column {
        Column::Ints(values) => {
            run.values.reserve(to - from);
            // What is written first as zeros is then still in the first cache.
            for values in values[from..to].chunks(64) {
                let at = run.values.len();
                run.values.resize(at + values.len(), 0);
                widen(values, &mut run.values[at..]);
            }
        }
        Column::Wides(values) => run.values.extend_from_slice(&values[from..to]),
        Column::Floats(values) => {
            run.values.extend(
                values[from..to]
                    .iter()
                    .map(|value| i128::from(value.to_bits())),
            );
        }
    }
}

/// One number for some neighbouring cells, at least one.
fn aggregate(column: &Column, cells: Range<usize>, aggregate: Aggregate) -> Result<i128> {
    if aggregate == Aggregate::Cells {
        return Ok(cells.len() as i128);
    }
    let join = match aggregate {
        Aggregate::Min => Join::Min,
        Aggregate::Max => Join::Max,
        _ => Join::Add,
    };
    match column {
        Column::Ints(values) => {
            let values = &values[cells];
            let extreme = match aggregate {
                Aggregate::Min => values.iter().min(),
                Aggregate::Max => values.iter().max(),
                // A day of 64-bit integers stays far below 128 bits.
                _ => return Ok(values.iter().map(|value| i128::from(*value)).sum()),
            };
            Ok(extreme.copied().unwrap_or(0).into())
        }
        Column::Wides(values) => {
            let (first, rest) = values[cells]
                .split_first()
                .map_or((0, &[][..]), |(a, b)| (*a, b));
            rest.iter()
                .try_fold(first, |all, value| join.apply(all, *value))
        }
        Column::Floats(values) => {
            let mut values = values[cells].iter().copied();
            let value = match aggregate {
                Aggregate::Min => values.min_by(f64::total_cmp),
                Aggregate::Max => values.max_by(f64::total_cmp),
                _ => values.next_back(),
            };
            Ok(value.map_or(0, f64::to_bits).into())
        }
    }
}
