//! Calls that fail, a medium that fills up, lies and rots.

use std::io::ErrorKind;

use super::*;

#[test]
fn the_nth_call_fails_once() {
    let (disk, file) = disk_with(b"");
    disk.inject(Fault::on(&[Call::Write]).after(1));
    file.write_at(0, b"one").unwrap();
    file.sync().unwrap();
    let error = file.write_at(3, b"two").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    file.write_at(3, b"six").unwrap();
    assert_eq!(disk.content("a").unwrap(), b"onesix");
}

#[test]
fn every_call_can_fail() {
    for call in Call::ALL {
        let (disk, file) = disk_with(b"kept");
        disk.inject(Fault::on(&[call]).kind(ErrorKind::QuotaExceeded).forever());
        let before = disk.calls_of(call);
        let results = [
            disk.open("a", Open::Read).map(drop),
            disk.open("b", Open::Create).map(drop),
            disk.rename("a", "c"),
            disk.rename("c", "a"),
            disk.remove("b"),
            disk.list().map(drop),
            disk.sync_dir(),
            disk.lock("LOCK", true).map(drop),
            file.len().map(drop),
            file.read_at(0, &mut [0; 2]),
            file.write_at(0, b"KE"),
            file.sync(),
            file.set_len(4),
            file.map().map(drop),
        ];
        let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        assert!(!failed.is_empty(), "{call:?}");
        let injected = |error: &io::Error| error.kind() == ErrorKind::QuotaExceeded;
        assert!(injected(&failed[0]), "{call:?}");
        assert!(disk.calls_of(call) > before, "{call:?}");
        disk.heal();
        file.write_at(0, b"KE").unwrap();
        assert_eq!(disk.content("a").unwrap(), b"KEpt");
    }
}

#[test]
fn a_fault_may_strike_one_file_only() {
    let (disk, file) = disk_with(b"");
    let fault = Fault::on(&[Call::Write]).errno(libc::ENOSPC);
    disk.inject(fault.in_file("wal").forever());
    let wal = disk.open("wal-1", Open::Create).unwrap();
    for _ in 0..3 {
        file.write_at(0, b"fine").unwrap();
        let error = wal.write_at(0, b"full").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}

#[test]
fn a_failed_write_leaves_a_prefix() {
    let (disk, file) = disk_with(b"");
    disk.inject(Fault::on(&[Call::Write]).outcome(Outcome::Prefix(2)));
    file.write_at(0, b"whole").unwrap_err();
    assert_eq!(disk.content("a").unwrap(), b"wh");
    let mut lengths = [false; 6];
    for _ in 0..200 {
        file.set_len(0).unwrap();
        disk.inject(Fault::on(&[Call::Write]).outcome(Outcome::Torn));
        file.write_at(0, b"whole").unwrap_err();
        let content = disk.content("a").unwrap();
        assert!(b"whole".starts_with(&content));
        lengths[content.len()] = true;
    }
    assert_eq!(lengths, [true; 6]);
}

#[test]
fn a_call_may_fail_and_have_happened() {
    let (disk, _file) = disk_with(b"kept");
    disk.inject(Fault::on(&[Call::Rename]).outcome(Outcome::Everything));
    disk.rename("a", "b").unwrap_err();
    assert_eq!(disk.names(), ["b"]);
    disk.inject(Fault::on(&[Call::Create]).outcome(Outcome::Everything));
    disk.open("c", Open::Create).unwrap_err();
    assert_eq!(disk.names(), ["b", "c"]);
}

#[test]
fn a_failed_sync_drops_what_it_should_have_written() {
    let (disk, file) = disk_with(b"old");
    file.write_at(0, b"new").unwrap();
    disk.inject(Fault::on(&[Call::Sync]).outcome(Outcome::DROPS));
    file.sync().unwrap_err();
    // All looks well, and the second sync says so; but it is lost.
    assert_eq!(disk.content("a").unwrap(), b"new");
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "a"), [some(b"old")]);
}

#[test]
fn a_failed_sync_keeps_what_it_should_have_written() {
    let (disk, file) = disk_with(b"old");
    file.write_at(0, b"new").unwrap();
    disk.inject(Fault::on(&[Call::Sync]));
    file.sync().unwrap_err();
    assert_eq!(outcomes(&disk, "a"), [some(b"new"), some(b"old")]);
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, "a"), [some(b"new")]);
}

#[test]
fn a_failed_sync_may_have_worked() {
    let (disk, file) = disk_with(b"old");
    file.write_at(0, b"new").unwrap();
    disk.inject(Fault::on(&[Call::Sync]).outcome(Outcome::Everything));
    file.sync().unwrap_err();
    assert_eq!(outcomes(&disk, "a"), [some(b"new")]);
}

