//! The state of one release's health, minute by minute.
//!
//! A service that asks every minute keeps a [`Monitor`] and pays for the new
//! minute alone; [`assess`] feeds one from columns. Both go the same way, so
//! that what is found never depends on when one looked.

use super::Arm;
use super::combined::{Comparison, Settings, Watch};
use super::guard;
use super::input::{Column, Observations, Options, Past};
use super::null::{Pulse, TooIdentical};
use super::ratio::SampleRatio;
use super::recent::{self, Recent};
use super::report::Report;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MINUTES_PER_DAY;
use crate::model::{Kind, Metric, Minute, Name, Release, Role, Worse};

/// Assesses one release: a report as of `observations.as_of`.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for options outside their range, shares that do
/// not add up, or an `as_of` before the release went public;
/// [`ErrorKind::NotFound`] for a control branch that does not exist.
pub fn assess(observations: &Observations, options: &Options) -> Result<Report> {
    let mut monitor = Monitor::new(observations, options)?;
    Ok(monitor.report())
}

/// One value of one minute; see [`Monitor::add`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// The branch.
    pub branch: &'a str,
    /// The metric.
    pub metric: &'a str,
    /// The value, in units of the metric's last decimal.
    pub units: i128,
}

/// One release's health, kept.
#[derive(Clone, Debug)]
pub struct Monitor {
    pub(super) release: Release,
    pub(super) options: Options,
    pub(super) metrics: Vec<Metric>,
    pub(super) branches: Vec<BranchState>,
    pub(super) control: Option<usize>,
    pub(super) pairs: Vec<Pair>,
    pub(super) sample: Option<SampleRatio>,
    /// The metric enrolments are counted by, and the exposure pulses are felt by.
    pub(super) enrolment: Option<usize>,
    pub(super) pulse_metric: Option<usize>,
    pub(super) as_of: u32,
    pub(super) first: Option<u32>,
    pub(super) whole_until: Option<Minute>,
    pub(super) history: Vec<Past>,
    /// The last hour, branch by branch, metric by metric.
    pub(super) recent: Vec<Recent>,
    /// One minute's sums, in the same order.
    minute: Vec<i128>,
}

#[derive(Clone, Debug)]
pub(super) struct BranchState {
    pub name: Name,
    pub share: Option<f64>,
    /// One a metric.
    pub totals: Vec<Total>,
    pub pulse: Pulse,
}

/// The exact sum of one branch and metric.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Total {
    pub units: i128,
    /// Before the watermark.
    pub whole: i128,
    pub first: Option<u32>,
    pub last: Option<u32>,
}

/// One metric of one branch against control.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub branch: usize,
    pub metric: usize,
    pub exposure: usize,
    /// Arms swapped, so that "worse" is always "more".
    pub swapped: bool,
    pub test: Comparison,
    pub guard: Option<Comparison>,
    pub identical: Option<TooIdentical>,
}

impl Monitor {
    /// The state after all minutes before `observations.as_of`.
    ///
    /// # Errors
    /// As [`assess`].
    pub fn new(observations: &Observations, options: &Options) -> Result<Self> {
        options.validate()?;
        observations.release.validate()?;
        let mut monitor = Self::empty(observations, options)?;
        monitor.count(observations);
        monitor.feed(observations);
        Ok(monitor)
    }

