//! The one error type: what went wrong, where, and what to do next.
//!
//! [`Error`] is opaque so that it can grow; callers branch on [`Error::kind`]
//! and people read its `Display`, which names the file, the offset and the key
//! where they are known and ends with the next step.

use std::borrow::Cow;
use std::fmt;

/// What a caller can branch on. Each kind states the fate of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument or a delta is not acceptable; nothing was written.
    InvalidInput,
    /// A release, branch, metric or source does not exist.
    NotFound,
    /// A definition contradicts one already in the store; nothing was changed.
    Contradiction,
    /// The path is not a hotstove store; nothing was touched.
    NotAStore,
    /// Another writer holds the store; nothing was touched.
    Locked,
    /// A file was written by a newer version of hotstove; nothing was touched.
    Unsupported,
    /// Bytes on disk are not what was written. Everything else stays readable.
    Corruption,
    /// The medium is full. Nothing acknowledged is lost, reads go on, and
    /// writes work again once there is room.
    StorageFull,
    /// The operating system refused a call. Nothing acknowledged is lost.
    Io,
    /// A sync failed or a background thread died: nothing more is acknowledged
    /// until the store is reopened and has recovered.
    Poisoned,
    /// A decision metric was read before its window is whole.
    Held,
    /// The store was opened for reading only, or has been closed.
    ReadOnly,
    /// An aggregate left the range of 128-bit integers, a limit of
    /// [`crate::limits`] was reached, or a part of the memory budget.
    Limit,
}

/// Why an operation failed. See [`ErrorKind`] for the fate of the data.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    file: Option<String>,
    offset: Option<u64>,
    help: Option<Cow<'static, str>>,
    source: Option<std::io::Error>,
}

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A new error of `kind`; the message says what is wrong, without a final stop.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Error {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                file: None,
                offset: None,
                help: None,
                source: None,
            }),
        }
    }

    /// Shorthand for [`ErrorKind::InvalidInput`].
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Shorthand for [`ErrorKind::Corruption`].
    pub(crate) fn corruption(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corruption, message)
    }

    /// Wraps an error of the operating system; a full medium gets its own kind.
    pub(crate) fn io(doing: impl Into<Cow<'static, str>>, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let full = matches!(
            source.kind(),
            Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge
        );
        let kind = if full {
            ErrorKind::StorageFull
        } else {
            ErrorKind::Io
        };
        let mut error = Self::new(kind, doing);
        if full {
            error.inner.help = Some("free some room; writes go on by themselves then".into());
        }
        error.inner.source = Some(source);
        error
    }

    /// Names the file the error is about.
    pub(crate) fn in_file(mut self, file: impl fmt::Display) -> Self {
        self.inner.file.get_or_insert_with(|| file.to_string());
        self
    }

    /// Names the byte offset in that file.
    pub(crate) fn at(mut self, offset: u64) -> Self {
        self.inner.offset.get_or_insert(offset);
        self
    }

    /// Says what to do next.
    pub(crate) fn help(mut self, help: impl Into<Cow<'static, str>>) -> Self {
        self.inner.help = Some(help.into());
        self
    }

    /// The same failure for another of several callers that shared an operation.
    pub(crate) fn shared(&self) -> Self {
        let inner = &*self.inner;
        let message = match &inner.source {
            Some(source) => format!("{}: {source}", inner.message).into(),
            None => inner.message.clone(),
        };
        Error {
            inner: Box::new(Inner {
                kind: inner.kind,
                message,
                file: inner.file.clone(),
                offset: inner.offset,
                help: inner.help.clone(),
                source: None,
            }),
        }
    }

    /// Whether the system refused a call, so that nothing is known of the bytes;
    /// that a file is not there is knowledge.
    pub(crate) fn is_refusal(&self) -> bool {
        let refused = |source: &std::io::Error| source.kind() != std::io::ErrorKind::NotFound;
        self.inner.source.as_ref().is_some_and(refused)
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The file concerned, relative to the store, where one is.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.inner.file.as_deref()
    }

    /// The byte offset in [`Error::file`], where it is known.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.inner.offset
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        if let Some(file) = &inner.file {
            write!(f, "{file}")?;
            if let Some(offset) = inner.offset {
                write!(f, " at byte {offset}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&inner.message)?;
        if let Some(source) = &inner.source {
            write!(f, ": {source}")?;
        }
        if let Some(help) = &inner.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.inner.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner
            .source
            .as_ref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_says_what_where_and_what_next() {
        let error = Error::corruption("the checksum does not match")
            .in_file("wal-0000000000000001.log")
            .at(64)
            .help("run `hotstove repair`");
        assert_eq!(
            error.to_string(),
            "wal-0000000000000001.log at byte 64: the checksum does not match (run `hotstove repair`)"
        );
        assert_eq!(error.kind(), ErrorKind::Corruption);
    }

    #[test]
    fn a_full_disk_has_its_own_kind() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Error::io("writing", full).kind(), ErrorKind::StorageFull);
    }
}
