//! Whether a text is JSON (RFC 8259). It is kept as it was written, so nothing is made of it here.

use winnow::ascii::digit1;
use winnow::combinator::{alt, delimited, opt, preceded, repeat};
use winnow::error::{ContextError, ErrMode};
use winnow::prelude::*;
use winnow::token::{none_of, one_of, take_while};

/// Lists and objects within each other at most, so that no reader of it runs out of stack.
pub const DEPTH_MAX: usize = 64;

/// The byte at which a text ceases to be JSON, from 0.
///
/// # Errors
/// Where the text is no JSON, or nested more deeply than [`DEPTH_MAX`].
pub fn check(text: &str) -> Result<(), usize> {
    let mut rest = text;
    match document(&mut rest) {
        Ok(()) if rest.is_empty() => Ok(()),
        _ => Err(text.len() - rest.len()),
    }
}

type Failed = ErrMode<ContextError>;

fn document(input: &mut &str) -> Result<(), Failed> {
    blank(input)?;
    value(input, DEPTH_MAX)?;
    blank(input)
}

fn blank(input: &mut &str) -> Result<(), Failed> {
    take_while(0.., [' ', '\t', '\n', '\r']).void().parse_next(input)
}

fn value(input: &mut &str, depth: usize) -> Result<(), Failed> {
    match (input.as_bytes().first(), depth.checked_sub(1)) {
        (Some(b'{'), Some(depth)) => listed(input, '{', '}', &|input| {
            string(input)?;
            (blank, ':', blank).void().parse_next(input)?;
            value(input, depth)
        }),
        (Some(b'['), Some(depth)) => listed(input, '[', ']', &|input| value(input, depth)),
        (Some(b'"'), _) => string(input),
        (Some(b'-' | b'0'..=b'9'), _) => number(input),
        _ => alt(("true", "false", "null")).void().parse_next(input),
    }
}

/// Things with commas between them. None of the library's lists, since these go back to their beginning where an element
/// is wrong, and the place would be lost.
fn listed(
    input: &mut &str,
    open: char,
    close: char,
    element: &dyn Fn(&mut &str) -> Result<(), Failed>,
) -> Result<(), Failed> {
    (open, blank).void().parse_next(input)?;
    if opt(close).parse_next(input)?.is_some() {
        return Ok(());
    }
    loop {
        element(input)?;
        blank(input)?;
        if opt(close).parse_next(input)?.is_some() {
            return Ok(());
        }
        (',', blank).void().parse_next(input)?;
    }
}

fn string(input: &mut &str) -> Result<(), Failed> {
    let hex = |c: char| c.is_ascii_hexdigit();
    let escape = alt((one_of(['"', '\\', '/', 'b', 'f', 'n', 'r', 't']).void(), ('u', take_while(4..=4, hex)).void()));
    let part = alt((none_of(|c: char| c == '"' || c == '\\' || c < ' ').void(), preceded('\\', escape)));
    delimited('"', repeat::<_, _, (), _, _>(0.., part), '"').parse_next(input)
}

fn number(input: &mut &str) -> Result<(), Failed> {
    let whole = alt(("0".void(), (one_of('1'..='9'), take_while(0.., '0'..='9')).void()));
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    (opt('-'), whole, opt(('.', digit1)), opt(exponent)).void().parse_next(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_and_what_is_not() {
        let sound = [
            "null",
            " true ",
            "-0",
            "0.10e+5",
            "\"\"",
            "\"\\u00e4\\n ß\"",
            "[]",
            "[ ]",
            "{ }",
            "[1, [2,{}] ]\n",
            "{\"a\" : 1 ,\"a\":[{}]}",
            "1e400",
        ];
        for text in sound {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        let unsound = [
            "",
            " ",
            "nul",
            "True",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "NaN",
            "'a'",
            "\"a",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12\"",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{a:1}",
            "{\"a\"}",
            "{\"a\":1,}",
            "[1",
            "{",
            "1 2",
            "[]]",
            "\u{feff}1",
        ];
        for text in unsound {
            assert!(check(text).is_err(), "{text}");
        }
        assert_eq!(check("{\"a\": tru}"), Err(6));
    }

    #[test]
    fn its_depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(check(&nested(DEPTH_MAX)), Ok(()));
        assert!(check(&nested(DEPTH_MAX + 1)).is_err());
        assert!(check(&"[".repeat(1_000_000)).is_err());
        assert!(check(&"{\"a\":".repeat(1_000_000)).is_err());
    }
}
