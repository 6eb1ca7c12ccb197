//! Doing a merge: a streaming walk over the inputs in the order of their
//! series. Memory: the names, a few megabytes of input at a time and what they
//! become, whatever the number of series.

use std::sync::Arc;

use crate::codec::{Family, Page};
use crate::engine::compaction::choose::{Choice, choose, choose_all};
use crate::engine::compaction::names::{Key, Names, Walk};
use crate::engine::core::Core;
use crate::engine::flush::Unnamed;
use crate::engine::merge::DayMerge;
use crate::engine::worker::in_order;
use crate::error::{Error, ErrorKind, Result};
use crate::format::directory::Entry;
use crate::format::segment_meta::SegmentMeta;
use crate::limits::MINUTES_PER_DAY;
use crate::storage::planted::{Bug, planted};
use crate::storage::segment::{
    Block, EncodedSeries, Identity, Segment, SegmentWriter, segment_file_name,
};

/// Series merged between two writes at most.
const JOBS_MAX: usize = 4_096;
/// Cells for which a thread is worth its start.
const CELLS_PER_THREAD: u64 = 1 << 16;

/// Threads of a merge that somebody asked for and waits for.
pub const THREADS: usize = 2;

/// Which series of the inputs go into the output.
pub type Keep<'a> = &'a dyn Fn(&str) -> bool;

impl Core {
    /// Does one merge that is worth doing in passing; says whether there was one.
    pub fn compact_step(&self) -> Result<bool> {
        let _compacting = self.compaction.lock();
        let skip = self.left_alone();
        let segments = self.manifest.lock().segments.clone();
        let Some(choice) = choose(&segments, &skip) else {
            return Ok(false);
        };
        // In passing: the other processor is the writer's and the readers'.
        self.merge_or_skip(&choice, 1)?;
        Ok(true)
    }

