//! Stores written by released versions open for ever, and say what they said.
//!
//! `tests/golden/v<format>/store` is a store, `expected.csv` beside it what it
//! holds, hour by hour, as the generator's own model has it. Never generate one
//! anew once its format was released: a new format gets a directory of its own.

#[path = "compat/generate.rs"]
mod generate;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use hotstove::{
    Aggregate, Every, Kind, Minute, Name, Options, Pattern, Reader, Role, Snapshot, Store, Worse,
};

const HEADING: &str = "release,branch,metric,minute,total,cells,min,max";

fn golden(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(version)
}

/// A copy, so that nothing ever changes the original.
fn copy(version: &str, to: &Path) {
    for entry in fs::read_dir(golden(version).join("store")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Everything in a store as `expected.csv` has it.
fn hours(snapshot: &Snapshot) -> String {
    let asked = || {
        snapshot
            .query()
            .overriding_held(true)
            .every(Every::Minutes(60))
    };
    let columns = [
        Aggregate::Total,
        Aggregate::Cells,
        Aggregate::Min,
        Aggregate::Max,
    ]
    .map(|aggregate| asked().aggregate(aggregate).run().unwrap());
    let mut text = format!("{HEADING}\n");
    let mut others: Vec<_> = columns[1..].iter().map(|table| table.rows()).collect();
    for row in columns[0].rows() {
        let minute = Minute::new(row.minute).unwrap();
        write!(
            text,
            "{},{},{},{minute},{}",
            row.release, row.branch, row.metric, row.value
        )
        .unwrap();
        for rows in &mut others {
            let other = rows.next().unwrap();
            assert_eq!((other.metric, other.minute), (row.metric, row.minute));
            write!(text, ",{}", other.value).unwrap();
        }
        text.push('\n');
    }
    text
}

fn assert_hours(snapshot: &Snapshot, version: &str) {
    let expected = fs::read_to_string(golden(version).join("expected.csv")).unwrap();
    let found = hours(snapshot);
    for (line, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {}", line + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

#[test]
fn a_store_of_format_1_reads_as_it_did() {
    let directory = tempfile::tempdir().unwrap();
    copy("v1", directory.path());
    let reader = Reader::open(directory.path()).unwrap();
    assert_eq!(reader.warnings(), Vec::<String>::new());
    let snapshot = reader.snapshot().unwrap();
    assert_hours(&snapshot, "v1");

    // What there is besides cells.
    let (source, state) = snapshot.sources().next().unwrap();
    assert_eq!(source.as_str(), "collector-1");
    assert_eq!((state.offset, state.check), (Some(7_000), 0xfeed));
    assert_eq!(state.watermark, Some("2026-06-06T00:00Z".parse().unwrap()));
    let catalogue = snapshot.catalogue();
    let crashes = catalogue.metric("crashes").unwrap();
    assert_eq!(
        (crashes.kind, crashes.role(), crashes.worse),
        (Kind::Counter, Role::Vital, Some(Worse::Higher))
    );
    assert_eq!(
        (crashes.per.as_deref(), crashes.must_differ),
        (Some("hours"), Some(1.25))
    );
    assert_eq!(
        (crashes.burst_minutes, crashes.burst_events),
        (Some(30), Some(80))
    );
    assert_eq!(
        (crashes.unit.as_deref(), crashes.independent),
        (Some("crashes"), Some(false))
    );
    assert_eq!(
        catalogue.metric("hours").unwrap().kind,
        Kind::Sum { decimals: 3 }
    );
    assert_eq!(catalogue.metric("memory").unwrap().kind, Kind::Gauge);
    let release = catalogue.release(generate::RELEASE).unwrap();
    assert_eq!(
        release.public_from,
        Some("2026-05-03T00:00Z".parse().unwrap())
    );
    assert_eq!(
        (release.control.as_deref(), release.decision_weeks()),
        (Some("control"), 2)
    );
    let shares: Vec<_> = release.branches.iter().map(|branch| branch.share).collect();
    assert_eq!(shares, [Some(0.75), Some(0.25)]);

    // A decision metric is held, and who read it all the same is on record.
    let held = snapshot
        .query()
        .metrics(&Pattern::new("ret*").unwrap())
        .run()
        .unwrap();
    assert_eq!((held.len(), held.held().len()), (0, 1));
    let read = reader.overrides().unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(
        (read[0].metric.as_str(), read[0].reason.as_str()),
        ("retention", "golden")
    );

    let inspection = reader.inspect().unwrap();
    assert_eq!(inspection.floor, "2026-05-03T11:40Z".parse().unwrap());
    assert_eq!((inspection.segments.len(), inspection.logs.len()), (3, 2));
    let verification = reader.verify().unwrap();
    assert!(verification.is_sound(), "{:?}", verification.damage);
}

#[test]
fn a_store_of_format_1_is_written_on() {
    let directory = tempfile::tempdir().unwrap();
    copy("v1", directory.path());
    let store = Store::open(directory.path(), Options::new().background(false)).unwrap();
    assert_hours(&store.snapshot(), "v1");
    store.compact().unwrap();
    assert_hours(&store.snapshot(), "v1");
    assert_eq!(store.committed_offset("collector-1"), Some(7_000));
    store.close().unwrap();
    let reader = Reader::open(directory.path()).unwrap();
    assert_hours(&reader.snapshot().unwrap(), "v1");
    assert!(reader.verify().unwrap().is_sound());
}

#[test]
#[ignore = "writes the golden store of a format that is not released yet"]
fn generate_v1() {
    let golden = golden("v1");
    let store = golden.join("store");
    if store.exists() {
        fs::remove_dir_all(&store).unwrap();
    }
    fs::create_dir_all(&golden).unwrap();
    let model = generate::store(&store);
    fs::write(
        golden.join("expected.csv"),
        format!("{HEADING}\n{}", model.hours()),
    )
    .unwrap();
}
