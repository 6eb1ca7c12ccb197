//! Which lines each chart of the report has.

use hotstove::Minute;
use hotstove::health::{Arm, PairTrace, Trace};

use super::chart::{Chart, Scale};

/// Powers of ten below which evidence is not drawn.
const LEAST_POWER: f64 = -2.0;

/// Rates of a branch and control in a moving window, and as a band what the
/// confidence sequence of their ratio says of the branch's rate.
pub fn rate(trace: &Trace, pair: &PairTrace, alarm: Option<Minute>) -> String {
    let window = window(trace);
    let own = moving(&pair.own, window);
    let control = moving(&pair.control, window);
    let mut all: Vec<f64> = own.iter().chain(&control).copied().flatten().collect();
    all.sort_by(f64::total_cmp);
    let largest = all.last().copied().unwrap_or(1.0);
    let usual = all.get(all.len() / 2).copied().unwrap_or(1.0);
    // The first minutes jump about; they shall not flatten all the rest.
    let high = if usual > 0.0 {
        (1.15 * largest).min(4.0 * usual)
    } else {
        1.15 * largest
    };
    let title = format!(
        "rate of {} over time, {} and control",
        pair.metric, pair.branch
    );
    let mut chart = Chart::new(&title, span(trace), (0.0, high), Scale::Plain);
    let band: Vec<(u32, Option<f64>, Option<f64>)> = minutes(trace)
        .zip(&pair.ratio)
        .zip(&control)
        .filter_map(|((minute, ratio), control)| {
            let control = (*control)?;
            let times = |bound: Option<f64>| bound.map(|it| it * control);
            Some((minute, times(ratio.lower), times(ratio.upper)))
        })
        .collect();
    chart.band("", &band);
    chart.line("control", minutes(trace).zip(control));
    chart.line("own", minutes(trace).zip(own));
    mark(&mut chart, alarm);
    chart.finish()
}

/// The ratio to control and its confidence sequence, near enough to be read.
pub fn ratio(trace: &Trace, pair: &PairTrace, margin: f64) -> String {
    // What is known late decides how near; the first steps may run out.
    let late = &pair.ratio[pair.ratio.len() / 4..];
    let ends = late.iter().flat_map(|it| [it.lower, it.upper, it.estimate]);
    let ends: Vec<f64> = ends.flatten().filter(|it| it.is_finite()).collect();
    let estimate = late.last().and_then(|it| it.estimate).unwrap_or(1.0);
    let widest = |bound: f64| bound.clamp(estimate.min(1.0) / 3.0, estimate.max(1.0) * 3.0);
    let low = ends.iter().copied().fold(1.0 / margin, f64::min);
    let high = ends.iter().copied().fold(margin, f64::max);
    let (low, high) = (widest(low), widest(high));
    let room = 0.06 * (high - low).max(0.01);
    let title = format!(
        "ratio of {} of {} to control over time",
        pair.metric, pair.branch
    );
    let values = ((low - room).max(0.0), high + room);
    let mut chart = Chart::new(&title, span(trace), values, Scale::Plain);
    let band: Vec<(u32, Option<f64>, Option<f64>)> = minutes(trace)
        .zip(&pair.ratio)
        .map(|(minute, ratio)| (minute, ratio.lower, ratio.upper))
        .collect();
    chart.band("", &band);
    chart.level("one", 1.0, "");
    if !pair.log_e.is_empty() {
        let worse = if pair.lower_is_worse {
            1.0 / margin
        } else {
            margin
        };
        chart.level("threshold", worse, "tolerated");
    }
    let estimates = pair.ratio.iter().map(|it| it.estimate);
    chart.line("own", minutes(trace).zip(estimates));
    chart.finish()
}

/// Evidence for "worse", its threshold, and the first alarm.
pub fn evidence(trace: &Trace, pair: &PairTrace, alarm: Option<Minute>) -> String {
    let title = format!("evidence that {} of {} is worse", pair.metric, pair.branch);
    let label = format!("alarm at {:.0}", trace.log_threshold.exp());
    powers(
        trace,
        &title,
        &pair.log_e,
        trace.log_threshold,
        &label,
        alarm,
    )
}

/// Evidence of a sample ratio mismatch.
pub fn sample(trace: &Trace, alarm: Option<Minute>) -> String {
    let title = "evidence that the split is not as planned";
    let threshold = 1_000f64.ln();
    powers(
        trace,
        title,
        &trace.sample_log_e,
        threshold,
        "alarm at 1,000",
        alarm,
    )
}

