//! The release's checks: sample ratio, null experiment, completeness.

use super::assess::{Look, minute};
use super::monitor::Monitor;
use super::null::log_chance_of_none;
use super::report::{
    Checks, CompletenessReport, EnrolmentReport, NullReport, SampleRatioReport, Signal,
};
use super::verdict::CheckVerdict;
use crate::model::{Minute, Role};

impl Monitor {
    pub(super) fn checks(&self, looks: &[Look]) -> Checks {
        let completeness = self.completeness();
        Checks {
            sample_ratio: self.sample_ratio(),
            null: self.null(looks, &completeness),
            completeness,
        }
    }

    fn sample_ratio(&self) -> SampleRatioReport {
        let enrolled: Vec<_> = (0..self.branches.len())
            .map(|branch| self.enrolment.and_then(|it| self.amount(branch, it)))
            .collect();
        let count = |branch: usize| enrolled[branch].map_or(0.0, |it| it.to_f64().max(0.0));
        let total: f64 = (0..enrolled.len()).map(count).sum();
        let sample = self.sample.as_ref().filter(|_| total > 0.0);
        let first_alarm = sample.and_then(|it| it.first_alarm());
        SampleRatioReport {
            verdict: match (sample, first_alarm) {
                (None, _) => CheckVerdict::NoData,
                (Some(_), Some(_)) => CheckVerdict::Invalid,
                (Some(_), None) => CheckVerdict::Healthy,
            },
            log_e: sample.map(|it| it.log_e()),
            first_alarm: minute(first_alarm),
            branches: (self.branches.iter().enumerate())
                .map(|(index, branch)| EnrolmentReport {
                    branch: branch.name.as_str().to_owned(),
                    planned: branch.share,
                    enrolled: enrolled[index],
                    share: (total > 0.0).then(|| count(index) / total),
                })
                .collect(),
        }
    }

    fn null(&self, looks: &[Look], completeness: &CompletenessReport) -> NullReport {
        let mut signals = Vec::new();
        if self.control.is_some() {
            self.must_differ(looks, &mut signals);
            self.too_identical(&mut signals);
            self.dead_branches(completeness, &mut signals);
            self.equivalent(looks, &mut signals);
        }
        let any = |verdict| signals.iter().any(|it: &Signal| it.verdict == verdict);
        let verdict = if any(CheckVerdict::Invalid) {
            CheckVerdict::Invalid
        } else if any(CheckVerdict::Healthy) {
            CheckVerdict::Healthy
        } else if any(CheckVerdict::Inconclusive) {
            CheckVerdict::Inconclusive
        } else {
            CheckVerdict::NoData
        };
        NullReport { verdict, signals }
    }

    fn signal(&self, signal: &'static str, branch: usize, metric: Option<usize>) -> Signal {
        Signal {
            signal,
            branch: self.branches[branch].name.as_str().to_owned(),
            metric: metric.map(|it| self.metrics[it].name.as_str().to_owned()),
            verdict: CheckVerdict::Inconclusive,
            log_e: None,
            first_alarm: None,
            note: String::new(),
        }
    }

    /// A metric declared to differ whose sequence shows that it does not.
    fn must_differ(&self, looks: &[Look], signals: &mut Vec<Signal>) {
        for (pair, look) in self.pairs.iter().zip(looks) {
            // Of vital metrics alone: a held one's sequence would be a look at
            // the decision.
            let Some(differs) = pair.differs else {
                continue;
            };
            let mut signal = self.signal("must differ", pair.branch, Some(pair.metric));
            let (lower, upper) = (look.ratio.lower, look.ratio.upper);
            let (least, inside) = (differs.least(), differs.inside(look.ratio));
            let apart = lower.is_some_and(|it| it > 1.0) || upper.is_some_and(|it| it < 1.0);
            let control = self.control.unwrap_or(pair.branch);
            let events = [pair.branch, control]
                .into_iter()
                .any(|it| self.branches[it].totals[pair.metric].units > 0);
            (signal.verdict, signal.note) = if !events {
                (CheckVerdict::NoData, "neither branch has an event".into())
            } else if inside {
                signal.first_alarm = minute(differs.first_alarm());
                let note = format!("the ratio to control is within {least} either way");
                (CheckVerdict::Invalid, note)
            } else if apart {
                (CheckVerdict::Healthy, "it differs".into())
            } else {
                let note = "not enough data to tell whether it differs";
                (CheckVerdict::Inconclusive, note.into())
            };
            signals.push(signal);
        }
    }

    /// Series that are the same events.
    fn too_identical(&self, signals: &mut Vec<Signal>) {
        for pair in &self.pairs {
            let Some(identical) = pair.identical.filter(|it| it.minutes() > 0) else {
                continue;
            };
            let mut signal = self.signal("too identical", pair.branch, Some(pair.metric));
            signal.log_e = Some(identical.log_e());
            signal.first_alarm = minute(identical.first_alarm());
            (signal.verdict, signal.note) = if identical.first_alarm().is_some() {
                let note = "the same counts as control, minute for minute";
                (CheckVerdict::Invalid, note.into())
            } else {
                (
                    CheckVerdict::Healthy,
                    "counts differ from minute to minute".into(),
                )
            };
            signals.push(signal);
        }
    }

