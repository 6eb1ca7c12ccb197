//! From a snapshot to what health is computed from, by the query layer alone.

use super::adoption;
use super::cells::{Cells, InStore, Input};
use super::input::{BranchData, Column, Observations, Past, Units};
use super::threads;
use crate::engine::state::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Kind, Metric, Minute, Name, Pattern, Release, Role};
use crate::query::beside::beside;
use crate::query::{self, Every, GroupBy, StoredSeries, Values};

/// Cells to read from which on another thread pays for itself.
const CELLS_PER_THREAD: usize = 20_000;

/// A release in a store, before `as_of`.
pub struct Gathered<'a> {
    /// What is defined, and every branch with a cell; without their columns until
    /// these are [read](Gathered::read).
    pub about: Observations,
    /// Every series with a cell: its branch, its metric, and where it is.
    series: Vec<(Name, Name, StoredSeries<'a>)>,
}

/// Everything of a release that is needed to look at it before `as_of`.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a release neither declared nor with data;
/// [`ErrorKind::Corruption`] where what is needed is damaged.
pub fn release<'a>(snapshot: &'a Snapshot, release: &str, as_of: Minute) -> Result<Gathered<'a>> {
    let all = snapshot.series_of(release)?;
    let declared = snapshot.catalogue().release(release);
    if declared.is_none() && all.is_empty() {
        return Err(unknown_release(release));
    }
    let mut metrics: Vec<Metric> = snapshot.catalogue().metrics().cloned().collect();
    let mut branches: Vec<BranchData> = Vec::new();
    let mut series = Vec::with_capacity(all.len());
    for one in all {
        if one.kind == Kind::Gauge {
            continue;
        }
        if metrics.iter().all(|metric| metric.name != one.metric) {
            metrics.push(Metric::new(one.metric.clone(), one.kind));
        }
        let found = snapshot.find_any(release, &one.branch, &one.metric)?;
        let Some(found) = found else { continue };
        if !found.any(Minute::MIN..as_of)? {
            continue;
        }
        if branches.last().is_none_or(|last| last.name != one.branch) {
            branches.push(BranchData {
                name: one.branch.clone(),
                columns: Vec::new(),
            });
        }
        series.push((one.branch, one.metric, found));
    }
    let about = Observations {
        release: match declared {
            Some(release) => release.clone(),
            None => Release::new(Name::new(release)?),
        },
        metrics,
        branches,
        as_of,
        whole_until: whole_until(snapshot),
        history: Vec::new(),
    };
    Ok(Gathered { about, series })
}

impl Gathered<'_> {
    /// To walk it a day at a time.
    pub(super) fn input(&self) -> Input<'_> {
        let end = self.about.as_of;
        let columns = self.series.iter().map(|(branch, metric, series)| {
            let cells: Box<dyn Cells + '_> = Box::new(InStore { series, end });
            (branch, metric, cells)
        });
        Input {
            about: &self.about,
            columns: columns.collect(),
        }
    }

    /// With all columns in memory.
    ///
    /// # Errors
    /// [`ErrorKind::Corruption`] where cells are damaged.
    pub fn read(self) -> Result<Observations> {
        let (mut about, series) = (self.about, self.series);
        let columns = columns(&series, about.as_of)?;
        for ((branch, metric, _), column) in series.into_iter().zip(columns) {
            let mut branches = about.branches.iter_mut();
            if let Some(data) = branches.find(|data| data.name == branch) {
                data.columns.push((metric, column));
            }
        }
        Ok(about)
    }
}

