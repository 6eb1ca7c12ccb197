//! Reading what a writer publishes of how far it came. A writer never relies on
//! it: it is not synced, and may lag behind.

use crate::error::{Error, Result};
use crate::format::published::{self, Published};
use crate::storage::disk::{Disk, Open};

/// How often a record that is being written is looked at anew.
const ATTEMPTS: usize = 50;

/// What the published record says.
pub enum Record {
    /// Nothing was ever published.
    None,
    /// It is sound.
    Sound(Published),
    /// It is not, however often it is read.
    Damaged,
}

pub fn published(disk: &dyn Disk, store_id: u64) -> Result<Record> {
    let fail = |error| Error::io("reading the published record", error).in_file(published::FILE);
    for _ in 0..ATTEMPTS {
        let mut bytes = [0; published::BYTES];
        let read = disk
            .open(published::FILE, Open::Read)
            .and_then(|file| file.read_at(0, &mut bytes));
        match read {
            Ok(()) => {}
            // Never written, or not yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Record::None),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Ok(Record::None);
            }
            Err(error) => return Err(fail(error)),
        }
        match Published::decode(&bytes) {
            Ok(record) if record.store_id == store_id => return Ok(Record::Sound(record)),
            Ok(_) => return Ok(Record::None),
            // Half written: the writer is at it right now.
            Err(_) => std::thread::yield_now(),
        }
    }
    Ok(Record::Damaged)
}
