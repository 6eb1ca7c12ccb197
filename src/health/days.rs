//! Many series, day by day: decoded once, as doubles, and counted on the way.

use super::cells::{Cells, DayCells, Scratch};
use super::counted::{Counted, Span};
use super::identical::TAG_BITS;
use crate::codec::with_bit_instructions;
use crate::error::Result;
use crate::limits::MINUTES_PER_DAY;
use crate::query::{DayMinutes, DayUnits};

const DAY: usize = MINUTES_PER_DAY as usize;

/// Minutes of a run at the most: what all metrics ask of the exposures of two arms,
/// some hundred bytes a minute, then stays in the first cache from one metric to the
/// next. Whole bytes of tags, too.
const RUN_MINUTES: u32 = 240;

/// Series by days, as doubles.
pub(super) struct Days<'a> {
    sources: Vec<Source<'a>>,
    /// Place after place, a day each; the first is of zeros.
    dense: Vec<f64>,
    /// The same as tags, for what asks for them; see [`super::identical`].
    tags: Vec<u8>,
    scratch: Scratch,
    /// The day that is in them.
    day: Option<u32>,
    /// The run that is walked, in minutes of the day.
    run: (usize, usize),
    /// Minutes before this one have been walked.
    at: u32,
    span: Span,
}

struct Source<'a> {
    /// Which branch and metric it is.
    key: (usize, usize),
    days: Box<dyn DayCells + Send + 'a>,
    fill: Fill,
    /// Sums, where they are this walk's to make.
    counted: Option<Counted>,
}

/// How a day is written into its place.
#[derive(Clone, Copy)]
struct Fill {
    /// Units of 1.
    unit: f64,
    /// Whether tags are asked for, and can be given.
    tagged: bool,
    tags: bool,
}

/// A series with what it is of.
#[derive(Clone, Copy)]
pub(super) struct Keyed<'a> {
    pub branch: usize,
    pub metric: usize,
    pub decimals: u8,
    pub cells: &'a dyn Cells,
}

impl<'a> Days<'a> {
    pub fn new(span: Span) -> Self {
        Days {
            sources: Vec::new(),
            dense: Vec::new(),
            tags: Vec::new(),
            scratch: Scratch::new(),
            day: None,
            run: (0, 0),
            at: 0,
            span,
        }
    }

