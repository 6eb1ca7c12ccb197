//! Verdicts that stay true when everyone peeks every minute.
//!
//! [`Snapshot::health`](crate::Snapshot::health) asks for the [`Report`] of a
//! release. Beneath it all is pure, without files, clocks or queries: [`assess`]
//! makes a report of [`Observations`] (definitions, and columns of minutes with
//! exact counts), and a service that asks every minute keeps a [`Monitor`]. [`Comparison`] is the
//! test beneath, of one arm against another. The statistics, their sources and
//! what proves them are in `docs/health.md`.
//!
//! ```
//! use hotstove::health::{Arm, Comparison, Settings};
//!
//! let mut test = Comparison::new(Settings::default());
//! for minute in 0..600 {
//!     // 60 crashes in 1,000 hours of treatment, 40 in 1,000 of control.
//!     test.add(minute, Arm::new(60.0, 1_000.0), Arm::new(40.0, 1_000.0));
//! }
//! assert!(test.first_alarm().is_some_and(|minute| minute < 240));
//! let ratio = test.ratio(0.05);
//! assert!(ratio.lower.is_some_and(|lower| lower > 1.0));
//! ```

mod adoption;
mod answers;
mod apart;
mod aside;
mod assess;
mod bets;
mod bins;
mod blocks;
mod cells;
mod checks;
mod claimed;
mod combined;
mod counted;
mod days;
mod drift;
mod ebh;
mod exact;
mod exposures;
mod feed;
mod gather;
mod grid;
mod guard;
mod heights;
mod history;
mod identical;
mod input;
mod likelihood;
mod logspace;
mod monitor;
mod null;
mod rates;
mod ratio;
mod recent;
mod report;
mod request;
mod root;
mod sequence;
mod settings;
mod shares;
mod silence;
mod stride;
mod threads;
mod trace;
mod track;
mod vectors;
mod verdict;
mod walk;

pub use combined::{Comparison, Evidence, Ratio, Settings, Watch};
pub use feed::Cell;
pub use input::{BranchData, Column, Observations, Options, Past, Units};
pub use monitor::{Monitor, assess, assess_traced};
pub use rates::{Window, adjusted, at_age, median, minute_of_adoption, rate};
pub use report::{
    BranchReport, Checks, CompletenessReport, EnrolmentReport, HistoryReport, MetricReport,
    NullReport, Report, SampleRatioReport, Signal,
};
pub use request::Request;
pub use trace::{BranchTrace, PairTrace, Trace};
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

    /// With 0 for what is negative, next to nothing or not a number, and 1e40 (beyond any
    /// 128-bit count) for what is larger.
    pub(crate) fn clean(self) -> Self {
        let clean = |value: f64| if value > 1e-60 { value.min(1e40) } else { 0.0 };
        Arm {
            events: clean(self.events),
            exposure: clean(self.exposure),
        }
    }
}
