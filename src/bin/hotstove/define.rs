//! `define`: what metrics, releases and sources are.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use hotstove::limits::DECIMALS_MAX;
use hotstove::{
    Batch, Branch, Catalogue, Kind, Metric, Minute, Name, Options, Release, Role, Worse,
};

use crate::failure::{Failure, Result, note};
use crate::{clock, open};

/// Decimals of a sum whose definition names none.
const DECIMALS: u8 = 6;

/// Declare a metric, a release or a source.
///
/// Makes the store where there is none. Saying the same again is fine, saying
/// more refines, and a contradiction is an error.
#[derive(Args)]
pub struct Define {
    /// The store's directory; made where it does not exist.
    store: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Metric(MetricArguments),
    Release(ReleaseArguments),
    Source(SourceArguments),
}

/// Declare what is measured, and how it is read.
#[derive(Args)]
struct MetricArguments {
    /// The metric's name.
    #[arg(value_parser = name)]
    name: Name,
    /// How deltas become a value: whole numbers that add up, decimals that add
    /// up, or the last value written.
    #[arg(long, value_enum)]
    kind: KindWord,
    /// Decimals a sum keeps: 6 unless said otherwise.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=i64::from(DECIMALS_MAX)))]
    decimals: Option<u8>,
    /// The unit of its values, for people.
    #[arg(long, value_parser = name)]
    unit: Option<Name>,
    /// What it is for; vital unless said otherwise. A decision metric is held
    /// back until its window is whole.
    #[arg(long, value_enum)]
    role: Option<RoleWord>,
    /// Which direction is bad; neither unless said.
    #[arg(long, value_enum)]
    worse: Option<WorseWord>,
    /// The exposure metric it is a rate of.
    #[arg(long, value_name = "METRIC", value_parser = name)]
    per: Option<Name>,
    /// The least ratio between branches that counts as different, above 1.
    #[arg(long, value_name = "RATIO")]
    must_differ: Option<f64>,
    /// How long one fault of one user goes on at most, such as 30m.
    #[arg(long, value_name = "DURATION", value_parser = clock::minutes)]
    burst: Option<u32>,
    /// How many events one fault of one user sends at most.
    #[arg(long, value_name = "EVENTS")]
    burst_events: Option<u32>,
    /// Each event is independent of all others.
    #[arg(long)]
    independent: bool,
}

/// Declare a release or an experiment. Import needs no declaration.
#[derive(Args)]
struct ReleaseArguments {
    /// The release's name.
    #[arg(value_parser = name)]
    name: Name,
    /// The minute it went public, from which its age counts.
    #[arg(long, value_name = "T", value_parser = clock::minute)]
    public_from: Option<Minute>,
    /// The branch others are compared with.
    #[arg(long, value_name = "BRANCH", value_parser = name)]
    control: Option<Name>,
    /// A branch, with its planned share of users: `treatment=0.5`. Shares of
    /// all branches add up to 1, or are absent.
    #[arg(long = "branch", value_name = "NAME[=SHARE]", value_parser = branch)]
    branches: Vec<Branch>,
    /// Weeks a decision metric is held back: 1 unless said otherwise.
    #[arg(long, value_name = "WEEKS")]
    decision_weeks: Option<u32>,
}

/// Declare how far a source is whole.
#[derive(Args)]
struct SourceArguments {
    /// The source's name.
    #[arg(value_parser = name)]
    name: Name,
    /// Minutes before this one are whole. It never moves back.
    #[arg(long, value_name = "T", value_parser = clock::minute)]
    watermark: Minute,
}

#[derive(Clone, Copy, ValueEnum)]
enum KindWord {
    Counter,
    Sum,
    Gauge,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleWord {
    Vital,
    Decision,
    Exposure,
    Enrolment,
}

#[derive(Clone, Copy, ValueEnum)]
enum WorseWord {
    Higher,
    Lower,
}

/// Reads a name for clap.
pub fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}

/// Reads `NAME` or `NAME=SHARE`. What follows the last `=` is a share where it
/// is a number, and part of the name otherwise.
fn branch(text: &str) -> Result<Branch, String> {
    if let Some((before, share)) = text.rsplit_once('=')
        && let Ok(share) = share.parse::<f64>()
    {
        return Ok(Branch::new(name(before)?, Some(share)));
    }
    Ok(Branch::new(name(text)?, None))
}

