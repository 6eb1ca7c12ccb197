//! The series of one release, by name: what a reader of many columns starts from.

use crate::engine::state::Snapshot;
use crate::error::Result;
use crate::limits::MINUTE_END;
use crate::model::{Kind, Name, Pattern};
use crate::query::gather::{Choice, Recent, check_lost};
use crate::query::held::gather_all;

/// A series of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesOf {
    pub branch: Name,
    pub metric: Name,
    pub kind: Kind,
}

impl Snapshot {
    /// Every series of a release, sorted by branch and metric; those whose
    /// cells are all below the retention floor among them.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corruption`] where names are lost that may be of
    /// this release.
    pub(crate) fn series_of(&self, release: &str) -> Result<Vec<SeriesOf>> {
        let patterns = [Pattern::exactly(release)];
        let choice = Choice {
            releases: &patterns,
            branches: &[],
            metrics: &[],
        };
        for segment in self.state.segments.iter() {
            check_lost(segment, &(0..MINUTE_END), choice)?;
        }
        let recent = Recent::find(self, choice)?;
        let mut gather = gather_all(self, &recent, choice)?;
        let mut found = Vec::new();
        for release in 0..gather.names.releases.len() {
            gather.take(release as u32, &mut found);
        }
        let mut series = Vec::with_capacity(found.len());
        for found in &found {
            series.push(SeriesOf {
                branch: Name::new(gather.names.branches[found.branch as usize])?,
                metric: Name::new(gather.names.metrics[found.metric as usize])?,
                kind: found.kind,
            });
        }
        // The same series of several segments.
        series.dedup_by(|later, earlier| {
            (&later.branch, &later.metric) == (&earlier.branch, &earlier.metric)
        });
        Ok(series)
    }
}
