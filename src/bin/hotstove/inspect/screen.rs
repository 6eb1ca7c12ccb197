//! What is there, for somebody who was woken up.

use std::io::{self, Write};
use std::path::Path;

use hotstove::limits::MINUTES_PER_BUCKET;
use hotstove::{FileReport, Inspection, Minute, SegmentReport};

use crate::failure::shown;
use crate::print::{Align, Column, Listing, bytes, grouped};

const SEGMENTS: &[Column] = &[
    Column {
        title: "bucket",
        align: Align::Left,
    },
    Column {
        title: "file",
        align: Align::Left,
    },
    Column {
        title: "from",
        align: Align::Left,
    },
    Column {
        title: "to",
        align: Align::Left,
    },
    Column {
        title: "commits",
        align: Align::Left,
    },
    Column {
        title: "series",
        align: Align::Right,
    },
    Column {
        title: "cells",
        align: Align::Right,
    },
    Column {
        title: "size",
        align: Align::Left,
    },
    Column {
        title: "B/cell",
        align: Align::Right,
    },
];

const SOURCES: &[Column] = &[
    Column {
        title: "source",
        align: Align::Name,
    },
    Column {
        title: "offset",
        align: Align::Right,
    },
    Column {
        title: "whole until",
        align: Align::Left,
    },
];

const FILES: &[Column] = &[
    Column {
        title: "file",
        align: Align::Name,
    },
    Column {
        title: "what",
        align: Align::Left,
    },
    Column {
        title: "size",
        align: Align::Left,
    },
];

pub fn write(
    out: &mut dyn Write,
    path: &Path,
    found: &Inspection,
    room: Option<usize>,
) -> io::Result<()> {
    facts(out, path, found)?;
    segments(out, found, room)?;
    files(out, found, room)?;
    sources(out, found, room)?;
    for warning in &found.warnings {
        writeln!(out, "\nWARNING  {warning}")?;
    }
    Ok(())
}

fn facts(out: &mut dyn Write, path: &Path, found: &Inspection) -> io::Result<()> {
    let damaged = found
        .segments
        .iter()
        .filter(|segment| segment.broken.is_some())
        .count();
    let state = match (damaged, found.warnings.len()) {
        (0, 0) => "no damage known (`hotstove verify` checks every byte)".to_owned(),
        (segments, warnings) => {
            format!("DAMAGED: {segments} segments can not be read, {warnings} warnings below")
        }
    };
    let state = match found.writer_alive {
        true => format!("{state}; a writer is alive"),
        false => format!("{state}; no writer is alive"),
    };
    let cells = found.cells();
    let in_log = found.sequence.saturating_sub(found.flushed_sequence);
    let retained = match found.floor {
        Minute::MIN => "everything".to_owned(),
        floor => format!("from {floor} on"),
    };
    let facts = [
        (
            "store",
            format!("{} · id {:016x}", shown(path), found.store_id),
        ),
        (
            "format",
            format!(
                "version {} · manifest {}",
                found.format_version,
                grouped(found.generation)
            ),
        ),
        ("state", state),
        (
            "commits",
            format!(
                "{} · {} of them in the log alone",
                grouped(found.sequence),
                grouped(in_log)
            ),
        ),
        (
            "cells",
            format!(
                "{} in segments, {}{}",
                grouped(cells),
                bytes(found.segment_bytes()),
                per_cell(found.segment_bytes(), cells)
                    .map_or(String::new(), |size| format!(", {size} bytes a cell")),
            ),
        ),
        (
            "memory",
            format!(
                "{} series, {} not in segments yet",
                grouped(found.memory_series as u64),
                bytes(found.memory_bytes as u64)
            ),
        ),
        ("on disk", bytes(found.total_bytes())),
        ("retained", retained),
    ];
    for (name, fact) in facts {
        writeln!(out, "{name:<9} {fact}")?;
    }
    Ok(())
}

fn segments(out: &mut dyn Write, found: &Inspection, room: Option<usize>) -> io::Result<()> {
    if found.segments.is_empty() {
        return Ok(());
    }
    let rows = found.segments.iter().map(segment).collect();
    writeln!(out)?;
    Listing {
        columns: SEGMENTS,
        rows,
    }
    .table(out, room)
}

fn segment(segment: &SegmentReport) -> Vec<String> {
    let bucket = segment.first_minute.get() / MINUTES_PER_BUCKET * MINUTES_PER_BUCKET;
    let bucket = Minute::new(bucket).unwrap_or(Minute::END).to_string();
    let (first, last) = segment.sequences;
    let size = per_cell(segment.bytes, segment.cells);
    let broken = segment.broken.as_ref().map(|_| "DAMAGED".to_owned());
    vec![
        bucket.split('T').next().unwrap_or_default().to_owned(),
        segment.file.clone(),
        segment.first_minute.to_string(),
        segment.last_minute.to_string(),
        format!("{first} to {last}"),
        segment.series.to_string(),
        segment.cells.to_string(),
        bytes(segment.bytes),
        broken.or(size).unwrap_or_default(),
    ]
}

/// Bytes a cell, where there are cells.
pub fn per_cell(bytes: u64, cells: u64) -> Option<String> {
    (cells > 0).then(|| format!("{:.3}", bytes as f64 / cells as f64))
}

fn files(out: &mut dyn Write, found: &Inspection, room: Option<usize>) -> io::Result<()> {
    let row = |file: &FileReport, what: &str| {
        let size = file.bytes.map_or("can not be opened".to_owned(), bytes);
        vec![file.file.clone(), what.to_owned(), size]
    };
    let logs = found.logs.iter().map(|file| row(file, "log"));
    let obsolete = found.obsolete.iter();
    let obsolete = obsolete.map(|file| row(file, "obsolete: a writer removes it"));
    let unknown = found.unknown.iter();
    let unknown = unknown.map(|file| row(file, "not the store's: left alone"));
    let rows: Vec<_> = logs.chain(obsolete).chain(unknown).collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    Listing {
        columns: FILES,
        rows,
    }
    .table(out, room)
}

fn sources(out: &mut dyn Write, found: &Inspection, room: Option<usize>) -> io::Result<()> {
    if found.sources.is_empty() {
        return Ok(());
    }
    let rows = found.sources.iter().map(|(name, state)| {
        let text = |value: Option<String>| value.unwrap_or_default();
        vec![
            name.to_string(),
            text(state.offset.map(|offset| offset.to_string())),
            text(state.watermark.map(|minute| minute.to_string())),
        ]
    });
    writeln!(out)?;
    Listing {
        columns: SOURCES,
        rows: rows.collect(),
    }
    .table(out, room)
}
