//! What can be wrong with a configuration, in words that name file, line, key, value and what was expected.
//!
//! Knows no key and no rule. Values of secret keys never get in here.

use std::fmt;

use mytism_core::failure::Failure;

/// Whether the node can start all the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The node starts; somebody should know.
    Warning,
    /// The node must not start.
    Error,
}

/// Where a setting was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A file; the line counts from 1 and is absent where the whole file is meant.
    File {
        /// The file's name as the user would write it.
        name: String,
        /// The line.
        line: Option<u32>,
    },
    /// An environment variable, by its name.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line: Some(line) } => write!(f, "{name} line {line}"),
            Self::File { name, line: None } => f.write_str(name),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
        }
    }
}

/// One finding. Its `Display` is the whole sentence for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigProblem {
    /// Error or warning.
    pub severity: Severity,
    /// A kebab-case word that never changes its meaning.
    pub code: &'static str,
    /// Where it stands.
    pub origin: Origin,
    /// The section as written; empty where no section is concerned.
    pub section: String,
    /// The key as written; empty where no key is concerned.
    pub key: String,
    /// The value as written, cut to a readable length; absent for secrets and where there is none.
    pub value: Option<String>,
    /// What is wrong or was expected.
    pub message: String,
    /// What to do; empty where there is nothing to say.
    pub hint: String,
}

/// Longer values are cut in messages.
const VALUE_CHARS_SHOWN: usize = 60;

impl ConfigProblem {
    /// An error.
    #[must_use]
    pub fn error(code: &'static str, origin: Origin, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            origin,
            section: String::new(),
            key: String::new(),
            value: None,
            message: message.into(),
            hint: String::new(),
        }
    }

    /// A warning.
    #[must_use]
    pub fn warning(code: &'static str, origin: Origin, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, origin, message) }
    }

    /// About a section, or about a key of it where `key` is not empty.
    #[must_use]
    pub fn about(mut self, section: &str, key: &str) -> Self {
        self.section = shorten(section);
        self.key = shorten(key);
        self
    }

    /// With the value that was found. Not to be called with secrets.
    #[must_use]
    pub fn value(mut self, value: &str) -> Self {
        self.value = Some(shorten(value));
        self
    }

    /// With words on what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// Whether the node must not start.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The line in the file, where there is one.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        match &self.origin {
            Origin::File { line, .. } => *line,
            Origin::Environment(_) => None,
        }
    }
}

/// Cuts what a message repeats from the file, and shows control characters in place of sending them to a terminal.
fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(VALUE_CHARS_SHOWN).flat_map(visible).collect();
    if text.chars().nth(VALUE_CHARS_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

fn visible(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        match (self.section.is_empty(), self.key.is_empty()) {
            (true, true) => {}
            (true, false) => write!(f, "{}", self.key)?,
            (false, true) => write!(f, "[{}]", self.section)?,
            (false, false) => write!(f, "[{}] {}", self.section, self.key)?,
        }
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if !self.section.is_empty() || !self.key.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

impl From<&ConfigProblem> for Failure {
    fn from(problem: &ConfigProblem) -> Self {
        let hint = problem.hint.clone();
        let whole = ConfigProblem { hint: String::new(), ..problem.clone() }.to_string();
        let failure = Self::failed(problem.code, whole).hint(hint);
        match problem.line() {
            Some(line) => failure.at(line, 1),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let at = |line| Origin::File { name: "mytism.ini".into(), line };
        let check = |problem: &ConfigProblem, expected: &str| assert_eq!(problem.to_string(), expected);
        check(
            &ConfigProblem::error("c", at(Some(3)), "expected a port").about("Log", "port").value("x").hint("try 1"),
            "mytism.ini line 3: [Log] port = x: expected a port; try 1",
        );
        check(&ConfigProblem::warning("c", at(None), "cannot be read"), "mytism.ini: cannot be read");
        check(
            &ConfigProblem::error("c", Origin::Environment("MYTISM_A_B".into()), "no").about("A", "B"),
            "environment variable MYTISM_A_B: [A] B: no",
        );
    }

    #[test]
    fn values_are_cut_and_harmless() {
        let long = "ä".repeat(VALUE_CHARS_SHOWN + 1);
        let shown = ConfigProblem::error("c", Origin::Environment("V".into()), "m").about("S", "k").value(&long);
        assert_eq!(shown.value.map(|value| value.chars().count()), Some(VALUE_CHARS_SHOWN + 1));
        assert_eq!(shorten("a\u{1b}[2J"), "a\\u{1b}[2J");
    }

    #[test]
    fn becomes_a_failure_with_its_place() {
        let problem =
            ConfigProblem::error("config-value", Origin::File { name: "f".into(), line: Some(7) }, "m").hint("h");
        let failure = Failure::from(&problem);
        assert_eq!((failure.code.as_str(), failure.message.as_str()), ("config-value", "f line 7: m"));
        assert_eq!((failure.hint.as_str(), failure.at.map(|place| place.line)), ("h", Some(7)));
    }
}
