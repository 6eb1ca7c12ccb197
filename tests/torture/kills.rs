//! Kills at moments of chance: stores that live through one death after the
//! other.

use std::path::Path;
use std::time::{Duration, Instant};

use super::child::{self, Workload};
use super::client::Client;
use super::place::Place;
use super::process::{Ended, Process, Told};
use super::random::Random;
use super::survivor::{Death, Depth, check};
use super::tools::number;

/// Lives of one store before another is begun.
const LIVES: u64 = 200;

/// Batches in a store beyond which not all of them are sent again.
const RESENT_MAX: u64 = 1_500;

/// A writer that lives for a moment of chance, until `end` ends it.
pub fn live(
    (workload, seed): (Workload, u64),
    through: &[&str],
    store: &Path,
    client: &mut Client,
    end: impl FnOnce(&mut Process) -> u64,
) -> (Ended, String) {
    let synced = workload.syncs_commits();
    let mut random = Random::new(seed);
    let mut process = Process::start(child::command(through, workload, seed, store));
    process.hear();
    process.go();
    // A third end within the opening, the others after some acknowledgements.
    let acknowledgements = [0, random.below(6), random.below(60)][random.below(3) as usize];
    let mut heard = 0;
    while heard < acknowledgements {
        let Some(told) = process.hear() else { break };
        heard += u64::from(matches!(told, Told::Acknowledged(..)));
        client.hear_some(&told, synced, true);
    }
    let longest = [100, 1_000, 8_000][random.below(3) as usize];
    std::thread::sleep(Duration::from_micros(random.below(longest)));
    let ends = end(&mut process);
    while let Some(told) = process.hear() {
        client.hear_some(&told, synced, process.told_at < ends);
    }
    (process.end(), std::mem::take(&mut process.noise))
}

/// Every 20th death is looked at by a writer, too.
pub fn depth(number: u64, client: &Client) -> Depth {
    let few = client.acknowledged.iter().sum::<u64>() < RESENT_MAX;
    if number % 20 == 19 && few {
        Depth::Recover
    } else {
        Depth::Read
    }
}

/// Synced in one store, buffered in the next.
pub fn mixed(number: u64) -> Workload {
    match number / LIVES % 2 {
        0 => Workload::Mixed,
        _ => Workload::MixedBuffered,
    }
}

/// Kills so many writers.
fn kill(kills: u64, seed: u64) {
    let place = Place::new();
    let mut client = Client::default();
    let mut store = place.path("store-0");
    let (mut batches, mut last, started) = (0, Instant::now(), Instant::now());
    for number in 0..kills {
        if number % LIVES == 0 {
            batches += client.acknowledged.iter().sum::<u64>();
            place.clear();
            client = Client::default();
            store = place.path(&format!("store-{number}"));
        }
        let workload = mixed(number);
        let said = format!("seed {seed}, kill {number}, {workload:?}");
        let life = (workload, seed.rotate_left(32) ^ number);
        let (ended, noise) = live(life, &[], &store, &mut client, |process| {
            process.kill();
            u64::MAX
        });
        assert_eq!(ended, Ended::Signal(9), "{said}: {noise}");
        assert!(client.failures.is_empty(), "{said}: {:?}", client.failures);
        let depth = depth(number, &client);
        check(&store, &mut client, Death::Kill, depth)
            .unwrap_or_else(|wrong| panic!("{said}: {wrong}"));
        if last.elapsed() > Duration::from_secs(60) {
            last = Instant::now();
            println!("{} kills in {:?}", number + 1, started.elapsed());
        }
    }
    batches += client.acknowledged.iter().sum::<u64>();
    println!(
        "seed {seed}: {kills} kills, {batches} batches kept, {:?}",
        started.elapsed()
    );
}

#[test]
fn some_kills_at_any_moment() {
    kill(60, 1);
}

#[test]
#[ignore = "long: KILLS at moments of chance"]
fn long_kills_at_any_moment() {
    kill(number("KILLS", 20_000), number("SEED", 2));
}
