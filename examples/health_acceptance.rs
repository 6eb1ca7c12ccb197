//! The acceptance table of the default health test: how often a harmless
//! release raises an alarm when every minute is looked at, and how soon a
//! harmful one does.
//!
//! ```text
//! cargo run --release --example health_acceptance -- [RUNS] [--seed N] [--threads N] [--only TEXT] [--exact]
//! ```
//!
//! The same seed gives the same table. `--exact` shows what the exact test for
//! independent events would do instead: earlier alarms, and false ones wherever
//! crashes come in loops.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use hotstove::health::{Arm, Comparison, Settings, Watch};

#[path = "../tests/support/random.rs"]
mod random;

use random::Random;

const DAY: usize = 1_440;

/// A kind of release: how its crashes and hours come about.
#[derive(Clone)]
struct Case {
    name: String,
    /// Crashes a minute in both arms, on average.
    lambda: f64,
    days: usize,
    /// Variance over mean of the counts of a minute.
    dispersion: f64,
    /// T's share of the exposure, unless on the ramp or alternating.
    share: f64,
    ramp: bool,
    alternating: bool,
    /// Share of all crashes that comes from loops.
    loops: f64,
    loop_minutes: usize,
    /// Whether loops last so long on average only, with no bound.
    geometric: bool,
    /// Crashes a minute of one loop.
    loop_pace: f64,
    /// Ratio of T's rate to C's.
    ratio: f64,
    /// Mean delay of the exposure, in minutes.
    late: f64,
}

impl Case {
    fn new(name: impl Into<String>) -> Self {
        Case {
            name: name.into(),
            lambda: 20.0,
            days: 7,
            dispersion: 1.0,
            share: 0.5,
            ramp: false,
            alternating: false,
            loops: 0.0,
            loop_minutes: 30,
            geometric: false,
            loop_pace: 2.0,
            ratio: 1.0,
            late: 0.0,
        }
    }

    /// One release: (treatment, control) minute by minute.
    #[expect(
        clippy::needless_range_loop,
        reason = "a loop reaches into the minutes after its own"
    )]
    fn simulate(&self, random: &mut Random) -> Vec<(Arm, Arm)> {
        let minutes = self.days * DAY;
        let mut exposures = [vec![0.0; minutes], vec![0.0; minutes]];
        let mut events = [vec![0.0; minutes], vec![0.0; minutes]];
        for minute in 0..minutes {
            let angle = std::f64::consts::TAU * minute as f64 / DAY as f64;
            let (mut exposure, mut rate) = (
                self.lambda * (1.0 + 0.6 * angle.sin()),
                1.0 + 0.4 * (angle + 1.0).sin(),
            );
            let mut share = self.share;
            if self.ramp {
                share = (0.01 * f64::powi(2.0, (minute / DAY) as i32)).min(0.5);
            }
            if self.alternating {
                let night = (minute / 720) % 2 == 0;
                (share, rate) = if night { (0.02, 1.0) } else { (0.30, 2.0) };
                exposure = self.lambda;
            }
            let arms = [(share, self.ratio), (1.0 - share, 1.0)];
            for (arm, (share, ratio)) in arms.into_iter().enumerate() {
                exposures[arm][minute] = exposure * share;
                let mean = exposure * share * rate * ratio;
                self.crashes(random, minute, mean, &mut events[arm]);
            }
        }
        if self.late > 0.0 {
            for exposure in &mut exposures {
                *exposure = self.delayed(random, exposure);
            }
        }
        let [treated, other] = exposures;
        let [treated_events, other_events] = events;
        let treatment = treated_events.into_iter().zip(treated);
        let control = other_events.into_iter().zip(other);
        treatment
            .zip(control)
            .map(|(t, c)| (Arm::new(t.0, t.1), Arm::new(c.0, c.1)))
            .collect()
    }

    fn crashes(&self, random: &mut Random, minute: usize, mean: f64, events: &mut [f64]) {
        let steady = mean * (1.0 - self.loops);
        events[minute] += random.count(steady, self.dispersion);
        if self.loops > 0.0 {
            let mean_loops = mean * self.loops / (self.loop_minutes as f64 * self.loop_pace);
            for _ in 0..random.poisson(mean_loops) as u64 {
                let length = if self.geometric {
                    1 + random.exponential(self.loop_minutes as f64) as usize
                } else {
                    self.loop_minutes
                };
                let end = events.len().min(minute + length);
                for cell in &mut events[minute..end] {
                    *cell += random.poisson(self.loop_pace);
                }
            }
        }
    }

    /// Exposure that moves by an exponential delay, in eight sessions a minute.
    fn delayed(&self, random: &mut Random, exposure: &[f64]) -> Vec<f64> {
        let mut late = vec![0.0; exposure.len()];
        for (minute, exposure) in exposure.iter().enumerate() {
            for _ in 0..8 {
                let arrival = minute + random.exponential(self.late) as usize;
                if let Some(cell) = late.get_mut(arrival) {
                    *cell += exposure / 8.0;
                }
            }
        }
        late
    }
}

