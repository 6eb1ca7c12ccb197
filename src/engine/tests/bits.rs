//! Any byte of any file is another one, gone, zero, or where another should be:
//! that is found, named, costs no more than its block, and all else is saved.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::bits_store::{Sample, closed, killed};
use super::{METRICS, Model, RELEASES, cells, series_cells};
use crate::engine::audit;
use crate::engine::open::LOCK;
use crate::engine::reader::Reader;
use crate::engine::repair::repair_on;
use crate::error::ErrorKind;
use crate::format::{audit as audit_format, published, wal};
use crate::storage::damage::Damage;
use crate::storage::segment;
use crate::storage::sim_disk::SimDisk;

/// What is wrong with a field may be said of the end of its header.
const FIELD: u64 = 64;

/// Whether a file that is hurt is repaired as well, which costs most.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Read,
    Repair,
}

/// How many were looked at, and what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub hurt: u64,
    pub repaired: u64,
    /// Found as a torn tail: in the newest log or the audit log after a death.
    pub torn: u64,
}

/// What one hurt file may cost.
struct Loss<'a> {
    file: &'a str,
    /// The bytes that are other ones.
    bytes: Range<usize>,
    /// Whether more than one block or frame may be hit.
    wide: bool,
}

/// One file of a copy of the sample is hurt: holds the store to its word.
fn judge(
    sample: &Sample,
    disk: &SimDisk,
    loss: &Loss<'_>,
    depth: Depth,
    tally: &mut Tally,
) -> Result<(), String> {
    tally.hurt += 1;
    let Loss { file, bytes, wide } = loss;
    if [LOCK, audit::LOCK].contains(file) {
        // Nothing is read of it.
        let snapshot = open(disk)?.snapshot().map_err(|error| error.to_string())?;
        let same = cells(&snapshot).is_ok_and(|seen| seen == sample.model);
        return same
            .then_some(())
            .ok_or_else(|| "the content of a lock matters".to_owned());
    }
    let reader = match Reader::open_on(Arc::new(disk.read_only())) {
        Ok(reader) => reader,
        // Both copies, or none.
        Err(error) if *wide && *file == "MANIFEST" => {
            let kinds = [ErrorKind::Corruption, ErrorKind::NotAStore];
            if !kinds.contains(&error.kind()) {
                return Err(format!("{error:?}"));
            }
            return mend(sample, disk, loss, tally);
        }
        Err(error) => return Err(format!("a reader is refused: {error}")),
    };
    let found = reader.verify().map_err(|error| error.to_string())?;
    let named = |damage: &Damage| {
        damage.file == *file && (*wide || damage.offset <= bytes.start as u64 + FIELD)
    };
    let torn = found
        .notes
        .iter()
        .any(|note| note.contains("torn tail") || note.contains("cut short"));
    let noted = *file == published::FILE && found.notes.iter().any(|note| note.contains(file));
    if found.damage.iter().any(named) {
    } else if torn
        && sample
            .tails
            .iter()
            .any(|(tail, from)| tail == file && *from < bytes.end)
    {
        tally.torn += 1;
    } else if !noted {
        return Err(format!("not found: {:?} {:?}", found.damage, found.notes));
    }
    // Nothing of other files.
    if let Some(other) = found.damage.iter().find(|damage| damage.file != *file) {
        return Err(format!("blames another file: {other}"));
    }
    read(sample, &reader, loss, &found.damage)?;
    if depth == Depth::Repair {
        merge(sample, &disk.kill(), loss)?;
        mend(sample, disk, loss, tally)?;
    }
    Ok(())
}

/// A merge never turns damage into silence.
fn merge(sample: &Sample, disk: &SimDisk, loss: &Loss<'_>) -> Result<(), String> {
    let Ok(store) = super::open(disk) else {
        return Ok(());
    };
    let _ = store.compact();
    drop(store);
    let reader = open(disk)?;
    let found = reader.verify().map_err(|error| error.to_string())?;
    // A torn tail is dropped by whoever opens, and told.
    if sample.tails.iter().any(|(tail, _)| tail == loss.file) {
        return Ok(());
    }
    read(sample, &reader, loss, &found.damage).map_err(|why| format!("after a merge: {why}"))
}

fn open(disk: &SimDisk) -> Result<Reader, String> {
    Reader::open_on(Arc::new(disk.read_only())).map_err(|error| error.to_string())
}

