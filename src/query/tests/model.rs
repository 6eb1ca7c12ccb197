//! What a query means, cell by cell, without any idea of how cells are stored.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{BASE, METRICS};
use crate::model::{Kind, Role};
use crate::query::rates::rate;
use crate::query::{Aggregate, Every, GroupBy};

pub type Series = (String, String, String);

/// Every cell; a gauge's as its bits.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub cells: BTreeMap<Series, BTreeMap<u32, i128>>,
    pub floor: u32,
}

#[derive(Clone, Debug)]
pub struct Question {
    pub release: &'static str,
    pub branch: &'static str,
    pub metrics: Vec<&'static str>,
    pub from: Option<u32>,
    pub to: Option<u32>,
    pub ages: Option<Range<u32>>,
    pub every: Every,
    pub by: GroupBy,
    pub aggregate: Aggregate,
    pub per: bool,
    pub as_of: Option<u32>,
    pub overriding: bool,
    pub threads: Option<usize>,
}

/// A row: names, minute, bits of the value, decimals.
pub type Row = (String, String, String, u32, i128, Option<u8>);

#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    pub rows: Vec<Row>,
    pub held: Vec<(String, String, Option<u32>)>,
}

#[derive(Debug, PartialEq)]
pub enum Refusal {
    Held(u32),
    Gauges,
}

pub fn kind(metric: &str) -> Kind {
    METRICS.iter().find(|known| known.0 == metric).unwrap().1
}

fn public(release: &str) -> Option<u32> {
    match release {
        "a" => Some(BASE + 100),
        "b" => Some(BASE + 1_500),
        _ => None,
    }
}

/// `*` at the end is all the tests need of globs.
fn matches(pattern: &str, name: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == name, |prefix| name.starts_with(prefix))
}

impl Model {
    pub fn write(&mut self, series: &Series, minute: u32, bits: u64) {
        if minute < self.floor {
            return;
        }
        let cells = self.cells.entry(series.clone()).or_default();
        let cell = cells.entry(minute);
        match kind(&series.2) {
            Kind::Counter => *cell.or_default() += i128::from(bits),
            Kind::Sum { .. } => *cell.or_default() += i128::from(bits as i64),
            Kind::Gauge => {
                cell.insert_entry(bits.into());
            }
        }
    }

    pub fn retain(&mut self, floor: u32) {
        self.floor = self.floor.max(floor);
        for cells in self.cells.values_mut() {
            *cells = cells.split_off(&self.floor);
        }
        self.cells.retain(|_, cells| !cells.is_empty());
    }

    fn opens_at(&self, release: &str) -> u32 {
        let own = self.cells.iter().filter(|(series, _)| series.0 == release);
        let first = own
            .filter_map(|(_, cells)| cells.keys().next().copied())
            .min();
        public(release).or(first).unwrap() + 10_080
    }

    fn held(&self, question: &Question) -> Result<Answer, Refusal> {
        let mut answer = Answer::default();
        let mut pairs = BTreeSet::new();
        for (release, branch, metric) in self.cells.keys() {
            let role = METRICS.iter().find(|known| known.0 == metric).unwrap().2;
            if role == Role::Decision
                && question.asks(release, branch, metric)
                && !question.overriding
                && question
                    .as_of
                    .is_none_or(|now| now < self.opens_at(release))
            {
                pairs.insert((release.clone(), metric.clone()));
            }
        }
        for (release, metric) in pairs {
            let opens = self.opens_at(&release);
            if question.metrics.contains(&metric.as_str()) {
                return Err(Refusal::Held(opens));
            }
            answer.held.push((release, metric, Some(opens)));
        }
        Ok(answer)
    }