    fn empty(observations: &Observations, options: &Options) -> Result<Self> {
        let release = &observations.release;
        let as_of = observations.as_of.get();
        if let Some(public) = release.public_from.filter(|it| it.get() > as_of) {
            return Err(Error::invalid(format!(
                "release {:?} goes public at {public}, after {}",
                release.name, observations.as_of
            )));
        }
        let mut metrics: Vec<Metric> = observations.metrics.clone();
        metrics.retain(|metric| metric.kind != Kind::Gauge);
        metrics.sort_by(|left, right| left.name.cmp(&right.name));
        metrics.dedup_by(|left, right| left.name == right.name);
        for metric in &metrics {
            metric.validate()?;
        }
        let mut branches: Vec<(Name, Option<f64>)> = release
            .branches
            .iter()
            .map(|branch| (branch.name.clone(), branch.share))
            .collect();
        for branch in &observations.branches {
            if branches.iter().all(|(name, _)| *name != branch.name) {
                branches.push((branch.name.clone(), None));
            }
        }
        branches.sort_by(|left, right| left.0.cmp(&right.0));
        branches.dedup_by(|left, right| left.0 == right.0);
        let control = control(release, options, &branches)?;
        let branches: Vec<BranchState> = branches
            .into_iter()
            .map(|(name, share)| BranchState {
                name,
                share,
                totals: vec![Total::default(); metrics.len()],
                pulse: Pulse::default(),
            })
            .collect();
        let shares: Vec<f64> = branches.iter().filter_map(|branch| branch.share).collect();
        let mut monitor = Monitor {
            release: release.clone(),
            options: options.clone(),
            control,
            pairs: Vec::new(),
            sample: (shares.len() > 1).then(|| SampleRatio::new(&shares)),
            enrolment: None,
            pulse_metric: None,
            as_of: 0,
            first: None,
            whole_until: observations.whole_until,
            history: observations.history.clone(),
            recent: vec![Recent::default(); metrics.len() * branches.len()],
            minute: vec![0; metrics.len() * branches.len()],
            metrics,
            branches,
        };
        monitor.enrolment = monitor.metric_of(observations, Role::Enrolment);
        monitor.pulse_metric = monitor.exposure_of(observations);
        monitor.pair_up();
        Ok(monitor)
    }

    /// The first metric of a role, one with cells before one without.
    fn metric_of(&self, observations: &Observations, role: Role) -> Option<usize> {
        let of_role = |index: &usize| self.metrics[*index].role() == role;
        let with_cells = |index: &usize| {
            let name = &self.metrics[*index].name;
            let mut columns = observations.branches.iter().flat_map(|it| &it.columns);
            columns.any(|(metric, column)| metric == name && column.first().is_some())
        };
        let mut all = (0..self.metrics.len()).filter(of_role);
        let any = all.clone().find(with_cells);
        any.or_else(|| all.next())
    }

    fn exposure_of(&self, observations: &Observations) -> Option<usize> {
        let vital = self.metrics.iter().filter(|it| it.role() == Role::Vital);
        let per = vital.filter_map(|metric| metric.per.as_ref()).next();
        per.and_then(|per| self.metric(per))
            .or_else(|| self.metric_of(observations, Role::Exposure))
    }

    fn pair_up(&mut self) {
        let Some(control) = self.control else { return };
        let others = self.branches.len() - 1;
        let vital = self.metrics.iter().filter(|it| it.role() == Role::Vital);
        let hypotheses = (vital.count() * others).max(1);
        let log_threshold = (hypotheses as f64 / self.options.alpha).ln();
        for branch in (0..self.branches.len()).filter(|it| *it != control) {
            for (index, metric) in self.metrics.iter().enumerate() {
                let compared = matches!(metric.role(), Role::Vital | Role::Decision);
                let exposure = metric.per.as_ref().and_then(|per| self.metric(per));
                let Some(exposure) = exposure.filter(|_| compared) else {
                    continue;
                };
                let settings = Settings {
                    burst_minutes: metric.burst_minutes.unwrap_or(30),
                    burst_events: metric.burst_events.unwrap_or(80),
                    independent: metric.independent.unwrap_or(false),
                    watch: match metric.worse {
                        Some(_) => Watch::Worse,
                        None => Watch::Nothing,
                    },
                    margin: 1.0,
                    log_threshold,
                };
                let guarded = metric.role() == Role::Decision && metric.worse.is_some();
                let guard = guard::settings(settings, self.options.margin);
                let counts = metric.role() == Role::Vital && metric.kind == Kind::Counter;
                self.pairs.push(Pair {
                    branch,
                    metric: index,
                    exposure,
                    swapped: metric.worse == Some(Worse::Lower),
                    test: Comparison::new(settings),
                    guard: guarded.then(|| Comparison::new(guard)),
                    identical: counts.then(TooIdentical::default),
                });
            }
        }
    }

    /// The index of a metric.
    pub(super) fn metric(&self, name: &str) -> Option<usize> {
        let by_name = |metric: &Metric| metric.name.as_str().cmp(name);
        self.metrics.binary_search_by(by_name).ok()
    }

