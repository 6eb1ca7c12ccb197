//! Cold pages: all pages of a block share one `pco` chunk, so that a year of
//! minutes is coded close to its entropy, and each page is still read alone.
//!
//! The chunk's metadata lies beside the pages ([`ColdMeta`]). Every byte of
//! both stands under a checksum verified before; should hostile bytes carry a
//! forged one, `pco` answers with an error, and a panic inside it is caught.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pco::data_types::Number;
use pco::metadata::DeltaEncoding;
use pco::wrapped::{ChunkDecompressor, FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, PagingSpec};

use super::cursor::{Corrupt, Cursor, Result};
use super::page::{self, CELLS_MAX, Column, Family, Page};
use super::{gauge, presence_code, put};

/// The column's tag: the values stand in a page of the block's chunk.
pub const COLD: u8 = 9;

/// Integers, as what they are above a base.
const INTEGERS: u8 = 1;
/// Floats, as integers over a power of ten.
const DECIMALS: u8 = 2;
/// Floats as they are.
const FLOATS: u8 = 3;

/// The chunk's numbers are 16, 32 or 64 bits, or floats.
const U16: u8 = 1;
const U32: u8 = 2;
const U64: u8 = 3;
const F64: u8 = 4;

/// The one major version of the chunk's own format that is read.
const PCO_MAJOR: u8 = 4;

/// The highest mode of a chunk that is read: a dictionary would be allocated
/// by a length that nothing has paid for yet, and is never written.
const PCO_MODE_MAX: u8 = 3;

/// The pages of one block, encoded together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColdBlock {
    /// What all pages share.
    pub meta: Vec<u8>,
    /// One encoding a page.
    pub pages: Vec<Vec<u8>>,
}

/// What the cold pages of one block share, parsed.
#[derive(Clone, Debug)]
pub struct ColdMeta {
    /// The power of ten that floats are divided by; none where they are
    /// stored as they are, or where the block holds integers.
    power: Option<f64>,
    base: i64,
    chunk: Chunk,
}

#[derive(Clone, Debug)]
enum Chunk {
    U16(ChunkDecompressor<u16>),
    U32(ChunkDecompressor<u32>),
    U64(ChunkDecompressor<u64>),
    F64(ChunkDecompressor<f64>),
}

impl ColdMeta {
    /// Parses what a block of `family` keeps beside its cold pages.
    ///
    /// # Errors
    /// The first byte that is not what the format says.
    pub fn parse(bytes: &[u8], family: Family) -> Result<Self> {
        let mut cursor = Cursor::new(bytes);
        let kind = cursor.u8();
        let number = cursor.u8();
        let (mut power, mut base) = (None, 0);
        match (family, kind, number) {
            (Family::Integer, INTEGERS, U16..=U64) => base = cursor.zigzag(),
            (Family::Float, DECIMALS, U16..=U64) => {
                power = gauge::power(cursor.u8());
                cursor.require(power.is_some(), "more decimals than nine");
                base = cursor.zigzag();
            }
            (Family::Float, FLOATS, F64) => {}
            _ => cursor.fail_at(0, "cold metadata that does not fit the metric"),
        }
        cursor.check()?;
        let at = cursor.position();
        let chunk = cursor.take(cursor.remaining());
        let chunk = match number {
            U16 => parse_chunk(chunk).map(Chunk::U16),
            U32 => parse_chunk(chunk).map(Chunk::U32),
            U64 => parse_chunk(chunk).map(Chunk::U64),
            _ => parse_chunk(chunk).map(Chunk::F64),
        };
        let chunk = chunk.ok_or(Corrupt::new(at, "the metadata of a chunk is damaged"))?;
        Ok(ColdMeta { power, base, chunk })
    }

    /// Fills `out`, of at most [`CELLS_MAX`] values, with the page that the
    /// cursor's bytes are.
    pub(super) fn read_ints(&self, cursor: &mut Cursor<'_>, out: &mut [i64]) {
        match &self.chunk {
            Chunk::U16(chunk) => self.read_above_base(chunk, cursor, out),
            Chunk::U32(chunk) => self.read_above_base(chunk, cursor, out),
            Chunk::U64(chunk) => self.read_above_base(chunk, cursor, out),
            Chunk::F64(_) => cursor.fail("cold floats where integers belong"),
        }
    }

