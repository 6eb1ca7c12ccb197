//! The report as a page that stands alone: style and pictures inside it, no
//! script, and a policy that forbids the browser to fetch anything.

use std::io::{self, Write};

use hotstove::health::{MetricReport, PairTrace, Report, Trace, Verdict};
use hotstove::{Minute, Role};

use super::chart::escaped;
use super::{pictures, reasons, words};

const STYLE: &str = include_str!("page.css");

/// Pairs whose charts are shown at once; the rest is folded away.
const CHARTS: usize = 6;

/// Rows of metrics beyond which those that are healthy are folded away.
const ROWS: usize = 12;

/// Writes the page.
pub fn write(out: &mut dyn Write, report: &Report, trace: &Trace) -> io::Result<()> {
    let release = escaped(&report.release);
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}: {release}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>",
        report.verdict
    )?;
    head(out, report, &release)?;
    metrics(out, report)?;
    charts(out, report, trace)?;
    rollout(out, report, trace)?;
    checks(out, report)?;
    foot(out, report, trace)?;
    writeln!(out, "</main>\n</body>\n</html>")
}

fn class(verdict: &str) -> String {
    verdict.replace(' ', "-")
}

fn badge(verdict: &str) -> String {
    format!("<span class=\"badge {}\">{verdict}</span>", class(verdict))
}

fn head(out: &mut dyn Write, report: &Report, release: &str) -> io::Result<()> {
    let control = match &report.control {
        Some(control) => format!("against <b>{}</b>", escaped(control)),
        None => "without a control".into(),
    };
    writeln!(
        out,
        "<header class=\"hero\">\n{}\n<h1>{release}</h1>\n<p class=\"lead\">{}</p>\n\
         <p class=\"soft\">as of {}, {control}, {} tolerated</p>",
        badge(report.verdict.as_str()),
        escaped(&sentence(&words::headline(report))),
        report.as_of,
        words::percent(report.margin - 1.0),
    )?;
    let reasons = reasons::all(report);
    if !reasons.is_empty() {
        writeln!(out, "<ul>")?;
        for reason in &reasons {
            writeln!(out, "<li>{}</li>", escaped(reason))?;
        }
        writeln!(out, "</ul>")?;
    }
    writeln!(out, "</header>")
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|it| it.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn metrics(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut rows: Vec<(&str, &MetricReport)> = match words::compared(report).next() {
        Some(_) => words::compared(report).collect(),
        None => report
            .branches
            .iter()
            .flat_map(|branch| branch.metrics.iter().map(|it| (branch.branch.as_str(), it)))
            .filter(|(_, metric)| metric.role != Role::Enrolment)
            .collect(),
    };
    let mut folded = Vec::new();
    if rows.len() > ROWS {
        rows.sort_by_key(|(_, metric)| weight(metric.verdict));
        let fine = rows.partition_point(|(_, it)| it.verdict != Verdict::Healthy);
        folded = rows.split_off(fine);
    }
    writeln!(out, "<h2>Metrics</h2>")?;
    table(out, &rows)?;
    if !folded.is_empty() {
        let open = if rows.is_empty() { " open" } else { "" };
        let count = folded.len();
        writeln!(
            out,
            "<details class=\"rows\"{open}><summary>{count} more, all healthy</summary>"
        )?;
        table(out, &folded)?;
        writeln!(out, "</details>")?;
    }
    writeln!(
        out,
        "<p class=\"soft\">Rates are events per 1,000 units of exposure; last hour: branch / control.</p>"
    )
}

fn table(out: &mut dyn Write, rows: &[(&str, &MetricReport)]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<table class=\"metrics\"><thead><tr><th>branch</th><th>metric</th><th>verdict</th>\
         <th class=\"n\">rate</th><th class=\"n\">control</th><th class=\"n\">ratio</th><th class=\"w\">sequence</th>\
         <th class=\"n\">last hour</th><th class=\"n\">evidence</th><th class=\"w\">first alarm</th></tr></thead><tbody>"
    )?;
    for (branch, metric) in rows {
        row(out, branch, metric)?;
    }
    writeln!(out, "</tbody></table>")
}