    fn branch(&self, name: &str) -> Option<usize> {
        let by_name = |branch: &BranchState| branch.name.as_str().cmp(name);
        self.branches.binary_search_by(by_name).ok()
    }

    /// Every column with its branch and metric.
    fn columns<'a>(&self, observations: &'a Observations) -> Vec<(usize, usize, &'a Column)> {
        let mut columns = Vec::new();
        for data in &observations.branches {
            for (name, column) in &data.columns {
                if let (Some(branch), Some(metric)) = (self.branch(&data.name), self.metric(name)) {
                    columns.push((branch, metric, column));
                }
            }
        }
        columns
    }

    /// Exact totals.
    fn count(&mut self, observations: &Observations) {
        let end = observations.as_of.get();
        let whole = observations.whole_until.map_or(0, Minute::get).min(end);
        for (branch, metric, column) in self.columns(observations) {
            let total = &mut self.branches[branch].totals[metric];
            let before = column.sum(0..whole);
            total.whole = total.whole.saturating_add(before);
            total.units = total.units.saturating_add(before);
            total.units = total.units.saturating_add(column.sum(whole..end));
            total.first = column.first().filter(|first| *first < end);
            total.last = column.last_before(end);
            let recent = &mut self.recent[branch * self.metrics.len() + metric];
            for (minute, units) in column.cells(end.saturating_sub(recent::MINUTES)..end) {
                recent.add(minute, units);
            }
        }
        let totals = self.branches.iter().flat_map(|branch| &branch.totals);
        self.first = totals.filter_map(|total| total.first).min();
    }

    /// Walks the columns day by day: the cells of one day of every column fit
    /// into the processor's cache, and days without a cell cost nothing.
    fn feed(&mut self, observations: &Observations) {
        let end = observations.as_of.get();
        let columns = self.columns(observations);
        let mut cursors = vec![0; columns.len()];
        let cells = self.metrics.len() * self.branches.len();
        let mut dense = vec![0.0; cells * MINUTES_PER_DAY as usize];
        loop {
            let pending = columns.iter().zip(&cursors);
            let next = pending
                .filter_map(|((_, _, column), cursor)| column.minute(*cursor))
                .min();
            let Some(next) = next.filter(|next| *next < end) else {
                break;
            };
            let start = next / MINUTES_PER_DAY * MINUTES_PER_DAY;
            let length = MINUTES_PER_DAY.min(end - start) as usize;
            let dense = &mut dense[..cells * length];
            dense.fill(0.0);
            for ((branch, metric, column), cursor) in columns.iter().zip(&mut cursors) {
                let place = (branch * self.metrics.len() + metric) * length;
                let day = &mut dense[place..place + length];
                *cursor = column.scatter(*cursor, start, day);
                let decimals = self.metrics[*metric].kind.decimals();
                if decimals > 0 {
                    let unit = 10f64.powi(i32::from(decimals));
                    day.iter_mut().for_each(|value| *value /= unit);
                }
            }
            self.walk(start, length, dense);
        }
        self.pass(end);
    }

    /// Adds a run of minutes; `dense` holds branch by branch, metric by metric.
    fn walk(&mut self, start: u32, length: usize, dense: &[f64]) {
        let metrics = self.metrics.len();
        let series = |branch: usize, metric: usize| {
            let place = (branch * metrics + metric) * length;
            &dense[place..place + length]
        };
        if let Some(control) = self.control {
            for pair in &mut self.pairs {
                let events = [pair.branch, control].map(|it| series(it, pair.metric));
                let exposure = [pair.branch, control].map(|it| series(it, pair.exposure));
                pair.walk(start, events, exposure);
            }
            if let Some(metric) = self.pulse_metric {
                let other = series(control, metric);
                for (index, branch) in self.branches.iter_mut().enumerate() {
                    let own = series(index, metric);
                    for (minute, (own, other)) in (start..).zip(own.iter().zip(other)) {
                        if *own + *other > 0.0 {
                            branch.pulse.add(minute, *own, *other);
                        }
                    }
                }
            }
        }
        if let (Some(sample), Some(metric)) = (&mut self.sample, self.enrolment) {
            let planned: Vec<&[f64]> = (0..self.branches.len())
                .filter(|branch| self.branches[*branch].share.is_some())
                .map(|branch| series(branch, metric))
                .collect();
            for offset in 0..length {
                sample.add(
                    start + offset as u32,
                    planned.iter().map(|series| series[offset]),
                );
            }
        }
    }

    /// Lets the minutes up to `end` go by.
    fn pass(&mut self, end: u32) {
        for pair in &mut self.pairs {
            pair.test.pass(end);
            if let Some(guard) = &mut pair.guard {
                guard.pass(end);
            }
        }
        self.as_of = self.as_of.max(end);
    }

    /// Adds one minute, not before the minutes already seen: its cells, summed,
    /// in any order; cells of branches and metrics not known are left out.
    /// Minutes without a cell may be left out.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a minute already seen; nothing is
    /// changed. Data for earlier minutes need a new monitor.
    pub fn add(&mut self, minute: Minute, cells: &[Cell<'_>]) -> Result<()> {
        let at = minute.get();
        if at < self.as_of || minute == Minute::END {
            return Err(Error::invalid(format!(
                "minute {minute} has been seen: this monitor goes on from {}",
                Minute::clamped(u64::from(self.as_of))
            ))
            .help("make a new monitor for late data"));
        }
        self.minute.fill(0);
        let whole = self.whole_until.is_some_and(|whole| minute < whole);
        for cell in cells {
            let (Some(branch), Some(metric)) = (self.branch(cell.branch), self.metric(cell.metric))
            else {
                continue;
            };
            let total = &mut self.branches[branch].totals[metric];
            total.units = total.units.saturating_add(cell.units);
            if whole {
                total.whole = total.whole.saturating_add(cell.units);
            }
            total.first.get_or_insert(at);
            total.last = Some(at);
            let place = branch * self.metrics.len() + metric;
            self.recent[place].add(at, cell.units);
            let sum = &mut self.minute[place];
            *sum = sum.saturating_add(cell.units);
            self.first = Some(self.first.map_or(at, |first| first.min(at)));
        }
        let units = self.minute.iter().zip(self.metrics.iter().cycle());
        let dense: Vec<f64> = units
            .map(|(units, metric)| match metric.kind.decimals() {
                0 => (*units).max(0) as f64,
                decimals => (*units).max(0) as f64 / 10f64.powi(i32::from(decimals)),
            })
            .collect();
        self.walk(at, 1, &dense);
        self.pass(at + 1);
        Ok(())
    }

    /// Declares minutes before `whole_until` whole from now on. What lies
    /// before it is counted as cells are added.
    pub fn set_whole_until(&mut self, whole_until: Option<Minute>) {
        self.whole_until = whole_until;
    }
}

