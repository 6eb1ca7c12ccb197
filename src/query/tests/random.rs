//! Any store, any question.

use std::cell::RefCell;

use proptest::prelude::*;

use super::model::{Answer, Model, Question, Refusal, Series, kind};
use super::{BASE, METRICS, bits, key, minute, name, open};
use crate::engine::batch::Batch;
use crate::engine::store::Store;
use crate::error::ErrorKind;
use crate::model::{Kind, Pattern};
use crate::query::{Aggregate, Cells, Every, GroupBy, Query, Table, Units};
use crate::storage::sim_disk::SimDisk;

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(Series, u32, u64)>),
    Flush,
    Compact,
    Reopen,
    Retain(u32),
}

/// Few days and few minutes, so that segments and memtables share pages; on
/// both sides of a boundary of time buckets.
fn minutes() -> impl Strategy<Value = u32> {
    let at = prop_oneof![0_u32..4, 58_u32..62, Just(719), 1_436_u32..1_440];
    prop_oneof![
        8 => (0_u32..4, at).prop_map(|(day, at)| BASE + day * 1_440 + at),
        1 => Just(BASE - 60_000),
        1 => Just(BASE + 100_000),
    ]
}

fn cell() -> impl Strategy<Value = (Series, u32, u64)> {
    let names = (0_usize..3, 0_usize..2, 0_usize..5);
    let value =
        prop_oneof![6 => 0_u64..100, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => Just(1 << 63)];
    (names, minutes(), value).prop_map(|((release, branch, metric), minute, value)| {
        let metric = METRICS[metric].0;
        let bits = match kind(metric) {
            Kind::Gauge => ((value as i64) as f64 / 8.0).to_bits(),
            _ => value,
        };
        let series = (["a", "b", "c"][release], ["x", "y"][branch], metric);
        (
            (series.0.into(), series.1.into(), series.2.into()),
            minute,
            bits,
        )
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec(cell(), 1..40).prop_map(Step::Write),
        3 => Just(Step::Flush),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
        1 => minutes().prop_map(Step::Retain),
    ];
    prop::collection::vec(step, 1..12)
}

fn question() -> impl Strategy<Value = Question> {
    let release = prop_oneof![3 => Just("*"), 1 => Just("a"), 1 => Just("c"), 1 => Just("b*"), 1 => Just("z")];
    let branch = prop_oneof![3 => Just("*"), 1 => Just("x"), 1 => Just("y")];
    let metrics = prop_oneof![
        4 => Just(vec![]),
        2 => Just(vec!["crashes"]),
        1 => Just(vec!["memory"]),
        1 => Just(vec!["cost", "c*"]),
        1 => Just(vec!["crashes", "cost"]),
        1 => Just(vec!["retention"]),
        1 => Just(vec!["r*"]),
    ];
    let names = (release, branch, metrics);
    let bounds = (prop::option::of(minutes()), prop::option::of(minutes()));
    let ages = prop::option::weighted(
        0.4,
        (0_u32..3_000, prop_oneof![0_u32..5_000, Just(u32::MAX)]),
    );
    let ages = ages.prop_map(|ages| {
        // Half of them from the very start.
        ages.map(|(start, length)| {
            let start = if start % 2 == 0 { 0 } else { start };
            start..start.saturating_add(length)
        })
    });
    let every = prop_oneof![
        2 => Just(Every::Minutes(1)),
        1 => Just(Every::Minutes(60)),
        1 => Just(Every::Minutes(1_440)),
        1 => (1_u32..5_000).prop_map(Every::Minutes),
        1 => Just(Every::Minutes(527_040)),
        3 => Just(Every::Whole),
    ];
    let by = (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.8),
    );
    let by = by.prop_map(|(release, branch, metric)| GroupBy {
        release,
        branch,
        metric,
    });
    let aggregate = prop_oneof![
        2 => Just(Aggregate::Total),
        1 => Just(Aggregate::Cells),
        1 => Just(Aggregate::Min),
        1 => Just(Aggregate::Max),
    ];
    let as_of = prop::option::weighted(
        0.3,
        prop_oneof![minutes(), Just(BASE + 12_000), Just(BASE + 200_000)],
    );
    let rest = (
        prop::bool::weighted(0.2),
        as_of,
        prop::bool::weighted(0.3),
        prop::option::of(1_usize..4),
    );
    (names, bounds, ages, every, by, aggregate, rest).prop_map(
        |((release, branch, metrics), (from, to), ages, every, by, aggregate, rest)| {
            let (per, as_of, overriding, threads) = rest;
            let to = to.map(|to| to.max(from.unwrap_or(0)));
            // What is refused for other reasons has tests of its own.
            let per = per && !metrics.contains(&"memory");
            let aggregate = if per { Aggregate::Total } else { aggregate };
            Question {
                release,
                branch,
                metrics,
                from,
                to,
                ages,
                every,
                by,
                aggregate,
                per,
                as_of,
                overriding,
                threads,
            }
        },
    )
}

