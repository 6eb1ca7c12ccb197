//! Times on the command line, and the only clock in the house: the library
//! takes every minute as an argument.

use hotstove::Minute;

use crate::failure::{Failure, Result};

/// Reads a minute for clap.
pub fn minute(text: &str) -> Result<Minute, String> {
    text.parse()
        .map_err(|error: hotstove::Error| error.to_string())
}

/// Reads a length of time in whole minutes, such as `30m` or `2h`, for clap.
pub fn minutes(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is not a number of whole minutes, such as 30m or 2h");
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    let seconds = duration.as_secs();
    if duration.subsec_nanos() != 0 || seconds % 60 != 0 {
        return Err(wrong());
    }
    u32::try_from(seconds / 60).map_err(|_| wrong())
}

/// The minute that is running now.
pub fn now() -> Minute {
    let minutes = jiff::Timestamp::now().as_second().max(0) / 60;
    let minutes = u32::try_from(minutes).unwrap_or(u32::MAX);
    Minute::new(minutes).unwrap_or(Minute::END)
}

/// The minute a command looks back from: that of `--at`, or now.
///
/// # Errors
/// A minute that has not come yet: what is decided on it can not be undone.
pub fn looking_back_from(at: Option<Minute>) -> Result<Minute> {
    let now = now();
    match at {
        Some(at) if at > now => Err(Failure::new(format!(
            "--at {at} lies in the future: it is {now} now (leave --at out to look at everything)"
        ))),
        at => Ok(at.unwrap_or(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_whole_minutes() {
        assert_eq!(minutes("30m"), Ok(30));
        assert_eq!(minutes("2h"), Ok(120));
        for text in ["", "30", "30s", "-5m", "90.5m", "1y", "999999999999h"] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_future_is_refused() {
        assert!(looking_back_from(Some(Minute::END)).is_err());
        assert_eq!(looking_back_from(Some(Minute::MIN)).ok(), Some(Minute::MIN));
        assert!(looking_back_from(None).is_ok_and(|now| now > Minute::MIN));
    }
}
