//! The seam between the store and its medium: a dozen calls on the flat files
//! of one directory. Everything the store does to a disk goes through here, so
//! that a simulated disk can lose, tear, fail and fill up under it.

use std::fmt;
use std::io;

use bytes::Bytes;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A new file, for reading and writing; an existing one is an error.
    Create,
}

/// Files of one directory, addressed by plain names without separators.
///
/// Nothing is durable before it is synced: the content of a file by
/// [`DiskFile::sync`], its creation, renaming or removal by [`Disk::sync_dir`].
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a regular file; anything else is [`io::ErrorKind::InvalidInput`],
    /// and symbolic links are not followed. New files are readable and writable
    /// by their owner alone.
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>>;
    /// Renames a file over whatever `to` was.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Unlinks a file; open descriptors and mappings of it stay valid.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names in the directory, in no particular order, of whatever type.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes creations, renamings and removals durable.
    fn sync_dir(&self) -> io::Result<()>;
    /// Takes the lock on `name`: one exclusive holder or many shared ones, in
    /// all processes. `None` where it is taken. An exclusive holder creates the
    /// file; where there is none, a shared lock holds nothing and is granted.
    /// It is released when the value is dropped or the process dies. The file
    /// must never be removed, or two holders lock two files of one name.
    fn lock(&self, name: &str, exclusive: bool) -> io::Result<Option<Box<dyn Send + Sync>>>;
    /// Where this is, for messages.
    fn describe(&self) -> String;
}

/// The longest file name, in bytes, that all file systems in use take.
const NAME_BYTES_MAX: usize = 255;

/// Refuses what is no plain file name, so that nothing leaves the directory.
pub fn check_name(name: &str) -> io::Result<()> {
    let special = ["", ".", ".."].contains(&name);
    let plain = !special && !name.contains(['/', '\0']) && name.len() <= NAME_BYTES_MAX;
    if plain {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name:?} is not a plain file name"),
        ))
    }
}

/// One open file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Bytes in the file.
    fn len(&self) -> io::Result<u64>;
    /// Reads into all of `buffer` from `offset`; an end of file before is
    /// [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`, growing the file as needed. After an
    /// error any prefix of them may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes content and length durable. After an error it must not be tried
    /// again on this file: the kernel may have dropped what it could not write.
    fn sync(&self) -> io::Result<()>;
    /// Cuts or grows the file.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Takes from everybody the right to write to a file that is complete,
    /// where the medium knows such rights; durable with the next sync.
    fn seal(&self) -> io::Result<()>;
    /// The whole of a sealed file, mapped where the medium can do that.
    fn map(&self) -> io::Result<Bytes>;
}
