//! What must hold of a health report for any data whatever.

use hotstove::health::{
    Arm, BranchData, Cell, Column, Comparison, MetricReport, Monitor, Observations, Options,
    Report, Settings, Units, Verdict, Watch, assess,
};
use hotstove::{Branch, Kind, Metric, Minute, Name, Release, Role, Worse};
use proptest::prelude::*;

/// 2026-01-05T00:00Z, a Monday.
const START: u32 = 29_460_960;
const METRICS: [&str; 4] = ["crashes", "enrolled", "hours", "pages"];
const BRANCHES: [&str; 3] = ["a", "b", "control"];

/// One cell: (minute, branch, metric, units).
type Cells = Vec<(u32, usize, usize, i64)>;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn metrics(lower: bool, independent: bool) -> Vec<Metric> {
    let mut crashes = Metric::new(name("crashes"), Kind::Counter);
    crashes.worse = Some(if lower { Worse::Lower } else { Worse::Higher });
    crashes.per = Some(name("hours"));
    crashes.independent = Some(independent);
    crashes.must_differ = Some(1.5);
    let mut enrolled = Metric::new(name("enrolled"), Kind::Counter);
    enrolled.role = Some(Role::Enrolment);
    let mut hours = Metric::new(name("hours"), Kind::Sum { decimals: 2 });
    hours.role = Some(Role::Exposure);
    let mut pages = Metric::new(name("pages"), Kind::Counter);
    pages.role = Some(Role::Decision);
    pages.worse = Some(Worse::Lower);
    pages.per = Some(name("hours"));
    vec![crashes, enrolled, hours, pages]
}

/// Sums of cells as columns, whatever their order.
fn observed(cells: &Cells, metrics: &[Metric], minutes: u32) -> Observations {
    let mut release = Release::new(name("r"));
    let shares = [0.25, 0.25, 0.5];
    let branches = BRANCHES.into_iter().zip(shares);
    release.branches = branches
        .map(|(it, share)| Branch::new(name(it), Some(share)))
        .collect();
    let column = |branch: usize, metric: usize| {
        let mut sums = std::collections::BTreeMap::new();
        for (minute, _, _, units) in cells.iter().filter(|it| (it.1, it.2) == (branch, metric)) {
            *sums.entry(START + minute).or_insert(0_i128) += i128::from(*units);
        }
        let (at, units): (Vec<u32>, Vec<i128>) = sums.into_iter().unzip();
        Column::new(at, Units::Wides(units)).unwrap()
    };
    Observations {
        release,
        metrics: metrics.to_vec(),
        branches: (0..BRANCHES.len())
            .map(|branch| BranchData {
                name: name(BRANCHES[branch]),
                columns: (0..METRICS.len())
                    .map(|metric| (name(METRICS[metric]), column(branch, metric)))
                    .filter(|(_, column)| column.first().is_some())
                    .collect(),
            })
            .collect(),
        as_of: Minute::new(START + minutes).unwrap(),
        whole_until: Minute::new(START + minutes / 2).ok(),
        history: Vec::new(),
    }
}

fn found<'a>(report: &'a Report, branch: &str, metric: &str) -> &'a MetricReport {
    let branch = report.branches.iter().find(|it| it.branch == branch);
    let metrics = &branch.unwrap().metrics;
    metrics.iter().find(|it| it.metric == metric).unwrap()
}

fn near(left: Option<f64>, right: Option<f64>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => (left - right).abs() <= 1e-6 * right.abs().max(1e-3),
        (left, right) => left == right,
    }
}

/// Values as they come: mostly small, some absurd.
fn units() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => Just(0_i64),
        8 => 0..200_i64,
        4 => 0..1_000_000_i64,
        1 => Just(1_000_000_000_000_000_i64),
        1 => -1_000_i64..0,
    ]
}

