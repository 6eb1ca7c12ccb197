//! A short list of things with their properties, in every format.

use std::io::{self, Write};

use super::grid::{Align, Column, Grid};
use super::shape::{grouped_decimal, json_string};
use super::{Format, answer, line_width};
use crate::failure::Result;

/// Rows of texts; an empty one is "not said".
pub struct Listing {
    pub columns: &'static [Column],
    pub rows: Vec<Vec<String>>,
}

impl Listing {
    /// Writes the list to standard output.
    pub fn print(&self, format: Format) -> Result<()> {
        answer(|out| match format {
            Format::Table => self.table(out, line_width()),
            Format::Csv => self.csv(out),
            Format::Json => self.json(out),
        })
    }

    /// Writes the list as a table.
    pub fn table(&self, out: &mut dyn Write, room: Option<usize>) -> io::Result<()> {
        let cell = |row: usize, column: usize, text: &mut String| {
            let Some(value) = self.rows[row].get(column) else {
                return;
            };
            match self.columns[column].align {
                _ if value.is_empty() => text.push('-'),
                Align::Right => text.push_str(&grouped_decimal(value)),
                Align::Name | Align::Left => text.push_str(value),
            }
        };
        let grid = Grid {
            columns: self.columns,
            rows: self.rows.len(),
            cell: &cell,
        };
        grid.write(out, room)
    }

    fn csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut out = csv::Writer::from_writer(out);
        out.write_record(self.columns.iter().map(|column| column.title))?;
        for row in &self.rows {
            out.write_record(row)?;
        }
        out.flush()
    }

    fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "[")?;
        for (index, row) in self.rows.iter().enumerate() {
            let separator = if index == 0 { "\n" } else { ",\n" };
            write!(out, "{separator}{{")?;
            for (index, (column, value)) in self.columns.iter().zip(row).enumerate() {
                let separator = if index == 0 { "" } else { ", " };
                let value = match column.align {
                    _ if value.is_empty() => "null".to_owned(),
                    Align::Right => value.clone(),
                    Align::Name | Align::Left => json_string(value),
                };
                write!(out, "{separator}{}: {value}", json_string(column.title))?;
            }
            write!(out, "}}")?;
        }
        writeln!(out, "\n]")
    }
}
