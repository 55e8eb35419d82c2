//! What a command left behind when it ended.

use std::fmt;

use serde_json::Value as Json;

/// What a command printed, and how it ended.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    /// The call, for messages.
    pub call: String,
    /// Its exit status; `None` where a signal ended it.
    pub status: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Fails unless the status is 0.
    #[must_use]
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.status, Some(0), "{self}");
        self
    }

    /// The one document on standard output.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Json {
        let documents = self.documents();
        assert_eq!(documents.len(), 1, "one document was expected: {self}");
        documents.into_iter().next().unwrap_or_default()
    }

    /// The documents on standard output, one a line.
    #[must_use]
    #[track_caller]
    pub fn documents(&self) -> Vec<Json> {
        self.stdout.lines().map(|line| self.parse(line)).collect()
    }

    /// The error document, which is all that may stand on standard error; fails unless it has the status and the code.
    #[must_use]
    #[track_caller]
    pub fn error(&self, status: i32, code: &str) -> Json {
        assert_eq!(self.status, Some(status), "{code}: {self}");
        assert_eq!(self.stderr.lines().count(), 1, "one line of standard error was expected: {self}");
        let mut document = self.parse(self.stderr.trim_end());
        let error = document["error"].take();
        assert_eq!(error["code"], code, "{self}");
        let names: Vec<&str> =
            error.as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str)).collect();
        assert_eq!(names, ["code", "message", "hint", "at"], "{self}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "no message: {self}");
        error
    }

    #[track_caller]
    fn parse(&self, line: &str) -> Json {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}\n{self}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ended with status {:?}", self.call, self.status)?;
        write!(f, "\n--- stdout\n{}\n--- stderr\n{}", shortened(&self.stdout), shortened(&self.stderr))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Listings of thousands of rows would hide what matters.
fn shortened(text: &str) -> String {
    const CHARACTERS: usize = 4000;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{} … ({} bytes)", &text[..end], text.len()),
        None => text.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(status: i32, stdout: &str, stderr: &str) -> Output {
        Output { call: "mytism x".into(), status: Some(status), stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn documents_are_read_line_by_line() {
        assert_eq!(output(0, "{\"a\":1}\n[]\n", "").documents().len(), 2);
        assert_eq!(output(0, "{\"a\":1}\n", "").json()["a"], 1);
        let error = "{\"error\":{\"code\":\"no-project\",\"message\":\"m\",\"hint\":null,\"at\":null}}\n";
        assert_eq!(output(1, "", error).error(1, "no-project")["message"], "m");
    }

    #[test]
    #[should_panic(expected = "one document was expected")]
    fn two_documents_are_not_one() {
        let _two = output(0, "1\n2\n", "").json();
    }

    #[test]
    #[should_panic(expected = "ended with status Some(2)")]
    fn another_status_fails() {
        let _error = output(2, "", "{}").error(1, "no-project");
    }

    #[test]
    fn long_output_is_cut() {
        assert_eq!(shortened(" a\n"), " a");
        assert!(shortened(&"ä".repeat(5000)).ends_with("… (10000 bytes)"));
    }
}
