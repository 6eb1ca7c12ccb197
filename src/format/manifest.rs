//! The manifest: everything the store consists of, as one checksummed
//! snapshot held twice in one file. `docs/format/manifest.md`.

use std::collections::BTreeMap;

use crate::codec::cursor::{Corrupt, Cursor, Result};
use crate::codec::put;
use crate::format::checksum::bound_crc;
use crate::limits::{MANIFEST_BYTES_MAX, MINUTE_END};
use crate::model::{Catalogue, Minute, Name};

use super::definitions::{
    put_metric, put_option, put_release, take_metric, take_minute, take_name, take_option,
    take_release,
};
use super::segment_meta::SegmentMeta;

/// The file's name.
pub const FILE: &str = "MANIFEST";
/// The name it is written under before it is renamed.
pub const TEMPORARY: &str = "MANIFEST.tmp";
/// The first bytes of the file and of each copy within it.
pub const MAGIC: [u8; 8] = *b"HOTSTMAN";
/// The version this code writes and the newest it reads.
pub const VERSION: u16 = 1;
const HEADER_BYTES: usize = 32;
const WAL_SEALED: u8 = 1;

/// How far a source has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceState {
    /// The offset of its last committed batch, if it stamps any.
    pub offset: Option<u64>,
    /// What the producer kept with that offset: a checksum of its own making.
    pub check: u64,
    /// Minutes before this one are whole, as far as the source has declared.
    pub watermark: Option<Minute>,
}

/// How a clean close left the last log: exactly this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedWal {
    /// The log.
    pub wal_id: u64,
    /// Its length.
    pub bytes: u64,
}

/// The state of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// Drawn when the store was created; every file of it carries it.
    pub store_id: u64,
    /// Counts manifests.
    pub generation: u64,
    /// The number the next segment gets.
    pub next_segment: u64,
    /// Logs before this one are in segments.
    pub first_wal: u64,
    /// The sequence of the last batch that is in segments.
    pub flushed_sequence: u64,
    /// Minutes before this one have been dropped.
    pub floor: u32,
    /// Set by a clean close.
    pub sealed: Option<SealedWal>,
    /// Live segments, sorted by bucket, then sequence.
    pub segments: Vec<SegmentMeta>,
    /// Offsets and watermarks as of `flushed_sequence`.
    pub sources: BTreeMap<Name, SourceState>,
    /// All definitions.
    pub catalogue: Catalogue,
}

impl Manifest {
    /// The whole file: two equal copies, each under its own checksum.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.put_state(&mut body);
        let mut out = Vec::with_capacity(2 * (HEADER_BYTES + body.len()));
        for copy in 0..2 {
            let offset = out.len();
            out.extend_from_slice(&MAGIC);
            out.extend_from_slice(&VERSION.to_le_bytes());
            out.extend_from_slice(&[copy, 0]);
            out.extend_from_slice(&(body.len() as u32).to_le_bytes());
            out.extend_from_slice(&self.generation.to_le_bytes());
            let body_crc = bound_crc(self.generation, offset as u64, &body);
            out.extend_from_slice(&body_crc.to_le_bytes());
            let header_crc = bound_crc(self.generation, offset as u64, &out[offset..]);
            out.extend_from_slice(&header_crc.to_le_bytes());
            out.extend_from_slice(&body);
        }
        out
    }

    /// Reads the file; says also whether one copy was damaged.
    pub fn decode(bytes: &[u8]) -> Result<(Manifest, Option<Corrupt>)> {
        let first = decode_copy(bytes, 0, 0);
        // Copies are equally long, so the second starts in the middle even
        // where the first says nothing sensible.
        let middle = bytes.len() / 2;
        let second = decode_copy(bytes.get(middle..).unwrap_or_default(), middle, 1);
        match (first, second) {
            (Ok(manifest), Ok(_)) if bytes.len().is_multiple_of(2) => Ok((manifest, None)),
            (Ok(manifest), Ok(_)) => {
                Ok((manifest, Some(Corrupt::new(bytes.len(), "a byte too many"))))
            }
            (Ok(manifest), Err(damage)) | (Err(damage), Ok(manifest)) => {
                Ok((manifest, Some(damage)))
            }
            (Err(damage), Err(_)) => Err(damage),
        }
    }

    fn put_state(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.store_id.to_le_bytes());
        put::varint(out, self.next_segment);
        put::varint(out, self.first_wal);
        put::varint(out, self.flushed_sequence);
        put::varint(out, self.floor.into());
        match self.sealed {
            None => out.push(0),
            Some(sealed) => {
                out.push(WAL_SEALED);
                put::varint(out, sealed.wal_id);
                put::varint(out, sealed.bytes);
            }
        }
        put::varint(out, self.segments.len() as u64);
        for segment in &self.segments {
            segment.encode(out);
        }
        put::varint(out, self.sources.len() as u64);
        for (name, state) in &self.sources {
            put::string(out, name);
            put_option(out, state.offset, put::varint);
            out.extend_from_slice(&state.check.to_le_bytes());
            put_option(out, state.watermark, |out, minute| {
                put::varint(out, minute.get().into())
            });
        }
        put::varint(out, self.catalogue.metrics.len() as u64);
        for metric in self.catalogue.metrics() {
            put_metric(out, metric);
        }
        put::varint(out, self.catalogue.releases.len() as u64);
        for release in self.catalogue.releases() {
            put_release(out, release);
        }
    }
}

