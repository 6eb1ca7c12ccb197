//! Exact decimals: integers with a fixed number of decimals.

use std::fmt;

use crate::error::{Error, Result};
use crate::limits::DECIMALS_MAX;

/// What to do with digits beyond the decimals a metric keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Round half to even, and say that it happened.
    HalfEven,
    /// Refuse the number.
    Refuse,
}

/// An exact number: `units` times ten to the power of minus `decimals`.
///
/// ```
/// use hotstove::{Decimal, Rounding};
/// let (hours, rounded) = Decimal::parse("0.1319444477", 6, Rounding::HalfEven)?;
/// assert_eq!((hours.units, hours.to_string().as_str(), rounded), (131_944, "0.131944", true));
/// # Ok::<(), hotstove::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The number in units of its last decimal.
    pub units: i128,
    /// Decimals kept, at most 9.
    pub decimals: u8,
}

impl Decimal {
    /// Reads a number such as `12`, `-0.5`, `.25`, `1e-5`, keeping `decimals`
    /// decimals; the flag says whether digits were rounded away.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for text that is no number, a number
    /// beyond 64 bits of units, or digits to round under [`Rounding::Refuse`].
    pub fn parse(text: &str, decimals: u8, rounding: Rounding) -> Result<(Self, bool)> {
        let shown = || text.chars().take(64).collect::<String>();
        let parsed = Parsed::read(text)
            .ok_or_else(|| Error::invalid(format!("{:?} is not a decimal number", shown())))?;
        let (units, rounded) = parsed.scaled(i64::from(decimals)).ok_or_else(|| {
            Error::invalid(format!(
                "{:?} with {decimals} decimals does not fit into 64 bits",
                shown()
            ))
        })?;
        if rounded && rounding == Rounding::Refuse {
            return Err(Error::invalid(format!(
                "{:?} has more than the {decimals} decimals this metric keeps",
                shown()
            )));
        }
        let units = i128::from(units);
        Ok((Decimal { units, decimals }, rounded))
    }

    /// Decimals `text` needs to be kept exactly; none where it is no number.
    /// More than [`DECIMALS_MAX`] is possible.
    #[must_use]
    pub fn decimals_needed(text: &str) -> Option<u32> {
        let parsed = Parsed::read(text)?;
        let trailing = parsed
            .digits
            .iter()
            .rev()
            .take_while(|digit| **digit == 0)
            .count();
        if trailing == parsed.digits.len() {
            return Some(0);
        }
        let needed = -parsed.exponent - trailing as i64;
        Some(u32::try_from(needed.max(0)).unwrap_or(u32::MAX))
    }

    /// The nearest `f64`.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        let power = POWERS[usize::from(self.decimals.min(DECIMALS_MAX))] as i64;
        // The same to the last bit; 128 bits are a call of many steps.
        let units = match i64::try_from(self.units) {
            Ok(units) => units as f64,
            Err(_) => self.units as f64,
        };
        units / power as f64
    }
}

