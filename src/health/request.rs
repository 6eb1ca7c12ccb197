//! A question about a release's health.

use super::adoption;
use super::gather::{self, Gathered};
use super::guard;
use super::input::{Observations, Options};
use super::monitor::{Monitor, assess, assess_traced};
use super::report::Report;
use super::trace::Trace;
use crate::engine::state::Snapshot;
use crate::error::{Error, Result};
use crate::model::{Metric, Minute, Name, Role};

/// A question about the health of a release, made by [`Snapshot::health`].
///
/// ```no_run
/// use hotstove::{Minute, Store};
/// # let store = Store::open("store", hotstove::Options::new())?;
/// let now: Minute = "2026-11-22T10:41Z".parse()?;
/// let report = store
///     .snapshot()
///     .health("firefox/release/57.0", now)
///     .control("held-back")
///     .margin(1.05)
///     .run()?;
/// println!("{}: {}", report.release, report.verdict);
/// # Ok::<(), hotstove::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a question does nothing until it is run"]
pub struct Request<'a> {
    snapshot: &'a Snapshot,
    release: String,
    as_of: Minute,
    control: Option<String>,
    against: Vec<String>,
    options: Options,
}

impl Snapshot {
    /// A question about a release's health at `as_of`: only minutes before it
    /// are seen, and decision metrics are held back unless their window is whole
    /// by then. A service gives the minute that is running, a replay an earlier
    /// one.
    pub fn health(&self, release: &str, as_of: Minute) -> Request<'_> {
        Request {
            snapshot: self,
            release: release.to_owned(),
            as_of,
            control: None,
            against: Vec::new(),
            options: Options::default(),
        }
    }
}

impl Request<'_> {
    /// The branch to compare with; else the one declared, else `control`.
    pub fn control(mut self, branch: &str) -> Self {
        self.control = Some(branch.to_owned());
        self
    }

    /// An earlier release to compare with at the same age. Said again, the
    /// median of all of them is the baseline.
    pub fn against(mut self, release: &str) -> Self {
        self.against.push(release.to_owned());
        self
    }

    /// The chance of a false alarm over the whole life of the release: from 1e-12
    /// to 0.5, and 0.05 unless said.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.options.alpha = alpha;
        self
    }

    /// The ratio to control that is tolerated: at least 1, and 1.1 unless said.
    pub fn margin(mut self, margin: f64) -> Self {
        self.options.margin = margin;
        self
    }

    /// Answers. The same snapshot gives the same answer.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NotFound`] for a release or branch that does not exist;
    /// [`crate::ErrorKind::InvalidInput`] for a number outside its range or an
    /// `as_of` before the release went public; [`crate::ErrorKind::Corruption`]
    /// where bytes that are needed are damaged.
    pub fn run(&self) -> Result<Report> {
        let (gathered, options) = self.prepared()?;
        if gathered.about.history.is_empty() {
            return Ok(Monitor::fed(&gathered.input(), &options)?.report());
        }
        // Adoption looks at whole columns.
        let observations = gathered.read()?;
        let mut report = assess(&observations, &options)?;
        self.complete(&mut report, &observations)?;
        Ok(report)
    }

    /// As [`Request::run`], and how it came to that in at most `points` steps,
    /// for charts.
    ///
    /// # Errors
    /// As [`Request::run`].
    pub fn run_traced(&self, points: u32) -> Result<(Report, Trace)> {
        let (gathered, options) = self.prepared()?;
        let observations = gathered.read()?;
        let (mut report, trace) = assess_traced(&observations, &options, points)?;
        self.complete(&mut report, &observations)?;
        Ok((report, trace))
    }

    /// The state behind the answer, for a service that keeps it and adds each
    /// new minute.
    ///
    /// # Errors
    /// As [`Request::run`].
    pub fn monitor(&self) -> Result<Monitor> {
        let (gathered, options) = self.prepared()?;
        Monitor::fed(&gathered.input(), &options)
    }

    /// What the answer is computed from, without the cells of decision metrics
    /// that are held back.
    ///
    /// # Errors
    /// As [`Request::run`].
    pub fn observations(&self) -> Result<Observations> {
        let mut observations = self.prepared()?.0.read()?;
        let branches = observations.branches.iter();
        let columns = branches.flat_map(|branch| &branch.columns);
        let first = columns.filter_map(|(_, column)| column.first()).min();
        let opens = guard::opens_at(&observations.release, first);
        if opens.is_none_or(|opens| self.as_of < opens) {
            let held = |metric: &Metric| metric.role() == Role::Decision;
            let metrics = observations.metrics.iter().filter(|it| held(it));
            let metrics: Vec<Name> = metrics.map(|it| it.name.clone()).collect();
            for branch in &mut observations.branches {
                branch.columns.retain(|(name, _)| !metrics.contains(name));
            }
        }
        Ok(observations)
    }

    fn complete(&self, report: &mut Report, observations: &Observations) -> Result<()> {
        if !report.history.is_empty() {
            let everyone = gather::everyone(self.snapshot, observations)?;
            adoption::complete(report, observations, &everyone);
        }
        Ok(())
    }

    fn prepared(&self) -> Result<(Gathered<'_>, Options)> {
        let mut options = self.options.clone();
        options.validate()?;
        let mut gathered = gather::release(self.snapshot, &self.release, self.as_of)?;
        let observations = &mut gathered.about;
        if let Some(control) = &self.control {
            options.control = Some(gather::branch(observations, control)?);
        }
        for earlier in &self.against {
            if *earlier == self.release {
                return Err(Error::invalid(format!(
                    "release {earlier:?} can not be compared with itself"
                )));
            }
            let past = gather::past(self.snapshot, observations, &Name::new(earlier)?)?;
            observations.history.push(past);
        }
        Ok((gathered, options))
    }
}
