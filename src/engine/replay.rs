//! From frames of the log back to merged cells: replay at open, and the tail
//! that readers in other processes follow.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::codec::cursor::Corrupt;
use crate::engine::group_merge::Scratch;
use crate::engine::memtable::Memtable;
use crate::engine::series::SeriesTable;
use crate::error::Result;
use crate::format::batch::{self, Delta, Stamp};
use crate::format::manifest::SourceState;
use crate::limits::MINUTES_PER_BUCKET;
use crate::model::{Kind, Minute, Name};
use crate::storage::planted::{Bug, planted};
use crate::storage::wal::SeriesNames;
use crate::storage::wal_reader::{Step, WalReader};

/// One thing found wrong with a log while reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalDamage {
    /// The file.
    pub file: String,
    /// The first bad byte.
    pub from: u64,
    /// The first good byte after it.
    pub to: u64,
    /// What is wrong.
    pub what: &'static str,
    /// The last commit before it.
    pub after_sequence: u64,
}

/// What damage of the log cost one source: batches with offsets strictly
/// between these may be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetGap {
    /// The source.
    pub source: Name,
    /// The last offset known before the damage.
    pub after: Option<u64>,
    /// The first offset known behind it, if there is one.
    pub before: Option<u64>,
}

impl fmt::Display for OffsetGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {:?}: ", self.source)?;
        match (self.after, self.before) {
            (Some(after), Some(before)) => {
                write!(
                    f,
                    "batches with offsets between {after} and {before} may be lost"
                )
            }
            (Some(after), None) => write!(f, "batches with offsets above {after} may be lost"),
            (None, Some(before)) => write!(f, "batches with offsets below {before} may be lost"),
            (None, None) => f.write_str("batches may be lost"),
        }
    }
}

/// What replay found besides data.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Damage of bytes that were durable.
    pub damage: Vec<WalDamage>,
    /// What that may have cost each source.
    pub gaps: Vec<OffsetGap>,
    /// Bytes of torn tails, dropped: a crash, not damage.
    pub torn_bytes: u64,
    /// Frames applied.
    pub frames: u64,
}

/// What the numbers of a log mean here: a series of this process and its kind.
/// Looked up for every delta, so those that are small, which is nearly all,
/// index an array.
#[derive(Default)]
struct Numbers {
    small: Vec<Option<(u32, Kind)>>,
    large: HashMap<u32, (u32, Kind)>,
}

/// Numbers below this one index an array, of 12 MiB at most.
const SMALL_END: u32 = 1 << 20;

impl Numbers {
    fn insert(&mut self, number: u32, meaning: (u32, Kind)) {
        if number >= SMALL_END {
            self.large.insert(number, meaning);
            return;
        }
        let index = number as usize;
        if index >= self.small.len() {
            self.small.resize(index + 1, None);
        }
        self.small[index] = Some(meaning);
    }

    fn get(&self, number: u32) -> Option<(u32, Kind)> {
        match self.small.get(number as usize) {
            Some(meaning) => *meaning,
            None => self.large.get(&number).copied(),
        }
    }
}

/// Deltas of several frames that are merged at once: so many go past the sheets.
const TOGETHER: usize = 1 << 15;

const _: () = assert!(size_of::<Option<(u32, Kind)>>() << 20 <= 12 << 20);

/// Applies frames in order.
#[derive(Default)]
pub struct Replay {
    /// The log's numbers: what each means here.
    numbers: Numbers,
    /// Those of frames that were read, to be merged with those of the next.
    deltas: Vec<Delta>,
    kinds: Vec<Kind>,
    scratch: Scratch,
    /// The last sequence applied or known to be in segments.
    pub sequence: u64,
    /// Where no manifest tells that: of each bucket the last sequence in
    /// segments. An interrupted flush or repair leaves those of some buckets.
    in_segments: BTreeMap<u32, u64>,
    /// What was found.
    pub findings: Findings,
}

/// Joins what a stamp says to the state of its source.
pub fn note_stamp(sources: &mut BTreeMap<Name, SourceState>, stamp: &Stamp<Name>) {
    let state = sources.entry(stamp.source.clone()).or_default();
    if let Some((offset, check)) = stamp.offset {
        state.offset = Some(offset);
        state.check = check;
    }
    if let Some(watermark) = stamp.watermark {
        state.watermark = state.watermark.max(Some(Minute::clamped(watermark.into())));
    }
}

impl Replay {
    /// A replay of logs whose batches up to `sequence` are in segments.
    pub fn from_sequence(sequence: u64) -> Self {
        Replay {
            sequence,
            ..Replay::default()
        }
    }

    /// A replay of all frames there are, without the cells of those that the
    /// segments of a bucket hold.
    pub fn beside(in_segments: &BTreeMap<u32, u64>) -> Self {
        if planted(Bug::RebuiltAsOne) {
            return Self::from_sequence(in_segments.values().max().copied().unwrap_or(0));
        }
        Replay {
            in_segments: in_segments.clone(),
            ..Replay::default()
        }
    }

