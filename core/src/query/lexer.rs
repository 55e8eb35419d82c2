//! From text to tokens. Knows how words, numbers and texts are written, and no word in particular.

use std::fmt;

use winnow::ascii::digit1;
use winnow::combinator::{alt, delimited, opt, peek, preceded, repeat, terminated};
use winnow::error::{ContextError, ErrMode};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::{any, literal, none_of, one_of, take_while};

use super::problem::{Problem, Span};

/// What a token is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum TokenKind {
    /// A word that may be a keyword or a name.
    Word(String),
    /// A name in backticks, never a keyword.
    Quoted(String),
    /// Digits as written, without a sign.
    Number(String),
    /// The content of a text.
    Text(String),
    /// The name behind a `$`.
    Parameter(String),
    /// One of the signs in [`SIGNS`].
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// A token and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

/// Longer signs before those that they begin with.
const SIGNS: [&str; 17] = ["!=", "<>", "<=", ">=", "||", "=", "<", ">", "(", ")", ",", ".", "*", "-", "+", "/", "%"];

impl fmt::Display for TokenKind {
    /// For "… is not expected here".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "\"{word}\""),
            Self::Quoted(name) => write!(f, "`{name}`"),
            Self::Number(digits) => f.write_str(digits),
            Self::Text(_) => f.write_str("a text"),
            Self::Parameter(name) => write!(f, "${name}"),
            Self::Sign(sign) => write!(f, "\"{sign}\""),
            Self::End => f.write_str("the end"),
        }
    }
}

type Input<'a> = LocatingSlice<&'a str>;
type Failed = ErrMode<ContextError>;

/// The tokens of a text; the last one is [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Problem> {
    let mut input = LocatingSlice::new(text);
    let mut found = Vec::new();
    loop {
        // Never fails: no blanks are blanks too.
        let _: Result<&str, Failed> = take_while(0.., char::is_whitespace).parse_next(&mut input);
        let start = input.current_token_start();
        if input.is_empty() {
            found.push(Token { kind: TokenKind::End, span: Span { start, end: start } });
            return Ok(found);
        }
        match token.parse_next(&mut input) {
            Ok(kind) => {
                let end = text.len() - input.len();
                found.push(Token { kind, span: Span { start, end } });
            }
            Err(_) => return Err(refusal(text, start)),
        }
    }
}

fn token(input: &mut Input<'_>) -> Result<TokenKind, Failed> {
    alt((
        name.map(|word| TokenKind::Word(word.to_owned())),
        number.map(|digits| TokenKind::Number(digits.to_owned())),
        alt((quoted('"'), quoted('\''))).map(TokenKind::Text),
        quoted('`').verify(|name: &String| !name.is_empty()).map(TokenKind::Quoted),
        preceded('$', name).map(|name| TokenKind::Parameter(name.to_owned())),
        sign.map(TokenKind::Sign),
    ))
    .parse_next(input)
}

fn name<'a>(input: &mut Input<'a>) -> Result<&'a str, Failed> {
    (one_of(begins_name), take_while(0.., continues_name)).take().parse_next(input)
}

fn begins_name(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

fn continues_name(character: char) -> bool {
    // Combining marks are no letters but parts of them.
    character.is_alphanumeric() || character == '_' || ('\u{300}'..='\u{36f}').contains(&character)
}

fn number<'a>(input: &mut Input<'a>) -> Result<&'a str, Failed> {
    let fraction = opt(('.', digit1));
    let exponent = opt((one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1));
    let end = alt((peek(none_of(continues_name)).void(), winnow::combinator::eof.void()));
    terminated((digit1, fraction, exponent).take(), end).parse_next(input)
}

/// A text between two marks; the mark itself is written twice.
fn quoted<'a>(mark: char) -> impl Parser<Input<'a>, String, Failed> {
    let plain = take_while(1.., move |character| character != mark);
    let doubled = preceded(mark, literal(mark));
    let content = repeat(0.., alt((plain, doubled))).fold(String::new, |mut text, part: &str| {
        text.push_str(part);
        text
    });
    delimited(mark, content, mark)
}

fn sign(input: &mut Input<'_>) -> Result<&'static str, Failed> {
    for sign in SIGNS {
        if opt(literal::<_, _, Failed>(sign)).parse_next(input)?.is_some() {
            return Ok(sign);
        }
    }
    any::<_, Failed>.verify(|_| false).value("").parse_next(input)
}

/// Why no token begins at `start`.
fn refusal(text: &str, start: usize) -> Problem {
    let rest = text.get(start..).unwrap_or_default();
    let first = rest.chars().next().unwrap_or_default();
    let span = |length: usize| Span { start, end: start + length };
    let word = rest.find(|c: char| !continues_name(c) && c != '.').unwrap_or(rest.len());
    match first {
        '"' | '\'' => {
            let hint = format!("close it with {first}; inside of it, the mark itself is written twice");
            Problem::syntax("this text is not closed", span(rest.len())).hint(hint)
        }
        '`' => Problem::syntax("this name is empty or not closed", span(rest.len())).hint("close it with `"),
        '$' => Problem::syntax("a parameter has no name", span(1)).hint("write it like $city"),
        '0'..='9' => Problem::syntax(format!("{} is no number", &rest.get(..word).unwrap_or_default()), span(word))
            .hint("write a number like 5, 19.99 or 1e3, and texts in quotation marks"),
        '“' | '”' | '„' | '‘' | '’' => {
            let problem = Problem::syntax(format!("{first} does not begin a text"), span(first.len_utf8()));
            problem.hint("texts stand in straight marks: \"Berlin\" or 'Berlin'")
        }
        ';' => Problem::syntax("\";\" is not expected here", span(1)).hint("a query ends without a mark"),
        _ => Problem::syntax(format!("the character {first:?} is not expected here"), span(first.len_utf8())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fall_into_tokens() {
        let check = |text: &str, expected: &[&str]| {
            let shown = match tokens(text) {
                Ok(tokens) => tokens.iter().map(|token| format!("{:?}", token.kind)).collect::<Vec<_>>(),
                Err(problem) => vec![problem.at(text).message],
            };
            assert_eq!(shown, expected, "{text:?}");
        };
        check("", &["End"]);
        check("a.Straße_2", &["Word(\"a\")", "Sign(\".\")", "Word(\"Straße_2\")", "End"]);
        check("x<>1.5e-3", &["Word(\"x\")", "Sign(\"<>\")", "Number(\"1.5e-3\")", "End"]);
        check("5.", &["Number(\"5\")", "Sign(\".\")", "End"]);
        check("5abc", &["5abc is no number"]);
        check("'it''s' \"\"", &["Text(\"it's\")", "Text(\"\")", "End"]);
        check("\"a\nb\"", &["Text(\"a\\nb\")", "End"]);
        check("`my name`", &["Quoted(\"my name\")", "End"]);
        check("``", &["this name is empty or not closed"]);
        check("$city", &["Parameter(\"city\")", "End"]);
        check("$ city", &["a parameter has no name"]);
        check("'open", &["this text is not closed"]);
        check("a # b", &["the character '#' is not expected here"]);
        check("a\0", &["the character '\\0' is not expected here"]);
        check("„x“", &["„ does not begin a text"]);
    }

    #[test]
    fn spans_stand_on_the_words() {
        let text = "ä 'ö''' >= 12";
        let words: Vec<&str> =
            tokens(text).unwrap().iter().map(|token| &text[token.span.start..token.span.end]).collect();
        assert_eq!(words, ["ä", "'ö'''", ">=", "12", ""]);
    }
}
