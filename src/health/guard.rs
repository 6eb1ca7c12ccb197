//! Decision metrics: held back until their window is whole.
//!
//! A metric that decides an experiment, looked at every day, decides too soon.
//! Whole weeks are waited for, since behaviour has a weekly cycle. What may be
//! asked at any time is the *guard*: has it fallen beyond the margin? That can
//! only stop a harmful release, never crown one.

use super::combined::{Settings, Watch};
use crate::model::{Minute, Release};

const MINUTES_A_WEEK: u32 = 7 * 1_440;

/// The minute at which decision metrics may be read: whole weeks since the
/// release went public, or else since its first minute with data.
pub fn opens_at(release: &Release, first: Option<u32>) -> Option<Minute> {
    let from = release.public_from.map(Minute::get).or(first)?;
    let weeks = u64::from(release.decision_weeks()) * u64::from(MINUTES_A_WEEK);
    Some(Minute::clamped(u64::from(from) + weeks))
}

/// The test of a guard: "worse" begins beyond the margin.
pub fn settings(metric: Settings, margin: f64) -> Settings {
    Settings {
        watch: Watch::Worse,
        margin,
        ..metric
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    #[test]
    fn weeks_count_from_the_public_minute_or_the_first_with_data() {
        let mut release = Release::new(Name::new("a").unwrap());
        assert_eq!(opens_at(&release, None), None);
        assert_eq!(
            opens_at(&release, Some(100)),
            Minute::new(100 + 10_080).ok()
        );
        release.public_from = Minute::new(5_000).ok();
        release.decision_weeks = Some(2);
        assert_eq!(
            opens_at(&release, Some(100)),
            Minute::new(5_000 + 20_160).ok()
        );
        release.public_from = Some(Minute::END);
        assert_eq!(opens_at(&release, None), Some(Minute::END));
    }
}
