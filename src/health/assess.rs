//! From a monitor's state to its report.

use super::combined::{Evidence, Ratio};
use super::monitor::{Monitor, Pair, Total};
use super::report::{BranchReport, MetricReport, Report};
use super::verdict::{self, CheckVerdict, Findings, Verdict};
use super::{ebh, guard, rates, silence};
use crate::model::{Decimal, Minute, Name, Role};

/// What one pair says at this look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub evidence: Evidence,
    /// As tested, "worse" being "more".
    pub ratio: Ratio,
    pub worse: bool,
    pub better: bool,
}

/// What every metric's report needs.
struct Looked<'a> {
    looks: &'a [Look],
    /// Branch by branch, metric by metric, which pair it is.
    pairs: Vec<Option<usize>>,
    /// Of each metric the one it is a rate of.
    exposures: Vec<Option<usize>>,
    invalid: bool,
    /// The minute at which decision metrics open.
    opens: Option<Minute>,
}

impl Monitor {
    /// The report of all minutes seen.
    pub fn report(&mut self) -> Report {
        let looks = self.looks();
        let checks = self.checks(&looks);
        let invalid =
            [checks.sample_ratio.verdict, checks.null.verdict].contains(&CheckVerdict::Invalid);
        let looked = Looked {
            looks: &looks,
            pairs: self.places_of_pairs(),
            exposures: self.exposures(),
            invalid,
            opens: guard::opens_at(&self.release, self.first),
        };
        let mut branches: Vec<BranchReport> = (0..self.branches.len())
            .map(|branch| {
                let metrics: Vec<MetricReport> = (0..self.metrics.len())
                    .filter(|metric| self.metrics[*metric].role() != Role::Exposure)
                    .map(|metric| self.metric_report(branch, metric, &looked))
                    .collect();
                let judged = metrics.iter().filter(|it| counts(it));
                BranchReport {
                    branch: self.branches[branch].name.as_str().to_owned(),
                    verdict: verdict::together(judged.map(|it| it.verdict)),
                    metrics,
                }
            })
            .collect();
        let compared = (0..branches.len()).filter(|it| Some(*it) != self.control);
        let mut whole = verdict::together(compared.map(|it| branches[it].verdict));
        if invalid {
            whole = Verdict::Invalid;
        } else if self.control.is_none() {
            whole = Verdict::NoData;
        }
        if let Some(control) = self.control {
            branches[control].verdict = whole;
        }
        Report {
            release: self.release.name.as_str().to_owned(),
            as_of: Minute::clamped(u64::from(self.as_of)),
            control: self
                .control
                .map(|it| self.branches[it].name.as_str().to_owned()),
            alpha: self.options.alpha,
            margin: self.options.margin,
            verdict: whole,
            branches,
            checks,
            history: self.history_report(),
        }
    }

    fn places_of_pairs(&self) -> Vec<Option<usize>> {
        let metrics = self.metrics.len();
        let mut places = vec![None; self.branches.len() * metrics];
        for (at, pair) in self.pairs.iter().enumerate() {
            places[pair.branch * metrics + pair.metric] = Some(at);
        }
        places
    }

    fn exposures(&self) -> Vec<Option<usize>> {
        let of = |per: &Name| self.metric(per);
        let metrics = self.metrics.iter();
        metrics.map(|it| it.per.as_ref().and_then(of)).collect()
    }

    /// Every pair at this look, with e-BH over the vital ones.
    fn looks(&mut self) -> Vec<Look> {
        let alpha = self.options.alpha;
        let looked: Vec<(Evidence, Ratio)> = self
            .pairs
            .iter_mut()
            .map(|pair| (pair.test.evidence(), pair.test.ratio(alpha)))
            .collect();
        let vital: Vec<usize> = (0..self.pairs.len())
            .filter(|pair| self.metrics[self.pairs[*pair].metric].role() == Role::Vital)
            .collect();
        let all = self.metrics.iter().filter(|it| it.role() == Role::Vital);
        let hypotheses = all.count() * self.branches.len().saturating_sub(1);
        let step = |side: fn(&Evidence) -> f64| {
            let evidence: Vec<f64> = vital.iter().map(|pair| side(&looked[*pair].0)).collect();
            ebh::rejected(&evidence, hypotheses, alpha)
        };
        let (worse, better) = (step(|it| it.worse), step(|it| it.better));
        let alone = |log_e: f64| log_e >= (hypotheses.max(1) as f64 / alpha).ln();
        let mut looks: Vec<Look> = looked
            .iter()
            .map(|(evidence, ratio)| Look {
                evidence: *evidence,
                ratio: *ratio,
                worse: alone(evidence.worse),
                better: alone(evidence.better),
            })
            .collect();
        for (rank, pair) in vital.iter().enumerate() {
            (looks[*pair].worse, looks[*pair].better) = (worse[rank], better[rank]);
        }
        looks
    }

