//! Random operations, with every seam between them, against a `BTreeMap`.

use proptest::prelude::*;

use super::{Model, Write, apply, batch, cells, edges, minute, name, open, read};
use crate::engine::store::Store;
use crate::storage::sim_disk::SimDisk;

#[derive(Clone, Debug)]
enum Op {
    Commit(Vec<Write>),
    Resend,
    Flush,
    Compact,
    Reopen,
    Kill,
    Retain(u32),
    DropRelease(usize),
    Backup,
    Verify,
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let at = prop_oneof![
        prop::sample::select(edges()),
        0_u32..3_000,
        (40_000_u32..50_000),
    ];
    let value = prop_oneof![0_u64..50, any::<u64>()];
    let write =
        (0_usize..3, 0_usize..3, at, value).prop_map(|(release, metric, minute, value)| Write {
            release,
            metric,
            minute,
            value,
        });
    proptest::collection::vec(write, 1..40)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => writes().prop_map(Op::Commit),
        2 => Just(Op::Resend),
        2 => Just(Op::Flush),
        1 => Just(Op::Compact),
        1 => Just(Op::Reopen),
        1 => Just(Op::Kill),
        1 => prop::sample::select(edges()).prop_map(Op::Retain),
        1 => (0_usize..3).prop_map(Op::DropRelease),
        1 => Just(Op::Backup),
        1 => Just(Op::Verify),
    ]
}

/// The store, its disk and what must be in it.
struct World {
    disk: SimDisk,
    store: Option<Store>,
    model: Model,
    floor: u32,
    offset: u64,
    last: Vec<Write>,
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = SimDisk::new(seed);
        let store = Some(open(&disk).unwrap());
        World {
            disk,
            store,
            model: Model::new(),
            floor: 0,
            offset: 0,
            last: Vec::new(),
        }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Commit(writes) => {
                self.offset += 3;
                let mut batch = batch(self.store(), writes);
                batch.stamp(&name("source"), self.offset);
                let receipt = self.store().commit(batch).unwrap();
                let kept: Vec<_> = writes
                    .iter()
                    .filter(|write| write.minute >= self.floor)
                    .copied()
                    .collect();
                assert_eq!(receipt.dropped, writes.len() - kept.len());
                assert!(!receipt.already_applied);
                kept.iter().for_each(|write| apply(&mut self.model, write));
                self.last = writes.clone();
            }
            Op::Resend => {
                if self.offset > 0 {
                    let mut batch = batch(self.store(), &self.last);
                    batch.stamp(&name("source"), self.offset);
                    assert!(self.store().commit(batch).unwrap().already_applied);
                }
            }
            Op::Flush => self.store().flush().unwrap(),
            Op::Compact => {
                self.store().compact().unwrap();
                let report = self.store().inspect().unwrap();
                assert!(
                    report.segments.len() <= 4,
                    "one segment a bucket: {report:?}"
                );
            }
            Op::Reopen => {
                self.store.take().unwrap().close().unwrap();
                self.store = Some(open(&self.disk).unwrap());
                assert_eq!(self.store().recovered().torn_bytes, 0);
            }
            Op::Kill => {
                let after = self.disk.kill();
                drop(self.store.take());
                self.disk = after;
                self.store = Some(open(&self.disk).unwrap());
            }
            Op::Retain(at) => {
                self.store().retain_before(minute(*at)).unwrap();
                self.floor = self.floor.max(*at);
                self.model.retain(|(_, _, minute), _| *minute >= self.floor);
            }
            Op::DropRelease(release) => {
                let dropped = super::RELEASES[*release];
                self.store()
                    .core
                    .drop_releases(&|name| name == dropped)
                    .unwrap();
                self.model.retain(|(own, _, _), _| own != release);
            }
            Op::Backup => self.backup(),
            Op::Verify => {
                let reader =
                    crate::Reader::open_on(std::sync::Arc::new(self.disk.read_only())).unwrap();
                let found = reader.verify().unwrap();
                assert!(found.is_sound(), "{:?}", found.damage);
            }
        }
        self.check();
    }

    fn backup(&self) {
        let copy = SimDisk::new(1);
        let core = &self.store().core;
        let snapshot = self.store().snapshot();
        crate::engine::backup::backup_to(&self.disk, core.store_id, &snapshot, &copy).unwrap();
        // What was never synced does not count as a backup.
        let copy = copy.crash_random(7);
        let store = open(&copy).unwrap();
        assert_eq!(cells(&store.snapshot()).unwrap(), self.model);
        assert_eq!(store.committed_offset("source").unwrap_or(0), self.offset);
    }

    fn check(&self) {
        assert_eq!(
            cells(&self.store().snapshot()).unwrap(),
            self.model,
            "in this process"
        );
        assert_eq!(read(&self.disk), self.model, "in another process");
        assert_eq!(
            self.store().committed_offset("source").unwrap_or(0),
            self.offset
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_store_agrees_with_the_model(ops in proptest::collection::vec(op(), 1..24), seed: u64) {
        let mut world = World::new(seed);
        for op in &ops {
            world.run(op);
        }
    }
}
