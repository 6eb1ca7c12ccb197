//! The payload of a frame: one batch as columns. `docs/format/wal.md`.
//!
//! Series are numbered within one log. A frame defines the numbers it uses
//! unless two earlier frames, a sector apart, do: the log alone tells what its
//! deltas belong to, and one damaged frame never takes the meaning of others.

use crate::codec::cursor::{Cursor, Result};
use crate::codec::put;
use crate::limits::{BATCH_DELTAS_MAX, MINUTE_END, NAME_BYTES_MAX};
use crate::model::Kind;

use super::wal::{put_runs, take_runs};

const KIND_BATCH: u8 = 1;
const HAS_SOURCE: u8 = 1;
const HAS_OFFSET: u8 = 2;
const HAS_WATERMARK: u8 = 4;
const SAME_RELEASE: u8 = 1;
const SAME_BRANCH: u8 = 2;

/// One write to one cell. The value is a `u64`, an `i64` or the bits of an
/// `f64`, as its series' kind says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The series: a number of this process or of a log.
    pub series: u32,
    /// Minutes since the epoch.
    pub minute: u32,
    /// 64 bits of value.
    pub bits: u64,
}

/// Who sent a batch, and how far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp<S> {
    /// The source's name.
    pub source: S,
    /// Its offset, with the producer's own checksum of everything up to there.
    pub offset: Option<(u64, u64)>,
    /// Minutes before this one are whole, as far as this source knows.
    pub watermark: Option<u32>,
}

/// The names a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition<'a> {
    /// The number, within one log.
    pub number: u32,
    /// Release, branch and metric.
    pub key: [&'a str; 3],
    /// The metric's kind.
    pub kind: Kind,
}

/// Writes a payload.
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// Begins the payload of a batch.
    pub fn new(out: &'a mut Vec<u8>, stamp: Option<&Stamp<impl AsRef<str>>>) -> Self {
        out.push(KIND_BATCH);
        let Some(stamp) = stamp else {
            out.push(0);
            return Encoder { out };
        };
        let flags = HAS_SOURCE
            | if stamp.offset.is_some() {
                HAS_OFFSET
            } else {
                0
            }
            | if stamp.watermark.is_some() {
                HAS_WATERMARK
            } else {
                0
            };
        out.push(flags);
        put::string(out, stamp.source.as_ref());
        if let Some((offset, check)) = stamp.offset {
            put::varint(out, offset);
            out.extend_from_slice(&check.to_le_bytes());
        }
        if let Some(watermark) = stamp.watermark {
            put::varint(out, watermark.into());
        }
        Encoder { out }
    }

    /// Writes the definitions; names equal to those before are not repeated.
    pub fn definitions<'d>(&mut self, definitions: impl ExactSizeIterator<Item = Definition<'d>>) {
        put::varint(self.out, definitions.len() as u64);
        let mut previous: [&str; 3] = [""; 3];
        for definition in definitions {
            let [release, branch, metric] = definition.key;
            put::varint(self.out, definition.number.into());
            let same_release = release == previous[0];
            let same_branch = branch == previous[1];
            self.out.push(
                if same_release { SAME_RELEASE } else { 0 }
                    | if same_branch { SAME_BRANCH } else { 0 },
            );
            if !same_release {
                put::string(self.out, release);
            }
            if !same_branch {
                put::string(self.out, branch);
            }
            put::string(self.out, metric);
            let (code, decimals) = definition.kind.code();
            self.out.extend_from_slice(&[code, decimals]);
            previous = definition.key;
        }
    }

    /// Writes the deltas, whose `series` are numbers of the log; `kind` tells the
    /// kind of a series.
    pub fn deltas(self, deltas: &[Delta], kind: impl Fn(u32) -> Kind) {
        put::varint(self.out, deltas.len() as u64);
        let base = deltas.first().map_or(0, |delta| delta.minute);
        put::varint(self.out, base.into());
        put_runs(self.out, deltas.iter().map(|delta| delta.series), 0, 1);
        put_runs(self.out, deltas.iter().map(|delta| delta.minute), base, 0);
        let mut at = self.out.len();
        // Room for the longest: to ask for it at every value costs more than zeros.
        let longest = deltas.len() * put::VARINT_BYTES_MAX;
        self.out.resize(at + longest, 0);
        for delta in deltas {
            let place = self.out.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
            let Some(place) = place else { break };
            at += match kind(delta.series) {
                Kind::Counter => put::varint_in_place(place, delta.bits),
                Kind::Sum { .. } => put::varint_in_place(place, put::zigzagged(delta.bits as i64)),
                Kind::Gauge => {
                    place[..8].copy_from_slice(&delta.bits.to_le_bytes());
                    8
                }
            };
        }
        self.out.truncate(at);
    }
}

