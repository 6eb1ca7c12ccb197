//! What a power cut leaves of the effects that no sync has covered.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::random::Random;
use super::state::{ContentChange, Effect, Entries, EntryChange, EntryEffect, SECTOR_BYTES, State};

/// One effect that a power cut may lose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsynced {
    /// The file: of a change of content its name now, of a change of names the
    /// name then.
    pub file: String,
    /// What was done to it.
    pub change: Change,
}

/// What was done to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Bytes were written.
    Write {
        /// Where they begin.
        offset: u64,
        /// How many they are.
        length: u64,
        /// By how many they made the file longer.
        grown: u64,
    },
    /// The file was cut or grown.
    SetLen {
        /// Its length before.
        from: u64,
        /// Its length after.
        to: u64,
    },
    /// It was created.
    Create,
    /// It was renamed.
    Rename {
        /// Its name after.
        to: String,
    },
    /// It was removed.
    Remove,
}

impl Change {
    pub(super) fn of_content(change: &ContentChange) -> Self {
        match *change {
            ContentChange::Write {
                offset,
                length,
                grown,
                ..
            } => Change::Write {
                offset: offset as u64,
                length: length as u64,
                grown: grown as u64,
            },
            ContentChange::SetLen { from, to } => Change::SetLen {
                from: from as u64,
                to: to as u64,
            },
        }
    }

    pub(super) fn of_entry(change: &EntryChange) -> Self {
        match change {
            EntryChange::Create => Change::Create,
            EntryChange::Rename { to } => Change::Rename { to: to.clone() },
            EntryChange::Remove => Change::Remove,
        }
    }
}

/// What a power cut makes of one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing of it reached the medium.
    Lost,
    /// All of it did.
    Whole,
    /// A part did. Of a write, some sectors and some of the length. Of a cut,
    /// zeros in some of the sectors that were cut, and nothing of the length.
    /// Of a growth without writing, some of the length. Names change whole.
    Torn(Tear),
}

impl Fate {
    /// The first `length` bytes of a write: exactly those of an append, the
    /// sectors they begin in of an overwrite.
    pub const fn prefix(length: u64) -> Fate {
        Fate::Torn(Tear {
            length,
            ..Tear::NONE
        })
    }
}

/// How a write is torn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tear {
    /// Bit i: the i-th sector of the write, or of what was cut, reached the
    /// medium; sector 64 goes with bit 0 again, and so on.
    pub sectors: u64,
    /// How many bytes of the write, or of the growth, the file's length covers;
    /// no sector that begins after them reached the medium.
    pub length: u64,
    /// What stands in the new part of the file where no sector was written.
    pub filler: Filler,
}

impl Tear {
    const NONE: Tear = Tear {
        sectors: u64::MAX,
        length: u64::MAX,
        filler: Filler::Zeros,
    };
}

/// What a file that grew without being written shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filler {
    /// Zeros, as file systems give that journal lengths after data.
    Zeros,
    /// What was there before: a removed file at the same offset, or noise, both
    /// chosen by this number.
    Stale(u64),
    /// What the file itself held there on the medium before it was cut; zeros
    /// where it never reached.
    Own,
}

/// Decides what a power cut leaves. A closure will do.
pub trait CrashChoice {
    /// The fate of one effect; asked once for each, oldest first.
    fn fate(&mut self, effect: &Unsynced) -> Fate;
}

impl<F: FnMut(&Unsynced) -> Fate> CrashChoice for F {
    fn fate(&mut self, effect: &Unsynced) -> Fate {
        self(effect)
    }
}

/// A choice from a seed. One time in three the medium kept the order and the
/// rest is a clean suffix, with a tear where it begins: what a plain process
/// meets most, and what chance alone would hardly ever make of many effects.
pub(super) struct RandomChoice {
    random: Random,
    whole_first: Option<u64>,
    keep_percent: u64,
    tear_percent: u64,
}

impl RandomChoice {
    pub fn new(seed: u64, effects: usize) -> Self {
        let mut random = Random::new(seed);
        let in_order = random.percent(33);
        let whole_first = in_order.then(|| random.below(effects as u64 + 1));
        let keep_percent = [0, 10, 50, 90, 100][random.below(5) as usize];
        let tear_percent = [0, 20, 60][random.below(3) as usize];
        RandomChoice {
            random,
            whole_first,
            keep_percent,
            tear_percent,
        }
    }

    fn tear(&mut self, length: u64) -> Fate {
        let random = &mut self.random;
        let sectors = match random.below(3) {
            0 => u64::MAX,
            1 => (1 << random.below(8)) - 1,
            _ => random.bits(),
        };
        let filler = match random.below(4) {
            0 | 1 => Filler::Zeros,
            2 => Filler::Stale(random.bits()),
            _ => Filler::Own,
        };
        let length = if random.percent(30) {
            length
        } else {
            random.below(length + 1)
        };
        Fate::Torn(Tear {
            sectors,
            length,
            filler,
        })
    }
}

impl CrashChoice for RandomChoice {
    fn fate(&mut self, effect: &Unsynced) -> Fate {
        let length = match effect.change {
            Change::Write { length, .. } => length,
            Change::SetLen { from, to } => from.abs_diff(to),
            _ => 0,
        };
        match self.whole_first.as_mut() {
            Some(0) => {
                // The one at the edge; all after it are lost.
                self.whole_first = None;
                self.keep_percent = 0;
                self.tear_percent = 0;
                self.tear(length)
            }
            Some(left) => {
                *left -= 1;
                Fate::Whole
            }
            None if self.random.percent(self.tear_percent) => self.tear(length),
            None if self.random.percent(self.keep_percent) => Fate::Whole,
            None => Fate::Lost,
        }
    }
}

