//! What blocks say for a claim.

use std::f64::consts::LN_2;

use super::bets::{Bets, Stake, third_moment};
use super::logspace::log_phi;
use super::track::{Closed, Sums, Track};

/// A block closes no earlier than at this many expected events of either arm.
const EXPECTED_EVENTS: f64 = 10.0;
/// … and of the arm said to have fewer, at this many bursts' worth.
const EXPECTED_BURSTS: f64 = 2.0;

/// What evidence is gathered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// r is more than a ratio.
    Above,
    /// r is less than a ratio.
    Below,
}

/// A claim, and what is bet on it.
#[derive(Clone, Debug)]
pub struct Claimed {
    claim: Claim,
    burst_events: f64,
    /// Expected events of T and of C at which the open block may close.
    pub wanted: [f64; 2],
    /// The ratio alarms are raised against, and the bets on it.
    ratio: f64,
    pub bets: Bets,
    /// What the last block leaves to be expected of the next one's difference.
    left_over: f64,
}

/// A claim, and the blocks it is held against.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    pub claimed: &'a Claimed,
    pub track: &'a Track,
}

/// S and V + s² against one ratio.
#[derive(Clone, Copy, Debug)]
struct Standing {
    sum: f64,
    spread: f64,
    scale: f64,
}

impl Claimed {
    /// Before the first block.
    pub fn new(claim: Claim, ratio: f64, burst_events: u32) -> Self {
        let bursts = EXPECTED_EVENTS.max(EXPECTED_BURSTS * f64::from(burst_events));
        Claimed {
            claim,
            burst_events: f64::from(burst_events),
            wanted: match claim {
                Claim::Above => [EXPECTED_EVENTS, bursts],
                Claim::Below => [bursts, EXPECTED_EVENTS],
            },
            ratio,
            bets: Bets::new(1.0),
            left_over: 0.0,
        }
    }

    /// Bets on a block that closed.
    #[inline(always)]
    pub fn bet(&mut self, closed: &Closed) {
        let [expected_t, expected_c] = closed.expected;
        let share = closed.share;
        if let Some(spread) = closed.spread {
            self.bets = Bets::new(spread);
        }
        let above = 2.0 * (closed.a - self.ratio * closed.c) / (1.0 + self.ratio);
        let difference = match self.claim {
            Claim::Above => above,
            Claim::Below => -above,
        } - self.left_over;
        let before = closed.share_before;
        let (fewer, expected_fewer) = match self.claim {
            Claim::Above => (before.map(|it| 1.0 - it), expected_c),
            Claim::Below => (before, expected_t),
        };
        let fewer = fewer.unwrap_or(share.min(1.0 - share));
        self.left_over = difference * closed.carried;
        self.bets.bet(Stake {
            difference,
            moment: third_moment(self.burst_events, expected_fewer, fewer),
        });
    }
}

impl Side<'_> {
    /// 1 for "above", −1 for "below".
    #[inline(always)]
    pub fn sign(self) -> f64 {
        match self.claimed.claim {
            Claim::Above => 1.0,
            Claim::Below => -1.0,
        }
    }

    fn standing(self, ratio: f64) -> Option<Standing> {
        if self.track.count == 0 {
            return None;
        }
        let Sums { d1, d2, dc, c1, cc } = self.track.sums;
        let (over, half) = (ratio - 1.0, 2.0 / (1.0 + ratio));
        let variance = half * half * (d2 - 2.0 * over * dc + over * over * cc);
        Some(Standing {
            sum: match self.claimed.claim {
                Claim::Above => half * (d1 - over * c1),
                Claim::Below => half * (over * c1 - d1),
            },
            spread: variance.max(0.0) + self.track.scale,
            scale: self.track.scale,
        })
    }

    /// log E of the claim: r above, or below, `ratio` (0 before the first block
    /// closes).
    pub fn log_e(self, ratio: f64) -> f64 {
        self.standing(ratio).map_or(0.0, Standing::log_e)
    }

    /// No smaller than [`Side::log_e`], for the price of a division.
    pub fn log_e_at_most(self, ratio: f64) -> f64 {
        self.standing(ratio)
            .map_or(0.0, |it| LN_2 + it.sum * it.sum / (2.0 * it.spread))
    }
}

impl Standing {
    fn log_e(self) -> f64 {
        let z = self.sum / self.spread.sqrt();
        LN_2 + 0.5 * (self.scale / self.spread).ln() + 0.5 * z * z + log_phi(z)
    }
}
