//! The default test of one arm against another, minute by minute: the mean of
//! the tempered exact test and the self-normalized test on blocks.
//!
//! The tempered half finds an explosion within minutes, the other a small
//! lasting change; the mean of two e-values is an e-value whatever their
//! dependence. Every minute is a look. A look costs thirty exponentials, and
//! almost none of them is near the threshold; see [`Comparison::add`] for how
//! they are left out without changing a result.

use std::ops::Range;
use std::sync::Arc;

use super::Arm;
use super::answers::Answers;
pub use super::answers::{Evidence, Ratio};
use super::bins::Tail;
use super::blocks::{Blocks, Claim};
use super::exposures::{Exposures, due};
use super::grid::{Grid, Prior};
use super::heights::Heights;
use super::likelihood::Likelihood;
use super::logspace::{log_mean, log_sum_exp};
use super::root::Root;
use super::sequence::Ends;
pub use super::settings::{Settings, Watch};
use super::shares::smaller_share;
use super::stride::{Reach, Rows};

/// Arm T against arm C.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub(super) settings: Settings,
    pub(super) grid: Arc<Grid>,
    pub(super) likelihood: Likelihood,
    /// Half (b), for "above" and for "below"; absent where events are independent.
    pub(super) blocks: Option<Blocks>,
    /// The minute after the last one added.
    next: u32,
    first_alarm: Option<u32>,
    /// The look need not be computed while the surplus stays inside.
    reach: Reach,
    /// … and the evidence of blocks stays below.
    blocks_ceiling: f64,
    pub(super) scores: Vec<f64>,
    pub(super) heights: Heights,
    /// What was answered since the last minute came.
    pub(super) answers: Answers,
    /// The estimate of ln r asked for last, and the ends of its sequence.
    pub(super) estimate: Option<Root>,
    pub(super) ends: Option<Ends>,
}

impl Comparison {
    /// Before the first minute.
    pub fn new(settings: Settings) -> Self {
        let margin = if settings.margin >= 1.0 && settings.margin <= 1e6 {
            settings.margin
        } else {
            1.0
        };
        let mut comparison = Comparison {
            settings: Settings { margin, ..settings },
            grid: Grid::shared(settings.independent, margin),
            likelihood: Likelihood::new(),
            blocks: (!settings.independent)
                .then(|| Blocks::new(margin, settings.burst_minutes, settings.burst_events)),
            next: 0,
            first_alarm: None,
            reach: Reach::ANYWHERE,
            blocks_ceiling: f64::INFINITY,
            scores: Vec::new(),
            heights: Heights::default(),
            answers: Answers::default(),
            estimate: None,
            ends: None,
        };
        if settings.watch != Watch::Nothing {
            comparison.look(0);
        }
        comparison
    }

    /// Adds a minute, later than all before it; minutes without data may be
    /// left out. Numbers that are negative or not finite count as 0, a minute
    /// not later than the last is left out.
    ///
    /// Whether the evidence crosses its threshold matters at *every* minute,
    /// and is computed at few. Since ln(1 − p + p·e^δ) is concave in p and 0 at
    /// p = 0, δ at p = 1, it is at least p·δ; so a minute moves S(δ) up by at
    /// most (x_T − p·n)·δ, and from a look on
    ///
    /// ```text
    /// log E_a ≤ logsumexp( log π + S(δ)/b + Y·δ/b )      Y = Σ (x_T − p·n) since
    /// ```
    ///
    /// which is convex in Y. Each computed look says how far Y may go (and how
    /// high the evidence of blocks) before the threshold comes within reach;
    /// until then a look can only say no. (Against a margin m the same holds of
    /// S(δ) − S(ln m), with δ − ln m for δ and m·p/(1 − p + m·p) for p.)
    #[inline]
    pub fn add(&mut self, minute: u32, treatment: Arm, control: Arm) {
        self.add_clean(minute, treatment.clean(), control.clean());
    }

