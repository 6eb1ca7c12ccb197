//! What is asked.

use std::ops::Range;

use crate::engine::state::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MINUTE_END, MINUTES_PER_DAY};
use crate::model::{Kind, Minute, Pattern};
use crate::query::execute;
use crate::query::result::Table;

/// The widest bucket, in minutes: a leap year.
const BUCKET_MINUTES_MAX: u32 = MINUTES_PER_DAY * 366;

/// How minutes are brought together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Buckets of so many minutes, 1 to 527,040 (366 days). They start at
    /// multiples of their width after the Unix epoch, or after a release went
    /// public where time is told by age.
    Minutes(u32),
    /// One bucket for everything. Its minute is the start asked for, or else
    /// the first minute with data.
    Whole,
}

/// Which names tell rows apart. What is not grouped by is brought together and
/// shown as `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupBy {
    /// A group for each release.
    pub release: bool,
    /// A group for each branch.
    pub branch: bool,
    /// A group for each metric.
    pub metric: bool,
}

impl GroupBy {
    /// A group for each series.
    pub const ALL: GroupBy = GroupBy {
        release: true,
        branch: true,
        metric: true,
    };
}

impl Default for GroupBy {
    fn default() -> Self {
        Self::ALL
    }
}

/// What is told of the cells of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregate {
    /// Their sum; of a gauge, the last one.
    #[default]
    Total,
    /// How many there are.
    Cells,
    /// The least of them.
    Min,
    /// The greatest of them.
    Max,
}

/// A question to a [`Snapshot`], made by [`Snapshot::query`].
///
/// Without more said it asks for every cell of every series. A bucket is in
/// the answer exactly if some cell lies in it: absent is not zero, and a sum of
/// zero is shown.
///
/// ```no_run
/// use hotstove::{Every, Pattern, Store};
/// # let store = Store::open("store", hotstove::Options::new())?;
/// let table = store
///     .snapshot()
///     .query()
///     .releases(&Pattern::new("firefox/release/*")?)
///     .metrics(&Pattern::new("crashes")?)
///     .every(Every::Minutes(60))
///     .run()?;
/// for row in table.rows() {
///     println!("{} {} {} {} {}", row.release, row.branch, row.metric, row.minute, row.value);
/// }
/// # Ok::<(), hotstove::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is run"]
pub struct Query<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) releases: Vec<Pattern>,
    pub(super) branches: Vec<Pattern>,
    pub(super) metrics: Vec<Pattern>,
    pub(super) from: Option<Minute>,
    pub(super) to: Minute,
    pub(super) ages: Option<Range<u32>>,
    pub(super) every: Every,
    pub(super) by: GroupBy,
    pub(super) aggregate: Aggregate,
    pub(super) per: Option<String>,
    pub(super) as_of: Option<Minute>,
    pub(super) overriding_held: bool,
    pub(super) threads: Option<usize>,
}

impl Snapshot {
    /// A question to this snapshot.
    pub fn query(&self) -> Query<'_> {
        Query {
            snapshot: self,
            releases: Vec::new(),
            branches: Vec::new(),
            metrics: Vec::new(),
            from: None,
            to: Minute::END,
            ages: None,
            every: Every::Minutes(1),
            by: GroupBy::ALL,
            aggregate: Aggregate::Total,
            per: None,
            as_of: None,
            overriding_held: false,
            threads: None,
        }
    }
}

