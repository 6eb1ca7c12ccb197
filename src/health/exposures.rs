//! The exposures of two arms over a run of minutes, and what every metric that
//! is a rate of the same exposure needs of them: found once for all of these.

use std::ops::Range;

use super::shares::Shares;
use crate::codec::with_bit_instructions;

/// A run of minutes of two arms, T and C.
///
/// Runs follow each other: each begins after the last one's minutes.
#[derive(Debug)]
pub struct Exposures {
    /// The first minute.
    pub start: u32,
    /// T's and C's exposure, minute by minute.
    pub arms: [Vec<f64>; 2],
    /// The same over the exposure of both in all minutes before; 0 where there
    /// was none.
    pub ahead: [Vec<f64>; 2],
    /// 1 where both have exposure, else 0.
    pub both: Vec<f64>,
    /// The minutes by share.
    pub shares: Shares,
    /// Exposure of both before each minute, and with all of them.
    sums: Vec<f64>,
    before: f64,
    /// T's share of what is expected, and the same against the margin.
    due: Vec<f64>,
    guarded: Vec<f64>,
    margin: f64,
}

impl Exposures {
    /// Before the first run; guards are against `margin`.
    pub fn new(margin: f64) -> Self {
        Exposures {
            start: 0,
            arms: [Vec::new(), Vec::new()],
            ahead: [Vec::new(), Vec::new()],
            both: Vec::new(),
            shares: Shares::default(),
            sums: Vec::new(),
            before: 0.0,
            due: Vec::new(),
            guarded: Vec::new(),
            margin,
        }
    }

    /// Goes on to the next run; exposures are finite and not negative.
    pub fn set(&mut self, start: u32, arms: [&[f64]; 2], guards: bool) {
        with_bit_instructions(
            #[inline(always)]
            || self.set_run(start, arms, guards),
        );
    }

    #[inline(always)]
    fn set_run(&mut self, start: u32, arms: [&[f64]; 2], guards: bool) {
        self.start = start;
        for (own, new) in self.arms.iter_mut().zip(arms) {
            own.clear();
            own.extend_from_slice(new);
        }
        let [treatment, control] = arms;
        let rows = || treatment.iter().copied().zip(control.iter().copied());
        // Sums first, one after the other; then divisions, many at a time.
        self.sums.clear();
        self.sums.resize(treatment.len(), 0.0);
        let mut before = self.before;
        for (sum, (t, c)) in self.sums.iter_mut().zip(rows()) {
            *sum = before;
            before += t + c;
        }
        self.before = before;
        for (ahead_of, arm) in self.ahead.iter_mut().zip(arms) {
            ahead_of.clear();
            let rows = arm.iter().zip(&self.sums);
            ahead_of.extend(rows.map(|(exposure, before)| ahead(*exposure, *before)));
        }
        self.both.clear();
        let both = rows().map(|(t, c)| f64::from(u8::from(t > 0.0 && c > 0.0)));
        self.both.extend(both);
        self.due.clear();
        self.due.extend(rows().map(|(t, c)| due(t, c, 1.0)));
        self.guarded.clear();
        if guards {
            let margin = self.margin;
            self.guarded.extend(rows().map(|(t, c)| due(t, c, margin)));
        }
        self.shares.sort(rows().map(|(t, c)| smaller_share(t, c)));
    }

    /// Exposure of both arms in all minutes up to the end of the run.
    pub fn total(&self) -> f64 {
        self.before
    }

    /// T's share of the events expected, were its rate `margin` times C's.
    pub fn due(&self, margin: f64) -> &[f64] {
        if margin == 1.0 {
            &self.due
        } else {
            debug_assert!(margin == self.margin && self.guarded.len() == self.due.len());
            &self.guarded
        }
    }

    /// The first of these minutes in which there is exposure, or an event.
    pub fn first(&self, minutes: Range<usize>, events: [&[f64]; 2]) -> Option<usize> {
        { minutes }.find(|minute| {
            let at = |column: &[f64]| column[*minute] > 0.0;
            self.arms.iter().any(|arm| at(arm)) || events.iter().any(|arm| at(arm))
        })
    }
}

/// An exposure over what there was of both arms before.
#[inline(always)]
pub fn ahead(exposure: f64, before: f64) -> f64 {
    if before > 0.0 { exposure / before } else { 0.0 }
}

/// T's share of the events expected, were its rate `margin` times C's; 0 without
/// exposure.
#[inline(always)]
pub fn due(treatment: f64, control: f64, margin: f64) -> f64 {
    let both = treatment + control;
    if both <= 0.0 {
        0.0
    } else if margin == 1.0 {
        treatment * (1.0 / both)
    } else {
        let weighted = margin * treatment;
        weighted / (weighted + control)
    }
}

/// The smaller arm's share of exposure, 0 where it has none, and whether that
/// is C.
#[inline(always)]
pub fn smaller_share(treatment: f64, control: f64) -> (f64, bool) {
    let smaller = treatment.min(control);
    if smaller <= 0.0 {
        return (0.0, false);
    }
    // Rounding may put equal arms a hair above one half.
    let share = (smaller * (1.0 / (treatment + control))).min(0.5);
    (share, control < treatment)
}
