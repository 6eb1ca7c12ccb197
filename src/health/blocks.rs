//! The self-normalized test on blocks of the burst length: half (b) of the
//! default, the one that finds a small lasting change.
//!
//! Sums over blocks at least as long as any crash loop are independent enough
//! to be tested by their own spread, whatever the spread is: no assumption of
//! Poisson counts, which real crashes do not obey. Per block and ratio r0
//!
//! ```text
//! d(r0) = 2·(a − r0·c)/(1 + r0)     a = Σ E_C·X_T/(E_T + E_C),  c = Σ E_T·X_C/(E_T + E_C)
//! ```
//!
//! summed over the strata (full hours) of the block, and
//! exp(λ·Σd − λ²·Σd²/2) mixed over λ normal (Robbins; self-normalized sums:
//! de la Peña, Lai and Shao 2009; Howard et al. 2021, arXiv 1810.08240):
//!
//! ```text
//! log E = ½·ln(s²/(V + s²)) + S²/(2·(V + s²))   [ + ln 2 + ln Φ(S/√(V + s²)) one-sided ]
//! ```

use super::Arm;
pub use super::claimed::Claim;
use super::claimed::{Claimed, Side};
use super::exposures::ahead;
use super::track::Track;
use crate::codec::with_bit_instructions;

/// Minutes of a stratum: exposure and rate may move together from hour to hour.
pub(super) const STRATUM_MINUTES: u32 = 60;

/// Minutes on their way into the blocks of both claims.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Whether a minute with data has come.
    pub(super) started: bool,
    /// The minute after the last one added.
    pub(super) next: u32,
    /// The first minute at which a block may be long enough.
    pub(super) due: u32,
    /// The hour of the open stratum.
    pub(super) hour: u32,
    /// Events and exposure of both arms before `next`.
    pub(super) before: Arm,
    /// Events of T and of C expected so far.
    pub(super) expected: [f64; 2],
    /// T and C since the last cut: the end of a stratum, or of a block.
    pub(super) open: [Arm; 2],
    claims: [Claimed; 2],
    /// The blocks of each claim; while both have closed at the same minutes, the
    /// first are those of both.
    tracks: [Track; 2],
    parted: bool,
}

impl Blocks {
    /// No block yet; alarms of "above" are against `ratio`, of "below" against 1.
    pub fn new(ratio: f64, burst_minutes: u32, burst_events: u32) -> Self {
        let claimed = |claim, ratio| Claimed::new(claim, ratio, burst_events);
        Blocks {
            started: false,
            next: 0,
            due: u32::MAX,
            hour: u32::MAX,
            before: Arm::default(),
            expected: [0.0; 2],
            open: [Arm::default(); 2],
            claims: [claimed(Claim::Above, ratio), claimed(Claim::Below, 1.0)],
            tracks: [(); 2].map(|()| Track::new(burst_minutes)),
            parted: false,
        }
    }

    /// Lets minutes without data go by, up to but not including `minute`; the
    /// minute of the first look among them, where a block closed. To be called
    /// again until there is none.
    #[inline]
    pub fn pass(&mut self, minute: u32) -> Option<u32> {
        if minute <= self.next || minute <= self.due {
            return None;
        }
        self.pass_slowly(minute)
    }

    #[cold]
    fn pass_slowly(&mut self, minute: u32) -> Option<u32> {
        let ripe = [0, 1].into_iter().filter(|claim| self.ripe(*claim));
        let look = ripe
            .map(|claim| self.track(claim).due.max(self.next))
            .min()?;
        (look < minute && self.close(look)).then_some(look)
    }

    /// Adds a minute after all earlier ones (call [`Blocks::pass`] first);
    /// says whether a block closed with it, which is a look.
    #[inline]
    pub fn add(&mut self, minute: u32, treatment: Arm, control: Arm) -> bool {
        let hour = minute / STRATUM_MINUTES;
        if hour != self.hour {
            self.turn_hour(minute, hour);
        }
        // Known before the counts of this minute are.
        let before = self.before;
        self.expected[0] += ahead(treatment.exposure, before.exposure) * before.events;
        self.expected[1] += ahead(control.exposure, before.exposure) * before.events;
        self.before.events += treatment.events + control.events;
        self.before.exposure += treatment.exposure + control.exposure;
        self.open[0].add(treatment);
        self.open[1].add(control);
        self.next = minute + 1;
        minute >= self.due && self.close(minute)
    }

