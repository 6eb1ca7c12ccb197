//! How a release got where it is: a bounded number of points, for charts.
//!
//! The same monitor is walked with stops, so that a chart shows exactly what
//! somebody who looked then was told.

use super::Arm;
use super::combined::Ratio;
use super::input::{Column, Observations};
use super::monitor::Monitor;
use super::report::Report;
use super::verdict::Verdict;
use crate::model::{Minute, Role};

/// Widths of a step, in minutes, that fit into hours and days.
const WIDTHS: [u32; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440];

/// A report over time. Step `i` holds the minutes before `minutes[i]` and not
/// before the step before it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Trace {
    /// Minutes of a step.
    pub step: u32,
    /// The end of each step.
    pub minutes: Vec<Minute>,
    /// ln of the evidence at which a metric alarms: K/α.
    pub log_threshold: f64,
    /// Every metric that is compared and not held, branch by branch.
    pub pairs: Vec<PairTrace>,
    /// Every branch, control included.
    pub branches: Vec<BranchTrace>,
    /// ln of the evidence of a sample ratio mismatch, where shares are planned.
    pub sample_log_e: Vec<f64>,
}

/// One metric of one branch against control.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PairTrace {
    /// The branch.
    pub branch: String,
    /// The metric.
    pub metric: String,
    /// The exposure metric it is a rate of.
    pub per: String,
    /// Whether less of it is worse.
    pub lower_is_worse: bool,
    /// Events and exposure of the branch within each step.
    pub own: Vec<Arm>,
    /// Events and exposure of control within each step.
    pub control: Vec<Arm>,
    /// The ratio and its confidence sequence at the end of each step.
    pub ratio: Vec<Ratio>,
    /// ln of the evidence for "worse" at the end of each step; empty for a
    /// metric without a bad side.
    pub log_e: Vec<f64>,
}

/// One branch.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BranchTrace {
    /// The branch.
    pub branch: String,
    /// Its planned share.
    pub planned: Option<f64>,
    /// Exposure within each step.
    pub exposure: Vec<f64>,
    /// Share of all enrolled by the end of each step; none before the first.
    pub share: Vec<Option<f64>>,
}

/// Gathers a [`Trace`] from a monitor that is walked.
pub struct Tracer<'a> {
    columns: Vec<(usize, usize, &'a Column)>,
    metrics: usize,
    first: u32,
    /// The end of what has data.
    end: u32,
    /// The end of the last step.
    last: u32,
    /// Of each branch and metric, the sum within the step.
    sums: Vec<f64>,
    /// Enrolled so far, branch by branch.
    enrolled: Vec<f64>,
    trace: Trace,
}

impl<'a> Tracer<'a> {
    /// For at most `points` steps, and at least one.
    pub fn new(monitor: &Monitor, observations: &'a Observations, points: u32) -> Self {
        let columns = monitor.columns(observations);
        let end = observations.as_of.get();
        let firsts = columns.iter().filter_map(|it| it.2.first());
        let first = firsts.filter(|first| *first < end).min().unwrap_or(0);
        let last = columns.iter().filter_map(|it| it.2.last_before(end)).max();
        let end = last.map_or(first, |last| last + 1);
        let wanted = (end - first).div_ceil(points.max(1)).max(1);
        let step = WIDTHS.into_iter().find(|width| *width >= wanted);
        let step = step.unwrap_or_else(|| wanted.next_multiple_of(1_440));
        let name = |metric: usize| monitor.metrics[metric].name.to_string();
        let pairs = monitor.pairs.iter().map(|pair| PairTrace {
            branch: monitor.branches[pair.branch].name.to_string(),
            metric: name(pair.metric),
            per: name(pair.exposure),
            lower_is_worse: pair.swapped,
            own: Vec::new(),
            control: Vec::new(),
            ratio: Vec::new(),
            log_e: Vec::new(),
        });
        let branches = monitor.branches.iter().map(|branch| BranchTrace {
            branch: branch.name.to_string(),
            planned: branch.share,
            exposure: Vec::new(),
            share: Vec::new(),
        });
        Tracer {
            columns,
            metrics: monitor.metrics.len(),
            first,
            end,
            last: first,
            sums: vec![0.0; monitor.metrics.len() * monitor.branches.len()],
            enrolled: vec![0.0; monitor.branches.len()],
            trace: Trace {
                step,
                minutes: Vec::new(),
                log_threshold: monitor.log_threshold(),
                pairs: pairs.collect(),
                branches: branches.collect(),
                sample_log_e: Vec::new(),
            },
        }
    }

