//! What is measured, and how it is read.

use super::Name;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::DECIMALS_MAX;

/// How the deltas of a cell become its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Unsigned 64-bit deltas, merged by addition.
    Counter,
    /// Decimal deltas with a fixed number of decimals (at most 9), kept as
    /// 64-bit integers and merged by exact addition.
    Sum {
        /// Decimals kept.
        decimals: u8,
    },
    /// Finite `f64` values: the last write wins, in commit order.
    Gauge,
}

impl Kind {
    /// Decimals of the values: those of a sum, else none.
    #[must_use]
    pub const fn decimals(self) -> u8 {
        match self {
            Kind::Sum { decimals } => decimals,
            Kind::Counter | Kind::Gauge => 0,
        }
    }

    /// `counter`, `sum` or `gauge`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Sum { .. } => "sum",
            Kind::Gauge => "gauge",
        }
    }

    /// The kind as its code in files and its decimals.
    pub(crate) const fn code(self) -> (u8, u8) {
        match self {
            Kind::Counter => (1, 0),
            Kind::Sum { decimals } => (2, decimals),
            Kind::Gauge => (3, 0),
        }
    }

    /// The inverse of [`Kind::code`].
    pub(crate) const fn from_code(code: u8, decimals: u8) -> Option<Kind> {
        match (code, decimals) {
            (1, 0) => Some(Kind::Counter),
            (2, decimals) if decimals <= DECIMALS_MAX => Some(Kind::Sum { decimals }),
            (3, 0) => Some(Kind::Gauge),
            _ => None,
        }
    }
}

/// What a metric is for, which decides when it may be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// Readable at once, peeked at every minute.
    #[default]
    Vital,
    /// Held back until its window is whole.
    Decision,
    /// A denominator.
    Exposure,
    /// Counted into branches, for the sample ratio.
    Enrolment,
}

impl Role {
    /// Every role with its word, in the order of the codes in files (from 1).
    pub(crate) const ALL: [(Role, &'static str); 4] = [
        (Role::Vital, "vital"),
        (Role::Decision, "decision"),
        (Role::Exposure, "exposure"),
        (Role::Enrolment, "enrolment"),
    ];

    /// `vital`, `decision`, `exposure` or `enrolment`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Which direction of a metric is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Worse {
    /// More is worse, as with crashes.
    Higher,
    /// Less is worse, as with pages loaded.
    Lower,
}

impl Worse {
    /// `higher` or `lower`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Worse::Higher => "higher",
            Worse::Lower => "lower",
        }
    }
}

/// The definition of a metric. What is `None` is not said yet and may be
/// refined later; what is said can not be contradicted.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: Name,
    /// How its deltas merge.
    pub kind: Kind,
    /// The unit of its values, for people.
    pub unit: Option<Name>,
    /// What it is for; see [`Metric::role`].
    pub role: Option<Role>,
    /// Which direction is bad; neither where `None`.
    pub worse: Option<Worse>,
    /// The exposure metric it is a rate of.
    pub per: Option<Name>,
    /// The least ratio between branches that counts as different, above 1.
    pub must_differ: Option<f64>,
    /// The longest time one fault of one user is expected to go on, in minutes.
    pub burst_minutes: Option<u32>,
    /// The most events one fault of one user is expected to send.
    pub burst_events: Option<u32>,
    /// Whether each event is independent of all others.
    pub independent: Option<bool>,
}

impl Metric {
    /// A metric of which only name and kind are said.
    #[must_use]
    pub fn new(name: Name, kind: Kind) -> Self {
        Metric {
            name,
            kind,
            unit: None,
            role: None,
            worse: None,
            per: None,
            must_differ: None,
            burst_minutes: None,
            burst_events: None,
            independent: None,
        }
    }

    /// The role, `vital` unless said otherwise.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role.unwrap_or_default()
    }

    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a value outside its range.
    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::invalid(format!("metric {:?}: {what}", self.name)));
        if self.kind.decimals() > DECIMALS_MAX {
            return wrong("a sum keeps at most 9 decimals");
        }
        if self
            .must_differ
            .is_some_and(|ratio| !(ratio > 1.0 && ratio <= 1e6))
        {
            return wrong("the least ratio that counts must lie above 1 and below a million");
        }
        if self
            .burst_minutes
            .is_some_and(|minutes| !(1..=10_080).contains(&minutes))
        {
            return wrong("the burst length must lie between 1 minute and a week");
        }
        if self
            .burst_events
            .is_some_and(|events| !(1..=1_000_000).contains(&events))
        {
            return wrong("the burst bound must lie between 1 and 1,000,000 events");
        }
        if self.per.as_ref() == Some(&self.name) {
            return wrong("a metric can not be a rate of itself");
        }
        Ok(())
    }

    /// This definition with what `other` adds to it.
    ///
    /// # Errors
    /// [`ErrorKind::Contradiction`] where both say different things.
    pub(crate) fn refined(&self, other: &Metric) -> Result<Metric> {
        let what = format!("metric {:?}", self.name);
        if self.kind != other.kind {
            return Err(contradiction(&what, "kind", &self.kind, &other.kind));
        }
        Ok(Metric {
            name: self.name.clone(),
            kind: self.kind,
            unit: refine(&what, "unit", &self.unit, &other.unit)?,
            role: refine(&what, "role", &self.role, &other.role)?,
            worse: refine(&what, "bad direction", &self.worse, &other.worse)?,
            per: refine(&what, "exposure metric", &self.per, &other.per)?,
            must_differ: refine(
                &what,
                "must-differ ratio",
                &self.must_differ,
                &other.must_differ,
            )?,
            burst_minutes: refine(
                &what,
                "burst length",
                &self.burst_minutes,
                &other.burst_minutes,
            )?,
            burst_events: refine(
                &what,
                "burst bound",
                &self.burst_events,
                &other.burst_events,
            )?,
            independent: refine(&what, "independence", &self.independent, &other.independent)?,
        })
    }
}

/// What two definitions say together of one field.
pub(super) fn refine<T: Clone + PartialEq + std::fmt::Debug>(
    what: &str,
    field: &str,
    old: &Option<T>,
    new: &Option<T>,
) -> Result<Option<T>> {
    match (old, new) {
        (Some(old), Some(new)) if old != new => Err(contradiction(what, field, old, new)),
        (old, new) => Ok(old.clone().or_else(|| new.clone())),
    }
}

fn contradiction(
    what: &str,
    field: &str,
    old: &impl std::fmt::Debug,
    new: &impl std::fmt::Debug,
) -> Error {
    Error::new(
        ErrorKind::Contradiction,
        format!("{what}: its {field} is {old:?} and can not become {new:?}"),
    )
    .help("definitions are refined, never changed: use another name")
}