/// The cells of series, on several threads where that is worth it.
///
/// # Errors
/// The first in the order of the series.
fn columns(series: &[(Name, Name, StoredSeries<'_>)], as_of: Minute) -> Result<Vec<Column>> {
    let read = |part: &[(Name, Name, StoredSeries<'_>)]| -> Result<Vec<Column>> {
        let columns = part.iter().map(|(_, _, series)| {
            let column = series.column(Minute::MIN..as_of)?;
            Column::new(
                column.minutes,
                match column.units {
                    query::Units::Ints(units) => Units::Ints(units),
                    query::Units::Wides(units) => Units::Wides(units),
                },
            )
        });
        columns.collect()
    };
    let cells = series.iter().map(|(_, _, series)| series.cells()).sum();
    let share = series
        .len()
        .div_ceil(threads::worth(cells, CELLS_PER_THREAD));
    let (mine, others) = series.split_at(share);
    let others: Vec<_> = others.chunks(share.max(1)).collect();
    let (mut columns, theirs) = beside(&others, |part| read(part), || read(mine));
    for theirs in theirs {
        columns = columns.and_then(|mut all| {
            all.extend(theirs?);
            Ok(all)
        });
    }
    columns
}

/// The branch called `name`, declared or with data.
///
/// # Errors
/// [`ErrorKind::NotFound`] with the branches there are.
pub fn branch(observations: &Observations, name: &str) -> Result<Name> {
    let declared = observations.release.branches.iter().map(|it| &it.name);
    let met = observations.branches.iter().map(|it| &it.name);
    let mut known: Vec<&Name> = declared.chain(met).collect();
    known.sort();
    known.dedup();
    let found = known.iter().find(|it| it.as_str() == name);
    found.map(|it| (*it).clone()).ok_or_else(|| {
        let release = &observations.release.name;
        let error = Error::new(
            ErrorKind::NotFound,
            format!("release {release:?} has no branch {:?}", shortened(name)),
        );
        match known.len() {
            0 => error.help("it has no branch at all yet"),
            _ => error.help(format!("its branches: {}", listed(&known))),
        }
    })
}

/// An earlier release, all branches summed, up to the age the release asked
/// about has now.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a release neither declared nor with data;
/// [`ErrorKind::Corruption`] where cells that are needed are damaged.
pub fn past(snapshot: &Snapshot, observations: &Observations, release: &Name) -> Result<Past> {
    let declared = snapshot.catalogue().release(release);
    if declared.is_none() && snapshot.series_of(release)?.is_empty() {
        return Err(unknown_release(release));
    }
    let releases = Pattern::exactly(release);
    let mut query = snapshot
        .query()
        .releases(&releases)
        .to(observations.as_of)
        .by(GroupBy {
            release: false,
            branch: false,
            metric: true,
        });
    let mut asked = false;
    for metric in compared(&observations.metrics) {
        if snapshot.catalogue().metric(&metric.name).is_some() {
            query = query.metrics(&Pattern::exactly(&metric.name));
            asked = true;
        }
    }
    let mut past = Past {
        name: release.clone(),
        public_from: observations.as_of,
        columns: Vec::new(),
    };
    if !asked {
        return Ok(past);
    }
    let table = query.every(Every::Minutes(1)).run()?;
    for group in table.groups() {
        if let Values::Exact { units, .. } = group.values {
            let name = Name::new(group.metric)?;
            past.columns.push((name, column(group.minutes, units)?));
        }
    }
    let first = past.columns.iter().filter_map(|(_, it)| it.first()).min();
    let public = declared.and_then(|it| it.public_from);
    past.public_from = match (public, first) {
        (Some(public), _) => public,
        (None, Some(first)) => Minute::clamped(first.into()),
        (None, None) => observations.as_of,
    };
    Ok(past)
}

/// The exposure of all releases together, by hours before the last whole one:
/// what adoption is a share of.
///
/// # Errors
/// [`ErrorKind::Corruption`] where cells that are needed are damaged.
pub fn everyone(snapshot: &Snapshot, observations: &Observations) -> Result<Vec<(Name, Column)>> {
    let mut columns = Vec::new();
    for metric in adoption::exposures(&observations.metrics) {
        let known = snapshot.catalogue().metric(&metric.name).is_some();
        if !known || metric.kind == Kind::Gauge || metric.role() == Role::Decision {
            continue;
        }
        let table = snapshot
            .query()
            .metrics(&Pattern::exactly(&metric.name))
            .to(adoption::whole_hour(observations.as_of))
            .by(GroupBy {
                release: false,
                branch: false,
                metric: true,
            })
            .every(Every::Minutes(60))
            .run()?;
        for group in table.groups() {
            if let Values::Exact { units, .. } = group.values {
                columns.push((metric.name.clone(), column(group.minutes, units)?));
            }
        }
    }
    Ok(columns)
}

/// Vital metrics and the exposures they are rates of: what history is made of.
/// No decision metric among them, whether its window is whole or not.
fn compared(metrics: &[Metric]) -> impl Iterator<Item = &Metric> {
    let vital = |metric: &&Metric| metric.role() == Role::Vital && metric.kind != Kind::Gauge;
    let per: Vec<&Name> = metrics
        .iter()
        .filter(vital)
        .filter_map(|metric| metric.per.as_ref())
        .collect();
    metrics.iter().filter(move |metric| {
        vital(metric)
            || per.contains(&&metric.name)
                && metric.role() != Role::Decision
                && metric.kind != Kind::Gauge
    })
}

fn column(minutes: &[u32], units: &[i128]) -> Result<Column> {
    let narrow: Option<Vec<i64>> = units.iter().map(|it| i64::try_from(*it).ok()).collect();
    let units = narrow.map_or_else(|| Units::Wides(units.to_vec()), Units::Ints);
    Column::new(minutes.to_vec(), units)
}

/// The minute before which every source's data are whole. A source that never
/// said how far it is whole may still send anything.
fn whole_until(snapshot: &Snapshot) -> Option<Minute> {
    let mut least = None;
    for (_, source) in snapshot.sources() {
        let watermark = source.watermark?;
        least = Some(least.map_or(watermark, |least: Minute| least.min(watermark)));
    }
    least
}

fn unknown_release(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!(
            "there is no release {:?}, neither declared nor with data",
            shortened(name)
        ),
    )
    .help("`hotstove releases` lists them")
}

fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

fn listed(names: &[&Name]) -> String {
    let first = names.iter().take(8).map(|it| format!("{it:?}"));
    let mut text = first.collect::<Vec<_>>().join(", ");
    if names.len() > 8 {
        text.push_str(", …");
    }
    text
}