    fn metric_report(&self, branch: usize, metric: usize, looked: &Looked<'_>) -> MetricReport {
        let Looked { invalid, opens, .. } = *looked;
        let definition = &self.metrics[metric];
        let mut report = MetricReport::empty(&definition.name, definition.role());
        let held = definition.role() == Role::Decision
            && !self.options.read_decisions
            && opens.is_none_or(|opens| self.as_of < opens.get());
        if definition.role() == Role::Decision {
            report.opens_at = opens;
        }
        let found = looked.pairs[branch * self.metrics.len() + metric];
        let found = found.map(|at| (&self.pairs[at], &looked.looks[at]));
        if held {
            report.verdict = if invalid {
                Verdict::Invalid
            } else {
                Verdict::Held
            };
            if let Some(guard) = found.and_then(|(pair, _)| pair.guard.as_ref()) {
                report.first_alarm = minute(guard.first_alarm());
                if report.first_alarm.is_some() && !invalid {
                    report.verdict = Verdict::Regressed;
                    report.note = Some("its guard alarms: worse than the margin tolerates".into());
                }
            }
            return report;
        }
        let own = self.branches[branch].totals[metric];
        let exposure = looked.exposures[metric];
        report.events = self.amount(branch, metric);
        report.exposure = exposure.and_then(|it| self.amount(branch, it));
        report.rate = rate_of(report.events, report.exposure);
        let now = |branch: usize| self.rate_now(branch, metric, exposure?);
        report.rate_now = now(branch);
        if definition.role() == Role::Enrolment {
            report.verdict = self.enrolment_verdict(own, invalid);
            return report;
        }
        let Some(control) = self.control.filter(|control| *control != branch) else {
            report.verdict = self.uncompared(branch, own, invalid, &mut report.note);
            return report;
        };
        report.control_events = self.amount(control, metric);
        report.control_exposure = exposure.and_then(|it| self.amount(control, it));
        report.control_rate = rate_of(report.control_events, report.control_exposure);
        report.control_rate_now = now(control);
        let Some((pair, look)) = found else {
            report.note = Some(match &definition.per {
                None => "it has no exposure metric to be a rate of".into(),
                Some(per) => format!("{per}, the metric it is a rate of, is no counter or sum"),
            });
            report.verdict = if invalid {
                Verdict::Invalid
            } else {
                Verdict::NoData
            };
            return report;
        };
        self.compare(pair, look, invalid, &mut report);
        report
    }

    fn compare(&self, pair: &Pair, look: &Look, invalid: bool, report: &mut MetricReport) {
        let definition = &self.metrics[pair.metric];
        let margin = self.options.margin;
        let positive = |amount: Option<Decimal>| amount.is_some_and(|it| it.units > 0);
        let exposed = positive(report.exposure) && positive(report.control_exposure);
        let events = positive(report.events) || positive(report.control_events);
        let first_alarm = pair.test.first_alarm();
        let findings = Findings {
            invalid,
            held: false,
            data: exposed && events,
            silent: self.silence(pair).is_some_and(|it| it.whole),
            bad_side: definition.worse.is_some(),
            better: look.better,
            worse: look.worse || first_alarm.is_some(),
            lower: look.ratio.lower,
            upper: look.ratio.upper,
            margin,
        };
        report.verdict = verdict::choose(&findings);
        if findings.data {
            let ratio = pair.shown(look.ratio);
            (report.ratio, report.ratio_lower, report.ratio_upper) =
                (ratio.estimate, ratio.lower, ratio.upper);
            if definition.worse.is_some() {
                report.log_e = Some(look.evidence.worse);
                report.first_alarm = minute(first_alarm);
            }
        }
        if report.verdict == Verdict::Inconclusive {
            let amounts = [report.events, report.control_events].into_iter().flatten();
            let events = amounts.map(Decimal::to_f64).sum();
            let ends = (look.ratio.lower, look.ratio.upper);
            report.events_needed =
                verdict::events_needed(events, look.ratio.estimate, ends, margin);
        }
        report.note = self.remark(pair, look, &findings, report);
    }

