//! Small workloads, all of them, with a death after every call: most bugs that
//! lose data need no more than three steps and a crash at the right moment.
//!
//! A workload is run once and every state its death could have left is
//! recorded, so that each is looked at without a run of its own; those of its
//! beginning belong to shorter workloads.

use std::collections::HashSet;

use super::deeds::open_with;
use super::lab::{Expected, History, OPS, Op, World};
use super::oracle::check;
use super::small;
use crate::engine::options::{Durability, Options};
use crate::format::published;
use crate::storage::sim_disk::{Change, Fate, Filler, Random, Recorded, SimDisk, Tear, Unsynced};

/// Of more effects than these not every subset is tried.
const EFFECTS_MAX: usize = 10;

/// More would not fit the sums by which batches are told apart.
const BATCHES_MAX: usize = 20;

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub sequences: u64,
    /// Moments of death that left something else than the one before.
    pub points: u64,
    /// Disks after a kill or a power cut.
    pub states: u64,
    /// Those of them that differed, and were looked at.
    pub distinct: u64,
    /// Moments of death during the recovery from one of those.
    pub second_points: u64,
    /// Disks after those, looked at.
    pub second_states: u64,
}

/// How thoroughly to look.
#[derive(Clone, Copy)]
pub struct Depth {
    pub random: u64,
    /// Whether recovery is interrupted, too.
    pub second: bool,
}

/// What of a change of content may reach the medium in part: a half of it, all
/// but a byte, one sector; of a cut some zeros, and after one what was cut.
fn tears(change: &Change) -> Vec<Tear> {
    let tear = |(sectors, length, filler)| Tear {
        sectors,
        length,
        filler,
    };
    let stale = |length| Filler::Stale(length);
    let parts = match *change {
        Change::Write { length, .. } => vec![
            (u64::MAX, length / 2, stale(length + length / 2)),
            (u64::MAX, length - 1, stale(2 * length - 1)),
            (1, length, stale(2 * length)),
            (2, length, stale(2 * length)),
            (0, length, Filler::Own),
        ],
        Change::SetLen { from, to } if to < from => vec![
            (1, 0, Filler::Zeros),
            (2, 0, Filler::Zeros),
            (u64::MAX, 0, Filler::Zeros),
        ],
        Change::SetLen { from, to } => vec![(0, to - from, Filler::Own)],
        _ => Vec::new(),
    };
    parts.into_iter().map(tear).collect()
}

/// The disks a power cut may leave: every subset of the effects that matter,
/// then torn ones, then such as chance makes.
fn cuts(disk: &SimDisk, random: u64) -> Vec<SimDisk> {
    let effects = disk.unsynced();
    // The published record is rewritten and never synced: no bit of a subset
    // is spent on it, it goes with the first.
    let bits: Vec<Option<usize>> = effects
        .iter()
        .scan(0, |next, effect| {
            let matters = effect.file != published::FILE;
            *next += usize::from(matters);
            Some(matters.then(|| *next - 1))
        })
        .collect();
    let count = bits.iter().flatten().count();
    let subsets: Vec<u64> = if count <= EFFECTS_MAX {
        (0..1 << count).collect()
    } else {
        let ends = (0..count).map(|end| (1 << end) - 1);
        ends.chain([(1 << count) - 1]).collect()
    };
    let pick = |subset: u64, torn: Option<(usize, Tear)>| {
        let mut index = 0;
        disk.crash(&mut |_: &Unsynced| {
            index += 1;
            match torn {
                Some((at, tear)) if at == index - 1 => Fate::Torn(tear),
                _ if subset >> bits[index - 1].unwrap_or(0) & 1 == 1 => Fate::Whole,
                _ => Fate::Lost,
            }
        })
    };
    let mut all: Vec<SimDisk> = subsets.iter().map(|subset| pick(*subset, None)).collect();
    for (at, effect) in effects.iter().enumerate() {
        let Some(bit) = bits[at] else {
            continue;
        };
        // Torn with all before it there and nothing after, and with all there.
        for subset in [(1_u64 << bit) - 1, u64::MAX] {
            let torn = |tear| pick(subset, Some((at, tear)));
            all.extend(tears(&effect.change).into_iter().map(torn));
        }
    }
    all.extend((0..random).map(|seed| disk.crash_random(seed)));
    all
}

