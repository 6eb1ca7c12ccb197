//! The series this process has met, numbered densely so that the write path
//! hashes no names. Numbers mean nothing outside the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Kind, Name, SeriesKey};
use crate::storage::wal::SeriesNames;

type ByMetric = BTreeMap<Name, u32>;
type ByBranch = BTreeMap<Name, ByMetric>;

/// What is known of one series.
#[derive(Clone, Debug)]
pub struct SeriesInfo {
    /// Its names.
    pub key: SeriesKey,
    /// How its deltas merge.
    pub kind: Kind,
}

/// All series by number and by name.
#[derive(Debug, Default)]
pub struct SeriesTable {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    infos: Vec<Arc<SeriesInfo>>,
    /// Kinds apart from the rest: the write path reads nothing else.
    kinds: Vec<Kind>,
    by_release: BTreeMap<Name, ByBranch>,
    /// Names of metrics, which most series share.
    metrics: BTreeSet<Name>,
}

/// Infos by number, held while frames are encoded.
pub struct Infos<'a>(parking_lot::RwLockReadGuard<'a, Inner>);

impl SeriesNames for Infos<'_> {
    fn series(&self, id: u32) -> (&SeriesKey, Kind) {
        let info = &self.0.infos[id as usize];
        (&info.key, info.kind)
    }

    fn kind(&self, id: u32) -> Kind {
        self.0.kinds[id as usize]
    }
}

impl SeriesTable {
    /// The number of a series, given by its names; `None` if it is new.
    pub fn find(&self, release: &str, branch: &str, metric: &str) -> Option<u32> {
        let inner = self.inner.read();
        inner
            .by_release
            .get(release)?
            .get(branch)?
            .get(metric)
            .copied()
    }

    /// The number of a series, new or known.
    ///
    /// # Errors
    /// A known series of another kind: [`ErrorKind::Contradiction`].
    pub fn intern(&self, key: [&str; 3], kind: Kind) -> Result<u32> {
        let [release, branch, metric] = key;
        if let Some(id) = self.find(release, branch, metric) {
            let known = self.inner.read().kinds[id as usize];
            if known != kind {
                return Err(Error::new(
                    ErrorKind::Contradiction,
                    format!(
                        "metric {metric:?} is a {} and a {}",
                        known.as_str(),
                        kind.as_str()
                    ),
                ));
            }
            return Ok(id);
        }
        let mut inner = self.inner.write();
        // Names are shared between the series that carry them.
        let known = inner
            .by_release
            .get_key_value(release)
            .map(|(name, _)| name.clone());
        let release = known.map_or_else(|| Name::new(release), Ok)?;
        let branches = inner.by_release.get(&release);
        let known = branches
            .and_then(|branches| branches.get_key_value(branch))
            .map(|(name, _)| name.clone());
        let branch = known.map_or_else(|| Name::new(branch), Ok)?;
        let known = inner.metrics.get(metric).cloned();
        let metric = known.map_or_else(|| Name::new(metric), Ok)?;
        inner.metrics.insert(metric.clone());
        let next = u32::try_from(inner.infos.len())
            .map_err(|_| Error::new(ErrorKind::Limit, "more than four billion series"))?;
        let metrics = inner
            .by_release
            .entry(release.clone())
            .or_default()
            .entry(branch.clone())
            .or_default();
        // Another thread may have come first since the look-up above.
        let id = *metrics.entry(metric.clone()).or_insert(next);
        if id == next {
            let key = SeriesKey {
                release,
                branch,
                metric,
            };
            inner.infos.push(Arc::new(SeriesInfo { key, kind }));
            inner.kinds.push(kind);
        }
        Ok(id)
    }

    /// What is known of a series; numbers come from this table alone.
    pub fn info(&self, id: u32) -> Arc<SeriesInfo> {
        self.inner.read().infos[id as usize].clone()
    }

    /// Kinds and names while frames are encoded.
    pub fn infos(&self) -> Infos<'_> {
        Infos(self.inner.read())
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.inner.read().infos.len()
    }

    /// Visits series in the order of their names: those of one release, or all.
    pub fn visit(&self, release: Option<&str>, mut each: impl FnMut(u32, &Arc<SeriesInfo>)) {
        let inner = self.inner.read();
        let mut branches = |branches: &ByBranch| {
            for id in branches.values().flat_map(BTreeMap::values) {
                each(*id, &inner.infos[*id as usize]);
            }
        };
        match release {
            Some(release) => inner.by_release.get(release).into_iter().for_each(branches),
            None => inner.by_release.values().for_each(&mut branches),
        }
    }
}