    /// [`Comparison::add`] of numbers known to be finite and not negative.
    #[inline]
    pub(super) fn add_clean(&mut self, minute: u32, treatment: Arm, control: Arm) {
        let exposure = treatment.exposure + control.exposure;
        let events = treatment.events + control.events;
        if minute < self.next || minute == u32::MAX || exposure + events <= 0.0 {
            return;
        }
        self.pass(minute);
        self.answers = Answers::default();
        self.next = minute + 1;
        let mut closed = false;
        if let Some(blocks) = &mut self.blocks {
            closed = blocks.add(minute, treatment, control);
        }
        let (share, control_smaller) = smaller_share(treatment.exposure, control.exposure);
        if events > 0.0 && share > 0.0 {
            self.likelihood
                .add(share, control_smaller, treatment.events, control.events);
            let margin = self.settings.margin_watched();
            let due = due(treatment.exposure, control.exposure, margin);
            self.reach.surplus += treatment.events - events * due;
        }
        if closed || !self.reach.holds() {
            self.look_if_near(minute, closed);
        }
    }

    /// Adds minutes of a run, as [`Comparison::add_clean`] would one by one, given
    /// the events of T and C in every minute of it. All are later than the
    /// minutes added before, and so is the run's start.
    pub(super) fn add_run(
        &mut self,
        exposures: &Exposures,
        minutes: Range<usize>,
        events: [&[f64]; 2],
    ) {
        let tail = self.walk_run(exposures, minutes, events);
        Tail::add_all(&exposures.shares, &mut [tail]);
    }

    /// [`Comparison::add_run`] up to the last of the minutes that the likelihood
    /// has yet to be given, before anything is asked: several have theirs
    /// at once.
    pub(super) fn walk_run<'e>(
        &mut self,
        exposures: &Exposures,
        minutes: Range<usize>,
        events: [&'e [f64]; 2],
    ) -> Tail<'_, 'e> {
        debug_assert!(exposures.start + minutes.start as u32 >= self.next || minutes.is_empty());
        self.pass(exposures.start + minutes.start as u32);
        self.answers = Answers::default();
        let rows = Rows {
            exposures,
            due: exposures.due(self.settings.margin_watched()),
            events,
        };
        let (mut at, mut gathered) = (minutes.start, minutes.start);
        while at < minutes.end {
            let stop = match &mut self.blocks {
                Some(blocks) => blocks.stride(&rows, at..minutes.end, &mut self.reach),
                None => self.reach.stride(&rows, at..minutes.end),
            };
            at = stop.next;
            if stop.due && self.is_near(stop.closed) {
                self.likelihood
                    .add_run(&exposures.shares, gathered..at, events);
                gathered = at;
                self.look(exposures.start + at as u32 - 1);
            }
        }
        self.next = self.next.max(exposures.start + minutes.end as u32);
        if let Some(blocks) = &mut self.blocks {
            blocks.before.exposure = exposures.total();
        }
        self.likelihood.tail(gathered..minutes.end, events)
    }

    /// Lets minutes without data go by, up to but not including `minute`.
    #[inline]
    pub fn pass(&mut self, minute: u32) {
        while let Some(look) = self.blocks.as_mut().and_then(|it| it.pass(minute)) {
            self.answers = Answers::default();
            self.look_if_near(look, true);
        }
    }

    fn look_if_near(&mut self, minute: u32, closed: bool) {
        if self.is_near(closed) {
            self.look(minute);
        }
    }

    /// Whether a look has to be computed, after a minute with which blocks closed
    /// or the surplus may have left its bounds.
    fn is_near(&self, closed: bool) -> bool {
        if self.first_alarm.is_some() || self.settings.watch == Watch::Nothing {
            return false;
        }
        let blocks = self.blocks.as_ref().filter(|_| closed);
        let low = blocks.is_none_or(|blocks| {
            let (above, below) = (blocks.above(), blocks.below());
            match self.settings.watch {
                Watch::Either => {
                    let most = above.log_e_at_most(1.0).max(below.log_e_at_most(1.0));
                    most <= self.blocks_ceiling
                }
                _ => !above.claimed.bets.may_be_over(self.blocks_ceiling),
            }
        });
        !(self.reach.holds() && low)
    }

