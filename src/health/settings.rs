//! How two arms are compared.

use super::grid::{Grid, Prior};

/// What alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Nothing: evidence is only read when asked for.
    Nothing,
    /// "T's rate is more than the margin times C's."
    Worse,
    /// "The rates differ."
    Either,
}

/// How two arms are compared.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Burst length L: the longest one fault of one user goes on.
    pub burst_minutes: u32,
    /// Burst bound b: the most events one fault of one user sends.
    pub burst_events: u32,
    /// Each event is independent: the exact test alone, without tempering.
    pub independent: bool,
    /// What alarms.
    pub watch: Watch,
    /// The ratio beyond which "worse" begins; 1 or more.
    pub margin: f64,
    /// ln of the evidence at which the alarm is raised.
    pub log_threshold: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            burst_minutes: 30,
            burst_events: 80,
            independent: false,
            watch: Watch::Worse,
            margin: 1.0,
            log_threshold: 20f64.ln(),
        }
    }
}

impl Settings {
    /// What S is divided by.
    pub(super) fn burst(&self) -> f64 {
        if self.independent {
            1.0
        } else {
            f64::from(self.burst_events.max(1))
        }
    }

    pub(super) fn margin_watched(&self) -> f64 {
        match self.watch {
            Watch::Either => 1.0,
            _ => self.margin,
        }
    }

    pub(super) fn prior<'a>(&self, grid: &'a Grid) -> &'a Prior {
        match self.watch {
            Watch::Either => &grid.either,
            _ => &grid.worse,
        }
    }
}
