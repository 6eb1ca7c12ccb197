//! Minutes into a monitor: all of them from columns, or one more.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::Arm;
use super::aside::{Aside, Beside};
use super::cells::Input;
use super::counted::Span;
use super::days::Keyed;
use super::monitor::{Monitor, Pair};
use super::threads;
use super::walk::Walker;
use crate::error::{Error, Result};
use crate::model::Minute;
use crate::query::beside::beside;

/// Minutes of a pair from which on another thread pays for itself: walking
/// them takes several times as long as starting it.
const MINUTES_PER_THREAD: usize = 40_000;

/// The same of cells to decode.
const CELLS_PER_THREAD: usize = 20_000;

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
    /// Walks the series, counting them. Calls `look` at each of the `stops`
    /// (ascending, not after the end), when the minutes before it have been seen.
    ///
    /// # Errors
    /// Damage to bytes that are needed; a cell beyond 128 bits.
    pub(super) fn feed(
        &mut self,
        input: &Input<'_>,
        stops: &[u32],
        look: &mut dyn FnMut(&mut Monitor, u32),
    ) -> Result<()> {
        let series = self.keyed(input);
        let end = input.about.as_of.get();
        let walkers = if stops.is_empty() {
            self.walk(&series, end)?
        } else {
            let all: Vec<&Pair> = self.pairs.iter().collect();
            let mut walkers = self.walkers(&[&all], &series, end)?;
            for stop in stops {
                self.advance(&mut walkers, *stop)?;
                self.pass(*stop);
                look(self, *stop);
            }
            self.advance(&mut walkers, end)?;
            walkers
        };
        for walker in walkers {
            for ((branch, metric), counted) in walker.counted() {
                self.branches[branch].totals[metric] = counted.total;
                self.recent[branch * self.metrics.len() + metric] = counted.recent;
            }
        }
        let totals = self.branches.iter().flat_map(|branch| &branch.totals);
        self.first = totals.filter_map(|total| total.first).min();
        self.pass(end);
        Ok(())
    }

    /// Goes on to `until`, on this thread.
    fn advance(&mut self, walkers: &mut [Walker<'_>], until: u32) -> Result<()> {
        let mut pairs: Vec<&mut Pair> = self.pairs.iter_mut().collect();
        for walker in walkers {
            let beside = Beside {
                branches: &mut self.branches,
                sample: &mut self.sample,
            };
            walker.advance(&mut pairs, Some(beside), until)?;
        }
        Ok(())
    }

    /// Goes on to the end, on as many threads as that is worth. Metrics are shared
    /// out, each with all its branches: so that control's series, and all others
    /// but exposures, are decoded once.
    fn walk<'a>(&mut self, series: &[Keyed<'a>], end: u32) -> Result<Vec<Walker<'a>>> {
        let cells = series.iter().map(|it| it.cells.len());
        let minutes = self.pairs.len() * cells.clone().max().unwrap_or(0);
        let threads = threads::worth(minutes, MINUTES_PER_THREAD)
            .max(threads::worth(cells.sum(), CELLS_PER_THREAD));
        let share = self.pairs.len().div_ceil(threads).max(1);
        let by_metric = |pair: &Pair| (pair.metric, pair.branch);
        let mut plan: Vec<&Pair> = self.pairs.iter().collect();
        plan.sort_by_key(|pair| by_metric(pair));
        let mut parts: Vec<&[&Pair]> = plan.chunks(share).collect();
        parts.resize(threads, &[]);
        let mut walkers = self.walkers(&parts, series, end)?.into_iter();

        let alpha = self.options.alpha;
        let mut pairs: Vec<&mut Pair> = self.pairs.iter_mut().collect();
        pairs.sort_by_key(|pair| by_metric(pair));
        let mut parts: Vec<Vec<&mut Pair>> = Vec::with_capacity(threads);
        let mut rest = pairs.into_iter();
        parts.resize_with(threads, || rest.by_ref().take(share).collect());
        let walk = |walker: &mut Walker<'a>, pairs: &mut [&mut Pair], beside| {
            walker.advance(pairs, beside, end)?;
            // The report asks for these; looking here shares that work, too.
            for pair in pairs {
                pair.pass(end);
                pair.test.evidence();
                pair.test.ratio(alpha);
            }
            Ok(())
        };
        let mut parts = parts.into_iter();
        let (mut first, mut mine) = (walkers.next(), parts.next().unwrap_or_default());
        let others: Vec<_> = walkers.zip(parts).map(Mutex::new).collect();
        let beside_pairs = Beside {
            branches: &mut self.branches,
            sample: &mut self.sample,
        };
        let (done, others_done) = beside(
            &others,
            |part| {
                let (walker, pairs) = &mut *part.lock();
                walk(walker, pairs, None)
            },
            || match &mut first {
                Some(walker) => walk(walker, &mut mine, Some(beside_pairs)),
                None => Ok(()),
            },
        );
        others_done.into_iter().fold(done, Result::and)?;
        let others = others.into_iter().map(|part| part.into_inner().0);
        Ok(first.into_iter().chain(others).collect())
    }

    /// A walker for each part of the pairs: the first walks what is beside pairs,
    /// too, and every series is counted by one of them.
    fn walkers<'a>(
        &self,
        parts: &[&[&Pair]],
        series: &[Keyed<'a>],
        end: u32,
    ) -> Result<Vec<Walker<'a>>> {
        let (control, margin) = (self.control.unwrap_or(0), self.options.margin);
        let span = Span {
            whole: self.whole_until.map_or(0, Minute::get),
            end,
        };
        let mut walkers = Vec::with_capacity(parts.len());
        for part in parts {
            walkers.push(Walker::new(part, control, series, margin, span)?);
        }
        if let Some(first) = walkers.first_mut() {
            let aside = Aside::new(self, first.days(), series)?;
            first.set_aside(aside);
        }
        let mut counted = BTreeSet::new();
        for walker in &mut walkers {
            let keys: Vec<_> = walker.days().keys().collect();
            for key in keys.into_iter().filter(|key| counted.insert(*key)) {
                walker.days().count(key);
            }
        }
        let left = series.iter().map(|it| (it.branch, it.metric));
        let left = left.filter(|key| !counted.contains(key));
        for (turn, key) in left.enumerate() {
            let turn = turn % walkers.len().max(1);
            if let Some(walker) = walkers.get_mut(turn) {
                walker.days().place(series, key.0, key.1)?;
                walker.days().count(key);
            }
        }
        Ok(walkers)
    }

    fn keyed<'a>(&self, input: &'a Input<'_>) -> Vec<Keyed<'a>> {
        let series = input.columns.iter().filter_map(|(branch, metric, cells)| {
            let metric = self.metric(metric)?;
            Some(Keyed {
                branch: self.branch(branch)?,
                metric,
                decimals: self.metrics[metric].kind.decimals(),
                cells: &**cells,
            })
        });
        series.collect()
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

    /// A cell's branch and metric, found soonest where they are the `next`.
    fn find(&self, cell: &Cell<'_>, next: (usize, usize)) -> Option<(usize, usize)> {
        let branch = self.branches.get(next.0);
        let same_branch = branch.is_some_and(|it| it.name.as_str() == cell.branch);
        let metric = self.metrics.get(next.1);
        let same_metric = metric.is_some_and(|it| it.name.as_str() == cell.metric);
        let branch = if same_branch {
            Some(next.0)
        } else {
            self.branch(cell.branch)
        };
        let metric = if same_metric {
            Some(next.1)
        } else {
            self.metric(cell.metric)
        };
        branch.zip(metric)
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
        // Cells mostly come branch by branch, metric by metric.
        let mut next = (0, 0);
        for cell in cells {
            let Some((branch, metric)) = self.find(cell, next) else {
                continue;
            };
            next = (branch, metric + 1);
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
