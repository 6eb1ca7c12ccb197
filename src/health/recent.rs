//! "Right now": the last hour of a series, beside all of it to date.

use std::collections::VecDeque;

/// Minutes of "now".
pub const MINUTES: u32 = 60;

/// The cells of the last hour of one series, ascending.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    cells: VecDeque<(u32, i128)>,
    /// Their sum, unless it left 128 bits once.
    total: Total,
}

#[derive(Clone, Copy, Debug)]
struct Total(Option<i128>);

impl Default for Total {
    fn default() -> Self {
        Total(Some(0))
    }
}

impl Recent {
    /// Adds to a minute that is not before the last one.
    pub fn add(&mut self, minute: u32, units: i128) {
        match self.cells.back_mut() {
            Some((last, sum)) if *last == minute => *sum = sum.saturating_add(units),
            _ => self.cells.push_back((minute, units)),
        }
        self.total.0 = self.total.0.and_then(|sum| sum.checked_add(units));
        while let Some((at, units)) = self.cells.front()
            && at + MINUTES <= minute
        {
            self.total.0 = self.total.0.and_then(|sum| sum.checked_sub(*units));
            self.cells.pop_front();
        }
    }

    /// The sum of the hour before `end`.
    pub fn sum(&self, end: u32) -> i128 {
        let add = |sum: i128, (_, units): &(u32, i128)| sum.saturating_add(*units);
        let gone = self.cells.iter().take_while(|(at, _)| at + MINUTES < end);
        let gone = gone.fold(0, add);
        match self.total.0.and_then(|sum| sum.checked_sub(gone)) {
            Some(sum) => sum,
            None => {
                let cells = self.cells.iter().filter(|(at, _)| at + MINUTES >= end);
                cells.fold(0, add)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_and_no_more() {
        let mut recent = Recent::default();
        for minute in 100..200 {
            recent.add(minute, 1);
            recent.add(minute, 1);
        }
        assert_eq!(recent.sum(200), 120);
        assert_eq!(recent.sum(230), 60);
        assert_eq!(recent.sum(1_000), 0);
        assert!(recent.cells.len() <= 60);
        recent.add(200, i128::MAX);
        recent.add(201, 5);
        assert_eq!(recent.sum(202), i128::MAX);
        recent.add(400, 7);
        assert_eq!(recent.sum(400), 7);
    }
}
