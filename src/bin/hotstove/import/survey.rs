//! `--define-missing`: what the metrics nobody declared seem to be.

use std::collections::BTreeMap;

use hotstove::limits::DECIMALS_MAX;
use hotstove::{Catalogue, Decimal, Kind, Metric, Name};

use super::rows::{Rows, Wrong};
use super::value::{is_unsigned, quoted};

/// What is known of a metric that is not declared.
struct Guess {
    /// Every value so far was an unsigned integer.
    unsigned: bool,
    /// The most decimals a value needed.
    decimals: u8,
}

/// Looks at up to `rows_max` rows and returns definitions of the metrics in
/// them that `catalogue` does not have.
pub fn missing(
    rows: &mut Rows,
    catalogue: &Catalogue,
    rows_max: u64,
) -> Result<Vec<Metric>, Wrong> {
    let mut guesses = BTreeMap::<Vec<u8>, Guess>::new();
    let mut last = Vec::new();
    let mut last_is_known = false;
    let mut seen = 0;
    while seen < rows_max
        && let Some(row) = rows.next()?
    {
        seen += 1;
        if *row.metric != *last {
            last.clear();
            last.extend_from_slice(&row.metric);
            let known = |metric| catalogue.metric(metric).is_some();
            last_is_known = str::from_utf8(&last).is_ok_and(known);
        }
        if last_is_known {
            continue;
        }
        let unsigned = is_unsigned(&row.value);
        let decimals = if unsigned {
            0
        } else {
            decimals(&row.value, row.line)?
        };
        if !guesses.contains_key(&last) {
            guesses.insert(
                last.clone(),
                Guess {
                    unsigned: true,
                    decimals: 0,
                },
            );
        }
        if let Some(guess) = guesses.get_mut(&last) {
            guess.unsigned &= unsigned;
            guess.decimals = guess.decimals.max(decimals);
        }
    }
    let mut metrics = Vec::new();
    for (name, guess) in guesses {
        // A name that is none is an error of the row that has it.
        let Some(name) = str::from_utf8(&name)
            .ok()
            .and_then(|name| Name::new(name).ok())
        else {
            continue;
        };
        let kind = match guess {
            Guess { unsigned: true, .. } => Kind::Counter,
            Guess { decimals, .. } => Kind::Sum { decimals },
        };
        metrics.push(Metric::new(name, kind));
    }
    Ok(metrics)
}

/// Decimals to keep for a value.
fn decimals(value: &[u8], line: u64) -> Result<u8, Wrong> {
    let needed = str::from_utf8(value)
        .ok()
        .and_then(Decimal::decimals_needed)
        .ok_or_else(|| Wrong::new(line, format!("{} is not a number", quoted(value))))?;
    Ok(u8::try_from(needed).map_or(DECIMALS_MAX, |needed| needed.min(DECIMALS_MAX)))
}

#[cfg(test)]
mod tests {
    use super::super::input::Input;
    use super::super::rows::Format;
    use super::*;
    use indicatif::ProgressBar;

    fn guess(text: &str, rows_max: u64) -> Result<Vec<(String, Kind)>, u64> {
        let text = format!("release,branch,metric,minute,value\n{text}");
        let reader = std::io::Cursor::new(text.into_bytes());
        let input = Input::new(Box::new(reader), ProgressBar::hidden());
        let mut rows = Rows::open(input, Format::Csv).map_err(|wrong| wrong.line)?;
        let mut catalogue = Catalogue::default();
        let known = Metric::new(Name::new("known").unwrap(), Kind::Gauge);
        catalogue.define_metric(&known).unwrap();
        let metrics = missing(&mut rows, &catalogue, rows_max).map_err(|wrong| wrong.line)?;
        Ok(metrics
            .into_iter()
            .map(|metric| (metric.name.to_string(), metric.kind))
            .collect())
    }

    #[test]
    fn counters_and_sums_are_told_apart() {
        let text = "r,b,count,t,1\nr,b,hours,t,2\nr,b,known,t,x\nr,b,hours,t,0.125\nr,b,hours,t,1e-5\nr,b,count,t,7\nr,b,deltas,t,-1\nr,b,fine,t,0.12345678901\n";
        let sum = |decimals| Kind::Sum { decimals };
        let expected = [
            ("count".to_owned(), Kind::Counter),
            ("deltas".to_owned(), sum(0)),
            ("fine".to_owned(), sum(9)),
            ("hours".to_owned(), sum(5)),
        ];
        assert_eq!(guess(text, u64::MAX).unwrap(), expected);
        assert_eq!(
            guess(text, 2).unwrap()[1],
            ("hours".to_owned(), Kind::Counter)
        );
        assert_eq!(guess("r,b,m,t,1\nr,b,m,t,NaN\n", 9), Err(3));
    }
}
