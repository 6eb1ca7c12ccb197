//! Real files: who may write them, and what stands in their place.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use super::{METRICS, Write, batch, name};
use crate::engine::audit;
use crate::engine::options::Options;
use crate::engine::reader::Reader;
use crate::engine::repair::repair;
use crate::engine::store::Store;
use crate::error::{ErrorKind, Result};
use crate::format::audit::Override;
use crate::model::Metric;
use crate::storage::real_disk::RealDisk;

fn options() -> Options {
    Options::new().background(false)
}

fn fill(store: &Store, minute: u32) {
    let write = Write {
        release: 0,
        metric: 0,
        minute,
        value: 1,
    };
    store.commit(batch(store, &[write])).unwrap();
}

/// A store with every sort of file.
fn make(path: &Path) {
    let store = Store::open(path, options()).unwrap();
    let (metric, kind) = METRICS[0];
    store
        .define_metric(&Metric::new(name(metric), kind))
        .unwrap();
    fill(&store, 1);
    store.flush().unwrap();
    fill(&store, 2);
    store.close().unwrap();
    let record = Override {
        at: 1,
        release: "a".into(),
        metric: "crashes".into(),
        reason: "because".into(),
    };
    audit::append(&RealDisk::open(path).unwrap(), &record).unwrap();
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Runs what must come to an end.
fn bounded<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || done.send(run()));
    // Patient with a machine that is busy; a pipe without another end waits for ever.
    wait.recv_timeout(Duration::from_secs(120)).expect("hangs")
}

#[test]
fn files_are_their_owners_and_sealed_ones_are_nobodys_to_write() {
    let parent = tempfile::tempdir().unwrap();
    let (path, copy) = (parent.path().join("store"), parent.path().join("copy"));
    make(&path);
    Reader::open(&path).unwrap().backup(&copy).unwrap();
    for path in [path, copy] {
        assert_eq!(mode(&path), 0o700);
        let mut segments = 0;
        for name in names(&path) {
            let sealed = name.ends_with(".seg");
            segments += usize::from(sealed);
            let wanted = if sealed { 0o400 } else { 0o600 };
            assert_eq!(mode(&path.join(&name)), wanted, "{name}");
        }
        assert!(segments > 0);
    }
}

#[test]
fn a_directory_anybody_may_write_to_is_read_and_not_written() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("store");
    make(&path);
    let empty = parent.path().join("empty");
    fs::create_dir(&empty).unwrap();
    for public in [0o777, 0o1777, 0o702] {
        fs::set_permissions(&path, Permissions::from_mode(public)).unwrap();
        fs::set_permissions(&empty, Permissions::from_mode(public)).unwrap();
        let before = names(&path);
        let reader = Reader::open(&path).unwrap();
        let record = Override {
            at: 1,
            release: "a".into(),
            metric: "crashes".into(),
            reason: "because".into(),
        };
        let refused: [Result<()>; 5] = [
            Store::open(&path, options()).map(drop),
            Store::open(&empty, options()).map(drop),
            repair(&path).map(drop),
            reader.backup(&empty).map(drop),
            reader.record_override(&record),
        ];
        for refused in refused {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("chmod o-w"), "{error}");
        }
        assert_eq!(names(&path), before);
        assert!(names(&empty).is_empty());
    }
    // A group is trusted, if its owner says so.
    fs::set_permissions(&path, Permissions::from_mode(0o770)).unwrap();
    Store::open(&path, options()).unwrap();
}

