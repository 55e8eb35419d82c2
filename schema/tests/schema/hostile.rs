//! Files that nobody meant well with: no panic, no endless work, always a problem with a place.

use std::time::{Duration, Instant};

use mytism_schema::{FileProblem, demo, project};
use proptest::prelude::*;

fn problems(bytes: &[u8]) -> Vec<FileProblem> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xml");
    std::fs::write(&path, bytes).unwrap();
    project(Some(&path)).err().unwrap_or_default()
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: &str) {
    let start = Instant::now();
    let problems = problems(bytes);
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    assert!(first.contains(expected), "{first}");
    assert!(problems.len() <= 200, "{}", problems.len());
    assert!(problems.iter().all(|problem| problem.message.len() < 3000), "a message that nobody would read");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn large_and_deep_files_are_refused() {
    let deep = "<Entity>".repeat(1 << 20);
    check_refused(format!("<Schema>{deep}").as_bytes(), "not well-formed XML");
    let deep = format!("<Schema>{}{}</Schema>", "<a>".repeat(300_000), "</a>".repeat(300_000));
    check_refused(deep.as_bytes(), "<a> cannot stand in Schema");
    check_refused("<a/>".repeat(5 << 20).as_bytes(), "a schema of more than 16 MiB is not read");
    check_refused(format!("<Schema {}/>", "a=''".repeat(1 << 20)).as_bytes(), "more than 200 attributes");
    check_refused(format!("<Schema>{}</Schema>", "<x/>".repeat(1 << 20)).as_bytes(), "nodes limit reached");
    let long = "x".repeat(1 << 20);
    check_refused(
        format!("<Schema><Entity name='{long}' extends='{long}'/></Schema>").as_bytes(),
        "more than 60 characters",
    );
    let many = (0..100_000).map(|at| format!("<Entity name='E{at}' extends='F{at}'/>")).collect::<String>();
    check_refused(format!("<Schema>{many}</Schema>").as_bytes(), "entities are more than the 4096");
    let namespaces: String = (0..100).map(|at| format!("<a xmlns:n{at}='{at}'>")).collect();
    check_refused(format!("<Schema>{namespaces}").as_bytes(), "more than 16 namespaces");
    let bomb = "<!DOCTYPE a [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]><Schema name='&b;'/>";
    check_refused(bomb.as_bytes(), "XML with DTD detected");
    check_refused(b"<Schema name='\xff'/>", "not UTF-8");
    check_refused(
        "<Schema/>".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>().as_slice(),
        "not well-formed",
    );
}

#[test]
fn what_is_inherited_is_bounded() {
    let heirs: String = (0..4000).map(|at| format!("<Entity name='E{at}' extends='Base'/>")).collect();
    let check = |member: &str, expected: &str| {
        let file = format!("<Schema><Entity name='Base' abstract='1'>{member}</Entity>{heirs}</Schema>");
        check_refused(file.as_bytes(), expected);
    };
    let words: String = (0..1000).map(|at| format!("{at};w{at};")).collect();
    check(&format!("<Attribute name='A' type='enum' values='{words}'/>"), "MiB of words, labels and defaults");
    check(&format!("<Attribute name='A' type='text' label='{}'/>", "x".repeat(100_000)), "MiB of words, labels");
    check(&format!("<Attribute name='A' type='text' default='{}'/>", "x".repeat(100_000)), "MiB of words, labels");
}

#[test]
fn many_includes_end() {
    let folder = tempfile::tempdir().unwrap();
    for at in 0..300 {
        let text = format!("<Schema><Include file='f{}.xml'/></Schema>", at + 1);
        std::fs::write(folder.path().join(format!("f{at}.xml")), text).unwrap();
    }
    let problems = project(Some(&folder.path().join("f0.xml"))).unwrap_err();
    let told: Vec<String> = problems.iter().map(|problem| problem.message.clone()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("more than 200 schema files"), "{told:?}");
}

/// Bytes with a meaning in XML or in values, and the first half of a letter.
const DAMAGE: &[u8] = b"<>/\"'=;& a1(),-\n\xc3";

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(!problems(&bytes).is_empty());
    }

    /// Some bytes of a sound file are replaced, some of its lines are doubled or dropped.
    #[test]
    fn a_damaged_file_is_answered(
        bytes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(DAMAGE)), 0..4),
        lines in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..6),
    ) {
        let mut text: Vec<&str> = demo::schema_xml().lines().collect();
        for (index, double) in lines {
            let at = index.index(text.len());
            if double { text.insert(at, text[at]); } else { text.remove(at); }
        }
        let mut damaged = text.join("\n").into_bytes();
        for (index, byte) in bytes {
            let at = index.index(damaged.len());
            damaged[at] = byte;
        }
        let lines = damaged.split(|byte| *byte == b'\n').count();
        for problem in problems(&damaged) {
            prop_assert!(problem.line >= 1 && problem.column >= 1 && problem.line as usize <= lines, "{problem}");
            prop_assert!(!problem.message.is_empty());
        }
    }
}