fn run(store: &Store, question: &Question) -> crate::Result<Table> {
    let snapshot = store.snapshot();
    let pattern = |text: &str| Pattern::new(text).unwrap();
    let mut query: Query<'_> = snapshot
        .query()
        .releases(&pattern(question.release))
        .branches(&pattern(question.branch))
        .every(question.every)
        .by(question.by)
        .aggregate(question.aggregate)
        .overriding_held(question.overriding);
    for metric in &question.metrics {
        query = query.metrics(&pattern(metric));
    }
    if let Some(from) = question.from {
        query = query.from(minute(from));
    }
    if let Some(to) = question.to {
        query = query.to(minute(to));
    }
    if let Some(ages) = &question.ages {
        query = query.ages(ages.clone());
    }
    if question.per {
        query = query.per("hours");
    }
    if let Some(as_of) = question.as_of {
        query = query.as_of(minute(as_of));
    }
    if let Some(threads) = question.threads {
        query = query.threads(threads);
    }
    let answered = query.run();
    // The same in the memory of whatever was answered before.
    thread_local!(static LAST: RefCell<Table> = RefCell::default());
    LAST.with_borrow_mut(|table| match (&answered, query.run_into(table)) {
        (Ok(answered), Ok(())) => assert_eq!(answered, table),
        (Err(_), Err(_)) => assert!(table.is_empty() && table.held().is_empty()),
        (answered, again) => panic!("{answered:?} first, then {again:?}"),
    });
    answered
}

fn check(store: &Store, model: &Model, question: &Question) -> Result<(), TestCaseError> {
    let found = run(store, question);
    let expected = match model.answer(question) {
        Ok(expected) => expected,
        Err(Refusal::Gauges) => {
            prop_assert_eq!(
                found.map_err(|error| error.kind()),
                Err(ErrorKind::InvalidInput)
            );
            return Ok(());
        }
        Err(Refusal::Held(opens)) => {
            let error = found.expect_err("held");
            prop_assert_eq!(error.kind(), ErrorKind::Held);
            prop_assert!(
                error.to_string().contains(&minute(opens).to_string()),
                "{error}"
            );
            return Ok(());
        }
    };
    let table = found.map_err(|error| TestCaseError::fail(error.to_string()))?;
    let rows = table.rows().map(|row| {
        let (value, decimals) = bits(row.value);
        let names = [row.release, row.branch, row.metric].map(str::to_owned);
        let [release, branch, metric] = names;
        (release, branch, metric, row.minute, value, decimals)
    });
    let held = table.held().iter().map(|held| {
        (
            held.release.to_string(),
            held.metric.to_string(),
            held.opens_at.map(|at| at.get()),
        )
    });
    let found = Answer {
        rows: rows.collect(),
        held: held.collect(),
    };
    prop_assert_eq!(found, expected, "{:?}", question);
    prop_assert_eq!(table.len(), table.rows().count());
    Ok(())
}

/// Every series of the model by its handle: all cells, a part of them, and one.
fn check_series(store: &Store, model: &Model, from: u32, to: u32) -> Result<(), TestCaseError> {
    let snapshot = store.snapshot();
    let mut cells = Cells::default();
    for ((release, branch, metric), expected) in &model.cells {
        let found = snapshot.find_any(release, branch, metric).unwrap();
        let found = found.expect("a series with cells");
        for (from, to) in [(0, BASE + 200_000), (from, to.max(from))] {
            found.read(minute(from)..minute(to), &mut cells).unwrap();
            let expected: Vec<(u32, i128)> = expected
                .range(from..to)
                .map(|(at, bits)| (*at, *bits))
                .collect();
            let read = cells
                .minutes()
                .iter()
                .copied()
                .zip(cells.units().iter().copied());
            prop_assert_eq!(read.collect::<Vec<_>>(), &expected[..]);
            if found.kind() != Kind::Gauge {
                let column = found.column(minute(from)..minute(to)).unwrap();
                let units: Vec<i128> = match column.units {
                    Units::Ints(units) => units.into_iter().map(i128::from).collect(),
                    Units::Wides(units) => units,
                };
                let read = column.minutes.into_iter().zip(units);
                prop_assert_eq!(read.collect::<Vec<_>>(), expected);
            }
        }
        for at in [from, to, from + 1, *expected.keys().next().unwrap()] {
            let value = found.get(minute(at)).unwrap().map(|value| bits(value).0);
            prop_assert_eq!(value, expected.get(&at).copied());
        }
    }
    prop_assert!(snapshot.find(&key("z", "x", "crashes")).unwrap().is_none());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn every_question_is_answered_as_by_the_model(
        steps in steps(),
        questions in prop::collection::vec(question(), 12),
        (from, to) in (minutes(), minutes()),
    ) {
        let disk = SimDisk::new(1);
        let mut store = open(&disk);
        let mut model = Model::default();
        for (index, step) in steps.iter().enumerate() {
            match step {
                Step::Write(cells) => {
                    let mut batch = Batch::new();
                    for ((release, branch, metric), at, bits) in cells {
                        let series = store.series(release, branch, metric).unwrap();
                        match series.kind() {
                            Kind::Counter => batch.add(series, minute(*at), *bits),
                            Kind::Sum { .. } => batch.add_units(series, minute(*at), *bits as i64),
                            Kind::Gauge => batch.set(series, minute(*at), f64::from_bits(*bits)),
                        };
                    }
                    store.commit(batch).unwrap();
                    cells.iter().for_each(|(series, at, bits)| model.write(series, *at, *bits));
                }
                Step::Flush => store.flush().unwrap(),
                Step::Compact => store.compact().unwrap(),
                Step::Reopen => {
                    store.close().unwrap();
                    store = open(&disk);
                }
                Step::Retain(at) => {
                    store.retain_before(minute(*at)).unwrap();
                    model.retain(*at);
                }
            }
            check(&store, &model, &questions[index % questions.len()])?;
        }
        for question in &questions {
            check(&store, &model, question)?;
        }
        check_series(&store, &model, from, to)?;
        let _ = name("a");
    }
}
