//! The one form in which a refusal reaches a person or a program: a code that never changes its meaning, a message
//! that says what and where, a hint that says what to do, and a status for shells.

use std::fmt;

/// What kind of failure it is; decides the exit status of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureKind {
    /// It went wrong: disk, port, project in use. Status 1.
    Failed,
    /// It was asked for wrongly: syntax, unknown names. Status 2.
    Usage,
    /// It was refused: rights, conflict, constraint, wrong identity. Status 3.
    Refused,
    /// The node or peer cannot be reached, or speaks another version. Status 4.
    Unreachable,
}

impl FailureKind {
    /// The exit status of a command that ends with it.
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
        }
    }
}

/// A place in a text that the user gave. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// A refusal or failure in words, ready to be shown.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// A kebab-case word, documented and never reused.
    pub code: String,
    /// What and where.
    pub message: String,
    /// What to do; empty where there is nothing to say.
    pub hint: String,
    /// Where in the user's text.
    pub at: Option<Place>,
}

impl Failure {
    /// A failure with a code and a message.
    #[must_use]
    pub fn new(kind: FailureKind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), message: message.into(), hint: String::new(), at: None }
    }

    /// Something went wrong.
    #[must_use]
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Failed, code, message)
    }

    /// Something was asked for wrongly.
    #[must_use]
    pub fn usage(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Usage, code, message)
    }

    /// Something was refused.
    #[must_use]
    pub fn refused(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Refused, code, message)
    }

    /// A node cannot be reached.
    #[must_use]
    pub fn unreachable(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unreachable, code, message)
    }

    /// With words on what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// With the place in the user's text.
    #[must_use]
    pub const fn at(mut self, line: u32, column: u32) -> Self {
        self.at = Some(Place { line, column });
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The most characters of a message that repeats what somebody gave.
const MESSAGE_CHARS_MAX: usize = 500;

/// A message in which something of any length may stand, cut to what somebody would read.
pub(crate) fn readable(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
        message.truncate(end);
        message.push('…');
    }
    message
}

/// The longest text, in characters, that is compared with names; the distance of two long texts is dear.
const COMPARED_CHARS_MAX: usize = 200;

/// "did you mean …?" for a name that is not there: the nearest of the candidates, if one is near.
#[must_use]
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.chars().nth(COMPARED_CHARS_MAX).is_some() {
        return None;
    }
    let folded = wanted.to_lowercase();
    let (length, far) = (folded.chars().count(), wanted.chars().count().div_ceil(3).max(1));
    candidates
        .into_iter()
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| (candidate.to_lowercase(), candidate))
        .filter(|(lower, _)| lower.chars().count().abs_diff(length) <= far)
        .map(|(lower, candidate)| (strsim::damerau_levenshtein(&folded, &lower), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names_are_near() {
        let names = ["City", "Country", "CompanyName"];
        let check = |wanted: &str, expected: Option<&str>| assert_eq!(nearest(wanted, names), expected, "{wanted}");
        check("Ctiy", Some("City"));
        check("city", Some("City"));
        check("CompanyNames", Some("CompanyName"));
        check("Freight", None);
        check("", None);
        assert_eq!(nearest("a", ["", "b"]), Some("b"));
        check(&"City".repeat(1 << 20), None);
    }
}
