//! The series that rows belong to, found without hashing wherever rows come
//! in an order: the same series again, or the one that followed it last time.

use std::collections::HashMap;
use std::sync::Arc;

use hotstove::{Series, Store};

use super::rows::Row;
use super::value::quoted;

/// Series remembered at most. Beyond, all are forgotten and found anew.
const SERIES_MAX: usize = 1 << 17;

pub struct Targets<'s> {
    store: &'s Store,
    entries: Vec<Entry>,
    by_key: HashMap<Arc<[u8]>, usize>,
    /// The entry found last.
    last: usize,
    key: Vec<u8>,
}

struct Entry {
    /// The three names, a zero byte between them: no name has one.
    key: Arc<[u8]>,
    series: Series,
    /// The entry that came after this one last time.
    next: usize,
}

impl Entry {
    fn is(&self, row: &Row<'_>) -> bool {
        let mut rest = &*self.key;
        for (index, name) in [&row.release, &row.branch, &row.metric]
            .into_iter()
            .enumerate()
        {
            if index > 0 {
                let Some(after) = rest.strip_prefix(&[0]) else {
                    return false;
                };
                rest = after;
            }
            let Some(after) = rest.strip_prefix(&**name) else {
                return false;
            };
            rest = after;
        }
        rest.is_empty()
    }
}

impl<'s> Targets<'s> {
    pub fn new(store: &'s Store) -> Self {
        Targets {
            store,
            entries: Vec::new(),
            by_key: HashMap::new(),
            last: 0,
            key: Vec::new(),
        }
    }

    /// The series of a row.
    ///
    /// # Errors
    /// Names that are none, or a metric that is not defined.
    pub fn find(&mut self, row: &Row<'_>) -> Result<Series, String> {
        if let Some(last) = self.entries.get(self.last) {
            if last.is(row) {
                return Ok(last.series);
            }
            if let Some(next) = self.entries.get(last.next)
                && next.is(row)
            {
                self.last = last.next;
                return Ok(next.series);
            }
        }
        self.look_up(row)
    }

    fn look_up(&mut self, row: &Row<'_>) -> Result<Series, String> {
        self.key.clear();
        self.key.extend_from_slice(&row.release);
        self.key.push(0);
        self.key.extend_from_slice(&row.branch);
        self.key.push(0);
        self.key.extend_from_slice(&row.metric);
        let found = match self.by_key.get(&*self.key) {
            Some(found) => *found,
            None => self.resolve(row)?,
        };
        if let Some(last) = self.entries.get_mut(self.last) {
            last.next = found;
        }
        self.last = found;
        Ok(self.entries[found].series)
    }

    fn resolve(&mut self, row: &Row<'_>) -> Result<usize, String> {
        let [release, branch, metric] = [
            text("release", &row.release)?,
            text("branch", &row.branch)?,
            text("metric", &row.metric)?,
        ];
        let series = self
            .store
            .series(release, branch, metric)
            .map_err(|error| error.to_string())?;
        if self.entries.len() == SERIES_MAX {
            self.entries.clear();
            self.by_key.clear();
            self.last = 0;
        }
        let found = self.entries.len();
        let key: Arc<[u8]> = self.key.as_slice().into();
        self.entries.push(Entry {
            key: key.clone(),
            series,
            next: found,
        });
        self.by_key.insert(key, found);
        Ok(found)
    }
}

fn text<'a>(column: &str, bytes: &'a [u8]) -> Result<&'a str, String> {
    str::from_utf8(bytes).map_err(|_| format!("the {column} {} is not UTF-8", quoted(bytes)))
}
