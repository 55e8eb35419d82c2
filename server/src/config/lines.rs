//! The form of the file: which line is a comment, a section or a setting, and which line is none of these.
//!
//! The ini reader would join a line without `=`, or one that ends in a backslash, to the next one in silence. So lines
//! are told apart here first, and the reader gets one setting at a time. Knows no key and no meaning.

use ini::{Ini, ParseOption};

/// Longer lines are refused before anything looks into them.
const LINE_BYTES_MAX: usize = 8192;

/// One setting as it stands in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// From 1.
    pub(super) line: u32,
    /// The section as written, without brackets.
    pub(super) section: String,
    /// The key as written.
    pub(super) key: String,
    /// The value word for word, without the white space around it.
    pub(super) value: String,
}

/// A line that has none of the allowed forms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FormError {
    /// From 1.
    pub(super) line: u32,
    /// The line as written.
    pub(super) text: String,
    /// What is wrong with it.
    pub(super) message: &'static str,
}

/// Everything that the file says, in its order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Lines {
    /// Section headers with their lines; a repeated one stands here twice.
    pub(super) sections: Vec<(u32, String)>,
    /// The settings.
    pub(super) entries: Vec<Entry>,
    /// What is neither.
    pub(super) form_errors: Vec<FormError>,
}

/// What one line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape<'a> {
    /// Nothing, or a comment.
    Silent,
    /// A section header; the name without brackets and white space.
    Section(&'a str),
    /// A setting; the key without white space. The value is read by the ini reader.
    Setting(&'a str),
    /// None of these, and why.
    Wrong(&'static str),
}

/// Reads a whole text. Never fails: what is wrong stands in the result.
pub(super) fn read(text: &str) -> Lines {
    let mut lines = Lines::default();
    let mut section: Option<String> = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, raw) in (1u32..).zip(text.split('\n')) {
        let line = raw.strip_suffix('\r').unwrap_or(raw);
        let wrong = |message| FormError { line: number, text: line.to_owned(), message };
        match shape(line) {
            Shape::Silent => {}
            Shape::Section(name) => {
                lines.sections.push((number, name.to_owned()));
                section = Some(name.to_owned());
            }
            Shape::Setting(key) => match (&section, value(line)) {
                (Some(section), Some(value)) => {
                    let (section, key) = (section.clone(), key.to_owned());
                    lines.entries.push(Entry { line: number, section, key, value });
                }
                (None, _) => lines.form_errors.push(wrong("stands before the first [section]")),
                (_, None) => lines.form_errors.push(wrong("cannot be read as key = value")),
            },
            Shape::Wrong(message) => lines.form_errors.push(wrong(message)),
        }
    }
    lines
}

/// Tells what a line is, given without its line end.
pub(super) fn shape(line: &str) -> Shape<'_> {
    let inner = line.trim();
    if line.len() > LINE_BYTES_MAX {
        return Shape::Wrong("is longer than 8192 bytes");
    }
    if inner.is_empty() || inner.starts_with("--") || inner.starts_with([';', '#']) {
        return Shape::Silent;
    }
    if line.chars().any(|character| character.is_control() && character != '\t') {
        return Shape::Wrong("holds a control character");
    }
    if let Some(rest) = inner.strip_prefix('[') {
        return match rest.strip_suffix(']').map(str::trim) {
            Some(name) if is_name(name) => Shape::Section(name),
            Some(_) => Shape::Wrong("names no section: letters, digits, `.`, `_` and `-` are allowed between [ and ]"),
            None => Shape::Wrong("begins with [ but does not end with ]; comments have lines of their own"),
        };
    }
    match inner.split_once('=').map(|(key, _)| key.trim_end()) {
        Some(key) if is_name(key) => Shape::Setting(key),
        Some(_) => Shape::Wrong("has a key with other characters than letters, digits, `.`, `_` and `-`"),
        None => Shape::Wrong("is neither `key = value`, nor [section], nor a comment (`--`, `;` or `#` at its start)"),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// The value of a line that [`shape`] found to be a setting.
fn value(line: &str) -> Option<String> {
    let word_for_word = ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
    let ini = Ini::load_from_str_opt(line.trim(), word_for_word).ok()?;
    let mut settings = ini.general_section().iter();
    match (settings.next(), settings.next()) {
        (Some((_, value)), None) => Some(value.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let check = |line: &str, expected: Shape<'_>| assert_eq!(shape(line), expected, "{line:?}");
        check("", Shape::Silent);
        check("  ", Shape::Silent);
        check("-- port = 1", Shape::Silent);
        check(";port = 1", Shape::Silent);
        check("  # [DBMan]", Shape::Silent);
        check("[DBMan]", Shape::Section("DBMan"));
        check(" [ Mailer.backup ] ", Shape::Section("Mailer.backup"));
        check("port=1", Shape::Setting("port"));
        check("  port  = a = b", Shape::Setting("port"));
        for wrong in
            ["port", "port: 1", "[DBMan", "[DBMan] ; x", "[]", "[a b]", "= 1", "po rt = 1", "a = \u{1b}", "a:b = 1"]
        {
            assert!(matches!(shape(wrong), Shape::Wrong(_)), "{wrong:?}");
        }
        assert!(matches!(shape(&format!("a = {}", "x".repeat(LINE_BYTES_MAX))), Shape::Wrong(_)));
    }

    #[test]
    fn values_are_taken_word_for_word() {
        let check = |written: &str, expected: &str| {
            let lines = read(&format!("[S]\r\nk = {written}\r\nnext = 1\r\n"));
            let values: Vec<_> = lines.entries.iter().map(|entry| entry.value.as_str()).collect();
            assert_eq!((values, lines.form_errors), (vec![expected, "1"], vec![]), "{written:?}");
        };
        check("plain", "plain");
        check("", "");
        check("  spaces inside  ", "spaces inside");
        check(r"C:\new\dir\", r"C:\new\dir\");
        check("\"quoted\"", "\"quoted\"");
        check("'one", "'one");
        check("a ; b # c -- d", "a ; b # c -- d");
        check("; at the front", "; at the front");
        check("=", "=");
        check("a = b : c", "a = b : c");
        check("Größe", "Größe");
        check("[x]", "[x]");
    }

    #[test]
    fn a_bad_line_harms_no_other() {
        let lines = read("\u{feff}early = 1\n[S]\nlost\nkept = 2\n");
        assert_eq!(lines.entries, [Entry { line: 4, section: "S".into(), key: "kept".into(), value: "2".into() }]);
        let places: Vec<_> = lines.form_errors.iter().map(|wrong| wrong.line).collect();
        assert_eq!(places, [1, 3]);
    }

    proptest! {
        /// Whatever the text, each line is accounted for, and a value is exactly what stands behind its first `=`.
        #[test]
        fn hostile_text(pieces in prop::collection::vec("[ \\t\\r=:;#\"'\\\\\\[\\]a-c.-]{0,12}|\\PC{0,6}|\\x00", 0..30)) {
            let text = format!("[S]\n{}", pieces.join("\n"));
            let lines = read(&text);
            let of_line = |number: u32| text.split('\n').nth(number as usize - 1).unwrap().to_owned();
            for entry in &lines.entries {
                let whole = of_line(entry.line);
                prop_assert_eq!(entry.value.as_str(), whole.split_once('=').unwrap().1.trim());
            }
            let silent = text.split('\n').filter(|line| shape(line.strip_suffix('\r').unwrap_or(line)) == Shape::Silent).count();
            let told = lines.sections.len() + lines.entries.len() + lines.form_errors.len();
            prop_assert_eq!(told + silent, text.split('\n').count());
        }
    }
}
