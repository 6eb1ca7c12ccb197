//! That each misdeed of the simulated disk really happens, and that nothing
//! worse does: a fault that never strikes proves whatever it is asked to.

mod calibration;
mod crashes;
mod faults;
mod protocol;
mod tears;

use super::*;
use crate::storage::disk::{Disk, DiskFile, Open};

/// A disk with one durable file `a`, and a handle to it.
fn disk_with(content: &[u8]) -> (SimDisk, Box<dyn DiskFile>) {
    let disk = SimDisk::new(7);
    disk.put("a", content);
    let file = disk.open("a", Open::Write).unwrap();
    (disk, file)
}

/// The distinct contents of `name` after every such cut, `None` for no file.
fn outcomes(disk: &SimDisk, name: &str) -> Vec<Option<Vec<u8>>> {
    let mut all: Vec<_> = disk
        .crashes(0)
        .map(|after| after.content(name).ok())
        .collect();
    all.sort();
    all.dedup();
    all
}

fn some(content: &[u8]) -> Option<Vec<u8>> {
    Some(content.to_vec())
}
