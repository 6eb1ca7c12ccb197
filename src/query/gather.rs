//! Which series are asked for, and where their cells lie: found release by
//! release, so that memory does not grow with the store.

use crate::engine::members::Places;
use crate::engine::state::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::format::dictionary::{Dictionary, Sort};
use crate::model::{Kind, Pattern};
use crate::query::names::{NONE, places, select, unite};
use crate::query::request::chosen;
use crate::storage::segment::{Segment, SeriesIndex};
use crate::storage::wal::SeriesNames;

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

impl Names<'_> {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let lists = [&self.releases, &self.branches, &self.metrics];
        let names: usize = lists.iter().map(|list| list.capacity()).sum();
        names * size_of::<&str>()
    }
}

/// The series of memtables that are asked for, sorted by their names.
#[derive(Default)]
pub struct Recent {
    series: Vec<u32>,
    names: Option<Dictionary>,
    places: Places,
}

impl Recent {
    /// Looks through the memtables.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] for more names than one dictionary holds.
    pub fn find(snapshot: &Snapshot, choice: Choice<'_>) -> Result<Self> {
        let mut series = Vec::new();
        if snapshot.memtables().all(|memtable| memtable.is_empty()) {
            return Ok(Recent::default());
        }
        let infos = snapshot.series.infos();
        let mut take = |id: u32| {
            let held = snapshot.memtables().any(|memtable| memtable.contains(id));
            let ([release, branch, metric], _) = infos.series(id);
            if held && choice.includes(release, branch, metric) {
                series.push(id);
            }
        };
        let mut exact: Vec<&str> = choice.releases.iter().filter_map(Pattern::exact).collect();
        if exact.is_empty() || exact.len() < choice.releases.len() {
            infos.in_order(None).for_each(take);
        } else {
            exact.sort_unstable();
            exact.dedup();
            for release in exact {
                infos.in_order(Some(release)).for_each(&mut take);
            }
        }
        let (names, places) = Places::of(&infos, &series).ok_or_else(|| {
            Error::new(ErrorKind::Limit, "more recent names than one answer holds")
                .help("ask for fewer releases, branches or metrics")
        })?;
        Ok(Recent {
            series,
            names: Some(names),
            places,
        })
    }

    fn names(&self, sort: Sort) -> impl ExactSizeIterator<Item = &str> + Clone {
        let count = self.names.as_ref().map_or(0, |names| names.count(sort));
        (0..count as u32).map(move |at| self.names.as_ref().map_or("", |own| own.name(sort, at)))
    }
}

/// How the names of recent series are numbered, and how far they were taken.
struct RecentView<'a> {
    snapshot: &'a Snapshot,
    recent: &'a Recent,
    /// By sort: the number of each name.
    numbers: [Vec<u32>; 3],
    next: usize,
}

impl RecentView<'_> {
    /// Appends the series of a release; says whether there are any.
    fn take(&mut self, release: u32, out: &mut Vec<Found>) -> bool {
        let rest = &self.recent.series[self.next..];
        if rest.is_empty() {
            return false;
        }
        let start = out.len();
        let infos = self.snapshot.series.infos();
        let number = |sort: Sort, place: u32| {
            let numbers = &self.numbers[sort as usize];
            numbers.get(place as usize).copied().unwrap_or(NONE)
        };
        for id in rest {
            let key = self.recent.places.key(infos.numbers(*id));
            if number(Sort::Release, key.0) != release {
                break;
            }
            out.push(Found {
                release,
                branch: number(Sort::Branch, key.1),
                metric: number(Sort::Metric, key.2),
                source: MEMTABLES,
                index: *id,
                kind: infos.kind(*id),
            });
        }
        self.next += out.len() - start;
        out.len() > start
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
    recent: RecentView<'a>,
}

impl<'a> Gather<'a> {
    /// Looks up names, not series.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corruption`] of a dictionary, or of series lost
    /// without their names that may be asked for.
    pub fn new(
        snapshot: &'a Snapshot,
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
        unite(&mut names.releases, recent.names(Sort::Release));
        unite(&mut names.branches, recent.names(Sort::Branch));
        unite(&mut names.metrics, recent.names(Sort::Metric));
        let views = chosen_names
            .into_iter()
            .map(|(source, index, locals)| View::new(source, index, locals, &names))
            .collect();
        let numbers = [
            places(&names.releases, recent.names(Sort::Release)).collect(),
            places(&names.branches, recent.names(Sort::Branch)).collect(),
            places(&names.metrics, recent.names(Sort::Metric)).collect(),
        ];
        let recent = RecentView {
            snapshot,
            recent,
            numbers,
            next: 0,
        };
        Ok(Gather {
            names,
            views,
            recent,
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
        sources += usize::from(self.recent.take(release, out));
        if sources > 1 {
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
