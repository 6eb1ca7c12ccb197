//! The tables, in Markdown.

use std::collections::BTreeMap;
use std::fs;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::measure::middle;
use crate::stores::Contender;

/// A column: what is shown of it, and whether more of it is better.
struct Column {
    title: &'static str,
    child: &'static str,
    key: &'static str,
    unit: Unit,
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    /// Per second; more is better.
    Rate,
    /// Seconds.
    Time,
    /// Bytes for each of something.
    Bytes,
    Mebibytes,
}

const fn column(title: &'static str, child: &'static str, key: &'static str, unit: Unit) -> Column {
    Column {
        title,
        child,
        key,
        unit,
    }
}

const WRITING: [Column; 6] = [
    column("deltas/s, synced", "synced", "deltas_a_second", Unit::Rate),
    column("commit p50", "synced", "commit_p50", Unit::Time),
    column("commit p99", "synced", "commit_p99", Unit::Time),
    column(
        "deltas/s, not synced",
        "unsynced",
        "deltas_a_second",
        Unit::Rate,
    ),
    column(
        "bytes written a delta, synced",
        "synced",
        "written_a_delta",
        Unit::Bytes,
    ),
    column(
        "resident at peak",
        "synced",
        "resident_mib",
        Unit::Mebibytes,
    ),
];

const LOADING: [Column; 5] = [
    column("rows/s", "load", "rows_a_second", Unit::Rate),
    column("bytes written a row", "load", "written_a_row", Unit::Bytes),
    column("bytes a cell on disk", "load", "bytes_a_cell", Unit::Bytes),
    column("resident at peak", "load", "resident_mib", Unit::Mebibytes),
    column(
        "anonymous at peak",
        "load",
        "anonymous_mib",
        Unit::Mebibytes,
    ),
];

const READING: [Column; 8] = [
    column("Q1", "query", "q1", Unit::Time),
    column("Q2", "query", "q2", Unit::Time),
    column("Q3", "query", "q3", Unit::Time),
    column("Q3 decoding all", "query", "q3_decoding", Unit::Time),
    column("get", "query", "get", Unit::Time),
    column("cold open and a get", "query", "open", Unit::Time),
    column("the same after a kill", "recover", "recovery", Unit::Time),
    column("resident at peak", "query", "resident_mib", Unit::Mebibytes),
];

/// Median and half the range, as a share of it, by child, store and key.
type Figures = BTreeMap<(String, String, String), (f64, Option<f64>)>;

pub fn print(arguments: &Arguments) -> Outcome {
    let mut all: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for line in fs::read_to_string(arguments.work.join("results"))?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let [child, store, key, value] = words[..]
            && let Ok(value) = value.parse::<f64>()
        {
            let place = (child.to_owned(), store.to_owned(), key.to_owned());
            all.entry(place).or_default().push(value);
        }
    }
    let mut figures: Figures = all
        .into_iter()
        .map(|(place, mut values)| {
            let median = middle(&mut values);
            let range = values[values.len() - 1] - values[0];
            let spread = (values.len() > 1).then_some(range / 2.0 / median);
            (place, (median, spread))
        })
        .collect();
    for line in fs::read_to_string(arguments.work.join("truth"))?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let [store, "cells", cells] = words[..] {
            let place = |key: &str| ("load".to_owned(), store.to_owned(), key.to_owned());
            if let Some((bytes, _)) = figures.get(&place("bytes")).copied() {
                figures.insert(place("bytes_a_cell"), (bytes / cells.parse::<f64>()?, None));
            }
        }
    }
    println!("\n{}\n", fs::read_to_string(arguments.work.join("told"))?);
    let results = fs::read_to_string(arguments.work.join("results"))?;
    if let Some((_, version)) = results.split_once("load duckdb-arrived version ") {
        println!("DuckDB {}\n", version.lines().next().unwrap_or_default());
    }
    table("Writing", &WRITING, &figures);
    table("Loading all of it", &LOADING, &figures);
    table("Reading", &READING, &figures);
    best(&figures);
    Ok(())
}

fn figure(figures: &Figures, column: &Column, store: Contender) -> Option<(f64, Option<f64>)> {
    let place = (
        column.child.to_owned(),
        store.name().to_owned(),
        column.key.to_owned(),
    );
    figures.get(&place).copied()
}

