//! What a report says, in sentences: the same ones on a terminal and a page.

use hotstove::Role;
use hotstove::health::{CheckVerdict, HistoryReport, MetricReport, Report, Signal, Verdict};

use crate::print::grouped_decimal;

/// The verdict in one sentence.
pub fn headline(report: &Report) -> String {
    let tolerated = percent(report.margin - 1.0);
    match report.verdict {
        Verdict::Regressed => format!("worse than control: {}", named(report, Verdict::Regressed)),
        Verdict::Improved => format!(
            "better than control: {}; nothing is worse",
            named(report, Verdict::Improved)
        ),
        Verdict::Healthy => format!("no vital sign is worse than control by more than {tolerated}"),
        Verdict::Inconclusive => {
            let open = [Verdict::Inconclusive, Verdict::NoData].map(|it| named(report, it));
            let open = open.into_iter().find(|it| !it.is_empty());
            match (open, &report.control) {
                (_, None) => "no control to compare with: what is seen is observational".into(),
                (Some(open), _) => format!("not enough data to tell yet: {open}"),
                (None, _) => "not enough data to tell yet".into(),
            }
        }
        Verdict::NoData if report.control.is_none() => {
            "no control to compare with: what is seen is observational".into()
        }
        Verdict::NoData => "there are no data to tell from".into(),
        Verdict::Held => "only metrics that are held back until their window is whole".into(),
        Verdict::Invalid => {
            "a check alarms, so that no comparison of metrics can be believed".into()
        }
        other => other.to_string(),
    }
}

/// The metrics with a verdict, as `crashes (rollout)`; at most a handful.
pub fn named(report: &Report, verdict: Verdict) -> String {
    let metrics = compared(report).filter(|(_, metric)| metric.verdict == verdict);
    let names: Vec<String> = metrics
        .map(|(branch, metric)| format!("{} ({branch})", metric.metric))
        .collect();
    listed(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// At most a handful of names.
pub fn listed(names: &[&str]) -> String {
    let mut text = names[..names.len().min(4)].join(", ");
    if names.len() > 4 {
        text.push_str(&format!(" and {} more", names.len() - 4));
    }
    text
}

/// Vital and decision metrics of the branches that are compared.
pub fn compared(report: &Report) -> impl Iterator<Item = (&str, &MetricReport)> {
    let others = report
        .branches
        .iter()
        .filter(|branch| Some(&branch.branch) != report.control.as_ref());
    others.flat_map(|branch| {
        let metrics = branch.metrics.iter();
        let judged = metrics.filter(|metric| metric.role != Role::Enrolment);
        judged.map(|metric| (branch.branch.as_str(), metric))
    })
}

/// How enrolments were split.
pub fn split(report: &Report) -> String {
    let branches = report.checks.sample_ratio.branches.iter();
    let parts: Vec<String> = branches
        .map(|branch| {
            let share = branch.share.map_or("nobody".into(), percent);
            match branch.planned {
                Some(planned) => format!("{} {share}, planned {}", branch.branch, percent(planned)),
                None => format!("{} {share}", branch.branch),
            }
        })
        .collect();
    parts.join("; ")
}

/// The confidence sequence: `0.98–1.04`, an open end where none is reached.
pub fn range(metric: &MetricReport) -> Option<String> {
    match (metric.ratio_lower, metric.ratio_upper) {
        (Some(lower), Some(upper)) => {
            Some(format!("{}–{}", significant(lower), significant(upper)))
        }
        (Some(lower), None) => Some(format!("above {}", significant(lower))),
        (None, Some(upper)) => Some(format!("below {}", significant(upper))),
        (None, None) => None,
    }
}

/// Of each check its name, verdict and what there is to say.
pub fn checks(report: &Report) -> Vec<(&'static str, CheckVerdict, String)> {
    let checks = &report.checks;
    let whole = match checks.completeness.whole_until {
        Some(until) => {
            let share = |share: Option<f64>, what: &str| {
                share.map_or(String::new(), |it| format!(", {} of {what}", percent(it)))
            };
            let events = share(checks.completeness.events_whole, "events");
            let exposure = share(checks.completeness.exposure_whole, "exposure");
            format!("whole until {until}{events}{exposure} before it")
        }
        None => "not every source has said how far it is whole".into(),
    };
    let mut rows = vec![(
        "sample ratio",
        checks.sample_ratio.verdict,
        match checks.sample_ratio.verdict {
            CheckVerdict::NoData => "no enrolments against planned shares".into(),
            _ => split(report),
        },
    )];
    rows.push(("null experiment", checks.null.verdict, signals(report)));
    rows.push(("completeness", checks.completeness.verdict, whole));
    rows
}

/// A metric against history.
pub fn past(past: &HistoryReport) -> String {
    if past.releases.is_empty() {
        return "no earlier release has both events and exposure at this age".into();
    }
    let both =
        |own: Option<f64>, other: Option<f64>| format!("{} against {}", rate(own), rate(other));
    let mut text = format!(
        "{} at an age of {}",
        both(past.rate, past.baseline),
        age(past.age)
    );
    if past.adjusted_rate.is_some() {
        let adjusted = both(past.adjusted_rate, past.adjusted_baseline);
        text.push_str(&format!(", adjusted {adjusted}"));
    }
    if let Some(adoption) = past.adoption {
        let alike = both(past.rate, past.adoption_baseline);
        text.push_str(&format!(
            ", {alike} at an adoption of {}",
            percent(adoption)
        ));
    }
    let whom = match past.releases.as_slice() {
        [one] => one.clone(),
        many => format!("the median of {}", many.join(", ")),
    };
    format!("{text}, of {whom}; observational, never an alarm")
}

/// `13 d 4 h`, `4 h 5 min`.
fn age(minutes: u32) -> String {
    let (days, hours, minutes) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, hours) => format!("{hours} h {minutes} min"),
        (days, hours) => format!("{days} d {hours} h"),
    }
}