fn powers(
    trace: &Trace,
    title: &str,
    log_e: &[f64],
    threshold: f64,
    label: &str,
    alarm: Option<Minute>,
) -> String {
    let tens = |log: f64| log / std::f64::consts::LN_10;
    let highest = log_e.iter().copied().fold(threshold, f64::max);
    let high = (tens(highest) * 1.1).max(tens(threshold) + 0.7).ceil();
    let mut chart = Chart::new(title, span(trace), (LEAST_POWER, high), Scale::Power);
    chart.level("threshold", tens(threshold), label);
    chart.line(
        "own",
        minutes(trace).zip(log_e.iter().map(|it| Some(tens(*it)))),
    );
    mark(&mut chart, alarm);
    chart.finish()
}

/// Marks the first alarm.
fn mark(chart: &mut Chart, alarm: Option<Minute>) {
    if let Some(at) = alarm {
        let text = at.to_string();
        let shown = text.get(5..16).unwrap_or(&text).replace('T', " ");
        chart.moment("alarm", at.get(), &format!("first alarm {shown}"));
    }
}

/// Exposure an hour, branch by branch, and where it may still change.
pub fn exposure(trace: &Trace, control: Option<&str>, whole: Option<Minute>) -> String {
    let lengths = steps(trace);
    let hourly: Vec<Vec<Option<f64>>> = trace
        .branches
        .iter()
        .map(|branch| {
            let hours = branch.exposure.iter().zip(&lengths);
            hours
                .map(|(sum, length)| Some(sum * 60.0 / length))
                .collect()
        })
        .collect();
    let highest = hourly
        .iter()
        .flatten()
        .copied()
        .flatten()
        .fold(0.0, f64::max);
    let title = "exposure an hour, branch by branch";
    let mut chart = Chart::new(title, span(trace), (0.0, 1.1 * highest), Scale::Plain);
    for (index, (branch, hourly)) in trace.branches.iter().zip(hourly).enumerate() {
        let class = class(&branch.branch, index, control, trace);
        chart.line(class, minutes(trace).zip(hourly));
    }
    let (from, to) = span(trace);
    if let Some(whole) = whole.filter(|it| (from..to).contains(&it.get())) {
        chart.moment("whole", whole.get(), "whole until here");
    }
    chart.finish()
}

/// Shares of all enrolled to date, and as planned.
pub fn shares(trace: &Trace, control: Option<&str>) -> String {
    let shares = || {
        let branches = trace.branches.iter();
        let seen = branches
            .clone()
            .flat_map(|it| it.share.iter().copied().flatten());
        seen.chain(branches.filter_map(|it| it.planned))
    };
    let high = (1.15 * shares().fold(0.0, f64::max)).clamp(0.1, 1.0);
    let title = "share of all enrolled, branch by branch, and as planned";
    let mut chart = Chart::new(title, span(trace), (0.0, high), Scale::Percent);
    for branch in &trace.branches {
        if let Some(planned) = branch.planned {
            chart.level("plan", planned, "");
        }
    }
    for (index, branch) in trace.branches.iter().enumerate() {
        let class = class(&branch.branch, index, control, trace);
        chart.line(class, minutes(trace).zip(branch.share.iter().copied()));
    }
    chart.finish()
}

/// The colour of a branch: control has its own, the others take turns.
pub fn class(branch: &str, index: usize, control: Option<&str>, trace: &Trace) -> &'static str {
    if Some(branch) == control {
        return "control";
    }
    let before = trace.branches[..index].iter();
    let others = before.filter(|it| Some(it.branch.as_str()) != control);
    ["b0", "b1", "b2", "b3"][others.count() % 4]
}

fn minutes(trace: &Trace) -> impl Iterator<Item = u32> {
    trace.minutes.iter().map(|minute| minute.get())
}

/// The minutes a chart covers.
fn span(trace: &Trace) -> (u32, u32) {
    let first = trace.minutes.first().map_or(0, |it| it.get());
    let last = trace.minutes.last().map_or(1, |it| it.get());
    (first.saturating_sub(trace.step), last)
}

/// Minutes of each step; the first and the last may be shorter.
fn steps(trace: &Trace) -> Vec<f64> {
    let mut before = None;
    let lengths = minutes(trace).map(|end| {
        let step = before.map_or(trace.step, |before| end - before);
        before = Some(end);
        f64::from(step.max(1))
    });
    lengths.collect()
}

/// Steps of a moving window: an hour at least, and about a fortieth of all.
fn window(trace: &Trace) -> usize {
    let (from, to) = span(trace);
    let wanted = ((to - from) / 40).max(60);
    wanted.div_ceil(trace.step).max(1) as usize
}

/// Rates per 1,000 over the last `window` steps.
fn moving(arms: &[Arm], window: usize) -> Vec<Option<f64>> {
    let rates = (1..=arms.len()).map(|end| {
        let within = &arms[end.saturating_sub(window)..end];
        let events: f64 = within.iter().map(|arm| arm.events).sum();
        let exposure: f64 = within.iter().map(|arm| arm.exposure).sum();
        hotstove::health::rate(events, exposure)
    });
    rates.collect()
}