/// The front of a payload: everything but the deltas.
#[derive(Debug)]
pub struct Front<'a> {
    /// Who sent it.
    pub stamp: Option<Stamp<&'a str>>,
    /// The numbers it defines.
    pub definitions: Vec<Definition<'a>>,
    rest: Cursor<'a>,
}

/// Reads the front of a payload.
pub fn decode(payload: &[u8]) -> Result<Front<'_>> {
    let mut cursor = Cursor::new(payload);
    let kind = cursor.u8();
    cursor.require(kind == KIND_BATCH, "a frame of an unknown kind");
    let flags = cursor.u8();
    let known = HAS_SOURCE | HAS_OFFSET | HAS_WATERMARK;
    cursor.require(
        flags & !known == 0 && (flags == 0 || flags & HAS_SOURCE != 0),
        "flags this code does not know",
    );
    let stamp = (flags != 0).then(|| {
        let source = cursor.string(NAME_BYTES_MAX);
        let offset = (flags & HAS_OFFSET != 0).then(|| (cursor.varint(), cursor.u64()));
        let watermark =
            (flags & HAS_WATERMARK != 0).then(|| cursor.length(MINUTE_END as usize) as u32);
        Stamp {
            source,
            offset,
            watermark,
        }
    });
    let count = cursor.length(BATCH_DELTAS_MAX);
    // The shortest definition takes 6 bytes: no claimed count allocates more
    // than the payload can hold.
    cursor.require(count <= cursor.remaining() / 6, "cut short");
    let mut definitions = Vec::with_capacity(if cursor.is_sound() { count } else { 0 });
    let mut previous = [""; 3];
    for _ in 0..count {
        let number = cursor.length(u32::MAX as usize) as u32;
        let same = cursor.u8();
        cursor.require(
            same <= SAME_RELEASE | SAME_BRANCH,
            "flags this code does not know",
        );
        let [release, branch, _] = previous;
        let release = if same & SAME_RELEASE != 0 {
            release
        } else {
            cursor.string(NAME_BYTES_MAX)
        };
        let branch = if same & SAME_BRANCH != 0 {
            branch
        } else {
            cursor.string(NAME_BYTES_MAX)
        };
        let key = [release, branch, cursor.string(NAME_BYTES_MAX)];
        let kind = Kind::from_code(cursor.u8(), cursor.u8());
        cursor.require(kind.is_some(), "a metric of an unknown kind");
        cursor.check()?;
        let Some(kind) = kind else { break };
        definitions.push(Definition { number, key, kind });
        previous = key;
    }
    cursor.check()?;
    Ok(Front {
        stamp,
        definitions,
        rest: cursor,
    })
}