    /// Where to look: at multiples of the step, and at the end.
    pub fn stops(&self) -> Vec<u32> {
        let step = self.trace.step;
        let mut stops = Vec::new();
        let mut stop = (self.first / step + 1).saturating_mul(step);
        while stop < self.end {
            stops.push(stop);
            stop = stop.saturating_add(step);
        }
        if self.end > self.first {
            stops.push(self.end);
        }
        stops
    }

    /// Looks, when the minutes before `stop` have been seen.
    pub fn look(&mut self, monitor: &mut Monitor, stop: u32) {
        for (branch, metric, column) in &self.columns {
            let decimals = monitor.metrics[*metric].kind.decimals();
            let units = column.sum(self.last..stop).max(0) as f64;
            self.sums[branch * self.metrics + metric] = units / 10f64.powi(i32::from(decimals));
        }
        self.last = stop;
        self.trace.minutes.push(Minute::clamped(stop.into()));
        let alpha = monitor.options.alpha;
        let at = |branch: usize, metric: usize| self.sums[branch * self.metrics + metric];
        let control = monitor.control.unwrap_or(0);
        for (pair, trace) in monitor.pairs.iter_mut().zip(&mut self.trace.pairs) {
            let arm = |branch| Arm::new(at(branch, pair.metric), at(branch, pair.exposure));
            trace.own.push(arm(pair.branch));
            trace.control.push(arm(control));
            let ratio = pair.test.ratio(alpha);
            trace.ratio.push(pair.shown(ratio));
            if monitor.metrics[pair.metric].worse.is_some() {
                trace.log_e.push(pair.test.evidence().worse);
            }
        }
        if let Some(enrolment) = monitor.enrolment {
            for (branch, enrolled) in self.enrolled.iter_mut().enumerate() {
                *enrolled += self.sums[branch * self.metrics + enrolment];
            }
        }
        let all: f64 = self.enrolled.iter().sum();
        for (branch, trace) in self.trace.branches.iter_mut().enumerate() {
            let exposure = monitor.pulse_metric;
            let exposure = exposure.map_or(0.0, |it| self.sums[branch * self.metrics + it]);
            trace.exposure.push(exposure);
            let share = (all > 0.0).then(|| self.enrolled[branch] / all);
            trace.share.push(share);
        }
        if let Some(sample) = &monitor.sample {
            self.trace.sample_log_e.push(sample.log_e());
        }
    }

    /// The trace, without what the report holds back.
    pub fn finish(self, monitor: &Monitor, report: &Report) -> Trace {
        let mut trace = self.trace;
        let shown = |pair: &PairTrace| {
            let decision = monitor
                .metric(&pair.metric)
                .is_some_and(|it| monitor.metrics[it].role() == Role::Decision);
            let branches = report.branches.iter().filter(|it| it.branch == pair.branch);
            let mut metrics = branches.flat_map(|branch| &branch.metrics);
            let told = metrics.find(|it| it.metric == pair.metric);
            // A decision metric whose guard alarmed is regressed and has no numbers.
            told.is_some_and(|it| it.verdict != Verdict::Held && (!decision || it.rate.is_some()))
        };
        trace.pairs.retain(shown);
        trace
    }
}
