//! The series this process has met, numbered densely so that the write path
//! hashes no names. Numbers mean nothing outside the process.
//!
//! The table lives as long as the process and holds every series of it, so it is
//! kept small: each name once, and of a series the numbers of its three names, its
//! kind, and its places in a set and in the order of names: 25 bytes and names.

use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};

use parking_lot::{RwLock, RwLockReadGuard};

use crate::engine::budget::Budget;
use crate::engine::name_table::NameTable;
use crate::engine::order::Order;
use crate::engine::slots::Slots;
use crate::engine::tight::{bytes_of, push_tight};
use crate::error::{Error, ErrorKind, Result};
use crate::format::dictionary::Sort;
use crate::model::{Kind, Name};
use crate::storage::wal::SeriesNames;
use crate::storage::wal_definitions::Definitions;

/// Release, branch and metric by their numbers in the table.
pub type Numbers = [u32; 3];

/// All series by number and by name.
#[derive(Debug, Default)]
pub struct SeriesTable {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Releases, branches, metrics.
    names: [NameTable; 3],
    keys: Vec<Numbers>,
    /// Kinds apart from the rest: the write path reads nothing else.
    kinds: Vec<Kind>,
    by_key: Slots,
    order: Order,
    hasher: RandomState,
}

/// The table, held as it is while frames are encoded or series listed. Whoever
/// holds it makes those wait who resolve a new series, and all behind them.
pub struct Infos<'a>(RwLockReadGuard<'a, Inner>);

impl SeriesNames for Infos<'_> {
    fn series(&self, id: u32) -> ([&str; 3], Kind) {
        (self.0.names_of(id), self.kind(id))
    }

    fn kind(&self, id: u32) -> Kind {
        self.0.kinds[id as usize]
    }
}

impl Infos<'_> {
    /// The names of a series by their numbers.
    pub fn numbers(&self, id: u32) -> Numbers {
        self.0.keys[id as usize]
    }

    /// A name by its number.
    pub fn name(&self, sort: Sort, number: u32) -> &str {
        self.0.names[sort as usize].get(number)
    }

    /// Series in the order of their names: those of one release, or all.
    pub fn in_order<'i>(&'i self, release: Option<&'i str>) -> impl Iterator<Item = u32> + 'i {
        let inner = &*self.0;
        let number = release.map(|release| inner.names[0].find(release));
        let is_before = move |id: u32| {
            let own = || inner.names[0].get(inner.keys[id as usize][0]);
            match (release, number) {
                (None, _) => false,
                // Of a release that was never met there is nothing.
                (Some(_), Some(None)) => true,
                (Some(release), _) => own() < release,
            }
        };
        let number = number.flatten();
        inner
            .order
            .from(is_before)
            .take_while(move |id| number.is_none_or(|number| inner.keys[*id as usize][0] == number))
    }
}

impl Inner {
    fn names_of(&self, id: u32) -> [&str; 3] {
        let [release, branch, metric] = self.keys[id as usize];
        [
            self.names[0].get(release),
            self.names[1].get(branch),
            self.names[2].get(metric),
        ]
    }

    fn find(&self, numbers: Numbers) -> Option<u32> {
        let hash = self.hasher.hash_one(numbers);
        self.by_key
            .find(hash, |id| self.keys[id as usize] == numbers)
    }

    fn find_named(&self, key: [&str; 3]) -> Option<u32> {
        let [release, branch, metric] = key;
        self.find([
            self.names[0].find(release)?,
            self.names[1].find(branch)?,
            self.names[2].find(metric)?,
        ])
    }

    /// Where one series stands by another, in the order of their names.
    fn compare(&self, one: Numbers, other: Numbers) -> Ordering {
        for (sort, (one, other)) in one.into_iter().zip(other).enumerate() {
            if one != other {
                return self.names[sort].get(one).cmp(self.names[sort].get(other));
            }
        }
        Ordering::Equal
    }

    fn add(&mut self, key: [&str; 3], kind: Kind) -> Result<u32> {
        // All of them before one is kept.
        key.into_iter().try_for_each(Name::check)?;
        let mut numbers = [0; 3];
        for (sort, name) in key.into_iter().enumerate() {
            numbers[sort] = self.names[sort].intern(name)?;
        }
        let id = u32::try_from(self.keys.len())
            .ok()
            .filter(|id| *id < u32::MAX)
            .ok_or_else(|| Error::new(ErrorKind::Limit, "more than four billion series"))?;
        push_tight(&mut self.keys, numbers);
        push_tight(&mut self.kinds, kind);
        let mut by_key = std::mem::take(&mut self.by_key);
        let hash_of = |id: u32| self.hasher.hash_one(self.keys[id as usize]);
        by_key.insert(hash_of(id), id, hash_of);
        self.by_key = by_key;
        let mut order = std::mem::take(&mut self.order);
        order.insert(id, |other| self.compare(self.keys[other as usize], numbers));
        self.order = order;
        Ok(id)
    }

    fn bytes(&self) -> usize {
        let names: usize = self.names.iter().map(NameTable::bytes).sum();
        let series = bytes_of(&self.keys) + bytes_of(&self.kinds);
        let log = self.keys.len() * Definitions::BYTES_A_SERIES;
        names + series + self.by_key.bytes() + self.order.bytes() + log
    }
}

