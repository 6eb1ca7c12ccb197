//! The roll-out that is simulated: who uses what, and how often it crashes.

use std::f64::consts::TAU;

use hotstove::{
    Batch, Branch, Catalogue, Kind, Metric, Minute, Name, Release, Role, Series, Store, Worse,
};

use super::random::Random;

/// Minutes of one batch: every release sends one an hour.
pub const BATCH_MINUTES: u32 = 60;

/// Crashes for each 1,000 hours of use, when all is well.
const CRASHES: f64 = 2.5;
/// Pages for each 1,000 hours of use.
const PAGES: f64 = 32_000.0;
/// Hours used in a minute by a branch of share 1, on the average of a day.
const HOURS: f64 = 20_000.0;
/// Users who join a branch of share 1 in a minute, on the average of a day.
const ENROLMENTS: f64 = 270.0;

const METRICS: [&str; 5] = [
    "usage_hours",
    "crashes",
    "pages",
    "enrolments",
    "memory_mib",
];

/// Something that is rolled out.
pub struct Rollout {
    pub release: Release,
    /// How much more each branch crashes than it should.
    crashing: Vec<f64>,
    /// Whether all branches report the same events: an experiment that was
    /// never switched on, and counts one population twice.
    mirrored: bool,
}

/// What is rolled out: a healthy release, one with a crashing branch, a null
/// experiment, and then as many healthy betas as asked for.
pub fn rollouts(start: Minute, count: u32) -> hotstove::Result<Vec<Rollout>> {
    let ordinary = [("control", 0.2), ("rollout", 0.8)];
    let halves = [("control", 0.5), ("treatment", 0.5)];
    let mut rollouts = vec![
        rollout("browser/release/120.0", start, ordinary, 1.0)?,
        rollout("browser/release/121.0", start, ordinary, 3.0)?,
        rollout("experiment/blue-button", start, halves, 1.0)?,
    ];
    rollouts[2].mirrored = true;
    for beta in 0..count.saturating_sub(3) {
        let name = format!("browser/beta/122.{beta}");
        rollouts.push(rollout(&name, start, ordinary, 1.0)?);
    }
    rollouts.truncate(count as usize);
    Ok(rollouts)
}

fn rollout(
    name: &str,
    start: Minute,
    branches: [(&str, f64); 2],
    crashing: f64,
) -> hotstove::Result<Rollout> {
    let mut release = Release::new(Name::new(name)?);
    release.public_from = Some(start);
    release.control = Some(Name::new("control")?);
    release.decision_weeks = Some(1);
    for (branch, share) in branches {
        release
            .branches
            .push(Branch::new(Name::new(branch)?, Some(share)));
    }
    Ok(Rollout {
        release,
        crashing: vec![1.0, crashing],
        mirrored: false,
    })
}

/// Declares what is measured and what is rolled out.
pub fn declare(catalogue: &mut Catalogue, rollouts: &[Rollout]) -> hotstove::Result<()> {
    let per = || Name::new("usage_hours").map(Some);
    for name in METRICS {
        let mut metric = Metric::new(Name::new(name)?, Kind::Counter);
        match name {
            "usage_hours" => {
                metric.kind = Kind::Sum { decimals: 2 };
                metric.role = Some(Role::Exposure);
                metric.unit = Some(Name::new("hours")?);
            }
            "crashes" => {
                metric.role = Some(Role::Vital);
                metric.worse = Some(Worse::Higher);
                metric.per = per()?;
            }
            "pages" => {
                metric.role = Some(Role::Decision);
                metric.worse = Some(Worse::Lower);
                metric.per = per()?;
            }
            "enrolments" => metric.role = Some(Role::Enrolment),
            _ => {
                metric.kind = Kind::Gauge;
                metric.unit = Some(Name::new("MiB")?);
            }
        }
        catalogue.define_metric(&metric)?;
    }
    for rollout in rollouts {
        catalogue.define_release(&rollout.release)?;
    }
    Ok(())
}

impl Rollout {
    /// The series of each branch, in the order of [`METRICS`].
    pub fn series(&self, store: &Store) -> hotstove::Result<Vec<[Series; 5]>> {
        let release = &self.release;
        let branch = |branch: &Branch| {
            let one = |metric| store.series(&release.name, &branch.name, metric);
            let [hours, crashes, pages, enrolments, memory] = METRICS.map(one);
            Ok([hours?, crashes?, pages?, enrolments?, memory?])
        };
        release.branches.iter().map(branch).collect()
    }

    /// What happens from `from` on for the length of a batch.
    pub fn simulate(&self, number: u64, series: &[[Series; 5]], from: Minute, batch: &mut Batch) {
        for (index, (branch, series)) in self.release.branches.iter().zip(series).enumerate() {
            let stream = if self.mirrored { 0 } else { index as u64 };
            let mut random = Random::of(&[number, stream, from.get().into()]);
            let share = branch.share.unwrap_or(1.0);
            let crashing = self.crashing.get(index).copied().unwrap_or(1.0);
            for minute in 0..BATCH_MINUTES {
                let minute = from.saturating_add(minute.into());
                one_minute(&mut random, share, crashing, series, minute, batch);
            }
        }
    }
}

fn one_minute(
    random: &mut Random,
    share: f64,
    crashing: f64,
    series: &[Series; 5],
    minute: Minute,
    batch: &mut Batch,
) {
    let [hours, crashes, pages, enrolments, memory] = *series;
    let of_day = f64::from(minute.get() % 1_440) / 1_440.0;
    // Most people sleep at the same time.
    let awake = share * (1.0 - 0.6 * (TAU * of_day).cos());
    let used = random
        .normal(HOURS * awake, (HOURS * awake).sqrt())
        .max(0.0);
    batch.add_units(hours, minute, (used * 100.0).round() as i64);
    let crashed = random.poisson(used / 1_000.0 * CRASHES * crashing);
    if crashed > 0 {
        batch.add(crashes, minute, crashed);
    }
    batch.add(pages, minute, random.poisson(used / 1_000.0 * PAGES));
    batch.add(enrolments, minute, random.poisson(ENROLMENTS * awake));
    if minute.get().is_multiple_of(5) {
        let used = random.normal(812.0, 9.0) * 16.0;
        batch.set(memory, minute, used.round() / 16.0);
    }
}
