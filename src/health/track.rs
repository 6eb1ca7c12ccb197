//! Blocks one after the other: what each adds to, and what they sum up to.

use super::Arm;
use super::drift::Drift;

/// The scale s² over the variance that independent events of the first block
/// would have.
const SCALE: f64 = 20.0;

/// The open block, and the sums over those that closed.
#[derive(Clone, Debug)]
pub struct Track {
    burst_minutes: u32,
    /// The first minute at which the open block is as long as a burst.
    pub due: u32,
    /// Events of T and of C expected before it.
    expected_before: [f64; 2],
    /// What the open stratum held before the last cut.
    stratum: [Arm; 2],
    /// The open block, its closed strata.
    a: f64,
    c: f64,
    exposure: [f64; 2],
    /// s², 0 until the first block closes.
    pub scale: f64,
    /// Blocks closed.
    pub count: u32,
    pub sums: Sums,
    drift: Drift,
    /// T's share of the exposure of the last block.
    share: Option<f64>,
}

/// Running sums over blocks, sound where raw sums of squares would cancel:
/// D1 = Σ(a−c), D2 = Σ(a−c)², DC = Σ(a−c)·c, C1 = Σc, CC = Σc².
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    pub d1: f64,
    pub d2: f64,
    pub dc: f64,
    pub c1: f64,
    pub cc: f64,
}

/// A block that closed.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// Of the first one, the standard deviation that independent events of it
    /// would have.
    pub spread: Option<f64>,
    pub a: f64,
    pub c: f64,
    /// Events of T and of C expected in it.
    pub expected: [f64; 2],
    /// T's share of the exposure of the block before. This one's, where exposure
    /// comes late and by chance, would make bettors bold just when they win.
    pub share_before: Option<f64>,
    /// T's share of its own.
    pub share: f64,
    /// Of its difference, the share to be expected of the next one again.
    pub carried: f64,
}

impl Track {
    /// Before the first minute.
    pub fn new(burst_minutes: u32) -> Self {
        Track {
            burst_minutes: burst_minutes.max(1),
            due: u32::MAX,
            expected_before: [0.0; 2],
            stratum: [Arm::default(); 2],
            a: 0.0,
            c: 0.0,
            exposure: [0.0; 2],
            scale: 0.0,
            count: 0,
            sums: Sums::default(),
            drift: Drift::default(),
            share: None,
        }
    }

    /// A block begins.
    #[inline(always)]
    pub fn start(&mut self, minute: u32, expected: [f64; 2]) {
        self.due = minute.saturating_add(self.burst_minutes - 1);
        self.expected_before = expected;
    }

    /// Adds T's and C's minutes to the open stratum.
    #[inline(always)]
    pub fn add(&mut self, [treatment, control]: [Arm; 2]) {
        self.stratum[0].add(treatment);
        self.stratum[1].add(control);
    }

    /// Events each arm expects in the open block.
    #[inline(always)]
    pub fn in_block(&self, expected: [f64; 2]) -> [f64; 2] {
        let [t, c] = self.expected_before;
        [expected[0] - t, expected[1] - c]
    }

    /// What must be expected of T and of C in all, or a hair more, for as much to be
    /// expected in the block as is wanted.
    #[inline(always)]
    pub fn expected_at_least(&self, wanted: [f64; 2]) -> [f64; 2] {
        let [t, c] = self.expected_before;
        let hair = 1.0 - 1e-12;
        [(t + wanted[0]) * hair, (c + wanted[1]) * hair]
    }

    /// Ends the open stratum.
    #[inline(always)]
    pub fn close_stratum(&mut self) {
        let [t, c] = self.stratum;
        self.exposure[0] += t.exposure;
        self.exposure[1] += c.exposure;
        if t.exposure > 0.0 && c.exposure > 0.0 {
            let both = t.exposure + c.exposure;
            self.a += t.events * (c.exposure / both);
            self.c += c.events * (t.exposure / both);
        }
        self.stratum = [Arm::default(); 2];
    }

