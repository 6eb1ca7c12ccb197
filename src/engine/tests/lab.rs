//! What the crash, fault and disk-full tests share: small workloads, what their
//! client was told, and the oracle.

use super::deeds::{count_definitions, defined, open_with, record, send};
use super::oracle::{agrees, check};
use super::{RELEASES, cells, minute};
use crate::engine::audit;
use crate::engine::backup::backup_to;
use crate::engine::options::{Durability, Options};
use crate::engine::store::Store;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MINUTES_PER_BUCKET, MINUTES_PER_DAY};
use crate::model::{Kind, Metric, Pattern, Release};
use crate::storage::sim_disk::SimDisk;

/// One step of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Commit,
    Late,
    Flush,
    Compact,
    Retain,
    Backup,
    Reopen,
    Resend,
    Drop,
    Define,
    Override,
}

/// The steps that enumeration and long lives are made of.
pub const OPS: [Op; 11] = [
    Op::Commit,
    Op::Late,
    Op::Flush,
    Op::Compact,
    Op::Retain,
    Op::Backup,
    Op::Reopen,
    Op::Resend,
    Op::Drop,
    Op::Define,
    Op::Override,
];

/// The release that [`Op::Drop`] drops.
pub const DROPPED: usize = 1;

/// The floors that one retention after the other sets: amid a page, at a day,
/// amid the second bucket.
const FLOORS: [u32; 3] = [8, 2 * MINUTES_PER_DAY, MINUTES_PER_BUCKET + 6];

/// What was asked for and granted, each by the number of calls made by then.
#[derive(Clone, Copy, Debug)]
struct Asked {
    at: u64,
    granted: Option<u64>,
}

impl Asked {
    fn granted_by(&self, call: u64) -> bool {
        self.granted.is_some_and(|granted| granted <= call)
    }
}

/// What a client of the store knows. It sends batches one after the other and
/// the same again until it is granted, so that what is there is always the
/// first so many.
#[derive(Clone, Debug, Default)]
pub struct History {
    opened: Option<u64>,
    /// Whether each is late.
    kinds: Vec<bool>,
    batches: Vec<Asked>,
    floors: Vec<Asked>,
    /// Drops of the release, each with the batches sent before it.
    drops: Vec<(Asked, usize)>,
    definitions: Vec<Asked>,
    /// Each attempt is a record of its own.
    overrides: Vec<Asked>,
    /// So many batches are durable, whatever the mode, since that call.
    barriers: Vec<(u64, usize)>,
}

/// What must and may be found after a crash.
#[derive(Clone, Debug)]
pub struct Expected {
    pub opened: bool,
    /// Batches that must be there.
    pub least: usize,
    /// Those that may.
    pub most: usize,
    /// Floors that may hold, the one granted first.
    pub floors: Vec<u32>,
    /// Of so many of the first batches the release dropped must be gone.
    pub dropped: usize,
    /// And of so many it may be, in any part.
    pub dropping: usize,
    /// Definitions that must be there, and that may.
    pub definitions: (usize, usize),
    /// Records of the audit log that must be there, and the first that can not.
    pub overrides: (Vec<usize>, usize),
    pub kinds: Vec<bool>,
    pub options: Options,
}

impl History {
    /// What must be found where the process died at `call`, by a power cut or not.
    pub fn expected(&self, call: u64, cut: bool, options: &Options) -> Expected {
        let granted = |asked: &[Asked]| asked.iter().filter(|asked| asked.granted_by(call)).count();
        let asked = |asked: &[Asked]| asked.iter().filter(|asked| asked.at <= call).count();
        let mut least = granted(&self.batches);
        if cut && options.durability != Durability::Sync {
            let barriers = self.barriers.iter().filter(|(at, _)| *at <= call);
            least = barriers.map(|(_, count)| *count).max().unwrap_or(0);
        }
        let floors = granted(&self.floors)..=asked(&self.floors);
        let floor = |count: usize| count.checked_sub(1).map_or(0, |last| FLOORS[last]);
        let drops = |past: &dyn Fn(&Asked) -> bool| {
            let drops = self.drops.iter().filter(|(asked, _)| past(asked));
            drops.map(|(_, count)| *count).max().unwrap_or(0)
        };
        let overrides = (0..self.overrides.len())
            .filter(|index| self.overrides[*index].granted_by(call))
            .collect();
        Expected {
            dropped: drops(&|asked| asked.granted_by(call)),
            dropping: drops(&|asked| asked.at <= call),
            definitions: (granted(&self.definitions), asked(&self.definitions)),
            overrides: (overrides, asked(&self.overrides)),
            opened: self.opened.is_some_and(|at| at <= call),
            least,
            most: asked(&self.batches),
            floors: floors.map(floor).collect(),
            kinds: self.kinds.clone(),
            options: options.clone(),
        }
    }
}

