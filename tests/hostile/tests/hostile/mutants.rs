//! Sound input made unsound, for some seconds; `MYTISM_LONG=1`: for ten minutes each.
//!
//! The tests of this module take the same time, so that on a machine of two cores none of them waits idly at the end.

use std::time::Duration;

use mytism_hostile::Target;
use mytism_hostile::search::{End, first_seed, search};

const SHORT: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(600);

/// Shares the time among the targets. Each must say many different things, or the mutants miss it.
fn try_mutants(targets: &[(&str, usize)]) {
    let time = if std::env::var_os("MYTISM_LONG").is_some() { LONG } else { SHORT };
    let share = time / u32::try_from(targets.len()).unwrap();
    for (name, answers) in targets {
        let target = Target::named(name).unwrap();
        let found = search(target, first_seed(), End::After(share));
        let said = found.said.len();
        assert!(said >= *answers, "{name}: {} mutants gave only {said} different answers", found.tried);
    }
}

#[test]
fn log() {
    try_mutants(&[("transaction", 30), ("entry", 30), ("object", 8), ("value", 8)]);
}

#[test]
fn queries() {
    try_mutants(&[("query", 40)]);
}

#[test]
fn schemas() {
    try_mutants(&[("schema_binary", 20), ("schema_xml", 40)]);
}

#[test]
fn configuration() {
    try_mutants(&[("ini", 12)]);
}

#[test]
fn messages() {
    try_mutants(&[("message", 60), ("frames", 8)]);
}

#[test]
fn what_people_hand_in() {
    try_mutants(&[("document", 20), ("csv", 4), ("json_lines", 8), ("cell", 15)]);
}