impl Effect {
    pub fn apply_whole(&self, content: &mut Vec<u8>) {
        self.apply(content, Fate::Whole, &mut Stale::default());
    }

    fn apply(&self, content: &mut Vec<u8>, fate: Fate, stale: &mut Stale<'_>) {
        let tear = match fate {
            Fate::Lost => return,
            Fate::Whole => Tear::NONE,
            Fate::Torn(tear) => tear,
        };
        match &self.change {
            ContentChange::SetLen { to, .. } if fate == Fate::Whole => {
                stale.remember(content, *to);
                content.resize(*to, 0);
            }
            ContentChange::SetLen { from, to } if to < from => zero(content, *to, tear.sectors),
            ContentChange::SetLen { from, to } => {
                let reach = usize::try_from(tear.length).map_or(*to, |length| from + length);
                grow(content, reach.min(*to), tear.filler, stale);
            }
            ContentChange::Write {
                offset,
                length,
                image,
                ..
            } => {
                let kept = usize::try_from(tear.length).map_or(*length, |kept| kept.min(*length));
                let reach = offset + kept;
                grow(content, reach, tear.filler, stale);
                let first = offset / SECTOR_BYTES * SECTOR_BYTES;
                for (index, sector) in image.chunks(SECTOR_BYTES).enumerate() {
                    let start = first + index * SECTOR_BYTES;
                    if start >= reach || kept == 0 || tear.sectors >> (index % 64) & 1 == 0 {
                        continue;
                    }
                    let end = content.len().min(start + sector.len());
                    content[start..end].copy_from_slice(&sector[..end - start]);
                }
            }
        }
    }
}

/// Zeros of what lies from `from` on, in those sectors.
fn zero(content: &mut [u8], from: usize, sectors: u64) {
    let first = from / SECTOR_BYTES;
    for (index, sector) in content.chunks_mut(SECTOR_BYTES).enumerate().skip(first) {
        if sectors >> ((index - first) % 64) & 1 == 1 {
            let kept = from.saturating_sub(index * SECTOR_BYTES);
            if let Some(cut) = sector.get_mut(kept..) {
                cut.fill(0);
            }
        }
    }
}

/// What the medium holds beyond the end of a file.
#[derive(Default)]
struct Stale<'a> {
    /// Of files removed before.
    graves: &'a [Arc<Vec<u8>>],
    /// Of the file itself, from before it was cut.
    own: Vec<u8>,
}

impl Stale<'_> {
    /// The file is about to be cut to this length; its bytes stay where they are.
    fn remember(&mut self, content: &[u8], length: usize) {
        if length < content.len() {
            self.own.resize(self.own.len().max(content.len()), 0);
            self.own[..content.len()].copy_from_slice(content);
        }
    }
}

fn grow(content: &mut Vec<u8>, length: usize, filler: Filler, stale: &Stale<'_>) {
    let from = content.len();
    if length <= from {
        return;
    }
    content.resize(length, 0);
    let grave = match filler {
        Filler::Zeros => return,
        Filler::Own => &stale.own,
        Filler::Stale(seed) => {
            let mut random = Random::new(seed);
            for byte in &mut content[from..] {
                *byte = random.bits() as u8;
            }
            match stale.graves {
                [] => return,
                graves => &*graves[seed as usize % graves.len()],
            }
        }
    };
    let end = grave.len().min(length);
    if from < end {
        content[from..end].copy_from_slice(&grave[from..end]);
    }
}

impl EntryEffect {
    /// Renaming and removing follow the file, so that one whose earlier renaming
    /// was lost is still renamed or removed: at no time has it two names.
    pub fn apply(&self, entries: &mut Entries) {
        match &self.change {
            EntryChange::Create => {
                entries.insert(self.name.clone(), self.node);
            }
            EntryChange::Rename { to } => {
                entries.retain(|_, node| *node != self.node);
                entries.insert(to.clone(), self.node);
            }
            EntryChange::Remove => entries.retain(|_, node| *node != self.node),
        }
    }
}

/// The disk after a power cut; an effect without a fate is lost.
pub(super) fn after_crash(state: &State, fates: &BTreeMap<u64, Fate>) -> State {
    let fate = |order: u64| fates.get(&order).copied().unwrap_or(Fate::Lost);
    let mut after = state.without_processes();
    for effect in std::mem::take(&mut after.pending) {
        if fate(effect.order) != Fate::Lost {
            effect.apply(&mut after.durable);
        }
    }
    after.visible = after.durable.clone();
    for node in after.nodes.values_mut() {
        if !node.effects.is_empty() {
            let content = Arc::make_mut(&mut node.durable);
            let mut stale = Stale {
                graves: &after.graves,
                own: Vec::new(),
            };
            for effect in node.effects.drain(..) {
                effect.apply(content, fate(effect.order), &mut stale);
            }
        }
        node.cached = Arc::clone(&node.durable);
    }
    for (name, id) in &after.visible {
        if let Some(node) = after.nodes.get_mut(id) {
            node.name.clone_from(name);
        }
    }
    after.forget_unreachable();
    after
}
