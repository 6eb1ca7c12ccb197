//! "Right now": the last hour of a series, beside all of it to date.

use std::collections::VecDeque;

/// Minutes of "now".
pub const MINUTES: u32 = 60;

/// The cells of the last hour of one series, ascending.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    cells: VecDeque<(u32, i128)>,
}

impl Recent {
    /// Adds to a minute that is not before the last one.
    pub fn add(&mut self, minute: u32, units: i128) {
        match self.cells.back_mut() {
            Some((last, sum)) if *last == minute => *sum = sum.saturating_add(units),
            _ => self.cells.push_back((minute, units)),
        }
        while self
            .cells
            .front()
            .is_some_and(|(at, _)| at + MINUTES <= minute)
        {
            self.cells.pop_front();
        }
    }

    /// The sum of the hour before `end`.
    pub fn sum(&self, end: u32) -> i128 {
        let cells = self.cells.iter().filter(|(at, _)| at + MINUTES >= end);
        cells.fold(0, |sum, (_, units)| sum.saturating_add(*units))
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
    }
}
