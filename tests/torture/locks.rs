//! Two writers: one at a time, whatever the moment, and the next at once when
//! the first is gone.

use std::time::{Duration, Instant};

use hotstove::{ErrorKind, Options, Store};

use super::child::{self, Workload};
use super::place::Place;
use super::process::{Ended, Process, Told};
use super::tools::number;

/// A handle is refused to its own process as to others.
#[test]
fn a_second_handle_is_refused() {
    let place = Place::new();
    let store = Store::open(place.path("store"), Options::new()).unwrap();
    let again = || Store::open(place.path("store"), Options::new());
    assert_eq!(again().unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(again().unwrap_err().kind(), ErrorKind::Locked);
    drop(store);
    again().unwrap();
}

/// Two processes are sent off at once, over and over. Whoever gets the store is
/// killed, and the other must get it then. Every other race is for a store that
/// has yet to be made.
fn race(races: u64) {
    let place = Place::new();
    let (mut slowest, mut first_won) = (Duration::ZERO, 0);
    for race in 0..races {
        let path = place.path(&format!("store{}", race / 2));
        let start = || {
            let mut process = Process::start(child::command(&[], Workload::Holder, 0, &path));
            process.hear();
            process
        };
        let mut racers = [start(), start()];
        racers.iter_mut().for_each(Process::go);
        let outcomes = racers
            .each_mut()
            .map(|racer| racer.hear().unwrap_or_else(|| panic!("{}", racer.noise)));
        let holds = |told: &Told| *told == Told::Held;
        let winner = outcomes
            .iter()
            .position(holds)
            .unwrap_or_else(|| panic!("race {race}: {outcomes:?}"));
        let refused = format!("{:?}", ErrorKind::Locked);
        match &outcomes[1 - winner] {
            Told::Failed(why) => assert!(why.starts_with(&refused), "race {race}: {why}"),
            other => panic!("race {race}: two writers at once, the other said {other:?}"),
        }
        first_won += u64::from(winner == 0);
        racers[winner].kill();
        assert_eq!(racers[winner].end(), Ended::Signal(9));
        let since = Instant::now();
        racers[1 - winner].go();
        assert_eq!(
            racers[1 - winner].hear(),
            Some(Told::Held),
            "race {race}: after the holder's death"
        );
        slowest = slowest.max(since.elapsed());
        racers[1 - winner].kill();
    }
    println!(
        "{races} races, the first won {first_won}; after a death the store was had within {slowest:?}"
    );
}

#[test]
fn some_races_have_one_winner() {
    race(8);
}

#[test]
#[ignore = "long: RACES for the lock"]
fn long_races_have_one_winner() {
    race(number("RACES", 1_000));
}