fn row(out: &mut dyn Write, branch: &str, metric: &MetricReport) -> io::Result<()> {
    let verdict = match (metric.verdict, metric.opens_at) {
        (Verdict::Held, Some(opens)) => {
            format!(
                "{} <span class=\"soft\">until {opens}</span>",
                badge("held")
            )
        }
        (verdict, _) => badge(verdict.as_str()),
    };
    let minute = |at: Option<Minute>| at.map_or("–".into(), |at| at.to_string());
    let now = match (metric.rate_now, metric.control_rate_now) {
        (None, None) => "–".to_owned(),
        (own, control) => format!("{} / {}", words::rate(own), words::rate(control)),
    };
    writeln!(
        out,
        "<tr><td class=\"branch\">{}</td><td class=\"metric\"><b>{}</b></td><td class=\"verdict\">{verdict}</td>",
        escaped(branch),
        escaped(&metric.metric)
    )?;
    for (name, class, text) in [
        ("rate", "n", words::rate(metric.rate)),
        ("control", "n", words::rate(metric.control_rate)),
        ("ratio", "n", words::rate(metric.ratio)),
        ("sequence", "w", words::range(metric).unwrap_or("–".into())),
        ("last hour", "n", now),
        ("evidence", "n", words::evidence(metric.log_e)),
        ("first alarm", "w", minute(metric.first_alarm)),
    ] {
        let none = if text == "–" { " none" } else { "" };
        write!(
            out,
            "<td class=\"{class}{none}\" data-is=\"{name}\">{text}</td>"
        )?;
    }
    writeln!(out, "</tr>")
}

/// Those that matter most first.
fn weight(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Regressed => 0,
        Verdict::Improved => 1,
        Verdict::NoData => 2,
        Verdict::Inconclusive => 3,
        Verdict::Invalid => 4,
        Verdict::Held => 5,
        _ => 6,
    }
}

fn rank(report: &Report, pair: &PairTrace) -> u8 {
    let found = words::compared(report)
        .find(|(branch, metric)| *branch == pair.branch && metric.metric == pair.metric);
    found.map_or(7, |(_, metric)| weight(metric.verdict))
}

fn charts(out: &mut dyn Write, report: &Report, trace: &Trace) -> io::Result<()> {
    let mut pairs: Vec<&PairTrace> = trace.pairs.iter().collect();
    pairs.sort_by_key(|pair| rank(report, pair));
    pairs.retain(|pair| {
        pair.own
            .iter()
            .chain(&pair.control)
            .any(|arm| arm.exposure > 0.0)
    });
    if pairs.is_empty() || trace.minutes.len() < 2 {
        return Ok(());
    }
    writeln!(out, "<h2>How it came to this</h2>")?;
    for (index, pair) in pairs.iter().enumerate() {
        if index == CHARTS {
            writeln!(
                out,
                "<details><summary>{} more</summary>",
                pairs.len() - CHARTS
            )?;
        }
        let alarm = words::compared(report)
            .find(|(branch, metric)| *branch == pair.branch && metric.metric == pair.metric)
            .and_then(|(_, metric)| metric.first_alarm);
        writeln!(
            out,
            "<h3>{} of {}</h3>\n<div class=\"charts pair\">",
            escaped(&pair.metric),
            escaped(&pair.branch)
        )?;
        let control = report.control.as_deref().unwrap_or("control");
        let rate = pictures::rate(trace, pair, alarm);
        writeln!(
            out,
            "<figure><h4>Rate per 1,000 {}</h4>{rate}<figcaption class=\"keys\"><span><i class=\"key\"></i>{}</span>\
             <span><i class=\"key control\"></i>{}</span><span><i class=\"key area\"></i>where {} can be, given control</span></figcaption></figure>",
            escaped(&pair.per),
            escaped(&pair.branch),
            escaped(control),
            escaped(&pair.branch),
        )?;
        writeln!(
            out,
            "<figure><h4>Ratio to {}</h4>{}<figcaption>The band holds the true ratio at {}, at all times together. Dashed: no difference, and what is tolerated.</figcaption></figure>",
            escaped(control),
            pictures::ratio(trace, pair, report.margin),
            words::percent(1.0 - report.alpha),
        )?;
        if !pair.log_e.is_empty() {
            let evidence = pictures::evidence(trace, pair, alarm);
            let told = match alarm {
                Some(at) => format!("It reached its threshold at {at}."),
                None => "It never reached its threshold.".into(),
            };
            writeln!(
                out,
                "<figure><h4>Evidence for “worse”</h4>{evidence}<figcaption>{told}</figcaption></figure>"
            )?;
        }
        writeln!(out, "</div>")?;
    }
    if pairs.len() > CHARTS {
        writeln!(out, "</details>")?;
    }
    Ok(())
}