impl Pair {
    fn walk(&mut self, start: u32, events: [&[f64]; 2], exposure: [&[f64]; 2]) {
        let rows = events[0].iter().zip(events[1]);
        let hours = exposure[0].iter().zip(exposure[1]);
        for (minute, (events, exposure)) in (start..).zip(rows.zip(hours)) {
            let mut treatment = Arm::new(*events.0, *exposure.0);
            let mut control = Arm::new(*events.1, *exposure.1);
            if let Some(identical) = &mut self.identical {
                identical.add(minute, treatment.events, control.events);
            }
            if self.swapped {
                (treatment, control) = (control, treatment);
            }
            self.test.add_clean(minute, treatment, control);
            if let Some(guard) = &mut self.guard {
                guard.add_clean(minute, treatment, control);
            }
        }
    }
}

/// The branch others are compared with.
fn control(
    release: &Release,
    options: &Options,
    branches: &[(Name, Option<f64>)],
) -> Result<Option<usize>> {
    let find = |name: &str| branches.iter().position(|branch| branch.0.as_str() == name);
    match options.control.as_ref().or(release.control.as_ref()) {
        None => Ok(find("control")),
        Some(name) => find(name).map(Some).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("release {:?} has no branch {name:?}", release.name),
            )
            .help("name one of its branches as control")
        }),
    }
}
