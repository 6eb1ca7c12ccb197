//! Which names are meant: one, or all of a shape.

use crate::error::{Error, Result};
use crate::limits::NAME_BYTES_MAX;

/// The longest pattern: a name in which every byte is escaped.
const PATTERN_BYTES_MAX: usize = 2 * NAME_BYTES_MAX;

/// A glob over names: `*` stands for any characters, `/` among them, `?` for
/// one character, and `\` takes the meaning from the character after it.
/// Without any of these it is an exact name.
///
/// ```
/// use hotstove::Pattern;
/// let beta = Pattern::new("firefox/beta/*")?;
/// assert!(beta.matches("firefox/beta/57.0/windows"));
/// assert_eq!(beta.exact(), None);
/// assert_eq!(Pattern::new(r"what\?")?.exact(), Some("what?"));
/// # Ok::<(), hotstove::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// What comes before the first wildcard, without escapes.
    prefix: String,
    /// The first wildcard and all that follows.
    rest: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Token {
    Exactly(char),
    One,
    Any,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] for one that is empty, longer than
    /// any name, or ends in a lone `\`.
    pub fn new(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            let shown: String = text.chars().take(64).collect();
            Err(Error::invalid(format!("the pattern {shown:?} {what}")))
        };
        if text.is_empty() {
            return wrong("is empty");
        }
        if text.len() > PATTERN_BYTES_MAX {
            return wrong("is longer than any name");
        }
        let mut pattern = Pattern {
            prefix: String::new(),
            rest: Vec::new(),
        };
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let token = match character {
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => match characters.next() {
                    Some(escaped) => Token::Exactly(escaped),
                    None => return wrong("ends in a lone backslash"),
                },
                plain => Token::Exactly(plain),
            };
            match token {
                Token::Exactly(literal) if pattern.rest.is_empty() => pattern.prefix.push(literal),
                Token::Any if pattern.rest.last() == Some(&Token::Any) => {}
                token => pattern.rest.push(token),
            }
        }
        Ok(pattern)
    }

    /// The pattern that matches `name` and no other.
    #[must_use]
    pub fn exactly(name: &str) -> Self {
        Pattern {
            prefix: name.to_owned(),
            rest: Vec::new(),
        }
    }

    /// The pattern that matches every name.
    #[must_use]
    pub fn any() -> Self {
        Pattern {
            prefix: String::new(),
            rest: vec![Token::Any],
        }
    }

    /// The one name it matches, where it has no wildcard.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        self.rest.is_empty().then_some(self.prefix.as_str())
    }

    /// What every name it matches begins with.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether `name` is meant. At most as many steps as the name has
    /// characters times the pattern, whatever the two are.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some(name) = name.strip_prefix(&self.prefix) else {
            return false;
        };
        match self.rest[..] {
            [] => return name.is_empty(),
            [Token::Any] => return true,
            _ => {}
        }
        let (mut rest, mut at) = (name.chars(), 0);
        // Where the last `*` was, and what of the name it leaves. Only the last
        // one need ever take more: what lies before it matches already.
        let mut star = None;
        loop {
            let before = rest.clone();
            let next = rest.next();
            match (self.rest.get(at), next) {
                (None, None) => return true,
                (Some(Token::Any), _) => {
                    at += 1;
                    star = Some((at, before.clone()));
                    rest = before;
                    continue;
                }
                (Some(Token::One), Some(_)) => {
                    at += 1;
                    continue;
                }
                (Some(Token::Exactly(wanted)), Some(found)) if *wanted == found => {
                    at += 1;
                    continue;
                }
                _ => {}
            }
            let Some((after_star, taken)) = &mut star else {
                return false;
            };
            if taken.next().is_none() {
                return false;
            }
            at = *after_star;
            rest = taken.clone();
        }
    }
}

impl std::str::FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By definition, exponential as it is.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], _) => name.is_empty(),
            (['*', rest @ ..], _) => (0..=name.len()).any(|taken| naive(rest, &name[taken..])),
            (['?', rest @ ..], [_, after @ ..]) => naive(rest, after),
            (['\\', wanted, rest @ ..], [found, after @ ..])
            | ([wanted, rest @ ..], [found, after @ ..]) => wanted == found && naive(rest, after),
            _ => false,
        }
    }

    #[test]
    fn refused() {
        assert!(Pattern::new("").is_err());
        assert!(Pattern::new("a\\").is_err());
        assert!(Pattern::new(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn matched() {
        for (pattern, name, expected) in [
            ("*", "firefox/beta", true),
            ("firefox/*", "firefox/", true),
            ("firefox/*", "firefox", false),
            ("*/windows", "firefox/57.0/windows", true),
            ("*57*", "firefox/57.0/windows", true),
            ("?", "é", true),
            ("?", "", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a?c", "abc", true),
            ("a*b*c", "a/b/b/c", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).unwrap().matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn parts_for_pruning() {
        let pattern = Pattern::new(r"fire\*fox/*x?").unwrap();
        assert_eq!(
            (pattern.literal_prefix(), pattern.exact()),
            ("fire*fox/", None)
        );
        assert_eq!(Pattern::new(r"a\?b").unwrap().exact(), Some("a?b"));
        assert_eq!(Pattern::exactly("a*").exact(), Some("a*"));
        assert!(Pattern::any().matches("x") && Pattern::any().exact().is_none());
    }

    #[test]
    fn the_worst_pattern_ends_soon() {
        let pattern = Pattern::new(&"*a".repeat(900)).unwrap();
        assert!(!pattern.matches(&"a".repeat(899)));
        let pattern = Pattern::new(&format!("*{}b", "a?".repeat(500))).unwrap();
        assert!(!pattern.matches(&"a".repeat(NAME_BYTES_MAX)));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in r"[ab?*é\\]{1,10}", name in "[ab*é]{0,10}") {
            let Ok(parsed) = Pattern::new(&pattern) else { return Ok(()) };
            let characters: Vec<char> = pattern.chars().collect();
            let name_characters: Vec<char> = name.chars().collect();
            let expected = naive(&characters, &name_characters);
            prop_assert_eq!(parsed.matches(&name), expected);
            prop_assert!(!expected || name.starts_with(parsed.literal_prefix()));
            if let Some(exact) = parsed.exact() {
                prop_assert_eq!(expected, exact == name);
            }
        }

        #[test]
        fn any_text_is_handled(pattern: String, name: String) {
            if let Ok(pattern) = Pattern::new(&pattern) {
                let _ = pattern.matches(&name);
            }
        }
    }
}