fn harmless() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, change: &dyn Fn(&mut Case)| {
        let mut case = Case::new(name);
        change(&mut case);
        cases.push(case);
    };
    for phi in [1.0, 3.0, 10.0] {
        add(&format!("ramp 1->50%, lam 20, phi {phi}"), &|case| {
            (case.ramp, case.dispersion) = (true, phi);
        });
    }
    for phi in [1.0, 3.0] {
        add(&format!("ramp, lam 2, phi {phi}"), &|case| {
            (case.ramp, case.dispersion, case.lambda) = (true, phi, 2.0);
        });
    }
    for share in [0.98, 0.02] {
        add(&format!("T {}%, lam 20, phi 10", share * 100.0), &|case| {
            (case.share, case.dispersion) = (share, 10.0);
        });
    }
    add("T 5%, lam 200, phi 30", &|case| {
        (case.share, case.dispersion, case.lambda, case.days) = (0.05, 30.0, 200.0, 4);
    });
    add("50/50, lam 0.05, phi 3, 28 days", &|case| {
        (case.dispersion, case.lambda, case.days) = (3.0, 0.05, 28);
    });
    for share in [0.5, 0.05, 0.95] {
        let name = format!("loops 30% x 30 min x 2/min, T {:.0}%", share * 100.0);
        add(&name, &|case| (case.share, case.loops) = (share, 0.3));
    }
    add("loops 10% x 30 min x 10/min, 50/50", &|case| {
        (case.loops, case.loop_pace) = (0.1, 10.0);
    });
    add("loops 30% x 5 min x 10/min, 50/50", &|case| {
        (case.loops, case.loop_pace, case.loop_minutes) = (0.3, 10.0, 5);
    });
    add("loops 30% x 30 min x 2/min on the ramp", &|case| {
        (case.loops, case.ramp) = (0.3, true);
    });
    add("share and rate alternating every 12 h, lam 0.3", &|case| {
        (case.alternating, case.lambda) = (true, 0.3);
    });
    add("share and rate alternating, lam 3", &|case| {
        (case.alternating, case.lambda) = (true, 3.0);
    });
    add("hours late by 10 h, T 5%, lam 20", &|case| {
        (case.late, case.days, case.share) = (600.0, 3, 0.05);
    });
    add("hours late by 10 h, 50/50", &|case| {
        (case.late, case.days) = (600.0, 3);
    });
    cases
}

/// Other bursts than those first given: rarer ones, on either side of unequal
/// shares, and loops of geometric length, one in seven of them longer than a
/// burst is said to be.
fn other_bursts() -> Vec<Case> {
    let mut cases = Vec::new();
    let places = [
        ("50/50", 0.5, false),
        ("T 5%", 0.05, false),
        ("T 95%", 0.95, false),
        ("on the ramp", 0.5, true),
    ];
    for (geometric, loops, minutes, pace) in [
        (false, 0.1, 30, 2.5),
        (false, 0.05, 30, 2.5),
        (true, 0.3, 15, 2.0),
    ] {
        for (place, share, ramp) in places {
            let kind = if geometric { "about " } else { "" };
            let percent = loops * 100.0;
            let name = format!("loops {percent:.0}% x {kind}{minutes} min x {pace}/min, {place}");
            let mut case = Case::new(name);
            (case.loops, case.loop_minutes, case.loop_pace) = (loops, minutes, pace);
            (case.geometric, case.share, case.ramp) = (geometric, share, ramp);
            cases.push(case);
        }
    }
    cases
}

fn harmful() -> Vec<Case> {
    let mut cases = Vec::new();
    for (ramp, phi, ratios) in [
        (false, 1.0, &[1.2, 1.5, 2.0, 5.0, 10.0][..]),
        (true, 1.0, &[1.2, 1.5, 2.0, 5.0, 10.0]),
        (false, 3.0, &[1.5, 2.0, 5.0]),
    ] {
        for &ratio in ratios {
            let place = if ramp { "ramp" } else { "50/50" };
            let spread = if phi > 1.0 { " phi 3" } else { "" };
            let mut case = Case::new(format!("{place} lam 20{spread}, ratio {ratio:.1}"));
            (case.ramp, case.dispersion, case.ratio) = (ramp, phi, ratio);
            case.days = if ramp { 7 } else { 3 };
            cases.push(case);
        }
    }
    cases
}

/// Nearly rolled out beside a small control that is held back: "worse" is then
/// "control has fewer", where bursts of control could say so by chance.
fn held_back() -> Vec<Case> {
    let mut cases = Vec::new();
    for (share, lambda) in [(0.8, 20.0), (0.8, 2.0), (0.95, 20.0), (0.95, 2.0)] {
        for ratio in [1.5, 2.0, 5.0] {
            let percent = share * 100.0;
            let name = format!("T {percent:.0}%, lam {lambda}, ratio {ratio:.1}");
            let mut case = Case::new(name);
            (case.share, case.lambda, case.ratio) = (share, lambda, ratio);
            cases.push(case);
        }
    }
    cases
}

