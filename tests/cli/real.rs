//! Real files, against sums made another way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hotstove::Minute;

use crate::support::{HEADER, Home};

/// Decimals of the sums made here: more than any file has.
const DECIMALS: usize = 20;

/// Sums by series and bucket, as decimal integers of [`DECIMALS`].
type Sums = BTreeMap<(String, u32), i128>;

fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/real")
        .join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// A decimal text without exponent, exactly.
fn exact(text: &str) -> i128 {
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    assert!(fraction.len() <= DECIMALS, "{text}");
    let padded = format!("{whole}{fraction:0<DECIMALS$}");
    sign * padded.parse::<i128>().unwrap_or_else(|_| panic!("{text}"))
}

/// Rounds half to even to `decimals`, as an import does.
fn rounded(value: i128, decimals: usize) -> i128 {
    let unit = 10_i128.pow((DECIMALS - decimals) as u32);
    let (whole, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
    let up = rest * 2 > unit || rest * 2 == unit && whole % 2 != 0;
    (whole + i128::from(up)) * unit
}

/// Sums of a file's rows or of an answer's: both have the same columns.
fn sums(text: &str, width: u32, decimals: impl Fn(&str) -> usize) -> Sums {
    let mut sums = Sums::new();
    for line in text.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        let [release, branch, metric, minute, value] = fields[..] else {
            panic!("{line}");
        };
        let minute = minute.parse::<Minute>().expect(line).get() / width * width;
        let key = format!("{release},{branch},{metric}");
        let value = if value.contains('e') {
            format!("{:.20}", value.parse::<f64>().unwrap())
        } else {
            value.to_owned()
        };
        *sums.entry((key, minute)).or_default() += rounded(exact(&value), decimals(metric));
    }
    sums
}

fn compare(name: &str) {
    let Some(path) = real(name) else { return };
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(HEADER));
    let home = Home::new();
    let path = path.to_str().unwrap();
    home.ok(&["import", "s", path, "--define-missing", "--source", "real"]);
    let metrics = home.ok(&["metrics", "s"]);
    let decimals: BTreeMap<_, _> = metrics
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .map(|fields| (fields[0].to_owned(), fields[2].parse().unwrap_or(0)))
        .collect();
    let widths = [(1, "1m"), (60, "1h"), (1_440, "1d")];
    let expected = widths.map(|(width, _)| sums(&text, width, |metric| decimals[metric]));
    let check = |when: &str| {
        for ((width, every), expected) in widths.iter().zip(&expected) {
            let answer = home.ok(&["query", "s", "--every", every, "--format", "csv"]);
            let found = sums(&answer, *width, |_| DECIMALS);
            assert!(
                found == *expected,
                "{name} {when} at {every}: the sums differ"
            );
        }
    };
    check("imported");
    home.ok(&["import", "s", path, "--define-missing", "--source", "real"]);
    check("imported again");
    home.ok(&["compact", "s"]);
    check("compacted");
    home.ok(&["verify", "s"]);
}

#[test]
fn mission_control() {
    compare("mission-control.csv");
}

#[test]
fn crashes_hourly() {
    compare("crashes-hourly.csv");
}

#[test]
fn requests_minutely() {
    compare("requests-minutely.csv");
}

#[test]
fn unavailable_minutely() {
    compare("unavailable-minutely.csv");
}

#[test]
fn ingress_minutely() {
    compare("ingress-minutely.csv");
}

#[test]
fn mentions_5min() {
    compare("mentions-5min.csv");
}
