//! The default test against its definition, walked plainly: no bins, no looks
//! left out, no sums carried over from one minute to the next.

use hotstove::health::{
    Arm, BranchData, Column, Comparison, Observations, Options, Settings, Units, Watch, assess,
};
use hotstove::{Kind, Metric, Minute, Name, Release, Role, Worse};

#[path = "support/random.rs"]
mod random;

use random::Random;

const LOG_20: f64 = 2.995_732_273_553_991;

fn log_sum_exp(terms: &[f64]) -> f64 {
    let highest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    highest
        + terms
            .iter()
            .map(|it| (it - highest).exp())
            .sum::<f64>()
            .ln()
}

/// Half (a), for "worse": every minute's S(δ) by its formula.
fn tempered(minutes: &[(Arm, Arm)], margin: f64) -> Vec<f64> {
    let deltas: Vec<f64> = (0..200)
        .map(|index| 0.05 + 0.1 * f64::from(index))
        .filter(|delta| *delta > margin.ln())
        .take(30)
        .collect();
    let prior: Vec<f64> = deltas.iter().map(|delta| -0.5 * delta * delta).collect();
    let total = log_sum_exp(&prior);
    let mut scores = vec![0.0; deltas.len()];
    let mut log_e = Vec::new();
    for (t, c) in minutes {
        let n = t.events + c.events;
        if n > 0.0 && t.exposure > 0.0 && c.exposure > 0.0 {
            let p = t.exposure / (t.exposure + c.exposure);
            let at = |delta: f64| t.events * delta - n * (p * delta.exp_m1()).ln_1p();
            for (score, delta) in scores.iter_mut().zip(&deltas) {
                *score += (at(*delta) - at(margin.ln())) / 80.0;
            }
        }
        let terms: Vec<f64> = scores
            .iter()
            .zip(&prior)
            .map(|(s, p)| s + p - total)
            .collect();
        log_e.push(log_sum_exp(&terms));
    }
    log_e
}

/// Half (b), for "worse": the bets on the blocks' differences.
fn blocks(minutes: &[(Arm, Arm)], margin: f64) -> Vec<f64> {
    let (mut events, mut exposure) = (0.0, 0.0);
    let (mut start, mut expected) = (0, [0.0; 2]);
    let mut differences: Vec<(f64, f64)> = Vec::new();
    let (mut spread, mut left_over, mut before) = (1.0, 0.0, None);
    let mut log_e = Vec::new();
    for (at, (t, c)) in minutes.iter().enumerate() {
        if exposure > 0.0 {
            expected[0] += t.exposure * events / exposure;
            expected[1] += c.exposure * events / exposure;
        }
        events += t.events + c.events;
        exposure += t.exposure + c.exposure;
        if at + 1 - start >= 30 && expected[0] >= 10.0 && expected[1] >= 160.0 {
            let (mut a, mut b, mut hours) = (0.0, 0.0, [0.0; 2]);
            let mut from = start;
            while from <= at {
                let to = at.min(from / 60 * 60 + 59);
                let sum = |arm: fn(&(Arm, Arm)) -> f64| -> f64 {
                    minutes[from..=to].iter().map(arm).sum()
                };
                let (e_t, e_c) = (sum(|it| it.0.exposure), sum(|it| it.1.exposure));
                if e_t > 0.0 && e_c > 0.0 {
                    a += sum(|it| it.0.events) * e_c / (e_t + e_c);
                    b += sum(|it| it.1.events) * e_t / (e_t + e_c);
                }
                hours = [hours[0] + e_t, hours[1] + e_c];
                from = to + 1;
            }
            if differences.is_empty() {
                let larger = hours[0].max(hours[1]) / (hours[0] + hours[1]);
                spread = (expected[0].min(expected[1]) * larger).sqrt();
            }
            let new = 2.0 * (a - margin * b) / (1.0 + margin) - left_over;
            left_over = new * 30.0 / (6.0 * (at + 1 - start) as f64 - 60.0);
            let now = hours[0] / (hours[0] + hours[1]);
            let fewer = before.map_or(now.min(1.0 - now), |share: f64| 1.0 - share);
            let more = 1.0 - fewer;
            before = Some(now);
            let moment = 3.0 * 6_400.0 * expected[1] * more * (more - fewer);
            let highest = if moment > 0.0 {
                moment.cbrt().recip()
            } else {
                1e300
            };
            differences.push((new, highest));
            (start, expected) = (at + 1, [0.0; 2]);
        }
        let weight = |bettor: i32| 2f64.powf(0.25 * f64::from(bettor));
        let total: f64 = (0..8).map(weight).sum();
        let terms: Vec<f64> = (0..8)
            .map(|bettor| {
                let lambda = 2f64.powi(bettor - 7) / spread;
                // Nobody loses more than all but 10⁻¹⁰⁰ of what is left.
                let gain = |(d, highest): &(f64, f64)| {
                    let odds = (-2.0 * lambda.min(*highest) * d).exp();
                    (2.0 / (1.0 + odds)).max(2e-100).ln()
                };
                differences.iter().map(gain).sum::<f64>() + (weight(bettor) / total).ln()
            })
            .collect();
        log_e.push(log_sum_exp(&terms));
    }
    log_e
}

