//! What the disk holds: files apart from their names, and of both what is
//! durable, what is visible, and the effects that lie between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::crash::{Change, Unsynced};
use super::fault::{Calls, Outcome};
use super::random::Random;
use super::record::Recording;

/// What the medium writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// What a file costs beyond its content.
const FILE_COST: u64 = SECTOR_BYTES as u64;

/// Larger files are refused, lest a wrong length takes all memory.
const FILE_BYTES_MAX: u64 = 1 << 32;

/// How many removed files are remembered, as a source of stale sectors.
const GRAVES_MAX: usize = 4;

pub(super) type NodeId = u64;

/// A file, whatever its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// The name it had last.
    pub name: String,
    pub durable: Arc<Vec<u8>>,
    pub cached: Arc<Vec<u8>>,
    /// From `durable` to `cached`, in order.
    pub effects: Vec<Effect>,
    pub handles: usize,
    pub exclusive: bool,
    pub shared: usize,
}

/// A change of content that no sync has covered yet.
#[derive(Clone, Debug)]
pub(super) struct Effect {
    /// Its place among all effects of the disk.
    pub order: u64,
    pub change: ContentChange,
}

#[derive(Clone, Debug)]
pub(super) enum ContentChange {
    Write {
        offset: usize,
        length: usize,
        /// By how much it made the file longer.
        grown: usize,
        /// The sectors touched, as the cache held them after the write, zeros
        /// beyond the end: what earlier writes put there is in it.
        image: Vec<u8>,
    },
    SetLen {
        from: usize,
        to: usize,
    },
}

/// A change of names that no sync of the directory has covered yet.
#[derive(Clone, Debug)]
pub(super) struct EntryEffect {
    pub order: u64,
    pub node: NodeId,
    pub name: String,
    pub change: EntryChange,
}

#[derive(Clone, Debug)]
pub(super) enum EntryChange {
    Create,
    Rename { to: String },
    Remove,
}

pub(super) type Entries = BTreeMap<String, NodeId>;

/// All of a simulated disk.
#[derive(Debug)]
pub(super) struct State {
    pub seed: u64,
    pub random: Random,
    pub nodes: BTreeMap<NodeId, Node>,
    pub visible: Entries,
    pub durable: Entries,
    /// From `durable` to `visible`, in order.
    pub pending: Vec<EntryEffect>,
    pub graves: Vec<Arc<Vec<u8>>>,
    pub capacity: Option<u64>,
    pub lying: bool,
    pub calls: Calls,
    pub recording: Option<Recording>,
    next_node: NodeId,
    next_order: u64,
}

impl State {
    pub fn new(seed: u64) -> Self {
        State {
            seed,
            random: Random::new(seed),
            nodes: BTreeMap::new(),
            visible: Entries::new(),
            durable: Entries::new(),
            pending: Vec::new(),
            graves: Vec::new(),
            capacity: None,
            lying: false,
            calls: Calls::default(),
            recording: None,
            next_node: 0,
            next_order: 0,
        }
    }

    /// A copy that no process holds anything of.
    pub fn without_processes(&self) -> Self {
        let mut state = State {
            random: self.random.clone(),
            nodes: self.nodes.clone(),
            visible: self.visible.clone(),
            durable: self.durable.clone(),
            pending: self.pending.clone(),
            graves: self.graves.clone(),
            calls: Calls::default(),
            recording: None,
            ..*self
        };
        for node in state.nodes.values_mut() {
            node.handles = 0;
            node.exclusive = false;
            node.shared = 0;
        }
        state.forget_unreachable();
        state
    }

    fn order(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order
    }

    /// A file that has no name yet.
    pub fn add_node(&mut self, name: &str) -> NodeId {
        self.next_node += 1;
        let node = Node {
            name: name.to_owned(),
            ..Node::default()
        };
        self.nodes.insert(self.next_node, node);
        self.next_node
    }

    pub fn find(&self, name: &str) -> io::Result<NodeId> {
        let found = self.visible.get(name).copied();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.entry(id).or_default()
    }

