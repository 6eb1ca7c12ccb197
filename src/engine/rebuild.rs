//! A manifest from what segments and logs say of themselves, where both copies
//! of the one there was are lost.
//!
//! The manifest was what told a flush that ended from one that died half-way,
//! after the segments of some buckets. So what the log holds is decided upon
//! bucket by bucket: a batch is in segments as far as those of its bucket reach.
//! That also makes a rebuild that dies repeatable: what it wrote by then tells
//! the next one what is left to do.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::engine::published::{Record, published};
use crate::engine::repair::define_metrics;
use crate::error::{Error, ErrorKind, Result};
use crate::format::header::{self, Refusal};
use crate::format::manifest::Manifest;
use crate::format::segment_meta::SegmentMeta;
use crate::format::wal;
use crate::storage::damage::Damage;
use crate::storage::disk::{Disk, Open};
use crate::storage::segment::{self, Segment, segment_file_name};

/// What a rebuild found.
#[derive(Default)]
pub struct Rebuilt {
    pub manifest: Manifest,
    /// Of each bucket the last commit in its segments.
    pub in_segments: BTreeMap<u32, u64>,
    pub damage: Vec<Damage>,
    /// Damaged files that the manifest does not name, to be kept aside.
    pub aside: Vec<String>,
}

/// A segment that says what it is.
struct Candidate {
    store_id: u64,
    meta: SegmentMeta,
    /// Whether it is to the last byte what was written.
    whole: bool,
}

/// Roles and releases as defined, offsets beyond the log and the retention
/// floor are lost.
///
/// # Errors
/// A file of a newer version, or what the system refuses: nothing was changed.
pub fn rebuild(disk: &dyn Disk, names: &[String]) -> Result<Rebuilt> {
    let mut rebuilt = Rebuilt::default();
    let manifest = &mut rebuilt.manifest;
    manifest.generation = 1;
    manifest.next_segment = 1;
    let mut candidates = Vec::new();
    for id in names.iter().filter_map(|name| segment::file_id(name)) {
        manifest.next_segment = manifest.next_segment.max(id.saturating_add(1));
        if let Some(candidate) = look(disk, id)? {
            candidates.push(candidate);
        } else {
            let name = segment_file_name(id);
            let what = "neither end of the segment says what it is; it is left aside";
            rebuilt.damage.push(Damage::harmless(&name, 0, what));
            rebuilt.aside.push(name);
        }
    }
    let logs: Vec<u64> = names.iter().filter_map(|name| wal::file_id(name)).collect();
    manifest.first_wal = logs.iter().min().copied().unwrap_or(1);
    manifest.store_id = elect(disk, &candidates, &logs)?;
    let store_id = manifest.store_id;
    if let Record::Sound(record) = published(disk, store_id)? {
        // A reader that knows the one that is lost is to see that it moved.
        manifest.generation = record.generation.max(1);
    }
    candidates.retain(|candidate| {
        let own = candidate.store_id == store_id;
        if !own {
            let name = segment_file_name(candidate.meta.id);
            let what = "it belongs to another store; it is left alone";
            rebuilt.damage.push(Damage::harmless(&name, 0, what));
        }
        own
    });
    rebuilt.choose(candidates);
    let manifest = &mut rebuilt.manifest;
    for meta in &manifest.segments {
        let last = rebuilt.in_segments.entry(meta.bucket).or_default();
        *last = meta.last_sequence.max(*last);
    }
    manifest.flushed_sequence = rebuilt.in_segments.values().max().copied().unwrap_or(0);
    for meta in manifest.segments.clone() {
        match Segment::open(disk, store_id, &meta) {
            Ok(opened) => define_metrics(&opened, manifest)?,
            Err(error) if error.is_refusal() => return Err(error),
            // Repair sees that it does not open, and says so.
            Err(_) => {}
        }
    }
    Ok(rebuilt)
}

/// What the segment of that number says of itself, if anything.
fn look(disk: &dyn Disk, id: u64) -> Result<Option<Candidate>> {
    let name = segment_file_name(id);
    let bytes = disk
        .open(&name, Open::Read)
        .and_then(|file| file.map())
        .map_err(|error| Error::io("opening a segment", error).in_file(&name))?;
    if let Err(Refusal::Newer(version)) = header::Header::decode(&bytes) {
        let what = format!("segment format {version} is newer than {}", header::VERSION);
        return Err(Error::new(ErrorKind::Unsupported, what)
            .in_file(&name)
            .help("repair it with a newer hotstove"));
    }
    let told = segment::describe(&bytes).filter(|(_, meta)| meta.id == id);
    Ok(told.map(|(store_id, meta)| Candidate {
        store_id,
        meta,
        whole: Segment::from_bytes(bytes, store_id, &meta).is_ok_and(|it| it.is_whole()),
    }))
}

/// The store that most files say they belong to: one that strayed in from
/// elsewhere must not make strangers of the others.
fn elect(disk: &dyn Disk, candidates: &[Candidate], logs: &[u64]) -> Result<u64> {
    let mut votes: BTreeMap<u64, usize> = BTreeMap::new();
    for candidate in candidates {
        *votes.entry(candidate.store_id).or_default() += 1;
    }
    for id in logs {
        let name = wal::file_name(*id);
        let fail = |error| Error::io("opening the log", error).in_file(&name);
        let file = disk.open(&name, Open::Read).map_err(fail)?;
        let length = file.len().map_err(fail)?.min(wal::HEADER_BYTES as u64);
        let mut bytes = vec![0; length as usize];
        file.read_at(0, &mut bytes).map_err(fail)?;
        if let Ok(header) = wal::Header::decode(&bytes, *id) {
            *votes.entry(header.store_id).or_default() += 1;
        }
    }
    let most = votes.into_iter().max_by_key(|(_, count)| *count);
    Ok(most.map_or(0, |(store_id, _)| store_id))
}

impl Rebuilt {
    /// Takes of segments that hold the same commits one: a merge and its inputs
    /// may both lie there, and the wider range holds all of the narrower ones.
    /// Of equal ranges the whole one counts, and then the newer: it replaced the
    /// other.
    fn choose(&mut self, mut candidates: Vec<Candidate>) {
        candidates.sort_by_key(|Candidate { meta, whole, .. }| {
            let range = (meta.first_sequence, Reverse(meta.last_sequence));
            (meta.bucket, range, !whole, Reverse(meta.id))
        });
        let kept = &mut self.manifest.segments;
        for Candidate { meta, whole, .. } in candidates {
            let overlaps = |kept: &&SegmentMeta| {
                kept.bucket == meta.bucket && kept.last_sequence >= meta.first_sequence
            };
            let name = segment_file_name(meta.id);
            match kept.iter().find(overlaps) {
                None => kept.push(meta),
                // Both can not count: they hold some commits twice.
                Some(other) if other.last_sequence < meta.last_sequence => {
                    let what = "it overlaps another segment; it is left aside";
                    let lost = meta.first_minute..meta.last_minute + 1;
                    self.damage
                        .push(Damage::harmless(&name, 0, what).losing(None, lost));
                    self.aside.push(name);
                }
                Some(_) if !whole => {
                    let what = "it is damaged; another segment holds the same commits";
                    self.damage.push(Damage::harmless(&name, 0, what));
                    self.aside.push(name);
                }
                Some(_) => {}
            }
        }
    }
}
