//! The disk as a judge: it passes the known way to replace a file, and fails
//! it with any one step left out.

use super::*;

const OLD: &[u8] = &[b'o'; 700];
const NEW: &[u8] = &[b'n'; 1300];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Omit {
    Nothing,
    FileSync,
    Rename,
    DirectorySync,
}

/// Written aside, synced, renamed, and the directory synced.
fn replace(disk: &SimDisk, omit: Omit) -> io::Result<()> {
    if omit == Omit::Rename {
        let file = disk.open("a", Open::Write)?;
        file.write_at(0, NEW)?;
        return file.sync();
    }
    let file = disk.open("a.tmp", Open::Create)?;
    file.write_at(0, NEW)?;
    if omit != Omit::FileSync {
        file.sync()?;
    }
    disk.rename("a.tmp", "a")?;
    if omit != Omit::DirectorySync {
        disk.sync_dir()?;
    }
    Ok(())
}

/// Cuts the power after every call and in every way, and says whether `a` was
/// always whole: the old one or the new, and the new once that was promised.
fn survives(omit: Omit) -> bool {
    let mut survived = true;
    for calls in 0.. {
        let (disk, _file) = disk_with(OLD);
        disk.crash_after_call(disk.calls() + calls);
        let promised = replace(&disk, omit).is_ok();
        for after in disk.crashes(200) {
            let content = after.content("a").unwrap_or_default();
            survived &= content == NEW || (!promised && content == OLD);
        }
        if promised {
            break;
        }
    }
    survived
}

#[test]
fn the_whole_protocol_survives() {
    assert!(survives(Omit::Nothing));
}

#[test]
fn no_step_can_be_left_out() {
    for omit in [Omit::FileSync, Omit::Rename, Omit::DirectorySync] {
        assert!(!survives(omit), "{omit:?}");
    }
}

/// A lie can not be survived; but it must be able to show.
#[test]
fn a_lying_disk_fails_it() {
    let (disk, _file) = disk_with(OLD);
    disk.set_lying(true);
    replace(&disk, Omit::Nothing).unwrap();
    assert!(
        disk.crashes(0)
            .any(|after| after.content("a").unwrap() == OLD)
    );
}
