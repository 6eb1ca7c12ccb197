//! What every store is asked, and the form of its answers.

use crate::w1::{self, BRANCHES, METRICS, W1, random::Random};

/// Metrics of Q1 and Q2: crashes and usage hours.
pub const ASKED: [u32; 2] = [0, 7];
/// The metric that is a gauge: it has no sum, so Q3 leaves it out.
pub const GAUGE: u32 = 9;
/// How many cells are got.
pub const GETS: usize = 2_000;

/// Q1 of release 0 on its third day: old, thus in the slowest form a store has.
pub fn q1_series() -> impl Iterator<Item = u32> {
    (0..BRANCHES).flat_map(|branch| ASKED.map(|metric| branch * METRICS + metric))
}

/// The minutes of Q1.
pub fn q1_minutes() -> std::ops::Range<u32> {
    let first = w1::START + 2_880;
    first..first + 1_440
}

/// Whether Q2 asks for this series.
pub fn in_q2(series: u32) -> bool {
    ASKED.contains(&(series % METRICS))
}

/// Whether Q3 sums this series.
pub fn in_q3(series: u32) -> bool {
    series % METRICS != GAUGE
}

/// The cells that are got, the same for all stores: any of a release's first
/// eight days, present or not.
pub fn gets(series: u32) -> Vec<(u32, u32)> {
    let mut random = Random::new(7);
    let workload = W1::new(
        0,
        f64::from(series) / f64::from(w1::RELEASES * BRANCHES * METRICS),
    );
    let one = |_| {
        let series = random.below(u64::from(series)) as u32;
        let first = workload.active(series / (BRANCHES * METRICS)).0;
        (series, first + random.below(8 * 1_440) as u32)
    };
    (0..GETS).map(one).collect()
}

/// Rows and a checksum over all of them: every row must have come out, under
/// its own series and minute, with its own value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub rows: u64,
    pub sum: u64,
}

impl Answer {
    pub fn add(&mut self, series: u32, minute: u32, value: u64) {
        let place =
            (u64::from(series) << 32 | u64::from(minute)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.rows += 1;
        self.sum = self
            .sum
            .wrapping_add(value.wrapping_add(1).wrapping_mul(place | 1));
    }

    /// Adds to a total, which has no place.
    pub fn total(&mut self, value: u64) {
        self.sum = self.sum.wrapping_add(value);
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{:016x}", self.rows, self.sum)
    }
}
