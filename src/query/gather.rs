//! Which series are asked for, and where their cells lie: found release by
//! release, so that memory does not grow with the store.

use std::sync::Arc;

use crate::engine::series::SeriesInfo;
use crate::engine::state::Snapshot;
use crate::error::{Error, Result};
use crate::format::dictionary::Sort;
use crate::model::{Kind, Pattern};
use crate::query::names::{NONE, place_near, places, select, unite};
use crate::query::request::chosen;
use crate::storage::segment::{Segment, SeriesIndex};

/// The source of cells that are in no segment yet; above those of all segments.
pub const MEMTABLES: u32 = u32::MAX;

/// Series looked up one by one where they are this many times fewer than those
/// of their release.
const LOOK_UP: usize = 8;

/// Where cells of a series are. Names are numbers in [`Names`].
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub release: u32,
    pub branch: u32,
    pub metric: u32,
    /// The index of the segment, in the order of their age in each bucket, or
    /// [`MEMTABLES`].
    pub source: u32,
    /// The series' index there.
    pub index: u32,
    pub kind: Kind,
}

impl Found {
    /// Which series it is.
    pub fn key(&self) -> (u32, u32, u32) {
        (self.release, self.branch, self.metric)
    }
}

/// What names are asked for.
#[derive(Clone, Copy)]
pub struct Choice<'q> {
    pub releases: &'q [Pattern],
    pub branches: &'q [Pattern],
    pub metrics: &'q [Pattern],
}

impl Choice<'_> {
    fn includes(&self, release: &str, branch: &str, metric: &str) -> bool {
        chosen(self.metrics, metric)
            && chosen(self.branches, branch)
            && chosen(self.releases, release)
    }
}

/// The names that occur, each sort in order: a number stands for a name.
#[derive(Default)]
pub struct Names<'a> {
    pub releases: Vec<&'a str>,
    pub branches: Vec<&'a str>,
    pub metrics: Vec<&'a str>,
}

/// The series of memtables that are asked for, sorted by their names.
pub struct Recent {
    series: Vec<(u32, Arc<SeriesInfo>)>,
}

impl Recent {
    /// Looks through the memtables.
    pub fn find(snapshot: &Snapshot, choice: Choice<'_>) -> Self {
        let mut series = Vec::new();
        if snapshot.memtables().all(|memtable| memtable.is_empty()) {
            return Recent { series };
        }
        let mut take = |id: u32, info: &Arc<SeriesInfo>| {
            let held = snapshot.memtables().any(|memtable| memtable.contains(id));
            let key = &info.key;
            if held && choice.includes(&key.release, &key.branch, &key.metric) {
                series.push((id, info.clone()));
            }
        };
        let mut exact: Vec<&str> = choice.releases.iter().filter_map(Pattern::exact).collect();
        if exact.is_empty() || exact.len() < choice.releases.len() {
            snapshot.series.visit(None, take);
        } else {
            exact.sort_unstable();
            exact.dedup();
            exact
                .iter()
                .for_each(|release| snapshot.series.visit(Some(release), &mut take));
        }
        Recent { series }
    }
}

/// A segment, and how its names are numbered.
struct View<'a> {
    source: u32,
    index: &'a SeriesIndex,
    /// Releases asked for: their number in the segment and here.
    releases: Vec<(u32, u32)>,
    branches: Vec<u32>,
    metrics: Vec<u32>,
    /// Branches and metrics asked for, in the segment's numbers.
    pairs: (Vec<u32>, Vec<u32>),
    /// The next release, and the first of its series at the earliest.
    next: usize,
    cursor: usize,
}

/// All series asked for, to be taken release by release.
pub struct Gather<'a> {
    pub names: Names<'a>,
    views: Vec<View<'a>>,
    recent: Vec<Found>,
    /// The next of those.
    next: usize,
}

impl<'a> Gather<'a> {
    /// Looks up names, not series.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corruption`] of a dictionary, or of series lost
    /// without their names that may be asked for.
    pub fn new(
        segments: impl Iterator<Item = (u32, &'a Segment)>,
        recent: &'a Recent,
        choice: Choice<'_>,
    ) -> Result<Self> {
        let mut names = Names::default();
        let mut chosen_names = Vec::new();
        for (source, segment) in segments {
            let index = segment.series()?;
            let releases = select(index, Sort::Release, choice.releases);
            let branches = select(index, Sort::Branch, choice.branches);
            let metrics = select(index, Sort::Metric, choice.metrics);
            if releases.is_empty() || branches.is_empty() || metrics.is_empty() {
                continue;
            }
            unite(
                &mut names.releases,
                names_of(index, Sort::Release, &releases),
            );
            unite(
                &mut names.branches,
                names_of(index, Sort::Branch, &branches),
            );
            unite(&mut names.metrics, names_of(index, Sort::Metric, &metrics));
            chosen_names.push((source, index, [releases, branches, metrics]));
        }
        let keys = || recent.series.iter().map(|(_, info)| &info.key);
        let sorted = |mut list: Vec<&'a str>| {
            list.sort_unstable();
            list.dedup();
            list
        };
        let recent_releases = sorted(keys().map(|key| key.release.as_str()).collect());
        let recent_branches = sorted(keys().map(|key| key.branch.as_str()).collect());
        let recent_metrics = sorted(keys().map(|key| key.metric.as_str()).collect());
        unite(&mut names.releases, recent_releases.into_iter());
        unite(&mut names.branches, recent_branches.into_iter());
        unite(&mut names.metrics, recent_metrics.into_iter());
        let views = chosen_names
            .into_iter()
            .map(|(source, index, locals)| View::new(source, index, locals, &names))
            .collect();
        let recent = recent_found(&recent.series, &names);
        Ok(Gather {
            names,
            views,
            recent,
            next: 0,
        })
    }

