//! From a memtable to segments, one a time bucket, and into the manifest: data
//! and source offsets move in one step.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::codec::Page;
use crate::engine::core::Core;
use crate::engine::members::Places;
use crate::engine::memtable::Memtable;
use crate::engine::merge::DayMerge;
use crate::engine::series::SeriesTable;
use crate::engine::tight::push_tight;
use crate::engine::worker::in_order;
use crate::error::Result;
use crate::format::segment_meta::SegmentMeta;
use crate::format::wal;
use crate::limits::{MINUTES_PER_BUCKET, MINUTES_PER_DAY};
use crate::model::Kind;
use crate::storage::disk::Disk;
use crate::storage::planted::{Bug, planted};
use crate::storage::segment::{EncodedSeries, Identity, Segment, SegmentWriter, segment_file_name};
use crate::storage::wal::SeriesNames;

/// Where and as what segments are written.
pub struct Target<'a> {
    pub disk: &'a dyn Disk,
    pub store_id: u64,
    /// The number of the next segment; counted up.
    pub next_segment: &'a mut u64,
    /// The first and last commit in the memtable.
    pub sequences: (u64, u64),
    /// Of some buckets, the last commit that other segments hold already: the
    /// memtable has none of it.
    pub in_segments: &'a BTreeMap<u32, u64>,
    /// Minutes before this one are left out.
    pub floor: u32,
    /// Threads that encode, where there is enough of it.
    pub threads: usize,
}

/// Threads of a flush that somebody waits for.
pub const THREADS: usize = 2;
/// Bytes of memtable from which on a second thread is worth its start.
const BYTES_PER_THREAD: usize = 1 << 20;
/// Series encoded between two writes.
const SERIES_AT_ONCE: usize = 256;

/// Writes a memtable as segments. Memory: four bytes a series, the names, and some
/// series at a time beside it, encoded.
pub fn write_segments(
    memtable: &Memtable,
    series: &SeriesTable,
    target: Target<'_>,
) -> Result<Vec<SegmentMeta>> {
    let mut written = Unnamed::new(target.disk);
    for (bucket, members) in by_bucket(memtable, series, target.floor) {
        let id = *target.next_segment;
        *target.next_segment += 1;
        let (first, last) = target.sequences;
        let first = target
            .in_segments
            .get(&bucket)
            .map_or(first, |held| first.max(held + 1));
        let identity = Identity {
            bucket,
            store_id: target.store_id,
            segment_id: id,
            first_sequence: first.min(last),
            last_sequence: last,
        };
        let (dictionary, places) = match Places::with_plain(&series.infos(), &members) {
            Some((dictionary, places)) => (Some(dictionary), places),
            None => (None, Places::default()),
        };
        let mut writer = SegmentWriter::with_names(target.disk, identity, dictionary)?;
        let threads = match memtable.bytes() >= 2 * BYTES_PER_THREAD {
            true => target.threads,
            false => 1,
        };
        let minutes = bucket_minutes(bucket, target.floor);
        for members in members.chunks(SERIES_AT_ONCE) {
            let known: Vec<_> = {
                let infos = series.infos();
                let known = |id: &u32| (places.key(infos.numbers(*id)), infos.kind(*id));
                members.iter().map(known).collect()
            };
            let encoded = in_order(threads, members.len(), DayMerge::default, |merge, index| {
                let kind = known[index].1;
                let pages = days(memtable, members[index], kind, minutes.clone(), merge)?;
                EncodedSeries::new(bucket, kind, &pages, 0)
            });
            for ((key, _), encoded) in known.into_iter().zip(encoded) {
                writer.push_encoded(key, &encoded?)?;
            }
        }
        written.metas.push(writer.finish()?);
    }
    Ok(written.keep())
}

