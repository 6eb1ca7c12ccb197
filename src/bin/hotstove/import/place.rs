//! Where rows come from: a file, or a pipe.

use std::fs::File;
use std::io::{self, Cursor, IsTerminal, Read};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rows::Format;
use crate::failure::{Failure, Result, shown};

/// Bytes of a pipe kept for looking at them twice.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// A file or a pipe, opened.
pub struct Place {
    path: PathBuf,
    /// What messages call it.
    pub label: String,
    /// Bytes in all, of a file.
    pub length: Option<u64>,
    reader: Option<Box<dyn Read + Send>>,
    /// What a first look has read of a pipe.
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Place {
    /// Opens `path`; `-` is standard input.
    pub fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        if path.as_os_str() == "-" {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                crate::failure::note("reading standard input: end it with Ctrl-D");
            }
            let (label, reader) = ("standard input".to_owned(), Some(boxed(stdin)));
            return Ok(Place {
                path,
                label,
                length: None,
                reader,
                kept: Arc::default(),
            });
        }
        let failed = |error| Failure::io("opening", &path, &error);
        let file = File::open(&path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if about.is_dir() {
            return Err(Failure::new(format!(
                "a directory is no file of rows: {}",
                shown(&path)
            )));
        }
        let length = about.is_file().then_some(about.len());
        let label = shown(&path);
        Ok(Place {
            path,
            label,
            length,
            reader: Some(boxed(file)),
            kept: Arc::default(),
        })
    }

    /// The format its name tells.
    pub fn format(&self) -> Format {
        let extension = self
            .path
            .extension()
            .and_then(|extension| extension.to_str());
        match extension {
            Some("ndjson" | "jsonl" | "json") => Format::Ndjson,
            _ => Format::Csv,
        }
    }

    /// The bytes, once; those a first look has seen are among them.
    pub fn reader(&mut self) -> Box<dyn Read + Send> {
        let reader = self.reader.take().unwrap_or_else(|| boxed(io::empty()));
        let kept = mem::take(&mut *lock(&self.kept));
        if kept.is_empty() {
            reader
        } else {
            boxed(Cursor::new(kept).chain(reader))
        }
    }

    /// The bytes for a first look. Those of a pipe come once only, so they are
    /// kept for [`Place::reader`].
    ///
    /// # Errors
    /// What the system refuses.
    pub fn first_look<T>(&mut self, look: impl FnOnce(Box<dyn Read + Send>) -> T) -> io::Result<T> {
        if self.length.is_some() {
            return Ok(look(boxed(File::open(&self.path)?)));
        }
        let pipe = Arc::new(Mutex::new(self.reader()));
        let result = look(boxed(Keep {
            pipe: pipe.clone(),
            kept: self.kept.clone(),
        }));
        self.reader = Some(boxed(Shared(pipe)));
        Ok(result)
    }
}

type Pipe = Arc<Mutex<Box<dyn Read + Send>>>;

/// Reads a pipe and keeps what it has read.
struct Keep {
    pipe: Pipe,
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Read for Keep {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut kept = lock(&self.kept);
        if kept.len() > KEPT_BYTES_MAX {
            return Err(io::Error::other(
                "the rows to look at first are more than 64 MiB: declare the metrics instead",
            ));
        }
        let got = lock(&self.pipe).read(buffer)?;
        kept.extend_from_slice(&buffer[..got]);
        Ok(got)
    }
}

/// What is left of a pipe after the first look.
struct Shared(Pipe);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        lock(&self.0).read(buffer)
    }
}

/// Nobody panics while reading, and if somebody did the bytes are still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn boxed(reader: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(reader)
}
