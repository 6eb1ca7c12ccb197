//! Memory, bytes and time, as the system tells them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn line(file: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

/// Bytes this process caused to be written to the medium.
pub fn bytes_written() -> u64 {
    line("/proc/self/io", "write_bytes:")
}

/// Peaks of resident and of anonymous memory so far, in KiB.
pub struct Memory(Arc<AtomicU64>);

impl Memory {
    /// Looks every 10 ms; the system keeps the peak of resident memory alone.
    pub fn watch() -> Self {
        let peak = Arc::new(AtomicU64::new(0));
        let own = peak.clone();
        std::thread::spawn(move || {
            loop {
                own.fetch_max(line("/proc/self/status", "RssAnon:"), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Memory(peak)
    }

    pub fn peaks(&self) -> (u64, u64) {
        let anonymous = line("/proc/self/status", "RssAnon:");
        let resident = line("/proc/self/status", "VmHWM:");
        (resident, self.0.load(Ordering::Relaxed).max(anonymous))
    }
}

/// Bytes of all files below a directory.
pub fn bytes_on_disk(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    };
    entries
        .flatten()
        .map(|entry| bytes_on_disk(&entry.path()))
        .sum()
}

/// Seconds of the median of many runs, after one that warms up: for a second
/// or 2,000 runs. What takes more than two seconds is run once, cold.
pub fn median<T, E>(mut run: impl FnMut() -> Result<T, E>) -> Result<f64, E> {
    let first = Instant::now();
    run()?;
    let first = first.elapsed();
    if first > Duration::from_secs(2) {
        return Ok(first.as_secs_f64());
    }
    let mut spent = Vec::new();
    let start = Instant::now();
    while spent.len() < 3 || (spent.len() < 2_000 && start.elapsed() < Duration::from_secs(1)) {
        let one = Instant::now();
        std::hint::black_box(run()?);
        spent.push(one.elapsed().as_secs_f64());
    }
    Ok(middle(&mut spent))
}

pub fn middle(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => numbers[length / 2],
        length => (numbers[length / 2 - 1] + numbers[length / 2]) / 2.0,
    }
}

/// The value below which this share lies.
pub fn percentile(numbers: &mut [f64], share: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let place = (numbers.len() as f64 * share) as usize;
    numbers
        .get(place)
        .or(numbers.last())
        .copied()
        .unwrap_or(f64::NAN)
}