    /// The place of a branch's metric: 0 where it has no series. `all` are those
    /// there are.
    ///
    /// # Errors
    /// Damage to what is needed to find its cells.
    pub fn place(&mut self, all: &[Keyed<'a>], branch: usize, metric: usize) -> Result<usize> {
        let key = (branch, metric);
        if let Some(at) = self.sources.iter().position(|source| source.key == key) {
            return Ok(at + 1);
        }
        let Some(series) = all.iter().find(|it| (it.branch, it.metric) == key) else {
            return Ok(0);
        };
        self.sources.push(Source {
            key,
            days: series.cells.days()?,
            fill: Fill {
                unit: 10f64.powi(i32::from(series.decimals)),
                tagged: false,
                tags: false,
            },
            counted: None,
        });
        Ok(self.sources.len())
    }

    /// Asks for the tags of a place.
    pub fn tag(&mut self, place: usize) {
        if let Some(source) = place.checked_sub(1).map(|at| &mut self.sources[at]) {
            source.fill.tagged = true;
        }
    }

    /// Which series it walks.
    pub fn keys(&self) -> impl Iterator<Item = (usize, usize)> {
        self.sources.iter().map(|source| source.key)
    }

    /// Lets it count this series, which it walks.
    pub fn count(&mut self, key: (usize, usize)) {
        let mut sources = self.sources.iter_mut();
        if let Some(source) = sources.find(|source| source.key == key) {
            source.counted = Some(Counted::default());
        }
    }

    /// What it counted, with branch and metric.
    pub fn counted(self) -> impl Iterator<Item = ((usize, usize), Counted)> {
        let sources = self.sources.into_iter();
        sources.filter_map(|source| Some((source.key, source.counted?)))
    }

    /// The next run of minutes before `until`, within one day: its first minute.
    /// Minutes between runs have no cell. Cells are then in their places.
    ///
    /// # Errors
    /// Damage to bytes of a day; a cell beyond 128 bits.
    pub fn next(&mut self, until: u32) -> Result<Option<u32>> {
        if self.at >= until {
            return Ok(None);
        }
        let rest = self.day.filter(|day| self.at < (day + 1) * MINUTES_PER_DAY);
        let pending = self.sources.iter().filter_map(|it| it.days.next_day());
        let Some(day) = rest.or_else(|| pending.min()) else {
            self.at = until;
            return Ok(None);
        };
        let first = day * MINUTES_PER_DAY;
        if first >= until {
            self.at = until;
            return Ok(None);
        }
        if self.day != Some(day) {
            self.load(day)?;
        }
        let start = first.max(self.at);
        let end = (start + RUN_MINUTES).min(first + MINUTES_PER_DAY);
        self.at = end.min(until);
        self.run = ((start - first) as usize, (self.at - first) as usize);
        Ok(Some(start))
    }

    fn load(&mut self, day: u32) -> Result<()> {
        self.day = Some(day);
        self.dense.resize((self.sources.len() + 1) * DAY, 0.0);
        self.tags.resize(self.dense.len(), 0);
        let dense = self.dense.chunks_exact_mut(DAY).skip(1);
        let places = dense.zip(self.tags.chunks_exact_mut(DAY).skip(1));
        for (source, (dense, tags)) in self.sources.iter_mut().zip(places) {
            let Source {
                days,
                fill,
                counted,
                ..
            } = source;
            fill.tags = fill.tagged;
            if days.next_day() != Some(day) {
                dense.fill(0.0);
                tags.fill(0);
                continue;
            }
            let first = day * MINUTES_PER_DAY;
            days.read(&mut self.scratch, &mut |minutes, units| {
                with_bit_instructions(
                    #[inline(always)]
                    || {
                        if let Some(counted) = counted {
                            counted.add(first, minutes, units, self.span);
                        }
                        fill.write(minutes, units, dense, tags);
                    },
                );
            })?;
        }
        Ok(())
    }

    /// The minutes of the run at a place.
    pub fn series(&self, place: usize) -> &[f64] {
        let first = place * DAY;
        &self.dense[first + self.run.0..first + self.run.1]
    }

    /// Their tags; none where the day has too large a value for them.
    pub fn tags(&self, place: usize) -> Option<&[u8]> {
        let known = place == 0 || self.sources[place - 1].fill.tags;
        let first = place * DAY;
        known.then(|| &self.tags[first + self.run.0..first + self.run.1])
    }

    /// Minutes of the run.
    pub fn len(&self) -> usize {
        self.run.1 - self.run.0
    }
}

impl Fill {
    /// Writes the cells of a day into their places, as doubles, 0 for what is
    /// negative or absent.
    #[inline(always)]
    fn write(
        &mut self,
        minutes: DayMinutes<'_>,
        units: DayUnits<'_>,
        dense: &mut [f64],
        tags: &mut [u8],
    ) {
        match units {
            DayUnits::Ints(units)
                if units.iter().fold(0, |all, it| all | *it) as u64 >> 52 == 0 =>
            {
                place(minutes, units, dense, 0.0, small);
                if self.tags {
                    place(minutes, units, tags, 0, tag);
                }
            }
            DayUnits::Ints(units) => {
                self.tags = false;
                place(minutes, units, dense, 0.0, |it| it.max(0) as f64);
            }
            DayUnits::Wides(units) => {
                self.tags = false;
                place(minutes, units, dense, 0.0, |it| it.max(0) as f64);
            }
        }
        if self.unit != 1.0 {
            dense.iter_mut().for_each(|value| *value /= self.unit);
        }
    }
}

/// A value from 0 to 2^52 as a double, without the conversion that processors
/// have no vector instruction for: it is the mantissa of one from 2^52 on.
#[inline(always)]
fn small(value: i64) -> f64 {
    f64::from_bits(value as u64 | TWO_52.to_bits()) - TWO_52
}

const TWO_52: f64 = (1_u64 << 52) as f64;

/// The tag of a value from 0 to 2^52: its last bits, and whether it is positive.
#[inline(always)]
fn tag(value: i64) -> u8 {
    let positive = (value.wrapping_neg() as u64 >> 56) as u8 & !TAG_BITS;
    value as u8 & TAG_BITS | positive
}

#[inline(always)]
fn place<T: Copy, P: Copy>(
    minutes: DayMinutes<'_>,
    units: &[T],
    places: &mut [P],
    nothing: P,
    of: impl Fn(T) -> P,
) {
    match minutes {
        DayMinutes::Run(first) => {
            let (before, rest) = places.split_at_mut(usize::from(first));
            let (run, after) = rest.split_at_mut(units.len());
            before.fill(nothing);
            after.fill(nothing);
            for (place, value) in run.iter_mut().zip(units) {
                *place = of(*value);
            }
        }
        DayMinutes::List(list) => {
            places.fill(nothing);
            for (minute, value) in list.iter().zip(units) {
                places[usize::from(*minute)] = of(*value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_and_tags() {
        let most = (1 << 52) - 1;
        for (units, expected) in [
            (vec![0, 7, most], [0.0, 7.0, most as f64]),
            (vec![-3, 7, 1 << 60], [0.0, 7.0, (1_u64 << 60) as f64]),
        ] {
            for minutes in [DayMinutes::Run(2), DayMinutes::List(&[2, 3, 4])] {
                let (mut dense, mut tags) = ([9.0; DAY], [9; DAY]);
                let mut fill = Fill {
                    unit: 1.0,
                    tagged: true,
                    tags: true,
                };
                fill.write(minutes, DayUnits::Ints(&units), &mut dense, &mut tags);
                assert_eq!(dense[..6], [&[0.0; 2][..], &expected, &[0.0]].concat());
                assert!(dense[6..].iter().all(|it| *it == 0.0));
                assert_eq!(fill.tags, units[0] >= 0);
                if fill.tags {
                    assert_eq!(tags[..6], [0, 0, 0, 0x87, 0xff, 0]);
                }
            }
        }
        assert_eq!((tag(0), tag(1), tag(128), tag(129)), (0, 0x81, 0x80, 0x81));
    }
}
