//! Going on where an import of the same file left off.

use std::io;

use hotstove::{Name, Store};

use super::input::Input;

/// Moves `input` behind what is already in the store under `source`.
///
/// # Errors
/// Why this is not the file that was imported under that name.
pub fn skip(store: &Store, source: &Name, input: &mut Input) -> Result<bool, String> {
    let Some(state) = store.source(source) else {
        return Ok(false);
    };
    let Some(offset) = state.offset else {
        return Ok(false);
    };
    if !Input::made(state.check) {
        return Err(format!(
            "the offsets of source {source:?} were not made by an import (use another --source)"
        ));
    }
    let other = |why: String| {
        format!(
            "this is not the file imported as source {source:?}: {why} (use another --source for another file)"
        )
    };
    if input.offset() > offset {
        return Err(other(
            "its header is longer than all that was imported".into(),
        ));
    }
    let failed = |error: io::Error| format!("reading failed: {error}");
    let Some(last) = input.skip_to(offset).map_err(failed)? else {
        return Err(other(format!("it ends before byte {offset}")));
    };
    if input.check() != state.check {
        return Err(other(format!("its first {offset} bytes are different")));
    }
    if last != b'\n' {
        end_last_line(input)
            .map_err(failed)?
            .then_some(())
            .ok_or_else(|| other(format!("the line that ended at byte {offset} goes on")))?;
    }
    Ok(true)
}

/// The last line imported had no end of line then. It may have got one since,
/// but nothing else. Says whether that is so.
fn end_last_line(input: &mut Input) -> io::Result<bool> {
    while input.window().len() < 2 && !input.ended() {
        input.fill()?;
    }
    let (bytes, lines) = match input.window() {
        [] => (0, 0),
        [b'\n', ..] => (1, 1),
        [b'\r', b'\n', ..] => (2, 1),
        _ => return Ok(false),
    };
    input.consume(bytes, lines);
    Ok(true)
}
