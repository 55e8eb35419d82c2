//! The documentation of the command line is whole: every command, every option and every code of a failure stands in it.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What can stand before a code in the sources.
const MARKS: [&str; 10] = [
    "Failure::failed(",
    "Failure::refused(",
    "Failure::usage(",
    "Failure::unreachable(",
    "AppError::failed(",
    "AppError::refused(",
    "Problem::new(",
    "ConfigProblem::error(",
    "ConfigProblem::warning(",
    "Violation { code: ",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/command-line.md")).unwrap()
}

fn help(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mytism")).args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The words in the first column under a heading of a help text.
fn listed(help: &str, heading: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.is_empty());
    let first = lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    first.map(str::to_owned).collect()
}

#[test]
fn every_command_and_option_is_documented() {
    let document = document();
    let commands = listed(&help(&[]), "Commands:");
    assert!(commands.len() > 15, "{commands:?}");
    for command in &commands {
        assert!(document.contains(&format!("### `{command}`")), "no section for `{command}`");
        let section = document.split(&format!("### `{command}`")).nth(1).unwrap().split("\n### ").next().unwrap();
        let help = help(&[command]);
        for option in help.split([' ', ',', '\n', '[']).filter(|word| word.starts_with("--")) {
            let option = option.trim_matches(|letter: char| !letter.is_ascii_lowercase() && letter != '-');
            let is_global = ["--project", "--json", "--user", "--help", "--"].contains(&option);
            assert!(is_global || section.contains(option), "`{command}` has {option}, its section does not");
        }
    }
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" && name != "target" {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

#[test]
fn every_code_is_documented() {
    let mut files = Vec::new();
    ["core", "schema", "sync", "server"].iter().for_each(|name| sources(&root().join(name), &mut files));
    let mut codes = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for mark in MARKS {
            for after in product.split(mark).skip(1) {
                let Some(code) = after.trim_start().strip_prefix('"').and_then(|code| code.split('"').next()) else {
                    continue;
                };
                codes.insert(code.to_owned());
            }
        }
    }
    assert!(codes.len() > 60, "{codes:?}");
    let document = document();
    let missing: Vec<_> = codes.iter().filter(|code| !document.contains(&format!("| `{code}` |"))).collect();
    assert!(missing.is_empty(), "these codes are missing in docs/command-line.md: {missing:?}");
}

#[test]
fn codes_are_listed_once() {
    let document = document();
    let table = document.split("\n## Codes").nth(1).unwrap();
    let mut seen = BTreeSet::new();
    for code in table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()) {
        assert!(seen.insert(code), "{code} is listed twice");
    }
}
