//! The series of several segments in one order: one dictionary for all their names,
//! and a walk over their directories by its numbers. Memory: the names of the inputs and
//! of the output, and four bytes for each name of each input; nothing for each series.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::engine::compaction::run::Keep;
use crate::error::{Error, ErrorKind, Result};
use crate::format::dictionary::plain;
use crate::storage::segment::{Segment, SeriesIndex, Sort};

const SORTS: [Sort; 3] = [Sort::Release, Sort::Branch, Sort::Metric];
/// The number of a name that goes into no output.
const NONE: u32 = u32::MAX;

/// Release, branch and metric by their numbers.
pub type Key = (u32, u32, u32);

/// The names of a merge.
pub struct Names<'a> {
    inputs: &'a [Arc<Segment>],
    /// Minutes before this one are dropped.
    floor: u32,
    /// By input and sort: the number in the output of each name.
    maps: Vec<[Vec<u32>; 3]>,
}

impl<'a> Names<'a> {
    /// The names of those series of `inputs` that `keep` wants, of which
    /// something reaches to the floor; with them their dictionary in bytes. None of both
    /// where there is no such series.
    pub fn new(
        inputs: &'a [Arc<Segment>],
        floor: u32,
        keep: Keep<'_>,
    ) -> Result<Option<(Vec<u8>, Self)>> {
        let mut maps = Vec::with_capacity(inputs.len());
        for segment in inputs {
            let series = segment.series()?;
            let wanted: Vec<bool> = series.names(Sort::Release).map(keep).collect();
            let mut map = SORTS.map(|sort| vec![NONE; series.names(sort).len()]);
            for index in 0..series.len() {
                let entry = series.entry(index).ok_or_else(|| lost(segment))?;
                if entry.last_minute >= floor && wanted[entry.release as usize] {
                    map[0][entry.release as usize] = 0;
                    map[1][entry.branch as usize] = 0;
                    map[2][entry.metric as usize] = 0;
                }
            }
            maps.push(map);
        }
        let mut same = Vec::new();
        for sort in SORTS {
            let mut union = Union::new(inputs, sort)?;
            let mut number = 0;
            let used = |maps: &[[Vec<u32>; 3]], input: usize, local: usize| {
                maps[input][sort as usize][local] != NONE
            };
            while union
                .step(|at, local| used(&maps, at, local), &mut same)
                .is_some()
            {
                for (input, local) in same.drain(..) {
                    maps[input][sort as usize][local] = number;
                }
                number += 1;
            }
            if number == 0 {
                return Ok(None);
            }
        }
        let names = |sort| -> Result<UnionNames<'_>> {
            let union = Union::new(inputs, sort)?;
            Ok(UnionNames { union, maps: &maps })
        };
        let sorts = [
            names(Sort::Release)?,
            names(Sort::Branch)?,
            names(Sort::Metric)?,
        ];
        let dictionary = plain(&sorts)
            .ok_or_else(|| Error::new(ErrorKind::Limit, "more names than one segment can hold"))?;
        Ok(Some((
            dictionary,
            Names {
                inputs,
                floor,
                maps,
            },
        )))
    }

    /// The series, in order.
    pub fn walk(&self) -> Result<Walk<'_>> {
        let mut walk = Walk {
            names: self,
            heads: vec![None; self.inputs.len()],
        };
        for input in 0..self.inputs.len() {
            walk.heads[input] = self.next(input, 0)?;
        }
        Ok(walk)
    }

    /// The first series of an input, from `index` on, that is kept.
    fn next(&self, input: usize, index: usize) -> Result<Option<(Key, usize)>> {
        let segment = &self.inputs[input];
        let series = segment.series()?;
        let [releases, branches, metrics] = &self.maps[input];
        for index in index..series.len() {
            let entry = series.entry(index).ok_or_else(|| lost(segment))?;
            let key = (
                releases[entry.release as usize],
                branches[entry.branch as usize],
                metrics[entry.metric as usize],
            );
            // A release that is dropped has no number.
            if entry.last_minute >= self.floor && key.0 != NONE {
                return Ok(Some((key, index)));
            }
        }
        Ok(None)
    }
}

/// The names of a sort of all inputs, in order and each once: found by a walk, and
/// never listed.
#[derive(Clone)]
struct Union<'n> {
    sort: Sort,
    inputs: Vec<&'n SeriesIndex>,
    /// Of each input, the next name.
    next: Vec<usize>,
}

impl<'n> Union<'n> {
    fn new(inputs: &'n [Arc<Segment>], sort: Sort) -> Result<Self> {
        let indices = inputs.iter().map(|segment| segment.series());
        Ok(Union {
            sort,
            inputs: indices.collect::<Result<_>>()?,
            next: vec![0; inputs.len()],
        })
    }

    /// The next name that is used, and in which inputs it has which number: added to
    /// `same`. `used` tells whether an input uses a name of its own.
    fn step(
        &mut self,
        used: impl Fn(usize, usize) -> bool,
        same: &mut Vec<(usize, usize)>,
    ) -> Option<&'n str> {
        same.clear();
        let mut least: Option<&str> = None;
        for (input, index) in self.inputs.iter().enumerate() {
            let count = index.names(self.sort).len();
            let next = &mut self.next[input];
            while *next < count && !used(input, *next) {
                *next += 1;
            }
            if *next == count {
                continue;
            }
            let name = index.name(self.sort, *next as u32);
            let order = least.map_or(Ordering::Less, |least| name.cmp(least));
            if order.is_lt() {
                same.clear();
                least = Some(name);
            }
            if order.is_le() {
                same.push((input, *next));
            }
        }
        for (input, _) in same.iter() {
            self.next[*input] += 1;
        }
        least
    }
}

/// The names of a union, once those that are used have numbers.
#[derive(Clone)]
struct UnionNames<'n> {
    union: Union<'n>,
    maps: &'n [[Vec<u32>; 3]],
}

impl<'n> Iterator for UnionNames<'n> {
    type Item = &'n str;

    fn next(&mut self) -> Option<&'n str> {
        let (maps, sort) = (self.maps, self.union.sort as usize);
        let used = |input: usize, local: usize| maps[input][sort][local] != NONE;
        self.union.step(used, &mut Vec::new())
    }
}

/// Where a walk stands.
pub struct Walk<'a> {
    names: &'a Names<'a>,
    heads: Vec<Option<(Key, usize)>>,
}

impl Walk<'_> {
    /// The next series, and in which inputs it lies at which index, by sequence.
    pub fn step(&mut self, parts: &mut Vec<(usize, usize)>) -> Result<Option<Key>> {
        parts.clear();
        let heads = self.heads.iter().flatten();
        let Some(least) = heads.map(|(key, _)| *key).min() else {
            return Ok(None);
        };
        for (input, head) in self.heads.iter_mut().enumerate() {
            if let Some((key, index)) = *head
                && key == least
            {
                parts.push((input, index));
                *head = self.names.next(input, index + 1)?;
            }
        }
        Ok(Some(least))
    }
}

fn lost(segment: &Segment) -> Error {
    Error::corruption("a series is missing from the directory").in_file(segment.file_name())
}
