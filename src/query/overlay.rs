//! Laying one part of a day over another: what lies apart is copied in runs,
//! and only minutes that both have are looked at one by one.

use crate::codec::{Column, Page};
use crate::engine::merge::DayMerge;
use crate::error::Result;
use crate::model::Kind;

/// Lays `top` over `page`: counters and sums add, of a gauge `top` wins.
/// `spare` is a page whose buffers are used.
///
/// # Errors
/// A cell beyond 128 bits.
pub fn overlay(page: &mut Page, top: &Page, kind: Kind, spare: &mut Page) -> Result<()> {
    let done = match (&page.column, &top.column) {
        (Column::Ints(under), Column::Ints(over)) => {
            let mut values = emptied_ints(spare);
            let below = (page.presence.words(), &under[..]);
            let above = (top.presence.words(), &over[..]);
            let done = lay(below, above, i64::checked_add, &mut values);
            spare.column = Column::Ints(values);
            done
        }
        (Column::Floats(under), Column::Floats(over)) => {
            let mut values = emptied_floats(spare);
            let below = (page.presence.words(), &under[..]);
            let above = (top.presence.words(), &over[..]);
            let done = lay(below, above, |_, new| Some(new), &mut values);
            spare.column = Column::Floats(values);
            done
        }
        _ => None,
    };
    if done.is_some() {
        std::mem::swap(&mut page.column, &mut spare.column);
        page.presence.union(&top.presence);
        return Ok(());
    }
    // Cells beyond 64 bits: rare, and so without haste.
    let mut merge = DayMerge::default();
    merge.add_page(page, kind)?;
    merge.add_page(top, kind)?;
    *page = merge.take(kind);
    Ok(())
}

/// The cells of a memtable within the day that begins at `start`, as a page.
pub fn page_of_cells(cells: &[(u32, i128)], start: u32, kind: Kind, page: &mut Page) {
    page.presence.clear();
    let minutes = cells.iter().map(|cell| (cell.0 - start) as u16);
    minutes.for_each(|minute| page.presence.set(minute));
    if kind == Kind::Gauge {
        let mut values = emptied_floats(page);
        values.extend(cells.iter().map(|cell| f64::from_bits(cell.1 as u64)));
        page.column = Column::Floats(values);
        return;
    }
    let mut values = emptied_ints(page);
    values.extend(cells.iter().map_while(|cell| i64::try_from(cell.1).ok()));
    page.column = if values.len() == cells.len() {
        Column::Ints(values)
    } else {
        Column::Wides(cells.iter().map(|cell| cell.1).collect())
    };
}

fn emptied_ints(page: &mut Page) -> Vec<i64> {
    let column = std::mem::replace(&mut page.column, Column::Ints(Vec::new()));
    let Column::Ints(mut values) = column else {
        return Vec::new();
    };
    values.clear();
    values
}

fn emptied_floats(page: &mut Page) -> Vec<f64> {
    let column = std::mem::replace(&mut page.column, Column::Floats(Vec::new()));
    let Column::Floats(mut values) = column else {
        return Vec::new();
    };
    values.clear();
    values
}

/// Appends the values of both, each given by a bitmap of its minutes and its
/// values; `None` where two can not be joined.
fn lay<T: Copy>(
    below: (&[u64], &[T]),
    above: (&[u64], &[T]),
    join: impl Fn(T, T) -> Option<T>,
    out: &mut Vec<T>,
) -> Option<()> {
    let ((below_words, below), (above_words, above)) = (below, above);
    out.reserve(below.len() + above.len());
    // Values of `below` that wait to be copied, those passed, and those of
    // `above` passed.
    let (mut copied, mut passed, mut next) = (0, 0, 0);
    for (low, high) in below_words.iter().zip(above_words) {
        let mut rest = *high;
        if *low == 0 && rest != 0 {
            out.extend_from_slice(below.get(copied..passed)?);
            copied = passed;
            let count = rest.count_ones() as usize;
            out.extend_from_slice(above.get(next..next + count)?);
            next += count;
            continue;
        }
        while rest != 0 {
            let bit = rest & rest.wrapping_neg();
            rest &= rest - 1;
            let before = passed + (low & (bit - 1)).count_ones() as usize;
            out.extend_from_slice(below.get(copied..before)?);
            copied = before;
            let value = *above.get(next)?;
            next += 1;
            if low & bit != 0 {
                out.push(join(*below.get(before)?, value)?);
                copied += 1;
            } else {
                out.push(value);
            }
        }
        passed += low.count_ones() as usize;
    }
    out.extend_from_slice(below.get(copied..)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Family;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Cells = BTreeMap<u32, i128>;

    fn page(cells: &Cells, kind: Kind) -> Page {
        let cells: Vec<(u32, i128)> = cells.iter().map(|(at, value)| (*at, *value)).collect();
        let mut page = Page::new(Family::Float);
        page_of_cells(&cells, 0, kind, &mut page);
        page
    }

    fn cells() -> impl Strategy<Value = Cells> {
        let runs = (0_u32..1_440, 1_u32..400, any::<u32>());
        let value =
            prop_oneof![8 => -50_i128..50, 1 => Just(i128::from(i64::MAX)), 1 => Just(1 << 70)];
        (
            prop::collection::vec(runs, 0..3),
            prop::collection::btree_map(0_u32..1_440, value, 0..30),
        )
            .prop_map(|(runs, mut cells)| {
                for (start, length, value) in runs {
                    for minute in start..(start + length).min(1_440) {
                        cells.insert(minute, value.into());
                    }
                }
                cells
            })
    }

    proptest! {
        #[test]
        fn any_parts_add_up(parts in prop::collection::vec(cells(), 1..5), gauge: bool) {
            let kind = if gauge { Kind::Gauge } else { Kind::Counter };
            let mut model = Cells::new();
            let (mut all, mut spare) = (page(&Cells::new(), kind), Page::new(Family::Integer));
            for mut part in parts {
                if gauge {
                    part.values_mut().for_each(|value| *value = (*value as u64 >> 2).into());
                }
                overlay(&mut all, &page(&part, kind), kind, &mut spare).unwrap();
                for (minute, value) in part {
                    let old = model.get(&minute).copied().filter(|_| !gauge).unwrap_or(0);
                    model.insert(minute, old + value);
                }
            }
            let values: Vec<i128> = match &all.column {
                Column::Ints(values) => values.iter().map(|value| i128::from(*value)).collect(),
                Column::Wides(values) => values.clone(),
                Column::Floats(values) => values.iter().map(|value| i128::from(value.to_bits())).collect(),
            };
            let minutes = all.presence.iter().map(u32::from);
            prop_assert_eq!(minutes.zip(values).collect::<Cells>(), model);
        }
    }
}
