//! Some series of the table in the order of their names, and these as one
//! dictionary: what a segment or an answer begins with. Memory: the names, and four
//! bytes for each number between the first and the last one of each sort.

use crate::engine::series::{Infos, Numbers};
use crate::format::dictionary::{Dictionary, Sort, plain};

const SORTS: [Sort; 3] = [Sort::Release, Sort::Branch, Sort::Metric];
/// The place of a name that does not occur.
const NONE: u32 = u32::MAX;

/// Where the names of some series stand in their dictionary.
#[derive(Debug, Default)]
pub struct Places([Range; 3]);

/// The places of names by number, from the first number on.
#[derive(Debug, Default)]
struct Range {
    first: u32,
    places: Vec<u32>,
}

/// Names of one sort, by their numbers.
#[derive(Clone)]
struct NamesOf<'n, 'i> {
    infos: &'i Infos<'i>,
    sort: Sort,
    numbers: std::slice::Iter<'n, u32>,
}

impl<'i> Iterator for NamesOf<'_, 'i> {
    type Item = &'i str;

    fn next(&mut self) -> Option<&'i str> {
        let number = self.numbers.next()?;
        Some(self.infos.name(self.sort, *number))
    }
}

impl Places {
    /// The dictionary of the names of series, and the places of these; `None` for
    /// more names than a dictionary holds.
    pub fn of<'i>(infos: &'i Infos<'i>, ids: &[u32]) -> Option<(Dictionary, Self)> {
        Self::with(infos, ids, |sorts| Dictionary::of(sorts))
    }

    /// As [`Places::of`], with the dictionary in bytes.
    pub fn with_plain<'i>(infos: &'i Infos<'i>, ids: &[u32]) -> Option<(Vec<u8>, Self)> {
        Self::with(infos, ids, |sorts| plain(&sorts))
    }

    fn with<'i, D>(
        infos: &'i Infos<'i>,
        ids: &[u32],
        make: impl FnOnce([NamesOf<'_, 'i>; 3]) -> Option<D>,
    ) -> Option<(D, Self)> {
        let mut places = Places::default();
        let sorted = SORTS.map(|sort| places.0[sort as usize].take(infos, ids, sort));
        let names = |sort: Sort| NamesOf {
            infos,
            sort,
            numbers: sorted[sort as usize].iter(),
        };
        let made = make(SORTS.map(names))?;
        Some((made, places))
    }

    /// The key of one of those series by the places of its names.
    pub fn key(&self, numbers: Numbers) -> (u32, u32, u32) {
        let place = |sort: usize| {
            let range = &self.0[sort];
            let at = numbers[sort].wrapping_sub(range.first) as usize;
            range.places.get(at).copied().unwrap_or(NONE)
        };
        (place(0), place(1), place(2))
    }
}

impl Range {
    /// Gives places to the names of a sort; says which they are, in order.
    fn take(&mut self, infos: &Infos<'_>, ids: &[u32], sort: Sort) -> Vec<u32> {
        let numbers = || ids.iter().map(|id| infos.numbers(*id)[sort as usize]);
        let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else {
            return Vec::new();
        };
        self.first = first;
        self.places = vec![NONE; (last - first) as usize + 1];
        let mut sorted = Vec::new();
        for number in numbers() {
            let place = &mut self.places[(number - first) as usize];
            if *place == NONE {
                *place = 0;
                sorted.push(number);
            }
        }
        // Releases come in order.
        sorted.sort_by(|one, other| infos.name(sort, *one).cmp(infos.name(sort, *other)));
        for (place, number) in (0..).zip(&sorted) {
            self.places[(number - first) as usize] = place;
        }
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::series::SeriesTable;
    use crate::model::Kind;
    use crate::storage::wal::SeriesNames;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_say_the_names(
            keys in prop::collection::btree_set(("[a-d]{1,2}", "[xy]", "[m-o]{1,2}"), 0..40),
            chosen in prop::collection::vec(any::<bool>(), 40),
        ) {
            let table = SeriesTable::default();
            // Not in the order of the names.
            for (release, branch, metric) in keys.iter().rev() {
                table.intern([release, branch, metric], Kind::Counter).unwrap();
            }
            let infos = table.infos();
            let ids: Vec<u32> = infos.in_order(None).filter(|id| chosen[*id as usize]).collect();
            let (dictionary, places) = Places::of(&infos, &ids).unwrap();
            let mut before = None;
            for id in ids {
                let key = places.key(infos.numbers(id));
                prop_assert!(before < Some(key));
                before = Some(key);
                let (names, _) = infos.series(id);
                prop_assert_eq!(dictionary.name(Sort::Release, key.0), names[0]);
                prop_assert_eq!(dictionary.name(Sort::Branch, key.1), names[1]);
                prop_assert_eq!(dictionary.name(Sort::Metric, key.2), names[2]);
            }
        }
    }
}
