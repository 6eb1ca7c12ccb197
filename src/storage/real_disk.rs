//! The disk of the operating system: one directory of plain files.
//!
//! What it assumes of kernel and medium is numbered in `docs/medium.md`.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::disk::{Disk, DiskFile, Open, check_name};
use super::mmap;

/// Links are not followed, so that nobody points the store at another file;
/// and a pipe in a file's place must not block the open, which waits for its
/// other end. On regular files the second has no effect.
const FLAGS: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Of a file that is complete and may be mapped.
const SEALED_MODE: u32 = 0o400;
/// The right of everybody to write.
const PUBLIC_WRITE: u32 = 0o002;

/// A directory of the file system.
#[derive(Debug)]
pub struct RealDisk {
    /// Absolute, so that a change of working directory moves nothing.
    root: PathBuf,
    /// As the caller wrote it.
    shown: String,
    /// Held open so that a sync never fails for want of a descriptor, and sees
    /// every error since.
    directory: File,
    writable: bool,
    mapping: bool,
}

impl RealDisk {
    /// An existing directory, for reading and writing.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = fs::canonicalize(path)?;
        let directory = open_directory(&root)?;
        Ok(RealDisk {
            root,
            shown: path.display().to_string(),
            directory,
            writable: true,
            mapping: !cfg!(miri),
        })
    }

    /// A new directory, open to its owner alone, or an existing empty one. Its
    /// name is durable on return.
    pub fn create(path: &Path) -> io::Result<Self> {
        let disk = Self::found(path)?;
        if fs::read_dir(&disk.root)?.next().is_some() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        Ok(disk)
    }

    /// A new directory, open to its owner alone, or an existing one, whoever
    /// made it: another may have, and be busy in it, since it was looked for.
    /// Its name is durable on return.
    pub fn found(path: &Path) -> io::Result<Self> {
        let made = match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            made => made.map(|()| true)?,
        };
        let disk = Self::open(path)?;
        // Also for a directory found: who made it may have died before this.
        if let Some(parent) = disk.root.parent() {
            match open_directory(parent) {
                // A directory given to us in a place not for us to read is for
                // the giver to keep.
                Err(error) if !made && error.kind() == io::ErrorKind::PermissionDenied => {}
                parent => parent?.sync_all()?,
            }
        }
        Ok(disk)
    }

    /// An existing directory, for reading alone: nothing is written, be it the
    /// lock, and a medium mounted read-only will do.
    pub fn read_only(path: &Path) -> io::Result<Self> {
        let mut disk = Self::open(path)?;
        disk.writable = false;
        Ok(disk)
    }

    /// Whether anybody may make, rename and remove files there. With the sticky
    /// bit nobody takes ours away, but anybody still puts some of his own beside.
    pub fn is_public(&self) -> io::Result<bool> {
        Ok(self.directory.metadata()?.permissions().mode() & PUBLIC_WRITE != 0)
    }

    /// Reads files into memory where they would be mapped: for a medium that
    /// may fail or change under a mapping, such as a network file system, where
    /// a failed read is to be an error and not the end of the process.
    #[must_use]
    pub fn without_mapping(mut self) -> Self {
        self.mapping = false;
        self
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        check_name(name)?;
        Ok(self.root.join(name))
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "opened for reading only",
        ))
    }

    fn open_regular(&self, name: &str, options: &mut OpenOptions) -> io::Result<File> {
        let path = self.path(name)?;
        let file = options.custom_flags(FLAGS).open(path)?;
        // Asked of the descriptor, not of the name, which may be swapped.
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ))
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        if how != Open::Read {
            self.check_writable()?;
            options.write(true);
        }
        if how == Open::Create {
            options.create_new(true).mode(FILE_MODE);
        }
        Ok(Box::new(RealFile {
            file: self.open_regular(name, &mut options)?,
            mapping: self.mapping,
            metadata_dirty: AtomicBool::new(how != Open::Read),
            sync_failed: AtomicBool::new(false),
            syncing: parking_lot::Mutex::default(),
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.check_writable()?;
        fs::rename(self.path(from)?, self.path(to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.check_writable()?;
        fs::remove_file(self.path(name)?)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        // A name that is no UTF-8 is not ours; made printable it is still none
        // of ours, and can be reported.
        fs::read_dir(&self.root)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.check_writable()?;
        self.directory.sync_all()
    }

    fn lock(&self, name: &str, exclusive: bool) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut options = OpenOptions::new();
        options.read(true);
        if exclusive {
            self.check_writable()?;
            options.write(true).create(true).truncate(false);
            options.mode(FILE_MODE);
        }
        let file = match self.open_regular(name, &mut options) {
            Err(error) if !exclusive && error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some(Box::new(())));
            }
            file => file?,
        };
        let taken = if exclusive {
            file.try_lock()
        } else {
            file.try_lock_shared()
        };
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if exclusive {
            // For whoever wonders; a full disk must not keep the lock from us.
            let _ = note_process(&file);
        }
        Ok(Some(Box::new(file)))
    }

    fn describe(&self) -> String {
        self.shown.clone()
    }
}

fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
}

