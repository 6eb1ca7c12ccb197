//! The bytes of a file or a pipe, in large pieces, with the offset, the line
//! and a checksum of all that was consumed.

use std::io::{self, Read};

use crc32fast::Hasher;
use indicatif::ProgressBar;

/// Bytes asked for at once.
const PIECE_BYTES: usize = 256 << 10;

/// The longest record. A quote that is never closed must not pull a whole file
/// into memory.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// Marks a checksum as one of an import: what other producers keep beside
/// their offsets has another meaning.
const CHECK_TAG: u64 = 0x686f_7443 << 32;

pub struct Input {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The first byte in the buffer that is not consumed.
    start: usize,
    /// The first byte in the buffer that is not in the checksum.
    unchecked: usize,
    /// Bytes consumed.
    offset: u64,
    /// The line the next byte lies in, from 1.
    line: u64,
    ended: bool,
    hasher: Hasher,
    progress: ProgressBar,
}

impl Input {
    pub fn new(reader: Box<dyn Read + Send>, progress: ProgressBar) -> Self {
        Input {
            reader,
            buffer: Vec::new(),
            start: 0,
            unchecked: 0,
            offset: 0,
            line: 1,
            ended: false,
            hasher: Hasher::new(),
            progress,
        }
    }

    /// Bytes read and not consumed.
    pub fn window(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Whether the window reaches to the end of the file.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The line the window starts in.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Makes the window longer, unless the file has ended.
    pub fn fill(&mut self) -> io::Result<()> {
        if self.ended {
            return Ok(());
        }
        self.hasher.update(&self.buffer[self.unchecked..self.start]);
        self.buffer.drain(..self.start);
        self.start = 0;
        self.unchecked = 0;
        if self.buffer.len() > RECORD_BYTES_MAX {
            return Err(io::Error::other("a record is longer than 1 MiB"));
        }
        let had = self.buffer.len();
        self.buffer.resize(had + PIECE_BYTES, 0);
        let result = loop {
            match self.reader.read(&mut self.buffer[had..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        let got = *result.as_ref().unwrap_or(&0);
        self.buffer.truncate(had + got);
        self.ended = result? == 0;
        self.progress.inc(got as u64);
        Ok(())
    }

    /// Consumes the first `bytes` of the window, which hold `lines` ends of
    /// lines, and returns them.
    pub fn consume(&mut self, bytes: usize, lines: u64) -> &[u8] {
        let from = self.start;
        self.start = (from + bytes).min(self.buffer.len());
        self.offset += (self.start - from) as u64;
        self.line += lines;
        &self.buffer[from..self.start]
    }

    /// The bytes consumed last: what [`Input::consume`] returned.
    pub fn consumed(&self, bytes: usize) -> &[u8] {
        &self.buffer[self.start.saturating_sub(bytes)..self.start]
    }

    /// A checksum of everything consumed so far.
    pub fn check(&mut self) -> u64 {
        self.hasher.update(&self.buffer[self.unchecked..self.start]);
        self.unchecked = self.start;
        CHECK_TAG | u64::from(self.hasher.clone().finalize())
    }

    /// Whether [`Input::check`] made this checksum.
    pub fn made(check: u64) -> bool {
        check >> 32 == CHECK_TAG >> 32
    }

    /// Consumes everything before `offset`; returns the byte before it. None
    /// where the file ends earlier.
    pub fn skip_to(&mut self, offset: u64) -> io::Result<Option<u8>> {
        let mut last = 0;
        while self.offset < offset {
            if self.window().is_empty() {
                if self.ended {
                    return Ok(None);
                }
                self.fill()?;
                continue;
            }
            let wanted = usize::try_from(offset - self.offset).unwrap_or(usize::MAX);
            let skipped = &self.window()[..wanted.min(self.window().len())];
            last = skipped[skipped.len() - 1];
            let (bytes, lines) = (skipped.len(), count_lines(skipped));
            self.consume(bytes, lines);
        }
        Ok(Some(last))
    }
}

/// Ends of lines in `bytes`.
fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte at a time, as a slow pipe does.
    struct Drip(std::vec::IntoIter<u8>);

    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let byte = self.0.next();
            byte.map_or(Ok(0), |byte| {
                buffer[0] = byte;
                Ok(1)
            })
        }
    }

    fn drip(text: &str) -> Input {
        let reader = Drip(text.as_bytes().to_vec().into_iter());
        Input::new(Box::new(reader), ProgressBar::hidden())
    }

    #[test]
    fn a_checksum_depends_on_the_bytes_alone() {
        let mut one = drip("abc\ndef\n");
        one.skip_to(5).unwrap();
        let mut other = Input::new(
            Box::new(io::Cursor::new(b"abc\ndxx".to_vec())),
            ProgressBar::hidden(),
        );
        assert_eq!(other.skip_to(5).unwrap(), Some(b'd'));
        assert_eq!(one.check(), other.check());
        assert_eq!((one.line(), one.offset()), (2, 5));
        one.skip_to(6).unwrap();
        other.skip_to(6).unwrap();
        assert_ne!(one.check(), other.check());
        assert!(Input::made(one.check()) && !Input::made(0) && !Input::made(7));
    }

    #[test]
    fn a_file_that_ends_early_is_noticed() {
        assert_eq!(drip("abc").skip_to(4).unwrap(), None);
        assert_eq!(drip("abc").skip_to(3).unwrap(), Some(b'c'));
    }
}
