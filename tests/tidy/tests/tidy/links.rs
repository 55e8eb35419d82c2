//! Links from one document to another lead to something.

use std::collections::BTreeSet;

use super::assert_none;
use super::tree::{Source, paths, sources};

/// The targets of the links in a document, with their lines; code is left out.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split([')', ' ']).next().unwrap_or_default();
            found.push((number, target.trim_matches(['<', '>'])));
        }
    }
    found
}

/// The path that a relative link means, from the repository's top; `None` when it leaves the repository.
fn resolve(document: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn dead_links(documents: &[Source], paths: &[String]) -> Vec<String> {
    let mut known: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
    for path in paths {
        known.extend(path.match_indices('/').map(|(at, _)| &path[..at]));
    }
    let mut findings = Vec::new();
    for document in documents.iter().filter(|source| source.path.ends_with(".md")) {
        for (number, target) in links(&document.text) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let resolved = resolve(&document.path, file);
            if !resolved.is_some_and(|path| path.is_empty() || known.contains(path.as_str())) {
                findings.push(format!("{}:{number}: {target} leads to no file", document.path));
            }
        }
    }
    findings
}

#[test]
fn links_between_documents_lead_somewhere() {
    assert_none(&dead_links(&sources(), &paths()));
}

#[test]
fn dead_links_are_found() {
    let paths = ["README.md".to_owned(), "docs/a.md".to_owned(), "core/src/lib.rs".to_owned()];
    let of = |line: &str| dead_links(&[Source::new("docs/a.md", &format!("# A\n{line}\n"))], &paths).len();
    for alive in [
        "[r](../README.md)",
        "[c](../core/src)",
        "[x](#a)",
        "[y](a.md#b \"title\")",
        "`a`",
        "[w](https://example.com/a)",
    ] {
        assert_eq!(of(alive), 0, "{alive}");
    }
    for dead in ["[r](README.md)", "[c](../core/lib)", "[o](../../README.md)", "[a](a.md), [b](b.md)"] {
        assert_eq!(of(dead), 1, "{dead}");
    }
    assert_eq!(
        dead_links(&[Source::new("a.md", "```\n[a](b)\n```\n[a](b)\n")], &paths),
        ["a.md:4: b leads to no file"]
    );
}
