//! Failures on their way out: one document for programs, a few lines for people, a status for shells.

use mytism_core::failure::Failure;
use mytism_core::query::render_caret;
use serde_json::{Value as Json, json};

use crate::output::harmless;
use crate::program;

/// A failure with the text that its place is in.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// What is wrong.
    pub(crate) failure: Failure,
    /// The user's text, where the failure has a place in it.
    pub(crate) text: Option<String>,
}

impl Trouble {
    /// A failure about a place in a text that the user gave.
    pub(crate) fn within(failure: Failure, text: &str) -> Self {
        Self { failure, text: Some(text.to_owned()) }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self { failure, text: None }
    }
}

/// Hints come from many places, also from nodes, which cannot know what the program is called here; they all write this.
const PROGRAM: &str = "`./mytism ";

/// A hint with the program called as the user called it.
fn as_called(hint: &str, program: &str) -> String {
    hint.replace(PROGRAM, &format!("`{program} "))
}

/// For programs.
pub(crate) fn document(failure: &Failure) -> Json {
    let hint = as_called(&failure.hint, &program());
    let hint = if hint.is_empty() { Json::Null } else { Json::from(hint) };
    let at = failure.at.map_or(Json::Null, |place| json!({"line": place.line, "column": place.column}));
    json!({"error": {"code": failure.code, "message": failure.message, "hint": hint, "at": at}})
}

/// For people: what is wrong, the place in their text, what to do.
pub(crate) fn lines(trouble: &Trouble, colour: bool) -> String {
    let failure = &trouble.failure;
    let label = format!("error[{}]", harmless(&failure.code));
    let label = if colour { format!("\u{1b}[1;31m{label}\u{1b}[0m") } else { label };
    // Some messages list several problems, one a line.
    let mut message = failure.message.lines().map(harmless);
    let mut text = format!("{label}: {}\n", message.next().unwrap_or_default());
    message.for_each(|line| text.push_str(&format!("  {line}\n")));
    let caret = match (&trouble.text, failure.at) {
        (Some(given), Some(place)) => render_caret(given, place.line, place.column, 0),
        _ => String::new(),
    };
    let hint = as_called(&failure.hint, &program());
    let mut hints = hint.lines().map(harmless);
    if !caret.is_empty() {
        text.push_str(&caret);
        if let Some(first) = hints.next() {
            text.push(' ');
            text.push_str(&first);
        }
        text.push('\n');
    }
    for hint in hints {
        text.push_str("  ");
        text.push_str(&hint);
        text.push('\n');
    }
    text
}

/// A failure from what [`document`] made of it; `None` where it is none.
pub(crate) fn from_document(document: &Json, kind: mytism_core::failure::FailureKind) -> Option<Failure> {
    let error = document.get("error")?;
    let text = |name: &str| error.get(name).and_then(Json::as_str);
    let number = |name: &str| error.get("at")?.get(name)?.as_u64().and_then(|number| u32::try_from(number).ok());
    let failure = Failure::new(kind, text("code")?, text("message")?).hint(text("hint").unwrap_or_default());
    match (number("line"), number("column")) {
        (Some(line), Some(column)) => Some(failure.at(line, column)),
        _ => Some(failure),
    }
}

/// What this version cannot do, though later ones will.
pub(crate) fn not_in_this_version(what: &str) -> Failure {
    Failure::usage("not-in-this-version", format!("this version has no {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mytism_core::failure::FailureKind;

    #[test]
    fn people_see_the_place() {
        let check = |trouble: &Trouble, expected: &str| assert_eq!(lines(trouble, false), expected);
        let query = "from Customer a where a.Ctiy = \"Berlin\"";
        let unknown = Failure::usage("unknown-attribute", "Customer has no attribute \"Ctiy\"")
            .hint("did you mean \"City\"?")
            .at(1, 25);
        check(
            &Trouble::within(unknown.clone(), query),
            "error[unknown-attribute]: Customer has no attribute \"Ctiy\"\n  \
             from Customer a where a.Ctiy = \"Berlin\"\n                          ^^^^ did you mean \"City\"?\n",
        );
        check(
            &unknown.into(),
            "error[unknown-attribute]: Customer has no attribute \"Ctiy\"\n  did you mean \"City\"?\n",
        );
        check(&Failure::failed("x", "m").hint("a\nb").into(), "error[x]: m\n  a\n  b\n");
        check(&Failure::failed("x", "a\u{1b}[0m").into(), "error[x]: a·[0m\n");
        check(&Failure::failed("x", "one\ntwo").into(), "error[x]: one\n  two\n");
    }

    #[test]
    fn hints_call_the_program_as_the_user_does() {
        let check = |hint: &str, expected: &str| assert_eq!(as_called(hint, "./shop"), expected);
        check("start it with `./mytism start`", "start it with `./shop start`");
        check("`./mytism a` or `./mytism b`", "`./shop a` or `./shop b`");
        check("mytism.ini", "mytism.ini");
    }

    #[test]
    fn programs_get_one_document_and_it_reads_back() {
        let check = |failure: Failure, expected: &str| {
            let document = document(&failure);
            assert_eq!(document.to_string(), expected);
            assert_eq!(from_document(&document, failure.kind), Some(failure));
        };
        check(
            Failure::usage("unknown-attribute", "m").hint("h").at(1, 17),
            r#"{"error":{"code":"unknown-attribute","message":"m","hint":"h","at":{"line":1,"column":17}}}"#,
        );
        check(Failure::failed("c", "m"), r#"{"error":{"code":"c","message":"m","hint":null,"at":null}}"#);
        assert_eq!(from_document(&json!({"pid": 1}), FailureKind::Failed), None);
    }
}
