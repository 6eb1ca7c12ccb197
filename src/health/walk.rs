//! Walking columns: day by day, all that pairs need of a day at once.

use super::Arm;
use super::exposures::Exposures;
use super::input::Column;
use super::monitor::Pair;
use crate::limits::MINUTES_PER_DAY;

/// Columns by days, as doubles.
pub(super) struct Days<'a> {
    sources: Vec<Source<'a>>,
    /// Place after place, a day each; the first is of zeros.
    dense: Vec<f64>,
    length: usize,
    /// Minutes before this one have been walked.
    at: u32,
}

struct Source<'a> {
    column: &'a Column,
    /// Which branch and metric it is.
    key: (usize, usize),
    decimals: u8,
    cursor: usize,
}

impl<'a> Days<'a> {
    pub fn new() -> Self {
        Days {
            sources: Vec::new(),
            dense: Vec::new(),
            length: 0,
            at: 0,
        }
    }

    /// The place of a branch's metric: 0 where it has no column. `columns` are
    /// those there are, with branch, metric and decimals.
    pub fn place(&mut self, columns: &[Keyed<'a>], branch: usize, metric: usize) -> usize {
        let key = (branch, metric);
        if let Some(at) = self.sources.iter().position(|source| source.key == key) {
            return at + 1;
        }
        let Some(column) = columns.iter().find(|it| (it.branch, it.metric) == key) else {
            return 0;
        };
        self.sources.push(Source {
            column: column.column,
            key,
            decimals: column.decimals,
            cursor: 0,
        });
        self.sources.len()
    }

    /// The next run of minutes before `until`, within one day, in which any of
    /// the columns has a cell: its first minute. Cells are then in their places.
    pub fn next(&mut self, until: u32) -> Option<u32> {
        let pending = self.sources.iter();
        let pending = pending.filter_map(|source| source.column.minute(source.cursor));
        let Some(next) = pending.min().filter(|next| *next < until) else {
            self.at = self.at.max(until);
            return None;
        };
        let day = next / MINUTES_PER_DAY * MINUTES_PER_DAY;
        let start = day.max(self.at);
        self.at = (day + MINUTES_PER_DAY).min(until);
        self.length = (self.at - start) as usize;
        self.dense.clear();
        self.dense
            .resize((self.sources.len() + 1) * self.length, 0.0);
        let places = self.dense.chunks_exact_mut(self.length).skip(1);
        for (source, place) in self.sources.iter_mut().zip(places) {
            source.cursor = source.column.scatter(source.cursor, start, place);
            if source.decimals > 0 {
                let unit = 10f64.powi(i32::from(source.decimals));
                place.iter_mut().for_each(|value| *value /= unit);
            }
        }
        Some(start)
    }

    /// The minutes of the run at a place.
    pub fn series(&self, place: usize) -> &[f64] {
        &self.dense[place * self.length..(place + 1) * self.length]
    }

    /// Minutes of the run.
    pub fn len(&self) -> usize {
        self.length
    }
}

/// A column with what it is of.
#[derive(Clone, Copy)]
pub(super) struct Keyed<'a> {
    pub branch: usize,
    pub metric: usize,
    pub decimals: u8,
    pub column: &'a Column,
}

/// Some pairs' way through their columns.
pub(super) struct Walker<'a> {
    days: Days<'a>,
    groups: Vec<Group>,
    /// Of each pair, its group and the places of T's and C's events.
    plans: Vec<(usize, [usize; 2])>,
}

/// What is the same for all pairs of the same exposures.
struct Group {
    places: [usize; 2],
    guards: bool,
    exposures: Exposures,
}

impl<'a> Walker<'a> {
    /// Before the first minute; `pairs` are to be the same ever after.
    pub fn new(pairs: &[Pair], control: usize, columns: &[Keyed<'a>], margin: f64) -> Self {
        let mut days = Days::new();
        let (mut groups, mut plans): (Vec<Group>, Vec<_>) = (Vec::new(), Vec::new());
        for pair in pairs {
            let mut place = |branch, metric| days.place(columns, branch, metric);
            let mut arms = [pair.branch, control];
            if pair.swapped {
                arms.reverse();
            }
            let places = arms.map(|branch| place(branch, pair.exposure));
            let events = arms.map(|branch| place(branch, pair.metric));
            let known = groups.iter().position(|group| group.places == places);
            let group = known.unwrap_or(groups.len());
            if known.is_none() {
                groups.push(Group {
                    places,
                    guards: false,
                    exposures: Exposures::new(margin),
                });
            }
            groups[group].guards |= pair.guard.is_some();
            plans.push((group, events));
        }
        Walker {
            days,
            groups,
            plans,
        }
    }

    /// Walks the minutes before `until` that have not been walked yet.
    pub fn advance(&mut self, pairs: &mut [Pair], until: u32) {
        while let Some(start) = self.days.next(until) {
            let days = &self.days;
            for group in &mut self.groups {
                let arms = group.places.map(|place| days.series(place));
                group.exposures.set(start, arms, group.guards);
            }
            for (pair, (group, events)) in pairs.iter_mut().zip(&self.plans) {
                let events = events.map(|place| days.series(place));
                pair.add_run(&self.groups[*group].exposures, events);
            }
        }
    }
}

impl Pair {
    /// Adds a run of minutes, given the events of T and C in each, swapped where
    /// the pair is.
    fn add_run(&mut self, exposures: &Exposures, events: [&[f64]; 2]) {
        let [treated, control] = events;
        let all = 0..treated.len();
        if let Some(identical) = &mut self.identical {
            identical.add_run(exposures.start, treated, control);
        }
        let mut from = 0;
        if let Some(differs) = &mut self.differs {
            let [treatment, control] = &exposures.arms;
            for at in all.clone() {
                let minute = exposures.start + at as u32;
                if treatment[at] + control[at] > 0.0 && differs.is_due(minute) {
                    let test = &mut self.test;
                    test.add_run(exposures, from..at, events);
                    from = at;
                    test.pass(minute);
                    differs.look(minute, |alpha| test.ratio(alpha));
                }
            }
        }
        self.test.add_run(exposures, from..all.end, events);
        if let Some(guard) = &mut self.guard {
            guard.add_run(exposures, all, events);
        }
    }

    /// Lets the minutes before `end` go by.
    pub(super) fn pass(&mut self, end: u32) {
        self.test.pass(end);
        if let Some(guard) = &mut self.guard {
            guard.pass(end);
        }
    }

    /// Adds one minute.
    pub(super) fn add(&mut self, minute: u32, mut treatment: Arm, mut control: Arm) {
        if let Some(differs) = &mut self.differs
            && treatment.exposure + control.exposure > 0.0
            && differs.is_due(minute)
        {
            let test = &mut self.test;
            test.pass(minute);
            differs.look(minute, |alpha| test.ratio(alpha));
        }
        if let Some(identical) = &mut self.identical {
            identical.add(minute, treatment.events, control.events);
        }
        if self.swapped {
            std::mem::swap(&mut treatment, &mut control);
        }
        self.test.add_clean(minute, treatment, control);
        if let Some(guard) = &mut self.guard {
            guard.add_clean(minute, treatment, control);
        }
    }
}
