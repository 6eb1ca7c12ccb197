//! Cold pages: all pages of a block share one `pco` chunk, so that a year of
//! minutes is coded close to its entropy, and each page is still read alone.
//!
//! The chunk's metadata lies beside the pages ([`ColdMeta`]). Every byte of
//! both stands under a checksum verified before; should hostile bytes carry a
//! forged one, `pco` answers with an error, and a panic inside it is caught.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pco::data_types::Number;
use pco::errors::PcoError;
use pco::metadata::DeltaEncoding;
use pco::wrapped::{ChunkDecompressor, FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch, DeltaSpec, FULL_BATCH_N, PagingSpec};

use super::cursor::{Corrupt, Cursor, Result};
use super::page::{self, CELLS_MAX, Column, Family, Page};
use super::{chunk, gauge, presence_code, put};

/// The column's tag: the values stand in a page of the block's chunk.
pub const COLD: u8 = 9;

/// Integers, as what they are above a base.
pub(super) const INTEGERS: u8 = 1;
/// Floats, as integers over a power of ten.
pub(super) const DECIMALS: u8 = 2;
/// Floats as they are.
pub(super) const FLOATS: u8 = 3;

/// The chunk's numbers are 16, 32 or 64 bits, or floats.
pub(super) const U16: u8 = 1;
pub(super) const U32: u8 = 2;
pub(super) const U64: u8 = 3;
pub(super) const F64: u8 = 4;

/// The one major version of the chunk's own format that is read.
pub(super) const PCO_MAJOR: u8 = 4;

/// The highest mode of a chunk that is read: a dictionary would be allocated
/// by a length that nothing has paid for yet, and is never written.
pub(super) const PCO_MODE_MAX: u8 = 3;

/// Measured: levels above save nothing on counts.
const LEVEL: usize = 8;

/// Values a prediction is made from; `pco` is fastest at this number.
const PREDICTED_FROM: usize = 6;

/// The fewest values of a page for which prediction is tried.
const PREDICTED_COUNT_MIN: usize = 64;

/// `pco` 1.1 takes this many values at a time and panics where the last batch
/// is shorter than what it predicts from.
const PREDICTED_BATCH: usize = 512;

