//! The launcher and the test suite share every build of a dependency.
//!
//! `cargo build --workspace` leaves dev-dependencies out, and with them the features that these ask of others. Where
//! that changes the features of a crate, it and all that use it are compiled twice, on a machine that takes minutes.

use std::collections::BTreeSet;

use super::{assert_none, cargo};

fn builds(edges: &str) -> BTreeSet<String> {
    let listed = cargo(&[
        "tree",
        "--locked",
        "--workspace",
        "--prefix",
        "none",
        "--no-dedupe",
        "-e",
        edges,
        "-f",
        "{p} features: {f}",
    ]);
    let lines: BTreeSet<_> = listed.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    assert!(lines.len() > 50, "cargo tree lists only {} builds", lines.len());
    lines
}

fn not_shared(built: &BTreeSet<String>, tested: &BTreeSet<String>) -> Vec<String> {
    let alone = built.difference(tested);
    alone
        .map(|build| format!("{build}: compiled anew for tests; ask for the same features in a normal dependency"))
        .collect()
}

#[test]
fn builds_and_tests_choose_the_same_features() {
    assert_none(&not_shared(&builds("normal,build"), &builds("normal,build,dev")));
}

#[test]
fn differing_features_are_found() {
    let set = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(not_shared(&set(&["a", "b std"]), &set(&["a", "b default,std", "c"])).len(), 1);
}