fn anything() -> impl Strategy<Value = Cells> {
    let cell = (0..400_u32, 0..BRANCHES.len(), 0..METRICS.len(), units());
    prop::collection::vec(cell, 0..600)
}

/// Two arms that live: (events, exposure) of T and of C, minute by minute.
fn arms() -> impl Strategy<Value = Vec<(Arm, Arm)>> {
    let arm = |most: u32| {
        (0..most, prop_oneof![1 => Just(0_u32), 9 => 1..5_000_u32])
            .prop_map(|(events, exposure)| Arm::new(f64::from(events), f64::from(exposure)))
    };
    (1..60_u32, 1..60_u32)
        .prop_flat_map(move |(t, c)| prop::collection::vec((arm(t), arm(c)), 1..500))
}

fn compared(minutes: impl Iterator<Item = (Arm, Arm)>, independent: bool) -> Comparison {
    let mut test = Comparison::new(Settings {
        independent,
        watch: Watch::Worse,
        ..Settings::default()
    });
    for (minute, (treatment, control)) in (0..).zip(minutes) {
        test.add(minute, treatment, control);
    }
    test
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_number_is_ever_none_of_a_number(
        cells in anything(),
        lower in any::<bool>(),
        independent in any::<bool>(),
        alpha in prop_oneof![Just(1e-12), Just(0.5), 1e-6..0.5_f64],
        margin in prop_oneof![Just(1.0), Just(1e6), 1.0..3.0_f64],
        read_decisions in any::<bool>(),
        control in prop_oneof![Just(None), Just(Some("a")), Just(Some("control"))],
    ) {
        let observations = observed(&cells, &metrics(lower, independent), 400);
        let mut options = Options::default();
        (options.alpha, options.margin) = (alpha, margin);
        (options.read_decisions, options.control) = (read_decisions, control.map(name));
        let report = assess(&observations, &options).unwrap();
        let text = format!("{report:?}");
        prop_assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        for branch in &report.branches {
            for metric in &branch.metrics {
                let inside = [metric.ratio_lower, metric.ratio, metric.ratio_upper];
                let ends: Vec<f64> = inside.into_iter().flatten().collect();
                prop_assert!(ends.is_sorted(), "{metric:?}");
                if metric.role == Role::Decision && !read_decisions {
                    let told = (metric.events, metric.rate, metric.ratio, metric.log_e);
                    prop_assert_eq!(told, (None, None, None, None));
                }
            }
        }
    }

    #[test]
    fn swapping_the_arms_inverts_the_ratio_and_mirrors_the_evidence(
        minutes in arms(), independent in any::<bool>(),
    ) {
        let mut one = compared(minutes.iter().copied(), independent);
        let mut other = compared(minutes.iter().map(|(t, c)| (*c, *t)), independent);
        let (left, right) = (one.evidence(), other.evidence());
        prop_assert!(near(Some(left.worse), Some(right.better)), "{left:?} {right:?}");
        prop_assert!(near(Some(left.better), Some(right.worse)), "{left:?} {right:?}");
        prop_assert!(near(Some(left.either), Some(right.either)), "{left:?} {right:?}");
        let (left, right) = (one.ratio(0.05), other.ratio(0.05));
        let inverse = |value: Option<f64>| value.map(|it| 1.0 / it);
        prop_assert!(near(left.lower, inverse(right.upper)), "{left:?} {right:?}");
        prop_assert!(near(left.upper, inverse(right.lower)), "{left:?} {right:?}");
        if let (Some(left), Some(right)) = (left.estimate, right.estimate) {
            prop_assert!((left * right - 1.0).abs() < 1e-6 || left * right == 0.0);
        }
    }

    #[test]
    fn scaling_the_exposure_of_both_arms_changes_nothing(
        minutes in arms(), factor in 1e-3..1e6_f64, independent in any::<bool>(),
    ) {
        let mut one = compared(minutes.iter().copied(), independent);
        let scaled = |arm: Arm| Arm::new(arm.events, arm.exposure * factor);
        let mut other = compared(minutes.iter().map(|(t, c)| (scaled(*t), scaled(*c))), independent);
        prop_assert!(near(Some(one.evidence().worse), Some(other.evidence().worse)));
        prop_assert!(near(Some(one.evidence().better), Some(other.evidence().better)));
        let (left, right) = (one.ratio(0.05), other.ratio(0.05));
        prop_assert!(near(left.estimate, right.estimate), "{left:?} {right:?}");
        prop_assert!(near(left.lower, right.lower), "{left:?} {right:?}");
        prop_assert!(near(left.upper, right.upper), "{left:?} {right:?}");
    }

    /// Deltas of one cell in parts, in any order, over any number of stores whose
    /// sums are added: the same cells.
    #[test]
    fn parts_and_their_order_change_nothing(
        cells in anything(), cuts in prop::collection::vec(0..100_i64, 600), lower in any::<bool>(),
    ) {
        let metrics = metrics(lower, false);
        let whole = assess(&observed(&cells, &metrics, 400), &Options::default()).unwrap();
        let mut parts = Vec::new();
        for ((minute, branch, metric, units), cut) in cells.iter().zip(&cuts) {
            let part = units / 100 * cut;
            parts.push((*minute, *branch, *metric, part));
            parts.push((*minute, *branch, *metric, units - part));
        }
        parts.reverse();
        let found = assess(&observed(&parts, &metrics, 400), &Options::default()).unwrap();
        prop_assert_eq!(found, whole);
    }

    #[test]
    fn evidence_never_depends_on_when_one_looked(
        cells in anything(), looks in prop::collection::vec(0..400_u32, 0..8), began in 0..400_u32,
    ) {
        let metrics = metrics(false, false);
        let whole = assess(&observed(&cells, &metrics, 400), &Options::default()).unwrap();
        let mut early = observed(&cells, &metrics, 400);
        early.as_of = Minute::new(START + began).unwrap();
        let mut monitor = Monitor::new(&early, &Options::default()).unwrap();
        for minute in began..400 {
            let now = cells.iter().filter(|it| it.0 == minute);
            let now: Vec<Cell<'_>> = now
                .map(|(_, branch, metric, units)| Cell {
                    branch: BRANCHES[*branch],
                    metric: METRICS[*metric],
                    units: i128::from(*units),
                })
                .collect();
            monitor.add(Minute::new(START + minute).unwrap(), &now).unwrap();
            if looks.contains(&minute) {
                monitor.report();
            }
        }
        let kept = monitor.report();
        for branch in BRANCHES {
            prop_assert_eq!(found(&kept, branch, "crashes"), found(&whole, branch, "crashes"));
            prop_assert_eq!(found(&kept, branch, "pages"), found(&whole, branch, "pages"));
        }
        prop_assert_eq!(kept.checks, whole.checks);
        prop_assert_eq!(kept.verdict, whole.verdict);
    }
}

/// The same data, control and branch changing places: what is worse becomes better.
#[test]
fn a_regression_seen_from_the_other_side_is_an_improvement() {
    let mut cells = Cells::new();
    for minute in 0..400 {
        for (branch, crashes) in [(1, 60), (2, 40)] {
            cells.push((minute, branch, 0, crashes + i64::from(minute % 7)));
            cells.push((minute, branch, 2, 100_000));
        }
    }
    let mut observations = observed(&cells, &metrics(false, false), 400);
    observations.release.branches.clear();
    observations.branches.remove(0);
    let verdict = |control: &str, branch: &str| {
        let mut options = Options::default();
        options.control = Some(name(control));
        let report = assess(&observations, &options).unwrap();
        found(&report, branch, "crashes").verdict
    };
    assert_eq!(verdict("control", "b"), Verdict::Regressed);
    assert_eq!(verdict("b", "control"), Verdict::Improved);
}