/// The signals of a null experiment, those alike together.
fn signals(report: &Report) -> String {
    let mut notes: Vec<(String, Vec<&str>)> = Vec::new();
    let signals = &report.checks.null.signals;
    // What is as it should be needs no words, but where it is good news.
    let told = |it: &&Signal| {
        it.verdict != CheckVerdict::Healthy || ["equivalent", "must differ"].contains(&it.signal)
    };
    let mut shown: Vec<_> = signals.iter().filter(told).collect();
    shown.sort_by_key(|it| it.verdict != CheckVerdict::Invalid);
    if shown.is_empty() && !signals.is_empty() {
        let compared = signals.iter().any(|it| it.signal == "too identical");
        return match compared {
            true => "branches are alive and differ from minute to minute".into(),
            false => "branches are alive".into(),
        };
    }
    for signal in shown {
        let note = match &signal.metric {
            Some(metric) => format!("{metric}: {}", signal.note),
            None => signal.note.clone(),
        };
        match notes.iter_mut().find(|(known, _)| *known == note) {
            Some((_, branches)) => branches.push(&signal.branch),
            None => notes.push((note, vec![&signal.branch])),
        }
    }
    if notes.is_empty() {
        return "nothing to tell from".into();
    }
    let told = notes
        .into_iter()
        .map(|(note, branches)| match report.branches.len() {
            0..=2 => note,
            _ => format!("{note} ({})", branches.join(", ")),
        });
    told.collect::<Vec<_>>().join("; ")
}

/// What is shown of a rate per 1,000.
pub fn rate(rate: Option<f64>) -> String {
    rate.map_or("–".into(), significant)
}

/// Evidence as an e-value: `20.0` for ln 20, powers of ten beyond a million.
pub fn evidence(log_e: Option<f64>) -> String {
    let Some(log_e) = log_e else {
        return "–".into();
    };
    let tens = log_e / std::f64::consts::LN_10;
    if tens >= 999.5 {
        "over 10^999".into()
    } else if tens >= 6.0 {
        format!("10^{tens:.0}")
    } else if tens <= -3.0 {
        "below 0.001".into()
    } else {
        significant(log_e.exp())
    }
}

/// Three significant digits, thousands apart.
pub fn significant(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{value:.1e}");
    }
    let decimals = match size {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        size if size >= 0.01 => 3,
        _ => 5,
    };
    grouped_decimal(&format!("{value:.decimals$}"))
}

/// A share of 1 as a percentage.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let shown = if percent >= 99.95 || (percent - percent.round()).abs() < 0.005 {
        format!("{percent:.0}")
    } else {
        format!("{percent:.1}")
    };
    // The sign stays with its number at the end of a line.
    format!("{shown}\u{a0}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1.00"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (1234.5, "1,234"),
            (0.0123, "0.012"),
            (1e-9, "1.0e-9"),
            (1e20, "1.0e20"),
        ] {
            assert_eq!(significant(value), text);
        }
        assert_eq!(percent(0.5), "50\u{a0}%");
        assert_eq!(percent(0.123), "12.3\u{a0}%");
        assert_eq!(evidence(Some(20f64.ln())), "20.0");
        assert_eq!(evidence(Some(100.0)), "10^43");
        assert_eq!(evidence(Some(-100.0)), "below 0.001");
        assert_eq!(evidence(Some(1e15)), "over 10^999");
        assert_eq!(evidence(None), "–");
    }
}
