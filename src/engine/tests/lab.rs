//! What the crash, fault and disk-full tests share: small workloads, what their
//! client was told, and the oracle.

use std::sync::Arc;

use super::oracle::check;
use super::{METRICS, Model, Write, apply, batch, cells, minute, name};
use crate::engine::backup::backup_to;
use crate::engine::options::{Durability, Options};
use crate::engine::store::Store;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{MINUTES_PER_BUCKET, MINUTES_PER_DAY};
use crate::model::Metric;
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
}

pub const OPS: [Op; 8] = [
    Op::Commit,
    Op::Late,
    Op::Flush,
    Op::Compact,
    Op::Retain,
    Op::Backup,
    Op::Reopen,
    Op::Resend,
];

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
        Expected {
            opened: self.opened.is_some_and(|at| at <= call),
            least,
            most: asked(&self.batches),
            floors: floors.map(floor).collect(),
            kinds: self.kinds.clone(),
            options: options.clone(),
        }
    }
}

/// The writes of the batch at `index`. Each counts in the same cells with a
/// weight of its own, so that a sum tells which are in it and how often.
fn writes(index: usize, late: bool) -> Vec<Write> {
    let at = |release, metric, minute, value| Write {
        release,
        metric,
        minute,
        value,
    };
    let (weight, index) = (1 << (3 * index), index as u32);
    let own = u64::from(index) + 1;
    if late {
        let day = 3 * MINUTES_PER_DAY;
        return vec![
            at(0, 0, 7, weight),
            at(0, 1, day + index, own),
            at(1, 2, 7, own),
            at(0, 0, MINUTES_PER_BUCKET + 5, weight),
            at(2, 0, MINUTES_PER_BUCKET - 1, weight),
        ];
    }
    let bucket = MINUTES_PER_BUCKET;
    vec![
        at(0, 0, bucket + 5, weight),
        at(0, 2, bucket + 5, own),
        at(1, 0, bucket + 5, weight),
        at(2, 1, bucket + 3 * MINUTES_PER_DAY + index, own),
    ]
}

/// What a store of the first `count` batches holds.
pub fn model(kinds: &[bool], count: usize, floor: u32) -> Model {
    let mut model = Model::new();
    for (index, late) in kinds.iter().take(count).enumerate() {
        writes(index, *late)
            .iter()
            .for_each(|write| apply(&mut model, write));
    }
    model.retain(|(_, _, minute), _| *minute >= floor);
    model
}

pub fn open_with(disk: &SimDisk, options: &Options) -> Result<Store> {
    let store = Store::open_on(Arc::new(disk.clone()), options.clone())?;
    store.define(|catalogue| {
        METRICS.iter().try_for_each(|(metric, kind)| {
            let metric = Metric::new(name(metric), *kind);
            catalogue.define_metric(&metric).map(drop)
        })
    })?;
    Ok(store)
}

/// Commits the batch at `index`.
pub fn send(store: &Store, index: usize, late: bool) -> Result<crate::Receipt> {
    let mut batch = batch(store, &writes(index, late));
    batch.stamp(&name("source"), index as u64 + 1);
    store.commit(batch)
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
            barriers,
            ..
        } = &mut world.history;
        // Calls are counted anew.
        *opened = opened.map(|_| 0);
        barriers.clear();
        for asked in batches.iter_mut().chain(floors) {
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
        let wanted = model(&expected.kinds, expected.least, expected.floors[0]);
        // A segment that could not be opened is said to be missing.
        if snapshot.state.broken.is_empty() && seen != wanted {
            return Err(format!("this process sees {seen:?}, not {wanted:?}"));
        }
        Ok(())
    }
}