/// The version of a manifest newer than [`VERSION`]: such a store is refused,
/// not repaired. A copy's header keeps its layout in all versions.
pub fn newer_version(bytes: &[u8]) -> Option<u16> {
    [0, bytes.len() / 2].into_iter().find_map(|offset| {
        let header: &[u8; HEADER_BYTES] = bytes.get(offset..)?.first_chunk()?;
        let mut cursor = Cursor::new(header.strip_prefix(&MAGIC)?);
        let version = cursor.u16();
        cursor.take(6);
        let generation = cursor.u64();
        cursor.take(4);
        let sound = bound_crc(generation, offset as u64, &header[..28]) == cursor.u32();
        (sound && version > VERSION).then_some(version)
    })
}

fn decode_copy(bytes: &[u8], offset: usize, copy: u8) -> Result<Manifest> {
    let shift = |corrupt: Corrupt| Corrupt::new(corrupt.at + offset, corrupt.what);
    let mut cursor = Cursor::new(bytes);
    cursor.require(bytes.starts_with(&MAGIC), "not a manifest");
    cursor.take(8);
    let version = cursor.u16();
    cursor.require(version == VERSION, "a version this code does not know");
    let place = [cursor.u8(), cursor.u8()];
    cursor.require(place == [copy, 0], "not this copy of the manifest");
    let length = cursor.u32() as usize;
    cursor.require(
        length <= MANIFEST_BYTES_MAX,
        "a manifest larger than any that is written",
    );
    let generation = cursor.u64();
    let body_crc = cursor.u32();
    let header_crc = cursor.u32();
    let header = bytes.get(..28).unwrap_or_default();
    cursor.require(
        bound_crc(generation, offset as u64, header) == header_crc,
        "the header's checksum does not match",
    );
    let body = cursor.take(length);
    cursor.check().map_err(shift)?;
    if bound_crc(generation, offset as u64, body) != body_crc {
        return Err(Corrupt::new(
            offset + HEADER_BYTES,
            "the manifest's checksum does not match",
        ));
    }
    let inside = |corrupt: Corrupt| Corrupt::new(corrupt.at + offset + HEADER_BYTES, corrupt.what);
    take_state(body, generation).map_err(inside)
}