impl Define {
    pub fn run(self) -> Result<ExitCode> {
        let path = self.store;
        let failed = |error: hotstove::Error| Failure::store(&path, &error);
        let make = || open::made(&path, Options::new());
        match self.what {
            What::Metric(arguments) => {
                let said = arguments.decimals.is_some();
                let metric = arguments.metric()?;
                // What is wrong by itself must not leave a new store behind.
                Catalogue::default()
                    .define_metric(&metric)
                    .map_err(failed)?;
                let store = make()?;
                store
                    .define(|catalogue| define_metric(catalogue, metric, said))
                    .map_err(failed)?;
                open::close(&path, store)?;
            }
            What::Release(arguments) => {
                let release = arguments.release();
                Catalogue::default()
                    .define_release(&release)
                    .map_err(failed)?;
                let store = make()?;
                store.define_release(&release).map_err(failed)?;
                open::close(&path, store)?;
            }
            What::Source(SourceArguments { name, watermark }) => {
                let store = make()?;
                let before = store.source(&name).and_then(|state| state.watermark);
                if before.is_some_and(|before| before >= watermark) {
                    let before = before.unwrap_or(watermark);
                    note(format_args!("{name:?} is whole until {before} already"));
                } else {
                    let mut batch = Batch::new();
                    batch.watermark(&name, watermark);
                    store.commit(batch).map_err(failed)?;
                }
                open::close(&path, store)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Adds or refines a metric. Decimals that were not said are those of the
/// definition there is.
fn define_metric(
    catalogue: &mut Catalogue,
    mut metric: Metric,
    decimals_said: bool,
) -> hotstove::Result<bool> {
    if let (Kind::Sum { .. }, false) = (metric.kind, decimals_said)
        && let Some(known) = catalogue.metric(&metric.name)
        && let Kind::Sum { .. } = known.kind
    {
        metric.kind = known.kind;
    }
    catalogue.define_metric(&metric)
}

impl MetricArguments {
    fn metric(self) -> Result<Metric> {
        let kind = match (self.kind, self.decimals) {
            (KindWord::Sum, decimals) => Kind::Sum {
                decimals: decimals.unwrap_or(DECIMALS),
            },
            (_, Some(_)) => return Err(Failure::Usage("--decimals is for sums alone".into())),
            (KindWord::Counter, None) => Kind::Counter,
            (KindWord::Gauge, None) => Kind::Gauge,
        };
        let mut metric = Metric::new(self.name, kind);
        metric.unit = self.unit;
        metric.role = self.role.map(|role| match role {
            RoleWord::Vital => Role::Vital,
            RoleWord::Decision => Role::Decision,
            RoleWord::Exposure => Role::Exposure,
            RoleWord::Enrolment => Role::Enrolment,
        });
        metric.worse = self.worse.map(|worse| match worse {
            WorseWord::Higher => Worse::Higher,
            WorseWord::Lower => Worse::Lower,
        });
        metric.per = self.per;
        metric.must_differ = self.must_differ;
        metric.burst_minutes = self.burst;
        metric.burst_events = self.burst_events;
        metric.independent = self.independent.then_some(true);
        Ok(metric)
    }
}

impl ReleaseArguments {
    fn release(self) -> Release {
        let mut release = Release::new(self.name);
        release.public_from = self.public_from;
        release.control = self.control;
        release.branches = self.branches;
        release.decision_weeks = self.decision_weeks;
        release
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_follows_the_last_equals_sign() {
        let parsed = |text| branch(text).map(|branch| (branch.name.to_string(), branch.share));
        assert_eq!(parsed("a=0.5"), Ok(("a".into(), Some(0.5))));
        assert_eq!(parsed("a=b=0.5"), Ok(("a=b".into(), Some(0.5))));
        assert_eq!(parsed("a=b"), Ok(("a=b".into(), None)));
        assert_eq!(parsed("a"), Ok(("a".into(), None)));
        assert!(parsed("=0.5").is_err());
        assert!(parsed("").is_err());
    }
}