fn note_process(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

#[derive(Debug)]
struct RealFile {
    file: File,
    mapping: bool,
    /// Whether more than content and growth awaits the next sync.
    metadata_dirty: AtomicBool,
    /// Whether a sync has failed, after which another would lie.
    sync_failed: AtomicBool,
    syncing: parking_lot::Mutex<()>,
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        // Goes on after short reads and interruptions, as its twin below.
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        // One at a time: the kernel tells an error once, to whichever sync comes first,
        // and another beside it would be told that all is well.
        let _alone = self.syncing.lock();
        if self.sync_failed.load(Ordering::Acquire) {
            return Err(io::Error::other("an earlier sync of this file failed"));
        }
        // `fdatasync` covers the content and a length grown by writing, which
        // is all that an append needs. A file created, or cut or grown without
        // writing, gets the whole `fsync`; the flag is cleared first, so that
        // a `set_len` meanwhile counts for the next sync.
        let synced = if self.metadata_dirty.swap(false, Ordering::AcqRel) {
            self.file.sync_all()
        } else {
            self.file.sync_data()
        };
        if synced.is_err() {
            self.sync_failed.store(true, Ordering::Release);
        }
        synced
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.metadata_dirty.store(true, Ordering::Release);
        Ok(())
    }

    fn seal(&self) -> io::Result<()> {
        self.file
            .set_permissions(Permissions::from_mode(SEALED_MODE))?;
        self.metadata_dirty.store(true, Ordering::Release);
        Ok(())
    }

    fn map(&self) -> io::Result<Bytes> {
        if self.mapping {
            return mmap::map(&self.file);
        }
        let length = usize::try_from(self.len()?)
            .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length)?;
        bytes.resize(length, 0);
        self.read_at(0, &mut bytes)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::{Command, id};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn failure<T>(result: io::Result<T>) -> io::ErrorKind {
        match result {
            Ok(_) => panic!("should have failed"),
            Err(error) => error.kind(),
        }
    }

    #[test]
    fn what_is_created_is_its_owners_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("store");
        let disk = RealDisk::create(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        disk.open("a", Open::Create).unwrap();
        assert_eq!(mode(&path.join("a")), 0o600);
        let _lock = disk.lock("LOCK", true).unwrap().unwrap();
        assert_eq!(mode(&path.join("LOCK")), 0o600);
        assert_eq!(disk.describe(), path.display().to_string());
    }

    #[test]
    fn a_store_is_created_once() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("store");
        RealDisk::create(&path).unwrap();
        let disk = RealDisk::create(&path).unwrap();
        disk.open("a", Open::Create).unwrap();
        assert_eq!(
            failure(RealDisk::create(&path)),
            io::ErrorKind::DirectoryNotEmpty
        );
        // Two that found no directory there: the slower one enters what the
        // faster one made and has begun to fill.
        RealDisk::found(&path).unwrap();
        for make in [RealDisk::create, RealDisk::found] {
            let file = make(&path.join("a"));
            assert_eq!(failure(file), io::ErrorKind::NotADirectory);
        }
    }

    #[test]
    fn only_directories_are_opened() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a");
        assert_eq!(failure(RealDisk::open(&path)), io::ErrorKind::NotFound);
        fs::write(&path, b"no store").unwrap();
        assert_eq!(failure(RealDisk::open(&path)), io::ErrorKind::NotADirectory);
    }

    /// The pipe has nobody at its other end: without `O_NONBLOCK` this hangs.
    #[test]
    fn what_is_no_regular_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name| directory.path().join(name);
        fs::write(at("target"), b"kept").unwrap();
        symlink(at("target"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        let made = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        let disk = RealDisk::open(directory.path()).unwrap();
        for name in ["link", "dangling", "directory", "pipe"] {
            assert!(disk.open(name, Open::Read).is_err(), "{name}");
            assert!(disk.open(name, Open::Write).is_err(), "{name}");
            assert_eq!(
                failure(disk.open(name, Open::Create)),
                io::ErrorKind::AlreadyExists
            );
            assert!(disk.lock(name, false).is_err(), "{name}");
            assert!(disk.lock(name, true).is_err(), "{name}");
        }
        assert!(!at("nowhere").exists());
        assert_eq!(disk.list().unwrap().len(), 5);
        assert_eq!(fs::read(at("target")).unwrap(), b"kept");
    }

    #[test]
    fn the_lock_names_its_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("LOCK");
        fs::write(&path, "longer than any number of a process\n").unwrap();
        let disk = RealDisk::open(directory.path()).unwrap();
        let _lock = disk.lock("LOCK", true).unwrap().unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), format!("{}\n", id()));
    }

    /// A pipe can not be synced; a second try must not get to ask it.
    #[test]
    fn a_failed_sync_is_final() {
        let (_reader, writer) = io::pipe().unwrap();
        let file = RealFile {
            file: std::os::fd::OwnedFd::from(writer).into(),
            mapping: false,
            metadata_dirty: AtomicBool::new(false),
            sync_failed: AtomicBool::new(false),
            syncing: parking_lot::Mutex::default(),
        };
        assert!(file.sync().unwrap_err().raw_os_error().is_some());
        assert!(file.sync().unwrap_err().raw_os_error().is_none());
    }
}