impl SeriesTable {
    /// The number of a series, given by its names; `None` if it is new.
    pub fn find(&self, release: &str, branch: &str, metric: &str) -> Option<u32> {
        self.inner.read().find_named([release, branch, metric])
    }

    /// The number of a series, new or known.
    ///
    /// # Errors
    /// A known series of another kind: [`ErrorKind::Contradiction`]. What is no
    /// name: [`ErrorKind::InvalidInput`].
    pub fn intern(&self, key: [&str; 3], kind: Kind) -> Result<u32> {
        self.intern_within(None, key, kind)
    }

    /// As [`SeriesTable::intern`], within a budget.
    ///
    /// # Errors
    /// Also [`ErrorKind::Limit`] for a new series where those that were met fill
    /// their part of the budget.
    pub fn intern_within(&self, budget: Option<Budget>, key: [&str; 3], kind: Kind) -> Result<u32> {
        let inner = self.inner.read();
        if let Some(id) = inner.find_named(key) {
            return same_kind(inner.kinds[id as usize], kind, key[2]).map(|()| id);
        }
        drop(inner);
        let mut inner = self.inner.write();
        // Another thread may have come first since the look-up above.
        if let Some(id) = inner.find_named(key) {
            return same_kind(inner.kinds[id as usize], kind, key[2]).map(|()| id);
        }
        if let Some(budget) = budget
            && inner.bytes() >= budget.series()
        {
            return Err(budget.too_many_series(inner.keys.len()));
        }
        inner.add(key, kind)
    }

    /// How deltas of a series merge; numbers come from this table alone.
    pub fn kind(&self, id: u32) -> Kind {
        self.infos().kind(id)
    }

    /// The table as it is.
    pub fn infos(&self) -> Infos<'_> {
        Infos(self.inner.read())
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.inner.read().keys.len()
    }

    /// Bytes held, and those that a log keeps of its series, as charged to the
    /// store's budget.
    pub fn bytes(&self) -> usize {
        self.inner.read().bytes()
    }
}

fn same_kind(known: Kind, kind: Kind, metric: &str) -> Result<()> {
    if known == kind {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Contradiction,
        format!(
            "metric {metric:?} is a {} and a {}",
            known.as_str(),
            kind.as_str()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_series_costs_some_forty_bytes_with_its_names() {
        let table = SeriesTable::default();
        for release in 0..4_000 {
            let release = format!("release/{release}");
            for metric in 0..10 {
                let key = [&release, "control", &format!("metric/{metric}")];
                table.intern(key, Kind::Counter).unwrap();
            }
        }
        let bytes = table.bytes() as f64 / 40_000.0;
        assert!(bytes < 42.0, "{bytes}");
    }

    #[test]
    fn new_series_are_refused_where_the_budget_is_full_and_known_ones_are_not() {
        let table = SeriesTable::default();
        let budget = Some(Budget::new(64 << 10));
        let intern = |number: u32| {
            let release = format!("release/{number}");
            table.intern_within(budget, [&release, "b", "m"], Kind::Counter)
        };
        let full = (0..).find(|number| intern(*number).is_err()).unwrap();
        assert_eq!(intern(full).unwrap_err().kind(), ErrorKind::Limit);
        assert!(table.bytes() < 48 << 10, "{}", table.bytes());
        assert_eq!(intern(full / 2).unwrap(), full / 2);
        let recovered = table.intern(["from a log", "b", "m"], Kind::Counter);
        assert_eq!(recovered.unwrap(), full);
    }

    #[test]
    fn a_series_of_two_kinds_is_a_contradiction() {
        let table = SeriesTable::default();
        let key = ["r", "b", "m"];
        assert_eq!(table.intern(key, Kind::Counter).unwrap(), 0);
        let error = table.intern(key, Kind::Gauge).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Contradiction);
        assert_eq!(table.kind(0), Kind::Counter);
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(
            keys in prop::collection::vec(("[a-c]{1,2}", "[xy]", "[m-o]{1,2}"), 0..200),
        ) {
            let table = SeriesTable::default();
            let mut model = BTreeMap::new();
            for (release, branch, metric) in &keys {
                let next = model.len() as u32;
                let id = *model.entry((release, branch, metric)).or_insert(next);
                prop_assert_eq!(table.find(release, branch, metric).unwrap_or(next), id);
                prop_assert_eq!(table.intern([release, branch, metric], Kind::Gauge).unwrap(), id);
            }
            let infos = table.infos();
            let all: Vec<u32> = infos.in_order(None).collect();
            prop_assert_eq!(all, model.values().copied().collect::<Vec<_>>());
            for release in ["a", "ab", "bc", "zz", ""] {
                let own: Vec<u32> = infos.in_order(Some(release)).collect();
                let expected = model.iter().filter(|(key, _)| key.0 == release);
                prop_assert_eq!(own, expected.map(|(_, id)| *id).collect::<Vec<_>>());
            }
            for ((release, branch, metric), id) in &model {
                let names = infos.series(*id).0;
                prop_assert_eq!(names, [release.as_str(), branch.as_str(), metric.as_str()]);
            }
        }
    }
}