/// The series of a memtable that have cells in a bucket, in the order of their names.
fn by_bucket(memtable: &Memtable, series: &SeriesTable, floor: u32) -> BTreeMap<u32, Vec<u32>> {
    let mut buckets = BTreeMap::new();
    let Some((first, last)) = memtable.span() else {
        return buckets;
    };
    let mut all = Vec::new();
    // For the list alone: the table is locked meanwhile.
    let infos = series.infos();
    let held = infos.in_order(None).filter(|id| memtable.contains(*id));
    held.for_each(|id| push_tight(&mut all, id));
    drop(infos);
    let (first, last) = (first / MINUTES_PER_BUCKET, last / MINUTES_PER_BUCKET);
    if first == last {
        // Nearly always: then there is one list, and not two.
        let minutes = bucket_minutes(first, floor);
        all.retain(|id| {
            let span = memtable.series_span(*id);
            span.is_some_and(|span| has_cells(memtable, *id, span, &minutes))
        });
        if !all.is_empty() {
            buckets.insert(first, all);
        }
        return buckets;
    }
    for id in all {
        let Some(span) = memtable.series_span(id) else {
            continue;
        };
        for bucket in span.0 / MINUTES_PER_BUCKET..=span.1 / MINUTES_PER_BUCKET {
            if has_cells(memtable, id, span, &bucket_minutes(bucket, floor)) {
                push_tight(buckets.entry(bucket).or_default(), id);
            }
        }
    }
    buckets
}

/// Whether a series, its first and last minute being known, has a cell in others.
fn has_cells(memtable: &Memtable, id: u32, span: (u32, u32), minutes: &Range<u32>) -> bool {
    let (first, last) = span;
    if minutes.contains(&first) || minutes.contains(&last) {
        return true;
    }
    let mut any = false;
    if first < minutes.end && minutes.start <= last {
        memtable.visit(id, minutes.clone(), |_, _| any = true);
    }
    any
}

/// Segments that no manifest names yet: removed again unless they are kept, so
/// that a flush that fails over and over does not fill the medium.
pub struct Unnamed<'a> {
    disk: &'a dyn Disk,
    /// What they are.
    pub metas: Vec<SegmentMeta>,
}

impl<'a> Unnamed<'a> {
    /// None yet.
    pub fn new(disk: &'a dyn Disk) -> Self {
        Unnamed {
            disk,
            metas: Vec::new(),
        }
    }

    /// The segments, which stay.
    pub fn keep(mut self) -> Vec<SegmentMeta> {
        std::mem::take(&mut self.metas)
    }
}

impl Drop for Unnamed<'_> {
    fn drop(&mut self) {
        for meta in self.metas.drain(..) {
            if !planted(Bug::OrphansKept) {
                // What can not be removed now is removed at the next opening.
                let _ = self.disk.remove(&segment_file_name(meta.id));
            }
        }
    }
}

/// The minutes of a bucket that are not below the floor.
pub fn bucket_minutes(bucket: u32, floor: u32) -> Range<u32> {
    let first = bucket * MINUTES_PER_BUCKET;
    let edge = u32::from(planted(Bug::BucketEdge));
    first.max(floor)..first + MINUTES_PER_BUCKET - edge
}

/// The cells of a series as pages of a day each.
fn days(
    memtable: &Memtable,
    series: u32,
    kind: Kind,
    minutes: Range<u32>,
    merge: &mut DayMerge,
) -> Result<Vec<(u32, Page)>> {
    let mut pages = Vec::new();
    let mut current = None;
    let mut failed = Ok(());
    memtable.visit(series, minutes, |minute, value| {
        let day = minute / MINUTES_PER_DAY;
        if let Some(before) = current.replace(day)
            && before != day
        {
            pages.push((before, merge.take(kind)));
        }
        let added = merge.add((minute % MINUTES_PER_DAY) as u16, value, kind);
        if failed.is_ok() {
            failed = added;
        }
    });
    failed?;
    if let Some(day) = current {
        pages.push((day, merge.take(kind)));
    }
    Ok(pages)
}