/// What is not lost reads as it was written, and what is lost says so.
fn read(
    sample: &Sample,
    reader: &Reader,
    loss: &Loss<'_>,
    damage: &[Damage],
) -> Result<(), String> {
    let snapshot = reader.snapshot().map_err(|error| error.to_string())?;
    if !snapshot.state.broken.is_empty() {
        // A query says so: see `a_missing_file_is_never_an_empty_answer`.
        return Ok(());
    }
    let mut seen = Model::new();
    let mut refused = BTreeSet::new();
    for (release, release_name) in RELEASES.iter().enumerate() {
        for (metric, (metric_name, kind)) in METRICS.iter().enumerate() {
            // As queries do: of what is lost with its index entry nothing else tells.
            let known = snapshot.state.segments.iter().try_for_each(|segment| {
                let lost = segment.series()?.damage().iter().find(|damage| {
                    let own = damage.key.as_ref().is_none_or(|key| {
                        *key.release == **release_name && *key.metric == **metric_name
                    });
                    damage.minutes.is_some() && own
                });
                lost.map_or(Ok(()), |lost| Err(lost.to_error()))
            });
            let key = [*release_name, "all", *metric_name];
            match known.and_then(|()| series_cells(&snapshot, key, *kind)) {
                Ok(cells) => {
                    seen.extend(
                        cells
                            .into_iter()
                            .map(|(at, value)| ((release, metric, at), value)),
                    );
                }
                Err(error)
                    if error.kind() == ErrorKind::Corruption && error.file() == Some(loss.file) =>
                {
                    refused.insert((release, metric));
                }
                Err(error) => return Err(format!("reading: {error}")),
            }
        }
    }
    if !loss.wide && refused.len() > 1 {
        return Err(format!("costs {} series", refused.len()));
    }
    let blamed = |key: &(usize, usize, u32)| damage.iter().any(|damage| loses(damage, key));
    // A series that does not answer is one that verify names.
    for (release, metric) in &refused {
        let mut own = sample.model.keys();
        let own = own.any(|key| (key.0, key.1) == (*release, *metric) && blamed(key));
        let unknown = damage
            .iter()
            .any(|damage| damage.minutes.is_some() && damage.key.is_none());
        if !own && !unknown {
            return Err(format!(
                "{release} {metric} does not answer, and nobody is told: {damage:?}"
            ));
        }
    }
    same(sample, &seen, loss, &|key| {
        refused.contains(&(key.0, key.1))
    })
}

/// Whether a report of damage says that the cell may be lost.
fn loses(damage: &Damage, key: &(usize, usize, u32)) -> bool {
    let Some(minutes) = &damage.minutes else {
        return false;
    };
    let own = damage
        .key
        .as_ref()
        .is_none_or(|lost| *lost.release == *RELEASES[key.0] && *lost.metric == *METRICS[key.1].0);
    own && minutes.contains(&key.2)
}

/// Cells are as written but for those that `lost` tells, or those of one batch
/// of a log that was hurt, or of all its batches.
fn same(
    sample: &Sample,
    seen: &Model,
    loss: &Loss<'_>,
    lost: &dyn Fn(&(usize, usize, u32)) -> bool,
) -> Result<(), String> {
    let equal = |model: &Model| {
        seen.keys().all(|key| model.contains_key(key))
            && model
                .iter()
                .all(|(key, value)| lost(key) || seen.get(key) == Some(value))
    };
    if equal(&sample.model) {
        return Ok(());
    }
    if wal::file_id(loss.file).is_some() {
        let fits = sample.without.iter().any(|(file, frames, model)| {
            file == loss.file && (*frames == 1 || loss.wide) && equal(model)
        });
        if fits {
            return Ok(());
        }
    }
    let wrong: Vec<_> = sample
        .model
        .iter()
        .filter(|(key, value)| !lost(key) && seen.get(key) != Some(*value))
        .take(3)
        .map(|(key, value)| (key, value, seen.get(key)))
        .collect();
    Err(format!("wrong cells, such as {wrong:?}"))
}

