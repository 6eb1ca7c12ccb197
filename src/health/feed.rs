//! Minutes into a monitor: all of them from columns, or one more.

use super::Arm;
use super::input::Observations;
use super::monitor::{Monitor, Pair};
use super::recent;
use crate::error::{Error, Result};
use crate::limits::MINUTES_PER_DAY;
use crate::model::Minute;

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

    /// Walks the columns day by day: the cells of one day of every column fit
    /// into the processor's cache, and days without a cell cost nothing. Calls
    /// `look` at each of the `stops` (ascending, not after the end), when the
    /// minutes before it have been seen.
    pub(super) fn feed(
        &mut self,
        observations: &Observations,
        stops: &[u32],
        look: &mut dyn FnMut(&mut Monitor, u32),
    ) {
        let mut stops = stops.iter().copied().peekable();
        let mut stopped = 0;
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
            let next = next.filter(|next| *next < end);
            while let Some(stop) = stops.next_if(|stop| next.is_none_or(|next| *stop <= next)) {
                self.pass(stop);
                look(self, stop);
                stopped = stop;
            }
            let Some(next) = next else { break };
            let day = next / MINUTES_PER_DAY * MINUTES_PER_DAY;
            let until = stops.peek().map_or(end, |stop| end.min(*stop));
            let start = day.max(stopped);
            let length = (day + MINUTES_PER_DAY).min(until) - start;
            let length = length as usize;
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
        self.walk(at, 1, &dense);
        self.pass(at + 1);
        Ok(())
    }
}

impl Pair {
    fn walk(&mut self, start: u32, events: [&[f64]; 2], exposure: [&[f64]; 2]) {
        let rows = events[0].iter().zip(events[1]);
        let hours = exposure[0].iter().zip(exposure[1]);
        for (minute, (events, exposure)) in (start..).zip(rows.zip(hours)) {
            let mut treatment = Arm::new(*events.0, *exposure.0);
            let mut control = Arm::new(*events.1, *exposure.1);
            if let Some(differs) = &mut self.differs
                && treatment.exposure + control.exposure > 0.0
                && differs.is_due(minute)
            {
                let test = &mut self.test;
                test.pass(minute);
                differs.look(minute, |alpha| test.ratio(alpha));
            }
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
