//! What is walked beside pairs: the pulse of branches, and the sample ratio.

use super::days::{Days, Keyed};
use super::monitor::{BranchState, Monitor};
use super::ratio::SampleRatio;
use crate::error::Result;

/// Which places it looks at.
pub(super) struct Aside {
    /// Of each branch's exposure, where there is a control to compare with, and
    /// of control's.
    pulses: Vec<usize>,
    control: usize,
    /// Of the enrolments of branches with a planned share.
    planned: Vec<usize>,
}

/// What it changes.
pub(super) struct Beside<'a> {
    pub branches: &'a mut [BranchState],
    pub sample: &'a mut Option<SampleRatio>,
}

impl Aside {
    /// Whose places are in `days`.
    ///
    /// # Errors
    /// Damage to what is needed to find cells.
    pub fn new<'a>(monitor: &Monitor, days: &mut Days<'a>, series: &[Keyed<'a>]) -> Result<Self> {
        let mut aside = Aside {
            pulses: Vec::new(),
            control: 0,
            planned: Vec::new(),
        };
        if let (Some(control), Some(metric)) = (monitor.control, monitor.pulse_metric) {
            for branch in 0..monitor.branches.len() {
                aside.pulses.push(days.place(series, branch, metric)?);
            }
            aside.control = aside.pulses[control];
        }
        if let (Some(_), Some(metric)) = (&monitor.sample, monitor.enrolment) {
            for (branch, state) in monitor.branches.iter().enumerate() {
                if state.share.is_some() {
                    aside.planned.push(days.place(series, branch, metric)?);
                }
            }
        }
        Ok(aside)
    }

    /// Adds a run of minutes from `start` on.
    pub fn add_run(&self, start: u32, days: &Days<'_>, beside: &mut Beside<'_>) {
        let control = days.series(self.control);
        for (branch, place) in beside.branches.iter_mut().zip(&self.pulses) {
            let own = days.series(*place);
            for (minute, (own, control)) in (start..).zip(own.iter().zip(control)) {
                if *own + *control > 0.0 {
                    branch.pulse.add(minute, *own, *control);
                }
            }
        }
        let Some(sample) = beside.sample.as_mut().filter(|_| !self.planned.is_empty()) else {
            return;
        };
        for offset in 0..days.len() {
            let enrolled = self.planned.iter();
            let enrolled = enrolled.map(|place| days.series(*place)[offset]);
            sample.add(start + offset as u32, enrolled);
        }
    }
}
