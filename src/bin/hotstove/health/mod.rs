//! `health`: the verdicts, for people, for programs, and as a page.

mod chart;
mod page;
mod pictures;
mod reasons;
mod table;
mod words;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use hotstove::health::{CheckVerdict, Report, Trace, Verdict};
use hotstove::{Minute, Name, Role};

use crate::failure::{Failure, Result};
use crate::print::{answer, line_width};
use crate::{clock, define, open};

/// A metric is worse than control, or a check says that nothing said of
/// metrics would be true.
const STOP: u8 = 3;
/// Not enough is known yet.
const WAIT: u8 = 4;
/// Points of a chart at most.
const POINTS: u32 = 240;

/// Is a release, or a branch of an experiment, worse than its control?
///
/// Exits with 3 where a metric is regressed or a check invalid; with 4, where
/// --require-conclusive is given, if a vital metric is inconclusive or without
/// data; else with 0. The verdicts hold however often they are looked at.
#[derive(Args)]
pub struct Health {
    /// The store's directory.
    store: PathBuf,
    /// The release or experiment.
    #[arg(long, value_name = "NAME", value_parser = define::name)]
    release: Name,
    /// The branch to compare with; else the one declared, else `control`.
    #[arg(long, value_name = "BRANCH", value_parser = define::name)]
    control: Option<Name>,
    /// An earlier release to compare with at the same age; observational, never
    /// an alarm. Given several times, their median.
    #[arg(long, value_name = "RELEASE", value_parser = define::name)]
    against: Vec<Name>,
    /// Look as of this minute: minutes before it, of the data as they now
    /// stand. Not later than now.
    #[arg(long, value_name = "T", value_parser = clock::minute)]
    at: Option<Minute>,
    /// The chance of a false alarm over the whole life of the release.
    #[arg(long, default_value = "0.05")]
    alpha: f64,
    /// The ratio to control that is tolerated.
    #[arg(long, default_value = "1.1")]
    margin: f64,
    /// Exit with 4 while a vital metric is inconclusive or without data.
    #[arg(long)]
    require_conclusive: bool,
    /// table for people, json for programs, html for a page without network.
    #[arg(long, value_enum, default_value = "table")]
    format: Face,
    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Face {
    /// For people.
    Table,
    /// For programs; the keys are in docs/health.md.
    Json,
    /// A page with charts.
    Html,
}

impl Health {
    pub fn run(self) -> Result<ExitCode> {
        self.judge().map(ExitCode::from)
    }

    /// Writes the report and gives the exit code.
    pub fn judge(self) -> Result<u8> {
        let failed = |error| Failure::store(&self.store, &error);
        let now = clock::looking_back_from(self.at)?;
        let snapshot = open::reader(&self.store)?.snapshot().map_err(failed)?;
        let mut request = snapshot
            .health(&self.release, now)
            .alpha(self.alpha)
            .margin(self.margin);
        if let Some(control) = &self.control {
            request = request.control(control);
        }
        for release in &self.against {
            request = request.against(release);
        }
        if self.format == Face::Html {
            let (report, trace) = request.run_traced(POINTS).map_err(failed)?;
            self.write(&report, Some(&trace))?;
            return Ok(self.code(&report));
        }
        let report = request.run().map_err(failed)?;
        self.write(&report, None)?;
        Ok(self.code(&report))
    }

    fn write(&self, report: &Report, trace: Option<&Trace>) -> Result<()> {
        let (width, colour) = match self.out {
            None => (line_width(), table::colour()),
            Some(_) => (None, false),
        };
        let write = |out: &mut dyn Write| match (self.format, trace) {
            (Face::Html, Some(trace)) => page::write(out, report, trace),
            (Face::Json, _) => json(out, report),
            _ => table::write(out, report, width, colour),
        };
        let Some(path) = &self.out else {
            return answer(write);
        };
        let mut text = Vec::new();
        write(&mut text)
            .and_then(|()| std::fs::write(path, &text))
            .map_err(|error| Failure::io("writing the report", path, &error))
    }

    fn code(&self, report: &Report) -> u8 {
        let checks = &report.checks;
        let mut metrics = report.branches.iter().flat_map(|branch| &branch.metrics);
        let regressed = metrics
            .clone()
            .any(|metric| metric.verdict == Verdict::Regressed);
        let invalid = [
            checks.sample_ratio.verdict,
            checks.null.verdict,
            checks.completeness.verdict,
        ]
        .contains(&CheckVerdict::Invalid);
        let open = metrics.any(|metric| {
            let verdict = metric.verdict;
            metric.role == Role::Vital
                && (verdict == Verdict::Inconclusive || verdict == Verdict::NoData)
        });
        if regressed || invalid {
            STOP
        } else if self.require_conclusive && open {
            WAIT
        } else {
            0
        }
    }
}

fn json(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}
