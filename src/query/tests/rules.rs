//! Rules of queries, one by one.

use super::{BASE, key, lines, minute, open, write};
use crate::engine::store::Store;
use crate::error::ErrorKind;
use crate::model::Pattern;
use crate::query::{Aggregate, Axis, Every, GroupBy, Query};
use crate::storage::sim_disk::SimDisk;

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).unwrap()
}

fn store() -> Store {
    open(&SimDisk::new(1))
}

fn refused(query: Query<'_>, kind: ErrorKind, what: &str) {
    let error = query.run().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(what), "{error}");
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let store = store();
    let snapshot = store.snapshot();
    let query = || snapshot.query();
    for width in [0, 527_041, u32::MAX] {
        refused(
            query().every(Every::Minutes(width)),
            ErrorKind::InvalidInput,
            "bucket",
        );
    }
    refused(
        query().from(minute(2)).to(minute(1)),
        ErrorKind::InvalidInput,
        "backwards",
    );
    refused(
        query().ages(std::ops::Range { start: 2, end: 1 }),
        ErrorKind::InvalidInput,
        "backwards",
    );
    refused(
        query().metrics(&pattern("nothing")),
        ErrorKind::NotFound,
        "not defined",
    );
    refused(query().per("nothing"), ErrorKind::NotFound, "not defined");
    refused(query().per("memory"), ErrorKind::InvalidInput, "gauge");
    refused(
        query().per("hours").aggregate(Aggregate::Max),
        ErrorKind::InvalidInput,
        "totals",
    );
    refused(
        query().metrics(&pattern("hours")).per("hours"),
        ErrorKind::InvalidInput,
        "itself",
    );
    refused(
        query().metrics(&pattern("memory")).per("hours"),
        ErrorKind::InvalidInput,
        "no rate",
    );
    assert!(
        query()
            .from(minute(1))
            .to(minute(1))
            .run()
            .unwrap()
            .is_empty()
    );
    assert!(query().run().unwrap().is_empty());
}

#[test]
fn absent_is_not_zero_and_zero_is_shown() {
    let store = store();
    write(
        &store,
        ("a", "x", "crashes"),
        &[(BASE, 0), (BASE + 60, 3), (BASE + 180, 4)],
    );
    write(
        &store,
        ("a", "x", "cost"),
        &[(BASE, 5), (BASE + 1, 5_u64.wrapping_neg())],
    );
    let snapshot = store.snapshot();
    let table = snapshot.query().every(Every::Minutes(60)).run().unwrap();
    assert_eq!(
        lines(&table),
        [
            format!("a x cost {BASE} 0.00"),
            format!("a x crashes {BASE} 0"),
            format!("a x crashes {} 3", BASE + 60),
            format!("a x crashes {} 4", BASE + 180),
        ]
    );
}

#[test]
fn rates_divide_sums() {
    let store = store();
    for (at, crashes, hours) in [(0, 1, 10_000), (1, 9, 30_000), (60, 5, 0)] {
        write(&store, ("a", "x", "crashes"), &[(BASE + at, crashes)]);
        write(&store, ("a", "x", "hours"), &[(BASE + at, hours)]);
    }
    write(&store, ("a", "y", "hours"), &[(BASE, 10_000)]);
    write(&store, ("a", "x", "crashes"), &[(BASE + 120, 7)]);
    write(&store, ("a", "x", "memory"), &[(BASE, 1.0_f64.to_bits())]);
    let snapshot = store.snapshot();
    let hourly = snapshot.query().per("hours").every(Every::Minutes(60));
    // 10 crashes in 4 hours; none where there were none, and none without any.
    let table = hourly.clone().run().unwrap();
    assert_eq!(lines(&table), [format!("a x crashes {BASE} 2500")]);
    assert_eq!(
        table.notes(),
        ["left out, since gauges have no rate: memory"]
    );
    let by = GroupBy {
        branch: false,
        ..GroupBy::ALL
    };
    let table = hourly.metrics(&pattern("crashes")).by(by).run().unwrap();
    assert_eq!(lines(&table), [format!("a * crashes {BASE} 2000")]);
    assert!(table.notes().is_empty());
}