    /// Begins another log: its numbers have meanings of their own.
    pub fn next_log(&mut self) {
        self.numbers = Numbers::default();
    }

    /// Applies every frame of `reader` from where it stands.
    pub fn run(
        &mut self,
        reader: &mut WalReader,
        series: &SeriesTable,
        memtable: &mut Memtable,
        sources: &mut BTreeMap<Name, SourceState>,
    ) -> Result<()> {
        let read = self.read(reader, series, memtable, sources);
        self.merge(series, memtable);
        read
    }

    fn read(
        &mut self,
        reader: &mut WalReader,
        series: &SeriesTable,
        memtable: &mut Memtable,
        sources: &mut BTreeMap<Name, SourceState>,
    ) -> Result<()> {
        let name = reader.name().to_owned();
        loop {
            let at = reader.offset();
            let damage = match reader.next_step()? {
                Step::End => return Ok(()),
                Step::Torn { bytes, .. } => {
                    self.findings.torn_bytes += bytes;
                    return Ok(());
                }
                Step::Damage { from, to, what } => (from, to, what),
                Step::Frame {
                    offset,
                    sequence,
                    payload,
                } => {
                    let applied = self.frame(sequence, payload, series, memtable, sources);
                    match applied {
                        Ok(()) => continue,
                        Err(corrupt) => (offset, at + payload.len() as u64, corrupt.what),
                    }
                }
            };
            let (from, to, what) = damage;
            for (source, state) in sources.iter() {
                let open = |gap: &OffsetGap| gap.source == *source && gap.before.is_none();
                if !self.findings.gaps.iter().any(open) {
                    self.findings.gaps.push(OffsetGap {
                        source: source.clone(),
                        after: state.offset,
                        before: None,
                    });
                }
            }
            let after_sequence = self.sequence;
            let file = name.clone();
            self.findings.damage.push(WalDamage {
                file,
                from,
                to,
                what,
                after_sequence,
            });
        }
    }

    /// Applies one frame: all of it or nothing.
    fn frame(
        &mut self,
        sequence: u64,
        payload: &[u8],
        series: &SeriesTable,
        memtable: &mut Memtable,
        sources: &mut BTreeMap<Name, SourceState>,
    ) -> Result<(), Corrupt> {
        let front = batch::decode(payload)?;
        for definition in &front.definitions {
            // Definitions count even where the batch is in segments already:
            // later frames may rely on them.
            let id = series
                .intern(definition.key, definition.kind)
                .map_err(|_| Corrupt::new(0, "a definition that contradicts another"))?;
            self.numbers
                .insert(definition.number, (id, definition.kind));
        }
        if sequence <= self.sequence {
            return Ok(());
        }
        let stamp = match &front.stamp {
            None => None,
            Some(stamp) => Some(Stamp {
                source: Name::new(stamp.source)
                    .map_err(|_| Corrupt::new(0, "a source whose name is none"))?,
                offset: stamp.offset,
                watermark: stamp.watermark,
            }),
        };
        let numbers = &self.numbers;
        let before = self.deltas.len();
        front.deltas(
            |number| numbers.get(number),
            &mut self.deltas,
            &mut self.kinds,
        )?;
        if !self.in_segments.is_empty() {
            let held = &self.in_segments;
            let mut index = 0;
            self.deltas.retain(|delta| {
                index += 1;
                let bucket = delta.minute / MINUTES_PER_BUCKET;
                index <= before || held.get(&bucket).is_none_or(|last| sequence > *last)
            });
        }
        if self.deltas.len() >= TOGETHER {
            self.merge(series, memtable);
        }
        if let Some(stamp) = &stamp {
            if !self.findings.damage.is_empty() {
                self.close_gap(stamp, sources.contains_key(&stamp.source));
            }
            if !planted(Bug::OffsetsNotReplayed) {
                note_stamp(sources, stamp);
            }
        }
        self.sequence = sequence;
        self.findings.frames += 1;
        Ok(())
    }

    /// Merges what was read.
    fn merge(&mut self, series: &SeriesTable, memtable: &mut Memtable) {
        let infos = series.infos();
        let kind = |id| infos.kind(id);
        memtable.apply([&self.deltas[..]], kind, &mut self.scratch);
        self.deltas.clear();
        self.deltas.shrink_to(2 * TOGETHER);
    }

    /// Notes the first offset of a source behind damage.
    fn close_gap(&mut self, stamp: &Stamp<Name>, known: bool) {
        let Some((offset, _)) = stamp.offset else {
            return;
        };
        let gaps = &mut self.findings.gaps;
        let own = |gap: &&mut OffsetGap| gap.source == stamp.source;
        match gaps.iter_mut().filter(own).find(|gap| gap.before.is_none()) {
            Some(gap) => gap.before = Some(offset),
            None if known => {}
            None => gaps.push(OffsetGap {
                source: stamp.source.clone(),
                after: None,
                before: Some(offset),
            }),
        }
    }
}
