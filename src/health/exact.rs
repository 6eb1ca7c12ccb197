//! The exact test, for metrics whose events are independent of each other:
//! crashed users, or the first crash of a session.
//!
//! ```text
//! log E    = logsumexp_g( log π_g + S(δ_g) )            H0: r = 1
//! sequence = { δ : S(δ) ≥ log E − log(1/α) }
//! ```
//!
//! with S of [`super::likelihood`], δ on a grid from −3 to 3 in steps of 0.05
//! and π ∝ exp(−δ²/(2·0.5²)); exact whatever share, ramp or daily cycle, and
//! whenever one looks. It is [`super::combined`] with a burst bound of one event
//! and no blocks; this file holds it to its reference values.

#[cfg(test)]
mod tests {
    use crate::health::Arm;
    use crate::health::combined::{Comparison, Settings, Watch};

    const MINUTES: [(f64, f64, f64, f64); 6] = [
        (90.0, 1.0, 9000.0, 100.0),
        (88.0, 3.0, 9000.0, 200.0),
        (85.0, 8.0, 8800.0, 500.0),
        (80.0, 14.0, 8500.0, 900.0),
        (70.0, 35.0, 7000.0, 2400.0),
        (50.0, 70.0, 5000.0, 5000.0),
    ];

    fn independent(watch: Watch) -> Comparison {
        Comparison::new(Settings {
            independent: true,
            watch,
            ..Settings::default()
        })
    }

    #[test]
    fn reference_values() {
        let mut test = independent(Watch::Either);
        let expected = [
            -0.113_481_335,
            -0.232_062_424,
            0.018_727_088,
            0.935_276_653,
            2.198_216_196,
            3.619_973_174,
        ];
        for (minute, ((x_c, x_t, e_c, e_t), log_e)) in (0..).zip(MINUTES.iter().zip(expected)) {
            test.add(minute, Arm::new(*x_t, *e_t), Arm::new(*x_c, *e_c));
            let actual = test.evidence().either;
            assert!((actual - log_e).abs() < 1e-9, "{actual} is not {log_e}");
        }
        let ratio = test.ratio(0.05);
        assert!((ratio.lower.unwrap().ln() - 0.023_614_501).abs() < 1e-9);
        assert!((ratio.upper.unwrap().ln() - 0.741_530_622).abs() < 1e-9);
        assert_eq!(test.first_alarm(), Some(5), "e^3.62 is more than 20");
    }
}