    /// Appends the series of a release, sorted by key and then by source.
    /// Releases are taken in order.
    pub fn take(&mut self, release: u32, out: &mut Vec<Found>) {
        let start = out.len();
        let mut sources = 0;
        for view in &mut self.views {
            let before = out.len();
            view.take(release, out);
            sources += usize::from(out.len() > before);
        }
        let rest = &self.recent[self.next..];
        let count = rest
            .iter()
            .take_while(|found| found.release == release)
            .count();
        out.extend_from_slice(&rest[..count]);
        self.next += count;
        if sources + count.min(1) > 1 {
            // Several sorted runs: what a stable sort merges in one pass.
            out[start..].sort_by_key(|found| (found.branch, found.metric, found.source));
        }
    }
}

fn names_of<'a>(
    index: &'a SeriesIndex,
    sort: Sort,
    locals: &[u32],
) -> impl ExactSizeIterator<Item = &'a str> + Clone {
    locals.iter().map(move |local| index.name(sort, *local))
}

fn recent_found(series: &[(u32, Arc<SeriesInfo>)], names: &Names<'_>) -> Vec<Found> {
    let (mut release, mut branch, mut metric) = (0, 0, 0);
    let mut all = Vec::with_capacity(series.len());
    for (index, info) in series {
        release = place_near(&names.releases, release, &info.key.release);
        branch = place_near(&names.branches, branch, &info.key.branch);
        metric = place_near(&names.metrics, metric, &info.key.metric);
        let (index, kind) = (*index, info.kind);
        all.push(Found {
            release,
            branch,
            metric,
            source: MEMTABLES,
            index,
            kind,
        });
    }
    all
}

impl<'a> View<'a> {
    fn new(source: u32, index: &'a SeriesIndex, locals: [Vec<u32>; 3], names: &Names<'_>) -> Self {
        let [releases, branches, metrics] = locals;
        let numbered = |sort, locals: &[u32], names: &[&str]| {
            let mut numbers = vec![NONE; index.names(sort).len()];
            let places = places(names, names_of(index, sort, locals));
            for (local, place) in locals.iter().zip(places) {
                numbers[*local as usize] = place;
            }
            numbers
        };
        let release_places = places(&names.releases, names_of(index, Sort::Release, &releases));
        View {
            source,
            index,
            releases: releases.iter().copied().zip(release_places).collect(),
            branches: numbered(Sort::Branch, &branches, &names.branches),
            metrics: numbered(Sort::Metric, &metrics, &names.metrics),
            pairs: (branches, metrics),
            next: 0,
            cursor: 0,
        }
    }

    fn take(&mut self, release: u32, out: &mut Vec<Found>) {
        let Some((local, _)) = self
            .releases
            .get(self.next)
            .filter(|next| next.1 == release)
        else {
            return;
        };
        let local = *local;
        self.next += 1;
        // Where all releases are asked for, this one starts where the last ended.
        let mut at = self.cursor;
        if self.index.key_indices(at).is_none_or(|key| key.0 != local)
            || at > 0
                && self
                    .index
                    .key_indices(at - 1)
                    .is_some_and(|key| key.0 == local)
        {
            at = self.index.position((local, 0, 0));
        }
        let (branches, metrics) = &self.pairs;
        let pairs = branches.len() * metrics.len();
        if pairs * LOOK_UP < self.branches.len() * self.metrics.len() {
            for branch in branches {
                for metric in metrics {
                    let key = (local, *branch, *metric);
                    let index = self.index.position(key);
                    if self.index.key_indices(index) == Some(key) {
                        self.found(release, index, key, out);
                    }
                }
            }
            return;
        }
        while let Some(key) = self.index.key_indices(at) {
            if key.0 != local {
                break;
            }
            self.found(release, at, key, out);
            at += 1;
        }
        self.cursor = at;
    }

    fn found(&self, release: u32, index: usize, key: (u32, u32, u32), out: &mut Vec<Found>) {
        let branch = self.branches.get(key.1 as usize).copied().unwrap_or(NONE);
        let metric = self.metrics.get(key.2 as usize).copied().unwrap_or(NONE);
        if branch == NONE || metric == NONE {
            return;
        }
        if let Some(entry) = self.index.entry(index) {
            let (source, kind) = (self.source, entry.kind);
            out.push(Found {
                release,
                branch,
                metric,
                source,
                index: index as u32,
                kind,
            });
        }
    }
}

/// # Errors
/// [`crate::ErrorKind::Corruption`] where series that may be asked for were lost
/// with the header of their block, so that no index knows of them.
pub fn check_lost(
    segment: &Segment,
    minutes: &std::ops::Range<u32>,
    choice: Choice<'_>,
) -> Result<()> {
    for damage in segment.series()?.damage() {
        let Some(lost) = &damage.minutes else {
            continue;
        };
        let touched = lost.start < minutes.end && minutes.start < lost.end;
        let asked = damage
            .key
            .as_ref()
            .is_none_or(|key| choice.includes(&key.release, &key.branch, &key.metric));
        if touched && asked {
            return Err(damage.to_error());
        }
    }
    Ok(())
}

/// # Errors
/// The segment's that can not be opened though minutes of it are asked for.
pub fn check_broken(snapshot: &Snapshot, minutes: &std::ops::Range<u32>) -> Result<()> {
    let broken = snapshot.state.broken.iter().find(|broken| {
        !minutes.is_empty()
            && broken.meta.first_minute < minutes.end
            && minutes.start <= broken.meta.last_minute
    });
    broken.map_or(Ok(()), |broken| Err(Error::shared(&broken.error)))
}
