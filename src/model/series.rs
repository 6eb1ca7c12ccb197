//! What a cell belongs to.

use std::fmt;

use super::Name;

/// One series: a metric of a branch of a release. Ordered by release, then
/// branch, then metric, so that all of a release is one range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    /// The release or experiment.
    pub release: Name,
    /// The branch of it.
    pub branch: Name,
    /// The metric.
    pub metric: Name,
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} · {} · {}", self.release, self.branch, self.metric)
    }
}