    /// Computes a look: raises the alarm, or says how far the next one is.
    #[cold]
    fn look(&mut self, minute: u32) {
        self.likelihood.scores(&self.grid, &mut self.scores);
        let tempered = self.tempered(self.settings.prior(&self.grid), self.margin_score());
        let blocks = self
            .blocks
            .as_mut()
            .map_or(tempered, |blocks| match self.settings.watch {
                Watch::Either => apart(blocks, 1.0),
                _ => blocks.log_e_bet(Claim::Above),
            });
        let threshold = self.settings.log_threshold;
        if log_mean(tempered, blocks) >= threshold {
            self.first_alarm = Some(minute);
            self.reach = Reach::ANYWHERE;
            self.blocks_ceiling = f64::INFINITY;
            return;
        }
        // The mean crosses where the halves, over the threshold, sum to 2. Each
        // gets half of what is left of that; a hair less for the rounding.
        let (a, b) = ((tempered - threshold).exp(), (blocks - threshold).exp());
        let room = if self.blocks.is_some() {
            0.5 * (2.0 - a - b)
        } else {
            1.0 - a
        };
        self.blocks_ceiling = threshold + (b + room).ln() - 1e-6;
        self.reach(threshold + (a + room).ln() - 1e-6);
    }

    /// How far the surplus may go before the tempered half reaches `target`.
    fn reach(&mut self, target: f64) {
        let prior = self.settings.prior(&self.grid);
        let burst = self.settings.burst();
        let offset = self.margin_score();
        let margin = self.settings.margin_watched().ln();
        let terms: Vec<(f64, f64)> = prior
            .points
            .clone()
            .zip(&prior.log_weights)
            .map(|(point, weight)| {
                let slope = (self.grid.deltas[point] - margin) / burst;
                (weight + (self.scores[point] - offset) / burst, slope)
            })
            .collect();
        let at = |surplus: f64| {
            log_sum_exp(terms.iter().map(|(height, slope)| height + slope * surplus))
        };
        let edge = |side: f64| {
            // Where one term alone reaches the target, the sum is beyond it.
            let alone = terms
                .iter()
                .filter(|(_, slope)| slope * side > 0.0)
                .map(|(height, slope)| (target - height) / (slope * side))
                .fold(f64::INFINITY, f64::min);
            if alone == f64::INFINITY {
                return alone;
            }
            let (mut inside, mut outside) = (0.0, alone.max(0.0));
            for _ in 0..10 {
                let middle = 0.5 * (inside + outside);
                if at(side * middle) < target {
                    inside = middle;
                } else {
                    outside = middle;
                }
            }
            inside
        };
        self.reach = Reach {
            surplus: 0.0,
            floor: -edge(-1.0),
            ceiling: edge(1.0),
        };
    }

    /// The first minute at which the evidence watched for reached its threshold.
    pub fn first_alarm(&self) -> Option<u32> {
        self.first_alarm
    }

    /// log E_a over a prior; `scores` must be current.
    fn tempered(&self, prior: &Prior, offset: f64) -> f64 {
        let burst = self.settings.burst();
        let scores = &self.scores[prior.points.clone()];
        let terms = scores.iter().zip(&prior.log_weights);
        log_sum_exp(terms.map(|(score, weight)| weight + (score - offset) / burst))
    }

    pub(super) fn margin_score(&self) -> f64 {
        if self.settings.margin_watched() > 1.0 {
            self.likelihood.score(self.settings.margin.ln())
        } else {
            0.0
        }
    }
}

/// Evidence of blocks that r is not `ratio`: the mean of both claims.
pub(super) fn apart(blocks: &Blocks, ratio: f64) -> f64 {
    log_mean(blocks.above().log_e(ratio), blocks.below().log_e(ratio))
}
