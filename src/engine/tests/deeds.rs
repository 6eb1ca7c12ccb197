//! What the steps of a workload write, and what a store holds after them.

use std::sync::Arc;

use super::lab::DROPPED;
use super::{METRICS, Model, RELEASES, Write, apply, batch, minute, name};
use crate::engine::options::Options;
use crate::engine::store::Store;
use crate::error::Result;
use crate::format::audit::Override;
use crate::format::manifest::SourceState;
use crate::limits::{MINUTES_PER_BUCKET, MINUTES_PER_DAY};
use crate::model::{Catalogue, Metric};
use crate::storage::sim_disk::SimDisk;

/// The writes of the batch at `index`. Each counts in the same cells with a
/// weight of its own, so that a sum tells which are in it and how often.
pub fn writes(index: usize, late: bool) -> Vec<Write> {
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

/// What a store of the first `count` batches holds, without the dropped release
/// of the first `dropped` of them.
pub fn model(kinds: &[bool], count: usize, floor: u32, dropped: usize) -> Model {
    let mut model = Model::new();
    for (index, late) in kinds.iter().take(count).enumerate() {
        writes(index, *late)
            .iter()
            .filter(|write| index >= dropped || write.release != DROPPED)
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
    let (source, offset) = (name("source"), index as u64 + 1);
    batch
        .stamp_checked(&source, offset, !offset)
        .watermark(&source, minute(offset as u32));
    store.commit(batch)
}

/// The record of the override at `index`.
pub fn record(index: usize) -> Override {
    Override {
        at: index as u32,
        release: RELEASES[0].into(),
        metric: METRICS[0].0.into(),
        reason: "because".into(),
    }
}

/// The name of the metric and the release of the definition at `index`.
pub fn defined(index: usize) -> crate::model::Name {
    name(&format!("defined-{index}"))
}

/// How many of those definitions there are; a half of one is none.
pub fn count_definitions(catalogue: &Catalogue) -> usize {
    let there = |index: &usize| {
        let name = defined(*index);
        let (metric, release) = (catalogue.metric(&name), catalogue.release(&name));
        assert_eq!(metric.is_some(), release.is_some(), "half of a definition");
        metric.is_some()
    };
    (0..).take_while(there).count()
}

/// What is known of the source once so many batches are there.
pub fn source(count: usize) -> Option<SourceState> {
    let offset = count as u64;
    (count > 0).then(|| SourceState {
        offset: Some(offset),
        check: !offset,
        watermark: Some(minute(offset as u32)),
    })
}
