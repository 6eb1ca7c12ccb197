//! Decision metrics before their window is whole.

use crate::engine::state::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MINUTE_END;
use crate::model::{Metric, Minute, Name, Pattern, Role};
use crate::query::accumulate::earlier;
use crate::query::gather::{Choice, Found, Gather, MEMTABLES, Recent, check_broken, check_lost};
use crate::query::request::{Query, chosen};
use crate::query::result::Held;
use crate::query::scan::{Scratch, first_cell};

/// Minutes of a week.
const WEEK: i64 = 10_080;

/// The decision metrics that the query meets and must not read, sorted.
///
/// # Errors
/// [`ErrorKind::Held`] for one that is named exactly.
pub fn held(query: &Query<'_>) -> Result<Vec<Held>> {
    let snapshot = query.snapshot;
    let per = query.per.as_deref();
    let asked = |metric: &&Metric| {
        metric.role() == Role::Decision
            && (chosen(&query.metrics, &metric.name) || per == Some(metric.name.as_str()))
    };
    if query.overriding_held {
        return Ok(Vec::new());
    }
    let metrics: Vec<&Name> = snapshot
        .catalogue()
        .metrics()
        .filter(asked)
        .map(|m| &m.name)
        .collect();
    if metrics.is_empty() {
        return Ok(Vec::new());
    }
    let patterns: Vec<Pattern> = metrics.iter().map(|name| Pattern::exactly(name)).collect();
    let choice = Choice {
        releases: &query.releases,
        branches: &query.branches,
        metrics: &patterns,
    };
    let recent = Recent::find(snapshot, choice)?;
    let mut gather = gather_all(snapshot, &recent, choice)?;
    let mut all = Vec::new();
    let mut series = Vec::new();
    for release in 0..gather.names.releases.len() {
        series.clear();
        gather.take(release as u32, &mut series);
        let mut found: Vec<u32> = series
            .iter()
            .filter(|found| is_visible(snapshot, found))
            .map(|found| found.metric)
            .collect();
        found.sort_unstable();
        found.dedup();
        let release = gather.names.releases[release];
        if found.is_empty() {
            continue;
        }
        let opens_at = opens_at(snapshot, release)?;
        if query
            .as_of
            .zip(opens_at)
            .is_some_and(|(now, opens)| now >= opens)
        {
            continue;
        }
        for metric in found {
            let metric = gather.names.metrics[metric as usize];
            let held = Held {
                release: Name::new(release)?,
                metric: Name::new(metric)?,
                opens_at,
            };
            let named = query
                .metrics
                .iter()
                .any(|pattern| pattern.exact() == Some(metric));
            if named || per == Some(metric) {
                return Err(refusal(&held));
            }
            all.push(held);
        }
    }
    Ok(all)
}

/// The error of a held metric that is named exactly.
pub fn refusal(held: &Held) -> Error {
    Error::new(ErrorKind::Held, held.to_string())
        .help("ask as of a minute at which its window is whole, or override, which is recorded")
}

/// When the decision metrics of a release can be read; `None` beyond all minutes.
pub fn opens_at(snapshot: &Snapshot, release: &str) -> Result<Option<Minute>> {
    let definition = snapshot.catalogue().release(release);
    let weeks = definition.map_or(1, |release| release.decision_weeks());
    let public = definition.and_then(|release| release.public_from);
    let start = match public {
        Some(minute) => Some(minute.get()),
        None => first_minute(snapshot, release)?,
    };
    let opens = start.map(|start| i64::from(start) + i64::from(weeks) * WEEK);
    Ok(opens
        .filter(|opens| *opens <= i64::from(MINUTE_END))
        .map(|at| Minute::clamped(at as u64)))
}

/// The first minute of a release with data.
fn first_minute(snapshot: &Snapshot, release: &str) -> Result<Option<u32>> {
    let patterns = [Pattern::exactly(release)];
    let choice = Choice {
        releases: &patterns,
        branches: &[],
        metrics: &[],
    };
    let recent = Recent::find(snapshot, choice)?;
    let mut gather = gather_all(snapshot, &recent, choice)?;
    let mut series = Vec::new();
    for release in 0..gather.names.releases.len() {
        gather.take(release as u32, &mut series);
    }
    let mut scratch = Scratch::default();
    let mut first = None;
    for found in &series {
        let minute = first_cell(snapshot, found, snapshot.state.floor, &mut scratch)?;
        first = earlier(first, minute);
    }
    // What can not be read may have come before.
    let before = 0..first.unwrap_or(MINUTE_END);
    for segment in snapshot.state.segments.iter() {
        if segment.meta().first_minute < before.end {
            check_lost(segment, &before, choice)?;
        }
    }
    check_broken(snapshot, &before)?;
    Ok(first)
}

/// What the segments that can be read and the memtables hold of a choice.
pub fn gather_all<'a>(
    snapshot: &'a Snapshot,
    recent: &'a Recent,
    choice: Choice<'_>,
) -> Result<Gather<'a>> {
    let segments = snapshot.state.segments.iter().zip(0..);
    let readable = segments.filter(|(segment, _)| segment.series().is_ok());
    Gather::new(
        snapshot,
        readable.map(|(segment, source)| (source, &**segment)),
        recent,
        choice,
    )
}

/// Whether a series has a cell that is not below the floor.
fn is_visible(snapshot: &Snapshot, found: &Found) -> bool {
    let floor = snapshot.state.floor;
    if found.source == MEMTABLES {
        let mut spans = snapshot
            .memtables()
            .filter_map(|memtable| memtable.series_span(found.index));
        return spans.any(|span| span.1 >= floor);
    }
    let segment = snapshot.state.segments.get(found.source as usize);
    let series = segment.and_then(|segment| segment.series().ok());
    let entry = series.and_then(|series| series.entry(found.index as usize));
    entry.is_some_and(|entry| entry.last_minute >= floor)
}
