//! The null experiment: is the treatment really different from control?
//!
//! A dead branch and a must-differ metric; series that are too identical are in
//! [`super::identical`], and equivalence reads confidence sequences.

use super::combined::Ratio;

/// Minutes in a row in which control has exposure and a dead branch none.
const SILENT_MINUTES: u32 = 60;

/// Does a branch live at all?
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse {
    /// Exposed minutes of control in a row without one of this branch.
    silent: u32,
    last: u32,
    /// The minute after which nothing came; where the run began.
    since: u32,
    alive: bool,
    first_alarm: Option<u32>,
}

impl Pulse {
    /// Adds a minute's exposures; minutes where both are 0 may be left out.
    #[inline]
    pub fn add(&mut self, minute: u32, treatment: f64, control: f64) {
        if treatment > 0.0 {
            (self.silent, self.alive, self.first_alarm) = (0, true, None);
            return;
        }
        if control <= 0.0 {
            self.silent = 0;
            return;
        }
        if self.silent > 0 && self.last + 1 == minute {
            self.silent += 1;
        } else {
            (self.silent, self.since) = (1, minute);
        }
        self.last = minute;
        if self.silent >= SILENT_MINUTES && self.first_alarm.is_none() {
            self.first_alarm = Some(minute);
        }
    }

    /// The minute at which the branch was found dead, unless it came back.
    pub fn found_dead(&self) -> Option<u32> {
        self.first_alarm
    }

    /// Where the silence began, and whether there was life before it.
    pub fn silence(&self) -> (u32, bool) {
        (self.since, self.alive)
    }
}

/// The chance that none of `others` enrolments fell on a branch of this share,
/// were the split as planned, as a logarithm.
pub fn log_chance_of_none(share: f64, others: f64) -> f64 {
    if share >= 1.0 {
        return if others > 0.0 { -1e9 } else { 0.0 };
    }
    others * (-share).ln_1p()
}

/// A metric declared to differ, looked at once an hour: at the first minute with
/// exposure of each hour, on what was seen before it.
///
/// The hours are those of the clock, so that what is found never depends on
/// when somebody else looked.
#[derive(Clone, Copy, Debug)]
pub struct MustDiffer {
    /// The least ratio that counts.
    least: f64,
    alpha: f64,
    hour: u32,
    first_alarm: Option<u32>,
}

impl MustDiffer {
    /// Before the first minute.
    pub fn new(least: f64, alpha: f64) -> Self {
        MustDiffer {
            least,
            alpha,
            hour: 0,
            first_alarm: None,
        }
    }

    /// Whether a new hour has begun.
    pub fn is_due(&self, minute: u32) -> bool {
        minute / 60 != self.hour
    }

    /// Looks, if it has not alarmed yet.
    pub fn look(&mut self, minute: u32, ratio: impl FnOnce(f64) -> Ratio) {
        let first = self.hour == 0;
        self.hour = minute / 60;
        if self.first_alarm.is_none() && !first && self.inside(ratio(self.alpha)) {
            self.first_alarm = Some(minute);
        }
    }

    /// Whether a sequence shows that the ratio is too near to 1.
    pub fn inside(&self, ratio: Ratio) -> bool {
        let (lower, upper) = (ratio.lower, ratio.upper);
        lower.is_some_and(|it| it > 1.0 / self.least) && upper.is_some_and(|it| it < self.least)
    }

    /// The least ratio that counts as different.
    pub fn least(&self) -> f64 {
        self.least
    }

    /// The minute of the first look at which it was.
    pub fn first_alarm(&self) -> Option<u32> {
        self.first_alarm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_dead_after_an_hour_and_may_come_back() {
        let mut pulse = Pulse::default();
        for minute in 0..59 {
            pulse.add(minute, 0.0, 1.0);
        }
        assert_eq!(pulse.found_dead(), None);
        pulse.add(59, 0.0, 1.0);
        assert_eq!(
            (pulse.found_dead(), pulse.silence()),
            (Some(59), (0, false))
        );
        pulse.add(60, 2.0, 1.0);
        assert_eq!(pulse.found_dead(), None);
        for minute in (61..300).step_by(2) {
            pulse.add(minute, 0.0, 1.0);
        }
        assert_eq!(pulse.found_dead(), None, "not in a row");
    }

    #[test]
    fn enrolments_that_never_come() {
        assert!(log_chance_of_none(0.5, 4.0) > 0.05f64.ln());
        assert!(log_chance_of_none(0.5, 5.0) < 0.05f64.ln());
        assert_eq!(log_chance_of_none(1.0, 0.0), 0.0);
        assert!(log_chance_of_none(1.0, 1.0).is_finite());
    }
}
