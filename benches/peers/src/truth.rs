//! The right answers, worked out from the generated cells by plain loops.

use std::collections::BTreeMap;

use crate::question::{Answer, gets, in_q2, in_q3, q1_minutes, q1_series};
use crate::workload::Grid;

/// Question to answer, of the first `series` series.
pub fn answers(grid: &Grid, series: u32) -> BTreeMap<&'static str, Answer> {
    let mut answers: BTreeMap<&'static str, Answer> = BTreeMap::new();
    let mut q1 = Answer::default();
    for series in q1_series() {
        for minute in q1_minutes() {
            if let Some(value) = grid.get(series, minute) {
                q1.add(series, minute, value);
            }
        }
    }
    let (mut q2, mut q3) = (Answer::default(), Answer::default());
    for series in 0..series {
        let (cells, total) = grid.of(series).fold((0, 0), |(cells, total), cell| {
            (cells + 1, total + cell.value)
        });
        if in_q2(series) && cells > 0 {
            q2.add(series, 0, total);
        }
        if in_q3(series) {
            q3.total(total);
        }
    }
    let mut got = Answer::default();
    for (series, minute) in gets(series) {
        if let Some(value) = grid.get(series, minute) {
            got.add(series, minute, value);
        }
    }
    answers.extend([("q1", q1), ("q2", q2), ("q3", q3), ("get", got)]);
    answers
}
