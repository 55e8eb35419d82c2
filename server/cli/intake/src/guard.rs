//! The guard against formulas: spreadsheets take a text that begins with `=`, `+`, `-`, `@`, a tab or a return for a
//! formula and run it. An apostrophe before it makes it a text, and is taken off again when the file is read.

use std::borrow::Cow;

/// The text with an apostrophe before it, where it would be taken for a formula, or for a guarded one.
#[must_use]
pub fn guarded(text: &str) -> Cow<'_, str> {
    if is_formula(text.trim_start_matches('\'')) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The text that was guarded.
#[must_use]
pub fn bare(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| is_formula(rest.trim_start_matches('\''))).unwrap_or(text)
}

fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_guarded_and_laid_bare() {
        let check = |text: &str, expected: &str| {
            assert_eq!(guarded(text), expected);
            assert_eq!(bare(expected), text);
        };
        check("=1+1", "'=1+1");
        check("'=1+1", "''=1+1");
        check("''@x", "'''@x");
        check("\tx", "'\tx");
        check("\r", "'\r");
        check("-5", "'-5");
        check("+49 30", "'+49 30");
        check("'tis", "'tis");
        check("a=b", "a=b");
        check("'", "'");
        check("", "");
    }
}
