//! Why a report says what it says, most important first.

use hotstove::health::{CheckVerdict, MetricReport, Report, Verdict};

use super::words::{compared, listed, named, range, significant, split};
use crate::print::grouped;

/// Reasons given for "inconclusive"; the table has them all.
const OPEN: usize = 4;

/// What leads to the verdict.
pub fn all(report: &Report) -> Vec<String> {
    let mut reasons = alarms(report);
    let control = report.control.as_deref().unwrap_or("control");
    let of = |verdict: Verdict| {
        let metrics = compared(report).filter(move |(_, metric)| metric.verdict == verdict);
        metrics.map(move |(branch, metric)| reason(control, branch, metric))
    };
    reasons.extend(of(Verdict::Regressed));
    reasons.extend(of(Verdict::Improved));
    reasons.extend(held(report));
    // Without a control that is all there is to say, and the headline says it.
    if report.control.is_none() {
        return reasons;
    }
    // What is nearly known comes before what nobody ever sent.
    let open: Vec<String> = of(Verdict::Inconclusive).collect();
    let more = open.len().saturating_sub(OPEN);
    reasons.extend(open.into_iter().take(OPEN));
    if more > 0 {
        reasons.push(format!("{more} more are inconclusive"));
    }
    reasons.extend(noted(report));
    reasons
}

/// Notes on what has no data, or is healthy all the same; metrics and branches of
/// which the same is to be said, in one line.
fn noted(report: &Report) -> Vec<String> {
    let mut notes: Vec<(&str, Vec<&str>, Vec<&str>)> = Vec::new();
    for (branch, metric) in compared(report) {
        let told = [Verdict::NoData, Verdict::Healthy].contains(&metric.verdict);
        let Some(note) = metric.note.as_deref().filter(|_| told) else {
            continue;
        };
        // Of one branch the metrics are gathered …
        match notes
            .iter_mut()
            .find(|(known, _, branches)| *known == note && branches[..] == [branch])
        {
            Some((_, metrics, _)) => metrics.push(&metric.metric),
            None => notes.push((note, vec![&metric.metric], vec![branch])),
        }
    }
    // … and then the branches of which they are the same.
    let mut lines: Vec<(&str, Vec<&str>, Vec<&str>)> = Vec::new();
    for (note, metrics, branches) in notes {
        match lines
            .iter_mut()
            .find(|(known, same, _)| *known == note && *same == metrics)
        {
            Some((_, _, all)) => all.extend(branches),
            None => lines.push((note, metrics, branches)),
        }
    }
    let lines = lines.into_iter().map(|(note, metrics, branches)| {
        format!("{} of {}: {note}", listed(&metrics), listed(&branches))
    });
    lines.collect()
}

/// What is held back, and until when: the window is one for the whole release.
fn held(report: &Report) -> Option<String> {
    let mut metrics = compared(report).filter(|(_, metric)| metric.verdict == Verdict::Held);
    let (_, first) = metrics.next()?;
    let names = named(report, Verdict::Held);
    Some(match first.opens_at {
        Some(opens) => format!("held back until {opens}: {names}"),
        None => format!("held back: {names}"),
    })
}

/// The checks that alarm.
fn alarms(report: &Report) -> Vec<String> {
    let mut alarms = Vec::new();
    let sample = &report.checks.sample_ratio;
    // The minute it was found, and not the one it began.
    let found =
        |at: Option<hotstove::Minute>| at.map_or(String::new(), |at| format!(", first alarm {at}"));
    if sample.verdict == CheckVerdict::Invalid {
        alarms.push(format!(
            "users are not split as planned{}: {}",
            found(sample.first_alarm),
            split(report)
        ));
    }
    for signal in &report.checks.null.signals {
        if signal.verdict == CheckVerdict::Invalid {
            let what = match &signal.metric {
                Some(metric) => format!("{metric} of {}", signal.branch),
                None => signal.branch.clone(),
            };
            let note = &signal.note;
            alarms.push(format!("{what}: {note}{}", found(signal.first_alarm)));
        }
    }
    alarms
}

fn reason(control: &str, branch: &str, metric: &MetricReport) -> String {
    let mut text = format!("{} of {branch}", metric.metric);
    match (metric.ratio, range(metric)) {
        (Some(ratio), range) => {
            let range = range.map_or(String::new(), |it| format!(" ({it})"));
            let ratio = significant(ratio);
            text.push_str(&format!(": {ratio} times {control}'s rate{range}"));
        }
        // Where control has no event there is no ratio, but one it must be above.
        (None, Some(range)) => text.push_str(&format!(": {range} times {control}'s rate")),
        (None, None) => (),
    }
    if let Some(at) = metric.first_alarm {
        text.push_str(&format!(", first alarm {at}"));
    }
    // Alarms and sequences are two tests, and the one for alarms is the quicker.
    let holds_one = metric.ratio_lower.is_none_or(|it| it <= 1.0)
        && metric.ratio_upper.is_none_or(|it| it >= 1.0);
    if metric.verdict == Verdict::Regressed && metric.ratio.is_some() && holds_one {
        text.push_str(", sooner than its sequence leaves 1");
    }
    if let Some(more) = metric.events_needed {
        text.push_str(&format!(
            ", about {} more events decide",
            grouped(more as u64)
        ));
    }
    if let Some(note) = &metric.note {
        text.push_str(&format!("; {note}"));
    }
    text
}
