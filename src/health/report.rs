//! The report: plain values, and with the feature `serde` the JSON of
//! `hotstove health --format json`.
//!
//! Minutes are RFC 3339 strings, rates are per 1,000 units of exposure, what
//! does not apply is null. No number is ever NaN or infinite.

use super::verdict::{CheckVerdict, Verdict};
use crate::model::{Decimal, Minute, Role};

/// What is said of one release at one minute.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// The release.
    pub release: String,
    /// Minutes before this one are in it.
    pub as_of: Minute,
    /// The branch the others are compared with.
    pub control: Option<String>,
    /// The chance of a false alarm over the life of the release.
    pub alpha: f64,
    /// The ratio tolerated.
    pub margin: f64,
    /// Of the whole release.
    pub verdict: Verdict,
    /// Every branch declared and every branch with a cell, control included.
    pub branches: Vec<BranchReport>,
    /// Whether what is said of metrics can be believed.
    pub checks: Checks,
    /// Against earlier releases, where asked for; observational, never an alarm.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Vec::is_empty"))]
    pub history: Vec<HistoryReport>,
}

/// Of one branch.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BranchReport {
    /// The branch.
    pub branch: String,
    /// Of all its vital metrics and guards; of control, the release's.
    pub verdict: Verdict,
    /// Every vital, decision and enrolment metric with a definition or a cell.
    pub metrics: Vec<MetricReport>,
}

/// Of one metric of one branch. A held metric's numbers are all none.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct MetricReport {
    /// The metric.
    pub metric: String,
    /// Its role.
    pub role: Role,
    /// Against control.
    pub verdict: Verdict,
    /// Σ events, exact.
    #[cfg_attr(feature = "serde", serde(serialize_with = "json::amount"))]
    pub events: Option<Decimal>,
    /// Σ exposure, exact.
    #[cfg_attr(feature = "serde", serde(serialize_with = "json::amount"))]
    pub exposure: Option<Decimal>,
    /// Events per 1,000 units of exposure.
    pub rate: Option<f64>,
    /// Σ events of control.
    #[cfg_attr(feature = "serde", serde(serialize_with = "json::amount"))]
    pub control_events: Option<Decimal>,
    /// Σ exposure of control.
    #[cfg_attr(feature = "serde", serde(serialize_with = "json::amount"))]
    pub control_exposure: Option<Decimal>,
    /// Control's events per 1,000 units of exposure.
    pub control_rate: Option<f64>,
    /// Rate of the last hour: right now, beside to date. Late hours make it
    /// higher than it will turn out.
    pub rate_now: Option<f64>,
    /// Control's rate of the last hour.
    pub control_rate_now: Option<f64>,
    /// The ratio of the rates, minute for minute (so that it is not the
    /// quotient of the two rates above while a roll-out ramps).
    pub ratio: Option<f64>,
    /// Lower end of its confidence sequence; none where not reached.
    pub ratio_lower: Option<f64>,
    /// Upper end of its confidence sequence; none where not reached.
    pub ratio_upper: Option<f64>,
    /// ln of the evidence for "worse" at this look.
    pub log_e: Option<f64>,
    /// The first minute at which it reached its threshold.
    pub first_alarm: Option<Minute>,
    /// When a decision metric may be read.
    pub opens_at: Option<Minute>,
    /// About how many more events of both arms would decide the margin.
    pub events_needed: Option<f64>,
    /// What a reader should know besides.
    pub note: Option<String>,
}

/// Whether what is said of metrics can be believed.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Checks {
    /// Is the split what was planned?
    pub sample_ratio: SampleRatioReport,
    /// Is the treatment really different from control?
    pub null: NullReport,
    /// Are the data whole?
    pub completeness: CompletenessReport,
}

/// Enrolments against planned shares.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SampleRatioReport {
    /// Invalid at evidence of a thousand, at any look.
    pub verdict: CheckVerdict,
    /// ln of the evidence at this look.
    pub log_e: Option<f64>,
    /// The first minute at which it reached a thousand.
    pub first_alarm: Option<Minute>,
    /// Branch by branch.
    pub branches: Vec<EnrolmentReport>,
}

