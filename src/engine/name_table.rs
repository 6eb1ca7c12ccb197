//! NameTable of one sort, numbered in the order they came. Each is kept once, its text
//! beside others: a name costs its text and some 12 bytes.

use std::hash::{BuildHasher, RandomState};

use crate::engine::slots::Slots;
use crate::engine::tight::{bytes_of, push_tight};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::NAME_BYTES_MAX;
use crate::model::Name;

/// Bytes of text in one piece; a power of two.
const PIECE_BYTES: usize = 1 << 16;

/// NameTable by number, and their numbers.
#[derive(Debug, Default)]
pub struct NameTable {
    /// Texts back to back. Pieces never move, and never are much too large.
    pieces: Vec<String>,
    /// Where each name begins: which piece, and where in it.
    starts: Vec<u32>,
    lengths: Vec<u16>,
    numbers: Slots,
    hasher: RandomState,
}

const _: () = assert!(NAME_BYTES_MAX <= u16::MAX as usize && NAME_BYTES_MAX < PIECE_BYTES);

impl NameTable {
    /// The name of a number; numbers come from here alone.
    pub fn get(&self, number: u32) -> &str {
        let at = number as usize;
        let (Some(start), Some(length)) = (self.starts.get(at), self.lengths.get(at)) else {
            return "";
        };
        let (piece, from) = (*start as usize / PIECE_BYTES, *start as usize % PIECE_BYTES);
        let text = self.pieces.get(piece).map_or("", String::as_str);
        text.get(from..from + usize::from(*length))
            .unwrap_or_default()
    }

    /// The number of a name, if it was met.
    pub fn find(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        self.numbers.find(hash, |number| self.get(number) == name)
    }

    /// The number of a name, new or known.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for what is no name, and [`ErrorKind::Limit`]
    /// beyond four gigabytes of names.
    pub fn intern(&mut self, name: &str) -> Result<u32> {
        if let Some(number) = self.find(name) {
            return Ok(number);
        }
        Name::check(name)?;
        let room = |piece: &String| piece.len() + name.len() <= PIECE_BYTES;
        if !self.pieces.last().is_some_and(room) {
            self.pieces.push(String::new());
        }
        let piece = self.pieces.len() - 1;
        let text = &mut self.pieces[piece];
        let too_many = || Error::new(ErrorKind::Limit, "more than four gigabytes of names");
        let start = u32::try_from(piece * PIECE_BYTES + text.len()).map_err(|_| too_many())?;
        let number = u32::try_from(self.starts.len()).map_err(|_| too_many())?;
        if text.capacity() - text.len() < name.len() {
            let more = text.len().max(name.len()).max(64);
            text.reserve_exact(more.min(PIECE_BYTES - text.len()));
        }
        text.push_str(name);
        push_tight(&mut self.starts, start);
        push_tight(&mut self.lengths, name.len() as u16);
        let mut numbers = std::mem::take(&mut self.numbers);
        let hash_of = |number| self.hasher.hash_one(self.get(number));
        numbers.insert(hash_of(number), number, hash_of);
        self.numbers = numbers;
        Ok(number)
    }

    /// Bytes held, at most.
    pub fn bytes(&self) -> usize {
        let full = self.pieces.len().saturating_sub(1) * PIECE_BYTES;
        let last = self.pieces.last().map_or(0, String::capacity);
        let lists = bytes_of(&self.pieces) + bytes_of(&self.starts) + bytes_of(&self.lengths);
        full + last + lists + self.numbers.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_name_is_refused_and_leaves_nothing() {
        let mut names = NameTable::default();
        for bad in ["", "*", "a\nb", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert_eq!(
                names.intern(bad).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
        }
        assert_eq!((names.starts.len(), names.find("a")), (0, None));
    }

    #[test]
    fn many_names_cost_little_more_than_their_text() {
        let mut names = NameTable::default();
        let mut text = 0;
        for index in 0..50_000 {
            let name = format!("firefox/nightly/{index}/windows");
            text += name.len();
            assert_eq!(names.intern(&name).unwrap(), index);
        }
        for index in 0..50_000 {
            let name = format!("firefox/nightly/{index}/windows");
            assert_eq!(names.get(index), name);
            assert_eq!(names.find(&name), Some(index));
        }
        let beside = names.bytes() - text;
        assert!(beside < 50_000 * 14 + (64 << 10), "{beside}");
    }

    proptest! {
        #[test]
        fn equal_names_have_equal_numbers(
            list in prop::collection::vec("[a-cé]{1,3}|[a-z]{500,900}", 0..300),
        ) {
            let mut names = NameTable::default();
            let mut known: Vec<String> = Vec::new();
            for name in &list {
                let expected = known.iter().position(|other| other == name).unwrap_or(known.len());
                if expected == known.len() {
                    known.push(name.clone());
                }
                prop_assert_eq!(names.intern(name).unwrap() as usize, expected);
            }
            prop_assert_eq!(names.starts.len(), known.len());
            for (number, name) in known.iter().enumerate() {
                prop_assert_eq!(names.get(number as u32), name);
            }
        }
    }
}
