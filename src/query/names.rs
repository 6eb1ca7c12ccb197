//! Names of several dictionaries brought into one order, so that everything
//! after it compares numbers.

use crate::format::dictionary::Sort;
use crate::model::Pattern;
use crate::query::request::chosen;
use crate::storage::segment::SeriesIndex;

/// No name of the table.
pub const NONE: u32 = u32::MAX;

/// The indices of the names of a segment that are chosen, ascending.
pub fn select(index: &SeriesIndex, sort: Sort, patterns: &[Pattern]) -> Vec<u32> {
    let count = index.names(sort).len() as u32;
    let mut chosen_indices = match patterns {
        [] => return (0..count).collect(),
        patterns if patterns.iter().all(|pattern| pattern.exact().is_some()) => {
            let exact = patterns.iter().filter_map(Pattern::exact);
            exact
                .filter_map(|name| index.find_name(sort, name))
                .collect::<Vec<_>>()
        }
        [pattern] => {
            // Names that begin alike are neighbours.
            let prefix = pattern.literal_prefix();
            let first = first_not_before(count, |at| index.name(sort, at) < prefix);
            let names = (first..count).map(|at| (at, index.name(sort, at)));
            let alike = names.take_while(|(_, name)| name.starts_with(prefix));
            return alike
                .filter(|(_, name)| pattern.matches(name))
                .map(|(at, _)| at)
                .collect();
        }
        patterns => {
            let names = (0..count).zip(index.names(sort));
            return names
                .filter(|(_, name)| chosen(patterns, name))
                .map(|(at, _)| at)
                .collect();
        }
    };
    chosen_indices.sort_unstable();
    chosen_indices.dedup();
    chosen_indices
}

/// The first of `count` numbers for which `before` does not hold.
fn first_not_before(count: u32, before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Adds names, sorted as those there are.
pub fn unite<'a>(names: &mut Vec<&'a str>, more: impl ExactSizeIterator<Item = &'a str> + Clone) {
    // Most dictionaries of a store are the same.
    if more.len() == names.len() && more.clone().eq(names.iter().copied()) {
        return;
    }
    let old = std::mem::take(names);
    names.reserve(old.len().max(more.len()));
    let (mut left, mut right) = (old.into_iter().peekable(), more.peekable());
    while let (Some(own), Some(other)) = (left.peek(), right.peek()) {
        let order = own.cmp(other);
        names.push(if order.is_le() { own } else { other });
        if order.is_le() {
            left.next();
        }
        if order.is_ge() {
            right.next();
        }
    }
    names.extend(left);
    names.extend(right);
}

/// Where names, sorted and all among `names`, stand in it.
pub fn places<'a>(
    names: &[&str],
    some: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = u32> {
    let mut at = 0;
    some.map(move |name| {
        while names.get(at).is_some_and(|other| *other < name) {
            at += 1;
        }
        let place = at as u32;
        at += 1;
        place
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn united_names_are_sorted_and_found(
            lists in prop::collection::vec(prop::collection::btree_set("[a-d]{1,3}", 0..12), 0..6),
        ) {
            let mut names = Vec::new();
            let mut all = std::collections::BTreeSet::new();
            for list in &lists {
                let list: Vec<&str> = list.iter().map(String::as_str).collect();
                unite(&mut names, list.iter().copied());
                all.extend(list);
            }
            prop_assert!(names.iter().eq(&all));
            for list in &lists {
                let places: Vec<u32> = places(&names, list.iter().map(String::as_str)).collect();
                for (name, place) in list.iter().zip(places) {
                    prop_assert_eq!(names[place as usize], name);
                }
            }
        }
    }
}