fn release(random: &mut Random, minutes: usize) -> Vec<(Arm, Arm)> {
    let share = [0.02, 0.3, 0.5, 0.9][random.below(4) as usize];
    let scale = [3.0, 20.0, 400.0][random.below(3) as usize];
    let ratio = [1.0, 1.0, 1.3, 2.0, 8.0][random.below(5) as usize];
    (0..minutes)
        .map(|at| {
            let share = if random.unit() < 0.02 {
                0.0
            } else {
                share * (0.8 + 0.2 * random.unit())
            };
            let exposure = scale * (1.2 + (at as f64 / 200.0).sin());
            let arm = |random: &mut Random, share: f64, ratio: f64| {
                Arm::new(
                    random.count(exposure * share * ratio, 2.0),
                    exposure * share,
                )
            };
            (arm(random, share, ratio), arm(random, 1.0 - share, 1.0))
        })
        .collect()
}

#[test]
fn every_look_agrees_with_the_definition() {
    let mut random = Random::new(20);
    let mut alarms = 0;
    for round in 0..60 {
        let margin = [1.0, 1.0, 1.1, 1.5][round % 4];
        let minutes = release(&mut random, 700);
        let halves = tempered(&minutes, margin)
            .into_iter()
            .zip(blocks(&minutes, margin));
        let plain: Vec<f64> = halves
            .map(|(a, b)| log_sum_exp(&[a, b]) - 2f64.ln())
            .collect();
        let first = plain.iter().position(|log_e| *log_e >= LOG_20);
        let settings = Settings {
            watch: Watch::Worse,
            margin,
            ..Settings::default()
        };
        let mut test = Comparison::new(settings);
        for (at, (treatment, control)) in (0..).zip(&minutes) {
            test.add(at, *treatment, *control);
            if at % 97 == 0 {
                let (actual, expected) = (test.evidence().worse, plain[at as usize]);
                assert!(
                    (actual - expected).abs() < 1e-8,
                    "{round} {at}: {actual} {expected}"
                );
            }
        }
        assert_eq!(
            test.first_alarm(),
            first.map(|at| at as u32),
            "round {round}"
        );
        alarms += usize::from(first.is_some());
    }
    assert!((10..60).contains(&alarms), "{alarms} alarms");
}

/// As [`release`], with bursts, hours without exposure of one arm, hours without
/// anything, and now and then counts up to 10¹⁵.
fn wild(random: &mut Random, minutes: usize, huge: bool) -> Vec<(Arm, Arm)> {
    let mut rows = release(random, minutes);
    let sparse = random.below(3) == 0;
    // The first block begins with the first minute that has data: here the first.
    let mut at = 1;
    while at < minutes {
        let end = minutes.min(at + 1 + random.below(90) as usize);
        let fate = random.below(14);
        for (t, c) in &mut rows[at..end] {
            match fate {
                0 => t.exposure = 0.0,
                1 => c.exposure = 0.0,
                2 => (*t, *c) = (Arm::default(), Arm::default()),
                3 => t.events += random.count(30.0, 10.0),
                4 => c.events += random.count(30.0, 10.0),
                5 if huge => c.events = (random.unit() * 1e15).floor(),
                6 if huge => t.exposure *= 1e9,
                7.. if sparse => (*t, *c) = (Arm::default(), Arm::default()),
                _ => {}
            }
        }
        at = end;
    }
    // Columns keep three decimals.
    for arm in rows.iter_mut().flat_map(|(t, c)| [t, c]) {
        arm.exposure = (arm.exposure * 1e3).floor() / 1e3;
    }
    rows
}

