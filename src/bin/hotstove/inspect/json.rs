//! What is there, for programs.

use std::io::{self, Write};

use hotstove::{FileReport, Inspection};
use serde_json::{Value, json};

pub fn write(out: &mut dyn Write, found: &Inspection) -> io::Result<()> {
    let segments = found.segments.iter().map(|segment| {
        json!({
            "file": segment.file,
            "first_minute": segment.first_minute.to_string(),
            "last_minute": segment.last_minute.to_string(),
            "first_commit": segment.sequences.0,
            "last_commit": segment.sequences.1,
            "series": segment.series,
            "cells": segment.cells,
            "bytes": segment.bytes,
            "broken": segment.broken,
        })
    });
    let sources = found.sources.iter().map(|(name, state)| {
        json!({
            "source": name.as_str(),
            "offset": state.offset,
            "whole_until": state.watermark.map(|minute| minute.to_string()),
        })
    });
    let cells = found.cells();
    let answer = json!({
        "store_id": format!("{:016x}", found.store_id),
        "format_version": found.format_version,
        "writer_alive": found.writer_alive,
        "generation": found.generation,
        "commits": found.sequence,
        "commits_in_segments": found.flushed_sequence,
        "floor": found.floor.to_string(),
        "cells": cells,
        "segment_bytes": found.segment_bytes(),
        "bytes_per_cell": (cells > 0).then(|| found.segment_bytes() as f64 / cells as f64),
        "total_bytes": found.total_bytes(),
        "memory_bytes": found.memory_bytes,
        "memory_series": found.memory_series,
        "segments": segments.collect::<Vec<_>>(),
        "logs": files(&found.logs),
        "obsolete": files(&found.obsolete),
        "unknown": files(&found.unknown),
        "sources": sources.collect::<Vec<_>>(),
        "warnings": found.warnings,
    });
    serde_json::to_writer_pretty(&mut *out, &answer)?;
    writeln!(out)
}

fn files(files: &[FileReport]) -> Vec<Value> {
    let file = |file: &FileReport| json!({ "file": file.file, "bytes": file.bytes });
    files.iter().map(file).collect()
}