    /// As [`Self::read_ints`], for floats.
    pub(super) fn read_floats(&self, cursor: &mut Cursor<'_>, out: &mut [f64]) {
        let at = cursor.position();
        if let Chunk::F64(chunk) = &self.chunk {
            read_page(chunk, cursor, out);
            if !out.iter().all(|value| value.is_finite()) {
                cursor.fail_at(at, "a value that is not finite");
            }
            return;
        }
        let mut integers = [0; CELLS_MAX];
        let integers = &mut integers[..out.len().min(CELLS_MAX)];
        self.read_ints(cursor, integers);
        let power = self.power.unwrap_or(1.0);
        for (value, integer) in out.iter_mut().zip(integers) {
            *value = *integer as f64 / power;
        }
    }

    fn read_above_base<T: Number + Default + Into<u64>>(
        &self,
        chunk: &ChunkDecompressor<T>,
        cursor: &mut Cursor<'_>,
        out: &mut [i64],
    ) {
        let at = cursor.position();
        let mut offsets = [T::default(); CELLS_MAX];
        let offsets = &mut offsets[..out.len().min(CELLS_MAX)];
        read_page(chunk, cursor, offsets);
        let mut beyond = false;
        for (value, offset) in out.iter_mut().zip(offsets) {
            *value = self.base.wrapping_add((*offset).into() as i64);
            beyond |= *value < self.base;
        }
        if beyond {
            cursor.fail_at(at, "a value beyond 64 bits");
        }
    }
}

fn parse_chunk<T: Number>(bytes: &[u8]) -> Option<ChunkDecompressor<T>> {
    let parse = || {
        let (file, rest) = FileDecompressor::new(bytes).ok()?;
        if file.format_version().major != PCO_MAJOR || rest.first()? & 0xf > PCO_MODE_MAX {
            return None;
        }
        let (chunk, rest) = file.chunk_decompressor::<T, _>(rest).ok()?;
        let known = match chunk.meta().delta_encoding {
            DeltaEncoding::NoOp | DeltaEncoding::Consecutive { .. } | DeltaEncoding::Conv1(_) => {
                true
            }
            _ => false,
        };
        (rest.is_empty() && known).then_some(chunk)
    };
    catch_unwind(parse).unwrap_or(None)
}

/// Fills `out` with the page that the cursor's bytes are, to the last of them.
fn read_page<T: Number>(chunk: &ChunkDecompressor<T>, cursor: &mut Cursor<'_>, out: &mut [T]) {
    let at = cursor.position();
    let bytes = cursor.take(cursor.remaining());
    let read = AssertUnwindSafe(|| {
        let mut scratch = pco::DecompressorScratch::default();
        let mut page = chunk.page_decompressor_with_scratch(bytes, out.len(), &mut scratch)?;
        let progress = page.read(out)?;
        Ok::<_, pco::errors::PcoError>(progress.finished && page.into_src().is_empty())
    });
    match catch_unwind(read) {
        Ok(Ok(true)) => {}
        _ => cursor.fail_at(at, "a page of a chunk is damaged"),
    }
}

/// Encodes the pages of a block together. None where that is not smaller than
/// encoding each alone, and for pages with cells beyond 64 bits.
#[must_use]
pub fn encode_cold(pages: &[&Page]) -> Option<ColdBlock> {
    let mut hot = Vec::new();
    pages.iter().for_each(|page| page::encode(page, &mut hot));
    let counts: Vec<usize> = pages.iter().map(|page| page.column.len()).collect();
    let mut block = match pages.first()?.column {
        Column::Ints(_) => {
            let values = gather(pages, |column| match column {
                Column::Ints(values) => Some(values),
                _ => None,
            })?;
            compress_integers(vec![INTEGERS], &values, &counts)
        }
        Column::Wides(_) => None,
        Column::Floats(_) => {
            let values = gather(pages, |column| match column {
                Column::Floats(values) => Some(values),
                _ => None,
            })?;
            let decimals = gauge::decimals(values.iter().copied());
            let integers = decimals.and_then(|decimals| {
                let integers = gauge::scale(values.iter().copied(), decimals)?;
                compress_integers(vec![DECIMALS, decimals], &integers, &counts)
            });
            integers.or_else(|| compress(vec![FLOATS, F64], &values, &counts))
        }
    }?;
    let bodies = std::mem::take(&mut block.pages);
    block.pages = pages
        .iter()
        .zip(bodies)
        .map(|(page, body)| {
            let presence = presence_code::Plan::of(&page.presence);
            let mut bytes = vec![page::tags(presence.tag, COLD)];
            presence.write(&mut bytes);
            bytes.extend(body);
            bytes
        })
        .collect();
    (block.size() < hot.len()).then_some(block)
}