/// Powers of ten up to the most decimals.
pub(crate) const POWERS: [i128; DECIMALS_MAX as usize + 1] = {
    let mut powers = [1; DECIMALS_MAX as usize + 1];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// Digits (values 0 to 9, no leading zeros) times ten to the exponent.
struct Parsed {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Parsed {
    fn read(text: &str) -> Option<Self> {
        let (negative, body) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (mantissa, exponent) = match body.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            None => (body, 0),
            Some(at) => {
                let (sign, power) = match &body[at + 1..] {
                    [b'-', rest @ ..] => (-1, rest),
                    [b'+', rest @ ..] => (1, rest),
                    rest => (1, rest),
                };
                if power.is_empty() || power.len() > 9 || !power.iter().all(u8::is_ascii_digit) {
                    return None;
                }
                let power = power
                    .iter()
                    .fold(0, |value, byte| value * 10 + i64::from(byte - b'0'));
                (&body[..at], sign * power)
            }
        };
        let mut digits = Vec::with_capacity(mantissa.len().min(64));
        let (mut seen, mut point, mut fraction) = (0_usize, false, 0_i64);
        for byte in mantissa {
            match byte {
                b'0'..=b'9' => {
                    seen += 1;
                    fraction += i64::from(point);
                    if !(digits.is_empty() && *byte == b'0') {
                        digits.push(byte - b'0');
                    }
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        (seen > 0).then_some(Parsed {
            negative,
            digits,
            exponent: exponent - fraction,
        })
    }

    /// The number in units of `decimals` decimals, and whether it was rounded.
    fn scaled(&self, decimals: i64) -> Option<(i64, bool)> {
        let shift = self.exponent + decimals;
        let kept = usize::try_from((self.digits.len() as i64 + shift).max(0)).ok()?;
        if self.digits.is_empty() {
            return Some((0, false));
        }
        if kept > 20 {
            return None;
        }
        let mut units = 0_i128;
        for index in 0..kept {
            units = units * 10 + i128::from(self.digits.get(index).copied().unwrap_or(0));
        }
        // Digits beyond `kept` are rounded half to even. Where `shift` lies far
        // below, the first of them is a zero that is not written.
        let hidden_zero = self.digits.len() as i64 + shift < 0;
        let rest = self.digits.get(kept..).unwrap_or(&[]);
        let rounded = rest.iter().any(|digit| *digit != 0);
        if !hidden_zero && let Some((first, after)) = rest.split_first() {
            let above = *first > 5 || *first == 5 && after.iter().any(|digit| *digit != 0);
            units += i128::from(above || *first == 5 && units % 2 == 1);
        }
        let units = if self.negative { -units } else { units };
        Some((i64::try_from(units).ok()?, rounded))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.decimals == 0 {
            return write!(f, "{}", self.units);
        }
        let width = usize::from(self.decimals);
        let digits = format!("{:0>1$}", self.units.unsigned_abs(), width + 1);
        let (whole, fraction) = digits.split_at(digits.len() - width);
        let sign = if self.units < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str, decimals: u8) -> (String, bool) {
        let (value, rounded) = Decimal::parse(text, decimals, Rounding::HalfEven).unwrap();
        (value.to_string(), rounded)
    }

    #[test]
    fn rounding_is_half_to_even() {
        for (text, decimals, expected, rounded) in [
            ("0.5", 0, "0", true),
            ("1.5", 0, "2", true),
            ("2.5", 0, "2", true),
            ("2.5000001", 0, "3", true),
            ("-2.5", 0, "-2", true),
            ("-3.5", 0, "-4", true),
            ("0.05", 0, "0", true),
            ("0.06", 1, "0.1", true),
            ("1e-5", 6, "0.000010", false),
            ("1e-5", 5, "0.00001", false),
            ("1e-30", 6, "0.000000", true),
            ("12.340", 2, "12.34", false),
            ("1.5e3", 0, "1500", false),
            (".25", 2, "0.25", false),
            ("3.", 2, "3.00", false),
            ("000", 2, "0.00", false),
            ("1678991.51666667", 8, "1678991.51666667", false),
        ] {
            assert_eq!(
                parse(text, decimals),
                (expected.to_owned(), rounded),
                "{text}"
            );
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            ".",
            "-",
            "e5",
            "1e",
            "1e9999999999",
            "0x10",
            "1,5",
            "NaN",
            "inf",
            "1 ",
            "--1",
            "9223372036854775808",
            "1e30",
        ] {
            assert!(
                Decimal::parse(text, 0, Rounding::HalfEven).is_err(),
                "{text}"
            );
        }
        assert!(Decimal::parse("0.25", 1, Rounding::Refuse).is_err());
        assert!(Decimal::parse("-9223372036854775808", 0, Rounding::Refuse).is_ok());
    }

    #[test]
    fn decimals_needed_counts_no_trailing_zeros() {
        for (text, needed) in [
            ("12", 0),
            ("1.50", 1),
            ("1e-5", 5),
            ("0.000", 0),
            ("1.25e1", 1),
            ("100", 0),
        ] {
            assert_eq!(Decimal::decimals_needed(text), Some(needed), "{text}");
        }
        assert_eq!(Decimal::decimals_needed("x"), None);
    }

    proptest! {
        #[test]
        fn display_and_parse_agree(units: i64, decimals in 0..=DECIMALS_MAX) {
            let value = Decimal { units: units.into(), decimals };
            let (back, rounded) = Decimal::parse(&value.to_string(), decimals, Rounding::Refuse).unwrap();
            prop_assert_eq!(back, value);
            prop_assert!(!rounded);
        }

        #[test]
        fn any_text_is_handled(text in "[-+0-9.eE]{0,40}", decimals in 0..=DECIMALS_MAX) {
            let _ = Decimal::parse(&text, decimals, Rounding::HalfEven);
            let _ = Decimal::decimals_needed(&text);
        }
    }
}
