//! Texts and numbers in the shape people and programs like to read.

/// A whole number with its thousands apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    grouped_decimal(&number.to_string())
}

/// The same for a decimal number as text: `-1,234.50`. A number in another
/// notation stays as it is.
pub fn grouped_decimal(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number),
    };
    let (whole, fraction) = match digits.find('.') {
        Some(point) => digits.split_at(point),
        None => (digits, ""),
    };
    if !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut text = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

/// The shortest text that reads back as the same number.
pub fn float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-5..1e16).contains(&size) {
        format!("{value:e}")
    } else {
        format!("{value}")
    }
}

/// A number of bytes for people.
pub fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = "B";
    for next in units {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{size:.1} {unit}")
    }
}

/// A JSON string.
pub fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Columns a character takes on a terminal: near enough without a table of all
/// of Unicode.
fn columns(character: char) -> usize {
    match u32::from(character) {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Columns a text takes on a terminal.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// A text cut in its middle to fit into `room` columns: both ends of a name
/// tell more than its beginning alone.
pub fn truncated(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    if room == 0 {
        return String::new();
    }
    let before = fitting(text.chars(), (room - 1) / 2);
    let after = fitting(text.chars().rev(), room - 1 - width(&before));
    before + "…" + &after.chars().rev().collect::<String>()
}

/// As many characters as fit.
fn fitting(characters: impl Iterator<Item = char>, room: usize) -> String {
    let mut used = 0;
    characters
        .take_while(|character| {
            used += columns(*character);
            used <= room
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [
            ("0", "0"),
            ("999", "999"),
            ("1000", "1,000"),
            ("-1234567.0001", "-1,234,567.0001"),
            ("-100.5", "-100.5"),
            ("1e300", "1e300"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(grouped_decimal(number), text);
        }
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn floats_are_short_and_read_back() {
        for value in [
            0.0,
            0.1,
            -1.5,
            1e-7,
            1e300,
            123_456_789.25,
            f64::MIN_POSITIVE,
            f64::MAX,
        ] {
            let text = float(value);
            assert!(text.len() < 25, "{text}");
            assert_eq!(text.parse::<f64>().unwrap(), value);
        }
        assert_eq!(float(1e300), "1e300");
        assert_eq!(float(2.0), "2");
    }

    #[test]
    fn names_are_cut_in_the_middle() {
        assert_eq!(truncated("firefox/release/57.0/windows", 11), "firef…ndows");
        assert_eq!(truncated("short", 5), "short");
        assert_eq!(truncated("short", 1), "…");
        assert_eq!(truncated("short", 0), "");
        for room in 0..12 {
            assert!(width(&truncated("火狐火狐火狐abc", room)) <= room);
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16777216.0 TiB");
    }
}