impl ColdBlock {
    /// Bytes of the metadata and all pages.
    #[must_use]
    pub fn size(&self) -> usize {
        self.meta.len() + self.pages.iter().map(Vec::len).sum::<usize>()
    }
}

/// All values of all pages, if their columns are all of one sort.
fn gather<'a, T: Copy + 'a>(
    pages: &[&'a Page],
    values: impl Fn(&'a Column) -> Option<&'a Vec<T>>,
) -> Option<Vec<T>> {
    let columns: Option<Vec<_>> = pages.iter().map(|page| values(&page.column)).collect();
    Some(columns?.into_iter().flatten().copied().collect())
}

/// One chunk of integers, in the narrowest numbers that hold them.
fn compress_integers(head: Vec<u8>, values: &[i64], counts: &[usize]) -> Option<ColdBlock> {
    let (low, high) = (*values.iter().min()?, *values.iter().max()?);
    // Zero is a good base for counts: common divisors stay visible.
    let base = if low >= 0 && high <= i64::from(u32::MAX) {
        0
    } else {
        low
    };
    let offsets = values.iter().map(|value| value.wrapping_sub(base) as u64);
    let mut head = head;
    let highest = high.wrapping_sub(base) as u64;
    let number = match highest {
        0..0x1_0000 => U16,
        0x1_0000..0x1_0000_0000 => U32,
        _ => U64,
    };
    head.insert(1, number);
    put::zigzag(&mut head, base);
    match number {
        U16 => compress(
            head,
            &offsets.map(|value| value as u16).collect::<Vec<_>>(),
            counts,
        ),
        U32 => compress(
            head,
            &offsets.map(|value| value as u32).collect::<Vec<_>>(),
            counts,
        ),
        _ => compress(head, &offsets.collect::<Vec<_>>(), counts),
    }
}

/// One chunk of numbers, a page for each of `counts`, behind `head`.
fn compress<T: Number>(head: Vec<u8>, values: &[T], counts: &[usize]) -> Option<ColdBlock> {
    let candidates = [DeltaSpec::NoOp, DeltaSpec::TryConsecutive(1)];
    let blocks = candidates.into_iter().filter_map(|delta| {
        let config = ChunkConfig::default()
            .with_delta_spec(delta)
            .with_paging_spec(PagingSpec::Exact(counts.to_vec()));
        let file = FileCompressor::default();
        let mut chunk = file.chunk_compressor(values, &config).ok()?;
        let meta = file.write_header(head.clone()).ok()?;
        let meta = chunk.write_meta(meta).ok()?;
        let pages: Option<Vec<_>> = (0..counts.len())
            .map(|index| chunk.write_page(index, Vec::new()).ok())
            .collect();
        Some(ColdBlock {
            meta,
            pages: pages?,
        })
    });
    blocks.min_by_key(ColdBlock::size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::page::decode;
    use crate::codec::presence::{MINUTES, Presence};
    use proptest::prelude::*;

    /// Days of values drawn by `value`, each day with a few holes.
    fn days(
        count: u64,
        mut column: impl FnMut(&mut dyn FnMut() -> u64, usize) -> Column,
    ) -> Vec<Page> {
        let mut state = 1_u64;
        let mut noise = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 33
        };
        (0..count)
            .map(|day| {
                let mut presence = Presence::new();
                presence.set_range(0..MINUTES);
                (0..day as u16 * 3).for_each(|hole| presence.unset(hole * 31 % MINUTES));
                let count = presence.count();
                let column = column(&mut noise, count);
                Page { presence, column }
            })
            .collect()
    }

    fn integers(shift: u32, base: i64) -> Vec<Page> {
        days(3, |noise, count| {
            let value = |_| base.wrapping_add((noise() * noise() >> shift) as i64);
            Column::Ints((0..count).map(value).collect())
        })
    }

    fn round_trip(pages: &[Page], family: Family) -> ColdBlock {
        let block = encode_cold(&pages.iter().collect::<Vec<_>>()).unwrap();
        let meta = ColdMeta::parse(&block.meta, family).unwrap();
        let mut out = Page::new(Family::Integer);
        for (page, bytes) in pages.iter().zip(&block.pages) {
            decode(bytes, family, Some(&meta), &mut out).unwrap();
            assert_eq!(out, *page);
            assert!(decode(bytes, family, None, &mut out).is_err());
        }
        block
    }

    #[test]
    fn every_number_round_trips() {
        for (shift, base, number) in [
            (55, 0, U16),
            (55, -7, U16),
            (40, 0, U32),
            (40, i64::MIN, U32),
            (40, i64::MAX - (1 << 22), U32),
            (20, 5, U64),
            (1, i64::MIN, U64),
        ] {
            let pages = integers(shift, base);
            assert_eq!(
                round_trip(&pages, Family::Integer).meta[..2],
                [INTEGERS, number]
            );
        }
        let grid = days(3, |noise, count| {
            Column::Floats((0..count).map(|_| (noise() % 997) as f64 / 1e3).collect())
        });
        assert_eq!(
            round_trip(&grid, Family::Float).meta[..3],
            [DECIMALS, U16, 3]
        );
        let raw = days(3, |noise, count| {
            Column::Floats(
                (0..count)
                    .map(|_| 1.0 / (noise() % 997 + 3) as f64)
                    .collect(),
            )
        });
        assert_eq!(round_trip(&raw, Family::Float).meta[..2], [FLOATS, F64]);
    }

    #[test]
    fn not_applicable() {
        assert_eq!(encode_cold(&[]), None);
        let presence = Presence::from_iter([3]);
        let page = |column| Page {
            presence: presence.clone(),
            column,
        };
        let (int, wide) = (
            page(Column::Ints(vec![5])),
            page(Column::Wides(vec![1 << 90])),
        );
        assert_eq!(encode_cold(&[&int]), None, "one cell is smaller alone");
        assert_eq!(encode_cold(&[&wide]), None);
        assert_eq!(encode_cold(&[&int, &wide]), None);
    }

    #[test]
    fn damage_is_an_error_never_a_panic() {
        let pages = integers(55, 0);
        let block = round_trip(&pages[..2], Family::Integer);
        assert!(ColdMeta::parse(&block.meta, Family::Float).is_err());
        for cut in 0..block.meta.len() {
            assert!(ColdMeta::parse(&block.meta[..cut], Family::Integer).is_err());
        }
        let meta = ColdMeta::parse(&block.meta, Family::Integer).unwrap();
        let mut out = Page::new(Family::Integer);
        let page = &block.pages[1];
        for cut in 0..page.len() {
            assert!(decode(&page[..cut], Family::Integer, Some(&meta), &mut out).is_err());
            assert!(out.column.is_empty() && out.presence.is_empty());
        }
        for at in 0..page.len() {
            let mut page = page.clone();
            page[at] ^= 1 << (at % 8);
            let _ = decode(&page, Family::Integer, Some(&meta), &mut out);
            assert_eq!(out.column.len(), out.presence.count());
        }
        for at in 0..block.meta.len() {
            for flip in [0x01, 0x08, 0x80, 0xff] {
                let mut bytes = block.meta.clone();
                bytes[at] ^= flip;
                if let Ok(meta) = ColdMeta::parse(&bytes, Family::Integer) {
                    let _ = decode(page, Family::Integer, Some(&meta), &mut out);
                    assert_eq!(out.column.len(), out.presence.count());
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_chunk_is_handled(
            number in U16..=F64,
            mode in 0..=PCO_MODE_MAX,
            chunk in proptest::collection::vec(any::<u8>(), 0..80),
            page in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let family = if number == F64 { Family::Float } else { Family::Integer };
            let kind = if number == F64 { FLOATS } else { INTEGERS };
            let mut bytes = vec![kind, number];
            if number != F64 {
                bytes.push(0);
            }
            bytes.extend([PCO_MAJOR, 1, mode]);
            bytes.extend(chunk);
            if let Ok(meta) = ColdMeta::parse(&bytes, family) {
                let mut out = Page::new(family);
                let page = [&[0x91][..], &page].concat();
                let _ = decode(&page, family, Some(&meta), &mut out);
                prop_assert_eq!(out.column.len(), out.presence.count());
            }
        }
    }
}
