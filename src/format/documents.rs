//! The hex dumps of `docs/format/`, decoded out of the Markdown and held
//! against what the code writes. Tests of other rooms share the two helpers.

use super::audit::Override;
use super::batch::{self, Definition, Delta, Encoder, Stamp};
use super::manifest::{Manifest, SealedWal, SourceState};
use super::published::Published;
use super::segment_meta::SegmentMeta;
use super::wal::{self, FRAME_HEADER_BYTES, FrameHeader, HEADER_BYTES, Header};
use crate::model::{Branch, Kind, Metric, Minute, Name, Release, Role, Worse};

/// The bytes of the one dump in a document.
pub fn documented(document: &str) -> Vec<u8> {
    let (_, rest) = document.split_once("```hexdump\n").unwrap();
    let (dump, rest) = rest.split_once("```").unwrap();
    assert!(!rest.contains("```hexdump\n"), "one dump a document");
    let mut bytes = Vec::new();
    for line in dump.lines() {
        let (offset, hex) = line.split_once("  ").unwrap();
        assert_eq!(usize::from_str_radix(offset, 16).unwrap(), bytes.len());
        let hex = hex.split(' ');
        bytes.extend(hex.map(|hex| u8::from_str_radix(hex, 16).unwrap()));
    }
    bytes
}

/// The dump of `bytes` as documents have it.
pub fn dump(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).enumerate().map(|(line, bytes)| {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x}  {}\n", line * 16, hex.join(" "))
    });
    lines.collect()
}

const WAL: &str = include_str!("../../docs/format/wal.md");
const MANIFEST: &str = include_str!("../../docs/format/manifest.md");
const PUBLISHED: &str = include_str!("../../docs/format/published.md");
const AUDIT: &str = include_str!("../../docs/format/audit.md");

/// The store of all examples, that of `segment.md` included.
const STORE: u64 = 0x5707_e000_0000_0001;
/// The day of the example in `segment.md`: 2026-05-04.
const DAY: u32 = 29_630_880;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

const WAL_HEADER: Header = Header {
    store_id: STORE,
    wal_id: 4,
    first_sequence: 10,
    previous_bytes: 1_536,
};
const KINDS: [Kind; 2] = [Kind::Counter, Kind::Sum { decimals: 2 }];
const DEFINITIONS: [Definition<'_>; 2] = [
    Definition {
        number: 0,
        key: ["firefox/57.0", "control", "crashes"],
        kind: KINDS[0],
    },
    Definition {
        number: 1,
        key: ["firefox/57.0", "control", "hours"],
        kind: KINDS[1],
    },
];
const DELTAS: [Delta; 4] = [
    Delta {
        series: 0,
        minute: DAY,
        bits: 2,
    },
    Delta {
        series: 1,
        minute: DAY,
        bits: 150,
    },
    Delta {
        series: 0,
        minute: DAY - 90,
        bits: 1,
    },
    Delta {
        series: 1,
        minute: DAY - 90,
        bits: -25_i64 as u64,
    },
];

fn stamp<S>(source: S) -> Stamp<S> {
    Stamp {
        source,
        offset: Some((4_096, 0x1122_3344_5566_7788)),
        watermark: Some(DAY),
    }
}

fn log() -> Vec<u8> {
    let mut payload = Vec::new();
    let mut encoder = Encoder::new(&mut payload, Some(&stamp("collector-1")));
    encoder.definitions(DEFINITIONS.into_iter());
    encoder.deltas(&DELTAS, |series| KINDS[series as usize]);
    let mut bytes = WAL_HEADER.encode().to_vec();
    wal::put_frame(&mut bytes, wal::salt(STORE, 4), 64, 10, 64, &payload);
    bytes
}

