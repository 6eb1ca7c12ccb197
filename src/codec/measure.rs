//! Sizes and speeds, measured on demand:
//! `cargo test --release measure -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::Instant;

use super::*;

/// A small generator of uniform numbers in `0..1` (SplitMix64).
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.next()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.next()).cos()
    }

    /// A Poisson count; of large rates rounded from the normal distribution.
    fn poisson(&mut self, rate: f64) -> i64 {
        if rate > 200.0 {
            return (rate + rate.sqrt() * self.normal()).round().max(0.0) as i64;
        }
        let (mut count, mut product, limit) = (0, self.next(), (-rate).exp());
        while product > limit {
            product *= self.next();
            count += 1;
        }
        count
    }
}

fn rate_at(rate: f64, minute: u16) -> f64 {
    let phase = std::f64::consts::TAU * f64::from(minute) / f64::from(MINUTES);
    rate * (1.0 + 0.5 * phase.sin())
}

/// Bits of a Poisson count whose rate is known.
fn poisson_entropy(rate: f64) -> f64 {
    if rate > 200.0 {
        return 0.5 * (std::f64::consts::TAU * std::f64::consts::E * rate).log2();
    }
    let (mut entropy, mut log_probability) = (0.0, -rate);
    for count in 1..2_000 {
        entropy -= log_probability.exp() * log_probability / std::f64::consts::LN_2;
        log_probability += (rate / f64::from(count)).ln();
    }
    entropy
}

/// `days` days of diurnal counts; minutes go missing at the rate of `missing`.
fn counts(days: usize, rate: f64, missing: f64, keep_zeros: bool) -> Vec<Page> {
    let mut random = Uniform(rate.to_bits());
    let mut day = || {
        let (mut presence, mut values) = (Presence::new(), Vec::new());
        for minute in 0..MINUTES {
            let value = random.poisson(rate_at(rate, minute));
            if random.next() >= missing && (keep_zeros || value > 0) {
                presence.set(minute);
                values.push(value);
            }
        }
        Page {
            presence,
            column: Column::Ints(values),
        }
    };
    (0..days).map(|_| day()).collect()
}

fn per_second(cells: usize, mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    cells as f64 / best
}

fn report(label: &str, entropy: f64, pages: &[Page]) {
    let cells: usize = pages.iter().map(|page| page.presence.count()).sum();
    let bits = |bytes: usize| bytes as f64 * 8.0 / cells as f64;
    let mut presence = 0;
    let hot: Vec<Vec<u8>> = pages
        .iter()
        .map(|page| {
            let mut bytes = Vec::new();
            encode(page, &mut bytes);
            presence += presence_code::Plan::of(&page.presence).size;
            bytes
        })
        .collect();
    let mut out = Page::new(Family::Integer);
    let mut scratch = Vec::new();
    let hot_write = per_second(cells, || {
        for page in pages {
            scratch.clear();
            encode(black_box(page), &mut scratch);
        }
    });
    let hot_read = per_second(cells, || {
        for bytes in &hot {
            decode(black_box(bytes), Family::Integer, None, &mut out).unwrap();
        }
    });
    let references: Vec<&Page> = pages.iter().collect();
    let mut cold = None;
    let cold_write = per_second(cells, || cold = encode_cold(&references));
    let hours = per_second(hot.len(), || {
        for bytes in &hot {
            let minutes = black_box(600)..660;
            sum_range(bytes, Family::Integer, None, minutes, &mut out).unwrap();
        }
    });
    let hot_bytes = hot.iter().map(Vec::len).sum();
    print!(
        "{label:>24}: entropy {entropy:6.3}  hot {:6.3} (presence {:5.3})  write {:5.0} M/s  read {:6.0} M/s  an hour {:4.0} ns",
        bits(hot_bytes),
        bits(presence),
        hot_write / 1e6,
        hot_read / 1e6,
        1e9 / hours,
    );
    let Some(cold) = cold else {
        return println!("  stays hot");
    };
    let meta = ColdMeta::parse(&cold.meta, Family::Integer).unwrap();
    let cold_read = per_second(cells, || {
        for bytes in &cold.pages {
            decode(black_box(bytes), Family::Integer, Some(&meta), &mut out).unwrap();
        }
    });
    println!(
        "  cold {:6.3} (meta {} B)  write {:4.1} M/s  read {:4.0} M/s",
        bits(cold.size()),
        cold.meta.len(),
        cold_write / 1e6,
        cold_read / 1e6,
    );
}

#[test]
#[ignore = "prints measurements"]
fn measure_counts() {
    for exponent in -2..=4 {
        let rate = 10_f64.powi(exponent);
        let entropy: f64 = (0..MINUTES)
            .map(|m| poisson_entropy(rate_at(rate, m)))
            .sum();
        let entropy = entropy / f64::from(MINUTES);
        report(
            &format!("{rate} a minute, 32 d"),
            entropy,
            &counts(32, rate, 0.0, true),
        );
        report(
            &format!("{rate}, 7 d"),
            entropy,
            &counts(7, rate, 0.0, true),
        );
        report(
            &format!("{rate}, 2 % missing"),
            entropy,
            &counts(32, rate, 0.02, true),
        );
        if rate < 10.0 {
            report(
                &format!("{rate}, zeros absent"),
                f64::NAN,
                &counts(32, rate, 0.0, false),
            );
        }
    }
}

#[test]
#[ignore = "prints measurements"]
fn measure_unpacking() {
    for width in [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 32, 48, 64] {
        let bytes = vec![0xa5; bits::packed_bytes(1_440, width)];
        let mut out = [0; 1_440];
        let speed = per_second(1_440 * 1_000, || {
            for _ in 0..1_000 {
                bits::unpack(black_box(&bytes), width, 3, black_box(&mut out));
            }
        });
        println!("{width:2} bits: {:5.2} G values/s", speed / 1e9);
    }
}