    pub fn answer(&self, question: &Question) -> Result<Answer, Refusal> {
        let mut answer = self.held(question)?;
        let mut groups: BTreeMap<Series, Group> = BTreeMap::new();
        let mut exposures: BTreeMap<Series, Group> = BTreeMap::new();
        for (series, cells) in &self.cells {
            let (release, branch, metric) = series;
            let exposure = question.per && metric == "hours";
            let asked = question.asks(release, branch, metric)
                || exposure && question.asks(release, branch, "");
            let held = answer
                .held
                .iter()
                .any(|held| held.0 == *release && held.1 == *metric);
            if !asked || held || question.per && kind(metric) == Kind::Gauge {
                continue;
            }
            let Some((minutes, origin)) = question.minutes(release) else {
                continue;
            };
            let minutes =
                minutes.start.max(self.floor)..minutes.end.max(minutes.start).max(self.floor);
            let cells: Vec<(u32, i128)> = cells
                .range(minutes)
                .map(|(at, bits)| (*at, *bits))
                .collect();
            if cells.is_empty() {
                continue;
            }
            let shown = |by: bool, name: &String| if by { name.clone() } else { "*".to_owned() };
            let mut key = (
                shown(question.by.release, release),
                shown(question.by.branch, branch),
                shown(question.by.metric, metric),
            );
            let groups = if exposure {
                key.2 = "*".to_owned();
                &mut exposures
            } else {
                &mut groups
            };
            let group = groups.entry(key).or_default();
            group.kinds.push(kind(metric));
            for (minute, bits) in cells {
                let age = minute - origin;
                let bucket = match question.every {
                    Every::Minutes(width) => age / width * width,
                    Every::Whole => 0,
                };
                group.first = Some(group.first.map_or(age, |first: u32| first.min(age)));
                group
                    .buckets
                    .entry(bucket)
                    .or_default()
                    .push((kind(metric), bits));
            }
        }
        for (key, group) in &groups {
            let gauge = group.kinds.contains(&Kind::Gauge);
            if gauge && group.kinds.len() > 1 && question.aggregate != Aggregate::Cells {
                return Err(Refusal::Gauges);
            }
            for (bucket, cells) in &group.buckets {
                let label = match question.every {
                    Every::Minutes(_) => *bucket,
                    Every::Whole => question.starts().or(group.first).unwrap(),
                };
                let (mut bits, mut decimals) = group.value(cells, question.aggregate);
                if question.per {
                    let exposure = exposures.get(&(key.0.clone(), key.1.clone(), "*".to_owned()));
                    let exposed = exposure.and_then(|group| {
                        Some(group.value(group.buckets.get(bucket)?, Aggregate::Total))
                    });
                    let Some((exposed, Some(own))) = exposed.filter(|exposed| exposed.0 != 0)
                    else {
                        continue;
                    };
                    bits = rate((bits, decimals.unwrap()), (exposed, own))
                        .to_bits()
                        .into();
                    decimals = None;
                }
                let (release, branch, metric) = key.clone();
                answer
                    .rows
                    .push((release, branch, metric, label, bits, decimals));
            }
        }
        Ok(answer)
    }
}

#[derive(Default)]
struct Group {
    kinds: Vec<Kind>,
    first: Option<u32>,
    buckets: BTreeMap<u32, Vec<(Kind, i128)>>,
}

impl Group {
    fn value(&self, cells: &[(Kind, i128)], aggregate: Aggregate) -> (i128, Option<u8>) {
        if aggregate == Aggregate::Cells {
            return (cells.len() as i128, Some(0));
        }
        if self.kinds[0] == Kind::Gauge {
            let mut values = cells.iter().map(|cell| f64::from_bits(cell.1 as u64));
            let value = match aggregate {
                Aggregate::Min => values.min_by(f64::total_cmp),
                Aggregate::Max => values.max_by(f64::total_cmp),
                _ => values.next_back(),
            };
            return (value.unwrap().to_bits().into(), None);
        }
        let decimals = self.kinds.iter().map(|kind| kind.decimals()).max().unwrap();
        let values = cells
            .iter()
            .map(|(kind, units)| units * 10_i128.pow((decimals - kind.decimals()).into()));
        let value = match aggregate {
            Aggregate::Min => values.min().unwrap(),
            Aggregate::Max => values.max().unwrap(),
            _ => values.sum(),
        };
        (value, Some(decimals))
    }
}

impl Question {
    fn asks(&self, release: &str, branch: &str, metric: &str) -> bool {
        matches(self.release, release)
            && matches(self.branch, branch)
            && (metric.is_empty()
                || !(self.per && metric == "hours")
                    && (self.metrics.is_empty()
                        || self.metrics.iter().any(|one| matches(one, metric))))
    }

    fn starts(&self) -> Option<u32> {
        match &self.ages {
            None => self.from,
            Some(ages) => (ages.start > 0).then_some(ages.start),
        }
    }

    /// The minutes asked for of a release, and where its time begins.
    fn minutes(&self, release: &str) -> Option<(Range<u32>, u32)> {
        let from = self.from.unwrap_or(0);
        let to = self
            .to
            .unwrap_or(u32::MAX)
            .min(self.as_of.unwrap_or(u32::MAX));
        let Some(ages) = &self.ages else {
            return Some((from..to, 0));
        };
        let origin = public(release)?;
        let minutes =
            from.max(origin.saturating_add(ages.start))..to.min(origin.saturating_add(ages.end));
        Some((minutes, origin))
    }
}
