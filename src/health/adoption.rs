//! The second axis of history, adoption, and Mission Control's adjusted rate:
//! what needs whole columns and not only a monitor's state.

use std::collections::BTreeMap;

use super::input::{Column, Observations, Units};
use super::rates::{self, Window};
use super::report::Report;
use crate::model::{Decimal, Metric, Minute, Name};

const HOUR: u32 = 60;
const DAY: u32 = 1_440;

/// Hours of events and of exposure, from a release's public minute on.
struct Hours {
    from: u32,
    events: Column,
    exposure: Column,
    decimals: [u8; 2],
}

/// Adds adoption and adjusted rates to a report's history. `everyone` holds the
/// exposures of all releases together, by hours.
pub fn complete(report: &mut Report, observations: &Observations, everyone: &[(Name, Column)]) {
    let as_of = observations.as_of.get();
    for entry in &mut report.history {
        let named = |name: &str| observations.metrics.iter().find(|it| *it.name == *name);
        let Some(metric) = named(&entry.metric) else {
            continue;
        };
        let Some(per) = metric.per.as_ref().and_then(|per| named(per)) else {
            continue;
        };
        let mine = observations.branches.iter().flat_map(|it| &it.columns);
        let own = hours(mine, metric, per, as_of.saturating_sub(entry.age));
        entry.adjusted_rate = own.adjusted(as_of, entry.age);
        let past = observations.history.iter().map(|past| {
            let from = past.public_from.get();
            hours(past.columns.iter(), metric, per, from)
        });
        let past: Vec<Hours> = past.collect();
        let adjusted = past
            .iter()
            .filter_map(|it| it.adjusted(it.from.saturating_add(entry.age), entry.age));
        entry.adjusted_baseline = rates::median(&adjusted.collect::<Vec<_>>());
        let Some((_, all)) = everyone.iter().find(|(name, _)| *name == per.name) else {
            continue;
        };
        let end = as_of / HOUR * HOUR;
        let day = end.saturating_sub(DAY)..end;
        let (mine, whole) = (own.exposure.sum(day.clone()), all.sum(day));
        if whole <= 0 || mine <= 0 {
            continue;
        }
        let adoption = mine as f64 / whole as f64;
        entry.adoption = Some(adoption);
        let alike = past.iter().filter_map(|past| {
            let end = rates::minute_of_adoption(&past.exposure, all, adoption)?;
            past.rate(end)
        });
        entry.adoption_baseline = rates::median(&alike.collect::<Vec<_>>());
    }
}

fn hours<'a>(
    columns: impl Iterator<Item = &'a (Name, Column)> + Clone,
    metric: &Metric,
    per: &Metric,
    from: u32,
) -> Hours {
    let summed = |name: &Name| {
        let mut sums: BTreeMap<u32, i128> = BTreeMap::new();
        for (_, column) in columns.clone().filter(|(it, _)| it == name) {
            for (minute, units) in column.cells(from..u32::MAX) {
                let sum = sums.entry(minute / HOUR * HOUR).or_default();
                *sum = sum.saturating_add(units);
            }
        }
        let (minutes, units) = sums.into_iter().unzip();
        // Keys of a map ascend.
        Column::new(minutes, Units::Wides(units)).unwrap_or_default()
    };
    Hours {
        from,
        events: summed(&metric.name),
        exposure: summed(&per.name),
        decimals: [metric.kind.decimals(), per.kind.decimals()],
    }
}

impl Hours {
    fn sums(&self, minutes: std::ops::Range<u32>) -> (f64, f64) {
        let sum = |column: &Column, decimals| {
            let units = column.sum(minutes.clone());
            Decimal { units, decimals }.to_f64().max(0.0)
        };
        let [events, exposure] = self.decimals;
        (sum(&self.events, events), sum(&self.exposure, exposure))
    }

    /// The rate to date at `end`.
    fn rate(&self, end: u32) -> Option<f64> {
        let (events, exposure) = self.sums(0..end);
        rates::rate(events, exposure)
    }

    /// The adjusted rate at `end`, over windows of an hour.
    fn adjusted(&self, end: u32, age: u32) -> Option<f64> {
        let hours = self.exposure.cells(0..end).map(|(hour, _)| {
            let (events, exposure) = self.sums(hour..hour + HOUR);
            Window {
                age: hour.saturating_sub(self.from),
                events,
                exposure,
            }
        });
        let windows: Vec<Window> = hours.collect();
        rates::adjusted(&windows, age).map(|(_, rate)| rate)
    }
}

/// The exposures that rates are of, each once.
pub fn exposures(metrics: &[Metric]) -> Vec<&Metric> {
    let mut found: Vec<&Metric> = Vec::new();
    for per in metrics.iter().filter_map(|metric| metric.per.as_ref()) {
        let known = metrics.iter().find(|metric| metric.name == *per);
        if let Some(known) = known.filter(|it| found.iter().all(|old| old.name != it.name)) {
            found.push(known);
        }
    }
    found
}

/// The present of a report, brought to a whole hour.
pub fn whole_hour(as_of: Minute) -> Minute {
    Minute::clamped(u64::from(as_of.get() / HOUR * HOUR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::input::{BranchData, Options, Past};
    use crate::health::monitor::assess;
    use crate::model::{Kind, Release, Role, Worse};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn steady(from: u32, minutes: u32, value: i64) -> Column {
        let at = (from..from + minutes).collect();
        Column::new(at, Units::Ints(vec![value; minutes as usize])).unwrap()
    }

    #[test]
    fn the_same_adoption_and_the_adjusted_rate() {
        let mut crashes = Metric::new(name("crashes"), Kind::Counter);
        crashes.per = Some(name("hours"));
        crashes.worse = Some(Worse::Higher);
        let mut hours = Metric::new(name("hours"), Kind::Counter);
        hours.role = Some(Role::Exposure);
        let columns = |from, minutes, crashes, hours| {
            vec![
                (name("crashes"), steady(from, minutes, crashes)),
                (name("hours"), steady(from, minutes, hours)),
            ]
        };
        let (start, day) = (28_800_000, DAY);
        let mut release = Release::new(name("new"));
        release.public_from = Minute::new(start + 10 * day).ok();
        let observations = Observations {
            release,
            metrics: vec![crashes, hours],
            branches: vec![BranchData {
                name: name("all"),
                columns: columns(start + 10 * day, 3 * day, 2, 10),
            }],
            as_of: Minute::new(start + 13 * day).unwrap(),
            whole_until: None,
            history: vec![Past {
                name: name("old"),
                public_from: Minute::new(start).unwrap(),
                columns: columns(start, 9 * day, 1, 10),
            }],
        };
        let everyone = [(name("hours"), steady(start, 20 * day, 40))];
        let mut report = assess(&observations, &Options::default()).unwrap();
        complete(&mut report, &observations, &everyone);
        let entry = &report.history[0];
        assert_eq!(entry.rate, Some(200.0));
        assert_eq!(entry.baseline, Some(100.0));
        assert_eq!(entry.adjusted_rate, Some(200.0));
        assert_eq!(entry.adjusted_baseline, Some(100.0));
        assert_eq!(entry.adoption, Some(0.25));
        assert_eq!(entry.adoption_baseline, Some(100.0));
    }
}
