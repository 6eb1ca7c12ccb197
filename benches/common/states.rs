//! W1 in its two states, built once and shared by all benches.
//!
//! They lie in `target/tmp/w1/`, in a directory named after the scale and a
//! checksum of the library's and the generator's sources, so that no change of
//! either is measured on an old store; `rm -r target/tmp/w1` drops them. They
//! are built by a process of their own, so that a bench's peak memory is its
//! own too.

use std::path::{Path, PathBuf};
use std::process::Command;

use hotstove::{Options, Reader, Store};

use super::{buffered, ingest, scale};

/// Set in the process that builds, to where.
const BUILD: &str = "HOTSTOVE_W1_BUILD";

/// Paths of W1's stores: to be read, or copied by [`copy`] to be written.
pub struct States {
    /// Streamed in, a commit a minute, merged in passing as it goes, flushed.
    pub fresh: PathBuf,
    /// The same, compacted: all but the last two days are encoded densely.
    pub compacted: PathBuf,
}

impl States {
    /// Both states with their names.
    pub fn each(&self) -> [(&'static str, &Path); 2] {
        [("fresh", &self.fresh), ("compacted", &self.compacted)]
    }
}

/// Finds the two stores, or builds them: to be called before all else a bench
/// does, since the process that builds begins as the same bench.
pub fn states() -> States {
    if let Some(building) = std::env::var_os(BUILD) {
        build(Path::new(&building));
        std::process::exit(0);
    }
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("w1");
    let own = format!("{}-{:016x}", scale(), sources());
    let directory = root.join(&own);
    if !whole(&directory) {
        drop_others(&root, &own);
        let building = root.join(format!("building-{}", std::process::id()));
        let status = Command::new(std::env::current_exe().expect("this bench"))
            .args(std::env::args_os().skip(1))
            .env(BUILD, &building)
            .env("HOTSTOVE_W1_SCALE", scale().to_string())
            .status()
            .expect("the process that builds W1 starts");
        assert!(status.success(), "W1 is built");
        std::fs::rename(&building, &directory).expect("a finished W1 is kept");
    }
    let told = std::fs::read_to_string(directory.join("told")).unwrap_or_default();
    println!("{told}");
    States {
        fresh: directory.join("fresh"),
        compacted: directory.join("compacted"),
    }
}

/// Copies a store to write to it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a store") {
        let entry = entry.expect("a file of the store");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

fn build(directory: &Path) {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory).expect("a directory for W1");
    let (fresh, compacted) = (directory.join("fresh"), directory.join("compacted"));
    let (store, ingested) = ingest(&fresh, buffered(), scale(), u32::MAX);
    store.flush().expect("a flush");
    store.close().expect("a close");
    copy(&fresh, &compacted);
    let store = Store::open(&compacted, Options::new()).expect("the copy opens");
    store.compact().expect("a compaction");
    store.close().expect("a close");
    std::fs::write(directory.join("told"), ingested.told).expect("what was generated");
}

/// Whether both stores are there and sound, every byte of them.
fn whole(directory: &Path) -> bool {
    ["fresh", "compacted"].iter().all(|state| {
        let reader = Reader::open(directory.join(state));
        let verified = reader.and_then(|reader| reader.verify());
        verified.is_ok_and(|verification| verification.is_sound())
    })
}

/// Removes what older sources built at this scale.
fn drop_others(root: &Path, own: &str) {
    let (scale, _) = own.rsplit_once('-').expect("scale and checksum");
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let other = name.to_str().and_then(|name| name.rsplit_once('-'));
        if other.is_some_and(|(other, _)| other == scale) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A checksum of everything that decides what the stores look like.
fn sources() -> u64 {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut waiting = vec![
        root.join("src"),
        root.join("benches/w1"),
        root.join("Cargo.lock"),
    ];
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        match std::fs::read_dir(&path) {
            Ok(entries) => waiting.extend(entries.flatten().map(|entry| entry.path())),
            Err(_) => files.push(path),
        }
    }
    files.sort();
    // FNV-1a.
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        for byte in std::fs::read(file).unwrap_or_default() {
            sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    sum
}