    /// Closes the open block with `minute`, where so much is expected in all.
    #[inline(always)]
    pub fn close(&mut self, minute: u32, expected: [f64; 2]) -> Closed {
        self.close_stratum();
        let [t, c] = self.exposure;
        let share = t / (t + c);
        let in_block = self.in_block(expected);
        let spread = (self.count == 0).then(|| {
            let smaller = in_block[0].min(in_block[1]);
            let other = c / (t + c);
            self.scale = (SCALE * smaller * share * other).max(f64::MIN_POSITIVE);
            (smaller * share.max(other)).sqrt()
        });
        let (d, c) = (self.a - self.c, self.c);
        self.sums.d1 += d;
        self.sums.d2 += d * d;
        self.sums.dc += d * c;
        self.sums.c1 += c;
        self.sums.cc += c * c;
        self.drift.add([d, c]);
        let burst = f64::from(self.burst_minutes);
        let minutes = burst + f64::from(minute.saturating_sub(self.due));
        let closed = Closed {
            spread,
            a: self.a,
            c,
            expected: in_block,
            share_before: self.share.replace(share),
            share,
            carried: carry(burst, minutes),
        };
        self.count = self.count.saturating_add(1);
        (self.a, self.c) = (0.0, 0.0);
        self.exposure = [0.0; 2];
        self.start(minute + 1, expected);
        closed
    }

    /// ln of the pooled estimate Σa/Σc of r over closed blocks (Mantel and Haenszel).
    pub fn log_estimate(&self) -> Option<f64> {
        let Sums { d1, c1, .. } = self.sums;
        (c1 > 0.0 && d1 + c1 > 0.0).then(|| ((d1 + c1) / c1).ln())
    }

    /// About how far the ends of a 95 % sequence are from the estimate, in ln r.
    pub fn width(&self) -> f64 {
        let Sums { d1, d2, c1, .. } = self.sums;
        let both = 0.5 * d1 + c1;
        if both > 0.0 {
            2.8 * (d2 + self.scale).sqrt() / both
        } else {
            0.02
        }
    }

    /// The highest autocorrelation of the differences at the pooled ratio, at lags 1 to
    /// 3, beyond what chance would leave; none with too few blocks to tell. Two standard errors
    /// would warn of one metric in fifteen though its events are independent: there
    /// are three lags.
    pub fn autocorrelation(&self) -> Option<f64> {
        let blocks = f64::from(self.count);
        if self.count < 40 {
            return None;
        }
        let Sums { d1, d2, dc, c1, cc } = self.sums;
        if c1 <= 0.0 {
            return None;
        }
        let excess = d1 / c1;
        let spread = d2 - excess * (2.0 * dc - excess * cc);
        if spread <= 0.0 {
            return None;
        }
        let highest = self.drift.highest(excess) / spread;
        let chance = 3.0 / blocks.sqrt();
        (highest > chance).then_some(highest)
    }
}

/// Of a block's difference, the share to be expected of the next one again, were
/// all of it loops as long as a burst may be: those that run across the boundary
/// count in both. A loop of L minutes that begins somewhere in a block of B has an
/// L³/6 of its square in common with the next, of L²·(B − L/3) in its own; the
/// quotient is L/(6B − 2L), ¼ where blocks are as short as bursts.
#[inline(always)]
fn carry(burst: f64, minutes: f64) -> f64 {
    burst / (6.0 * minutes - 2.0 * burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What blocks of half an hour say, with events in them beyond their due.
    fn correlated(ratio: f64, more: impl Fn(u32) -> f64) -> Option<f64> {
        let mut track = Track::new(30);
        let mut expected = [0.0; 2];
        track.start(0, expected);
        for block in 0..200 {
            // By day more than at night.
            let hours = 10.0 + 6.0 * (f64::from(block) / 7.6).sin();
            let noise = f64::from(block * 7_919 % 101) / 50.0 - 1.0;
            let arm = |events| Arm {
                events,
                exposure: hours,
            };
            let [t, c] = [ratio * 20.0 * hours + more(block), 20.0 * hours];
            track.add([arm(t + 15.0 * noise), arm(c)]);
            expected = expected.map(|it| it + 0.5 * (t + c));
            track.close(block * 30 + 29, expected);
        }
        track.autocorrelation()
    }

    #[test]
    fn a_large_effect_is_no_long_burst() {
        assert_eq!(correlated(1.0, |_| 0.0), None);
        assert_eq!(correlated(3.0, |_| 0.0), None);
        let loops = |block: u32| if block % 20 < 6 { 60.0 } else { 0.0 };
        assert!(correlated(1.0, loops).is_some_and(|it| it > 0.5));
        assert!(correlated(3.0, loops).is_some_and(|it| it > 0.5));
    }
}