#[test]
fn a_failed_sync_may_have_written_some() {
    let (disk, file) = disk_with(&[b'.'; 1024]);
    let mut seen = Vec::new();
    for _ in 0..60 {
        file.write_at(0, b"x").unwrap();
        file.write_at(512, b"x").unwrap();
        disk.inject(Fault::on(&[Call::Sync]).outcome(Outcome::Torn));
        file.sync().unwrap_err();
        let content = disk.crash_with_subset(0).content("a").unwrap();
        seen.push((content[0], content[512]));
        disk.overwrite("a", 0, &[b'.'; 1024]).unwrap();
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

#[test]
fn a_failed_sync_of_the_directory_drops_names() {
    let (disk, _file) = disk_with(b"kept");
    disk.rename("a", "b").unwrap();
    disk.inject(Fault::on(&[Call::SyncDir]).outcome(Outcome::DROPS));
    disk.sync_dir().unwrap_err();
    disk.sync_dir().unwrap();
    assert_eq!(disk.names(), ["b"]);
    assert_eq!(disk.crash_with_subset(u64::MAX).names(), ["a"]);
}

#[test]
fn a_full_disk_takes_what_fits_and_more_once_there_is_room() {
    let (disk, file) = disk_with(b"");
    disk.set_capacity(Some(disk.used() + 4));
    let error = file.write_at(0, b"too much").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(disk.content("a").unwrap(), b"too ");
    file.write_at(0, b"over").unwrap();
    assert_eq!(failure(file.set_len(5)), ErrorKind::StorageFull);
    assert_eq!(
        failure(disk.open("b", Open::Create)),
        ErrorKind::StorageFull
    );
    assert_eq!(failure(disk.lock("LOCK", true)), ErrorKind::StorageFull);
    assert_eq!(disk.names(), ["a"]);
    disk.set_capacity(Some(disk.used() + 2));
    file.write_at(4, b"by").unwrap();
    file.write_at(6, b"te").unwrap_err();
    file.set_len(0).unwrap();
    file.write_at(0, b"six by").unwrap();
    disk.set_capacity(None);
    file.write_at(6, b" nine").unwrap();
    assert_eq!(disk.content("a").unwrap(), b"six by nine");
}

#[test]
fn room_comes_back_when_the_last_handle_goes() {
    let (disk, file) = disk_with(&[0; 5_000]);
    let used = disk.used();
    disk.remove("a").unwrap();
    assert_eq!(disk.used(), used);
    drop(file);
    assert_eq!(disk.used(), 0);
}

#[test]
fn a_lying_disk_loses_what_it_swore_to_keep() {
    let (disk, file) = disk_with(b"old");
    disk.set_lying(true);
    file.write_at(0, b"new").unwrap();
    file.sync().unwrap();
    disk.rename("a", "b").unwrap();
    disk.sync_dir().unwrap();
    assert_eq!(disk.crash_with_subset(0).content("a").unwrap(), b"old");
    assert_eq!(disk.crash_with_subset(3).content("b").unwrap(), b"new");
    disk.set_lying(false);
    file.sync().unwrap();
    assert_eq!(disk.crash_with_subset(0).content("a").unwrap(), b"new");
}

#[test]
fn death_strikes_every_call_from_one_on() {
    let (disk, file) = disk_with(b"");
    let start = disk.calls();
    disk.crash_after_call(start + 2);
    file.write_at(0, b"one").unwrap();
    file.write_at(3, b"two").unwrap();
    let error = file.write_at(6, b"six").unwrap_err();
    assert!(SimDisk::is_death(&error));
    assert!(SimDisk::is_death(&file.sync().unwrap_err()));
    assert!(SimDisk::is_death(&disk.list().unwrap_err()));
    assert!(!SimDisk::is_death(&ErrorKind::Other.into()));
    assert_eq!(disk.kill().content("a").unwrap(), b"onetwo");
    disk.heal();
    file.write_at(6, b"six").unwrap();
}

#[test]
fn death_may_strike_in_the_middle_of_a_write() {
    let (disk, file) = disk_with(b"");
    disk.inject(
        Fault::on(&[Call::Write])
            .after(1)
            .dying()
            .outcome(Outcome::Prefix(1)),
    );
    file.write_at(0, b"one").unwrap();
    assert!(SimDisk::is_death(&file.write_at(3, b"two").unwrap_err()));
    assert!(SimDisk::is_death(&file.write_at(4, b"wo").unwrap_err()));
    assert_eq!(disk.kill().content("a").unwrap(), b"onet");
}

#[test]
fn calls_are_counted_and_recorded() {
    let (disk, file) = disk_with(b"");
    disk.start_trace();
    disk.inject(Fault::on(&[Call::Sync]));
    file.write_at(5, b"three").unwrap();
    file.sync().unwrap_err();
    disk.sync_dir().unwrap();
    let trace = disk.take_trace();
    let shown: Vec<_> = trace
        .iter()
        .map(|traced| (traced.call, traced.file.as_str(), traced.failed))
        .collect();
    assert_eq!(
        shown,
        [
            (Call::Write, "a", false),
            (Call::Sync, "a", true),
            (Call::SyncDir, "", false)
        ]
    );
    assert_eq!((trace[0].offset, trace[0].length), (5, 5));
    assert_eq!(disk.calls(), 4);
    assert_eq!(disk.calls_of(Call::Open), 1);
    assert!(disk.take_trace().is_empty());
}

#[test]
fn the_medium_rots_for_every_reader() {
    let (disk, file) = disk_with(&[0xff; 1500]);
    disk.flip_bit("a", 8 * 700 + 3).unwrap();
    let mut byte = [0];
    file.read_at(700, &mut byte).unwrap();
    assert_eq!(byte, [0xff ^ 8]);
    disk.zero_sector("a", 2).unwrap();
    disk.overwrite("a", 1498, b"tail").unwrap();
    disk.truncate("a", 1501).unwrap();
    let content = disk.crash_with_subset(0).content("a").unwrap();
    assert_eq!(content, disk.content("a").unwrap());
    assert!(content[1024..1498].iter().all(|byte| *byte == 0));
    assert_eq!(content[1023], 0xff);
    assert_eq!(&content[1498..], b"tai");
    disk.lose("a").unwrap();
    assert!(disk.names().is_empty());
    assert!(disk.crash_with_subset(0).names().is_empty());
    assert_eq!(failure(disk.flip_bit("a", 0)), ErrorKind::NotFound);
}

fn failure<T>(result: io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("should have failed"),
        Err(error) => error.kind(),
    }
}