    /// Branches planned, or met, of which nothing comes.
    fn dead_branches(&self, completeness: &CompletenessReport, signals: &mut Vec<Signal>) {
        for branch in (0..self.branches.len()).filter(|it| Some(*it) != self.control) {
            let mut signal = self.signal("dead branch", branch, self.pulse_metric);
            let planned = self.branches[branch].share.filter(|share| *share > 0.0);
            let enrolled = |branch: usize| {
                let total = self.enrolment.map(|it| self.branches[branch].totals[it]);
                total.map_or(0.0, |total| total.units.max(0) as f64)
            };
            let others: f64 = (0..self.branches.len()).map(enrolled).sum();
            if let (Some(share), true) = (planned, others > 0.0) {
                signal.metric = self
                    .enrolment
                    .map(|it| self.metrics[it].name.as_str().to_owned());
                let log_chance = log_chance_of_none(share, others);
                (signal.verdict, signal.note) = if enrolled(branch) > 0.0 {
                    (CheckVerdict::Healthy, "it has enrolments".into())
                } else if log_chance <= self.options.alpha.ln() {
                    let note = format!("none of {others} enrolments fell on it");
                    (CheckVerdict::Invalid, note)
                } else {
                    let note = "too few enrolments to tell".into();
                    (CheckVerdict::Inconclusive, note)
                };
                signals.push(signal);
                continue;
            }
            let pulse = self.branches[branch].pulse;
            let (since, alive) = pulse.silence();
            let whole = |at: u32| match self.whole_until {
                Some(whole) => at < whole.get() || completeness.verdict == CheckVerdict::Healthy,
                None => true,
            };
            (signal.verdict, signal.note) = match pulse.found_dead() {
                Some(at) if whole(at) => {
                    signal.first_alarm = minute(Some(at));
                    let what = if alive { "silent" } else { "no exposure" };
                    let since = Minute::clamped(u64::from(since));
                    let note = format!("{what} since {since}, while control has exposure");
                    (CheckVerdict::Invalid, note)
                }
                Some(_) => {
                    let note = "no exposure for an hour, but its minutes are not whole yet";
                    (CheckVerdict::Inconclusive, note.into())
                }
                None if alive => (CheckVerdict::Healthy, "it has exposure".into()),
                None => (CheckVerdict::NoData, "no exposure to tell from yet".into()),
            };
            signals.push(signal);
        }
    }

    /// Branches whose vital signs are all within the margin, either way: good
    /// news alone, and with another signal the mark of a null experiment.
    fn equivalent(&self, looks: &[Look], signals: &mut Vec<Signal>) {
        let margin = self.options.margin;
        for branch in (0..self.branches.len()).filter(|it| Some(*it) != self.control) {
            let mut vital = 0;
            let mut within = 0;
            for (pair, look) in self.pairs.iter().zip(looks) {
                if pair.branch == branch && self.metrics[pair.metric].role() == Role::Vital {
                    vital += 1;
                    let inside = look.ratio.lower.is_some_and(|it| it > 1.0 / margin)
                        && look.ratio.upper.is_some_and(|it| it < margin);
                    within += usize::from(inside);
                }
            }
            if vital > 0 && vital == within {
                let mut signal = self.signal("equivalent", branch, None);
                signal.verdict = CheckVerdict::Healthy;
                let other = signals
                    .iter()
                    .any(|it| it.branch == signal.branch && it.verdict == CheckVerdict::Invalid);
                signal.note = if other {
                    format!("null: every vital sign is within {margin} of control")
                } else {
                    format!("equivalent within {margin} on every vital sign")
                };
                signals.push(signal);
            }
        }
    }

    /// Crash reports arrive within minutes, usage hours when a session ends:
    /// evidence on minutes that still change is provisional. A concurrent
    /// control is late in the same way, so that comparing with it is immune.
    fn completeness(&self) -> CompletenessReport {
        let share = |metrics: &[usize]| {
            let totals = || {
                let branches = self.branches.iter();
                branches.flat_map(|it| metrics.iter().map(|metric| &it.totals[*metric]))
            };
            let all: f64 = totals().map(|it| it.units.max(0) as f64).sum();
            let whole: f64 = totals().map(|it| it.whole.max(0) as f64).sum();
            (all > 0.0).then(|| (whole / all).min(1.0))
        };
        let vital: Vec<usize> = (0..self.metrics.len())
            .filter(|it| self.metrics[*it].role() == Role::Vital)
            .collect();
        let mut per: Vec<usize> = vital
            .iter()
            .filter_map(|it| self.metric(self.metrics[*it].per.as_ref()?))
            .collect();
        per.sort_unstable();
        per.dedup();
        let declared = self.whole_until;
        CompletenessReport {
            verdict: match declared {
                None => CheckVerdict::NoData,
                Some(whole) if whole.get() >= self.as_of => CheckVerdict::Healthy,
                Some(_) => CheckVerdict::Incomplete,
            },
            whole_until: declared,
            events_whole: declared.and_then(|_| share(&vital)),
            exposure_whole: declared.and_then(|_| share(&per)),
        }
    }
}
