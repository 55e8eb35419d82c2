//! Words that must not be in any file: places of one machine, and notes that something is unfinished.

use super::assert_none;
use super::tree::{Source, sources};

/// Put together, so that this file does not hold them itself.
const PLACES: &[&str] = &[concat!("/wo", "rk"), concat!("/ro", "ot"), concat!("/fa", "rm")];
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];

/// Whether the line holds the word on its own, not as a part of another one.
fn holds(line: &str, word: &str, may_precede: fn(char) -> bool) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        before.is_none_or(may_precede)
            && (word.ends_with('(') || after.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '-'))
    })
}

fn unwanted(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        for (number, line) in (1..).zip(source.text.lines()) {
            // A path begins here: no name stands before the slash.
            let place = |c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.' | '-' | '}' | ')' | '*');
            let places = PLACES.iter().filter(|word| holds(line, word, place));
            let unfinished = UNFINISHED.iter().filter(|word| holds(line, word, |c| !c.is_alphanumeric() && c != '_'));
            findings.extend(places.map(|word| format!("{}:{number}: {word}: a place of one machine", source.path)));
            findings
                .extend(unfinished.map(|word| format!("{}:{number}: {word}: finish it, or leave it out", source.path)));
        }
    }
    findings
}

#[test]
fn no_file_holds_unwanted_words() {
    assert_none(&unwanted(&sources()));
}

#[test]
fn unwanted_words_are_found() {
    let of = |line: &str| unwanted(&[Source::new("docs/a.md", &format!("one\n{line}\n"))]);
    for word in PLACES.iter().chain(UNFINISHED) {
        let found = of(&format!("see \"{word}\" here"));
        assert_eq!(found.len(), 1, "{word}");
        assert!(found[0].starts_with("docs/a.md:2: "), "{found:?}");
        assert_eq!(of(&format!("see {word}/x")).len(), 1, "{word}");
    }
    for fine in ["background/worker.rs", "core/work", "/workspace", "a/root.rs", "TODOS", "<project>/roots"] {
        assert_eq!(of(fine), Vec::<String>::new());
    }
}