impl Expected {
    /// Tells demands apart.
    pub fn key(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        let counts = [self.least, self.most, self.floors.len()];
        (counts, self.dropped, self.dropping).hash(&mut hasher);
        (self.definitions, &self.overrides).hash(&mut hasher);
        hasher.finish()
    }
}

/// A store under test and what its client knows.
pub struct World {
    pub disk: SimDisk,
    pub options: Options,
    pub store: Option<Store>,
    pub history: History,
}

impl World {
    /// An empty disk; nothing is opened yet.
    pub fn new(seed: u64, options: &Options) -> Self {
        World {
            disk: SimDisk::new(seed),
            options: options.clone(),
            store: None,
            history: History::default(),
        }
    }

    /// The same client before another disk, left behind by a process that died.
    pub fn reborn(&self, disk: SimDisk) -> Self {
        let mut world = World::new(0, &self.options);
        world.disk = disk;
        world.history = self.history.clone();
        let History {
            opened,
            batches,
            floors,
            drops,
            definitions,
            overrides,
            barriers,
            ..
        } = &mut world.history;
        // Calls are counted anew.
        *opened = opened.map(|_| 0);
        barriers.clear();
        let drops = drops.iter_mut().map(|(asked, _)| asked);
        let others = definitions.iter_mut().chain(overrides).chain(drops);
        for asked in batches.iter_mut().chain(floors).chain(others) {
            asked.at = 0;
            asked.granted = asked.granted.map(|_| 0);
        }
        world
    }

    /// Opens the store; from what it finds the client learns what was applied.
    pub fn open(&mut self) -> Result<()> {
        let store = open_with(&self.disk, &self.options)?;
        let calls = self.disk.calls();
        let history = &mut self.history;
        history.opened.get_or_insert(calls);
        let found = store.committed_offset("source").unwrap_or(0) as usize;
        let floor = store.snapshot().state.floor;
        let floors = FLOORS.iter().filter(|known| **known <= floor).count();
        let granted = |asked: &mut [Asked], count: usize| {
            for asked in asked.iter_mut().take(count) {
                asked.granted.get_or_insert(calls);
            }
        };
        granted(&mut history.batches, found);
        granted(&mut history.floors, floors);
        let definitions = count_definitions(&store.snapshot().state.catalogue);
        granted(&mut history.definitions, definitions);
        self.store = Some(store);
        Ok(())
    }

    /// Does one step. After an error the store may still be open.
    pub fn run(&mut self, op: Op) -> Result<()> {
        if self.store.is_none() {
            self.open()?;
        }
        let durable = self.acknowledged();
        match op {
            Op::Commit => return self.commit(false),
            Op::Late => return self.commit(true),
            Op::Resend => return self.resend(),
            Op::Backup => return self.backup(),
            Op::Retain => return self.retain(),
            Op::Define => return self.define(),
            Op::Override => return self.record(),
            Op::Drop => self.drop_release()?,
            Op::Flush => self.live()?.flush()?,
            Op::Compact => self.live()?.compact()?,
            Op::Reopen => {
                if let Some(store) = self.store.take() {
                    store.close()?;
                }
                self.history.barriers.push((self.disk.calls(), durable));
                return self.open();
            }
        }
        self.history.barriers.push((self.disk.calls(), durable));
        Ok(())
    }