impl Core {
    /// Flushes the frozen memtable, if there is one, on so many threads.
    pub fn flush_frozen(&self, threads: usize) -> Result<()> {
        let _flushing = self.flush.lock();
        self.check_alive()?;
        let Some(frozen) = self.log.lock().frozen.clone() else {
            return Ok(());
        };
        // Nothing else of the state: what is held here commits would have to copy.
        let Some(memtable) = self.state.read().frozen.clone() else {
            return Ok(());
        };
        let (first_sequence, mut next_segment) = {
            let mut manifest = self.manifest.lock();
            // Numbers are set aside in memory: compaction takes some meanwhile.
            let first = manifest.next_segment;
            let buckets = memtable.span().map_or(0, |(first, last)| {
                u64::from(last / MINUTES_PER_BUCKET - first / MINUTES_PER_BUCKET) + 1
            });
            manifest.next_segment += buckets;
            (manifest.flushed_sequence + 1, first)
        };
        let floor = self.floor();
        let target = Target {
            disk: &*self.disk,
            store_id: self.store_id,
            next_segment: &mut next_segment,
            sequences: (first_sequence.min(frozen.sequence), frozen.sequence),
            in_segments: &BTreeMap::new(),
            floor,
            threads,
        };
        let mut unnamed = Unnamed::new(&*self.disk);
        unnamed.metas = write_segments(&memtable, &self.series, target)?;
        // Names before the manifest that counts on them.
        if !planted(Bug::FlushedNameNotSynced) {
            self.sync_names()?;
        }
        if planted(Bug::LogRemovedEarly) {
            self.remove_flushed_logs(frozen.next_wal);
        }
        let opened = unnamed
            .metas
            .iter()
            .map(|meta| Segment::open(&*self.disk, self.store_id, meta).map(Arc::new))
            .collect::<Result<Vec<_>>>()?;
        let edited = self.edit_manifest(
            |manifest| {
                manifest.segments.extend_from_slice(&unnamed.metas);
                manifest
                    .segments
                    .sort_by_key(|meta| (meta.bucket, meta.first_sequence));
                manifest.first_wal = frozen.next_wal + u64::from(planted(Bug::FirstLogOffByOne));
                let more = u64::from(planted(Bug::FlushedSequenceOffByOne));
                manifest.flushed_sequence = frozen.sequence + more;
                if !planted(Bug::OffsetsNotInManifest) {
                    manifest.sources.clone_from(&frozen.sources);
                }
                if planted(Bug::OffsetsOfNow) {
                    manifest.sources.clone_from(&*self.state.read().sources);
                }
                manifest.sealed = None;
                Ok(())
            },
            |_, state| {
                let segments = Arc::make_mut(&mut state.segments);
                segments.extend(opened);
                segments
                    .sort_by_key(|segment| (segment.meta().bucket, segment.meta().first_sequence));
                state.frozen = None;
                state.flushed_sequence = frozen.sequence;
            },
        );
        if edited.is_ok() || self.check_alive().is_err() {
            // Poisoned is a store whose manifest may name them.
            unnamed.keep();
        }
        edited?;
        {
            let mut log = self.log.lock();
            log.frozen = None;
            log.older_bytes = 0;
        }
        self.remove_flushed_logs(frozen.next_wal);
        Ok(())
    }

    /// Flushes everything committed so far.
    pub fn flush_all(&self) -> Result<()> {
        loop {
            self.check_alive()?;
            self.flush_frozen(THREADS)?;
            let mut log = self.log.lock();
            if log.frozen.is_some() {
                continue;
            }
            self.settle(&log);
            if self.state.read().active.is_empty() {
                return Ok(());
            }
            if log.wal.is_none() {
                self.start_log(&mut log)?;
            }
            self.freeze(&mut log)?;
            drop(log);
            return self.flush_frozen(THREADS);
        }
    }

    /// Unlinks logs whose batches are in segments. What can not be removed now
    /// is removed at the next opening.
    fn remove_flushed_logs(&self, first_wal: u64) {
        let Ok(names) = self.disk.list() else { return };
        for name in names {
            if wal::file_id(&name).is_some_and(|id| id < first_wal) {
                let _ = self.disk.remove(&name);
            }
        }
    }
}
