//! The report on a terminal: the verdict first, then why, then the numbers.

use std::io::{self, IsTerminal, Write};

use hotstove::health::{MetricReport, Report, Verdict};
use hotstove::{Minute, Role};

use super::{reasons, words};
use crate::print::{Align, Column, Grid, shape_width};

/// Lines of reasons at most; the table beneath has them all.
const REASONS: usize = 12;

/// What is left out first where the line is too short.
const COLUMNS: [(&str, Align, u8); 11] = [
    ("branch", Align::Name, 0),
    ("metric", Align::Name, 0),
    ("verdict", Align::Left, 0),
    ("rate", Align::Right, 2),
    ("control", Align::Right, 2),
    ("ratio", Align::Right, 0),
    ("sequence", Align::Left, 1),
    ("now", Align::Right, 4),
    ("control now", Align::Right, 5),
    ("evidence", Align::Right, 3),
    ("first alarm", Align::Left, 1),
];

/// Whether words may be coloured: on a terminal, unless NO_COLOR says no.
pub fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}

/// Writes the report into lines of about `room` characters.
pub fn write(
    out: &mut dyn Write,
    report: &Report,
    room: Option<usize>,
    colour: bool,
) -> io::Result<()> {
    let verdict = report.verdict.as_str().to_uppercase();
    let verdict = if colour {
        format!("\u{1b}[1;{}m{verdict}\u{1b}[0m", paint(report.verdict))
    } else {
        verdict
    };
    let width = room.unwrap_or(100);
    writeln!(out, "{verdict}  {}", clean(&report.release))?;
    wrapped(out, "  ", &words::headline(report), width)?;
    let reasons = reasons::all(report);
    for reason in reasons.iter().take(REASONS) {
        wrapped(out, "  - ", reason, width)?;
    }
    if reasons.len() > REASONS {
        writeln!(out, "  - … and {} more", reasons.len() - REASONS)?;
    }
    let control = match &report.control {
        Some(control) => format!(", against {control}"),
        None => String::new(),
    };
    let level = words::percent(1.0 - report.alpha);
    let known = format!(
        "as of {}{control}; rates per 1,000 units of exposure, {level} sequences, {} tolerated",
        report.as_of,
        words::percent(report.margin - 1.0)
    );
    writeln!(out)?;
    wrapped(out, "", &known, width)?;
    writeln!(out)?;
    metrics(out, report, room)?;
    writeln!(out)?;
    for (check, verdict, told) in words::checks(report) {
        let line = format!("{check}: {verdict}; {told}");
        wrapped(out, "", &line, width)?;
    }
    history(out, report, width)
}

fn paint(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Regressed | Verdict::Invalid => 31,
        Verdict::Healthy | Verdict::Improved => 32,
        _ => 33,
    }
}

fn metrics(out: &mut dyn Write, report: &Report, room: Option<usize>) -> io::Result<()> {
    let mut rows: Vec<(&str, &MetricReport)> = words::compared(report).collect();
    if rows.is_empty() {
        let branches = report.branches.iter();
        rows = branches
            .flat_map(|branch| branch.metrics.iter().map(|it| (branch.branch.as_str(), it)))
            .filter(|(_, metric)| metric.role != Role::Enrolment)
            .collect();
    }
    let texts: Vec<[String; 11]> = rows.iter().map(|(branch, it)| row(branch, it)).collect();
    // Columns without anything to say are left out, then the least important.
    let mut shown: Vec<usize> = (0..COLUMNS.len())
        .filter(|column| *column < 3 || texts.iter().any(|row| row[*column] != "–"))
        .collect();
    let narrowest = |shown: &[usize]| -> usize {
        let width = |column: usize| {
            let widest = texts.iter().map(|row| shape_width(&row[column])).max();
            let widest = widest.unwrap_or(0).max(shape_width(COLUMNS[column].0));
            match COLUMNS[column].1 {
                Align::Name => widest.min(12),
                _ => widest,
            }
        };
        shown.iter().map(|column| width(*column) + 2).sum::<usize>() - 2
    };
    while let Some(room) = room
        && narrowest(&shown) > room
        && let Some(least) = shown.iter().copied().max_by_key(|it| COLUMNS[*it].2)
        && COLUMNS[least].2 > 0
    {
        shown.retain(|column| *column != least);
    }
    let columns: Vec<Column> = shown
        .iter()
        .map(|column| Column {
            title: COLUMNS[*column].0,
            align: COLUMNS[*column].1,
        })
        .collect();
    let cell = |row: usize, column: usize, text: &mut String| {
        text.push_str(&texts[row][shown[column]]);
    };
    let grid = Grid {
        columns: &columns,
        rows: texts.len(),
        cell: &cell,
    };
    grid.write(out, room)
}

fn row(branch: &str, metric: &MetricReport) -> [String; 11] {
    let minute = |at: Option<Minute>| at.map_or("–".into(), |at| at.to_string());
    [
        clean(branch),
        clean(&metric.metric),
        metric.verdict.to_string(),
        words::rate(metric.rate),
        words::rate(metric.control_rate),
        words::rate(metric.ratio),
        words::range(metric).unwrap_or("–".into()),
        words::rate(metric.rate_now),
        words::rate(metric.control_rate_now),
        words::evidence(metric.log_e),
        minute(metric.first_alarm),
    ]
}

fn history(out: &mut dyn Write, report: &Report, width: usize) -> io::Result<()> {
    for past in &report.history {
        let line = format!(
            "{} against history: {}; {}",
            past.metric,
            past.verdict,
            words::past(past)
        );
        wrapped(out, "", &line, width)?;
    }
    Ok(())
}

/// Writes `text` after `mark`, continued lines beneath its beginning.
fn wrapped(out: &mut dyn Write, mark: &str, text: &str, room: usize) -> io::Result<()> {
    let indent = " ".repeat(mark.chars().count());
    let room = room.saturating_sub(indent.len()).max(20);
    let (mut line, mut used, mut first) = (String::new(), 0, true);
    let text = clean(text);
    for word in text.split(' ') {
        let width = shape_width(word);
        if used > 0 && used + 1 + width > room {
            writeln!(out, "{}{line}", if first { mark } else { &indent })?;
            (line, used, first) = (String::new(), 0, false);
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += width;
    }
    writeln!(out, "{}{line}", if first { mark } else { &indent })
}

/// Names have no control characters, but what comes from outside is never
/// trusted with a terminal.
fn clean(text: &str) -> String {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(printable).collect()
}