/// First alarms of one release: worse, better, ratio 1 outside the sequence.
fn alarms(minutes: &[(Arm, Arm)], exact: bool, harmless: bool) -> [Option<u32>; 3] {
    let test = |watch| {
        Comparison::new(Settings {
            watch,
            independent: exact,
            ..Settings::default()
        })
    };
    let mut worse = test(Watch::Worse);
    let mut better = test(Watch::Worse);
    let mut either = test(Watch::Either);
    for (minute, (treatment, control)) in (0..).zip(minutes) {
        worse.add(minute, *treatment, *control);
        if harmless {
            better.add(minute, *control, *treatment);
            either.add(minute, *treatment, *control);
        } else if worse.first_alarm().is_some() {
            break;
        }
    }
    [&worse, &better, &either].map(Comparison::first_alarm)
}

struct Options {
    runs: usize,
    seed: u64,
    threads: usize,
    only: String,
    exact: bool,
}

/// Every run of a case; each has its own generator, so that neither the number
/// of threads nor the choice of cases changes a run.
fn run(case: &Case, options: &Options) -> Vec<[Option<u32>; 3]> {
    let next = AtomicUsize::new(0);
    let salt = case.name.bytes().fold(options.seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let worker = || {
        let mut found = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= options.runs {
                return found;
            }
            let mut random = Random::new(salt.wrapping_add((index as u64) << 32));
            let minutes = case.simulate(&mut random);
            found.push(alarms(&minutes, options.exact, case.ratio == 1.0));
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.threads).map(|_| scope.spawn(worker)).collect();
        let results = workers
            .into_iter()
            .map(|it| it.join().expect("a run failed"));
        results.flatten().collect()
    })
}

/// How soon a harmful release is found.
fn row_of_alarms(case: &Case, options: &Options) {
    let end = (case.days * DAY) as u32;
    let found = run(case, options);
    let mut minutes: Vec<u32> = found.iter().map(|it| it[0].unwrap_or(end)).collect();
    minutes.sort_unstable();
    let share = minutes.iter().filter(|minute| **minute < end).count() as f64;
    let share = 100.0 * share / options.runs as f64;
    let at = |quantile: f64| {
        let minute = minutes[((minutes.len() - 1) as f64 * quantile).round() as usize];
        match minute < end {
            true => minute.to_string(),
            false => "–".into(),
        }
    };
    println!(
        "| {} | {share:.1} % | {} | {} |",
        case.name,
        at(0.5),
        at(0.99)
    );
}

/// The upper limit a rate of at most 5 % stays under in 99.9 % of tables.
fn beyond_binomial_error(alarms: usize, runs: usize) -> bool {
    let expected = 0.05 * runs as f64;
    alarms as f64 > expected + 3.1 * (expected * 0.95).sqrt()
}

fn parse() -> Option<Options> {
    let mut options = Options {
        runs: 200,
        seed: 1,
        threads: 2,
        only: String::new(),
        exact: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seed" => options.seed = arguments.next()?.parse().ok()?,
            "--threads" => options.threads = arguments.next()?.parse().ok()?,
            "--only" => options.only = arguments.next()?,
            "--exact" => options.exact = true,
            runs => options.runs = runs.parse().ok()?,
        }
    }
    (options.runs > 0 && options.threads > 0).then_some(options)
}

fn main() -> ExitCode {
    let Some(options) = parse() else {
        eprintln!(
            "usage: health_acceptance [RUNS] [--seed N] [--threads N] [--only TEXT] [--exact]"
        );
        return ExitCode::from(2);
    };
    let started = Instant::now();
    let chosen = |case: &Case| case.name.contains(&options.only);
    let mut held = true;
    for (title, cases) in [
        ("harmless release", harmless()),
        ("harmless release, other bursts", other_bursts()),
    ] {
        println!("| {title} | worse | better | ratio 1 outside the sequence |");
        println!("|---|---|---|---|");
        for case in cases.into_iter().filter(chosen) {
            let found = run(&case, &options);
            let shares = [0, 1, 2].map(|column| {
                let alarms = found.iter().filter(|it| it[column].is_some()).count();
                held &= !beyond_binomial_error(alarms, options.runs);
                format!("{:.1} %", 100.0 * alarms as f64 / options.runs as f64)
            });
            println!("| {} | {} |", case.name, shares.join(" | "));
        }
        println!();
    }
    for (title, cases) in [
        ("harmful release", harmful()),
        ("harmful release, control held back", held_back()),
    ] {
        println!("| {title} | found | median minute of alarm | 99th percentile |");
        println!("|---|---|---|---|");
        for case in cases.into_iter().filter(chosen) {
            row_of_alarms(&case, &options);
        }
        println!();
    }
    println!(
        "{} runs a row, seed {}, {:.0} s; false alarms {}",
        options.runs,
        options.seed,
        started.elapsed().as_secs_f64(),
        if held {
            "within 5 % and binomial error"
        } else {
            "BEYOND 5 %"
        }
    );
    if held || options.exact {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