/// Enrolments of one branch.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct EnrolmentReport {
    /// The branch.
    pub branch: String,
    /// Its planned share.
    pub planned: Option<f64>,
    /// Enrolled so far.
    #[cfg_attr(feature = "serde", serde(serialize_with = "json::amount"))]
    pub enrolled: Option<Decimal>,
    /// Share of all enrolled.
    pub share: Option<f64>,
}

/// The signals of a null experiment.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NullReport {
    /// Invalid where a signal alarms.
    pub verdict: CheckVerdict,
    /// Every signal that could be judged.
    pub signals: Vec<Signal>,
}

/// One signal of a null experiment.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Signal {
    /// `must differ`, `too identical`, `dead branch` or `equivalent`.
    pub signal: &'static str,
    /// The branch.
    pub branch: String,
    /// The metric, where it is about one.
    pub metric: Option<String>,
    /// Invalid where it alarms. `equivalent` alone never does.
    pub verdict: CheckVerdict,
    /// ln of the evidence, where there is one.
    pub log_e: Option<f64>,
    /// When it alarmed.
    pub first_alarm: Option<Minute>,
    /// In words.
    pub note: String,
}

/// Which part of the evidence no longer changes.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CompletenessReport {
    /// Incomplete where minutes seen may still change; no data where no
    /// watermark is declared.
    pub verdict: CheckVerdict,
    /// Minutes before this one are whole.
    pub whole_until: Option<Minute>,
    /// Share of the events of vital metrics that lie before it, 0 to 1.
    pub events_whole: Option<f64>,
    /// Share of their exposure that lies before it, 0 to 1.
    pub exposure_whole: Option<f64>,
}

/// One metric against earlier releases at the same age.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HistoryReport {
    /// The metric.
    pub metric: String,
    /// Minutes since the release went public.
    pub age: u32,
    /// Incomplete unless a watermark says that the data are whole: a new
    /// release with late hours looks terrible against history. Never an alarm.
    pub verdict: CheckVerdict,
    /// Rate of this release, all branches.
    pub rate: Option<f64>,
    /// Median rate of the earlier ones at this age.
    pub baseline: Option<f64>,
    /// rate / baseline.
    pub ratio: Option<f64>,
    /// The earlier releases with data at this age.
    pub releases: Vec<String>,
    /// Mission Control's adjusted rate: once the release is out for more than
    /// 48 hours its first 24 are left out, and of the hours that remain the
    /// highest 0.1 % by rate.
    pub adjusted_rate: Option<f64>,
    /// The median of the earlier releases' adjusted rates at this age.
    pub adjusted_baseline: Option<f64>,
    /// The release's share of all exposure in the store over the last day, 0 to 1.
    pub adoption: Option<f64>,
    /// The median rate to date of the earlier ones when they had that share.
    pub adoption_baseline: Option<f64>,
}

#[cfg(feature = "serde")]
mod json {
    use serde::{Serialize, Serializer};

    use crate::health::verdict::{CheckVerdict, Verdict};
    use crate::model::{Decimal, Minute, Role};

    /// An exact amount as a number: an integer wherever it is one.
    pub fn amount<S: Serializer>(amount: &Option<Decimal>, out: S) -> Result<S::Ok, S::Error> {
        match amount {
            None => out.serialize_none(),
            Some(amount) if amount.decimals == 0 => match i64::try_from(amount.units) {
                Ok(units) => out.serialize_i64(units),
                Err(_) => out.serialize_i128(amount.units),
            },
            Some(amount) => out.serialize_f64(amount.to_f64()),
        }
    }

    impl Serialize for Minute {
        fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
            out.collect_str(self)
        }
    }

    impl Serialize for Role {
        fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
            out.serialize_str(self.as_str())
        }
    }

    impl Serialize for Verdict {
        fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
            out.serialize_str(self.as_str())
        }
    }

    impl Serialize for CheckVerdict {
        fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
            out.serialize_str(self.as_str())
        }
    }
}