/// A repair saves all else, lists the loss, and leaves a sound store.
fn mend(sample: &Sample, disk: &SimDisk, loss: &Loss<'_>, tally: &mut Tally) -> Result<(), String> {
    tally.repaired += 1;
    let repair = repair_on(disk).map_err(|error| format!("repairing: {error}"))?;
    let again = repair_on(disk).map_err(|error| format!("repairing again: {error}"))?;
    if !again.damage.is_empty() {
        return Err(format!("repaired, and damaged still: {:?}", again.damage));
    }
    let reader = open(disk)?;
    let found = reader.verify().map_err(|error| error.to_string())?;
    if !found.is_sound() || !reader.warnings().is_empty() {
        return Err(format!(
            "after repair: {:?} {:?}",
            found.damage,
            reader.warnings()
        ));
    }
    let snapshot = reader.snapshot().map_err(|error| error.to_string())?;
    let seen = cells(&snapshot).map_err(|error| error.to_string())?;
    let lost = |key: &(usize, usize, u32)| repair.damage.iter().any(|damage| loses(damage, key));
    same(sample, &seen, loss, &lost).map_err(|why| format!("after repair: {why}"))?;
    let records = audit::read(disk)
        .map_err(|error| error.to_string())?
        .records
        .len();
    let hurt = loss.file == audit_format::FILE;
    if records + usize::from(hurt) < sample.records && !(hurt && loss.wide) {
        return Err(format!("{records} of {} overrides", sample.records));
    }
    Ok(())
}

/// Changes the bytes of a file in one way.
type Change<'a> = &'a dyn Fn(&mut Vec<u8>, usize);

/// Hurts every `step`-th byte of every file of the sample.
fn sweep(sample: &Sample, step: usize, repair_step: usize, changes: &[Change<'_>]) -> Tally {
    let mut tally = Tally::default();
    let mut number = 0;
    for file in sample.disk.names() {
        let length = sample.disk.content(&file).unwrap().len();
        for at in (0..length).step_by(step) {
            // One byte of the room behind a log is as good as another.
            if !at.is_multiple_of(64) && sample.is_room(&file, at) {
                continue;
            }
            for (index, change) in changes.iter().enumerate() {
                number += 1;
                let disk = sample.disk.kill();
                disk.damage(&file, |bytes| change(bytes, at)).unwrap();
                if disk.content(&file).unwrap() == sample.disk.content(&file).unwrap() {
                    continue;
                }
                let depth = match number % repair_step {
                    0 => Depth::Repair,
                    _ => Depth::Read,
                };
                let loss = Loss {
                    file: &file,
                    bytes: at..at + 1,
                    wide: false,
                };
                if let Err(why) = judge(sample, &disk, &loss, depth, &mut tally) {
                    panic!("{file}, byte {at}, change {index}: {why}");
                }
            }
        }
    }
    eprintln!("{} bytes: {tally:?}", sample.bytes());
    tally
}

/// Another bit, all bits, or zero, in turn.
#[test]
fn every_byte_of_every_file_may_be_another_one() {
    let change: Change<'_> = &|bytes, at| match at % 3 {
        0 => bytes[at] ^= 1 << (at % 8),
        1 => bytes[at] ^= 0xff,
        _ => bytes[at] = if bytes[at] == 0 { 0x80 } else { 0 },
    };
    for sample in [closed(), killed()] {
        sweep(&sample, 1, 25, &[change]);
    }
}

#[test]
#[ignore = "minutes: cargo test --release --lib engine::tests::bits -- --ignored --nocapture"]
fn every_bit_of_every_file_may_flip() {
    let flips: Vec<_> = (0..8)
        .map(|bit| move |bytes: &mut Vec<u8>, at: usize| bytes[at] ^= 1 << bit)
        .collect();
    let flips: Vec<Change<'_>> = flips.iter().map(|flip| flip as Change<'_>).collect();
    for sample in [closed(), killed()] {
        sweep(&sample, 1, 1, &flips);
    }
}

/// Cut, or grown by stale bytes, at every length.
fn lengths(step: usize, repair_step: usize) -> Tally {
    let mut tally = Tally::default();
    for sample in [closed(), killed()] {
        for file in sample.disk.names() {
            let length = sample.disk.content(&file).unwrap().len();
            for (index, to) in (0..length)
                .rev()
                .step_by(step)
                .chain([length + 1, length + 700])
                .enumerate()
            {
                // What lies behind the end of a log that is vouched for is no part
                // of it: a write that failed may have left it there.
                let behind = to > length && wal::file_id(&file).is_some();
                if behind || sample.unnoticed(&file, to) {
                    continue;
                }
                let disk = sample.disk.kill();
                disk.truncate(&file, to).unwrap();
                let depth = match index % repair_step {
                    0 => Depth::Repair,
                    _ => Depth::Read,
                };
                let loss = Loss {
                    file: &file,
                    bytes: to.min(length)..length.max(to),
                    wide: true,
                };
                if let Err(why) = judge(&sample, &disk, &loss, depth, &mut tally) {
                    panic!("{file} of {length} bytes, cut to {to}: {why}");
                }
            }
        }
    }
    eprintln!("lengths: {tally:?}");
    tally
}