/// Looks at one moment of death, killed and cut off.
fn inspect(
    point: &Recorded,
    history: &History,
    options: &Options,
    depth: Depth,
    seen: &mut HashSet<(u64, u64)>,
    tally: &mut Tally,
) -> Result<(), String> {
    tally.points += 1;
    let killed = history.expected(point.call, false, options);
    tally.states += 1;
    tally.distinct += 1;
    let at = |what: &'static str| move |why| format!("{what} at call {}: {why}", point.call);
    check(&point.disk.kill(), &killed).map_err(at("killed"))?;
    let cut = history.expected(point.call, true, options);
    for disk in cuts(&point.disk, depth.random) {
        tally.states += 1;
        let key = (disk.fingerprint(), cut.key());
        if seen.insert(key) {
            tally.distinct += 1;
            check(&disk.kill(), &cut).map_err(at("cut off"))?;
            if depth.second {
                interrupt(&disk, &cut, seen, tally).map_err(at("cut off"))?;
            }
        }
    }
    if depth.second {
        interrupt(&point.disk, &cut, seen, tally).map_err(at("killed"))?;
    }
    Ok(())
}

/// Dies again, at every call of the recovery.
fn interrupt(
    disk: &SimDisk,
    expected: &Expected,
    seen: &mut HashSet<(u64, u64)>,
    tally: &mut Tally,
) -> Result<(), String> {
    let disk = disk.kill();
    disk.start_recording();
    let store = open_with(&disk, &expected.options).map_err(|error| format!("opening: {error}"))?;
    let found = store.committed_offset("source").unwrap_or(0) as usize;
    let points = disk.take_recording();
    drop(store);
    let last = points.len() - 1;
    for (index, point) in points.iter().enumerate() {
        tally.second_points += 1;
        // What a recovered store says is there has to stay.
        let answered = index == last && expected.options.durability == Durability::Sync;
        let least = if answered { found } else { expected.least };
        let expected = Expected {
            least,
            ..expected.clone()
        };
        let mut disks = vec![point.disk.kill()];
        disks.extend([0, u64::MAX].map(|subset| point.disk.crash_with_subset(subset)));
        disks.push(point.disk.crash_random(index as u64));
        for disk in disks {
            let unsynced = disk.unsynced().len() as u64;
            let key = (disk.fingerprint() ^ unsynced, expected.key());
            if seen.insert(key) {
                tally.second_states += 1;
                check(&disk, &expected).map_err(|why| format!("again in recovery: {why}"))?;
            }
        }
    }
    Ok(())
}

/// Runs a workload and looks at every death during its last step.
pub fn explore(
    ops: &[Op],
    options: &Options,
    depth: Depth,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut world = World::new(1, options);
    let fail = |error| format!("{ops:?}: {error}");
    if ops.is_empty() {
        world.disk.start_recording();
    }
    world.open().map_err(|error| fail(error.to_string()))?;
    for (index, op) in ops.iter().enumerate() {
        if index + 1 == ops.len() {
            world.disk.start_recording();
        }
        world.run(*op).map_err(|error| fail(error.to_string()))?;
        world.check_live().map_err(fail)?;
    }
    tally.sequences += 1;
    let mut seen = HashSet::new();
    for point in world.disk.take_recording() {
        inspect(&point, &world.history, options, depth, &mut seen, tally).map_err(fail)?;
    }
    Ok(())
}

/// One long life with many deaths, all of it from the seed.
fn live_and_die(seed: u64, options: &Options) -> Result<u64, String> {
    let mut random = Random::new(seed);
    let mut world = World::new(seed, options);
    let mut deaths = 0;
    for _ in 0..40 {
        if random.percent(30) {
            let calls = world.disk.calls() + random.below(40);
            world.disk.crash_after_call(calls);
        }
        let op = OPS[random.below(OPS.len() as u64) as usize];
        let writes = [Op::Commit, Op::Late].contains(&op);
        if writes && world.sent() == BATCHES_MAX {
            continue;
        }
        if world.run(op).is_ok() {
            world.check_live()?;
            continue;
        }
        deaths += 1;
        let cut = random.percent(60);
        let expected = world.history.expected(world.disk.calls(), cut, options);
        let disk = match cut {
            true => world.disk.crash_random(random.bits()),
            false => world.disk.kill(),
        };
        check(&disk.kill(), &expected).map_err(|why| format!("{op:?}, death {deaths}: {why}"))?;
        world = world.reborn(disk);
    }
    Ok(deaths)
}

