//! Verdicts that stay true when everyone peeks every minute.

mod assess;
mod bets;
mod blocks;
mod checks;
mod combined;
mod ebh;
mod exact;
mod grid;
mod guard;
mod input;
mod likelihood;
mod logspace;
mod monitor;
mod null;
mod rates;
mod ratio;
mod report;
mod root;
mod sequence;
mod verdict;

pub use combined::{Comparison, Evidence, Ratio, Settings, Watch};
pub use input::{BranchData, Column, Observations, Options, Past, Units};
pub use monitor::{Cell, Monitor, assess};
pub use rates::{Window, adjusted, at_age, median, minute_of_adoption, rate};
pub use report::{
    BranchReport, Checks, CompletenessReport, EnrolmentReport, HistoryReport, MetricReport,
    NullReport, Report, SampleRatioReport, Signal,
};
pub use verdict::{CheckVerdict, Verdict};

/// Events and exposure of one arm in one minute (or summed over some).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Arm {
    /// Events, such as crashes.
    pub events: f64,
    /// Exposure, such as usage hours; any unit, the same for both arms.
    pub exposure: f64,
}

impl Arm {
    /// Events at an exposure.
    #[must_use]
    pub const fn new(events: f64, exposure: f64) -> Self {
        Arm { events, exposure }
    }

    pub(crate) fn add(&mut self, other: Arm) {
        self.events += other.events;
        self.exposure += other.exposure;
    }

    /// With 0 for what is negative or not a number, and 1e40 (beyond any
    /// 128-bit count) for what is larger.
    pub(crate) fn clean(self) -> Self {
        let clean = |value: f64| if value > 0.0 { value.min(1e40) } else { 0.0 };
        Arm {
            events: clean(self.events),
            exposure: clean(self.exposure),
        }
    }
}
