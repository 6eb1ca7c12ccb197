//! The one mapping of files into memory, and with it the one `unsafe` of this
//! floor. `docs/decisions/0007-mapping.md` says why there is one at all.
//!
//! A page of a mapping that can not be read any more (a bad sector, a file cut
//! by somebody else, a server gone) is not an error but the signal SIGBUS,
//! which ends the process. Who can not accept that opens the disk with
//! [`without_mapping`](super::real_disk::RealDisk::without_mapping): the same
//! bytes then come through `pread` into memory, and a failure is an error.

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::Mmap;

/// The whole of `file`, mapped for reading. It outlives the descriptor, and
/// the name too.
#[expect(unsafe_code, reason = "there is no mapping of a file without it")]
pub fn map(file: &File) -> io::Result<Bytes> {
    if file.metadata()?.len() == 0 {
        // The kernel maps no empty range.
        return Ok(Bytes::new());
    }
    // SAFETY: a `&[u8]` must not change while it lives. Only sealed files are
    // mapped: whoever wrote them has synced them and renamed them to their
    // final name, and nothing in this crate writes to, cuts or reuses a file
    // after that; a file is only ever unlinked, which leaves its pages to the
    // mapping. The mapping is read-only, so it can not change them either.
    // Other processes are kept off by the modes of the file and its directory:
    // who may write there is trusted, as with every database that maps files.
    // All that reads the slice checks it against checksums and bounds and
    // calls nothing whose soundness rests on the bytes.
    let mapping = unsafe { Mmap::map(file)? };
    Ok(Bytes::from_owner(mapping))
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_mapping_outlives_its_descriptor_and_its_name() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(map(file.as_file()).unwrap(), Bytes::new());
        file.write_all(b"sealed").unwrap();
        let bytes = map(file.as_file()).unwrap();
        file.close().unwrap();
        assert_eq!(bytes, "sealed");
    }
}