    fn remark(
        &self,
        pair: &Pair,
        look: &Look,
        findings: &Findings,
        report: &MetricReport,
    ) -> Option<String> {
        let control = self.control?;
        let silent = |metric: usize| {
            let last = |branch: usize| self.branches[branch].totals[metric].last;
            let (own, other) = (last(pair.branch), last(control)?);
            own.is_none_or(|own| own + silence::MINUTES < other)
                .then_some(own)
        };
        let since = |last: Option<u32>, what: &str| match minute(last) {
            Some(last) => format!("{what} of this branch went silent after {last}"),
            None => format!("{what} of this branch never came"),
        };
        let exposure = &self.metrics[pair.exposure].name;
        if let Some(last) = silent(pair.exposure) {
            return Some(since(last, exposure));
        }
        if !findings.data {
            let zero = |amount: Option<Decimal>| amount.is_none_or(|it| it.units <= 0);
            if zero(report.control_exposure) {
                return Some(format!("control has no {exposure}"));
            }
            if zero(report.exposure) {
                return Some(format!("this branch has no {exposure}"));
            }
            return Some("neither branch has an event".into());
        }
        if let Some(silence) = self.silence(pair) {
            return Some(since(silence.last, &self.metrics[pair.metric].name));
        }
        let (lower, upper) = (look.ratio.lower, look.ratio.upper);
        if let (Verdict::Healthy, true, Some(lower), Some(upper)) =
            (report.verdict, findings.bad_side, lower, upper)
            && lower > 1.0
        {
            let percent = |ratio: f64| (ratio - 1.0) * 100.0;
            return Some(format!(
                "worse by {:.1}–{:.1} %, within the tolerated {:.0} %",
                percent(lower),
                percent(upper),
                percent(self.options.margin)
            ));
        }
        if look.ratio == Ratio::default() {
            let note = "too few events in minutes in which both branches have";
            return Some(format!("{note} {exposure}"));
        }
        let lag = pair.test.autocorrelation()?;
        Some(format!(
            "burst length too short: blocks are correlated by {lag:.2}"
        ))
    }

    /// Of a metric of control, or of any where there is no control.
    fn uncompared(
        &self,
        branch: usize,
        own: Total,
        invalid: bool,
        note: &mut Option<String>,
    ) -> Verdict {
        if self.control.is_none() {
            *note = Some("no concurrent control: what is seen is observational".into());
        }
        let is_control = self.control == Some(branch);
        match (invalid, own.first.is_some()) {
            (true, _) => Verdict::Invalid,
            (false, false) => Verdict::NoData,
            // Control is what the others are held against.
            (false, true) if is_control => Verdict::Healthy,
            (false, true) => Verdict::Inconclusive,
        }
    }

    fn enrolment_verdict(&self, own: Total, invalid: bool) -> Verdict {
        match (invalid, own.first.is_some()) {
            (true, _) => Verdict::Invalid,
            (false, true) => Verdict::Healthy,
            (false, false) => Verdict::NoData,
        }
    }

    /// The rate of the last hour before the present.
    fn rate_now(&self, branch: usize, metric: usize, exposure: usize) -> Option<f64> {
        let sum = |metric: usize| {
            let units = self.recent[branch * self.metrics.len() + metric].sum(self.as_of);
            let decimals = self.metrics[metric].kind.decimals();
            Decimal { units, decimals }.to_f64()
        };
        rates::rate(sum(metric), sum(exposure))
    }

    /// The exact total of a series; none where it has no cell.
    pub(super) fn amount(&self, branch: usize, metric: usize) -> Option<Decimal> {
        let total = self.branches[branch].totals[metric];
        let decimals = self.metrics[metric].kind.decimals();
        total.first.map(|_| Decimal {
            units: total.units,
            decimals,
        })
    }
}

impl Pair {
    /// A ratio as it is shown: of the branch to control, whichever side is worse.
    pub(super) fn shown(&self, ratio: Ratio) -> Ratio {
        if !self.swapped {
            return ratio;
        }
        let inverse = |value: f64| Some(1.0 / value).filter(|it| it.is_finite());
        Ratio {
            estimate: self.test.inverse_estimate(),
            lower: ratio.upper.and_then(inverse),
            upper: ratio.lower.and_then(inverse),
        }
    }
}

/// Whether a metric's verdict counts for its branch: vital signs do, and
/// decision metrics whose guard alarms or whose window is whole.
fn counts(report: &MetricReport) -> bool {
    report.role != Role::Enrolment && report.verdict != Verdict::Held || report.role == Role::Vital
}

fn rate_of(events: Option<Decimal>, exposure: Option<Decimal>) -> Option<f64> {
    rates::rate(events?.to_f64(), exposure?.to_f64())
}

pub(super) fn minute(at: Option<u32>) -> Option<Minute> {
    at.map(|at| Minute::clamped(u64::from(at)))
}

impl MetricReport {
    fn empty(metric: &str, role: Role) -> Self {
        MetricReport {
            metric: metric.to_string(),
            role,
            verdict: Verdict::NoData,
            events: None,
            exposure: None,
            rate: None,
            control_events: None,
            control_exposure: None,
            control_rate: None,
            rate_now: None,
            control_rate_now: None,
            ratio: None,
            ratio_lower: None,
            ratio_upper: None,
            log_e: None,
            first_alarm: None,
            opens_at: None,
            events_needed: None,
            note: None,
        }
    }
}
