//! What the values of an attribute must keep to beyond their kind: a least and a greatest value, a pattern of texts.

use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::input::{Misfit, quoted};
use crate::value::Value;

/// The most characters of a pattern.
pub(super) const PATTERN_CHARS_MAX: usize = 1_000;
/// Bytes that a pattern may take in memory: one that repeats repetitions could take all there are.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What values must keep to. Nothing keeps to everything.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Bounds {
    /// The least value; nothing where there is none.
    pub min: Value,
    /// The greatest value; nothing where there is none.
    pub max: Value,
    /// What the whole of a text must match.
    pub pattern: Option<TextPattern>,
}

impl Bounds {
    /// Whether a value keeps to them.
    ///
    /// # Errors
    /// When it does not, with the bound that it goes beyond.
    pub fn check(&self, value: &Value) -> Result<(), Misfit> {
        let misfit = |what: String| Err(Misfit(format!("{} is given, {what} is expected", quoted(&value.to_string()))));
        if value.is_null() {
            return Ok(());
        }
        if !self.min.is_null() && value.order(&self.min).is_none_or(std::cmp::Ordering::is_lt) {
            return misfit(format!("{} or more", self.min));
        }
        if !self.max.is_null() && value.order(&self.max).is_none_or(std::cmp::Ordering::is_gt) {
            return misfit(format!("{} or less", self.max));
        }
        match &self.pattern {
            Some(pattern) if !value.text().is_some_and(|text| pattern.fits(text)) => {
                misfit(format!("a text of the pattern {pattern}"))
            }
            _ => Ok(()),
        }
    }
}

/// A regular expression that the whole of a text must match, in the syntax of the `regex` crate: without look-around and
/// back references, so that no text takes long.
#[derive(Clone)]
pub struct TextPattern {
    source: String,
    whole: Regex,
}

impl TextPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it is none, or too large.
    pub fn parse(source: &str) -> Result<Self, String> {
        if source.chars().nth(PATTERN_CHARS_MAX).is_some() {
            return Err(format!("it has more than {PATTERN_CHARS_MAX} characters"));
        }
        // What is no expression by itself must not become one by the signs around it.
        let build = |text: &str| {
            RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build()
        };
        let built = build(source).and_then(|_| build(&format!("^(?:{source})$")));
        match built {
            Ok(whole) => Ok(Self { source: source.to_owned(), whole }),
            Err(regex::Error::CompiledTooBig(_)) => Err("it would take too much memory".to_owned()),
            Err(error) => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                Err(last.strip_prefix("error: ").unwrap_or(last).to_owned())
            }
        }
    }

    /// Whether the whole of a text matches.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Display for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_matches() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(TextPattern::parse(pattern).unwrap().fits(text), expected, "{pattern} {text}");
        };
        check("[A-Z]{2}[0-9]+", "DE12", true);
        check("[A-Z]{2}[0-9]+", "xDE12", false);
        check("[A-Z]{2}[0-9]+", "DE12x", false);
        check("a|b", "ab", false);
        check("a|b", "b", true);
        check("a", "a\n", false);
        check(r"\p{Lu}.*", "Ärger", true);
        check("", "", true);
        check("(?i)de", "DE", true);
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        let check = |pattern: &str, expected: &str| assert_eq!(TextPattern::parse(pattern).unwrap_err(), expected);
        check("[A-Z", "unclosed character class");
        check("a)(b", "unopened group");
        check("(?=a)", "look-around, including look-ahead and look-behind, is not supported");
        check("((a{1000}){1000}){1000}", "it would take too much memory");
        check(&"a".repeat(PATTERN_CHARS_MAX + 1), "it has more than 1000 characters");
    }

    #[test]
    fn values_keep_to_their_bounds() {
        let number = |text: &str| Value::Decimal(text.parse().unwrap());
        let bounds = Bounds { min: number("0.00"), max: number("9.99"), pattern: None };
        let check = |value: Value, expected: &str| {
            assert_eq!(bounds.check(&value).map_or_else(|misfit| misfit.0, |()| "fits".to_owned()), expected);
        };
        check(Value::Null, "fits");
        check(number("0.00"), "fits");
        check(number("9.99"), "fits");
        check(number("-0.01"), "\"-0.01\" is given, 0.00 or more is expected");
        check(number("10.00"), "\"10.00\" is given, 9.99 or less is expected");
    }
}
