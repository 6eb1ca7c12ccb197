//! Many minutes at once: a stride goes on until something has to be looked at.
//!
//! Minute by minute, [`super::combined`] asks after each whether a block closed
//! and whether the surplus left its bounds. Between two such minutes nothing but
//! sums move, in the same order and so to the same last bit: a stride adds
//! them up in registers.

use std::ops::Range;

use super::Arm;
use super::blocks::{Blocks, STRATUM_MINUTES};
use super::exposures::Exposures;

/// Y = Σ(x_T − p·n) since the last look that was computed, and how far it may go
/// before the next has to be; see [`super::combined::Comparison::add`].
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    pub surplus: f64,
    pub floor: f64,
    pub ceiling: f64,
}

impl Reach {
    /// Nothing that Y can do calls for a look.
    pub const ANYWHERE: Reach = Reach {
        surplus: 0.0,
        floor: f64::NEG_INFINITY,
        ceiling: f64::INFINITY,
    };

    /// Whether Y is within its bounds.
    #[inline]
    pub fn holds(&self) -> bool {
        self.surplus <= self.ceiling && self.surplus >= self.floor
    }

    /// Adds minutes of a run, up to and with the first that leads out of the
    /// bounds.
    pub fn stride(&mut self, rows: &Rows<'_>, minutes: Range<usize>) -> Stop {
        let mut next = minutes.start;
        while next < minutes.end && self.holds() {
            let [treated, control] = rows.events.map(|arm| arm[next]);
            let events = treated + control;
            self.surplus += rows.exposures.both[next] * (treated - events * rows.due[next]);
            next += 1;
        }
        Stop {
            next,
            due: !self.holds(),
            closed: false,
        }
    }
}

/// The minutes of a run.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub exposures: &'a Exposures,
    /// T's share of the events expected.
    pub due: &'a [f64],
    /// Events of T and of C.
    pub events: [&'a [f64]; 2],
}

/// Where a stride ended.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// The row after the last one added.
    pub next: usize,
    /// Whether a look is due: whether the surplus is out of its bounds, or a
    /// block closed.
    pub due: bool,
    pub closed: bool,
}

/// What a stride adds up.
struct Sums {
    events: f64,
    expected: [f64; 2],
    open: [Arm; 2],
    surplus: f64,
}

impl Blocks {
    /// Adds minutes of a run, all later than those added before, up to and with
    /// the first after which there may be a look.
    ///
    /// Minutes without exposure and events among them go by, as
    /// [`Blocks::pass`] lets them: they add nothing, and a block that waits for
    /// its length alone closes there.
    pub fn stride(&mut self, rows: &Rows<'_>, minutes: Range<usize>, reach: &mut Reach) -> Stop {
        let mut at = minutes.start;
        let nothing = Stop {
            next: minutes.end,
            due: false,
            closed: false,
        };
        if !self.started {
            match rows.exposures.first(minutes.clone(), rows.events) {
                Some(first) => at = first,
                None => return nothing,
            }
        }
        let start = rows.exposures.start;
        let row = |minute: u32| (minute - start) as usize;
        let minute = start + at as u32;
        let hour = minute / STRATUM_MINUTES;
        if hour != self.hour {
            self.turn_hour(minute, hour);
        }
        let mut end = minutes
            .end
            .min(row((hour + 1).saturating_mul(STRATUM_MINUTES)));
        let stopped;
        if minute < self.due {
            end = end.min(row(self.due));
            stopped = self.sum(rows, at..end, reach, |_| false);
        } else {
            // Of a claim whose block is not long enough yet nothing is expected.
            let mut at_least = [[f64::INFINITY; 2]; 2];
            for ((due, wanted), at_least) in self.closable().into_iter().zip(&mut at_least) {
                if due <= minute {
                    *at_least = wanted;
                } else {
                    end = end.min(row(due));
                }
            }
            let [above, below] = at_least;
            stopped = self.sum(rows, at..end, reach, |expected| {
                (expected[0] >= above[0] && expected[1] >= above[1])
                    || (expected[0] >= below[0] && expected[1] >= below[1])
            });
        }
        let next = stopped.map_or(end, |last| last + 1);
        self.next = start + next as u32;
        let Some(last) = stopped else {
            return Stop { next, ..nothing };
        };
        let minute = start + last as u32;
        let closed = minute >= self.due && self.close(minute);
        Stop {
            next,
            due: closed || !reach.holds(),
            closed,
        }
    }

    /// Adds minutes; stops with the first after which the surplus is out of its
    /// bounds, or `ripe` of what is expected.
    #[inline(always)]
    fn sum(
        &mut self,
        rows: &Rows<'_>,
        minutes: Range<usize>,
        reach: &mut Reach,
        ripe: impl Fn([f64; 2]) -> bool,
    ) -> Option<usize> {
        let Range { start, end } = minutes;
        let [treated, control] = rows.events.map(|arm| &arm[start..end]);
        let [hours_t, hours_c] = &rows.exposures.arms;
        let (hours_t, hours_c) = (&hours_t[start..end], &hours_c[start..end]);
        let [ahead_t, ahead_c] = &rows.exposures.ahead;
        let (ahead_t, ahead_c) = (&ahead_t[start..end], &ahead_c[start..end]);
        let (due, both) = (&rows.due[start..end], &rows.exposures.both[start..end]);
        let mut sums = Sums {
            events: self.before.events,
            expected: self.expected,
            open: self.open,
            surplus: reach.surplus,
        };
        let mut stopped = None;
        for at in 0..end - start {
            let (x, y) = (treated[at], control[at]);
            let events = x + y;
            sums.expected[0] += ahead_t[at] * sums.events;
            sums.expected[1] += ahead_c[at] * sums.events;
            sums.events += events;
            sums.open[0].events += x;
            sums.open[1].events += y;
            sums.open[0].exposure += hours_t[at];
            sums.open[1].exposure += hours_c[at];
            sums.surplus += both[at] * (x - events * due[at]);
            let within = sums.surplus <= reach.ceiling && sums.surplus >= reach.floor;
            if !within || ripe(sums.expected) {
                stopped = Some(start + at);
                break;
            }
        }
        self.before.events = sums.events;
        self.expected = sums.expected;
        self.open = sums.open;
        reach.surplus = sums.surplus;
        stopped
    }
}
