//! How a number is written: `R-{yyyy}-{n:06}` makes `R-2026-000113`.
//!
//! All parts but the number have a fixed width, so the number can be found again in a text.

use std::fmt::Write as _;

use super::Number;
use crate::time::Date;

/// A pattern that was understood. Equal where the texts are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: String,
    before: Vec<Part>,
    digits: usize,
    behind: Vec<Part>,
}

/// Something of a fixed width.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Year,
    ShortYear,
    Month,
    Day,
}

/// Why a text is no pattern.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message} (character {character} of the pattern)")]
pub struct PatternProblem {
    /// Where, in characters from 1.
    pub character: usize,
    /// What is wrong.
    pub message: String,
}

/// The most digits to which a number is filled up.
const DIGITS_MAX: usize = 18;
/// What can stand between braces.
const PLACES: &str = "{n}, {n:06}, {yyyy}, {yy}, {mm}, {dd}";

impl Pattern {
    /// Reads a pattern: text, `{n}` or `{n:06}` exactly once, `{yyyy}`, `{yy}`, `{mm}`, `{dd}`, and `{{`, `}}` for
    /// braces.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self, PatternProblem> {
        let mut parts = Parts::default();
        let mut letters = text.chars().enumerate().peekable();
        while let Some((place, letter)) = letters.next() {
            let problem = |message: String| Err(PatternProblem { character: place + 1, message });
            match letter {
                '{' | '}' if letters.next_if(|(_, next)| *next == letter).is_some() => parts.letter(letter),
                '}' => return problem("a } ends nothing; a brace itself is written }}".to_owned()),
                '{' => {
                    let inside: String =
                        std::iter::from_fn(|| letters.next_if(|(_, next)| *next != '}')).map(|(_, one)| one).collect();
                    if letters.next().is_none() {
                        return problem("a { is not closed; a brace itself is written {{".to_owned());
                    }
                    if let Err(message) = parts.place(&inside) {
                        return problem(message);
                    }
                }
                other => parts.letter(other),
            }
        }
        let Parts { before, number: Some((digits, behind)) } = parts else {
            let message = "the place of the number is missing; write {n}, or {n:06} to fill it up".to_owned();
            return Err(PatternProblem { character: text.chars().count() + 1, message });
        };
        Ok(Self { text: text.to_owned(), before, digits, behind })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the day of the save is part of it.
    #[must_use]
    pub fn needs_day(&self) -> bool {
        self.before.iter().chain(&self.behind).any(|part| !matches!(part, Part::Text(_)))
    }

    /// A number as it is written on that day.
    #[must_use]
    pub fn write(&self, number: Number, day: Date) -> String {
        let mut text = String::new();
        self.before.iter().for_each(|part| part.write(day, &mut text));
        // Writing to a text cannot fail.
        let _infallible = write!(text, "{:0width$}", number.0, width = self.digits);
        self.behind.iter().for_each(|part| part.write(day, &mut text));
        text
    }

    /// The number that a text of this pattern holds; `None` where it cannot be of this pattern.
    #[must_use]
    pub fn number_in(&self, text: &str) -> Option<Number> {
        let (mut rest, mut end) = (text, self.behind.as_slice());
        for part in &self.before {
            rest = part.strip_from_start(rest)?;
        }
        while let Some((part, earlier)) = end.split_last() {
            rest = part.strip_from_end(rest)?;
            end = earlier;
        }
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        rest.parse().ok().map(Number)
    }

    /// How many characters a text of this pattern has at least.
    #[must_use]
    pub fn length_min(&self) -> usize {
        self.before.iter().chain(&self.behind).map(Part::length).sum::<usize>() + self.digits.max(1)
    }
}

/// A pattern that is being read.
#[derive(Default)]
struct Parts {
    before: Vec<Part>,
    /// Digits of the number and what stands behind it, once it was found.
    number: Option<(usize, Vec<Part>)>,
}

impl Parts {
    fn current(&mut self) -> &mut Vec<Part> {
        match &mut self.number {
            Some((_, behind)) => behind,
            None => &mut self.before,
        }
    }

    fn letter(&mut self, letter: char) {
        let parts = self.current();
        if let Some(Part::Text(text)) = parts.last_mut() {
            text.push(letter);
        } else {
            parts.push(Part::Text(letter.to_string()));
        }
    }

    fn place(&mut self, inside: &str) -> Result<(), String> {
        let part = match inside {
            "yyyy" => Part::Year,
            "yy" => Part::ShortYear,
            "mm" => Part::Month,
            "dd" => Part::Day,
            _ => return self.number(inside),
        };
        self.current().push(part);
        Ok(())
    }