    fn live(&self) -> Result<&Store> {
        self.store
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::ReadOnly, "no store is open"))
    }

    /// Batches granted so far.
    pub fn acknowledged(&self) -> usize {
        self.history
            .batches
            .iter()
            .filter(|sent| sent.granted.is_some())
            .count()
    }

    /// Batches sent so far.
    pub fn sent(&self) -> usize {
        self.history.batches.len()
    }

    fn commit(&mut self, late: bool) -> Result<()> {
        let index = self.acknowledged();
        if index == self.history.batches.len() {
            let at = self.disk.calls();
            self.history.batches.push(Asked { at, granted: None });
            self.history.kinds.push(late);
        }
        let receipt = send(self.live()?, index, self.history.kinds[index])?;
        assert!(!receipt.already_applied, "batch {index} was never granted");
        self.history.batches[index].granted = Some(self.disk.calls());
        Ok(())
    }

    fn resend(&mut self) -> Result<()> {
        let Some(last) = self.acknowledged().checked_sub(1) else {
            return Ok(());
        };
        let receipt = send(self.live()?, last, self.history.kinds[last])?;
        assert!(receipt.already_applied, "batch {last} was granted before");
        Ok(())
    }

    fn retain(&mut self) -> Result<()> {
        let floors = &mut self.history.floors;
        let next = floors
            .iter()
            .filter(|floor| floor.granted.is_some())
            .count();
        let Some(floor) = FLOORS.get(next) else {
            return Ok(());
        };
        if next == floors.len() {
            let at = self.disk.calls();
            floors.push(Asked { at, granted: None });
        }
        self.live()?.retain_before(minute(*floor))?;
        self.history.floors[next].granted = Some(self.disk.calls());
        Ok(())
    }

    fn drop_release(&mut self) -> Result<()> {
        let (at, count) = (self.disk.calls(), self.acknowledged());
        let drops = &mut self.history.drops;
        drops.push((Asked { at, granted: None }, count));
        let pattern = Pattern::new(RELEASES[DROPPED])?;
        self.live()?.retain_without(&pattern)?;
        let granted = Some(self.disk.calls());
        if let Some((asked, _)) = self.history.drops.last_mut() {
            asked.granted = granted;
        }
        Ok(())
    }

    fn define(&mut self) -> Result<()> {
        let definitions = &mut self.history.definitions;
        let next = definitions
            .iter()
            .filter(|asked| asked.granted.is_some())
            .count();
        if next == definitions.len() {
            let at = self.disk.calls();
            definitions.push(Asked { at, granted: None });
        }
        self.live()?.define(|catalogue| {
            let metric = Metric::new(defined(next), Kind::Counter);
            catalogue.define_metric(&metric)?;
            catalogue.define_release(&Release::new(defined(next)))
        })?;
        self.history.definitions[next].granted = Some(self.disk.calls());
        Ok(())
    }

    fn record(&mut self) -> Result<()> {
        let (at, index) = (self.disk.calls(), self.history.overrides.len());
        self.history.overrides.push(Asked { at, granted: None });
        audit::append(&self.disk, &record(index))?;
        self.history.overrides[index].granted = Some(self.disk.calls());
        Ok(())
    }

    /// A backup holds the state of now, and half a one is no store.
    fn backup(&self) -> Result<()> {
        let store = self.live()?;
        let target = SimDisk::new(1);
        target.start_recording();
        let snapshot = store.snapshot();
        let done = backup_to(&self.disk, store.core.store_id, &snapshot, &target);
        let expected = self
            .history
            .expected(self.disk.calls(), false, &self.options);
        let count = self.acknowledged();
        let exact = |opened| Expected {
            opened,
            least: count,
            most: count,
            floors: expected.floors[..1].to_vec(),
            ..expected.clone()
        };
        let mut states = target.take_recording();
        if done.is_ok()
            && let Some(last) = states.pop()
        {
            check(&last.disk.crash_with_subset(0), &exact(true)).unwrap();
        }
        for state in states {
            for disk in [state.disk.kill(), state.disk.crash_with_subset(u64::MAX)] {
                if disk.names().iter().any(|name| name == "MANIFEST") {
                    check(&disk, &exact(false)).unwrap();
                }
            }
        }
        done.map(drop)
    }

    /// What this process reads is what was granted, and nothing else.
    pub fn check_live(&self) -> Result<(), String> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let expected = self
            .history
            .expected(self.disk.calls(), false, &self.options);
        let snapshot = store.snapshot();
        let seen = cells(&snapshot).map_err(|error| format!("reading: {error}"))?;
        // A segment that could not be opened is said to be missing.
        if snapshot.state.broken.is_empty() {
            agrees(&seen, &expected, expected.least, expected.floors[0])
                .map_err(|why| format!("this process sees {why}"))?;
        }
        Ok(())
    }
}