impl Query<'_> {
    /// Which releases; all unless said. Said again, it widens the choice.
    pub fn releases(mut self, pattern: &Pattern) -> Self {
        self.releases.push(pattern.clone());
        self
    }

    /// Which branches; all unless said. Said again, it widens the choice.
    pub fn branches(mut self, pattern: &Pattern) -> Self {
        self.branches.push(pattern.clone());
        self
    }

    /// Which metrics; all unless said. Said again, it widens the choice.
    pub fn metrics(mut self, pattern: &Pattern) -> Self {
        self.metrics.push(pattern.clone());
        self
    }

    /// Only minutes from this one on.
    pub fn from(mut self, minute: Minute) -> Self {
        self.from = Some(minute);
        self
    }

    /// Only minutes before this one.
    pub fn to(mut self, minute: Minute) -> Self {
        self.to = minute;
        self
    }

    /// Tells time by age: minutes since each release went public. What lies
    /// before that is left out, and so are releases that are not said to have
    /// gone public; the table's notes name those.
    pub fn by_age(self) -> Self {
        let ages = self.ages.clone().unwrap_or(0..MINUTE_END);
        self.ages(ages)
    }

    /// As [`Query::by_age`], and only these ages, in minutes.
    pub fn ages(mut self, ages: Range<u32>) -> Self {
        self.ages = Some(ages);
        self
    }

    /// How minutes are brought together; minute by minute unless said.
    pub fn every(mut self, every: Every) -> Self {
        self.every = every;
        self
    }

    /// Which names tell rows apart; all three unless said.
    pub fn by(mut self, by: GroupBy) -> Self {
        self.by = by;
        self
    }

    /// What is told of the cells of a bucket; their total unless said.
    pub fn aggregate(mut self, aggregate: Aggregate) -> Self {
        self.aggregate = aggregate;
        self
    }

    /// Rates: the total of a bucket for each 1,000 units of the total of this
    /// exposure metric, over the same bucket, releases and branches. Sums are
    /// divided, rates never averaged. Buckets without exposure, or with a total
    /// of zero of it, are left out, as is the exposure metric itself.
    pub fn per(mut self, exposure: &str) -> Self {
        self.per = Some(exposure.to_owned());
        self
    }

    /// The present, for this question: only minutes before it, and decision
    /// metrics are readable once their window is whole by then. Without it they
    /// are held back.
    pub fn as_of(mut self, minute: Minute) -> Self {
        self.as_of = Some(minute);
        self
    }

    /// Reads decision metrics whether their window is whole or not. Whoever
    /// does that records it: see [`crate::Reader::record_override`].
    pub fn overriding_held(mut self, overriding: bool) -> Self {
        self.overriding_held = overriding;
        self
    }

    /// So many threads, whether it is worth it or not.
    #[cfg(test)]
    pub(super) fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Answers. The same snapshot gives the same answer, to the last bit.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a question that makes no sense, such as
    /// one that would merge gauges of several series; [`ErrorKind::NotFound`]
    /// for a metric named exactly that is not defined; [`ErrorKind::Held`] for a
    /// decision metric named exactly before its window is whole;
    /// [`ErrorKind::Corruption`] where bytes that are needed are damaged: ask
    /// for other series or minutes, or repair; [`ErrorKind::Limit`] for a sum
    /// beyond 128 bits, more rows than [`crate::limits::TABLE_ROWS_MAX`], or an
    /// answer beyond its part of the memory budget
    /// ([`crate::Options::memory_budget`], [`crate::Reader::memory_budget`]): ask
    /// in parts or for longer buckets. It is refused before it takes the memory, and
    /// whatever else is being asked; of large answers one is made at a time.
    pub fn run(&self) -> Result<Table> {
        let mut table = Table::default();
        self.run_into(&mut table)?;
        Ok(table)
    }

    /// As [`Query::run`], in place of an earlier answer and in its memory: a
    /// question asked again and again then allocates next to nothing.
    ///
    /// ```no_run
    /// # let store = hotstove::Store::open("store", hotstove::Options::new())?;
    /// let mut table = hotstove::Table::default();
    /// for _ in 0..10 {
    ///     store.snapshot().query().run_into(&mut table)?;
    ///     println!("{} rows", table.len());
    /// }
    /// # Ok::<(), hotstove::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Query::run`]; `table` is then empty.
    pub fn run_into(&self, table: &mut Table) -> Result<()> {
        let answered = self.check().and_then(|()| execute::run(self, table));
        if answered.is_err() {
            table.restart(table.axis());
        }
        answered
    }

    fn check(&self) -> Result<()> {
        if let Every::Minutes(width) = self.every
            && !(1..=BUCKET_MINUTES_MAX).contains(&width)
        {
            return Err(Error::invalid(format!(
                "a bucket of {width} minutes: it has 1 to {BUCKET_MINUTES_MAX}"
            )));
        }
        if let Some(from) = self.from
            && from > self.to
        {
            let to = self.to;
            return Err(Error::invalid(format!(
                "the minutes from {from} to {to} run backwards"
            )));
        }
        if let Some(ages) = &self.ages
            && ages.start > ages.end
        {
            return Err(Error::invalid(format!("the ages {ages:?} run backwards")));
        }
        let exact = self.metrics.iter().filter_map(Pattern::exact);
        for metric in exact {
            self.defined(metric)?;
        }
        let Some(exposure) = &self.per else {
            return Ok(());
        };
        if self.aggregate != Aggregate::Total {
            return Err(Error::invalid(
                "a rate is made of totals and of nothing else",
            ));
        }
        if self.defined(exposure)? == Kind::Gauge {
            return Err(Error::invalid(format!(
                "{exposure:?} is a gauge: a rate is over a counter or a sum"
            )));
        }
        for metric in self.metrics.iter().filter_map(Pattern::exact) {
            if metric == exposure {
                return Err(Error::invalid(format!(
                    "{metric:?} can not be a rate of itself"
                )));
            }
            if self.defined(metric)? == Kind::Gauge {
                return Err(Error::invalid(format!(
                    "{metric:?} is a gauge: it has no rate"
                )));
            }
        }
        Ok(())
    }

    fn defined(&self, metric: &str) -> Result<Kind> {
        let found = self.snapshot.state.catalogue.metric(metric);
        found.map(|metric| metric.kind).ok_or_else(|| {
            let shown: String = metric.chars().take(64).collect();
            Error::new(
                ErrorKind::NotFound,
                format!("the metric {shown:?} is not defined"),
            )
        })
    }

    /// The absolute minutes asked for that can hold anything.
    pub(super) fn minutes(&self) -> Range<u32> {
        let from = self
            .from
            .map_or(0, Minute::get)
            .max(self.snapshot.state.floor);
        let to = self.to.min(self.as_of.unwrap_or(Minute::END)).get();
        from..to.max(from)
    }

    /// Where the one bucket of [`Every::Whole`] is said to begin, if that was said.
    pub(super) fn whole_starts(&self) -> Option<u32> {
        match &self.ages {
            None => self.from.map(Minute::get),
            Some(ages) => (ages.start > 0).then_some(ages.start),
        }
    }

    /// The minute a release's age counts from, where time is told by age.
    pub(super) fn public_from(&self, release: &str) -> Option<Minute> {
        self.snapshot.state.catalogue.release(release)?.public_from
    }
}

/// Whether any of `patterns` matches, or there are none.
pub(super) fn chosen(patterns: &[Pattern], name: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name))
}