    pub fn create(&mut self, name: &str) -> io::Result<NodeId> {
        if self.free() < FILE_COST {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let node = self.add_node(name);
        self.visible.insert(name.to_owned(), node);
        self.push_pending(node, name, EntryChange::Create);
        Ok(node)
    }

    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let node = self.find(from)?;
        if from == to {
            return Ok(());
        }
        self.visible.remove(from);
        if let Some(replaced) = self.visible.insert(to.to_owned(), node) {
            self.bury(replaced);
        }
        self.node(node).name = to.to_owned();
        self.push_pending(node, from, EntryChange::Rename { to: to.to_owned() });
        Ok(())
    }

    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        let node = self.find(name)?;
        self.visible.remove(name);
        self.bury(node);
        self.push_pending(node, name, EntryChange::Remove);
        Ok(())
    }

    fn push_pending(&mut self, node: NodeId, name: &str, change: EntryChange) {
        let order = self.order();
        self.pending.push(EntryEffect {
            order,
            node,
            name: name.to_owned(),
            change,
        });
    }

    fn bury(&mut self, node: NodeId) {
        let content = Arc::clone(&self.node(node).cached);
        if !content.is_empty() {
            self.graves.push(content);
        }
        if self.graves.len() > GRAVES_MAX {
            self.graves.remove(0);
        }
    }

    /// Bytes taken by files that have a name or are open.
    pub fn used(&self) -> u64 {
        let named: BTreeSet<NodeId> = self.visible.values().copied().collect();
        self.nodes
            .iter()
            .filter(|(id, node)| node.handles > 0 || named.contains(id))
            .map(|(_, node)| node.cached.len() as u64 + FILE_COST)
            .sum()
    }

    fn free(&self) -> u64 {
        self.capacity
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()))
    }

    /// Writes what there is room for, and says so if that is not all.
    pub fn write(&mut self, id: NodeId, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end = offset.saturating_add(bytes.len() as u64);
        if end > FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let growth = end.saturating_sub(self.node(id).cached.len() as u64);
        let missing = growth.saturating_sub(self.free()) as usize;
        let fits = bytes.len().saturating_sub(missing);
        if fits > 0 {
            self.write_fitting(id, offset as usize, &bytes[..fits]);
        }
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn write_fitting(&mut self, id: NodeId, offset: usize, bytes: &[u8]) {
        let order = self.order();
        let node = self.node(id);
        let cached = Arc::make_mut(&mut node.cached);
        let end = offset + bytes.len();
        let grown = end.saturating_sub(cached.len());
        cached.resize(cached.len() + grown, 0);
        cached[offset..end].copy_from_slice(bytes);
        let first = offset / SECTOR_BYTES * SECTOR_BYTES;
        let last = end.next_multiple_of(SECTOR_BYTES);
        let mut image = cached[first..last.min(cached.len())].to_vec();
        image.resize(last - first, 0);
        let change = ContentChange::Write {
            offset,
            length: bytes.len(),
            grown,
            image,
        };
        node.effects.push(Effect { order, change });
    }

    pub fn set_len(&mut self, id: NodeId, length: u64) -> io::Result<()> {
        if length > FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let from = self.node(id).cached.len();
        let to = length as usize;
        if length.saturating_sub(from as u64) > self.free() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if from != to {
            let order = self.order();
            let node = self.node(id);
            Arc::make_mut(&mut node.cached).resize(to, 0);
            let change = ContentChange::SetLen { from, to };
            node.effects.push(Effect { order, change });
        }
        Ok(())
    }

    /// Makes the content durable, as far as `outcome` lets it.
    pub fn sync(&mut self, id: NodeId, outcome: Outcome) {
        if self.lying || outcome == Outcome::Nothing {
            return;
        }
        let mut random = self.random.clone();
        let node = self.node(id);
        let durable = Arc::make_mut(&mut node.durable);
        for (index, effect) in node.effects.drain(..).enumerate() {
            if reaches(outcome, index, &mut random) {
                effect.apply_whole(durable);
            }
        }
        self.random = random;
    }

    /// Makes the names durable, as far as `outcome` lets it.
    pub fn sync_dir(&mut self, outcome: Outcome) {
        if !self.lying && outcome != Outcome::Nothing {
            self.make_names_durable(outcome);
        }
    }

    pub fn make_names_durable(&mut self, outcome: Outcome) {
        for (index, effect) in std::mem::take(&mut self.pending).iter().enumerate() {
            if reaches(outcome, index, &mut self.random) {
                effect.apply(&mut self.durable);
            }
        }
        self.forget_unreachable();
    }

    pub fn close(&mut self, id: NodeId) {
        let node = self.node(id);
        node.handles = node.handles.saturating_sub(1);
        self.forget_unreachable();
    }

    /// The files that have a name, or may have one after a crash.
    fn reachable(&self) -> BTreeSet<NodeId> {
        let pending = self.pending.iter().map(|effect| &effect.node);
        let named = self.visible.values().chain(self.durable.values());
        named.chain(pending).copied().collect()
    }

    pub fn forget_unreachable(&mut self) {
        let reachable = self.reachable();
        self.nodes.retain(|id, node| {
            let held = node.handles > 0 || node.exclusive || node.shared > 0;
            held || reachable.contains(id)
        });
    }

    /// The effects a crash may lose, oldest first, each with its order.
    pub fn unsynced(&self) -> Vec<(u64, Unsynced)> {
        let mut all = Vec::new();
        let reachable = self.reachable();
        for (_, node) in self.nodes.iter().filter(|(id, _)| reachable.contains(id)) {
            for effect in &node.effects {
                let change = Change::of_content(&effect.change);
                let file = node.name.clone();
                all.push((effect.order, Unsynced { file, change }));
            }
        }
        for effect in &self.pending {
            let change = Change::of_entry(&effect.change);
            let file = effect.name.clone();
            all.push((effect.order, Unsynced { file, change }));
        }
        all.sort_by_key(|(order, _)| *order);
        all
    }
}

fn reaches(outcome: Outcome, index: usize, random: &mut Random) -> bool {
    match outcome {
        Outcome::Nothing => false,
        Outcome::Everything => true,
        Outcome::Prefix(count) => (index as u64) < count,
        Outcome::Torn => random.percent(50),
    }
}
