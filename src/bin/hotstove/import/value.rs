//! Values of rows, as the deltas of their metric's kind.

use hotstove::{Batch, Decimal, Kind, Minute, Rounding, Series};

/// Digits that surely fit into 64 bits.
const DIGITS_QUICK: usize = 18;

/// One delta.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delta {
    Count(u64),
    Units(i64),
    Value(f64),
}

impl Delta {
    /// Reads a value; the flag says that digits were rounded away.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &[u8], kind: Kind, rounding: Rounding) -> Result<(Self, bool), String> {
        match kind {
            Kind::Counter => Ok((Delta::Count(count(text)?), false)),
            Kind::Sum { decimals } => {
                if let Some(units) = quick(text, decimals) {
                    return Ok((Delta::Units(units), false));
                }
                let told = |error: hotstove::Error| error.to_string();
                let (value, rounded) =
                    Decimal::parse(utf8(text)?, decimals, rounding).map_err(told)?;
                let units = i64::try_from(value.units)
                    .map_err(|_| format!("{value} does not fit into 64 bits"))?;
                Ok((Delta::Units(units), rounded))
            }
            Kind::Gauge => Ok((Delta::Value(float(text)?), false)),
        }
    }

    pub fn put(self, batch: &mut Batch, series: Series, minute: Minute) {
        match self {
            Delta::Count(count) => batch.add(series, minute, count),
            Delta::Units(units) => batch.add_units(series, minute, units),
            Delta::Value(value) => batch.set(series, minute, value),
        };
    }
}

/// Whether a value could be one of a counter, whatever its size.
pub fn is_unsigned(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// A text in a message: short, and on one line.
pub fn quoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    format!("{:?}", text.chars().take(64).collect::<String>())
}

fn utf8(text: &[u8]) -> Result<&str, String> {
    str::from_utf8(text).map_err(|_| format!("{} is not UTF-8", quoted(text)))
}

fn count(text: &[u8]) -> Result<u64, String> {
    if !is_unsigned(text) {
        let number = str::from_utf8(text)
            .ok()
            .and_then(Decimal::decimals_needed)
            .is_some();
        let why = match text.first() {
            _ if !number => "is not a number",
            Some(b'-') => "is negative; a counter takes whole numbers from 0",
            _ => "is not a whole number without sign, point or exponent, as a counter takes",
        };
        return Err(format!("{} {why}", quoted(text)));
    }
    let digit = |value: u64, byte: &u8| value.checked_mul(10)?.checked_add(u64::from(byte - b'0'));
    text.iter()
        .try_fold(0, digit)
        .ok_or_else(|| format!("{} does not fit into 64 bits", quoted(text)))
}

/// Numbers without exponent, without much to round and far from 64 bits:
/// nearly all of them.
fn quick(text: &[u8], decimals: u8) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > DIGITS_QUICK + 1 {
        return None;
    }
    let mut units = 0_i64;
    let mut point = None;
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' if at - usize::from(point.is_some()) < DIGITS_QUICK => {
                units = units * 10 + i64::from(byte - b'0');
            }
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let fraction = point.map_or(0, |at| digits.len() - at - 1);
    let whole = digits.len() - fraction - usize::from(point.is_some());
    let missing = usize::from(decimals).checked_sub(fraction)?;
    if whole + fraction == 0 || whole + usize::from(decimals) > DIGITS_QUICK {
        return None;
    }
    let units = units * 10_i64.pow(missing as u32);
    Some(if negative { -units } else { units })
}

fn float(text: &[u8]) -> Result<f64, String> {
    let value: f64 = utf8(text)?
        .parse()
        .map_err(|_| format!("{} is not a number", quoted(text)))?;
    if !value.is_finite() {
        return Err(format!(
            "{} is not a finite number, as a gauge takes",
            quoted(text)
        ));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counter(text: &str) -> Result<(Delta, bool), String> {
        Delta::parse(text.as_bytes(), Kind::Counter, Rounding::HalfEven)
    }

    #[test]
    fn counters() {
        assert_eq!(counter("0"), Ok((Delta::Count(0), false)));
        assert_eq!(
            counter("18446744073709551615"),
            Ok((Delta::Count(u64::MAX), false))
        );
        for (text, why) in [
            ("18446744073709551616", "64 bits"),
            ("99999999999999999999999999", "64 bits"),
            ("-1", "negative"),
            ("1.5", "whole"),
            ("1e3", "whole"),
            ("+1", "whole"),
            ("", "not a number"),
            ("x", "not a number"),
            (" 1", "not a number"),
            ("١", "not a number"),
        ] {
            assert!(
                counter(text).is_err_and(|found| found.contains(why)),
                "{text}"
            );
        }
        assert!(Delta::parse(b"\xff", Kind::Counter, Rounding::HalfEven).is_err());
    }

    #[test]
    fn gauges() {
        let gauge = |text: &str| Delta::parse(text.as_bytes(), Kind::Gauge, Rounding::HalfEven);
        assert_eq!(gauge("-1.5e3"), Ok((Delta::Value(-1500.0), false)));
        for text in ["NaN", "inf", "-infinity", "1e999", "", "1,5"] {
            assert!(gauge(text).is_err(), "{text}");
        }
    }

    proptest! {
        /// The quick way gives what the careful one gives.
        #[test]
        fn quick_and_careful_agree(text in "-?[0-9]{0,20}(\\.[0-9]{0,12})?", decimals in 0..=9_u8) {
            let careful = Decimal::parse(&text, decimals, Rounding::Refuse);
            if let Some(units) = quick(text.as_bytes(), decimals) {
                prop_assert_eq!(careful.unwrap().0.units, i128::from(units));
            }
        }

        #[test]
        fn any_text_is_handled(text: Vec<u8>, decimals in 0..=9_u8) {
            for kind in [Kind::Counter, Kind::Sum { decimals }, Kind::Gauge] {
                let _ = Delta::parse(&text, kind, Rounding::HalfEven);
            }
        }
    }
}
