//! A metric that stopped coming, or never came, is a finding and no good news.
//!
//! Fewer crashes than control may be a repair, and may be a probe that sends no
//! more: by counts alone they are the same. What tells them apart is how long
//! *nothing at all* came while control went on. Had the branch control's rate, so
//! many events would have fallen into its silence:
//!
//! ```text
//! missed = x_C/e_C · e_T · (minutes of silence)/(minutes of control)
//! ```
//!
//! Were all events to come in bursts of b at control's rate, none would come with
//! the chance e^(−missed/b): beyond 3·b at most one time in twenty, and of
//! independent events (at least 20) practically never.

use super::monitor::{Monitor, Pair};
use crate::model::Decimal;

/// Minutes without a cell, while control has some, that may be a silence.
pub const MINUTES: u32 = 60;
/// Events missed from which on a silence is worth a word.
const WORTH_A_WORD: f64 = 20.0;
/// … and bursts' worth of them from which on there is nothing to tell from.
const BURSTS: f64 = 3.0;

/// A branch's metric that does not come any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Silence {
    /// The minute of its last cell; none where it never came.
    pub last: Option<u32>,
    /// Whether what it said before is no longer to be told from.
    pub whole: bool,
}

impl Monitor {
    /// Whether a metric went silent in a branch while control's goes on.
    pub(super) fn silence(&self, pair: &Pair) -> Option<Silence> {
        let control = self.control?;
        let total = |branch: usize| &self.branches[branch].totals[pair.metric];
        let (own, other) = (total(pair.branch), total(control));
        let (first, last) = (other.first?, other.last?);
        let minutes = last - first + 1;
        let silent = match own.last {
            Some(own) => last.saturating_sub(own),
            None => minutes,
        };
        if silent <= MINUTES {
            return None;
        }
        let amount = |branch: usize, metric: usize| {
            let amount = self.amount(branch, metric);
            amount.map_or(0.0, Decimal::to_f64).max(0.0)
        };
        let rate = amount(control, pair.metric) / amount(control, pair.exposure);
        let share = (f64::from(silent) / f64::from(minutes)).min(1.0);
        let missed = rate * amount(pair.branch, pair.exposure) * share;
        // Without exposure of control there is no number, and nothing is missed.
        (missed.is_finite() && missed >= WORTH_A_WORD).then(|| {
            let metric = &self.metrics[pair.metric];
            let burst = match metric.independent {
                Some(true) => 1,
                _ => metric.burst_events.unwrap_or(80),
            };
            Silence {
                last: own.last,
                whole: missed >= BURSTS * f64::from(burst),
            }
        })
    }
}
