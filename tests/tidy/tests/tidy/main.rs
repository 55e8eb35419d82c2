//! The rules of this repository that neither the compiler nor clippy checks.
//!
//! Each module holds one kind of rule: a check that turns files into findings, a test that runs it on the repository,
//! and tests that plant a violation, so that no check can pass because it looks at nothing.
#![cfg(test)]

mod builds;
mod layers;
mod links;
mod sources;
mod supply;
mod tree;
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The top of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository's top folder is there")
}

/// What a program prints, run at the top of the repository.
#[track_caller]
fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {} failed:\n{errors}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Cargo, as it is building this test.
#[track_caller]
fn cargo(arguments: &[&str]) -> String {
    output_of(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()), arguments)
}

/// The workspace as cargo sees it, for the machine that this test is built for.
fn metadata() -> serde_json::Value {
    let about = output_of("rustc", &["-vV"]);
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc -vV names its host");
    let text = cargo(&["metadata", "--locked", "--format-version", "1", "--filter-platform", host]);
    serde_json::from_str(&text).expect("cargo metadata is JSON")
}

/// Fails with all findings, one a line.
#[track_caller]
fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} finding(s):\n{}\n", findings.len(), findings.join("\n"));
}
