//! Mending a hurt store: everything sound is kept, what is lost is listed,
//! a copy of what was damaged is kept.

use std::collections::BTreeMap;
use std::path::Path;

use crate::codec::{Family, Page};
use crate::engine::audit;
use crate::engine::flush::{THREADS, Target, write_segments};
use crate::engine::open::{refuse_public, take_lock};
use crate::engine::rebuild::{Rebuilt, rebuild};
use crate::engine::recovery::{End, Replayed, live_logs, not_a_store, open_segments, replay_onto};
use crate::engine::replay::Replay;
use crate::engine::series::SeriesTable;
use crate::error::{Error, ErrorKind, Result};
use crate::format::audit as audit_format;
use crate::format::manifest::{FILE, Manifest};
use crate::format::segment_meta::SegmentMeta;
use crate::format::wal::{self, Header};
use crate::limits::MINUTES_PER_DAY;
use crate::model::SeriesKey;
use crate::storage::damage::Damage;
use crate::storage::disk::{Disk, Open};
use crate::storage::manifest::{CommitError, commit};
use crate::storage::planted::{Bug, planted};
use crate::storage::real_disk::RealDisk;
use crate::storage::segment::{self, Segment, SegmentWriter, segment_file_name};
use crate::storage::wal::WalWriter;

/// What a repair did and what is lost.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Repair {
    /// Everything that was damaged, each with what is lost.
    pub damage: Vec<Damage>,
    /// What was done about it, for people.
    pub actions: Vec<String>,
    /// Batches replayed from the log into segments.
    pub batches: u64,
}

/// Repairs the store at `path`. A sound store is left as it is.
///
/// # Errors
/// [`ErrorKind::Locked`] while a writer is alive, [`ErrorKind::NotAStore`]
/// where there is nothing to repair, and what the system refuses: the old
/// manifest stands then, and the repair can be repeated.
pub fn repair(path: impl AsRef<Path>) -> Result<Repair> {
    let path = path.as_ref();
    if !path.is_dir() {
        return Err(Error::new(
            ErrorKind::NotAStore,
            format!("{} is not the directory of a store", path.display()),
        ));
    }
    let disk = RealDisk::open(path)
        .map_err(|error| Error::io(format!("opening {}", path.display()), error))?;
    refuse_public(&disk)?;
    repair_on(&disk)
}

/// As [`repair`], on any disk.
pub fn repair_on(disk: &dyn Disk) -> Result<Repair> {
    let names = disk
        .list()
        .map_err(|error| Error::io("listing the store", error))?;
    let ours = |name: &String| {
        name == FILE || wal::file_id(name).is_some() || segment::file_id(name).is_some()
    };
    if !names.iter().any(ours) {
        return Err(not_a_store(disk));
    }
    let _lock = take_lock(disk)?;
    let mut repair = Repair::default();
    let mut found = repair.manifest(disk, &names)?;
    let series = SeriesTable::default();
    let onto = std::mem::take(&mut found.onto);
    let none = (Vec::new(), Vec::new());
    let replayed = replay_onto(onto, disk, &found.manifest, none, &series, End::File)?;
    let log = Log { series, replayed };
    repair.segments(disk, &mut found)?;
    repair.audit(disk)?;
    repair.logs(disk, &mut found, &log)?;
    let Found {
        mut manifest,
        aside,
        ..
    } = found;
    if repair.damage.is_empty() {
        repair
            .actions
            .push("nothing was damaged; nothing was changed".to_owned());
        return Ok(repair);
    }
    // Kept before the new manifest stops naming them: from then on an opening
    // takes them for left-overs.
    for name in &aside {
        repair.keep_copy(disk, name)?;
    }
    manifest.generation += 1;
    manifest.sealed = None;
    commit(disk, &manifest).map_err(|error| match error {
        CommitError::Unchanged(error) | CommitError::Unknown(error) => error,
    })?;
    for name in &aside {
        // What can not be removed now is removed at the next opening.
        let _ = disk.remove(name);
    }
    Ok(repair)
}

/// A manifest, and what the log adds to it.
struct Found {
    manifest: Manifest,
    /// The first commit that the log may hold and no segment.
    first_sequence: u64,
    /// See [`Target::in_segments`].
    in_segments: BTreeMap<u32, u64>,
    /// What the log is replayed onto.
    onto: Replay,
    /// Damaged files to be kept aside.
    aside: Vec<String>,
}

/// The log, replayed before anything is written: what can not be read, or is
/// too new, is to be known by then.
struct Log {
    series: SeriesTable,
    replayed: Replayed,
}

