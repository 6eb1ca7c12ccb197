//! Names of a table, made once each.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::engine::answers::Allowance;
use crate::error::Result;
use crate::model::Name;
use crate::query::gather::Names;
use crate::query::names::NONE;
use crate::query::result::GroupRows;

/// Bytes charged for a name, beside its text.
const NAME_BYTES: usize = 96;

/// Names of a table, made once each.
pub struct NameCache<'n, 'a> {
    names: &'n Names<'a>,
    known: [BTreeMap<u32, Name>; 3],
}

impl<'n, 'a> NameCache<'n, 'a> {
    /// None yet of those names.
    pub fn new(names: &'n Names<'a>) -> Self {
        NameCache {
            names,
            known: Default::default(),
        }
    }

    /// A group without rows, by the numbers of its names; [`NONE`] for what is not
    /// grouped by.
    ///
    /// # Errors
    /// Beyond the memory that the answer may take.
    pub fn group(
        &mut self,
        key: (u32, u32, u32),
        allowance: Option<&Allowance>,
    ) -> Result<GroupRows> {
        let names = self.names;
        let mut name = |sort: usize, list: &[&str], index: u32| -> Result<Option<Name>> {
            if index == NONE {
                return Ok(None);
            }
            let name = match self.known[sort].entry(index) {
                Entry::Occupied(known) => known.get().clone(),
                Entry::Vacant(new) => {
                    let text = list.get(index as usize).copied().unwrap_or_default();
                    if let Some(allowance) = allowance {
                        allowance.hold(NAME_BYTES + text.len())?;
                    }
                    new.insert(Name::new(text)?).clone()
                }
            };
            Ok(Some(name))
        };
        Ok(GroupRows {
            release: name(0, &names.releases, key.0)?,
            branch: name(1, &names.branches, key.1)?,
            metric: name(2, &names.metrics, key.2)?,
            decimals: None,
            start: 0,
            rows: 0,
            value: 0,
        })
    }
}