fn manifest() -> Manifest {
    let mut manifest = Manifest {
        store_id: STORE,
        generation: 12,
        next_segment: 8,
        first_wal: 3,
        flushed_sequence: 9,
        floor: 29_629_440,
        sealed: Some(SealedWal {
            wal_id: 3,
            bytes: 1_536,
        }),
        ..Manifest::default()
    };
    manifest.segments.push(SegmentMeta {
        id: 7,
        bucket: 643,
        bytes: 440,
        hash: 0x0123_4567_89ab_cdef,
        first_sequence: 3,
        last_sequence: 9,
        first_minute: DAY,
        last_minute: DAY + 90,
        cells: 3,
        series: 1,
    });
    let source = SourceState {
        offset: Some(4_096),
        check: 0x1122_3344_5566_7788,
        watermark: Some(Minute::new(DAY).unwrap()),
    };
    manifest.sources.insert(name("collector-1"), source);
    let mut crashes = Metric::new(name("crashes"), Kind::Counter);
    crashes.role = Some(Role::Vital);
    crashes.worse = Some(Worse::Higher);
    crashes.per = Some(name("hours"));
    crashes.must_differ = Some(1.5);
    crashes.burst_minutes = Some(30);
    crashes.burst_events = Some(80);
    crashes.independent = Some(false);
    let mut hours = Metric::new(name("hours"), Kind::Sum { decimals: 2 });
    hours.unit = Some(name("h"));
    for metric in [&crashes, &hours] {
        manifest.catalogue.define_metric(metric).unwrap();
    }
    let mut release = Release::new(name("firefox/57.0"));
    release.public_from = Some(Minute::new(DAY).unwrap());
    release.control = Some(name("control"));
    release.decision_weeks = Some(2);
    release.branches = ["control", "new"]
        .map(|text| Branch::new(name(text), Some(0.5)))
        .to_vec();
    manifest.catalogue.define_release(&release).unwrap();
    manifest
}

const RECORD: Published = Published {
    store_id: STORE,
    generation: 12,
    wal_id: 4,
    wal_bytes: 187,
    sequence: 10,
};

fn reading() -> Override {
    Override {
        at: DAY + 600,
        release: "firefox/57.0".into(),
        metric: "retention".into(),
        reason: "on call".into(),
    }
}

#[test]
#[ignore = "prints the dumps for the documents"]
fn print() {
    for bytes in [
        log(),
        manifest().encode(),
        RECORD.encode().to_vec(),
        reading().encode(),
    ] {
        println!("{}", dump(&bytes));
    }
}

#[test]
fn the_dump_in_wal_md_is_a_log() {
    let bytes = documented(WAL);
    assert_eq!(bytes, log());
    assert_eq!(Header::decode(&bytes, 4), Ok(WAL_HEADER));
    let salt = wal::salt(STORE, 4);
    let frame = &bytes[HEADER_BYTES..];
    let header = FrameHeader::decode(frame, salt, 64).unwrap();
    assert_eq!((header.sequence, header.durable_bytes), (10, 64));
    let payload = &frame[FRAME_HEADER_BYTES..];
    header.check(payload, salt, 64).unwrap();
    let front = batch::decode(payload).unwrap();
    assert_eq!(front.stamp, Some(stamp("collector-1")));
    assert_eq!(front.definitions, DEFINITIONS);
    let known = |number: u32| Some((number, *KINDS.get(number as usize)?));
    let mut deltas = Vec::new();
    front.deltas(known, &mut deltas, &mut Vec::new()).unwrap();
    assert_eq!(deltas, DELTAS);
}

#[test]
fn the_dump_in_manifest_md_is_a_manifest() {
    let bytes = documented(MANIFEST);
    assert_eq!(bytes, manifest().encode());
    assert_eq!(Manifest::decode(&bytes), Ok((manifest(), None)));
}

#[test]
fn the_dump_in_published_md_is_a_record() {
    let bytes = documented(PUBLISHED);
    assert_eq!(bytes, RECORD.encode());
    assert_eq!(Published::decode(&bytes), Ok(RECORD));
}

#[test]
fn the_dump_in_audit_md_is_a_record() {
    let bytes = documented(AUDIT);
    assert_eq!(bytes, reading().encode());
    assert_eq!(Override::decode(&bytes), Ok((reading(), bytes.len())));
}

#[test]
fn the_documents_name_versions_and_magics() {
    let hex = |bytes: &[u8]| {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("`{}`", hex.join(" "))
    };
    let text = |bytes: &[u8]| format!("`{}`", String::from_utf8_lossy(bytes));
    let manifest_version = super::manifest::VERSION;
    let needles = [
        (WAL, format!("Version {}.", wal::VERSION)),
        (WAL, text(&wal::MAGIC)),
        (WAL, hex(&wal::FRAME_MAGIC)),
        (MANIFEST, format!("Version {manifest_version}.")),
        (MANIFEST, text(&super::manifest::MAGIC)),
        (PUBLISHED, text(&RECORD.encode()[..8])),
        (AUDIT, hex(&reading().encode()[..4])),
    ];
    for (document, needle) in needles {
        assert!(document.contains(&needle), "{needle}");
    }
}