    pub(super) fn turn_hour(&mut self, minute: u32, hour: u32) {
        if !self.started {
            self.started = true;
            for track in &mut self.tracks {
                track.start(minute, [0.0; 2]);
            }
            self.due = self.tracks[0].due;
        }
        self.cut();
        for track in self.tracks_mut() {
            track.close_stratum();
        }
        self.hour = hour;
    }

    /// Hands what is open to the blocks.
    #[inline(always)]
    fn cut(&mut self) {
        let open = std::mem::take(&mut self.open);
        for track in self.tracks_mut() {
            track.add(open);
        }
    }

    /// Closes the blocks that are due at `minute`; whether there were any.
    #[inline(never)]
    pub(super) fn close(&mut self, minute: u32) -> bool {
        with_bit_instructions(
            #[inline(always)]
            || self.close_due(minute),
        )
    }

    #[inline(always)]
    fn close_due(&mut self, minute: u32) -> bool {
        let above = minute >= self.track(0).due && self.ripe(0);
        let below = minute >= self.track(1).due && self.ripe(1);
        if !(above || below) {
            return false;
        }
        self.cut();
        if !self.parted && above && below {
            let closed = self.tracks[0].close(minute, self.expected);
            self.claims.iter_mut().for_each(|it| it.bet(&closed));
        } else {
            self.close_apart(minute, [above, below]);
        }
        self.due = self.track(0).due.min(self.track(1).due);
        self.next = self.next.max(minute + 1);
        true
    }

    /// Closes the blocks of those claims that are due, not both at once or not
    /// for the first time.
    #[inline(never)]
    fn close_apart(&mut self, minute: u32, due: [bool; 2]) {
        if !self.parted {
            self.tracks[1] = self.tracks[0].clone();
            self.parted = true;
        }
        let claims = self.claims.iter_mut().zip(&mut self.tracks);
        for ((claimed, track), due) in claims.zip(due) {
            if due {
                let closed = track.close(minute, self.expected);
                claimed.bet(&closed);
            }
        }
    }

    #[inline(always)]
    fn track(&self, claim: usize) -> &Track {
        &self.tracks[if self.parted { claim } else { 0 }]
    }

    #[inline(always)]
    fn tracks_mut(&mut self) -> &mut [Track] {
        let kept = if self.parted { 2 } else { 1 };
        &mut self.tracks[..kept]
    }

    #[inline(always)]
    fn ripe(&self, claim: usize) -> bool {
        let [treatment, control] = self.track(claim).in_block(self.expected);
        let wanted = self.claims[claim].wanted;
        treatment >= wanted[0] && control >= wanted[1]
    }

    /// When the open block of each claim may close: the first minute at which it is
    /// long enough, and what must be expected of T and of C in all, or a hair more.
    #[inline(always)]
    pub(super) fn closable(&self) -> [(u32, [f64; 2]); 2] {
        [0, 1].map(|claim| {
            let track = self.track(claim);
            (
                track.due,
                track.expected_at_least(self.claims[claim].wanted),
            )
        })
    }

    /// What speaks for "above".
    pub fn above(&self) -> Side<'_> {
        self.side(0)
    }

    /// What speaks for "below".
    pub fn below(&self) -> Side<'_> {
        self.side(1)
    }

    #[inline(always)]
    fn side(&self, claim: usize) -> Side<'_> {
        Side {
            claimed: &self.claims[claim],
            track: self.track(claim),
        }
    }

    /// log E of a claim against the one ratio alarms are raised against, by
    /// the bets on signs: sharper than [`Side::log_e`], and not to be had of
    /// any ratio afterwards. 0 before the first block closes.
    pub fn log_e_bet(&mut self, claim: Claim) -> f64 {
        let at = usize::from(claim == Claim::Below);
        if self.track(at).count == 0 {
            return 0.0;
        }
        self.claims[at].bets.log_e()
    }

    /// ln of the pooled estimate of r: the mean over both claims, so that the arms
    /// swapped have the same with the other sign.
    pub fn log_estimate(&self) -> Option<f64> {
        let [above, below] = [0, 1].map(|claim| self.track(claim).log_estimate());
        match above.zip(below) {
            Some((above, below)) => Some(0.5 * (above + below)),
            None => above.or(below),
        }
    }

    /// About how far the ends of a 95 % sequence are from the estimate, in ln r:
    /// the same for the arms swapped, too.
    pub fn width(&self) -> f64 {
        self.track(0).width().min(self.track(1).width())
    }

    /// The highest autocorrelation of the differences at lags 1 to 3, beyond
    /// what chance would leave; none with too few blocks to tell.
    pub fn autocorrelation(&self) -> Option<f64> {
        self.track(0).autocorrelation()
    }
}
