//! From a memtable to segments, one a time bucket, and into the manifest: data
//! and source offsets move in one step.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::codec::Page;
use crate::engine::core::Core;
use crate::engine::memtable::Memtable;
use crate::engine::merge::DayMerge;
use crate::engine::series::{SeriesInfo, SeriesTable};
use crate::engine::worker::in_order;
use crate::error::Result;
use crate::format::segment_meta::SegmentMeta;
use crate::format::wal;
use crate::limits::{MINUTES_PER_BUCKET, MINUTES_PER_DAY};
use crate::model::SeriesKey;
use crate::storage::disk::Disk;
use crate::storage::planted::{Bug, planted};
use crate::storage::segment::{EncodedSeries, Segment, SegmentWriter, segment_file_name};

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

/// Writes a memtable as segments. Memory: some series at a time beside it, encoded.
pub fn write_segments(
    memtable: &Memtable,
    series: &SeriesTable,
    target: Target<'_>,
) -> Result<Vec<SegmentMeta>> {
    // Series by bucket, in the order of their names.
    let mut written = Vec::new();
    series.visit(None, |id, info| {
        // The table is locked: who resolves a new series waits, and all behind.
        if memtable.contains(id) {
            written.push((id, info.clone()));
        }
    });
    let mut buckets: BTreeMap<u32, Vec<(u32, Arc<SeriesInfo>)>> = BTreeMap::new();
    for (id, info) in written {
        let Some((first, last)) = memtable.series_span(id) else {
            continue;
        };
        for bucket in first / MINUTES_PER_BUCKET..=last / MINUTES_PER_BUCKET {
            let minutes = bucket_minutes(bucket, target.floor);
            let mut any = false;
            memtable.visit(id, minutes, |_, _| any = true);
            if any {
                buckets.entry(bucket).or_default().push((id, info.clone()));
            }
        }
    }
    let mut written = Unnamed::new(target.disk);
    for (bucket, members) in buckets {
        let id = *target.next_segment;
        *target.next_segment += 1;
        let (first, last) = target.sequences;
        let first = target
            .in_segments
            .get(&bucket)
            .map_or(first, |held| first.max(held + 1));
        let mut keys = members.iter().map(|(_, info)| &info.key);
        let keys: &mut dyn Iterator<Item = &SeriesKey> = &mut keys;
        let mut writer = SegmentWriter::create(
            target.disk,
            target.store_id,
            id,
            bucket,
            (first.min(last), last),
            keys,
        )?;
        let threads = match memtable.bytes() >= 2 * BYTES_PER_THREAD {
            true => target.threads,
            false => 1,
        };
        for members in members.chunks(SERIES_AT_ONCE) {
            let encoded = in_order(threads, members.len(), DayMerge::default, |merge, index| {
                let (series, info) = &members[index];
                let minutes = bucket_minutes(bucket, target.floor);
                let pages = days(memtable, *series, info, minutes, merge)?;
                EncodedSeries::new(bucket, info.kind, &pages, 0)
            });
            for ((_, info), encoded) in members.iter().zip(encoded) {
                writer.push_encoded(writer.indices(&info.key)?, &encoded?)?;
            }
        }
        written.metas.push(writer.finish()?);
    }
    Ok(written.keep())
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
pub fn bucket_minutes(bucket: u32, floor: u32) -> std::ops::Range<u32> {
    let first = bucket * MINUTES_PER_BUCKET;
    let edge = u32::from(planted(Bug::BucketEdge));
    first.max(floor)..first + MINUTES_PER_BUCKET - edge
}

/// The cells of a series as pages of a day each.
fn days(
    memtable: &Memtable,
    series: u32,
    info: &SeriesInfo,
    minutes: std::ops::Range<u32>,
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
            pages.push((before, merge.take(info.kind)));
        }
        let added = merge.add((minute % MINUTES_PER_DAY) as u16, value, info.kind);
        if failed.is_ok() {
            failed = added;
        }
    });
    failed?;
    if let Some(day) = current {
        pages.push((day, merge.take(info.kind)));
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
        let snapshot = self.snapshot();
        let Some(memtable) = snapshot.state.frozen else {
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
