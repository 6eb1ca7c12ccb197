//! `metrics`: what is measured, and how it is read.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hotstove::{Kind, Metric};

use crate::failure::{Failure, Result};
use crate::open;
use crate::print::{Align, Column, Format, Listing, float};

const COLUMNS: &[Column] = &[
    Column {
        title: "metric",
        align: Align::Name,
    },
    Column {
        title: "kind",
        align: Align::Left,
    },
    Column {
        title: "decimals",
        align: Align::Right,
    },
    Column {
        title: "unit",
        align: Align::Left,
    },
    Column {
        title: "role",
        align: Align::Left,
    },
    Column {
        title: "worse",
        align: Align::Left,
    },
    Column {
        title: "per",
        align: Align::Name,
    },
    Column {
        title: "must_differ",
        align: Align::Right,
    },
    Column {
        title: "burst_minutes",
        align: Align::Right,
    },
    Column {
        title: "burst_events",
        align: Align::Right,
    },
    Column {
        title: "independent",
        align: Align::Left,
    },
];

/// List the metrics declared.
#[derive(Args)]
pub struct Metrics {
    /// The store's directory.
    store: PathBuf,
    /// table on a terminal, else csv, unless said otherwise.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl Metrics {
    pub fn run(self) -> Result<ExitCode> {
        let snapshot = open::reader(&self.store)?
            .snapshot()
            .map_err(|error| Failure::store(&self.store, &error))?;
        let rows = snapshot.catalogue().metrics().map(row).collect();
        let listing = Listing {
            columns: COLUMNS,
            rows,
        };
        listing.print(Format::or_default(self.format))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(metric: &Metric) -> Vec<String> {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let number = |number: Option<u32>| number.map_or(String::new(), |number| number.to_string());
    vec![
        metric.name.to_string(),
        metric.kind.as_str().to_owned(),
        match metric.kind {
            Kind::Sum { decimals } => decimals.to_string(),
            Kind::Counter | Kind::Gauge => String::new(),
        },
        text(metric.unit.as_deref()),
        metric.role().as_str().to_owned(),
        text(metric.worse.map(|worse| worse.as_str())),
        text(metric.per.as_deref()),
        metric.must_differ.map_or(String::new(), float),
        number(metric.burst_minutes),
        number(metric.burst_events),
        text(metric.independent.map(|yes| if yes { "yes" } else { "no" })),
    ]
}
