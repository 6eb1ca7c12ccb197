//! The audit log: who read a decision metric before its time, and why. Written
//! by reading processes too, so it has a lock of its own.

use std::io;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::format::audit::{FILE, Override, REASON_BYTES_MAX};
use crate::storage::disk::{Disk, Open};

const LOCK: &str = "audit.lock";
const PATIENCE: u32 = 200;

/// Appends a record durably. Whoever can not is refused the read.
pub fn append(disk: &dyn Disk, record: &Override) -> Result<()> {
    if record.reason.trim().is_empty() {
        return Err(Error::invalid("an override needs a reason"));
    }
    if record.reason.len() > REASON_BYTES_MAX {
        return Err(Error::invalid(
            "the reason of an override is at most 4,096 bytes",
        ));
    }
    let fail = |error| {
        Error::io("recording the override", error)
            .in_file(FILE)
            .help("an override that can not be recorded is refused")
    };
    let mut guard = None;
    for _ in 0..PATIENCE {
        guard = disk.lock(LOCK, true).map_err(fail)?;
        if guard.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let Some(_guard) = guard else {
        return Err(Error::new(ErrorKind::Locked, "the audit log is being written").in_file(FILE));
    };
    let file = match disk.open(FILE, Open::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = disk.open(FILE, Open::Create).map_err(fail)?;
            disk.sync_dir().map_err(fail)?;
            file
        }
        opened => opened.map_err(fail)?,
    };
    let end = file.len().map_err(fail)?;
    let written = file.write_at(end, &record.encode());
    if written.is_err() {
        // A torn record would hide those after it.
        let _ = file.set_len(end);
    }
    written.map_err(fail)?;
    file.sync().map_err(fail)
}

/// Where the first bad byte is, and what is wrong there.
pub type Bad = (u64, &'static str);

/// All records, and where the first bad byte is, if there is one.
pub fn read(disk: &dyn Disk) -> Result<(Vec<Override>, Option<Bad>)> {
    let fail = |error| Error::io("reading the audit log", error).in_file(FILE);
    let file = match disk.open(FILE, Open::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), None)),
        Err(error) => return Err(fail(error)),
    };
    let length = file.len().map_err(fail)?;
    if length > 1 << 30 {
        return Err(
            Error::corruption("the audit log is larger than any that is written").in_file(FILE),
        );
    }
    let mut bytes = vec![0; length as usize];
    file.read_at(0, &mut bytes).map_err(fail)?;
    let mut records = Vec::new();
    let mut damage = None;
    let mut at = 0;
    while at < bytes.len() {
        match Override::decode(&bytes[at..]) {
            Ok((record, taken)) => {
                records.push(record);
                at += taken;
            }
            Err(corrupt) => {
                damage.get_or_insert(((at + corrupt.at) as u64, corrupt.what));
                // The next sound record; without one there is nothing left to read.
                match (at + 1..bytes.len()).find(|next| Override::decode(&bytes[*next..]).is_ok()) {
                    Some(next) => at = next,
                    None => break,
                }
            }
        }
    }
    Ok((records, damage))
}
