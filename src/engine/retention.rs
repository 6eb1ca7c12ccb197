//! Dropping what is no longer wanted: by time, or by release. Offsets of
//! sources never move.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::compaction::choose::Choice;
use crate::engine::compaction::run::THREADS;
use crate::engine::core::Core;
use crate::engine::store::Store;
use crate::error::Result;
use crate::model::{Minute, Pattern};
use crate::storage::planted::{Bug, planted};
use crate::storage::segment::{Sort, segment_file_name};

/// What retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retained {
    /// Segments dropped whole.
    pub dropped: usize,
    /// Segments rewritten without what was dropped.
    pub rewritten: usize,
    /// Bytes of files given back.
    pub bytes: u64,
    /// Minutes before this one are gone.
    pub floor: Minute,
}

impl Store {
    /// Drops every minute before `minute`, for good. It takes effect at once
    /// and survives a crash whole or not at all; late deltas for those minutes
    /// are dropped and counted from then on. The floor never moves back.
    ///
    /// # Errors
    /// What the system refuses; nothing is dropped then.
    pub fn retain_before(&self, minute: Minute) -> Result<Retained> {
        self.core.retain_before(minute.get())
    }

    /// Drops all cells of the releases that `releases` matches. Definitions
    /// stay. Cost: rewriting the segments that hold them, one after the other;
    /// after a crash it is said again.
    ///
    /// # Errors
    /// What the system refuses, or a damaged segment: those not reached yet
    /// still hold the releases.
    pub fn retain_without(&self, releases: &Pattern) -> Result<Retained> {
        self.core.drop_releases(&|name| releases.matches(name))
    }
}

impl Core {
    fn retain_before(&self, minute: u32) -> Result<Retained> {
        let _replacing = self.compaction.lock();
        let _flushing = self.flush.lock();
        let mut retained = Retained::default();
        let mut gone = Vec::new();
        self.edit_manifest(
            |manifest| {
                let floor = manifest.floor.max(minute);
                if !planted(Bug::FloorNotInManifest) {
                    manifest.floor = floor;
                }
                manifest.segments.retain(|meta| {
                    let keep = match planted(Bug::RetentionDropsTooMuch) {
                        true => meta.first_minute >= floor,
                        false => meta.last_minute >= floor,
                    };
                    if !keep {
                        retained.dropped += 1;
                        retained.bytes += meta.bytes;
                        gone.push(meta.id);
                    }
                    keep
                });
                retained.floor = Minute::clamped(floor.into());
                Ok(())
            },
            |manifest, state| {
                self.floor.store(manifest.floor, Ordering::Release);
                state.floor = manifest.floor;
                let live = |id: u64| manifest.segments.iter().any(|meta| meta.id == id);
                Arc::make_mut(&mut state.segments).retain(|segment| live(segment.meta().id));
                Arc::make_mut(&mut state.broken).retain(|broken| live(broken.meta.id));
            },
        )?;
        for id in gone {
            // What can not be removed now is removed at the next opening.
            let _ = self.disk.remove(&segment_file_name(id));
        }
        Ok(retained)
    }

    pub fn drop_releases(&self, matches: &dyn Fn(&str) -> bool) -> Result<Retained> {
        self.flush_all()?;
        let _replacing = self.compaction.lock();
        let mut retained = Retained {
            floor: Minute::clamped(self.floor().into()),
            ..Retained::default()
        };
        if let Some(broken) = self.snapshot().state.broken.first() {
            // Nobody can tell whether it holds them.
            return Err(broken.error.shared());
        }
        for segment in self.segments().iter() {
            if !segment.series()?.names(Sort::Release).any(matches) {
                continue;
            }
            let meta = *segment.meta();
            let choice = Choice {
                inputs: vec![meta.id],
                cold_before_day: 0,
            };
            let output = self.merge(&choice, &|release| !matches(release), THREADS)?;
            retained.dropped += usize::from(output.is_none());
            retained.rewritten += usize::from(output.is_some());
            retained.bytes += meta
                .bytes
                .saturating_sub(output.map_or(0, |meta| meta.bytes));
        }
        Ok(retained)
    }
}