/// The rows as columns of a release, from `start` on; absent where they are 0.
fn observations(rows: &[(Arm, Arm)], start: u32) -> Observations {
    let name = |text: &str| Name::new(text).unwrap();
    let column = |value: &dyn Fn(&(Arm, Arm)) -> f64| {
        let cells = (start..).zip(rows.iter().map(|row| value(row).round() as i64));
        let (minutes, units) = cells.filter(|(_, value)| *value != 0).unzip();
        Column::new(minutes, Units::Ints(units)).unwrap()
    };
    let branch = |branch: &str, arm: fn(&(Arm, Arm)) -> Arm| BranchData {
        name: name(branch),
        columns: vec![
            (name("crashes"), column(&|row| arm(row).events)),
            (name("hours"), column(&|row| arm(row).exposure * 1e3)),
        ],
    };
    let mut crashes = Metric::new(name("crashes"), Kind::Counter);
    crashes.worse = Some(Worse::Higher);
    crashes.per = Some(name("hours"));
    let mut hours = Metric::new(name("hours"), Kind::Sum { decimals: 3 });
    hours.role = Some(Role::Exposure);
    Observations {
        release: Release::new(name("app/1.0")),
        metrics: vec![crashes, hours],
        branches: vec![
            branch("control", |row| row.1),
            branch("treatment", |row| row.0),
        ],
        as_of: Minute::new(start + rows.len() as u32).unwrap(),
        whole_until: None,
        history: Vec::new(),
    }
}

/// What walks many minutes at once says the same as the definition, whatever
/// the data, and wherever in a day they begin.
#[test]
fn columns_agree_with_the_definition_and_with_single_minutes() {
    let mut random = Random::new(31);
    let mut alarms = 0;
    for round in 0..80 {
        // Beside counts of 10¹⁵ the plain sums lose what is small: such rows are
        // held to single minutes alone.
        let huge = round % 3 == 0;
        let rows = wild(&mut random, 900, huge);
        // The definition cuts at hours counted from its first minute.
        let start = 29_460_960 + 60 * random.below(24) as u32;
        let halves = tempered(&rows, 1.0).into_iter().zip(blocks(&rows, 1.0));
        let plain: Vec<f64> = halves
            .map(|(a, b)| log_sum_exp(&[a, b]) - 2f64.ln())
            .collect();
        let first = plain.iter().position(|log_e| *log_e >= LOG_20);
        let report = assess(&observations(&rows, start), &Options::default()).unwrap();
        let found = &report.branches[1].metrics[0];
        let alarm = found.first_alarm.map(|at| (at.get() - start) as usize);
        let last = plain[plain.len() - 1];
        if let Some(log_e) = found.log_e.filter(|_| !huge) {
            assert_eq!(alarm, first, "round {round}");
            let off = (log_e - last).abs() / last.abs().max(1.0);
            assert!(off < 1e-8, "round {round}: {log_e} {last}");
        }
        alarms += usize::from(alarm.is_some());
        let mut test = Comparison::new(Settings::default());
        for (at, (treatment, control)) in (start..).zip(&rows) {
            test.add(at, *treatment, *control);
        }
        test.pass(start + rows.len() as u32);
        if found.log_e.is_some() {
            assert_eq!(found.first_alarm.map(Minute::get), test.first_alarm());
        }
        assert_eq!(
            found.log_e.unwrap_or(test.evidence().worse),
            test.evidence().worse
        );
        let ratio = test.ratio(0.05);
        assert_eq!(
            found.ratio_lower,
            ratio.lower.filter(|_| found.ratio.is_some())
        );
        assert_eq!(
            found.ratio_upper,
            ratio.upper.filter(|_| found.ratio.is_some())
        );
    }
    assert!((10..80).contains(&alarms), "{alarms} alarms");
}

#[test]
fn minutes_without_data_may_be_left_out() {
    let mut random = Random::new(21);
    for _ in 0..20 {
        let minutes = release(&mut random, 600);
        let mut dense = Comparison::new(Settings::default());
        let mut sparse = Comparison::new(Settings::default());
        for (at, (treatment, control)) in (0..).zip(&minutes) {
            if at % 5 < 2 && at > 0 {
                dense.add(at, Arm::default(), Arm::default());
            } else {
                dense.add(at, *treatment, *control);
                sparse.add(at, *treatment, *control);
            }
        }
        dense.pass(700);
        sparse.pass(650);
        sparse.pass(700);
        assert_eq!(dense.evidence(), sparse.evidence());
        assert_eq!(dense.first_alarm(), sparse.first_alarm());
        assert_eq!(dense.ratio(0.05), sparse.ratio(0.05));
    }
}

#[test]
fn sequences_widen_with_confidence() {
    let mut random = Random::new(22);
    for _ in 0..10 {
        let minutes = release(&mut random, 700);
        let mut test = Comparison::new(Settings::default());
        for (at, (treatment, control)) in (0..).zip(&minutes) {
            test.add(at, *treatment, *control);
        }
        let wide = test.ratio(0.01);
        let narrow = test.ratio(0.2);
        if let (Some(wide), Some(narrow)) = (wide.upper, narrow.upper) {
            assert!(wide > narrow);
        }
        if let (Some(wide), Some(narrow)) = (wide.lower, narrow.lower) {
            assert!(wide < narrow);
        }
        assert!(test.evidence().either.is_finite());
    }
}
