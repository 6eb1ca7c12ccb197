//! Opening stores, with what opening found on standard error.

use std::path::Path;

use hotstove::{Options, Reader, Store};

use crate::failure::{Failure, Result, note, shown, warn};

/// Opens a store for writing; an absent or empty directory becomes one.
pub fn made(path: &Path, options: Options) -> Result<Store> {
    opened(path, options.create(true))
}

/// Opens a store that exists for writing.
pub fn writer(path: &Path) -> Result<Store> {
    opened(path, Options::new().create(false))
}

fn opened(path: &Path, options: Options) -> Result<Store> {
    let store = Store::open(path, options).map_err(|error| Failure::store(path, &error))?;
    let found = store.recovered();
    for warning in &found.warnings {
        warn(format_args!("{}: {warning}", shown(path)));
    }
    if found.torn_bytes > 0 {
        note(format_args!(
            "{}: {} bytes of a write that a crash cut short were dropped; nothing acknowledged is lost",
            shown(path),
            found.torn_bytes
        ));
    }
    Ok(store)
}

/// Bytes of an answer on the command line: series by series the longest table there may
/// be fits, as the process lives for one answer and is nobody's writer.
const ANSWER_BYTES: usize = 2_000 << 20;

/// Opens a store that exists for reading, also while it is being written.
pub fn reader(path: &Path) -> Result<Reader> {
    let reader = Reader::open(path)
        .map_err(|error| Failure::store(path, &error))?
        .memory_budget(ANSWER_BYTES);
    for warning in reader.warnings() {
        warn(format_args!("{}: {warning}", shown(path)));
    }
    Ok(reader)
}

/// Closes a store and says what went wrong with that.
pub fn close(path: &Path, store: Store) -> Result<()> {
    store.close().map_err(|error| Failure::store(path, &error))
}