    fn number(&mut self, inside: &str) -> Result<(), String> {
        let filled = inside.strip_prefix("n:0").and_then(|width| width.parse::<usize>().ok());
        let digits = match (inside, filled) {
            ("n", _) => 0,
            (_, Some(digits)) if (1..=DIGITS_MAX).contains(&digits) => digits,
            (_, Some(digits)) => return Err(format!("{digits} digits; 1 to {DIGITS_MAX} are possible")),
            _ => return Err(format!("{{{inside}}} means nothing; possible are {PLACES}")),
        };
        if self.number.is_some() {
            return Err("the number stands twice".to_owned());
        }
        self.number = Some((digits, Vec::new()));
        Ok(())
    }
}

impl Part {
    fn length(&self) -> usize {
        match self {
            Self::Text(text) => text.chars().count(),
            Self::Year => 4,
            Self::ShortYear | Self::Month | Self::Day => 2,
        }
    }

    fn write(&self, day: Date, out: &mut String) {
        let (year, month, day) = day.year_month_day();
        // Writing to a text cannot fail.
        let _infallible = match self {
            Self::Text(text) => out.write_str(text),
            Self::Year => write!(out, "{year:04}"),
            Self::ShortYear => write!(out, "{:02}", year % 100),
            Self::Month => write!(out, "{month:02}"),
            Self::Day => write!(out, "{day:02}"),
        };
    }

    fn strip_from_start<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Text(own) => text.strip_prefix(own.as_str()),
            _ => text.split_at_checked(self.length()).filter(|(part, _)| is_digits(part)).map(|(_, rest)| rest),
        }
    }

    fn strip_from_end<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Text(own) => text.strip_suffix(own.as_str()),
            _ => {
                let cut = text.len().checked_sub(self.length())?;
                text.split_at_checked(cut).filter(|(_, part)| is_digits(part)).map(|(rest, _)| rest)
            }
        }
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day() -> Date {
        Date::new(2026, 3, 9).unwrap()
    }

    #[test]
    fn numbers_are_written_by_patterns() {
        let check = |pattern: &str, number: i64, expected: &str| {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.write(Number(number), day()), expected, "{pattern}");
            assert_eq!(parsed.number_in(expected), Some(Number(number)), "{pattern}");
            assert!(expected.chars().count() >= parsed.length_min(), "{pattern}");
        };
        check("{n}", 7, "7");
        check("{n}", -7, "-7");
        check("R-{yyyy}-{n:06}", 113, "R-2026-000113");
        check("R-{yyyy}-{n:06}", 1_234_567, "R-2026-1234567");
        check("{yy}{mm}{dd}{n:03}", 5, "260309005");
        check("{n:03}{yyyy}", 5, "0052026");
        check("{{{n}}}", 5, "{5}");
        check("№ {n:018} ä", 5, "№ 000000000000000005 ä");
        check("{n:04}", -5, "-005");
    }

    #[test]
    fn what_is_no_pattern_says_where() {
        let check = |pattern: &str, character: usize, message: &str| {
            let problem = Pattern::parse(pattern).unwrap_err();
            assert_eq!(problem.character, character, "{pattern}: {problem}");
            assert!(problem.message.contains(message), "{pattern}: {problem}");
        };
        check("", 1, "is missing");
        check("R-{yyyy}", 9, "is missing");
        check("R-{n", 3, "is not closed");
        check("R-{n}}", 6, "ends nothing");
        check("äR-{N}", 4, "{N} means nothing");
        check("{n:6}", 1, "{n:6} means nothing");
        check("{n:00}", 1, "0 digits");
        check("{n:019}", 1, "19 digits");
        check("{n}-{n:02}", 5, "twice");
        check("{}", 1, "{} means nothing");
        check("{n}{", 4, "is not closed");
    }

    #[test]
    fn foreign_texts_hold_no_number() {
        let pattern = Pattern::parse("R-{yyyy}-{n:06}").unwrap();
        for text in ["", "R-2026-", "R-2026-x", "R-20x6-000001", "Q-2026-000001", "R-2026-+00001", "R-2026-0000é1"] {
            assert_eq!(pattern.number_in(text), None, "{text}");
        }
        assert_eq!(pattern.number_in("R-2025-1"), Some(Number(1)));
    }

    proptest! {
        #[test]
        fn a_pattern_finds_its_own_numbers(
            pattern in "[a-zäß{}]{0,3}(\\{yyyy\\}|\\{yy\\}|\\{\\{|)\\{n(:0[1-9])?\\}(\\{mm\\}|\\{dd\\}|x|)",
            number in any::<i64>(),
        ) {
            if let Ok(parsed) = Pattern::parse(&pattern) {
                let text = parsed.write(Number(number), day());
                prop_assert_eq!(parsed.number_in(&text), Some(Number(number)), "{}", text);
            }
        }

        #[test]
        fn any_text_is_read_without_harm(pattern in ".{0,20}", text in ".{0,20}") {
            if let Ok(parsed) = Pattern::parse(&pattern) {
                let _number = parsed.number_in(&text);
            }
        }
    }
}
