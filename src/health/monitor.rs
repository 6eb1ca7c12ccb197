//! The state of one release's health, minute by minute.
//!
//! A service that asks every minute keeps a [`Monitor`] and pays for the new
//! minute alone; [`assess`] feeds one from columns. Both go the same way, so
//! that what is found never depends on when one looked.

use super::cells::Input;
use super::combined::{Comparison, Settings, Watch};
use super::guard;
use super::identical::TooIdentical;
use super::input::{Column, Observations, Options, Past};
use super::null::{MustDiffer, Pulse};
use super::ratio::SampleRatio;
use super::recent::Recent;
use super::report::Report;
use super::trace::{Trace, Tracer};
use crate::error::{Error, ErrorKind, Result};
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

/// As [`assess`], and how it came to that: at most `points` points, evenly
/// spaced, for charts.
///
/// # Errors
/// As [`assess`].
pub fn assess_traced(
    observations: &Observations,
    options: &Options,
    points: u32,
) -> Result<(Report, Trace)> {
    let input = Input::held(observations);
    let mut monitor = Monitor::empty(&input, options)?;
    let mut tracer = Tracer::new(&monitor, observations, points);
    let stops = tracer.stops();
    monitor.feed(&input, &stops, &mut |monitor, stop| {
        tracer.look(monitor, stop);
    })?;
    let report = monitor.report();
    let trace = tracer.finish(&monitor, &report);
    Ok((report, trace))
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
    pub(super) minute: Vec<i128>,
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
    pub differs: Option<MustDiffer>,
}

impl Monitor {
    /// The state after all minutes before `observations.as_of`.
    ///
    /// # Errors
    /// As [`assess`].
    pub fn new(observations: &Observations, options: &Options) -> Result<Self> {
        Self::fed(&Input::held(observations), options)
    }

    /// [`Monitor::new`], wherever the cells are.
    ///
    /// # Errors
    /// As [`assess`]; damage to bytes that are needed, and a cell beyond 128 bits.
    pub(super) fn fed(input: &Input<'_>, options: &Options) -> Result<Self> {
        let mut monitor = Self::empty(input, options)?;
        monitor.feed(input, &[], &mut |_, _| ())?;
        Ok(monitor)
    }

    /// Before the first minute.
    fn empty(input: &Input<'_>, options: &Options) -> Result<Self> {
        let observations = input.about;
        options.validate()?;
        observations.release.validate()?;
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
        monitor.enrolment = monitor.metric_of(input, Role::Enrolment);
        monitor.pulse_metric = monitor.exposure_of(input);
        monitor.pair_up();
        Ok(monitor)
    }

    /// The first metric of a role, one with cells before one without.
    fn metric_of(&self, input: &Input<'_>, role: Role) -> Option<usize> {
        let of_role = |index: &usize| self.metrics[*index].role() == role;
        let with_cells = |index: &usize| input.has(&self.metrics[*index].name);
        let mut all = (0..self.metrics.len()).filter(of_role);
        let any = all.clone().find(with_cells);
        any.or_else(|| all.next())
    }

    fn exposure_of(&self, input: &Input<'_>) -> Option<usize> {
        let vital = self.metrics.iter().filter(|it| it.role() == Role::Vital);
        let per = vital.filter_map(|metric| metric.per.as_ref()).next();
        per.and_then(|per| self.metric(per))
            .or_else(|| self.metric_of(input, Role::Exposure))
    }

    /// ln of the evidence at which a metric alarms at any look: K/α, with K the
    /// vital metrics times the other branches.
    pub(super) fn log_threshold(&self) -> f64 {
        let others = self.branches.len().saturating_sub(1);
        let vital = self.metrics.iter().filter(|it| it.role() == Role::Vital);
        let hypotheses = (vital.count() * others).max(1);
        (hypotheses as f64 / self.options.alpha).ln()
    }

    fn pair_up(&mut self) {
        let Some(control) = self.control else { return };
        let log_threshold = self.log_threshold();
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
                    differs: metric
                        .must_differ
                        .filter(|_| metric.role() == Role::Vital)
                        .map(|least| MustDiffer::new(least, self.options.alpha)),
                });
            }
        }
    }

    /// The index of a metric.
    pub(super) fn metric(&self, name: &str) -> Option<usize> {
        let by_name = |metric: &Metric| metric.name.as_str().cmp(name);
        self.metrics.binary_search_by(by_name).ok()
    }

    pub(super) fn branch(&self, name: &str) -> Option<usize> {
        let by_name = |branch: &BranchState| branch.name.as_str().cmp(name);
        self.branches.binary_search_by(by_name).ok()
    }

    /// Every column with its branch and metric.
    pub(super) fn columns<'a>(
        &self,
        observations: &'a Observations,
    ) -> Vec<(usize, usize, &'a Column)> {
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

    /// Declares minutes before `whole_until` whole from now on. What lies
    /// before it is counted as cells are added.
    pub fn set_whole_until(&mut self, whole_until: Option<Minute>) {
        self.whole_until = whole_until;
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
