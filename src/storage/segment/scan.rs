//! Finding the blocks of a segment without its directory: front to back, from
//! one self-describing block to the next, and past damage to the next magic.

use std::ops::Range;

use crate::format::block::BlockHeader;
use crate::format::block_prefix::{BLOCK_MAGIC, PREFIX_BYTES, Place, Prefix};
use crate::format::dictionary::Dictionary;
use crate::format::dictionary_copy::{DICTIONARY_MAGIC, copy_length, decode_copy};
use crate::format::directory::Entry;

/// What a scan came upon, in the order of the file.
#[derive(Debug)]
pub enum Found {
    /// A block whose header is sound.
    Block(Entry),
    /// A block of which the header is sound only in its first part: which
    /// series it was is known, and where the next block starts.
    Lost(u64, Prefix),
    /// A copy of the dictionary.
    Dictionary(Box<Dictionary>),
    /// Bytes that are none of these.
    Gap(Range<u64>),
}

/// Looks at `bytes`, which start at `offset` of their segment, and reads at
/// most so many `dictionaries`.
///
/// Every step is paid for by the bytes it passes or the few it looks at, so
/// that the time is linear whatever the bytes are.
pub fn scan(
    bytes: &[u8],
    segment_id: u64,
    offset: u64,
    bucket: u32,
    mut dictionaries: usize,
) -> Vec<Found> {
    let mut found = Vec::new();
    let mut gap_start = 0;
    let mut position = 0;
    while let Some(next) = next_magic(bytes, position) {
        let place = Place {
            segment_id,
            offset: offset + next as u64,
        };
        let Some((item, length)) = read(&bytes[next..], place, bucket, &mut dictionaries) else {
            position = next + 1;
            continue;
        };
        if gap_start < next {
            found.push(Found::Gap(offset + gap_start as u64..place.offset));
        }
        found.push(item);
        position = bytes.len().min(next + length);
        gap_start = position;
    }
    if gap_start < bytes.len() {
        found.push(Found::Gap(
            offset + gap_start as u64..offset + bytes.len() as u64,
        ));
    }
    found
}

/// The first magic at or after `from`. Both start with a byte rare elsewhere.
fn next_magic(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = bytes.get(at..)?;
        at += rest.iter().position(|byte| *byte == BLOCK_MAGIC[0])?;
        let rest = &bytes[at..];
        if rest.starts_with(&BLOCK_MAGIC) || rest.starts_with(&DICTIONARY_MAGIC) {
            return Some(at);
        }
        at += 1;
    }
}

/// The block or dictionary that `bytes` start with, and its length.
fn read(
    bytes: &[u8],
    place: Place,
    bucket: u32,
    dictionaries: &mut usize,
) -> Option<(Found, usize)> {
    if bytes.starts_with(&DICTIONARY_MAGIC) {
        let length = copy_length(bytes, place.segment_id, place.offset).ok()?;
        let mut item = Found::Gap(place.offset..place.offset + length as u64);
        if *dictionaries > 0 {
            *dictionaries -= 1;
            let decoded = decode_copy(bytes, place.segment_id, place.offset);
            if let Ok((dictionary, _)) = decoded {
                item = Found::Dictionary(Box::new(dictionary));
            }
        }
        return Some((item, length));
    }
    let prefix = Prefix::decode(bytes.get(..PREFIX_BYTES)?, place).ok()?;
    let length = prefix.block_bytes as usize;
    let entry = bytes
        .get(..length)
        .and_then(|block| BlockHeader::decode(block, place).ok())
        .and_then(|header| header.entry(place, bucket).ok());
    let item = match entry {
        Some(entry) => Found::Block(entry),
        None => Found::Lost(place.offset, prefix),
    };
    Some((item, length))
}