fn rollout(out: &mut dyn Write, report: &Report, trace: &Trace) -> io::Result<()> {
    let exposed = |exposure: &[f64]| exposure.iter().any(|it| *it > 0.0);
    let any = trace.branches.iter().any(|it| exposed(&it.exposure));
    if trace.minutes.len() < 2 || !any {
        return Ok(());
    }
    let control = report.control.as_deref();
    let keys: String = trace
        .branches
        .iter()
        .enumerate()
        .map(|(index, branch)| {
            let class = pictures::class(&branch.branch, index, control, trace);
            format!(
                "<span><i class=\"key {class}\"></i>{}</span>",
                escaped(&branch.branch)
            )
        })
        .collect();
    writeln!(
        out,
        "<h2>The roll-out</h2>\n<div class=\"charts\">\n<figure><h4>Exposure an hour</h4>{}<figcaption class=\"keys\">{keys}</figcaption></figure>",
        pictures::exposure(trace, control, report.checks.completeness.whole_until)
    )?;
    if trace
        .branches
        .iter()
        .any(|branch| branch.share.iter().any(Option::is_some))
    {
        writeln!(
            out,
            "<figure><h4>Share of all enrolled</h4>{}<figcaption class=\"keys\">{keys}<span>dashed: as planned</span></figcaption></figure>",
            pictures::shares(trace, control)
        )?;
    }
    if trace.sample_log_e.iter().any(|it| *it != 0.0) {
        let sample = &report.checks.sample_ratio;
        let told = match sample.first_alarm {
            Some(at) => format!("Not as planned: it reached a thousand at {at}."),
            None => "An alarm is raised at a thousand.".into(),
        };
        writeln!(
            out,
            "<figure><h4>Evidence that the split is not as planned</h4>{}<figcaption>{told}</figcaption></figure>",
            pictures::sample(trace, sample.first_alarm)
        )?;
    }
    writeln!(out, "</div>")
}

fn checks(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    writeln!(
        out,
        "<h2>Checks</h2>\n<table class=\"checks\"><thead><tr><th>check</th><th>verdict</th><th>what is known</th></tr></thead><tbody>"
    )?;
    for (check, verdict, told) in words::checks(report) {
        writeln!(
            out,
            "<tr><td>{check}</td><td>{}</td><td>{}</td></tr>",
            badge(verdict.as_str()),
            escaped(&told)
        )?;
    }
    for past in &report.history {
        writeln!(
            out,
            "<tr><td>{} against history</td><td>{}</td><td>{}</td></tr>",
            escaped(&past.metric),
            badge(past.verdict.as_str()),
            escaped(&words::past(past))
        )?;
    }
    writeln!(out, "</tbody></table>")
}

fn foot(out: &mut dyn Write, report: &Report, trace: &Trace) -> io::Result<()> {
    writeln!(
        out,
        "<footer>Verdicts hold however often anybody looks: an alarm is raised in at most {} of harmless releases over their whole life \
         (evidence of {} at any look). Sequences are per metric, at {}. Evidence on minutes that may still change is provisional.</footer>",
        words::percent(report.alpha),
        words::evidence(Some(trace.log_threshold)),
        words::percent(1.0 - report.alpha),
    )
}
