//! The audit log: who read a decision metric before its time, and why. Written
//! by reading processes too, so it has a lock of its own.

use std::io;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::format::audit::{FILE, MAGIC, Override, REASON_BYTES_MAX};
use crate::limits::NAME_BYTES_MAX;
use crate::storage::disk::{Disk, DiskFile, Open};
use crate::storage::planted::{Bug, planted};

/// The file whose lock orders appends.
pub const LOCK: &str = "audit.lock";
const PATIENCE: u32 = 200;
/// The largest audit log that is read.
const BYTES_MAX: u64 = 256 << 20;

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
    if [&record.release, &record.metric]
        .iter()
        .any(|name| name.len() > 4 * NAME_BYTES_MAX)
    {
        return Err(Error::invalid(
            "what an override reads is named by at most 4,096 bytes",
        ));
    }
    let fail = |error| {
        Error::io("recording the override", error)
            .in_file(FILE)
            .help("an override that can not be recorded is refused")
    };
    let _guard = lock(disk)?;
    // A record that a crash cut short was never answered for: it makes room.
    let known = match disk.open(FILE, Open::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        opened => {
            let file = opened.map_err(fail)?;
            let end = scan(&contents(&*file).map_err(fail)?).end;
            Some((file, end))
        }
    };
    let (file, end) = match known {
        Some((file, end)) if end > 0 => {
            file.set_len(end).map_err(fail)?;
            (file, end)
        }
        // Nobody knows whether a name without a record behind it is durable: who
        // made it may have died, or failed, before the directory was synced.
        known => {
            if known.is_some() {
                disk.remove(FILE).map_err(fail)?;
            }
            let file = disk.open(FILE, Open::Create).map_err(fail)?;
            disk.sync_dir().map_err(fail)?;
            (file, 0)
        }
    };
    let written = file.write_at(end, &record.encode());
    let written = written.and_then(|()| match planted(Bug::OverrideNotSynced) {
        true => Ok(()),
        false => file.sync(),
    });
    if written.is_err() {
        // A torn record would hide those after it. And one whose sync failed
        // still reads well, but may never get to the medium: what is appended
        // behind it would have a hole before it after a power cut.
        let _ = file.set_len(end);
    }
    written.map_err(fail)
}

/// Waits for whoever is appending.
fn lock(disk: &dyn Disk) -> Result<Box<dyn Send + Sync>> {
    for _ in 0..PATIENCE {
        let guard = disk.lock(LOCK, true).map_err(|error| {
            Error::io("locking the audit log", error)
                .in_file(FILE)
                .help("an override that can not be recorded is refused")
        })?;
        if let Some(guard) = guard {
            return Ok(guard);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(Error::new(ErrorKind::Locked, "the audit log is being written").in_file(FILE))
}

/// Where an audit log is written anew.
pub const TEMPORARY: &str = "audit.tmp";

/// Writes the audit log anew from its sound records.
pub fn mend(disk: &dyn Disk) -> Result<()> {
    let fail = |error| Error::io("mending the audit log", error).in_file(FILE);
    let _guard = lock(disk)?;
    let records = read(disk)?.records;
    match disk.remove(TEMPORARY) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let file = disk.open(TEMPORARY, Open::Create).map_err(fail)?;
    let bytes: Vec<u8> = records.iter().flat_map(Override::encode).collect();
    let written = file.write_at(0, &bytes).and_then(|()| file.sync());
    let renamed = written.and_then(|()| disk.rename(TEMPORARY, FILE));
    renamed.and_then(|()| disk.sync_dir()).map_err(fail)
}

/// What an audit log holds.
#[derive(Debug, Default)]
pub struct Scan {
    /// All sound records.
    pub records: Vec<Override>,
    /// The first bad byte that sound records follow, and what is wrong there.
    pub damage: Option<(u64, &'static str)>,
    /// Where the last sound record ends; what lies behind is a torn tail.
    pub end: u64,
    /// Bytes of that tail.
    pub torn_bytes: u64,
}

/// Reads the audit log.
pub fn read(disk: &dyn Disk) -> Result<Scan> {
    let fail = |error| Error::io("reading the audit log", error).in_file(FILE);
    match disk.open(FILE, Open::Read) {
        Ok(file) => Ok(scan(&contents(&*file).map_err(fail)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Scan::default()),
        Err(error) => Err(fail(error)),
    }
}

/// The bytes of an audit log.
pub fn contents(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let length = file.len()?;
    if length > BYTES_MAX {
        return Err(io::Error::other(
            "the audit log is larger than any that is written",
        ));
    }
    let mut bytes = vec![0; length as usize];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan::default();
    let mut bad = None;
    let mut at = 0;
    while at < bytes.len() {
        match Override::decode(&bytes[at..]) {
            Ok((record, taken)) => {
                scan.records.push(record);
                at += taken;
                scan.end = at as u64;
                scan.damage = scan.damage.or(bad.take());
            }
            Err(corrupt) => {
                bad = bad.or(Some(((at + corrupt.at) as u64, corrupt.what)));
                // The next place a record may start.
                let next = bytes[at + 1..]
                    .windows(MAGIC.len())
                    .position(|window| window == MAGIC);
                match next {
                    Some(skipped) => at += 1 + skipped,
                    None => break,
                }
            }
        }
    }
    scan.torn_bytes = bytes.len() as u64 - scan.end;
    scan
}