impl Front<'_> {
    /// Appends the deltas to `out`, whose `series` are then what `resolve`
    /// makes of the log's numbers; a number it does not know is corruption. Where
    /// that is so, or anything else is, nothing is appended.
    pub fn deltas(
        self,
        resolve: impl Fn(u32) -> Option<(u32, Kind)>,
        out: &mut Vec<Delta>,
        kinds: &mut Vec<Kind>,
    ) -> Result<()> {
        let before = out.len();
        let read = self.read_deltas(resolve, out, kinds);
        if read.is_err() {
            out.truncate(before);
        }
        read
    }

    fn read_deltas(
        mut self,
        resolve: impl Fn(u32) -> Option<(u32, Kind)>,
        out: &mut Vec<Delta>,
        kinds: &mut Vec<Kind>,
    ) -> Result<()> {
        let before = out.len();
        kinds.clear();
        let cursor = &mut self.rest;
        let count = cursor.length(BATCH_DELTAS_MAX);
        let base = cursor.length(MINUTE_END as usize) as u32;
        cursor.require(count <= cursor.remaining(), "cut short");
        cursor.check()?;
        out.reserve(count);
        kinds.reserve(count);
        let mut unknown = false;
        take_runs(cursor, count, 0, 1, |_, number| {
            let (series, kind) = resolve(number).unwrap_or_else(|| {
                unknown = true;
                (0, Kind::Counter)
            });
            kinds.push(kind);
            out.push(Delta {
                series,
                minute: 0,
                bits: 0,
            });
        });
        cursor.require(!unknown, "a series whose definition is lost");
        let out = out.get_mut(before..).unwrap_or_default();
        let mut beyond = false;
        take_runs(cursor, count, base, 0, |index, minute| {
            beyond |= minute >= MINUTE_END;
            if let Some(delta) = out.get_mut(index) {
                delta.minute = minute;
            }
        });
        cursor.require(!beyond, "a minute out of range");
        for (delta, kind) in out.iter_mut().zip(kinds.iter()) {
            delta.bits = match kind {
                Kind::Counter => cursor.varint(),
                Kind::Sum { .. } => cursor.zigzag() as u64,
                Kind::Gauge => {
                    let bits = cursor.u64();
                    cursor.require(
                        f64::from_bits(bits).is_finite(),
                        "a value that is no number",
                    );
                    bits
                }
            };
        }
        self.rest.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind_of(series: u32) -> Kind {
        match series % 3 {
            0 => Kind::Counter,
            1 => Kind::Sum { decimals: 4 },
            _ => Kind::Gauge,
        }
    }

    fn encode(deltas: &[Delta], stamp: Option<&Stamp<&str>>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out, stamp);
        let definitions: Vec<_> = (0..6)
            .map(|number| Definition {
                number,
                key: [["a", "b"][number as usize / 3], "all", "m"],
                kind: kind_of(number),
            })
            .collect();
        encoder.definitions(definitions.into_iter());
        encoder.deltas(deltas, kind_of);
        out
    }

    fn read(payload: &[u8]) -> Result<(Option<Stamp<String>>, usize, Vec<Delta>)> {
        let front = decode(payload)?;
        let stamp = front.stamp.as_ref().map(|stamp| Stamp {
            source: stamp.source.to_owned(),
            offset: stamp.offset,
            watermark: stamp.watermark,
        });
        let definitions = front.definitions.len();
        // Those of the frame before stay, whatever this one holds.
        let other = Delta {
            series: 7,
            minute: 7,
            bits: 7,
        };
        let mut deltas = vec![other];
        let known = |number| (number < 6).then(|| (number, kind_of(number)));
        let read = front.deltas(known, &mut deltas, &mut Vec::new());
        assert!(read.is_ok() || deltas.len() == 1);
        assert_eq!(deltas.remove(0), other);
        read?;
        Ok((stamp, definitions, deltas))
    }

    fn any_deltas() -> impl Strategy<Value = Vec<Delta>> {
        let delta = (0_u32..6, 0..MINUTE_END, any::<u64>()).prop_map(|(series, minute, bits)| {
            let finite = series % 3 != 2 || f64::from_bits(bits).is_finite();
            Delta {
                series,
                minute,
                bits: if finite { bits } else { 0 },
            }
        });
        proptest::collection::vec(delta, 0..40)
    }

    proptest! {
        #[test]
        fn round_trip_and_every_prefix_fails(deltas in any_deltas(), stamped: bool, offset: u64, watermark in proptest::option::of(0..MINUTE_END)) {
            let stamp = Stamp { source: "s", offset: Some((offset, 5)), watermark };
            let bytes = encode(&deltas, stamped.then_some(&stamp));
            let (back, definitions, read_deltas) = read(&bytes).unwrap();
            prop_assert_eq!(back.is_some(), stamped);
            if let Some(back) = back {
                prop_assert_eq!((back.offset, back.watermark), (stamp.offset, watermark));
            }
            prop_assert_eq!(definitions, 6);
            prop_assert_eq!(read_deltas, deltas);
            for cut in 0..bytes.len() {
                prop_assert!(read(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn any_bytes_are_handled(mut bytes: Vec<u8>) {
            let _ = read(&bytes);
            bytes.insert(0, KIND_BATCH);
            let _ = read(&bytes);
        }

        #[test]
        fn flips_are_handled(deltas in any_deltas(), at: prop::sample::Index, flip in 1_u8..) {
            let mut bytes = encode(&deltas, None);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let _ = read(&bytes);
        }
    }
}
