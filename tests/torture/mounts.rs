//! File systems made for a test and gone with it. They need root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a command; says whether it did.
pub fn done(line: &str) -> bool {
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Something mounted, until dropped.
pub struct Mount {
    pub path: PathBuf,
    mounted: bool,
}

impl Mount {
    /// Makes the directory and mounts onto it; none where that is not allowed.
    pub fn new(path: PathBuf, mount: &str) -> Option<Mount> {
        std::fs::create_dir_all(&path).ok()?;
        let mut made = Mount {
            path,
            mounted: false,
        };
        made.again(mount).then_some(made)
    }

    pub fn again(&mut self, mount: &str) -> bool {
        self.mounted = done(&format!("{mount} {}", self.path.display()));
        self.mounted
    }

    /// Somebody may still be looking at it for an instant.
    pub fn unmount(&mut self) -> bool {
        let line = format!("umount {}", self.path.display());
        self.mounted = !(0..50).any(|_| {
            done(&line) || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                false
            }
        });
        !self.mounted
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted && !self.unmount() {
            done(&format!("umount -l {}", self.path.display()));
        }
    }
}

/// A file system in memory of so many KiB.
pub fn memory(path: &Path, kib: u64) -> Option<Mount> {
    Mount::new(
        path.to_owned(),
        &format!("mount -t tmpfs -o size={kib}k none"),
    )
}
