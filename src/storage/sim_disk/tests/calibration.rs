//! The model against a kernel: whatever a real power cut leaves of a workload,
//! the simulated disk must be able to leave of the same one.
//!
//! Needs root, and a file system that can be cut off (ext4, xfs, f2fs):
//!
//! ```sh
//! truncate -s 64M image; mkfs.ext4 -qF image; mkdir m; mount -o loop image m
//! cat > cut.sh <<'END'
//! python3 -c "import fcntl, os, struct
//! fcntl.ioctl(os.open('m', 0), 0x8004587d, struct.pack('I', 2))"
//! umount m; mount -o loop image m
//! END
//! HOTSTOVE_CUT_DIRECTORY=$PWD/m HOTSTOVE_CUT="cd $PWD; sh cut.sh" \
//!     cargo test --release real_power_cuts -- --ignored --nocapture
//! ```
//!
//! `HOTSTOVE_CUTS=600` says how many cuts, `HOTSTOVE_CUT_SEED=2` which. The size
//! of a block matters (`mkfs.ext4 -b 1024`), and so does `-o data=writeback`.

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::storage::real_disk::RealDisk;

type Files = BTreeMap<String, Vec<u8>>;

#[derive(Clone, Debug)]
enum Step {
    /// At this offset so many of this letter.
    Write(&'static str, u64, usize, char),
    SetLen(&'static str, u64),
    Create(&'static str),
    Rename(&'static str, &'static str),
    Remove(&'static str),
    Sync(&'static str),
    SyncDir,
    /// Has the kernel start to write the file out, which promises nothing.
    Nudge(&'static str),
}

/// One disk with a handle to each of its files, as the store holds them.
struct Player<'a> {
    disk: &'a dyn Disk,
    files: BTreeMap<&'static str, Box<dyn DiskFile>>,
}

/// Each file's length at the start.
const START_BYTES: usize = 1_100;

const NAMES: [&str; 3] = ["a", "b", "c"];

impl<'a> Player<'a> {
    fn new(disk: &'a dyn Disk) -> Self {
        let mut player = Player {
            disk,
            files: BTreeMap::new(),
        };
        for name in ["a", "b"] {
            player.play(&Step::Create(name)).unwrap();
            let letter = char::from(name.as_bytes()[0]);
            player
                .play(&Step::Write(name, 0, START_BYTES, letter))
                .unwrap();
            player.play(&Step::Sync(name)).unwrap();
        }
        player.play(&Step::SyncDir).unwrap();
        player
    }

    fn file(&self, name: &str) -> io::Result<&dyn DiskFile> {
        let file = self.files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(&**file)
    }

    fn play(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Write(name, offset, count, letter) => {
                let bytes = vec![*letter as u8; *count];
                self.file(name)?.write_at(*offset, &bytes)
            }
            Step::SetLen(name, length) => self.file(name)?.set_len(*length),
            Step::Sync(name) => self.file(name)?.sync(),
            Step::SyncDir => self.disk.sync_dir(),
            Step::Nudge(_) => Ok(()),
            Step::Create(name) => {
                let file = self.disk.open(name, Open::Create)?;
                self.files.insert(name, file);
                Ok(())
            }
            Step::Rename(from, to) => {
                self.disk.rename(from, to)?;
                if let Some(file) = self.files.remove(from) {
                    self.files.insert(to, file);
                }
                Ok(())
            }
            Step::Remove(name) => {
                self.disk.remove(name)?;
                self.files.remove(name);
                Ok(())
            }
        }
    }
}

fn random_step(random: &mut Random) -> Step {
    let name = NAMES[random.below(3) as usize];
    match random.below(14) {
        // Within one sector, so that a subset of sectors says all.
        0..5 => {
            let offset = random.below(4) * 512 + random.below(256);
            let letter = char::from(random.below(26) as u8 + b'A');
            Step::Write(name, offset, random.below(200) as usize + 1, letter)
        }
        5 => Step::SetLen(name, random.below(2_000)),
        6 => Step::Create(name),
        7 | 8 => Step::Rename(name, NAMES[random.below(3) as usize]),
        9 => Step::Remove(name),
        10 | 11 => Step::Sync(name),
        12 => Step::SyncDir,
        _ => Step::Nudge(name),
    }
}

/// Plays the same steps on both disks until enough is unsynced.
fn play_on_both(directory: &Path, random: &mut Random) -> (SimDisk, Vec<Step>) {
    let (sim, real) = (SimDisk::new(0), RealDisk::create(directory).unwrap());
    let (mut simulated, mut kernel) = (Player::new(&sim), Player::new(&real));
    let mut steps = Vec::new();
    for _ in 0..random.below(24) {
        let step = random_step(random);
        let outcome = simulated.play(&step).map_err(|error| error.kind());
        assert_eq!(
            outcome,
            kernel.play(&step).map_err(|error| error.kind()),
            "{step:?}"
        );
        if let Step::Nudge(name) = step {
            let file = format!("if={}", directory.join(name).display());
            let mut nudge = Command::new("dd");
            nudge.args([&file, "iflag=nocache", "count=0"]);
            nudge.output().unwrap();
        }
        steps.push(step);
        if sim.unsynced().len() >= 6 {
            break;
        }
    }
    (sim, steps)
}

/// What a write within one sector or a cut of any length can come to: content
/// and length may reach the medium apart, and of a cut each sector for itself.
fn parts(effect: &Unsynced, lengths: &BTreeSet<u64>) -> Vec<Fate> {
    let torn = |sectors, length, filler| {
        Fate::Torn(Tear {
            sectors,
            length,
            filler,
        })
    };
    let mut fates = vec![Fate::Lost, Fate::Whole];
    match effect.change {
        Change::Write {
            offset,
            length,
            grown,
        } => {
            let covers = |end: &&u64| (offset + 1..offset + length).contains(*end);
            let ends = lengths.iter().filter(covers);
            fates.extend(ends.map(|end| Fate::prefix(end - offset)));
            if grown > 0 {
                // The length alone; or the content as well, but not the zeros
                // between the old end and it.
                fates.push(torn(0, length, Filler::Zeros));
                fates.push(torn(0, length, Filler::Own));
                fates.push(torn(u64::MAX, length, Filler::Own));
            }
        }
        Change::SetLen { from, to } if from < to => {
            fates.push(torn(0, to - from, Filler::Own));
        }
        Change::SetLen { from, to } if to < from => {
            // A file system writes the zeros of the block that the cut goes
            // through, which holds some of these sectors, and not the length.
            let sector = SECTOR_BYTES as u64;
            let cut = from.div_ceil(sector) - to / sector;
            fates.extend((1..1 << cut).map(|sectors| torn(sectors, 0, Filler::Zeros)));
        }
        _ => {}
    }
    fates
}

/// The lengths that files had: the content of a write may reach the medium and
/// the length stay at any of these.
fn lengths(effects: &[Unsynced]) -> BTreeSet<u64> {
    let of = |effect: &Unsynced| match effect.change {
        Change::Write {
            offset,
            length,
            grown,
        } => [offset + length, offset + length - grown],
        Change::SetLen { from, to } => [from, to],
        _ => [START_BYTES as u64; 2],
    };
    let start = [START_BYTES as u64];
    effects.iter().flat_map(of).chain(start).collect()
}

/// The disk after every combination of those.
fn crashes_by_part(disk: &SimDisk) -> impl Iterator<Item = SimDisk> {
    let effects = disk.unsynced();
    let lengths = lengths(&effects);
    let choices: Vec<_> = effects
        .iter()
        .map(|effect| parts(effect, &lengths))
        .collect();
    let total: usize = choices.iter().map(Vec::len).product();
    (0..total).map(move |mut combination| {
        let mut choices = choices.iter();
        disk.crash(&mut |_: &Unsynced| {
            let fates = choices.next().unwrap();
            let fate = fates[combination % fates.len()];
            combination /= fates.len();
            fate
        })
    })
}

/// Contents made readable: each run of one byte as that byte and its length.
fn runs(files: &Files) -> Vec<(String, Vec<(char, usize)>)> {
    let runs = |content: &Vec<u8>| {
        let runs = content.chunk_by(|one, next| one == next);
        runs.map(|run| (char::from(run[0]), run.len())).collect()
    };
    let readable = |(name, content): (&String, &Vec<u8>)| (name.clone(), runs(content));
    files.iter().map(readable).collect()
}

fn files_of(disk: &SimDisk) -> Files {
    let content = |name: String| (name.clone(), disk.content(&name).unwrap());
    disk.names().into_iter().map(content).collect()
}

fn files_in(directory: &Path) -> Files {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths
        .map(|path| (name(&path), std::fs::read(&path).unwrap()))
        .collect()
}

#[test]
#[ignore = "cuts off a mounted file system; see the head of this file"]
fn real_power_cuts_are_in_the_model() {
    let number =
        |name: &str, default| env::var(name).map_or(default, |text| text.parse::<u64>().unwrap());
    let root = PathBuf::from(env::var("HOTSTOVE_CUT_DIRECTORY").unwrap());
    let cut = env::var("HOTSTOVE_CUT").unwrap();
    let (seed, cuts) = (number("HOTSTOVE_CUT_SEED", 1), number("HOTSTOVE_CUTS", 100));
    let mut random = Random::new(seed);
    let (mut workloads, mut something_lost, mut something_kept) = (0, 0, 0);
    for round in 0..cuts {
        // Fresh directories: what lay there before could come back.
        let directories = (0..=random.below(8)).map(|index| root.join(format!("{round}-{index}")));
        let played: Vec<_> = directories
            .map(|directory| {
                let (sim, steps) = play_on_both(&directory, &mut random);
                (directory, sim, steps)
            })
            .collect();
        let done = Command::new("sh").args(["-c", &cut]).status().unwrap();
        assert!(done.success());
        for (directory, sim, steps) in played {
            let left = files_in(&directory);
            let allowed = crashes_by_part(&sim).any(|after| files_of(&after) == left);
            assert!(
                allowed,
                "seed {seed}, {directory:?}: {steps:?} left {:?}",
                runs(&left)
            );
            workloads += 1;
            something_lost += u64::from(left != files_of(&sim));
            something_kept += u64::from(left != files_of(&sim.crash_with_subset(0)));
        }
    }
    println!(
        "{cuts} cuts, {workloads} workloads: all in the model, \
         {something_lost} lost something, {something_kept} kept something unsynced"
    );
    assert!(something_lost > 0, "the cuts cut nothing");
}
