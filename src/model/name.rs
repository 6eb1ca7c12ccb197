//! Names of releases, branches, metrics and sources.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::limits::NAME_BYTES_MAX;

/// 1 byte to 1 KiB of UTF-8 without control characters, compared bytewise.
/// Names never become paths. `*` alone is not a name: it stands for "all" in
/// results. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] where `text` is not a name.
    ///
    /// ```
    /// use hotstove::Name;
    /// assert!(Name::new("firefox/release/57.0/windows").is_ok());
    /// assert!(Name::new("").is_err() && Name::new("a\nb").is_err() && Name::new("*").is_err());
    /// ```
    pub fn new(text: &str) -> Result<Self> {
        Self::check(text)?;
        Ok(Name(text.into()))
    }

    /// Whether `text` is a name, without keeping it.
    pub(crate) fn check(text: &str) -> Result<()> {
        let wrong = if text.is_empty() {
            "is empty"
        } else if text.len() > NAME_BYTES_MAX {
            "is longer than 1,024 bytes"
        } else if text == "*" {
            "stands for all names"
        } else if text.chars().any(char::is_control) {
            "has a control character"
        } else {
            return Ok(());
        };
        let shown: String = text.chars().take(64).collect();
        Err(Error::invalid(format!("the name {shown:?} {wrong}")))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::ops::Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}
