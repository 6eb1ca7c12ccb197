//! A published trial with reference confidence sequences (gostevehoward/confseq,
//! the demonstration of average treatment effects), read by the exact test.
//!
//! The reference bounds a *difference* of means by a gamma–exponential mixture,
//! ours a *ratio* of rates by a binomial one: numbers differ, but at every step
//! the two must not contradict each other, and they must find the effect with
//! about as many subjects.

use std::path::Path;

use hotstove::health::{Arm, Comparison, Settings, Watch};

#[test]
fn agrees_with_the_reference_at_every_step() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/confseq-reference.csv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is not here", path.display());
        return;
    };
    let mut test = Comparison::new(Settings {
        independent: true,
        watch: Watch::Either,
        ..Settings::default()
    });
    // Subjects and outcomes of control and treatment.
    let (mut subjects, mut outcomes) = ([0.0; 2], [0.0; 2]);
    let (mut reference_found, mut found, mut steps) = (None, None, 0);
    for line in text.lines().skip(1) {
        let fields: Vec<f64> = line
            .split(',')
            .skip(1)
            .map(|it| it.parse().unwrap())
            .collect();
        let [step, outcome, treatment, _, upper, lower, _] = fields[..] else {
            panic!("{line}");
        };
        steps += 1;
        let arm = treatment as usize;
        subjects[arm] += 1.0;
        outcomes[arm] += outcome;
        // Assigned by a fair coin: before it falls each arm has half a subject.
        let events = |of: usize| if arm == of { outcome } else { 0.0 };
        test.add(
            step as u32,
            Arm::new(events(1), 0.5),
            Arm::new(events(0), 0.5),
        );
        let ratio = test.ratio(0.05);
        if lower > 0.0 {
            reference_found.get_or_insert(steps);
        }
        if ratio.lower.is_some_and(|it| it > 1.0) {
            found.get_or_insert(steps);
        }
        if steps >= 50 {
            // The difference that our ends stand for, at control's mean.
            let base = outcomes[0] / subjects[0];
            let least = ratio.lower.map_or(-1.0, |it| base * (it - 1.0));
            let most = ratio.upper.map_or(1.0, |it| base * (it - 1.0));
            assert!(least < upper && lower < most, "step {steps}: {ratio:?}");
        }
    }
    assert_eq!(steps, 1_000);
    let (reference_found, found) = (reference_found.unwrap(), found.unwrap());
    println!("effect found at step {found}, by the reference at step {reference_found}");
    assert!(
        found <= reference_found * 3 / 2,
        "{found} {reference_found}"
    );
}
