//! Every state a process could have left by dying, from one run: the disk as it
//! was before each call that changes it, and amid each write.

use std::sync::Arc;

use super::SimDisk;
use super::fault::{Call, Verdict};
use super::state::{NodeId, State};

/// A moment at which the process may have died.
pub struct Recorded {
    /// The call it died in, counted as [`SimDisk::calls`] counts.
    pub call: u64,
    /// The disk as the killed process left it. What was unsynced still is.
    pub disk: SimDisk,
}

/// States by the call after them.
pub(super) type Recording = Vec<(u64, State)>;

impl Call {
    /// Whether it may change what is on the disk.
    const fn changes(self) -> bool {
        !matches!(
            self,
            Call::Open | Call::List | Call::Len | Call::Read | Call::Map
        )
    }
}

impl State {
    /// Counts a call and decides on it, having recorded what was before it.
    pub fn enter(&mut self, call: Call, file: &str, offset: u64, length: u64) -> Verdict {
        if call.changes() {
            self.record(|_| ());
        }
        self.calls.enter(call, file, offset, length)
    }

    /// Records what a death amid a write leaves. The write was counted already.
    pub fn record_torn(&mut self, node: NodeId, offset: u64, bytes: &[u8]) {
        if bytes.len() > 1 {
            self.record(|state| {
                state.calls.total -= 1;
                let _ = state.write(node, offset, &bytes[..bytes.len() / 2]);
            });
        }
    }

    fn record(&mut self, change: impl FnOnce(&mut State)) {
        if self.recording.is_none() {
            return;
        }
        let mut state = self.without_processes();
        state.calls.total = self.calls.total;
        change(&mut state);
        let call = std::mem::take(&mut state.calls.total);
        if let Some(recording) = &mut self.recording {
            recording.push((call, state));
        }
    }
}

impl SimDisk {
    /// Starts to record the states that a death of the process would leave.
    pub fn start_recording(&self) {
        self.state.lock().recording = Some(Recording::new());
    }

    /// Ends the record and returns it, with the state of now as its last.
    #[must_use]
    pub fn take_recording(&self) -> Vec<Recorded> {
        let mut state = self.state.lock();
        state.record(|_| ());
        let recording = state.recording.take().unwrap_or_default();
        drop(state);
        let recorded = recording.into_iter().map(|(call, state)| Recorded {
            call,
            disk: SimDisk::of(state),
        });
        recorded.collect()
    }

    /// Tells disks of different content or names apart, whatever is unsynced.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        let state = self.state.lock();
        for (name, id) in &state.visible {
            name.hash(&mut hasher);
            state
                .nodes
                .get(id)
                .map(|node| Arc::clone(&node.cached))
                .hash(&mut hasher);
        }
        hasher.finish()
    }
}
