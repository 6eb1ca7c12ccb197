//! Against earlier releases, at the same age.
//!
//! Without a concurrent control a comparison is observational, and a young
//! release with late hours looks terrible: so this never alarms, and says
//! *incomplete* until a watermark says that the data are whole.

use super::monitor::Monitor;
use super::rates;
use super::report::HistoryReport;
use super::verdict::CheckVerdict;
use crate::model::{Minute, Role};

impl Monitor {
    /// This release against earlier ones at the same age.
    pub(super) fn history_report(&self) -> Vec<HistoryReport> {
        let from = self.release.public_from.map(Minute::get).or(self.first);
        let Some(from) = from.filter(|_| !self.history.is_empty()) else {
            return Vec::new();
        };
        let age = self.as_of.saturating_sub(from);
        let whole = self.whole_until.is_some_and(|it| it.get() >= self.as_of);
        let vital = (0..self.metrics.len()).filter(|it| self.metrics[*it].role() == Role::Vital);
        vital
            .filter_map(|metric| {
                let per = self.metric(self.metrics[metric].per.as_ref()?)?;
                Some(self.against_history(metric, per, age, whole))
            })
            .collect()
    }

    fn against_history(&self, metric: usize, per: usize, age: u32, whole: bool) -> HistoryReport {
        let unit = |metric: usize| 10f64.powi(i32::from(self.metrics[metric].kind.decimals()));
        let total = |metric: usize| {
            let all = self
                .branches
                .iter()
                .map(|it| it.totals[metric].units as f64);
            all.sum::<f64>() / unit(metric)
        };
        let rate = rates::rate(total(metric), total(per));
        let mut releases = Vec::new();
        let mut earlier = Vec::new();
        for past in &self.history {
            let at_age = |metric: usize| {
                let name = &self.metrics[metric].name;
                let column = past.columns.iter().find(|(it, _)| it == name)?;
                let units = rates::at_age(&column.1, past.public_from.get(), age);
                Some(units as f64 / unit(metric))
            };
            let both = at_age(metric).zip(at_age(per));
            if let Some(rate) = both.and_then(|(events, hours)| rates::rate(events, hours)) {
                releases.push(past.name.to_string());
                earlier.push(rate);
            }
        }
        let baseline = rates::median(&earlier);
        let ratio = rate.zip(baseline).filter(|(_, baseline)| *baseline > 0.0);
        HistoryReport {
            metric: self.metrics[metric].name.to_string(),
            age,
            verdict: match (rate, baseline) {
                (Some(_), Some(_)) if !whole => CheckVerdict::Incomplete,
                (Some(_), Some(_)) => CheckVerdict::Inconclusive,
                _ => CheckVerdict::NoData,
            },
            rate,
            baseline,
            ratio: ratio
                .map(|(rate, baseline)| rate / baseline)
                .filter(|it| it.is_finite()),
            releases,
            adjusted_rate: None,
            adjusted_baseline: None,
            adoption: None,
            adoption_baseline: None,
        }
    }
}