/// A row a store; in brackets how many times worse than hotstove it is.
fn table(title: &str, columns: &[Column], figures: &Figures) {
    println!("{title}\n");
    let titles: Vec<_> = columns.iter().map(|column| column.title).collect();
    println!(
        "| | {} |\n|---|{}",
        titles.join(" | "),
        "---|".repeat(columns.len())
    );
    for store in Contender::ALL {
        let cells: Vec<String> = columns
            .iter()
            .map(|column| {
                let Some((value, spread)) = figure(figures, column, store) else {
                    return "–".to_owned();
                };
                let own = figure(figures, column, Contender::Hotstove);
                let mut cell = column.unit.show(value);
                if let Some(spread) = spread {
                    cell += &format!(" ±{:.0} %", spread * 100.0);
                }
                if let Some((own, _)) = own.filter(|_| store != Contender::Hotstove) {
                    cell += &format!(" ({})", times(column.unit.worse(value, own)));
                }
                cell
            })
            .collect();
        if cells.iter().any(|cell| cell != "–") {
            println!("| {} | {} |", store.title(), cells.join(" | "));
        }
    }
    println!();
}

/// Hotstove in both states against the best of the others.
fn best(figures: &Figures) {
    println!("Hotstove and the best peer of each row (times better; below 1: worse)\n");
    println!(
        "| | hotstove, compacted | fresh | best peer | | compacted is | fresh is |\n|---|---|---|---|---|---|---|"
    );
    for column in WRITING.iter().chain(&LOADING).chain(&READING) {
        // Of tsink only a part of W1 was loaded: no total of it compares.
        let partial =
            |store: Contender| store == Contender::Tsink && (["q2", "q3"].contains(&column.key));
        let peers = Contender::ALL
            .into_iter()
            .filter(|store| !store.is_hotstove() && !partial(*store));
        let key = match column.key {
            "q3_decoding" => "q3",
            key => key,
        };
        let asked = Column { key, ..*column };
        let best = peers
            .filter_map(|store| Some((store, figure(figures, &asked, store)?.0)))
            // Whichever is worse than nothing else.
            .min_by(|left, right| column.unit.worse(left.1, right.1).total_cmp(&1.0));
        let Some((peer, value)) = best else {
            continue;
        };
        let own = |store| figure(figures, column, store).map(|(own, _)| own);
        let states = [Contender::Hotstove, Contender::HotstoveFresh].map(own);
        let shown = states.map(|own| own.map_or("–".to_owned(), |own| column.unit.show(own)));
        let better = states
            .map(|own| own.map_or("–".to_owned(), |own| times(column.unit.worse(value, own))));
        let title = match column.child {
            "load" => format!("loading: {}", column.title),
            "query" if column.unit == Unit::Mebibytes => format!("reading: {}", column.title),
            _ => column.title.to_owned(),
        };
        println!(
            "| {title} | {} | {} | {} | {} | **{}** | **{}** |",
            shown[0],
            shown[1],
            column.unit.show(value),
            peer.title(),
            better[0],
            better[1]
        );
    }
}

fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 99.5 => format!("×{ratio:.0}"),
        ratio if ratio >= 9.95 => format!("×{ratio:.1}"),
        ratio => format!("×{ratio:.2}"),
    }
}

impl Unit {
    /// How many times worse the first is than the second.
    fn worse(self, first: f64, second: f64) -> f64 {
        match self {
            Unit::Rate => second / first,
            _ => first / second,
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Unit::Rate if value >= 1e6 => format!("{:.2} M", value / 1e6),
            Unit::Rate => format!("{:.0} k", value / 1e3),
            Unit::Time if value < 1e-6 => format!("{:.0} ns", value * 1e9),
            Unit::Time if value < 1e-5 => format!("{:.2} µs", value * 1e6),
            Unit::Time if value < 1e-3 => format!("{:.0} µs", value * 1e6),
            Unit::Time if value < 1.0 => format!("{:.2} ms", value * 1e3),
            Unit::Time => format!("{value:.2} s"),
            Unit::Bytes if value >= 100.0 => format!("{value:.0}"),
            Unit::Bytes => format!("{value:.2}"),
            Unit::Mebibytes => format!("{value:.0} MiB"),
        }
    }
}