/// Links lead elsewhere, pipes have no other end, directories are no files.
#[test]
fn what_is_no_file_is_neither_followed_nor_waited_for() {
    let parent = tempfile::tempdir().unwrap();
    let sound = parent.path().join("sound");
    make(&sound);
    for file in names(&sound) {
        for sort in ["link", "dangling", "pipe", "directory"] {
            let path = parent.path().join(format!("{file}-{sort}"));
            fs::create_dir(&path).unwrap();
            for name in names(&sound) {
                fs::copy(sound.join(&name), path.join(&name)).unwrap();
            }
            let (odd, target) = (path.join(&file), parent.path().join("target"));
            let content = fs::read(&odd).unwrap();
            fs::remove_file(&odd).unwrap();
            fs::write(&target, &content).unwrap();
            match sort {
                "link" => symlink(&target, &odd).unwrap(),
                "dangling" => symlink(parent.path().join("nowhere"), &odd).unwrap(),
                "pipe" => assert!(Command::new("mkfifo").arg(&odd).status().unwrap().success()),
                _ => fs::create_dir(&odd).unwrap(),
            }
            let sorted = fs::symlink_metadata(&odd).unwrap().file_type();
            let say = format!("{file} is a {sort}");
            let own = path.clone();
            let (read, repaired, written) = bounded(move || {
                let read = Reader::open(&own).and_then(|reader| {
                    let found = reader.verify()?;
                    Ok(found.is_sound() && reader.warnings().is_empty())
                });
                let repaired = repair(&own);
                let written = Store::open(&own, options()).map(|store| store.recovered().clone());
                (read, repaired, written)
            });
            // What is never read to answer may be anything, but is not used.
            let seldom = ["LOCK", "audit.lock", "published"].contains(&file.as_str());
            assert!(
                seldom || read.as_ref().ok() != Some(&true),
                "{say}: {read:?}"
            );
            let audit = file.contains("audit");
            let refused = repaired.is_err();
            assert!(
                audit || file == "published" || refused,
                "{say}: {repaired:?}"
            );
            let noticed = written
                .as_ref()
                .map_or(true, |found| !found.warnings.is_empty());
            assert!(audit || noticed, "{say}: {written:?}");
            assert_eq!(
                fs::symlink_metadata(&odd).unwrap().file_type(),
                sorted,
                "{say}"
            );
            assert_eq!(fs::read(&target).unwrap(), content, "{say}");
            assert!(!parent.path().join("nowhere").exists(), "{say}");
        }
    }
}

#[test]
fn files_of_others_stay_as_they_are() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("store");
    make(&path);
    let own = names(&path);
    let foreign = [
        ".DS_Store",
        ".hidden",
        "Thumbs.db",
        "core",
        "lock",
        "LOCK~",
        "MANIFEST.bak",
        "MANIFEST.old",
        "manifest",
        "MANIFEST.damaged-1",
        "segment-1.seg",
        "segment-000000000000000A.seg",
        "segment-0000000000000001.seg.bak",
        "segment-0000000000000001.SEG",
        "segment-00000000000000zz.tmp",
        "wal-1.log",
        "wal-0000000000000001.log.gz",
        "WAL-0000000000000001.log",
        "lost+found.txt",
        "a name with spaces",
        "ü",
        "-rf",
        "nul\u{1}",
    ];
    for name in foreign {
        fs::write(path.join(name), name).unwrap();
    }
    fs::create_dir(path.join("lost+found")).unwrap();
    let store = Store::open(&path, options()).unwrap();
    fill(&store, 3);
    store.compact().unwrap();
    let unknown = store.inspect().unwrap().unknown.len();
    assert_eq!(unknown, foreign.len() + 1);
    let all = crate::model::Pattern::any();
    store.retain_without(&all).unwrap();
    store.close().unwrap();
    let reader = Reader::open(&path).unwrap();
    let found = reader.verify().unwrap();
    assert!(found.is_sound(), "{:?}", found.damage);
    assert_eq!(found.notes.len(), foreign.len() + 1, "{:?}", found.notes);
    repair(&path).unwrap();
    for name in foreign {
        assert_eq!(fs::read(path.join(name)).unwrap(), name.as_bytes());
    }
    assert!(path.join("lost+found").is_dir());
    assert!(own.iter().any(|name| name == "LOCK"));
    assert!(path.join("LOCK").exists());
}