#[test]
#[ignore = "as above"]
fn every_file_may_have_every_length() {
    lengths(1, 1);
}

#[test]
pub fn every_sector_may_be_zero_and_every_file_gone() {
    let mut tally = Tally::default();
    for sample in [closed(), killed()] {
        for file in sample.disk.names() {
            let content = sample.disk.content(&file).unwrap();
            for sector in 0..content.len().div_ceil(512) {
                let disk = sample.disk.kill();
                disk.zero_sector(&file, sector).unwrap();
                let bytes = sector * 512..content.len().min(sector * 512 + 512);
                if content[bytes.clone()].iter().all(|byte| *byte == 0) {
                    continue;
                }
                let loss = Loss {
                    file: &file,
                    bytes,
                    wide: true,
                };
                if let Err(why) = judge(&sample, &disk, &loss, Depth::Repair, &mut tally) {
                    panic!("{file}, sector {sector} is zero: {why}");
                }
            }
            // Nothing tells that an audit log has been there, or, after a death,
            // another log than those before.
            let unknown = ["LOCK", audit::LOCK, audit_format::FILE, published::FILE];
            let newest = sample.tails.iter().any(|(tail, _)| *tail == file);
            if unknown.contains(&file.as_str()) || newest {
                continue;
            }
            let disk = sample.disk.kill();
            disk.lose(&file).unwrap();
            let loss = Loss {
                file: &file,
                bytes: 0..content.len(),
                wide: true,
            };
            if let Err(why) = judge(&sample, &disk, &loss, Depth::Repair, &mut tally) {
                panic!("{file} is gone: {why}");
            }
        }
    }
    eprintln!("sectors and files: {tally:?}");
}

/// Misdirected writes: each block where another of its length should be, in the
/// same segment and in another; and each segment under the name of another.
#[test]
fn every_pair_of_blocks_may_be_swapped() {
    let sample = closed();
    let mut tally = Tally::default();
    let blocks = sample.blocks();
    let mut pairs = 0;
    for (index, (file, bytes)) in blocks.iter().enumerate() {
        for (other_file, other) in &blocks[..index] {
            if bytes.len() != other.len() {
                continue;
            }
            let disk = sample.disk.kill();
            let (first, second) = (
                sample.disk.content(file).unwrap()[bytes.clone()].to_vec(),
                sample.disk.content(other_file).unwrap()[other.clone()].to_vec(),
            );
            if first == second {
                continue;
            }
            pairs += 1;
            disk.overwrite(file, bytes.start, &second).unwrap();
            disk.overwrite(other_file, other.start, &first).unwrap();
            let reader = open(&disk).unwrap();
            let found = reader.verify().unwrap();
            for (file, bytes) in [(file, bytes), (other_file, other)] {
                let named = |damage: &Damage| {
                    damage.file == *file && bytes.contains(&(damage.offset as usize))
                };
                assert!(
                    found.damage.iter().any(named),
                    "{file} {bytes:?}: {:?}",
                    found.damage
                );
            }
            let loss = Loss {
                file,
                bytes: bytes.clone(),
                wide: true,
            };
            mend(&sample, &disk, &loss, &mut tally).unwrap();
        }
    }
    assert!(pairs >= 6, "{pairs} pairs of blocks of one length");
    let names: Vec<String> = sample.disk.names();
    let segments = names.iter().filter(|name| segment::file_id(name).is_some());
    let segments: Vec<_> = segments.collect();
    for (index, one) in segments.iter().enumerate() {
        for other in &segments[..index] {
            let disk = sample.disk.kill();
            disk.put(one, &sample.disk.content(other).unwrap());
            disk.put(other, &sample.disk.content(one).unwrap());
            let found = open(&disk).unwrap().verify().unwrap();
            for name in [one, other] {
                assert!(
                    found.damage.iter().any(|damage| damage.file == **name),
                    "{name}"
                );
            }
        }
    }
    eprintln!("{pairs} pairs of blocks, {} segments", segments.len());
}
