//! The exposures of two arms over a run of minutes, and what every metric that
//! is a rate of the same exposure needs of them: found once for all of these.

use std::ops::Range;

use super::shares::{Shares, sized};
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
        let length = treatment.len();
        let control = &control[..length];
        // Sums first, one after the other; then divisions, many at a time.
        let sums = sized(&mut self.sums, length);
        let mut before = self.before;
        for at in 0..length {
            sums[at] = before;
            before += treatment[at] + control[at];
        }
        self.before = before;
        let [ahead_t, ahead_c] = self.ahead.each_mut().map(|it| sized(it, length));
        for at in 0..length {
            ahead_t[at] = ahead(treatment[at], sums[at]);
            ahead_c[at] = ahead(control[at], sums[at]);
        }
        let (both, dues) = (sized(&mut self.both, length), sized(&mut self.due, length));
        for at in 0..length {
            let (t, c) = (treatment[at], control[at]);
            both[at] = f64::from(u8::from(t > 0.0 && c > 0.0));
            dues[at] = due(t, c, 1.0);
        }
        self.guarded.clear();
        if guards {
            let margin = self.margin;
            let rows = treatment.iter().zip(control);
            self.guarded.extend(rows.map(|(t, c)| due(*t, *c, margin)));
        }
        self.shares.sort(treatment, control);
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
