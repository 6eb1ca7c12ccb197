//! Walking series: day by day, all that pairs need of a day at once.

use super::Arm;
use super::aside::{Aside, Beside};
use super::bins::Tail;
use super::counted::{Counted, Span};
use super::days::{Days, Keyed};
use super::exposures::Exposures;
use super::monitor::Pair;
use crate::error::Result;

/// Some pairs' way through their series.
pub(super) struct Walker<'a> {
    days: Days<'a>,
    groups: Vec<Group>,
    /// Of each pair, its group and the places of T's and C's events.
    plans: Vec<(usize, [usize; 2])>,
    aside: Option<Aside>,
}

/// What is the same for all pairs of the same exposures.
struct Group {
    places: [usize; 2],
    guards: bool,
    exposures: Exposures,
}

/// Events of T and C in each minute of a run.
#[derive(Clone, Copy)]
struct Events<'a> {
    arms: [&'a [f64]; 2],
    /// As tags, where these can be had.
    tags: Option<[&'a [u8]; 2]>,
}

impl<'a> Walker<'a> {
    /// Before the first minute; `pairs` are to be the same ever after.
    ///
    /// # Errors
    /// Damage to what is needed to find cells.
    pub fn new(
        pairs: &[&Pair],
        control: usize,
        series: &[Keyed<'a>],
        margin: f64,
        span: Span,
    ) -> Result<Self> {
        let mut days = Days::new(span);
        let (mut groups, mut plans): (Vec<Group>, Vec<_>) = (Vec::new(), Vec::new());
        for pair in pairs {
            let mut arms = [pair.branch, control];
            if pair.swapped {
                arms.reverse();
            }
            let mut both = |metric| -> Result<[usize; 2]> {
                let [treatment, control] = arms;
                let treatment = days.place(series, treatment, metric)?;
                Ok([treatment, days.place(series, control, metric)?])
            };
            let (places, events) = (both(pair.exposure)?, both(pair.metric)?);
            if pair.identical.is_some() {
                events.iter().for_each(|place| days.tag(*place));
            }
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
        Ok(Walker {
            days,
            groups,
            plans,
            aside: None,
        })
    }

    /// The days it walks, to have more of them walked and counted.
    pub fn days(&mut self) -> &mut Days<'a> {
        &mut self.days
    }

    /// Lets it walk this, too.
    pub fn set_aside(&mut self, aside: Aside) {
        self.aside = Some(aside);
    }

    /// Walks the minutes before `until` that have not been walked yet.
    ///
    /// # Errors
    /// Damage to bytes of a day; a cell beyond 128 bits.
    pub fn advance(
        &mut self,
        pairs: &mut [&mut Pair],
        mut beside: Option<Beside<'_>>,
        until: u32,
    ) -> Result<()> {
        while let Some(start) = self.days.next(until)? {
            let days = &self.days;
            for group in &mut self.groups {
                let arms = group.places.map(|place| days.series(place));
                group.exposures.set(start, arms, group.guards);
            }
            let mut tails: Vec<(usize, Tail<'_, '_>)> = Vec::with_capacity(pairs.len());
            for (pair, (group, events)) in pairs.iter_mut().zip(&self.plans) {
                let [treated, control] = events.map(|place| days.tags(place));
                let events = Events {
                    arms: events.map(|place| days.series(place)),
                    tags: treated.zip(control).map(<[_; 2]>::from),
                };
                let tail = pair.add_run(&self.groups[*group].exposures, events);
                tails.push((*group, tail));
            }
            for (group, Group { exposures, .. }) in self.groups.iter().enumerate() {
                let of_group = tails.extract_if(.., |(of, _)| *of == group);
                let mut all: Vec<Tail<'_, '_>> = of_group.map(|(_, tail)| tail).collect();
                Tail::add_all(&exposures.shares, &mut all);
            }
            if let (Some(aside), Some(beside)) = (&self.aside, &mut beside) {
                aside.add_run(start, days, beside);
            }
        }
        Ok(())
    }

    /// What it counted, with branch and metric.
    pub fn counted(self) -> impl Iterator<Item = ((usize, usize), Counted)> {
        self.days.counted()
    }
}

impl Pair {
    /// Adds a run of minutes, given the events of T and C in each, swapped where
    /// the pair is; but for those that the likelihood has yet to be given.
    fn add_run<'e>(&mut self, exposures: &Exposures, events: Events<'e>) -> Tail<'_, 'e> {
        let Events { arms: events, tags } = events;
        let all = 0..events[0].len();
        if let Some(identical) = &mut self.identical {
            identical.add_run(exposures.start, events, tags);
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
        if let Some(guard) = &mut self.guard {
            guard.add_run(exposures, all.clone(), events);
        }
        self.test.walk_run(exposures, from..all.end, events)
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