fn take_state(body: &[u8], generation: u64) -> Result<Manifest> {
    let cursor = &mut Cursor::new(body);
    let mut manifest = Manifest {
        store_id: cursor.u64(),
        generation,
        next_segment: cursor.varint(),
        first_wal: cursor.varint(),
        flushed_sequence: cursor.varint(),
        floor: cursor.length(MINUTE_END as usize) as u32,
        ..Manifest::default()
    };
    match cursor.u8() {
        0 => {}
        WAL_SEALED => {
            manifest.sealed = Some(SealedWal {
                wal_id: cursor.varint(),
                bytes: cursor.varint(),
            });
        }
        _ => cursor.fail("flags this code does not know"),
    }
    // Every count is bounded by the bytes that are left: an entry has at least one.
    for _ in 0..cursor.length(cursor.remaining()) {
        let meta = SegmentMeta::decode(cursor);
        let after = |last: &SegmentMeta| {
            (last.bucket, last.last_sequence) < (meta.bucket, meta.first_sequence)
        };
        cursor.require(
            manifest.segments.last().is_none_or(after),
            "segments out of order",
        );
        cursor.require(
            meta.id < manifest.next_segment,
            "a segment number yet to be given out",
        );
        manifest.segments.push(meta);
        cursor.check()?;
    }
    for _ in 0..cursor.length(cursor.remaining()) {
        let name = take_name(cursor)?;
        let state = SourceState {
            offset: take_option(cursor, Cursor::varint),
            check: cursor.u64(),
            watermark: take_option(cursor, take_minute),
        };
        manifest.sources.insert(name, state);
    }
    for _ in 0..cursor.length(cursor.remaining()) {
        let metric = take_metric(cursor)?;
        manifest
            .catalogue
            .metrics
            .insert(metric.name.clone(), metric);
    }
    for _ in 0..cursor.length(cursor.remaining()) {
        let release = take_release(cursor)?;
        manifest
            .catalogue
            .releases
            .insert(release.name.clone(), release);
    }
    cursor.clone().finish()?;
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Branch, Kind, Metric, Release, Role, Worse};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn example() -> Manifest {
        let mut manifest = Manifest {
            store_id: 0x1234,
            generation: 9,
            next_segment: 4,
            first_wal: 3,
            flushed_sequence: 77,
            floor: 1_440,
            sealed: Some(SealedWal {
                wal_id: 3,
                bytes: 640,
            }),
            ..Manifest::default()
        };
        manifest.segments.push(SegmentMeta {
            id: 3,
            bucket: 648,
            bytes: 4_096,
            hash: u64::MAX,
            first_sequence: 1,
            last_sequence: 77,
            first_minute: 29_859_840,
            last_minute: 29_859_999,
            cells: 160,
            series: 1,
        });
        let state = SourceState {
            offset: Some(u64::MAX),
            check: 5,
            watermark: Some(Minute::new(29_859_900).unwrap()),
        };
        manifest.sources.insert(name("import"), state);
        let mut crashes = Metric::new(name("crashes"), Kind::Counter);
        crashes.role = Some(Role::Enrolment);
        crashes.worse = Some(Worse::Lower);
        crashes.per = Some(name("usage_hours"));
        crashes.must_differ = Some(1.5);
        crashes.independent = Some(true);
        manifest.catalogue.define_metric(&crashes).unwrap();
        let hours = Metric::new(name("usage_hours"), Kind::Sum { decimals: 6 });
        manifest.catalogue.define_metric(&hours).unwrap();
        let mut release = Release::new(name("a/1"));
        release.public_from = Some(Minute::new(7).unwrap());
        release.branches = vec![
            Branch::new(name("b"), Some(0.5)),
            Branch::new(name("c"), Some(0.5)),
        ];
        manifest.catalogue.define_release(&release).unwrap();
        manifest
    }

    #[test]
    fn round_trip() {
        for manifest in [example(), Manifest::default()] {
            assert_eq!(Manifest::decode(&manifest.encode()), Ok((manifest, None)));
        }
    }

    #[test]
    fn either_copy_is_enough_and_every_flipped_bit_is_found() {
        let manifest = example();
        let bytes = manifest.encode();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let (back, damage) = Manifest::decode(&bytes).unwrap();
            assert_eq!(back, manifest, "bit {bit}");
            assert!(damage.is_some(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_told_from_damage() {
        let mut bytes = example().encode();
        let middle = bytes.len() / 2;
        bytes[8] = 2;
        assert_eq!(newer_version(&bytes), None, "a flipped bit");
        bytes[middle + 8] = 2;
        assert_eq!(newer_version(&bytes), None, "two flipped bits");
        let crc = bound_crc(9, 0, &bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(newer_version(&bytes), Some(2));
    }

    #[test]
    fn two_damaged_copies_are_corruption() {
        let mut bytes = example().encode();
        let middle = bytes.len() / 2;
        bytes[40] ^= 1;
        bytes[middle + 40] ^= 1;
        assert!(Manifest::decode(&bytes).is_err());
    }

    #[test]
    fn a_file_cut_short_keeps_its_first_copy_or_fails() {
        let manifest = example();
        let bytes = manifest.encode();
        for cut in 0..bytes.len() {
            match Manifest::decode(&bytes[..cut]) {
                Ok((back, damage)) => {
                    assert_eq!(back, manifest);
                    assert!(damage.is_some() && cut >= bytes.len() / 2);
                }
                Err(_) => assert!(cut < bytes.len() / 2),
            }
        }
    }

    #[test]
    fn bodies_of_any_bytes_are_handled() {
        let mut body = Vec::new();
        example().put_state(&mut body);
        for index in 0..body.len() {
            for flip in [1, 0x80, 0xff] {
                let mut body = body.clone();
                body[index] ^= flip;
                let _ = take_state(&body, 9);
            }
            assert!(take_state(&body[..index], 9).is_err());
        }
    }
}