#[test]
fn time_by_age() {
    let store = store();
    for (release, public) in [("a", BASE + 100), ("b", BASE + 1_500), ("c", BASE)] {
        for age in [0, 59, 60] {
            write(&store, (release, "x", "crashes"), &[(public + age, 1)]);
        }
        write(&store, (release, "x", "crashes"), &[(public - 1, 100)]);
    }
    let snapshot = store.snapshot();
    let by = GroupBy {
        release: false,
        ..GroupBy::ALL
    };
    let query = snapshot.query().by_age().every(Every::Minutes(60)).by(by);
    let table = query.clone().run().unwrap();
    assert_eq!(table.axis(), Axis::Age);
    assert_eq!(lines(&table), ["* x crashes 0 4", "* x crashes 60 2"]);
    assert_eq!(
        table.notes(),
        ["left out, since no minute is said at which they went public: c"]
    );
    let table = query.ages(59..60).every(Every::Whole).run().unwrap();
    assert_eq!(lines(&table), ["* x crashes 59 2"]);
    let table = snapshot
        .query()
        .releases(&pattern("c"))
        .by_age()
        .run()
        .unwrap();
    assert!(table.is_empty() && !table.notes().is_empty());
}

#[test]
fn gauges_are_not_merged() {
    let store = store();
    write(
        &store,
        ("a", "x", "memory"),
        &[(BASE, 2.5_f64.to_bits()), (BASE + 5, 1.5_f64.to_bits())],
    );
    let snapshot = store.snapshot();
    let by = GroupBy {
        release: false,
        branch: false,
        metric: true,
    };
    let query = || {
        snapshot
            .query()
            .metrics(&pattern("memory"))
            .every(Every::Whole)
    };
    assert_eq!(
        lines(&query().by(by).run().unwrap()),
        [format!("* * memory {BASE} 1.5")]
    );
    write(&store, ("a", "y", "memory"), &[(BASE, 9.5_f64.to_bits())]);
    let snapshot = store.snapshot();
    let query = || {
        snapshot
            .query()
            .metrics(&pattern("memory"))
            .every(Every::Whole)
    };
    refused(
        query().by(by),
        ErrorKind::InvalidInput,
        "gauges of several series",
    );
    let table = query().by(by).aggregate(Aggregate::Cells).run().unwrap();
    assert_eq!(lines(&table), [format!("* * memory {BASE} 3")]);
    let table = query().aggregate(Aggregate::Max).run().unwrap();
    assert_eq!(
        lines(&table),
        [
            format!("a x memory {BASE} 2.5"),
            format!("a y memory {BASE} 9.5")
        ]
    );
}

#[test]
fn decision_metrics_are_held_back() {
    let store = store();
    let opens = minute(BASE + 100 + 10_080);
    write(&store, ("a", "x", "retention"), &[(BASE + 200, 1)]);
    write(&store, ("a", "x", "crashes"), &[(BASE + 200, 2)]);
    write(&store, ("c", "x", "retention"), &[(BASE + 300, 1)]);
    write(&store, ("c", "x", "crashes"), &[(BASE + 250, 3)]);
    let snapshot = store.snapshot();
    let exact = || {
        snapshot
            .query()
            .metrics(&pattern("retention"))
            .releases(&pattern("a"))
    };
    refused(
        exact(),
        ErrorKind::Held,
        &format!("retention of a is a decision metric and held back until {opens}"),
    );
    refused(
        exact().as_of(minute(opens.get() - 1)),
        ErrorKind::Held,
        &opens.to_string(),
    );
    refused(
        snapshot.query().per("retention"),
        ErrorKind::Held,
        &opens.to_string(),
    );
    assert_eq!(exact().as_of(opens).run().unwrap().len(), 1);
    assert_eq!(exact().overriding_held(true).run().unwrap().len(), 1);
    let table = snapshot.query().run().unwrap();
    assert_eq!(lines(&table).len(), 2);
    let held: Vec<String> = table.held().iter().map(ToString::to_string).collect();
    let from_data = minute(BASE + 250 + 10_080);
    assert_eq!(
        held,
        [
            format!("retention of a is a decision metric and held back until {opens}"),
            format!("retention of c is a decision metric and held back until {from_data}"),
        ]
    );
    assert_eq!(snapshot.query().as_of(from_data).run().unwrap().len(), 4);
    let held = snapshot.find(&key("a", "x", "retention")).unwrap_err();
    assert_eq!(held.kind(), ErrorKind::Held);
    assert_eq!(
        table.group("a", "x", "crashes").unwrap().minutes,
        [BASE + 200]
    );
}
