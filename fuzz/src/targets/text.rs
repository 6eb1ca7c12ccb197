//! Text as people and importers give it: minutes, numbers, names, patterns.

use hotstove::{Decimal, Minute, Name, Pattern, Rounding};

pub fn run(bytes: &[u8]) {
    if let Some(minute) = Minute::parse(bytes) {
        assert_eq!(minute.to_string().parse::<Minute>().unwrap(), minute);
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = Decimal::decimals_needed(text);
    for decimals in [0, 4, 9] {
        if let Ok((value, _)) = Decimal::parse(text, decimals, Rounding::HalfEven) {
            let again = Decimal::parse(&value.to_string(), decimals, Rounding::Refuse);
            assert_eq!(again.unwrap(), (value, false));
        }
    }
    let _ = Name::new(text);
    let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at));
    let (pattern, name) = text.split_at(middle.unwrap_or(0));
    if let Ok(pattern) = Pattern::new(pattern) {
        let _ = pattern.matches(name);
    }
}
