//! The null experiment: two series that are the same too often.

use std::f64::consts::LN_2;
use std::sync::LazyLock;

use super::logspace::{log_sum_exp, odds_against_a_draw};

/// ln of the evidence at which two series are too identical: a thousand.
const LOG_THRESHOLD: f64 = 6.907_755_278_982_137;
/// Minutes with an even, positive number of events before that may alarm.
const EVEN_MINUTES: u32 = 30;
/// What is bet on "equal", as a share of the capital; the mean of three bettors.
const BETS: [f64; 3] = [0.1, 0.5, 0.9];
/// Equal minutes with fewer events than twice this have what is won on them written
/// down.
const FEW: usize = 128;
/// Are two series of independent counts equal too often?
///
/// Given n = x_C + x_T, even and positive, P = C(n, n/2)·2⁻ⁿ bounds the chance
/// of x_C = x_T at any share. A bet of κ on "equal" multiplies the capital by
/// 1 − κ + κ/P or by 1 − κ; the product over all minutes is an e-process, and so
/// is the mean over κ.
#[derive(Clone, Copy, Debug)]
pub struct TooIdentical {
    even: u32,
    equal: u32,
    /// ln of what the bettors won on equal minutes.
    won: [f64; BETS.len()],
    first_alarm: Option<u32>,
}

impl Default for TooIdentical {
    fn default() -> Self {
        TooIdentical {
            even: 0,
            equal: 0,
            won: [0.0; BETS.len()],
            first_alarm: None,
        }
    }
}

impl TooIdentical {
    /// Adds a minute's counts, which must be whole numbers.
    #[inline]
    pub fn add(&mut self, minute: u32, treatment: f64, control: f64) {
        let events = treatment + control;
        self.even += is_even(events);
        if treatment == control && events > 0.0 && is_even(events) == 1 {
            self.equal(minute, events, few());
        }
    }

    /// [`TooIdentical::add`] of the minutes from `start` on, given the counts of
    /// both arms, and their tags where there are any: an hour and a little at a time,
    /// and only where counts may be equal is stopped.
    pub fn add_run(&mut self, start: u32, counts: [&[f64]; 2], tags: Option<[&[u8]; 2]>) {
        let [treatment, control] = counts;
        let Some([tags_t, tags_c]) = tags else {
            for (minute, (treatment, control)) in (start..).zip(treatment.iter().zip(control)) {
                self.add(minute, *treatment, *control);
            }
            return;
        };
        let (groups_t, last_t) = tags_t.as_chunks::<GROUP>();
        let (groups_c, last_c) = tags_c.as_chunks::<GROUP>();
        let last = [padded(last_t), padded(last_c)];
        let groups = groups_t.iter().zip(groups_c);
        let groups = groups.chain([(&last[0], &last[1])]);
        let few = few();
        for (group, (t, c)) in groups.enumerate() {
            let (even, mut alike) = even_and_alike(t, c);
            let before = self.even;
            while alike != 0 {
                let minute = alike.trailing_zeros();
                alike &= alike - 1;
                let at = GROUP * group + minute as usize;
                if treatment[at] == control[at] {
                    let so_far = even & (u64::MAX >> (63 - minute));
                    self.even = before + so_far.count_ones();
                    self.equal(start + at as u32, 2.0 * treatment[at], few);
                }
            }
            self.even = before + even.count_ones();
        }
    }

    #[inline(always)]
    fn equal(&mut self, minute: u32, events: f64, few: &[[f64; BETS.len()]; FEW]) {
        let gains = match few.get((0.5 * events) as usize) {
            Some(gains) => *gains,
            None => gains(events),
        };
        self.equal += 1;
        let mut richest = f64::NEG_INFINITY;
        let unequal = f64::from(self.even - self.equal);
        for ((won, gain), lost) in self.won.iter_mut().zip(gains).zip(LOST) {
            *won += gain;
            richest = richest.max(*won + unequal * lost);
        }
        // The evidence is the mean over bettors: no more than the richest has.
        if richest >= LOG_THRESHOLD {
            self.look(minute);
        }
    }

    #[cold]
    fn look(&mut self, minute: u32) {
        let enough = self.even >= EVEN_MINUTES && self.first_alarm.is_none();
        if enough && self.log_e() >= LOG_THRESHOLD {
            self.first_alarm = Some(minute);
        }
    }

    /// log E of "these are the same events".
    pub fn log_e(&self) -> f64 {
        let unequal = f64::from(self.even - self.equal);
        let capital = self.won.iter().zip(LOST);
        let logs = capital.map(|(won, lost)| won + unequal * lost);
        log_sum_exp(logs) - 3f64.ln()
    }

    /// Minutes that said anything.
    pub fn minutes(&self) -> u32 {
        self.even
    }

    /// The first minute at which the evidence reached a thousand.
    pub fn first_alarm(&self) -> Option<u32> {
        self.first_alarm
    }
}

/// ln of what each bettor's capital is multiplied by on a minute of `events`, half of
/// them in each arm.
fn gains(events: f64) -> [f64; BETS.len()] {
    let odds = odds_against_a_draw(events);
    BETS.map(|bet| (1.0 - bet + bet * odds).ln())
}

