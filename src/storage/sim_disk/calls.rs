//! The calls of the seam, on a simulated disk.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::SimDisk;
use super::fault::{Call, Outcome};
use super::state::{NodeId, State};
use crate::storage::disk::{Disk, DiskFile, Open, check_name};

impl SimDisk {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str, how: Open) -> io::Result<Box<dyn DiskFile>> {
        check_name(name)?;
        let call = match how {
            Open::Create => Call::Create,
            Open::Read | Open::Write => Call::Open,
        };
        let mut state = self.state.lock();
        let verdict = state.enter(call, name, 0, 0);
        verdict.before()?;
        if how != Open::Read {
            self.check_writable()?;
        }
        let node = match (how, state.find(name)) {
            (Open::Create, Ok(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Open::Create, Err(_)) => state.create(name)?,
            (_, found) => found?,
        };
        verdict.after(())?;
        state.node(node).handles += 1;
        Ok(Box::new(SimFile {
            state: Arc::clone(&self.state),
            node,
            name: name.to_owned(),
            writable: how != Open::Read,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let mut state = self.state.lock();
        let verdict = state.enter(Call::Rename, from, 0, 0);
        verdict.before()?;
        self.check_writable()?;
        state.rename(from, to)?;
        state.forget_unreachable();
        verdict.after(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        let mut state = self.state.lock();
        let verdict = state.enter(Call::Remove, name, 0, 0);
        verdict.before()?;
        self.check_writable()?;
        state.remove(name)?;
        state.forget_unreachable();
        verdict.after(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        let verdict = state.enter(Call::List, "", 0, 0);
        verdict.after(state.visible.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let verdict = state.enter(Call::SyncDir, "", 0, 0);
        self.check_writable()?;
        state.sync_dir(verdict.outcome());
        verdict.after(())
    }

    fn lock(&self, name: &str, exclusive: bool) -> io::Result<Option<Box<dyn Send + Sync>>> {
        check_name(name)?;
        let mut state = self.state.lock();
        let verdict = state.enter(Call::Lock, name, 0, 0);
        verdict.before()?;
        if exclusive {
            self.check_writable()?;
        }
        let node = match (exclusive, state.find(name)) {
            (_, Ok(node)) => node,
            (true, Err(_)) => state.create(name)?,
            (false, Err(_)) => return verdict.after(Some(Box::new(()))),
        };
        verdict.after(())?;
        let file = state.node(node);
        if file.exclusive || (exclusive && file.shared > 0) {
            return Ok(None);
        }
        file.exclusive = exclusive;
        file.shared += usize::from(!exclusive);
        Ok(Some(Box::new(SimLock {
            state: Arc::clone(&self.state),
            node,
            exclusive,
        })))
    }

    fn describe(&self) -> String {
        format!("simulated disk of seed {}", self.state.lock().seed)
    }
}

/// Like the real one it belongs to the file, not to its name.
struct SimLock {
    state: Arc<Mutex<State>>,
    node: NodeId,
    exclusive: bool,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        let file = state.node(self.node);
        if self.exclusive {
            file.exclusive = false;
        } else {
            file.shared = file.shared.saturating_sub(1);
        }
        state.forget_unreachable();
    }
}

struct SimFile {
    state: Arc<Mutex<State>>,
    node: NodeId,
    name: String,
    writable: bool,
}

impl SimFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::EBADF))
        }
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimFile({:?})", self.name)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.state.lock().close(self.node);
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        let verdict = state.enter(Call::Len, &self.name, 0, 0);
        verdict.after(state.node(self.node).cached.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let length = buffer.len() as u64;
        let verdict = state.enter(Call::Read, &self.name, offset, length);
        verdict.before()?;
        if buffer.is_empty() {
            return verdict.after(());
        }
        let content = &state.node(self.node).cached;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        let bytes = content.get(start..end);
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        verdict.after(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let length = bytes.len() as u64;
        let verdict = state.enter(Call::Write, &self.name, offset, length);
        self.check_writable()?;
        state.record_torn(self.node, offset, bytes);
        let written = match verdict.outcome() {
            Outcome::Everything => length,
            Outcome::Nothing => 0,
            Outcome::Prefix(count) => count.min(length),
            Outcome::Torn => state.random.below(length + 1),
        };
        let room = state.write(self.node, offset, &bytes[..written as usize]);
        verdict.after(())?;
        room
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let verdict = state.enter(Call::Sync, &self.name, 0, 0);
        state.sync(self.node, verdict.outcome());
        verdict.after(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let verdict = state.enter(Call::SetLen, &self.name, length, 0);
        verdict.before()?;
        self.check_writable()?;
        state.set_len(self.node, length)?;
        verdict.after(())
    }

    /// Rights are not in the model.
    fn seal(&self) -> io::Result<()> {
        Ok(())
    }

    fn map(&self) -> io::Result<Bytes> {
        let mut state = self.state.lock();
        let verdict = state.enter(Call::Map, &self.name, 0, 0);
        verdict.before()?;
        let content = Arc::clone(&state.node(self.node).cached);
        verdict.after(Bytes::from_owner(Copied(content)))
    }
}

/// A file as it was: whoever writes to it from now on writes to a copy.
struct Copied(Arc<Vec<u8>>);

impl AsRef<[u8]> for Copied {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
