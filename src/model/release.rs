//! Releases and experiments: one type for both.

use super::metric::refine;
use super::{Minute, Name};
use crate::error::{Error, Result};

/// The definition of a release: anything shipped whose health is watched. An
/// experiment is a release with branches.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Release {
    /// Its name, a path by convention: `firefox/release/57.0/windows`.
    pub name: Name,
    /// The minute it went public, from which its age counts.
    pub public_from: Option<Minute>,
    /// The branch others are compared with.
    pub control: Option<Name>,
    /// Branches declared, in the order of their names.
    pub branches: Vec<Branch>,
    /// Whole weeks a decision metric is held back; one unless said otherwise.
    pub decision_weeks: Option<u32>,
}

/// A population inside a release.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Branch {
    /// Its name.
    pub name: Name,
    /// The planned share of all users, 0 to 1; of all branches or of none.
    pub share: Option<f64>,
}

impl Branch {
    /// A branch, with its planned share where one is planned.
    #[must_use]
    pub fn new(name: Name, share: Option<f64>) -> Self {
        Branch { name, share }
    }
}

impl Release {
    /// A release of which only the name is said.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Release {
            name,
            public_from: None,
            control: None,
            branches: Vec::new(),
            decision_weeks: None,
        }
    }

    /// Whole weeks a decision metric is held back.
    #[must_use]
    pub fn decision_weeks(&self) -> u32 {
        self.decision_weeks.unwrap_or(1)
    }

    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for shares that do not add up, or a
    /// number outside its range.
    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::invalid(format!("release {:?}: {what}", self.name)));
        if self
            .decision_weeks
            .is_some_and(|weeks| !(1..=520).contains(&weeks))
        {
            return wrong("a decision window is 1 to 520 weeks".into());
        }
        for branch in &self.branches {
            if branch
                .share
                .is_some_and(|share| !(0.0..=1.0).contains(&share))
            {
                return wrong(format!(
                    "the share of {:?} must lie between 0 and 1",
                    branch.name
                ));
            }
        }
        let shares: Vec<f64> = self
            .branches
            .iter()
            .filter_map(|branch| branch.share)
            .collect();
        let total: f64 = shares.iter().sum();
        if !shares.is_empty() && shares.len() < self.branches.len() {
            return wrong("either every branch has a planned share or none".into());
        }
        if !shares.is_empty() && (total - 1.0).abs() > 1e-6 {
            return wrong(format!("the planned shares add up to {total}, not 1"));
        }
        Ok(())
    }

    /// This definition with what `other` adds to it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Contradiction`] where both say different things.
    pub(crate) fn refined(&self, other: &Release) -> Result<Release> {
        let what = format!("release {:?}", self.name);
        let mut branches = self.branches.clone();
        for new in &other.branches {
            match branches.iter_mut().find(|old| old.name == new.name) {
                Some(old) => {
                    let field = format!("share of {:?}", new.name);
                    old.share = refine(&what, &field, &old.share, &new.share)?;
                }
                None => branches.push(new.clone()),
            }
        }
        branches.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Release {
            name: self.name.clone(),
            public_from: refine(
                &what,
                "public minute",
                &self.public_from,
                &other.public_from,
            )?,
            control: refine(&what, "control", &self.control, &other.control)?,
            branches,
            decision_weeks: refine(
                &what,
                "decision window",
                &self.decision_weeks,
                &other.decision_weeks,
            )?,
        })
    }
}
