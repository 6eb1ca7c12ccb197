//! W1 as the children read it: files, so that no store's process generates.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use crate::Outcome;
use crate::w1::{self, Kind, W1};

/// Minutes from the start in which all releases are active, a transaction each.
pub const BUSY: std::ops::Range<u32> = 6_000..6_250;
pub const SEED: u64 = 42;

/// One delta or cell. All values are integers, gauges in thousandths (W1 gives
/// them three decimals): what no store has to store as floating point.
#[derive(Clone, Copy)]
pub struct Delta {
    pub series: u32,
    /// Minutes since the epoch.
    pub minute: u32,
    pub value: u64,
}

impl Delta {
    fn of(delta: &w1::Delta) -> Self {
        let value = match w1::kind(delta.series % w1::METRICS) {
            Kind::Gauge => (f64::from_bits(delta.bits) * 1_000.0).round() as u64,
            _ => delta.bits,
        };
        Delta {
            series: delta.series,
            minute: delta.minute,
            value,
        }
    }

    pub fn metric(&self) -> u32 {
        self.series % w1::METRICS
    }
}

/// Writes deltas, a minute a group: its length, then 16 bytes each.
struct Groups(BufWriter<File>);

impl Groups {
    fn new(path: &Path) -> Outcome<Self> {
        Ok(Groups(BufWriter::with_capacity(
            1 << 20,
            File::create(path)?,
        )))
    }

    fn write(&mut self, deltas: &[Delta]) -> Outcome {
        self.0.write_all(&(deltas.len() as u32).to_le_bytes())?;
        for delta in deltas {
            self.0.write_all(&delta.series.to_le_bytes())?;
            self.0.write_all(&delta.minute.to_le_bytes())?;
            self.0.write_all(&delta.value.to_le_bytes())?;
        }
        Ok(())
    }
}

/// Reads what was written, a group at a time.
pub struct Reading(BufReader<File>, Vec<u8>);

impl Reading {
    pub fn open(path: &Path) -> Outcome<Self> {
        Ok(Reading(
            BufReader::with_capacity(1 << 20, File::open(path)?),
            Vec::new(),
        ))
    }

    /// The next group; false at the end.
    pub fn next(&mut self, deltas: &mut Vec<Delta>) -> Outcome<bool> {
        deltas.clear();
        let mut count = [0; 4];
        match self.0.read_exact(&mut count) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            read => read?,
        }
        self.1.resize(u32::from_le_bytes(count) as usize * 16, 0);
        self.0.read_exact(&mut self.1)?;
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        deltas.extend(self.1.chunks_exact(16).map(|bytes| Delta {
            series: number(&bytes[..4]) as u32,
            minute: number(&bytes[4..8]) as u32,
            value: number(&bytes[8..]),
        }));
        Ok(true)
    }
}

/// All cells of W1 by series and minute.
pub struct Grid {
    pub series: u32,
    pub minutes: u32,
    /// Absent cells are `u64::MAX`.
    pub cells: Vec<u64>,
}

impl Grid {
    pub fn get(&self, series: u32, minute: u32) -> Option<u64> {
        let place = u64::from(series) * u64::from(self.minutes) + u64::from(minute - w1::START);
        Some(self.cells[place as usize]).filter(|cell| *cell != u64::MAX)
    }

    /// The cells of a series, ascending.
    pub fn of(&self, series: u32) -> impl Iterator<Item = Delta> {
        (w1::START..w1::START + self.minutes).filter_map(move |minute| {
            let value = self.get(series, minute)?;
            Some(Delta {
                series,
                minute,
                value,
            })
        })
    }
}

/// Generates W1 into `directory`: `deltas` in arrival order, `busy` (the
/// minutes of [`BUSY`]), and `cells`, merged and sorted, a series a group.
pub fn generate(directory: &Path, scale: f64) -> Outcome<Grid> {
    let mut workload = W1::new(SEED, scale);
    let mut grid = Grid {
        series: workload.series(),
        minutes: w1::DAYS * 1_440,
        cells: Vec::new(),
    };
    grid.cells = vec![u64::MAX; (grid.series * grid.minutes) as usize];
    let mut deltas = Groups::new(&directory.join("deltas"))?;
    let mut busy = Groups::new(&directory.join("busy"))?;
    for offset in 0..workload.minutes() {
        let group: Vec<Delta> = workload.minute(offset).iter().map(Delta::of).collect();
        for delta in &group {
            let place = delta.series * grid.minutes + (delta.minute - w1::START);
            let cell = &mut grid.cells[place as usize];
            *cell = if *cell == u64::MAX {
                delta.value
            } else {
                *cell + delta.value
            };
        }
        deltas.write(&group)?;
        if BUSY.contains(&offset) {
            busy.write(&group)?;
        }
    }
    let mut cells = Groups::new(&directory.join("cells"))?;
    for series in 0..grid.series {
        cells.write(&grid.of(series).collect::<Vec<_>>())?;
    }
    for mut groups in [deltas, busy, cells] {
        groups.0.flush()?;
    }
    let told = format!("W1 scale {scale}, seed {SEED}: {}", workload.told());
    println!("{told}");
    std::fs::write(directory.join("told"), told)?;
    Ok(grid)
}
