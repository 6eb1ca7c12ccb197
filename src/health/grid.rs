//! The log-ratios a test bets on, and how much on each.

use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock, Weak};

use parking_lot::Mutex;

use super::logspace::log_sum_exp;
use super::shares::{Place, SIDE};

/// Spread of the prior over log-ratios: π(δ) ∝ exp(−δ²/(2·0.5²)).
const SPREAD: f64 = 0.5;
/// … and where the tempered test alarms: π(δ) ∝ exp(−δ²/2). A tempered likelihood
/// is so flat that a wide prior costs little, and what the narrow one would find
/// first the blocks find anyway.
const ALARM_SPREAD: f64 = 1.0;

/// Weights over a run of a grid's points, summing to 1.
#[derive(Clone, Debug)]
pub struct Prior {
    /// Which points.
    pub points: Range<usize>,
    /// ln π, one for each.
    pub log_weights: Vec<f64>,
    /// π itself.
    pub weights: Vec<f64>,
    /// The same points as pieces of the grid.
    pub pieces: Range<usize>,
}

/// Log-ratios δ = ln r in ascending order, with a prior for each question.
#[derive(Debug)]
pub struct Grid {
    /// The points.
    pub deltas: Vec<f64>,
    /// For "T's rate is more than the margin times C's".
    pub worse: Prior,
    /// For "T's rate is less than C's".
    pub better: Prior,
    /// For "the rates differ".
    pub either: Prior,
    /// The grid cut where a prior begins or ends.
    pub pieces: Vec<Range<usize>>,
    /// Of each bin of shares, what its middle gives at every point.
    tables: Vec<OnceLock<Tables>>,
}

/// With z = q₀·(w − 1), at every point of a grid: ln(1 + z), and z/(1 + z); see
/// [`super::likelihood`].
#[derive(Debug)]
pub struct Tables {
    /// ln(1 + z).
    pub logs: Vec<f64>,
    /// z/(1 + z).
    pub slopes: Vec<f64>,
}

impl Grid {
    /// The grid of the tempered test: ±0.05, ±0.15 … ±2.95.
    ///
    /// With a margin above 1 the question "worse" has its own thirty points in
    /// the same steps, the first beyond ln(margin).
    pub fn tempered(margin: f64) -> Self {
        let step = |index: usize| 0.05 + 0.1 * index as f64;
        let mirrored = (0..30).rev().map(|index| -step(index));
        let mut deltas: Vec<f64> = mirrored.chain((0..30).map(step)).collect();
        let either = prior(&deltas, 0..60, SPREAD);
        let better = prior(&deltas, 0..30, ALARM_SPREAD);
        let mut worse = 30..60;
        if margin > 1.0 {
            let first = ((margin.ln() - 0.05) / 0.1).floor().max(-1.0) as i64 + 1;
            deltas.extend((0..30).map(|index| step(index + first as usize)));
            worse = 60..90;
        }
        let worse = prior(&deltas, worse, ALARM_SPREAD);
        Grid::of(deltas, worse, better, either)
    }

    /// The grid of the exact test: −3, −2.95 … 3. Beyond a margin, "worse" has
    /// sixty points of its own in the same steps.
    pub fn exact(margin: f64) -> Self {
        let step = |index: i64| index as f64 / 20.0;
        let mut deltas: Vec<f64> = (-60..=60).map(step).collect();
        let either = prior(&deltas, 0..121, SPREAD);
        let better = prior(&deltas, 0..60, SPREAD);
        let mut worse = 61..121;
        if margin > 1.0 {
            let first = (margin.ln() * 20.0).floor() as i64 + 1;
            deltas.extend((0..60).map(|index| step(index + first)));
            worse = 121..181;
        }
        let worse = prior(&deltas, worse, SPREAD);
        Grid::of(deltas, worse, better, either)
    }

    fn of(deltas: Vec<f64>, mut worse: Prior, mut better: Prior, mut either: Prior) -> Self {
        let mut priors = [&mut worse, &mut better, &mut either];
        let ends = |prior: &Prior| [prior.points.start, prior.points.end];
        let mut cuts: Vec<usize> = priors.iter().flat_map(|prior| ends(prior)).collect();
        cuts.sort_unstable();
        cuts.dedup();
        for prior in &mut priors {
            let [start, end] = ends(prior).map(|end| cuts.partition_point(|cut| *cut < end));
            prior.pieces = start..end;
        }
        let pieces = cuts.windows(2).map(|cut| cut[0]..cut[1]).collect();
        Grid {
            deltas,
            worse,
            better,
            either,
            pieces,
            tables: (0..2 * SIDE).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The grid of all comparisons alive that ask alike: its tables are found
    /// once, and are in the cache when the next pair needs them.
    pub fn shared(independent: bool, margin: f64) -> Arc<Self> {
        type Alive = (bool, f64, Weak<Grid>);
        // Made at its first use: the locks of `schedules/` can not be made earlier.
        static ALIVE: LazyLock<Mutex<Vec<Alive>>> = LazyLock::new(Mutex::default);
        let mut alive = ALIVE.lock();
        let found = alive
            .iter()
            .find(|it| (it.0, it.1) == (independent, margin));
        if let Some(grid) = found.and_then(|(_, _, grid)| grid.upgrade()) {
            return grid;
        }
        let grid = Arc::new(if independent {
            Grid::exact(margin)
        } else {
            Grid::tempered(margin)
        });
        alive.retain(|(_, _, grid)| grid.strong_count() > 0);
        alive.push((independent, margin, Arc::downgrade(&grid)));
        grid
    }

    /// The tables of a bin, which is not faint.
    pub fn tables(&self, place: Place) -> &Tables {
        self.tables[place.key()].get_or_init(|| {
            let z = self.deltas.iter().map(|delta| {
                let w = if place.control_smaller() {
                    -delta
                } else {
                    *delta
                };
                place.middle() * w.exp_m1()
            });
            Tables {
                logs: z.clone().map(f64::ln_1p).collect(),
                slopes: z.map(|z| z / (1.0 + z)).collect(),
            }
        })
    }
}

fn prior(deltas: &[f64], points: Range<usize>, spread: f64) -> Prior {
    let mut log_weights: Vec<f64> = deltas[points.clone()]
        .iter()
        .map(|delta| -delta * delta / (2.0 * spread * spread))
        .collect();
    let total = log_sum_exp(log_weights.iter().copied());
    for weight in &mut log_weights {
        *weight -= total;
    }
    Prior {
        points,
        weights: log_weights.iter().map(|weight| weight.exp()).collect(),
        log_weights,
        pieces: 0..0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priors_sum_to_one_and_stay_on_their_side() {
        for margin in [1.0, 1.05, 1.1, 2.0, 1e6] {
            for grid in [Grid::tempered(margin), Grid::exact(margin)] {
                for prior in [&grid.worse, &grid.better, &grid.either] {
                    let total: f64 = prior.log_weights.iter().map(|weight| weight.exp()).sum();
                    assert!((total - 1.0).abs() < 1e-12);
                    assert_eq!(prior.points.len(), prior.log_weights.len());
                }
                let worse = &grid.deltas[grid.worse.points.clone()];
                assert!(worse.iter().all(|delta| *delta > margin.ln()));
                assert!(worse[0] <= margin.ln() + 0.1 + 1e-12);
                assert!(
                    grid.deltas[grid.better.points.clone()]
                        .iter()
                        .all(|delta| *delta < 0.0)
                );
            }
        }
    }
}
