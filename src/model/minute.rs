//! A minute of time, always the caller's.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::limits::{MINUTE_END, MINUTES_PER_DAY};

/// Minutes since the Unix epoch, UTC; below [`crate::limits::MINUTE_END`].
///
/// Written as RFC 3339 to the minute: `2026-11-22T10:41Z`.
///
/// ```
/// use hotstove::Minute;
/// let minute: Minute = "2026-11-22T10:41Z".parse()?;
/// assert_eq!(minute.get(), 29_922_401);
/// assert_eq!(minute.to_string(), "2026-11-22T10:41Z");
/// assert!("0000-01-01T00:00Z".parse::<Minute>().is_err());
/// # Ok::<(), hotstove::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(u32);

impl Minute {
    /// The first minute: 1970-01-01T00:00Z.
    pub const MIN: Minute = Minute(0);
    /// The exclusive upper bound: not a minute a cell can have, but a fine end of a range.
    pub const END: Minute = Minute(MINUTE_END);

    /// The minute `minutes` after the epoch.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] beyond [`Minute::END`].
    pub fn new(minutes: u32) -> Result<Self> {
        if minutes > MINUTE_END {
            return Err(Error::invalid(format!(
                "minute {minutes} lies beyond {}, the last this store can hold",
                Minute::END
            )));
        }
        Ok(Minute(minutes))
    }

    /// `minutes` after the epoch, brought into range.
    #[must_use]
    pub(crate) const fn clamped(minutes: u64) -> Self {
        if minutes > MINUTE_END as u64 {
            Minute::END
        } else {
            Minute(minutes as u32)
        }
    }

    /// Minutes since the Unix epoch.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The UTC day this minute lies in, counted from the epoch.
    #[must_use]
    pub const fn day(self) -> u32 {
        self.0 / MINUTES_PER_DAY
    }

    /// This minute moved by `minutes`, stopping at the ends of the range.
    #[must_use]
    pub fn saturating_add(self, minutes: i64) -> Self {
        Self::clamped(
            i64::from(self.0)
                .saturating_add(minutes)
                .max(0)
                .unsigned_abs(),
        )
    }
}

/// Civil date of a day since the epoch (Howard Hinnant, `civil_from_days`).
fn civil(day: u32) -> (u32, u32, u32) {
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    (year, month, day_of_month)
}

/// Days since the epoch of a civil date not before 1970 (`days_from_civil`).
fn days(year: u32, month: u32, day: u32) -> u32 {
    let year = year - u32::from(month <= 2);
    let era = year / 400;
    let year_of_era = year % 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.day());
        let minute = self.0 % MINUTES_PER_DAY;
        let (hour, minute) = (minute / 60, minute % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}Z")
    }
}

impl FromStr for Minute {
    type Err = Error;

    /// Reads `2026-11-22T10:41Z`, with `:00` seconds (and `.0` fractions of
    /// them) accepted, `+00:00` for `Z`.
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes()).ok_or_else(|| {
            Error::invalid(format!(
                "{:?} is not a minute in UTC between 1970 and {}, such as 2026-11-22T10:41Z",
                text.chars().take(64).collect::<String>(),
                Minute::END
            ))
        })
    }
}

impl Minute {
    /// The minute written as RFC 3339 in `text`, or none: the hot path of an import.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (civil, rest) = text.split_first_chunk::<16>()?;
        let number = |range: std::ops::Range<usize>| {
            civil[range].iter().try_fold(0, |value: u32, byte| {
                byte.is_ascii_digit()
                    .then(|| value * 10 + u32::from(byte - b'0'))
            })
        };
        if civil[4] != b'-' || civil[7] != b'-' || civil[13] != b':' {
            return None;
        }
        if !matches!(civil[10], b'T' | b't' | b' ') {
            return None;
        }
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute) = (number(11..13)?, number(14..16)?);
        let zone = match rest {
            [b':', b'0', b'0', b'.', fraction @ ..] => {
                let zeros = fraction.iter().take_while(|byte| **byte == b'0').count();
                (zeros > 0).then(|| &fraction[zeros..])?
            }
            [b':', b'0', b'0', zone @ ..] => zone,
            zone => zone,
        };
        if !matches!(zone, b"Z" | b"z" | b"+00:00" | b"-00:00") {
            return None;
        }
        let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
        let month_days = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if year < 1970 || day == 0 || day > month_days || hour > 23 || minute > 59 {
            return None;
        }
        let minutes = days(year, month, day) * MINUTES_PER_DAY + hour * 60 + minute;
        (minutes < MINUTE_END).then_some(Minute(minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_are_where_the_docs_say() {
        assert_eq!(Minute::MIN.to_string(), "1970-01-01T00:00Z");
        assert_eq!(Minute::END.to_string(), "2480-05-06T00:00Z");
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "2026",
            "0000-01-01T00:00Z",
            "9999-12-31T23:59Z",
            "2026-02-29T00:00Z",
            "2026-11-22T10:41",
            "2026-11-22T10:41:01Z",
            "2026-11-22T24:00Z",
            "2026-13-01T00:00Z",
            "2026-11-22T10:41+01:00",
            "2026-11-00T10:41Z",
            "1969-12-31T23:59Z",
            "２026-11-22T10:41Z",
        ] {
            assert!(text.parse::<Minute>().is_err(), "{text}");
        }
        assert!(Minute::new(u32::MAX).is_err());
    }

    #[test]
    fn accepted() {
        for text in [
            "2024-02-29T00:00Z",
            "2024-02-29T00:00:00Z",
            "2024-02-29T00:00:00.000Z",
            "2024-02-29T00:00+00:00",
        ] {
            assert_eq!(
                text.parse::<Minute>().unwrap().to_string(),
                "2024-02-29T00:00Z"
            );
        }
    }

    proptest! {
        #[test]
        fn display_and_parse_agree(minutes in 0..MINUTE_END) {
            let minute = Minute(minutes);
            prop_assert_eq!(minute.to_string().parse::<Minute>().unwrap(), minute);
        }

        #[test]
        fn any_text_is_handled(text: String) {
            let _ = text.parse::<Minute>();
        }
    }
}