pub fn live_all(seeds: std::ops::Range<u64>) -> Result<(), String> {
    let mut deaths = 0;
    for seed in seeds.clone() {
        for options in [small(), tiny()] {
            deaths += live_and_die(seed, &options).map_err(|why| format!("seed {seed}: {why}"))?;
        }
    }
    eprintln!("seeds {seeds:?}: {deaths} deaths");
    Ok(())
}

/// All workloads of exactly `length` steps.
pub fn sequences(length: u32) -> impl Iterator<Item = Vec<Op>> {
    let count = OPS.len();
    (0..count.pow(length)).map(move |number| {
        (0..length)
            .map(|at| OPS[number / count.pow(at) % count])
            .collect()
    })
}

pub fn explore_all(
    lengths: std::ops::RangeInclusive<u32>,
    options: &Options,
    depth: Depth,
) -> Tally {
    let mut tally = Tally::default();
    for ops in lengths.flat_map(sequences) {
        if let Err(why) = explore(&ops, options, depth, &mut tally) {
            panic!("{why}");
        }
    }
    eprintln!("{tally:?}");
    tally
}

/// A log that is full after two batches: commits freeze and flush by themselves.
pub fn tiny() -> Options {
    let mut options = small();
    options.wal_limit = 500;
    options
}

pub fn buffered() -> Options {
    small().durability(Durability::Buffered {
        interval: std::time::Duration::from_secs(3_600),
    })
}

const SHALLOW: Depth = Depth {
    random: 4,
    second: false,
};
const DEEP: Depth = Depth {
    random: 12,
    second: true,
};

#[test]
fn every_workload_of_two_steps_survives_a_death_at_every_call() {
    explore_all(0..=2, &small(), SHALLOW);
}

#[test]
fn every_single_step_survives_a_second_death_in_recovery() {
    explore_all(0..=1, &small(), DEEP);
}

#[test]
fn every_step_of_a_log_that_is_full_at_once_survives() {
    explore_all(
        0..=2,
        &tiny(),
        Depth {
            random: 1,
            second: false,
        },
    );
}

#[test]
fn buffered_commits_lose_a_suffix_at_most() {
    explore_all(
        0..=2,
        &buffered(),
        Depth {
            random: 2,
            second: false,
        },
    );
}

#[test]
fn long_lives_of_many_deaths_lose_nothing() {
    live_all(0..40).unwrap();
}

#[test]
#[ignore = "minutes: cargo test --release --lib engine::tests::crash::long_lives -- --ignored --nocapture"]
fn long_lives_by_the_ten_thousand() {
    let from: u64 = std::env::var("SEED").map_or(1_000, |seed| seed.parse().unwrap());
    let count: u64 = std::env::var("SEEDS").map_or(10_000, |count| count.parse().unwrap());
    live_all(from..from + count).unwrap();
}

#[test]
#[ignore = "minutes: cargo test --release --lib engine::tests::crash::long_three -- --ignored --nocapture"]
fn long_three_steps_with_a_second_death() {
    explore_all(0..=3, &small(), DEEP);
}

#[test]
#[ignore = "minutes: as above"]
fn long_three_steps_of_a_log_that_is_full_at_once() {
    explore_all(0..=3, &tiny(), DEEP);
}

#[test]
#[ignore = "minutes: as above"]
fn long_three_steps_buffered() {
    explore_all(0..=3, &buffered(), DEEP);
}

/// In an order in which every part of it is a fair sample: it may be stopped at
/// any time, and says how far it came. `FROM=1000` goes on behind the first 1,000.
#[test]
#[ignore = "hours: cargo test --release --lib engine::tests::crash::long_four -- --ignored --nocapture"]
fn long_four_steps() {
    let from: usize = std::env::var("FROM").map_or(0, |from| from.parse().unwrap());
    let all = OPS.len().pow(4);
    let mut tally = Tally::default();
    for done in from..all {
        // A prime that does not divide the number of workloads.
        let number = done * 7_919 % all;
        let ops: Vec<Op> = (0..4)
            .map(|at| OPS[number / OPS.len().pow(at) % OPS.len()])
            .collect();
        if let Err(why) = explore(&ops, &small(), SHALLOW, &mut tally) {
            panic!("{why}");
        }
        if done % 100 == 99 {
            eprintln!("{} of {all}: {tally:?}", done + 1);
        }
    }
    eprintln!("all: {tally:?}");
}
