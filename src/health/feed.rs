//! Minutes into a monitor: all of them from columns, or one more.

use parking_lot::Mutex;

use super::Arm;
use super::input::Observations;
use super::monitor::{BranchState, Monitor, Pair};
use super::ratio::SampleRatio;
use super::recent;
use super::threads;
use super::walk::{Days, Keyed, Walker};
use crate::error::{Error, Result};
use crate::model::Minute;
use crate::query::beside::beside;

/// Minutes of a pair from which on another thread pays for itself: walking
/// them takes several times as long as starting it.
const MINUTES_PER_THREAD: usize = 40_000;

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

impl Monitor {
    /// Exact totals.
    pub(super) fn count(&mut self, observations: &Observations) {
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

    /// Walks the columns. Calls `look` at each of the `stops` (ascending, not
    /// after the end), when the minutes before it have been seen.
    pub(super) fn feed(
        &mut self,
        observations: &Observations,
        stops: &[u32],
        look: &mut dyn FnMut(&mut Monitor, u32),
    ) {
        let columns = self.keyed(observations);
        let end = observations.as_of.get();
        let control = self.control.unwrap_or(0);
        let (margin, alpha) = (self.options.margin, self.options.alpha);
        let mut aside = Aside::new(self, &columns);
        if stops.is_empty() {
            let work: usize =
                self.pairs.len() * columns.iter().map(|it| it.column.len()).max().unwrap_or(0);
            let share = self
                .pairs
                .len()
                .div_ceil(threads::worth(work, MINUTES_PER_THREAD))
                .max(1);
            let Monitor {
                pairs,
                branches,
                sample,
                ..
            } = self;
            let mine = pairs.len().min(share);
            let (mine, others) = pairs.split_at_mut(mine);
            let walk = &|pairs: &mut [Pair]| {
                Walker::new(pairs, control, &columns, margin).advance(pairs, end);
                // The report asks for these; looking here shares that work, too.
                for pair in pairs {
                    pair.pass(end);
                    pair.test.ratio(alpha);
                }
            };
            let others: Vec<_> = others.chunks_mut(share).map(Mutex::new).collect();
            beside(
                &others,
                |pairs| walk(&mut pairs.lock()),
                || {
                    aside.advance(branches, sample, end);
                    walk(mine);
                },
            );
        } else {
            let mut walker = Walker::new(&self.pairs, control, &columns, margin);
            for stop in stops {
                walker.advance(&mut self.pairs, *stop);
                aside.advance(&mut self.branches, &mut self.sample, *stop);
                self.pass(*stop);
                look(self, *stop);
            }
            walker.advance(&mut self.pairs, end);
            aside.advance(&mut self.branches, &mut self.sample, end);
        }
        self.pass(end);
    }

    fn keyed<'a>(&self, observations: &'a Observations) -> Vec<Keyed<'a>> {
        let columns = self.columns(observations).into_iter();
        let keyed = columns.map(|(branch, metric, column)| Keyed {
            branch,
            metric,
            decimals: self.metrics[metric].kind.decimals(),
            column,
        });
        keyed.collect()
    }

    /// Adds one minute; `dense` holds branch by branch, metric by metric.
    fn add_minute(&mut self, minute: u32, dense: &[f64]) {
        let metrics = self.metrics.len();
        let at = |branch: usize, metric: usize| dense[branch * metrics + metric];
        if let Some(control) = self.control {
            for pair in &mut self.pairs {
                let arm = |branch| Arm::new(at(branch, pair.metric), at(branch, pair.exposure));
                pair.add(minute, arm(pair.branch), arm(control));
            }
            if let Some(metric) = self.pulse_metric {
                let other = at(control, metric);
                for (index, branch) in self.branches.iter_mut().enumerate() {
                    let own = at(index, metric);
                    if own + other > 0.0 {
                        branch.pulse.add(minute, own, other);
                    }
                }
            }
        }
        if let (Some(sample), Some(metric)) = (&mut self.sample, self.enrolment) {
            let planned = (0..self.branches.len()).filter(|it| self.branches[*it].share.is_some());
            sample.add(minute, planned.map(|branch| at(branch, metric)));
        }
    }

    /// Lets the minutes up to `end` go by.
    fn pass(&mut self, end: u32) {
        for pair in &mut self.pairs {
            pair.pass(end);
        }
        self.as_of = self.as_of.max(end);
    }

    /// Adds one minute, not before the minutes already seen: its cells, summed,
    /// in any order; cells of branches and metrics not known are left out.
    /// Minutes without a cell may be left out.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for a minute already seen; nothing is
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
        self.add_minute(at, &dense);
        self.pass(at + 1);
        Ok(())
    }
}

/// What is walked beside pairs: the pulse of branches and the sample ratio.
struct Aside<'a> {
    days: Days<'a>,
    /// Places of each branch's exposure, where there is a control to compare
    /// with, and of control's.
    pulses: Vec<usize>,
    control: usize,
    /// Places of the enrolments of branches with a planned share.
    planned: Vec<usize>,
}

impl<'a> Aside<'a> {
    fn new(monitor: &Monitor, columns: &[Keyed<'a>]) -> Self {
        let mut aside = Aside {
            days: Days::new(),
            pulses: Vec::new(),
            control: 0,
            planned: Vec::new(),
        };
        let all = 0..monitor.branches.len();
        if let (Some(control), Some(metric)) = (monitor.control, monitor.pulse_metric) {
            let mut place = |branch| aside.days.place(columns, branch, metric);
            aside.pulses = all.clone().map(&mut place).collect();
            aside.control = place(control);
        }
        if let (Some(_), Some(metric)) = (&monitor.sample, monitor.enrolment) {
            let planned = all.filter(|branch| monitor.branches[*branch].share.is_some());
            let places = planned.map(|branch| aside.days.place(columns, branch, metric));
            aside.planned = places.collect();
        }
        aside
    }

    fn advance(
        &mut self,
        branches: &mut [BranchState],
        sample: &mut Option<SampleRatio>,
        until: u32,
    ) {
        while let Some(start) = self.days.next(until) {
            let control = self.days.series(self.control);
            for (branch, place) in branches.iter_mut().zip(&self.pulses) {
                let own = self.days.series(*place);
                for (minute, (own, control)) in (start..).zip(own.iter().zip(control)) {
                    if *own + *control > 0.0 {
                        branch.pulse.add(minute, *own, *control);
                    }
                }
            }
            let Some(sample) = sample.as_mut().filter(|_| !self.planned.is_empty()) else {
                continue;
            };
            for offset in 0..self.days.len() {
                let enrolled = self.planned.iter();
                let enrolled = enrolled.map(|place| self.days.series(*place)[offset]);
                sample.add(start + offset as u32, enrolled);
            }
        }
    }
}
