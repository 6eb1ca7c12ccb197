//! What every disk does: the same cases on the operating system's, mapped and
//! not, and on the simulated one.

use std::io::ErrorKind;

use super::disk::{Disk, DiskFile, Open};
use super::real_disk::RealDisk;
use super::sim_disk::SimDisk;

/// One disk as a writer and as a reader see it.
struct Fixture {
    disk: Box<dyn Disk>,
    reader: Box<dyn Disk>,
    _directory: Option<tempfile::TempDir>,
}

fn real(mapping: bool) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = RealDisk::open(directory.path()).unwrap();
    if !mapping {
        disk = disk.without_mapping();
    }
    Fixture {
        disk: Box::new(disk),
        reader: Box::new(RealDisk::read_only(directory.path()).unwrap()),
        _directory: Some(directory),
    }
}

fn simulated() -> Fixture {
    let disk = SimDisk::new(1);
    Fixture {
        reader: Box::new(disk.read_only()),
        disk: Box::new(disk),
        _directory: None,
    }
}

macro_rules! on_every_disk {
    ($($case:ident),* $(,)?) => {
        #[cfg(not(miri))]
        mod mapped { $(#[test] fn $case() { super::$case(&super::real(true)); })* }
        #[cfg(not(miri))]
        mod unmapped { $(#[test] fn $case() { super::$case(&super::real(false)); })* }
        mod simulated { $(#[test] fn $case() { super::$case(&super::simulated()); })* }
    };
}

on_every_disk!(
    what_is_written_is_read,
    lengths_change,
    creation_is_exclusive,
    a_missing_file_is_not_found,
    handles_for_reading_do_not_write,
    handles_share_the_file,
    renaming_replaces,
    removal_spares_open_files,
    every_name_is_listed,
    names_stay_in_the_directory,
    one_writer_or_many_readers,
    a_reader_needs_no_lock_file,
    maps_are_the_whole_file,
    a_reader_changes_nothing,
);

fn put(disk: &dyn Disk, name: &str, content: &[u8]) -> Box<dyn DiskFile> {
    let file = disk.open(name, Open::Create).unwrap();
    file.write_at(0, content).unwrap();
    file.sync().unwrap();
    disk.sync_dir().unwrap();
    file
}

fn content(file: &dyn DiskFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn failure<T>(result: std::io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("should have failed"),
        Err(error) => error.kind(),
    }
}

fn sorted(disk: &dyn Disk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.sort();
    names
}

fn what_is_written_is_read(fixture: &Fixture) {
    let file = put(&*fixture.disk, "a", b"0123456789");
    file.write_at(3, b"xyz").unwrap();
    file.write_at(12, b"end").unwrap();
    file.write_at(99, b"").unwrap();
    assert_eq!(content(&*file), b"012xyz6789\0\0end");
    let mut middle = [0; 4];
    file.read_at(2, &mut middle).unwrap();
    assert_eq!(&middle, b"2xyz");
    assert_eq!(
        failure(file.read_at(12, &mut [0; 4])),
        ErrorKind::UnexpectedEof
    );
    assert_eq!(
        failure(file.read_at(1 << 40, &mut [0; 1])),
        ErrorKind::UnexpectedEof
    );
    file.read_at(1 << 40, &mut []).unwrap();
}

fn lengths_change(fixture: &Fixture) {
    let file = put(&*fixture.disk, "a", b"0123456789");
    file.set_len(4).unwrap();
    assert_eq!(file.len().unwrap(), 4);
    file.set_len(6).unwrap();
    assert_eq!(content(&*file), b"0123\0\0");
    file.sync().unwrap();
    file.sync().unwrap();
}

fn creation_is_exclusive(fixture: &Fixture) {
    put(&*fixture.disk, "a", b"kept");
    assert_eq!(
        failure(fixture.disk.open("a", Open::Create)),
        ErrorKind::AlreadyExists
    );
    let file = fixture.disk.open("a", Open::Read).unwrap();
    assert_eq!(content(&*file), b"kept");
}

fn a_missing_file_is_not_found(fixture: &Fixture) {
    let disk = &fixture.disk;
    assert_eq!(failure(disk.open("a", Open::Read)), ErrorKind::NotFound);
    assert_eq!(failure(disk.open("a", Open::Write)), ErrorKind::NotFound);
    assert_eq!(failure(disk.rename("a", "b")), ErrorKind::NotFound);
    assert_eq!(failure(disk.remove("a")), ErrorKind::NotFound);
    assert!(disk.list().unwrap().is_empty());
}

fn handles_for_reading_do_not_write(fixture: &Fixture) {
    put(&*fixture.disk, "a", b"kept");
    let file = fixture.disk.open("a", Open::Read).unwrap();
    assert!(file.write_at(0, b"lost").is_err());
    assert!(file.set_len(0).is_err());
    assert_eq!(content(&*file), b"kept");
}

fn handles_share_the_file(fixture: &Fixture) {
    let file = put(&*fixture.disk, "a", b"one");
    let reader = fixture.reader.open("a", Open::Read).unwrap();
    let writer = fixture.disk.open("a", Open::Write).unwrap();
    writer.write_at(3, b", two").unwrap();
    assert_eq!(content(&*reader), b"one, two");
    assert_eq!(content(&*file), b"one, two");
}

fn renaming_replaces(fixture: &Fixture) {
    let disk = &fixture.disk;
    let old = put(&**disk, "a", b"old");
    let mapped = old.map().unwrap();
    put(&**disk, "b", b"new");
    disk.rename("b", "a").unwrap();
    assert_eq!(sorted(&**disk), ["a"]);
    assert_eq!(content(&*disk.open("a", Open::Read).unwrap()), b"new");
    assert_eq!(content(&*old), b"old");
    assert_eq!(mapped, "old");
    disk.rename("a", "a").unwrap();
    assert_eq!(sorted(&**disk), ["a"]);
}

fn removal_spares_open_files(fixture: &Fixture) {
    let disk = &fixture.disk;
    let file = put(&**disk, "a", b"old");
    let mapped = file.map().unwrap();
    disk.remove("a").unwrap();
    assert!(disk.list().unwrap().is_empty());
    put(&**disk, "a", b"new");
    file.write_at(0, b"O").unwrap();
    assert_eq!(content(&*file), b"Old");
    drop(file);
    disk.sync_dir().unwrap();
    assert!(mapped.ends_with(b"ld"));
    assert_eq!(content(&*disk.open("a", Open::Read).unwrap()), b"new");
}

fn every_name_is_listed(fixture: &Fixture) {
    let longest = "n".repeat(255);
    let mut names = ["b", "a name", ".hidden", "größe", &longest];
    for name in names {
        put(&*fixture.disk, name, name.as_bytes());
    }
    names.sort();
    assert_eq!(sorted(&*fixture.disk), names);
    assert_eq!(sorted(&*fixture.reader), names);
}

fn names_stay_in_the_directory(fixture: &Fixture) {
    let disk = &fixture.disk;
    put(&**disk, "a", b"kept");
    let too_long = "n".repeat(256);
    for name in [
        "", ".", "..", "/", "a/b", "/a", "../a", "a/", "a\0", &too_long,
    ] {
        for how in [Open::Read, Open::Write, Open::Create] {
            assert_eq!(failure(disk.open(name, how)), ErrorKind::InvalidInput);
        }
        assert_eq!(failure(disk.rename("a", name)), ErrorKind::InvalidInput);
        assert_eq!(failure(disk.rename(name, "a")), ErrorKind::InvalidInput);
        assert_eq!(failure(disk.remove(name)), ErrorKind::InvalidInput);
        for exclusive in [false, true] {
            assert_eq!(failure(disk.lock(name, exclusive)), ErrorKind::InvalidInput);
        }
    }
    assert_eq!(sorted(&**disk), ["a"]);
}

fn one_writer_or_many_readers(fixture: &Fixture) {
    let free = |exclusive| fixture.disk.lock("LOCK", exclusive).unwrap().is_some();
    let writer = fixture.disk.lock("LOCK", true).unwrap().unwrap();
    assert!(!free(true));
    assert!(!free(false));
    assert!(fixture.reader.lock("LOCK", false).unwrap().is_none());
    drop(writer);
    assert_eq!(sorted(&*fixture.disk), ["LOCK"]);
    let first = fixture.reader.lock("LOCK", false).unwrap().unwrap();
    let second = fixture.disk.lock("LOCK", false).unwrap().unwrap();
    assert!(!free(true));
    drop(first);
    assert!(!free(true));
    drop(second);
    assert!(free(true));
}

fn a_reader_needs_no_lock_file(fixture: &Fixture) {
    assert!(fixture.reader.lock("LOCK", false).unwrap().is_some());
    assert!(fixture.disk.list().unwrap().is_empty());
    assert_eq!(
        failure(fixture.reader.lock("LOCK", true)),
        ErrorKind::PermissionDenied
    );
}

fn maps_are_the_whole_file(fixture: &Fixture) {
    let bytes: Vec<u8> = (0..100_000_u32).map(|index| index as u8).collect();
    let file = put(&*fixture.disk, "a", &bytes);
    assert_eq!(file.map().unwrap(), bytes);
    let reader = fixture.reader.open("a", Open::Read).unwrap();
    assert_eq!(reader.map().unwrap(), bytes);
    let empty = put(&*fixture.disk, "b", b"");
    assert!(empty.map().unwrap().is_empty());
}

fn a_reader_changes_nothing(fixture: &Fixture) {
    put(&*fixture.disk, "a", b"kept");
    let reader = &fixture.reader;
    let denied = ErrorKind::PermissionDenied;
    assert_eq!(failure(reader.open("a", Open::Write)), denied);
    assert_eq!(failure(reader.open("b", Open::Create)), denied);
    assert_eq!(failure(reader.rename("a", "b")), denied);
    assert_eq!(failure(reader.remove("a")), denied);
    assert_eq!(failure(reader.sync_dir()), denied);
    assert_eq!(sorted(&**reader), ["a"]);
    let file = reader.open("a", Open::Read).unwrap();
    assert!(file.write_at(0, b"lost").is_err());
    assert_eq!(content(&*file), b"kept");
}
