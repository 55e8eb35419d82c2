//! Refusals of a query, each with the place in its text. Knows the text and nothing of its meaning.

use crate::failure::{Failure, readable};

/// Why a query is refused, and where. Nothing has run when it is raised.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// A kebab-case word: `syntax-error`, `unknown-entity`, `unknown-attribute`, `unknown-function`, `to-many-path`,
    /// `type-mismatch`, `missing-parameter`, `unknown-parameter`, `misplaced-aggregate`, `not-grouped`,
    /// `duplicate-name`, `no-time` or `query-too-large`.
    pub code: &'static str,
    /// One sentence without the place.
    pub message: String,
    /// What to do; empty where there is nothing to say.
    pub hint: String,
    /// From 1; 0 where the refusal is about no place in the text, as with a parameter that the text does not use.
    pub line: u32,
    /// In characters, from 1; 0 as with `line`.
    pub column: u32,
    /// Characters of the word in question on that line, at least 1; 0 as with `line`.
    pub length: u32,
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let failure = Self::usage(error.code, error.message).hint(error.hint);
        if error.line == 0 { failure } else { failure.at(error.line, error.column) }
    }
}

/// A stretch of the text in bytes, on character borders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    /// From the start of this one to the end of a later one.
    pub(super) const fn to(self, later: Self) -> Self {
        Self { start: self.start, end: later.end }
    }
}

/// A refusal that still stands on bytes; becomes a [`QueryError`] once the text is at hand.
#[derive(Debug)]
pub(super) struct Problem {
    code: &'static str,
    message: String,
    hint: String,
    span: Option<Span>,
}

impl Problem {
    pub(super) fn new(code: &'static str, message: impl Into<String>, span: Span) -> Self {
        Self { code, message: message.into(), hint: String::new(), span: Some(span) }
    }

    pub(super) fn syntax(message: impl Into<String>, span: Span) -> Self {
        Self::new("syntax-error", message, span)
    }

    /// One that is about no place in the text.
    pub(super) fn elsewhere(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: String::new(), span: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// With `did you mean …?` where a name is near.
    pub(super) fn meant(self, near: Option<&str>) -> Self {
        match near {
            Some(near) => self.hint(format!("did you mean \"{near}\"?")),
            None => self,
        }
    }

    pub(super) fn at(self, text: &str) -> QueryError {
        let (line, column, length) = self.span.map_or((0, 0, 0), |span| place(text, span));
        QueryError { code: self.code, message: readable(self.message), hint: self.hint, line, column, length }
    }
}

fn place(text: &str, span: Span) -> (u32, u32, u32) {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    let word = text.get(span.start..span.end).and_then(|word| word.lines().next()).unwrap_or_default();
    (count(line), count(column), count(word.chars().count()).max(1))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The line of `text` that a refusal is about, and under it a mark for the word: two lines without an end of line,
/// each indented by two blanks. `line` and `column` count from 1. With `length` 0 the mark is as long as the word that
/// begins there. Empty when the text has no such line.
///
/// Characters that a terminal might obey are shown as `·`; of a long line only the surroundings are shown.
#[must_use]
pub fn render_caret(text: &str, line: u32, column: u32, length: u32) -> String {
    const BEFORE: usize = 60;
    const SHOWN: usize = 110;
    let Some(shown) = (line as usize).checked_sub(1).and_then(|index| text.lines().nth(index)) else {
        return String::new();
    };
    let characters = shown.chars().count();
    let at = (column as usize).saturating_sub(1).min(characters);
    let length = if length == 0 { word_length(text, line, column) } else { length as usize };
    let first = if characters > SHOWN { at.saturating_sub(BEFORE) } else { 0 };
    let last = (first + SHOWN).min(characters);
    let part: String = shown.chars().map(harmless).skip(first).take(last - first).collect();
    let ahead = if first > 0 { "…" } else { "" };
    let behind = if last < characters { "…" } else { "" };
    let indent = " ".repeat(ahead.chars().count() + at - first);
    let mark = "^".repeat(length.clamp(1, (last - at).max(1)));
    format!("  {ahead}{part}{behind}\n  {indent}{mark}")
}

/// A tab is one character in the count of columns, so it is shown as one.
fn harmless(character: char) -> char {
    match character {
        '\t' => ' ',
        other if other.is_control() => '·',
        other => other,
    }
}

fn word_length(text: &str, line: u32, column: u32) -> usize {
    // Texts of other languages come here too, and may be far longer than any query.
    let query = Some(text).filter(|text| text.len() <= super::TEXT_MAX);
    let found = query.and_then(|text| super::lexer::tokens(text).ok()).and_then(|tokens| {
        let mut places = tokens.iter().map(|token| place(text, token.span));
        places.find(|(at_line, at_column, _)| (*at_line, *at_column) == (line, column))
    });
    found.map_or(1, |(_, _, length)| length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_in_characters() {
        let check = |text: &str, word: &str, expected: (u32, u32, u32)| {
            let start = text.find(word).unwrap();
            assert_eq!(place(text, Span { start, end: start + word.len() }), expected, "{text:?}");
        };
        check("from Ctiy", "Ctiy", (1, 6, 4));
        check("ä😀 x", "x", (1, 4, 1));
        check("from A\r\nwhere öx", "öx", (2, 7, 2));
        check("a\n\n\"b\nc\"", "\"b\nc\"", (3, 1, 2));
        assert_eq!(place("ab", Span { start: 2, end: 2 }), (1, 3, 1));
    }

    #[test]
    fn the_caret_stands_under_the_word() {
        let check = |text: &str, line: u32, column: u32, length: u32, expected: &str| {
            assert_eq!(render_caret(text, line, column, length), expected, "{text:?}");
        };
        let text = "from Customer a where a.Ctiy = \"Berlin\"";
        let expected = "  from Customer a where a.Ctiy = \"Berlin\"\n                          ^^^^";
        check(text, 1, 25, 4, expected);
        check(text, 1, 25, 0, expected);
        check("from A\n\twhere x", 2, 8, 1, "   where x\n         ^");
        check("a \u{1b}[31m b", 1, 3, 1, "  a ·[31m b\n    ^");
        check("from", 1, 5, 1, "  from\n      ^");
        check("from", 1, 99, 9, "  from\n      ^");
        check("", 1, 1, 1, "");
        check("from", 0, 0, 0, "");
        check("from", 7, 1, 1, "");
    }

    #[test]
    fn a_long_word_makes_no_long_message() {
        let text = format!("from `{}`", "x".repeat(60_000));
        let problem = Problem::new("unknown-entity", format!("there is no entity {text}"), Span { start: 5, end: 9 });
        assert_eq!(problem.at(&text).message.chars().count(), 501);
        assert!(render_caret(&"(".repeat(1 << 20), 1, 1 << 19, 0).ends_with('^'));
    }

    #[test]
    fn a_long_line_shows_its_surroundings() {
        let text = format!("{}HERE{}", "x".repeat(500), "y".repeat(500));
        let shown = render_caret(&text, 1, 501, 4);
        let (above, below) = shown.split_once('\n').unwrap();
        assert_eq!(above.chars().count(), 2 + 1 + 110 + 1);
        let at = below.chars().position(|character| character == '^').unwrap();
        assert_eq!(above.chars().skip(at).take(4).collect::<String>(), "HERE");
    }
}
