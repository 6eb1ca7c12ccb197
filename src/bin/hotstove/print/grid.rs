//! A table for people: columns aligned, long names cut so that a row stays a
//! line of the terminal.

use std::io::{self, Write};

use super::shape::{truncated, width};

/// Columns between columns.
const GAP: usize = 2;

/// A name is never cut below this.
const NAME_WIDTH_MIN: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Names: left, and cut where there is no room.
    Name,
    /// Times and words: left, never cut.
    Left,
    /// Numbers: right, never cut.
    Right,
}

pub struct Column {
    pub title: &'static str,
    pub align: Align,
}

/// A table whose cells are made when they are needed: once to measure, once to
/// print.
pub struct Grid<'a> {
    pub columns: &'a [Column],
    pub rows: usize,
    /// Writes the text of (row, column).
    pub cell: &'a dyn Fn(usize, usize, &mut String),
}

impl Grid<'_> {
    /// Writes the table into lines of at most `room` columns, if it can.
    pub fn write(&self, out: &mut dyn Write, room: Option<usize>) -> io::Result<()> {
        let widths = self.widths(room);
        let titles = |column: usize, text: &mut String| text.push_str(self.columns[column].title);
        self.line(out, &widths, &titles)?;
        for row in 0..self.rows {
            self.line(out, &widths, &|column, text| (self.cell)(row, column, text))?;
        }
        Ok(())
    }

    fn widths(&self, room: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<_> = self
            .columns
            .iter()
            .map(|column| width(column.title))
            .collect();
        let mut text = String::new();
        for row in 0..self.rows {
            for (column, widest) in widths.iter_mut().enumerate() {
                text.clear();
                (self.cell)(row, column, &mut text);
                *widest = (*widest).max(width(&text));
            }
        }
        let Some(room) = room else { return widths };
        // The widest name gives first, until all fit or none can give more.
        loop {
            let total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
            let names = widths.iter_mut().zip(self.columns);
            let names = names.filter(|(_, column)| column.align == Align::Name);
            let widest = names.map(|(width, _)| width).max();
            match widest {
                Some(widest) if total > room && *widest > NAME_WIDTH_MIN => *widest -= 1,
                _ => return widths,
            }
        }
    }

    fn line(
        &self,
        out: &mut dyn Write,
        widths: &[usize],
        cell: &dyn Fn(usize, &mut String),
    ) -> io::Result<()> {
        let mut line = String::new();
        let mut text = String::new();
        for (index, (column, room)) in self.columns.iter().zip(widths).enumerate() {
            text.clear();
            cell(index, &mut text);
            if column.align == Align::Name {
                text = truncated(&text, *room);
            }
            let padding = " ".repeat(room.saturating_sub(width(&text)));
            if index > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            match column.align {
                Align::Right => line.extend([padding.as_str(), &text]),
                Align::Name | Align::Left => line.extend([text.as_str(), &padding]),
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(room: Option<usize>) -> String {
        let columns = [
            Column {
                title: "release",
                align: Align::Name,
            },
            Column {
                title: "minute",
                align: Align::Left,
            },
            Column {
                title: "value",
                align: Align::Right,
            },
        ];
        let rows = [
            ["firefox/release/57.0", "10:00", "1,234"],
            ["short", "10:01", "7"],
        ];
        let cell = |row: usize, column: usize, text: &mut String| text.push_str(rows[row][column]);
        let grid = Grid {
            columns: &columns,
            rows: 2,
            cell: &cell,
        };
        let mut out = Vec::new();
        grid.write(&mut out, room).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn aligned() {
        let expected = "\
release               minute  value
firefox/release/57.0  10:00   1,234
short                 10:01       7
";
        assert_eq!(table(None), expected);
        assert_eq!(table(Some(35)), expected);
    }

    #[test]
    fn names_give_way_and_numbers_never() {
        let narrow = table(Some(27));
        assert!(narrow.lines().all(|line| width(line) <= 27), "{narrow}");
        assert!(narrow.contains("firef…e/57.0  10:00   1,234"), "{narrow}");
        let tiny = table(Some(3));
        assert!(tiny.contains("1,234"), "{tiny}");
    }
}
