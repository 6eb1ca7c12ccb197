//! The segment in `docs/format/segment.md`, decoded out of the Markdown.

use super::*;
use crate::format::documents::{documented, dump};

const DOCUMENT: &str = include_str!("../../../../docs/format/segment.md");

/// One release on one day: three minutes of crashes.
fn tiny() -> Model {
    let mut presence = Presence::new();
    [0, 1, 90]
        .into_iter()
        .for_each(|minute| presence.set(minute));
    let page = Page {
        presence,
        column: Column::Ints(vec![2, 0, 7]),
    };
    Model::from([(
        key("firefox/57.0", "control", "crashes"),
        (Kind::Counter, vec![(FIRST_DAY + 1, page)]),
    )])
}

#[test]
#[ignore = "prints the dump for the document"]
fn print() {
    print!("{}", dump(&image(&tiny(), 0).0));
}

#[test]
fn the_dump_in_the_document_is_a_segment() {
    let bytes = documented(DOCUMENT);
    let (_, written) = image(&tiny(), 0);
    let meta = SegmentMeta {
        bytes: bytes.len() as u64,
        hash: crate::format::trailer::file_hash(&bytes[bytes.len() - 128..]),
        ..written
    };
    let segment = open(&bytes, &meta);
    segment.verify(&mut |damage| panic!("{damage}"));
    let readings = read_all(&segment, &tiny());
    let (key, (_, pages)) = tiny().pop_first().unwrap();
    assert_eq!(readings[&(key, pages[0].0)].as_ref().unwrap(), &pages[0].1);
}

#[test]
fn the_document_names_version_and_magics() {
    let version = crate::format::header::VERSION;
    assert!(DOCUMENT.contains(&format!("Version {version}")));
    for magic in ["HOTSTSEG", "HOTSTEND", "f5 68 64 0a", "f5 68 62 0a", "hots"] {
        assert!(DOCUMENT.contains(magic), "{magic}");
    }
}