    /// Merges everything until one segment a bucket is left.
    pub fn compact_all(&self) -> Result<()> {
        self.flush_all()?;
        let _compacting = self.compaction.lock();
        let segments = self.manifest.lock().segments.clone();
        // One that did not open is no reason to leave its neighbours as they are.
        let broken = self.snapshot().state.broken;
        let skip: Vec<u64> = broken.iter().map(|broken| broken.meta.id).collect();
        let choices = choose_all(&segments, &skip);
        let mut failed = broken.first().map(|broken| broken.error.shared());
        for choice in choices {
            if let Err(error) = self.merge_or_skip(&choice, THREADS) {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Which of some segments are damaged; all where none shows it.
    fn damaged_of(&self, inputs: &[u64]) -> Vec<u64> {
        let segments = self.segments();
        let inputs_now = segments
            .iter()
            .filter(|segment| inputs.contains(&segment.meta().id));
        let damaged: Vec<u64> = inputs_now
            .filter(|segment| {
                let mut any = false;
                segment.verify(&mut |_| any = true);
                any
            })
            .map(|segment| segment.meta().id)
            .collect();
        if damaged.is_empty() {
            inputs.to_vec()
        } else {
            damaged
        }
    }

    /// Segments that can not be merged, lest they are chosen over and over.
    fn left_alone(&self) -> Vec<u64> {
        let mut skip = self.work.lock().unmergeable.clone();
        let broken = self.snapshot().state.broken;
        skip.extend(broken.iter().map(|broken| broken.meta.id));
        skip
    }

    /// Damaged inputs are left as they are: the rest of the store goes on
    /// being merged, and `repair` decides about them.
    fn merge_or_skip(&self, choice: &Choice, threads: usize) -> Result<()> {
        let merged = self.merge(choice, &|_| true, threads).map(drop);
        if let Err(error) = &merged
            && error.kind() == ErrorKind::Corruption
        {
            let damaged = self.damaged_of(&choice.inputs);
            self.work.lock().unmergeable.extend(damaged);
        }
        merged
    }

    /// Merges the inputs of a choice, those series alone that `keep` wants,
    /// and replaces them in the manifest.
    pub fn merge(
        &self,
        choice: &Choice,
        keep: Keep<'_>,
        threads: usize,
    ) -> Result<Option<SegmentMeta>> {
        let segments = self.segments();
        let wanted = |id: &u64| segments.iter().find(|segment| segment.meta().id == *id);
        let inputs: Vec<Arc<Segment>> = choice.inputs.iter().filter_map(wanted).cloned().collect();
        drop(segments);
        if inputs.len() != choice.inputs.len() {
            // Retention was faster.
            return Ok(None);
        }
        for input in &inputs {
            // Series of which no index knows any more: the output would be
            // without them, and nobody would ever be told.
            let damage = input.series()?.damage();
            if let Some(lost) = damage.iter().find(|damage| damage.minutes.is_some())
                && !planted(Bug::MergeForgetsLost)
            {
                return Err(lost.to_error());
            }
        }
        let id = {
            let mut manifest = self.manifest.lock();
            manifest.next_segment += 1;
            manifest.next_segment - 1
        };
        let mut unnamed = Unnamed::new(&*self.disk);
        let output = write_merged(self, id, &inputs, choice.cold_before_day, keep, threads)?;
        unnamed.metas.extend(output);
        if !planted(Bug::MergedNameNotSynced) {
            self.sync_names()?;
        }
        let opened = match &output {
            Some(meta) => Some(Arc::new(Segment::open(&*self.disk, self.store_id, meta)?)),
            None => None,
        };
        let remove_inputs = || {
            for id in &choice.inputs {
                // What can not be removed now is removed at the next opening.
                let _ = self.disk.remove(&segment_file_name(*id));
            }
        };
        if planted(Bug::InputsRemovedEarly) {
            remove_inputs();
        }
        let replaced = |id: u64| choice.inputs.contains(&id);
        let edited = self.edit_manifest(
            |manifest| {
                manifest.segments.retain(|meta| !replaced(meta.id));
                manifest.segments.extend(output);
                manifest
                    .segments
                    .sort_by_key(|meta| (meta.bucket, meta.first_sequence));
                Ok(())
            },
            |_, state| {
                let segments = Arc::make_mut(&mut state.segments);
                segments.retain(|segment| !replaced(segment.meta().id));
                segments.extend(opened);
                segments
                    .sort_by_key(|segment| (segment.meta().bucket, segment.meta().first_sequence));
            },
        );
        if edited.is_ok() || self.check_alive().is_err() {
            // Poisoned is a store whose manifest may name it.
            unnamed.keep();
        }
        edited?;
        remove_inputs();
        Ok(output)
    }
}

/// Writes the merge of `inputs`; none where nothing is left to write.
fn write_merged(
    core: &Core,
    id: u64,
    inputs: &[Arc<Segment>],
    cold_before_day: u32,
    keep: Keep<'_>,
    threads: usize,
) -> Result<Option<SegmentMeta>> {
    let floor = core.floor();
    let first = inputs
        .iter()
        .map(|segment| segment.meta().first_sequence)
        .min();
    let last = inputs
        .iter()
        .map(|segment| segment.meta().last_sequence)
        .max();
    let (Some(first), Some(last), Some(bucket)) = (
        first,
        last,
        inputs.first().map(|segment| segment.meta().bucket),
    ) else {
        return Ok(None);
    };
    let Some((dictionary, names)) = Names::new(inputs, floor, keep)? else {
        return Ok(None);
    };
    let identity = Identity {
        bucket,
        store_id: core.store_id,
        segment_id: id,
        first_sequence: first,
        last_sequence: last,
    };
    let mut writer = SegmentWriter::with_names(&*core.disk, identity, Some(dictionary))?;
    let merge = Merge {
        inputs,
        bucket,
        cold_before_day,
        floor,
        input_bytes: core.options.budget().merge_input(),
    };
    let mut walk = names.walk()?;
    let mut jobs = Vec::new();
    loop {
        let more = merge.next_jobs(&mut walk, &mut jobs)?;
        for (job, made) in jobs.iter().zip(merge.run(&jobs, threads)) {
            match made? {
                Some(series) => writer.push_encoded(job.key, &series)?,
                None => {
                    let (input, index) = job.parts[0];
                    writer.push_raw(job.key, &inputs[input].block(index)?)?;
                }
            }
        }
        if !more {
            return writer.finish().map(Some);
        }
    }
}

/// One series to be merged.
struct Job {
    key: Key,
    /// Where its parts lie, by sequence: in which input, at which index.
    parts: Vec<(usize, usize)>,
}

/// What is merged, and how.
struct Merge<'a> {
    inputs: &'a [Arc<Segment>],
    bucket: u32,
    cold_before_day: u32,
    floor: u32,
    /// Bytes of input merged between two writes.
    input_bytes: usize,
}

/// What a thread keeps from series to series.
struct Scratch {
    merge: DayMerge,
    page: Page,
}

impl Merge<'_> {
    /// The next series to be merged before anything is written: as many as
    /// the budget allows, which bounds the memory of their output. Says
    /// whether more may follow.
    fn next_jobs(&self, walk: &mut Walk<'_>, jobs: &mut Vec<Job>) -> Result<bool> {
        jobs.clear();
        let mut bytes = 0;
        while bytes < self.input_bytes && jobs.len() < JOBS_MAX {
            let mut parts = Vec::with_capacity(1);
            let Some(key) = walk.step(&mut parts)? else {
                return Ok(false);
            };
            for (input, index) in &parts {
                bytes += entry(&self.inputs[*input], *index)?.block_bytes as usize;
            }
            jobs.push(Job { key, parts });
        }
        Ok(true)
    }

    /// Merges series, on a second thread where that is worth its start: in the
    /// order of the jobs, each encoded, or none where its block stays as it is.
    fn run(&self, jobs: &[Job], threads: usize) -> Vec<Result<Option<EncodedSeries>>> {
        let cells = |job: &Job| -> u64 {
            let parts = job.parts.iter();
            parts
                .filter_map(|(input, index)| entry(&self.inputs[*input], *index).ok())
                .map(|entry| u64::from(entry.cells))
                .sum()
        };
        let worth = threads > 1 && jobs.iter().map(cells).sum::<u64>() >= 2 * CELLS_PER_THREAD;
        let threads = if worth { threads } else { 1 };
        let scratch = || Scratch {
            merge: DayMerge::default(),
            page: Page::new(Family::Integer),
        };
        in_order(threads, jobs.len(), scratch, |scratch, index| {
            self.series(&jobs[index], scratch)
        })
    }

    /// Merges one series.
    fn series(&self, job: &Job, scratch: &mut Scratch) -> Result<Option<EncodedSeries>> {
        let (input, index) = job.parts[0];
        let first = self.inputs[input].block(index)?;
        if job.parts.len() == 1 && stays_as_it_is(&first, self.cold_before_day, self.floor) {
            return Ok(None);
        }
        let Scratch { merge, page } = scratch;
        let pages = merge_series(self.inputs, &job.parts, self.floor, merge, page)?;
        EncodedSeries::new(self.bucket, first.kind(), &pages, self.cold_before_day).map(Some)
    }
}

/// Whether a block that is the only part of its series is copied unchanged: it
/// would be encoded the same way again.
fn stays_as_it_is(block: &Block<'_>, cold_before_day: u32, floor: u32) -> bool {
    let first = block.page(0).map_or(0, |page| page.day);
    let dense = first >= cold_before_day || !block.cold_meta().is_empty();
    dense && first * MINUTES_PER_DAY >= floor
}

fn entry(segment: &Segment, index: usize) -> Result<Entry> {
    segment.series()?.entry(index).ok_or_else(|| {
        Error::corruption("a series is missing from the directory").in_file(segment.file_name())
    })
}

/// The merged days of one series.
fn merge_series(
    inputs: &[Arc<Segment>],
    parts: &[(usize, usize)],
    floor: u32,
    merge: &mut DayMerge,
    page: &mut Page,
) -> Result<Vec<(u32, Page)>> {
    let blocks = parts
        .iter()
        .map(|(input, index)| inputs[*input].block(*index))
        .collect::<Result<Vec<_>>>()?;
    let mut days = Vec::new();
    for (part, block) in blocks.iter().enumerate() {
        days.extend(
            block
                .pages()
                .enumerate()
                .map(|(at, info)| (info.day, part, at)),
        );
    }
    // By day, then by sequence: what a gauge's last write is depends on it.
    days.sort_unstable();
    if planted(Bug::MergeOutOfOrder) {
        days.sort_by_key(|(day, part, _)| (*day, usize::MAX - part));
    }
    let mut pages = Vec::new();
    for group in days.chunk_by(|left, right| left.0 == right.0) {
        let day = group[0].0;
        if (day + 1) * MINUTES_PER_DAY <= floor {
            continue;
        }
        let kind = blocks[group[0].1].kind();
        let lost = usize::from(planted(Bug::MergeLosesPart) && group.len() > 1);
        for (_, part, at) in &group[lost..] {
            blocks[*part].decode(*at, page)?;
            if group.len() == 1 {
                pages.push((day, page.clone()));
            } else {
                merge.add_page(page, kind)?;
            }
        }
        if !merge.is_empty() {
            pages.push((day, merge.take(kind)));
        }
    }
    Ok(pages)
}
