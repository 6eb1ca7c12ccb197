//! Widths of buckets on the command line.

use hotstove::Every;

/// Reads `5m`, `1h`, `7d` or `all` for clap.
pub fn every(text: &str) -> Result<Every, String> {
    if text == "all" {
        return Ok(Every::Whole);
    }
    let wrong = || format!("{text:?} is no width such as 1m, 5m, 1h, 1d or all");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let minutes = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 1_440,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - unit.len_utf8()];
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let width = number
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(minutes));
    let width = width.filter(|width| (1..=366 * 1_440).contains(width));
    width
        .map(Every::Minutes)
        .ok_or_else(|| format!("{text:?} is not between 1m and 366d"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        assert_eq!(every("1m"), Ok(Every::Minutes(1)));
        assert_eq!(every("5m"), Ok(Every::Minutes(5)));
        assert_eq!(every("1h"), Ok(Every::Minutes(60)));
        assert_eq!(every("366d"), Ok(Every::Minutes(527_040)));
        assert_eq!(every("all"), Ok(Every::Whole));
        for text in [
            "",
            "m",
            "0m",
            "367d",
            "1",
            "1w",
            "-1m",
            "+1m",
            "1.5h",
            "99999999999h",
            "é",
        ] {
            assert!(every(text).is_err(), "{text}");
        }
    }
}
