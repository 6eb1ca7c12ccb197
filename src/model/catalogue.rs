//! All definitions of a store.

use std::collections::BTreeMap;

use super::{Metric, Name, Release};
use crate::error::Result;

/// The metrics and releases declared, by name. Definitions are refinable and
/// never contradictory: saying the same again changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    pub(crate) metrics: BTreeMap<Name, Metric>,
    pub(crate) releases: BTreeMap<Name, Release>,
}

impl Catalogue {
    /// The definition of a metric.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.get(name)
    }

    /// The definition of a release.
    #[must_use]
    pub fn release(&self, name: &str) -> Option<&Release> {
        self.releases.get(name)
    }

    /// Every metric, sorted by name.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.values()
    }

    /// Every release declared, sorted by name. A release needs no declaration:
    /// those with data are listed by a snapshot.
    pub fn releases(&self) -> impl Iterator<Item = &Release> {
        self.releases.values()
    }

    /// Adds or refines a metric; says whether anything changed.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Contradiction`] or [`crate::ErrorKind::InvalidInput`];
    /// nothing is changed then.
    pub fn define_metric(&mut self, metric: &Metric) -> Result<bool> {
        let refined = match self.metrics.get(&metric.name) {
            Some(old) => old.refined(metric)?,
            None => metric.clone(),
        };
        refined.validate()?;
        Ok(self.metrics.insert(metric.name.clone(), refined.clone()) != Some(refined))
    }

    /// Adds or refines a release; says whether anything changed.
    ///
    /// # Errors
    /// As [`Catalogue::define_metric`].
    pub fn define_release(&mut self, release: &Release) -> Result<bool> {
        let refined = match self.releases.get(&release.name) {
            Some(old) => old.refined(release)?,
            None => Release::new(release.name.clone()).refined(release)?,
        };
        refined.validate()?;
        Ok(self.releases.insert(release.name.clone(), refined.clone()) != Some(refined))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::model::{Branch, Kind, Role};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn definitions_are_refined_and_never_contradicted() {
        let mut catalogue = Catalogue::default();
        let crashes = Metric::new(name("crashes"), Kind::Counter);
        assert!(catalogue.define_metric(&crashes).unwrap());
        assert!(
            !catalogue.define_metric(&crashes).unwrap(),
            "saying it again changes nothing"
        );
        let mut vital = crashes.clone();
        vital.role = Some(Role::Vital);
        assert!(catalogue.define_metric(&vital).unwrap());
        assert!(
            !catalogue.define_metric(&crashes).unwrap(),
            "less said is no contradiction"
        );
        let mut decision = crashes.clone();
        decision.role = Some(Role::Decision);
        let error = catalogue.define_metric(&decision).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Contradiction);
        assert_eq!(catalogue.metric("crashes").unwrap().role, Some(Role::Vital));
        let gauge = Metric::new(name("crashes"), Kind::Gauge);
        assert!(catalogue.define_metric(&gauge).is_err());
    }

    #[test]
    fn shares_add_up_or_are_absent() {
        let mut catalogue = Catalogue::default();
        let mut release = Release::new(name("a"));
        release.branches = vec![Branch::new(name("control"), Some(0.5))];
        assert!(catalogue.define_release(&release).is_err());
        release.branches.push(Branch::new(name("b"), Some(0.5)));
        assert!(catalogue.define_release(&release).unwrap());
        release.branches[1].share = None;
        assert!(!catalogue.define_release(&release).unwrap());
        release.branches[1].share = Some(0.25);
        assert!(catalogue.define_release(&release).is_err());
        release.branches = vec![Branch::new(name("c"), None)];
        assert!(
            catalogue.define_release(&release).is_err(),
            "all shares or none"
        );
    }
}