/// [`gains`] of twice the index; nothing for no events.
fn few() -> &'static [[f64; BETS.len()]; FEW] {
    static FEW_EVENTS: LazyLock<[[f64; BETS.len()]; FEW]> = LazyLock::new(|| {
        std::array::from_fn(|half| match half {
            0 => [0.0; BETS.len()],
            half => gains(2.0 * half as f64),
        })
    });
    &FEW_EVENTS
}

/// 1 for an even, positive number of events. Beyond 2^53 a double no longer
/// tells odd from even. No branch here: half of all minutes are odd, at random.
#[inline(always)]
fn is_even(events: f64) -> u32 {
    let half = 0.5 * events;
    // From 2^52 on doubles are whole: adding that rounds.
    let whole = (half + TWO_52) - TWO_52 == half;
    u32::from(whole & (events > 0.0) & (events < 9e15))
}

const TWO_52: f64 = (1_u64 << 52) as f64;

/// Of the tag of a count up to 2^52, the bits that are its last; the other is set
/// where it is positive.
pub const TAG_BITS: u8 = 0x7f;

const ONES: u64 = u64::MAX / 255;
const TOPS: u64 = ONES << 7;

/// Minutes that have a bit each in a word.
const GROUP: usize = 64;

/// Fewer tags than a group has, and 0 for what is missing.
fn padded(tags: &[u8]) -> [u8; GROUP] {
    let mut all = [0; GROUP];
    all[..tags.len()].copy_from_slice(tags);
    all
}

/// In which minutes the sum of both counts is even and positive, and in which both may
/// be the same and positive, the first the lowest bit.
#[inline(always)]
fn even_and_alike(t: &[u8; GROUP], c: &[u8; GROUP]) -> (u64, u64) {
    let (mut even, mut alike) = (0, 0);
    let eights = t.as_chunks::<8>().0.iter().zip(c.as_chunks::<8>().0);
    for (at, (t, c)) in eights.enumerate() {
        let (t, c) = (u64::from_le_bytes(*t), u64::from_le_bytes(*c));
        let sum_is_even = !(t ^ c) & (t | c) >> 7 & ONES;
        // A byte of t ^ c is 0 where tags are equal: no carry leaves it.
        let apart = ((t ^ c) & !TOPS).wrapping_add(!TOPS) | (t ^ c);
        let same = (!apart & t) >> 7 & ONES;
        even |= lowest_bits(sum_is_even) << (8 * at);
        alike |= lowest_bits(same) << (8 * at);
    }
    (even, alike)
}

/// The lowest bit of each byte, of bytes that are 0 or 1: the product has them in its
/// highest byte.
#[inline(always)]
fn lowest_bits(bytes: u64) -> u64 {
    bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// ln(1 − κ) for [`BETS`].
const LOST: [f64; 3] = [-0.105_360_515_657_826_3, -LN_2, -std::f64::consts::LN_10];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirrored_series_is_found_with_its_thirtieth_minute() {
        let mut same = TooIdentical::default();
        for minute in 0..60 {
            same.add(minute, 10.0, 10.0);
        }
        assert_eq!(same.first_alarm(), Some(29));
        // About 1.7 nats a minute at 20 events a minute.
        let a_minute = same.log_e() / 60.0;
        assert!((1.6..1.8).contains(&a_minute), "{a_minute}");
    }

    #[test]
    fn busy_independent_series_are_not() {
        let mut state = 7_u64;
        let mut coin = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            f64::from((state >> 33) as u32 % 9)
        };
        let mut test = TooIdentical::default();
        for minute in 0..20_160 {
            test.add(minute, coin(), coin());
        }
        assert_eq!(test.first_alarm(), None);
        assert!(test.log_e().is_finite() && test.minutes() > 9_000);
    }

    #[test]
    fn tags_find_the_same() {
        let mut state = 3_u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        let tag = |count: &u64| (*count as u8 & TAG_BITS) | u8::from(*count > 0) << 7;
        for length in [0, 1, 7, 8, 9, 63, 1_440] {
            for below in [2, 5, 300] {
                let [left, right] = [(); 2].map(|()| {
                    let counts = (0..length).map(|_| draw(below) + 128 * draw(2));
                    counts.collect::<Vec<u64>>()
                });
                let doubles = |counts: &[u64]| counts.iter().map(|it| *it as f64).collect();
                let (t, c): (Vec<f64>, Vec<f64>) = (doubles(&left), doubles(&right));
                let tags = [&left, &right].map(|it| it.iter().map(tag).collect::<Vec<u8>>());
                let [mut tagged, mut plain] = [TooIdentical::default(); 2];
                tagged.add_run(5, [&t, &c], Some([&tags[0], &tags[1]]));
                plain.add_run(5, [&t, &c], None);
                assert_eq!((tagged.even, tagged.equal), (plain.even, plain.equal));
                assert_eq!(tagged.log_e().to_bits(), plain.log_e().to_bits());
                assert_eq!(tagged.first_alarm(), plain.first_alarm());
            }
        }
    }

    #[test]
    fn odd_minutes_say_nothing() {
        let mut test = TooIdentical::default();
        test.add(0, 3.0, 4.0);
        assert_eq!((test.minutes(), test.log_e()), (0, 0.0));
        test.add(1, 1e15, 1e15);
        test.add(2, 1e16, 1e16);
        assert_eq!(test.minutes(), 1);
        assert!(test.log_e().is_finite());
    }
}