impl Repair {
    /// The manifest, from a whole copy or, without one, from the segments.
    fn manifest(&mut self, disk: &dyn Disk, names: &[String]) -> Result<Found> {
        let found = |manifest: Manifest| {
            let onto = Replay::from_sequence(manifest.flushed_sequence);
            Found {
                first_sequence: manifest.flushed_sequence + 1,
                in_segments: BTreeMap::new(),
                aside: Vec::new(),
                manifest,
                onto,
            }
        };
        match crate::storage::manifest::load(disk) {
            Ok(Some((manifest, None))) => return Ok(found(manifest)),
            Ok(Some((manifest, Some(corrupt)))) => {
                let what = format!("{}; taken from the other copy", corrupt.what);
                self.damage
                    .push(Damage::harmless(FILE, corrupt.at as u64, what));
                self.actions
                    .push("wrote the manifest anew from its whole copy".to_owned());
                return Ok(found(manifest));
            }
            Ok(None) => self
                .damage
                .push(Damage::harmless(FILE, 0, "the manifest is missing")),
            Err(error) if error.kind() == ErrorKind::Corruption => {
                self.damage
                    .push(Damage::harmless(FILE, 0, error.to_string()));
                // Renaming over it is what a commit does: keep it first.
                self.keep_copy(disk, FILE)?;
            }
            Err(error) => return Err(error),
        }
        let rebuilt = self.rebuild(disk, names)?;
        Ok(Found {
            first_sequence: 1,
            onto: Replay::beside(&rebuilt.in_segments),
            in_segments: rebuilt.in_segments,
            aside: rebuilt.aside,
            manifest: rebuilt.manifest,
        })
    }

    /// A manifest from what segments and logs say of themselves.
    fn rebuild(&mut self, disk: &dyn Disk, names: &[String]) -> Result<Rebuilt> {
        let mut rebuilt = rebuild(disk, names)?;
        self.damage.append(&mut rebuilt.damage);
        self.actions.push(
            "rebuilt the manifest from the segments: roles, units and releases have to be defined again; \
             offsets of sources are known only as far as the log tells, the retention floor is gone"
                .to_owned(),
        );
        Ok(rebuilt)
    }

    /// Rewrites damaged segments without what is lost.
    fn segments(
        &mut self,
        disk: &dyn Disk,
        Found {
            manifest, aside, ..
        }: &mut Found,
    ) -> Result<()> {
        let (opened, broken) = open_segments(disk, manifest, &[])?;
        if let Some(refused) = broken
            .iter()
            .find(|broken| broken.error.is_refusal() && !planted(Bug::RefusalTakenForDamage))
        {
            // Nothing is known of its bytes: they may all be there.
            return Err(refused.error.shared().help(
                "nothing was changed: repeat the repair once the file can be read; \
                 if its medium can not be read any more, put a copy of what can be read in its place",
            ));
        }
        for broken in broken {
            let file = segment_file_name(broken.meta.id);
            let lost = broken.meta.first_minute..broken.meta.last_minute + 1;
            let damage = Damage::harmless(&file, 0, broken.error.to_string());
            self.damage.push(damage.losing(None, lost));
            manifest.segments.retain(|meta| meta.id != broken.meta.id);
            aside.push(file);
        }
        for segment in opened {
            let mut found = Vec::new();
            segment.verify(&mut |damage| found.push(damage));
            if found.is_empty() {
                continue;
            }
            let meta = *segment.meta();
            let id = manifest.next_segment;
            manifest.next_segment += 1;
            let saved = save_segment(disk, manifest.store_id, id, &segment)?;
            manifest.segments.retain(|known| known.id != meta.id);
            let cells = saved.map_or(0, |saved| saved.cells);
            manifest.segments.extend(saved);
            self.actions.push(format!(
                "saved {cells} of {} cells of {} into {}",
                meta.cells,
                segment.file_name(),
                segment_file_name(id)
            ));
            self.damage.append(&mut found);
            aside.push(segment.file_name().to_owned());
        }
        manifest
            .segments
            .sort_by_key(|meta| (meta.bucket, meta.first_sequence));
        Ok(())
    }

    /// Writes a damaged audit log anew without what is lost.
    fn audit(&mut self, disk: &dyn Disk) -> Result<()> {
        let Some((offset, what)) = audit::read(disk)?.damage else {
            return Ok(());
        };
        let what = format!("{what}: a record of an override is lost");
        self.damage
            .push(Damage::harmless(audit_format::FILE, offset, what));
        self.keep_copy(disk, audit_format::FILE)?;
        audit::mend(disk)
    }

