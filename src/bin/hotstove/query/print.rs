//! Tables of answers, for people and for programs.

use std::fmt::Write as _;
use std::io::{self, Write};

use hotstove::{Axis, Every, Group, GroupBy, Minute, Table, Value};

use crate::print::{Align, Column, Grid, float, grouped_decimal, json_string};

/// What the question says about the answer's looks.
pub struct Shape {
    pub by: GroupBy,
    pub every: Every,
}

/// The columns a table for people can have.
#[derive(Clone, Copy)]
enum Part {
    Release,
    Branch,
    Metric,
    Time,
    Value,
}

impl Shape {
    /// Writes the answer for people: what was not grouped by is left out.
    pub fn table(&self, out: &mut dyn Write, table: &Table, room: Option<usize>) -> io::Result<()> {
        let time = match table.axis() {
            Axis::Minute => "minute (UTC)",
            Axis::Age => "age",
        };
        let parts = [
            (self.by.release, Part::Release, "release", Align::Name),
            (self.by.branch, Part::Branch, "branch", Align::Name),
            (self.by.metric, Part::Metric, "metric", Align::Name),
            (true, Part::Time, time, Align::Left),
            (true, Part::Value, "value", Align::Right),
        ];
        let shown = parts.into_iter().filter(|(shown, ..)| *shown);
        let (parts, columns): (Vec<_>, Vec<_>) = shown
            .map(|(_, part, title, align)| (part, Column { title, align }))
            .unzip();
        let mut groups = Vec::new();
        let mut rows = 0;
        for group in table.groups() {
            groups.push((rows, group));
            rows += group.minutes.len();
        }
        let cell = |row: usize, column: usize, text: &mut String| {
            let after = groups.partition_point(|(start, _)| *start <= row);
            let Some((start, group)) = after.checked_sub(1).and_then(|at| groups.get(at)) else {
                return;
            };
            let part = parts.get(column).copied().unwrap_or(Part::Value);
            self.cell(table.axis(), group, row - start, part, text);
        };
        let grid = Grid {
            columns: &columns,
            rows,
            cell: &cell,
        };
        grid.write(out, room)
    }

    fn cell(&self, axis: Axis, group: &Group<'_>, row: usize, part: Part, text: &mut String) {
        match part {
            Part::Release => text.push_str(group.release),
            Part::Branch => text.push_str(group.branch),
            Part::Metric => text.push_str(group.metric),
            Part::Time => {
                let minute = group.minutes.get(row).copied().unwrap_or(0);
                self.time(axis, minute, text);
            }
            Part::Value => {
                if let Some(value) = group.values.get(row) {
                    text.push_str(&grouped_decimal(&readable(value)));
                }
            }
        }
    }

    /// A time, with no more of it than the width of the buckets needs.
    fn time(&self, axis: Axis, minute: u32, text: &mut String) {
        let whole_days = matches_days(self.every);
        if axis == Axis::Age {
            let (days, hours, minutes) = (minute / 1_440, minute / 60 % 24, minute % 60);
            let _ = match whole_days {
                true => write!(text, "{days}d"),
                false => write!(text, "{days}d {hours:02}:{minutes:02}"),
            };
            return;
        }
        let time = Minute::new(minute).unwrap_or(Minute::END).to_string();
        let (date, clock) = time.split_once('T').unwrap_or((&time, ""));
        text.push_str(date);
        if !whole_days {
            text.push(' ');
            text.push_str(clock.trim_end_matches('Z'));
        }
    }
}

fn matches_days(every: Every) -> bool {
    match every {
        Every::Minutes(width) => width % 1_440 == 0,
        Every::Whole => false,
    }
}

/// Rates and gauges with as many digits as anybody reads.
fn readable(value: Value) -> String {
    match value {
        Value::Exact(decimal) => decimal.to_string(),
        Value::Float(value) => {
            let digits = 3 - value.abs().log10().floor().clamp(-6.0, 3.0) as i32;
            let exact = float(value);
            let short = format!("{value:.*}", digits.max(0) as usize);
            if short.len() < exact.len() && value.abs() < 1e15 {
                short
            } else {
                exact
            }
        }
    }
}

/// Writes the answer as CSV, exactly.
pub fn csv(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    let mut out = csv::Writer::from_writer(out);
    out.write_record(["release", "branch", "metric", "minute", "value"])?;
    let (mut minute, mut value) = (String::new(), String::new());
    for row in table.rows() {
        minute.clear();
        value.clear();
        let _ = match table.axis() {
            Axis::Minute => write!(minute, "{}", Minute::new(row.minute).unwrap_or(Minute::END)),
            Axis::Age => write!(minute, "{}", row.minute),
        };
        push_exact(row.value, &mut value);
        out.write_record([row.release, row.branch, row.metric, &minute, &value])?;
    }
    out.flush()
}

/// Writes the answer as an array of objects.
pub fn json(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    write!(out, "[")?;
    let mut separator = "\n";
    let mut value = String::new();
    for group in table.groups() {
        let [release, branch, metric] =
            [group.release, group.branch, group.metric].map(json_string);
        for (index, minute) in group.minutes.iter().enumerate() {
            let minute = match table.axis() {
                Axis::Minute => format!("\"{}\"", Minute::new(*minute).unwrap_or(Minute::END)),
                Axis::Age => minute.to_string(),
            };
            value.clear();
            if let Some(exact) = group.values.get(index) {
                push_exact(exact, &mut value);
            }
            write!(
                out,
                "{separator}{{\"release\": {release}, \"branch\": {branch}, \"metric\": {metric}, \"minute\": {minute}, \"value\": {value}}}"
            )?;
            separator = ",\n";
        }
    }
    writeln!(out, "\n]")
}

/// A value that reads back as the same: all digits of a sum, and of a float the
/// fewest that tell it from its neighbours.
fn push_exact(value: Value, text: &mut String) {
    match value {
        Value::Exact(decimal) => {
            let _ = write!(text, "{decimal}");
        }
        Value::Float(value) => text.push_str(&float(value)),
    }
}
