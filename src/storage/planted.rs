//! Bugs put in on purpose, to show that the tests would find them: each place
//! asks [`planted`] whether its own is switched on. In builds without tests the
//! answer is a constant, and nothing of this is left.

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A bug that can be switched on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug { $($(#[$doc])* $name,)* }

        impl Bug {
            /// Every bug there is.
            #[cfg(test)]
            pub const ALL: &[Bug] = &[$(Bug::$name,)*];
        }
    };
}

bugs! {
    /// A commit is acknowledged without a sync of the log.
    CommitNotSynced,
    /// The header of a new log is not synced.
    LogHeaderNotSynced,
    /// The name of a new log is not synced.
    LogNameNotSynced,
    /// A failed sync of a new log's name is ignored.
    LogNameErrorIgnored,
    /// A segment is renamed without having been synced.
    SegmentNotSynced,
    /// A flush names segments in the manifest before their names are synced.
    FlushedNameNotSynced,
    /// So does a merge.
    MergedNameNotSynced,
    /// The manifest is renamed without having been synced.
    ManifestNotSynced,
    /// The manifest's name is not synced.
    ManifestNameNotSynced,
    /// A failed sync of the manifest's name is ignored.
    ManifestNameErrorIgnored,
    /// A failed renaming of the manifest counts as not done.
    FailedRenameTrusted,
    /// Logs are removed before the manifest says they are in segments.
    LogRemovedEarly,
    /// Inputs of a merge are removed before the manifest names the output.
    InputsRemovedEarly,
    /// Offsets of sources do not go into the manifest with their batches.
    OffsetsNotInManifest,
    /// The manifest says one commit more is in segments than is.
    FlushedSequenceOffByOne,
    /// The manifest says the first live log is the one after it.
    FirstLogOffByOne,
    /// A failed write of the log is acknowledged.
    WriteErrorIgnored,
    /// Frames follow a torn one in the same log.
    AppendsAfterTornWrite,
    /// A failed sync of the log is acknowledged.
    SyncErrorIgnored,
    /// A failed sync of the log is tried again.
    SyncRetried,
    /// A failed sync of the log is refused, and the next commit syncs again.
    PoisonForgotten,
    /// The last offset of a source is not known again.
    LastOffsetTakenTwice,
    /// Recovery forgets the offsets in the log.
    OffsetsNotReplayed,
    /// The checksum of a frame covers its header alone.
    PayloadNotChecked,
    /// The buffer of a frame's payload holds the one before, too.
    DirtyBufferReused,
    /// A clean close seals a log that was not synced.
    SealedWithoutSync,
    /// Recovery vouches for a log that nobody synced.
    RecoveryVouches,
    /// Recovery leaves what it found where it may not be durable.
    RecoveredNotRewritten,
    /// A log goes on being written after its successor could not be made.
    LogKeptAfterFailedStart,
    /// The floor of retention is kept in memory alone.
    FloorNotInManifest,
    /// Retention drops segments that reach above the floor.
    RetentionDropsTooMuch,
    /// A merge leaves out the first part of a day.
    MergeLosesPart,
    /// A merge takes the parts of a day in the wrong order.
    MergeOutOfOrder,
    /// A flush leaves out the last minute of a bucket.
    BucketEdge,
    /// A backup leaves out what is in memory.
    BackupWithoutMemory,
    /// A backup leaves out the sources' offsets.
    BackupWithoutOffsets,
    /// The files of a backup are not synced.
    BackupNotSynced,
    /// Segments of a failed flush or merge take room until the next opening.
    OrphansKept,
    /// A backup leaves out the definitions.
    BackupWithoutDefinitions,
    /// An override is acknowledged without a sync.
    OverrideNotSynced,
    /// A rebuild takes the highest commit of any segment for flushed.
    RebuiltAsOne,
    /// A repair takes a file that can not be read for a damaged one.
    RefusalTakenForDamage,
    /// A merge leaves out series that were lost with their index.
    MergeForgetsLost,
    /// A recovery begins the log after an empty one whose name may not last.
    EmptyLogFollowed,
    /// A panic while the log is written leaves the other committers waiting.
    TurnNeverEnds,
    // Five chosen by an outsider, after the suite was finished.
    /// A flush takes the sources as they are, not as they were at the freeze.
    OffsetsOfNow,
    /// A sync counts for what was written while it ran.
    SyncNotesTooMuch,
    /// A close lets go of the writer's lock before its last writes.
    LockLetGoEarly,
    /// Gauges of two memtables are sorted by a sort that is not stable.
    GaugesSortedUnstably,
    /// A page counts as checked before its checksum is compared.
    CheckedBeforeCompared,
}

#[cfg(test)]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Whether this bug is to be there.
#[cfg(test)]
pub fn planted(bug: Bug) -> bool {
    ACTIVE.get() == Some(bug) || everywhere(bug)
}

/// Whether this bug is to be there: never.
#[cfg(not(test))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}

/// Whether the environment asks for this bug, in all threads: to see what the whole
/// suite says of one.
#[cfg(test)]
fn everywhere(bug: Bug) -> bool {
    static NAMED: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    let named = NAMED.get_or_init(|| {
        let name = std::env::var("PLANTED").ok()?;
        let found = Bug::ALL.iter().find(|bug| format!("{bug:?}") == name);
        Some(*found.unwrap_or_else(|| panic!("no bug is called {name:?}")))
    });
    *named == Some(bug)
}

/// The bug switched on, for threads that this one starts.
#[cfg(test)]
pub fn active() -> Option<Bug> {
    ACTIVE.get()
}

/// Runs `check` with a bug in this thread.
#[cfg(test)]
pub fn with<T>(bug: Option<Bug>, check: impl FnOnce() -> T) -> T {
    struct Healed;
    impl Drop for Healed {
        fn drop(&mut self) {
            ACTIVE.set(None);
        }
    }
    ACTIVE.set(bug);
    let _healed = Healed;
    check()
}