    /// Moves every good frame of a damaged log into segments.
    fn logs(&mut self, disk: &dyn Disk, found: &mut Found, log: &Log) -> Result<()> {
        let Log { series, replayed } = log;
        let findings = &replayed.replay.findings;
        if findings.damage.is_empty() && self.damage.is_empty() {
            return Ok(());
        }
        let Found {
            manifest,
            first_sequence,
            in_segments,
            aside,
            ..
        } = found;
        self.batches = findings.frames;
        for damage in &findings.damage {
            let what = format!(
                "{}: the batches of {} bytes after commit {} are lost",
                damage.what,
                damage.to - damage.from,
                damage.after_sequence
            );
            self.damage
                .push(Damage::harmless(&damage.file, damage.from, what));
        }
        for gap in &findings.gaps {
            self.actions.push(gap.to_string());
        }
        let state = &replayed.state;
        // A rebuilt manifest may know of segments beyond the log.
        let last = state.sequence.max(manifest.flushed_sequence);
        let target = Target {
            disk,
            store_id: manifest.store_id,
            next_segment: &mut manifest.next_segment,
            sequences: (*first_sequence, last),
            in_segments,
            floor: manifest.floor,
            threads: THREADS,
        };
        let metas = write_segments(&state.active, series, target)?;
        for meta in &metas {
            let opened = Segment::open(disk, manifest.store_id, meta)?;
            define_metrics(&opened, manifest)?;
        }
        manifest.segments.extend(metas);
        manifest
            .segments
            .sort_by_key(|meta| (meta.bucket, meta.first_sequence));
        let (logs, _) = live_logs(disk, manifest.first_wal)?;
        let newest = logs.last().copied().unwrap_or(manifest.first_wal);
        let header = Header {
            store_id: manifest.store_id,
            wal_id: newest + 1,
            first_sequence: last + 1,
            // Nobody knows what of the others is on the medium.
            previous_bytes: 0,
        };
        WalWriter::create(disk, &header)?;
        manifest.first_wal = newest + 1;
        manifest.flushed_sequence = last;
        manifest.sources = (*state.sources).clone();
        if !findings.damage.is_empty() {
            self.actions.push(format!(
                "moved {} sound batches from the log into segments",
                findings.frames
            ));
        }
        let damaged = |id: &u64| {
            findings
                .damage
                .iter()
                .any(|d| d.file == wal::file_name(*id))
        };
        aside.extend(
            logs.iter()
                .filter(|id| damaged(id))
                .map(|id| wal::file_name(*id)),
        );
        Ok(())
    }

    /// Keeps a copy of a damaged file under a name no version of the store
    /// looks at.
    fn keep_copy(&mut self, disk: &dyn Disk, name: &str) -> Result<()> {
        let fail = |error| Error::io("keeping a copy of a damaged file", error).in_file(name);
        let names = disk.list().map_err(fail)?;
        if !names.iter().any(|known| known == name) {
            return Ok(());
        }
        let free = (1_u32..)
            .map(|count| format!("{name}.damaged-{count}"))
            .find(|candidate| !names.contains(candidate));
        let Some(free) = free else { return Ok(()) };
        let bytes = disk
            .open(name, Open::Read)
            .and_then(|file| file.map())
            .map_err(fail)?;
        let copy = disk.open(&free, Open::Create).map_err(fail)?;
        let written = copy.write_at(0, &bytes).and_then(|()| copy.sync());
        if written.is_err() {
            let _ = disk.remove(&free);
        }
        written.map_err(fail)?;
        disk.sync_dir().map_err(fail)?;
        self.actions
            .push(format!("kept the damaged {name} as {free}"));
        Ok(())
    }
}

/// Defines the metrics a segment has cells of, as far as their kind goes.
pub fn define_metrics(segment: &Segment, manifest: &mut Manifest) -> Result<()> {
    let Ok(index) = segment.series() else {
        return Ok(());
    };
    for entry in index.entries(0..index.len()) {
        let Some(key) = index.series_key(&entry) else {
            continue;
        };
        if manifest.catalogue.metric(&key.metric).is_none() {
            let metric = crate::model::Metric::new(key.metric, entry.kind);
            manifest.catalogue.define_metric(&metric)?;
        }
    }
    Ok(())
}

/// Everything readable of a segment, as a new one; none where nothing is.
fn save_segment(
    disk: &dyn Disk,
    store_id: u64,
    id: u64,
    segment: &Segment,
) -> Result<Option<SegmentMeta>> {
    let Ok(index) = segment.series() else {
        return Ok(None);
    };
    let mut saved: BTreeMap<SeriesKey, usize> = BTreeMap::new();
    let mut page = Page::new(Family::Integer);
    for (at, entry) in index.entries(0..index.len()).enumerate() {
        let Ok(block) = segment.block(at) else {
            continue;
        };
        let any = (0..block.page_count()).any(|page_at| block.decode(page_at, &mut page).is_ok());
        if let (true, Some(key)) = (any, index.series_key(&entry)) {
            saved.insert(key, at);
        }
    }
    if saved.is_empty() {
        return Ok(None);
    }
    let meta = segment.meta();
    let sequences = (meta.first_sequence, meta.last_sequence);
    let mut writer = SegmentWriter::create(
        disk,
        store_id,
        id,
        meta.bucket,
        sequences,
        &mut saved.keys(),
    )?;
    for (key, at) in &saved {
        let block = segment.block(*at)?;
        let mut pages = Vec::new();
        for (page_at, info) in block.pages().enumerate() {
            if block.decode(page_at, &mut page).is_ok() {
                pages.push((info.day, page.clone()));
            }
        }
        // Dense where it was dense.
        let dense = if block.cold_meta().is_empty() {
            0
        } else {
            (meta.last_minute / MINUTES_PER_DAY) + 1
        };
        writer.push(key, block.kind(), &pages, dense)?;
    }
    writer.finish().map(Some)
}