/// A predicted chunk is read at half the speed: it has to save one part in
/// this many.
const PREDICTION_SAVES: usize = 32;

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
    /// What is written most, read here and not by `pco`.
    Own(chunk::Chunk),
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
        let own = match number {
            U16 => chunk::Chunk::parse(chunk, u16::BITS),
            U32 => chunk::Chunk::parse(chunk, u32::BITS),
            _ => None,
        };
        if let Some(own) = own {
            let chunk = Chunk::Own(own);
            return Ok(ColdMeta { power, base, chunk });
        }
        let chunk = match number {
            U16 => parse_chunk(chunk).map(Chunk::U16),
            U32 => parse_chunk(chunk).map(Chunk::U32),
            U64 => parse_chunk(chunk).map(Chunk::U64),
            _ => parse_chunk(chunk).map(Chunk::F64),
        };
        let chunk = chunk.ok_or(Corrupt::new(at, "the metadata of a chunk is damaged"))?;
        Ok(ColdMeta { power, base, chunk })
    }

    /// The base of its integers and their chunk, where that is read here.
    pub(super) fn own_integers(&self) -> Option<(i64, &chunk::Chunk)> {
        match &self.chunk {
            Chunk::Own(chunk) if self.power.is_none() => Some((self.base, chunk)),
            _ => None,
        }
    }

    /// Fills `out` with the values from `start` on of the page of `count`
    /// values, at most [`CELLS_MAX`], that the cursor's bytes are.
    pub(super) fn read_ints(
        &self,
        cursor: &mut Cursor<'_>,
        count: usize,
        start: usize,
        out: &mut [i64],
    ) {
        match &self.chunk {
            Chunk::Own(chunk) => self.read_own(chunk, cursor, count, start, out),
            Chunk::U16(chunk) => self.read_above_base(chunk, cursor, count, start, out),
            Chunk::U32(chunk) => self.read_above_base(chunk, cursor, count, start, out),
            Chunk::U64(chunk) => self.read_above_base(chunk, cursor, count, start, out),
            Chunk::F64(_) => cursor.fail("cold floats where integers belong"),
        }
    }

    /// As [`Self::read_ints`], for floats.
    pub(super) fn read_floats(
        &self,
        cursor: &mut Cursor<'_>,
        count: usize,
        start: usize,
        out: &mut [f64],
    ) {
        let at = cursor.position();
        if let Chunk::F64(chunk) = &self.chunk {
            read_page(chunk, cursor, count, start, out);
            if !out.iter().all(|value| value.is_finite()) {
                cursor.fail_at(at, "a value that is not finite");
            }
            return;
        }
        let mut integers = [0; CELLS_MAX];
        let integers = &mut integers[..out.len().min(CELLS_MAX)];
        self.read_ints(cursor, count, start, integers);
        let power = self.power.unwrap_or(1.0);
        for (value, integer) in out.iter_mut().zip(integers) {
            *value = *integer as f64 / power;
        }
    }

    fn read_own(
        &self,
        chunk: &chunk::Chunk,
        cursor: &mut Cursor<'_>,
        count: usize,
        start: usize,
        out: &mut [i64],
    ) {
        let at = cursor.position();
        let bytes = cursor.take(cursor.remaining());
        let mut offsets = [0; CELLS_MAX];
        let offsets = &mut offsets[..out.len().min(CELLS_MAX)];
        if chunk.read(bytes, count, start, offsets).is_none() {
            return cursor.fail_at(at, "a page of a chunk is damaged");
        }
        let highest = self.base.checked_add(u32::MAX.into());
        for (value, offset) in out.iter_mut().zip(&*offsets) {
            *value = self.base.wrapping_add(i64::from(*offset));
        }
        if highest.is_none() && out.iter().any(|value| *value < self.base) {
            cursor.fail_at(at, "a value beyond 64 bits");
        }
    }

    fn read_above_base<T: Number + Default + Into<u64>>(
        &self,
        chunk: &ChunkDecompressor<T>,
        cursor: &mut Cursor<'_>,
        count: usize,
        start: usize,
        out: &mut [i64],
    ) {
        let at = cursor.position();
        let mut offsets = [T::default(); CELLS_MAX];
        let offsets = &mut offsets[..out.len().min(CELLS_MAX)];
        read_page(chunk, cursor, count, start, offsets);
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

pub(super) fn parse_chunk<T: Number>(bytes: &[u8]) -> Option<ChunkDecompressor<T>> {
    let parse = || {
        let (file, rest) = FileDecompressor::new(bytes).ok()?;
        if file.format_version().major != PCO_MAJOR || rest.first()? & 0xf > PCO_MODE_MAX {
            return None;
        }
        let (chunk, rest) = file.chunk_decompressor::<T, _>(rest).ok()?;
        // Lookback would allocate its window by a length that is stored.
        if let DeltaEncoding::Lookback { .. } = chunk.meta().delta_encoding {
            return None;
        }
        rest.is_empty().then_some(chunk)
    };
    catch_unwind(parse).unwrap_or(None)
}

/// Fills `out` with the values from `start` on of the page of `count` values
/// that the cursor's bytes are. Values behind those wanted are not read.
pub(super) fn read_page<T: Number + Default>(
    chunk: &ChunkDecompressor<T>,
    cursor: &mut Cursor<'_>,
    count: usize,
    start: usize,
    out: &mut [T],
) {
    let at = cursor.position();
    let bytes = cursor.take(cursor.remaining());
    let whole = start == 0 && out.len() == count;
    let read = AssertUnwindSafe(|| {
        let mut scratch = DecompressorScratch::default();
        let mut page = chunk.page_decompressor_with_scratch(bytes, count, &mut scratch)?;
        if whole {
            let progress = page.read(out)?;
            return Ok::<_, PcoError>(progress.finished && page.into_src().is_empty());
        }
        let mut values = [T::default(); CELLS_MAX];
        let end = (start + out.len()).min(count);
        // Numbers are read in whole batches, the last one excepted.
        let values = &mut values[..end.next_multiple_of(FULL_BATCH_N).min(count)];
        let progress = page.read(values)?;
        out.copy_from_slice(&values[start..end]);
        Ok(progress.n_processed >= end)
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
    encode_together(pages)
        .filter(|block| block.size() < hot.len())
        .filter(|block| reads_back(block, pages))
}

/// Whether a block is read as what was written. A fault in a coder this dense
/// would be silent; here it costs a few bytes, since the pages stay hot.
fn reads_back(block: &ColdBlock, pages: &[&Page]) -> bool {
    let family = match pages.first().map(|page| &page.column) {
        Some(Column::Floats(_)) => Family::Float,
        _ => Family::Integer,
    };
    let Ok(meta) = ColdMeta::parse(&block.meta, family) else {
        return false;
    };
    let mut back = Page::new(family);
    pages.iter().zip(&block.pages).all(|(page, bytes)| {
        page::decode(bytes, family, Some(&meta), &mut back).is_ok() && back.same_bits(page)
    })
}

/// [`encode_cold`], whatever it costs.
pub(super) fn encode_together(pages: &[&Page]) -> Option<ColdBlock> {
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
    Some(block)
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
    let with = |delta| compress_with(&head, values, counts, delta);
    let plain = with(DeltaSpec::NoOp);
    let delta = with(DeltaSpec::TryConsecutive(1));
    let simple = plain.into_iter().chain(delta).min_by_key(ColdBlock::size)?;
    // Prediction comes closest to the entropy of counts around a moving rate.
    // There is none for 64 bits.
    let predictable = counts.iter().all(|count| {
        let last = count % PREDICTED_BATCH;
        *count >= PREDICTED_COUNT_MIN && (last == 0 || last >= PREDICTED_FROM)
    });
    let predicted = if predictable && size_of::<T>() <= 4 {
        with(DeltaSpec::TryConv1(PREDICTED_FROM))
    } else {
        None
    };
    let worth =
        |predicted: &ColdBlock| predicted.size() + simple.size() / PREDICTION_SAVES < simple.size();
    Some(predicted.filter(worth).unwrap_or(simple))
}

pub(super) fn compress_with<T: Number>(
    head: &[u8],
    values: &[T],
    counts: &[usize],
    delta: DeltaSpec,
) -> Option<ColdBlock> {
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_delta_spec(delta)
        .with_paging_spec(PagingSpec::Exact(counts.to_vec()));
    let write = AssertUnwindSafe(|| {
        let file = FileCompressor::default();
        let mut chunk = file.chunk_compressor(values, &config).ok()?;
        let meta = file.write_header(head.to_vec()).ok()?;
        let meta = chunk.write_meta(meta).ok()?;
        // A mode that a later `pco` may choose and this version does not read.
        parse_chunk::<T>(meta.get(head.len()..)?)?;
        let pages: Option<Vec<_>> = (0..counts.len())
            .map(|index| chunk.write_page(index, Vec::new()).ok())
            .collect();
        Some(ColdBlock {
            meta,
            pages: pages?,
        })
    });
    catch_unwind(write).unwrap_or(None)
}
