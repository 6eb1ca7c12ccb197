//! `releases`: what is watched, declared or not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hotstove::{Aggregate, Every, GroupBy, Minute, Snapshot};

use crate::failure::{Failure, Result, note};
use crate::open;
use crate::print::{Align, Column, Format, Listing, float};

const COLUMNS: &[Column] = &[
    Column {
        title: "release",
        align: Align::Name,
    },
    Column {
        title: "branch",
        align: Align::Name,
    },
    Column {
        title: "control",
        align: Align::Left,
    },
    Column {
        title: "share",
        align: Align::Right,
    },
    Column {
        title: "public_from",
        align: Align::Left,
    },
    Column {
        title: "decision_weeks",
        align: Align::Right,
    },
    Column {
        title: "first_minute",
        align: Align::Left,
    },
    Column {
        title: "cells",
        align: Align::Right,
    },
];

/// List releases and their branches: those declared, and those with data.
#[derive(Args)]
pub struct Releases {
    /// The store's directory.
    store: PathBuf,
    /// table on a terminal, else csv, unless said otherwise.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// The cells of a branch, and the minute of the first.
#[derive(Clone, Copy, Default)]
struct Data {
    first_minute: Option<Minute>,
    cells: i128,
}

impl Releases {
    pub fn run(self) -> Result<ExitCode> {
        let failed = |error| Failure::store(&self.store, &error);
        let snapshot = open::reader(&self.store)?.snapshot().map_err(failed)?;
        let branches = branches(&snapshot).map_err(failed)?;
        let rows = branches
            .iter()
            .map(|((release, branch), data)| row(&snapshot, release, branch, *data));
        let listing = Listing {
            columns: COLUMNS,
            rows: rows.collect(),
        };
        listing.print(Format::or_default(self.format))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Branches by release. A release declared without branches or data has one
/// without a name.
fn branches(snapshot: &Snapshot) -> hotstove::Result<BTreeMap<(String, String), Data>> {
    let mut branches = BTreeMap::new();
    let by = GroupBy {
        release: true,
        branch: true,
        metric: false,
    };
    // How many cells a held metric has tells nothing of its values.
    let counts = snapshot
        .query()
        .every(Every::Whole)
        .by(by)
        .aggregate(Aggregate::Cells)
        .overriding_held(true)
        .run()?;
    for what in counts.notes() {
        note(what);
    }
    for row in counts.rows() {
        let data = Data {
            first_minute: Minute::new(row.minute).ok(),
            cells: row.value.to_f64() as i128,
        };
        branches.insert((row.release.to_owned(), row.branch.to_owned()), data);
    }
    for release in snapshot.catalogue().releases() {
        let name = release.name.to_string();
        for branch in &release.branches {
            branches
                .entry((name.clone(), branch.name.to_string()))
                .or_default();
        }
        let from = (name.clone(), String::new());
        let known = branches
            .range(from.clone()..)
            .next()
            .is_some_and(|((known, _), _)| *known == name);
        if !known {
            branches.insert(from, Data::default());
        }
    }
    Ok(branches)
}

fn row(snapshot: &Snapshot, release: &str, branch: &str, data: Data) -> Vec<String> {
    let declared = snapshot.catalogue().release(release);
    let share = declared
        .and_then(|release| {
            release
                .branches
                .iter()
                .find(|known| known.name.as_str() == branch)
        })
        .and_then(|branch| branch.share);
    let control = declared.and_then(|release| release.control.as_deref());
    let public_from = declared.and_then(|release| release.public_from);
    let minute = |minute: Option<Minute>| minute.map_or(String::new(), |minute| minute.to_string());
    vec![
        release.to_owned(),
        branch.to_owned(),
        control
            .filter(|control| *control == branch)
            .map_or("", |_| "yes")
            .to_owned(),
        share.map_or(String::new(), float),
        minute(public_from),
        declared.map_or(String::new(), |release| {
            release.decision_weeks().to_string()
        }),
        minute(data.first_minute),
        data.cells.to_string(),
    ]
}
