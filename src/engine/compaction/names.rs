//! The series of several segments in one order: one dictionary for all their names,
//! and a walk over their directories by its numbers. Memory: the names, and four
//! bytes for each name of each input; nothing for each series.

use std::sync::Arc;

use crate::engine::compaction::run::Keep;
use crate::error::{Error, ErrorKind, Result};
use crate::format::dictionary::Dictionary;
use crate::storage::segment::{Segment, Sort};

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
    /// something reaches to the floor; with them the dictionary. None of both
    /// where there is no such series.
    pub fn new(
        inputs: &'a [Arc<Segment>],
        floor: u32,
        keep: Keep<'_>,
    ) -> Result<Option<(Dictionary, Self)>> {
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
        let mut merged: [Vec<&str>; 3] = Default::default();
        for (sort, names) in SORTS.into_iter().zip(&mut merged) {
            for (segment, map) in inputs.iter().zip(&maps) {
                let used = segment.series()?.names(sort).zip(&map[sort as usize]);
                names.extend(
                    used.filter(|(_, number)| **number != NONE)
                        .map(|(name, _)| name),
                );
            }
            names.sort_unstable();
            names.dedup();
            for (segment, map) in inputs.iter().zip(&mut maps) {
                let used = segment.series()?.names(sort).zip(&mut map[sort as usize]);
                for (name, number) in used.filter(|(_, number)| **number != NONE) {
                    let place = names.binary_search(&name).unwrap_or_default();
                    *number = place as u32;
                }
            }
        }
        if merged[0].is_empty() {
            return Ok(None);
        }
        let dictionary = Dictionary::of(merged.each_ref().map(|names| names.iter().copied()))
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
