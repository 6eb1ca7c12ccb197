//! Power cuts of real file systems: ext4 and xfs on an image in memory are shut
//! down under a writer, as if the machine had stopped: nothing more reaches the
//! medium, be it of the journal. Then the image is mounted anew.
//!
//! That the cuts cut is shown by a control, in which syncs do nothing
//! (`eatmydata`): it has to lose something.

use std::fs;
use std::time::{Duration, Instant};

use super::child::now;
use super::client::Client;
use super::kills::{depth, live, mixed};
use super::mounts::{Mount, done};
use super::place::Place;
use super::process::Process;
use super::survivor::{Death, Depth, check};
use super::tools::{has, number, skipped};

/// Cuts of one store before another is begun, under a name of its own: what was
/// removed could come back.
const LIVES: u64 = 200;

/// Cuts of one image before another is made.
const IMAGE_CUTS: u64 = 2_000;

const SYSTEMS: [System; 3] = [
    System {
        name: "ext4-ordered",
        make: "mkfs.ext4 -qF",
        bytes: 64 << 20,
        options: "loop,data=ordered",
    },
    System {
        name: "ext4-writeback",
        make: "mkfs.ext4 -qF",
        bytes: 64 << 20,
        options: "loop,data=writeback",
    },
    System {
        name: "xfs",
        make: "mkfs.xfs -q -f",
        bytes: 320 << 20,
        options: "loop",
    },
];

struct System {
    name: &'static str,
    make: &'static str,
    bytes: u64,
    options: &'static str,
}

/// A file system that can be cut off.
struct Medium {
    mount: Mount,
    line: String,
}

impl Medium {
    fn new(system: &System, place: &Place, number: u64) -> Option<Medium> {
        let image = place.path(&format!("image-{number}"));
        fs::File::create(&image).ok()?.set_len(system.bytes).ok()?;
        let line = format!("mount -o {} {}", system.options, image.display());
        let made = done(&format!("{} {}", system.make, image.display()));
        let mount = Mount::new(place.path(&format!("mount-{number}")), &line).filter(|_| made)?;
        Some(Medium { mount, line })
    }

    /// From here on nothing reaches the medium.
    fn cut(&self) {
        assert!(
            done(&format!(
                "xfs_io -x -c shutdown {}",
                self.mount.path.display()
            )),
            "no cut"
        );
    }

    /// As after the machine has started again.
    fn restart(&mut self) {
        assert!(
            self.mount.unmount() && self.mount.again(&self.line),
            "mounting anew"
        );
    }
}

/// Cuts the power so many times; gives what was found wrong first.
fn cut(system: &System, cuts: u64, seed: u64, through: &[&str]) -> Option<Result<u64, String>> {
    let place = Place::new();
    let mut medium = Medium::new(system, &place, 0)?;
    let mut client = Client::default();
    let mut store = medium.mount.path.join("store-0");
    let (mut batches, mut lost) = (0, 0);
    let (mut last, started) = (Instant::now(), Instant::now());
    for number in 0..cuts {
        if number % LIVES == 0 {
            batches += client.acknowledged.iter().sum::<u64>();
            client = Client::default();
            if number > 0 && number % IMAGE_CUTS == 0 {
                drop(medium);
                place.clear();
                medium = Medium::new(system, &place, number)?;
            }
            store = medium.mount.path.join(format!("store-{number}"));
        }
        let workload = mixed(number);
        let said = format!("{}, seed {seed}, cut {number}, {workload:?}", system.name);
        // Calls that fail once the power is gone are not the store's fault.
        let end = |process: &mut Process| {
            let begins = now();
            medium.cut();
            process.kill();
            begins
        };
        let (_, noise) = live(
            (workload, seed.rotate_left(32) ^ number),
            through,
            &store,
            &mut client,
            end,
        );
        assert!(!noise.contains("panicked"), "{said}: {noise}");
        medium.restart();
        let before = client.acknowledged;
        let depth = if through.is_empty() {
            depth(number, &client)
        } else {
            Depth::Read
        };
        if let Err(wrong) = check(&store, &mut client, Death::Cut, depth) {
            return Some(Err(format!("{said}: {wrong}")));
        }
        client.failures.clear();
        lost += u64::from(depth == Depth::Read && client.acknowledged != before);
        if last.elapsed() > Duration::from_secs(60) {
            last = Instant::now();
            println!(
                "{}: {} cuts in {:?}",
                system.name,
                number + 1,
                started.elapsed()
            );
        }
    }
    batches += client.acknowledged.iter().sum::<u64>();
    println!(
        "{}, seed {seed}: {cuts} cuts, {batches} batches kept, after {lost} cuts others than \
         those acknowledged (unanswered, or buffered and gone), {:?}",
        system.name,
        started.elapsed()
    );
    Some(Ok(batches))
}

fn cut_all(cuts: u64, seed: u64) {
    if !has("xfs_io") || !has("mkfs.ext4") {
        return skipped("power cuts", "no xfs_io or mkfs.ext4");
    }
    let wanted = std::env::var("SYSTEM").ok();
    for system in SYSTEMS
        .iter()
        .filter(|system| wanted.as_ref().is_none_or(|wanted| wanted == system.name))
    {
        match cut(system, cuts, seed, &[]) {
            None => skipped(
                &format!("power cuts of {}", system.name),
                "it can not be made and mounted here",
            ),
            Some(outcome) => drop(outcome.unwrap_or_else(|wrong| panic!("{wrong}"))),
        }
    }
}

#[test]
fn some_power_cuts() {
    cut_all(6, 1);
}

#[test]
#[ignore = "long: CUTS of each file system, or of SYSTEM"]
fn long_power_cuts() {
    cut_all(number("CUTS", 1_000), number("SEED", 2));
}

#[test]
fn cuts_lose_what_was_not_synced() {
    if !has("eatmydata") || !has("xfs_io") {
        return skipped("the control of the power cuts", "no eatmydata or xfs_io");
    }
    for system in &SYSTEMS {
        match cut(system, 40, 3, &["eatmydata"]) {
            None => skipped(
                &format!("the control of {}", system.name),
                "it can not be mounted here",
            ),
            Some(Ok(_)) => panic!("{}: without syncs 40 cuts lost nothing", system.name),
            Some(Err(wrong)) => println!(
                "{}: {}",
                system.name,
                wrong.chars().take(120).collect::<String>()
            ),
        }
    }
}
