//! Where stores of these tests lie: in memory where that can be had, since
//! nothing here depends on the medium, and kills come faster.

use std::path::{Path, PathBuf};
use std::{env, fs};

use tempfile::TempDir;

/// A directory of its own, gone with the test.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        let chosen = env::var("HOTSTOVE_TORTURE_DIRECTORY").map(PathBuf::from);
        let memory = Path::new("/dev/shm");
        let base = match chosen {
            Ok(chosen) => chosen,
            Err(_) if memory.is_dir() => memory.to_owned(),
            Err(_) => env::temp_dir(),
        };
        // Not everyone may write there.
        let made = tempfile::tempdir_in(base).or_else(|_| tempfile::tempdir());
        Place(made.expect("a temporary directory"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Empties it.
    pub fn clear(&self) {
        for entry in fs::read_dir(self.0.path()).unwrap() {
            let path = entry.unwrap().path();
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.expect("emptying a temporary directory");
        }
    }
}

/// Copies a store, which is one directory of files.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
