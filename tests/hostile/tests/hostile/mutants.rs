//! Sound input made unsound, for some seconds; `MYTISM_LONG=1`: for ten minutes each.

use std::time::Duration;

use mytism_hostile::Target;
use mytism_hostile::search::{End, first_seed, search};

const LONG: Duration = Duration::from_secs(600);

/// Shares the time among the targets. Each must say many different things, or the mutants miss it.
fn try_mutants(seconds: u64, targets: &[(&str, usize)]) {
    let time = if std::env::var_os("MYTISM_LONG").is_some() { LONG } else { Duration::from_secs(seconds) };
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
    try_mutants(20, &[("transaction", 30), ("entry", 30), ("object", 8), ("value", 8)]);
}

#[test]
fn queries() {
    try_mutants(20, &[("query", 40)]);
}

#[test]
fn schemas() {
    try_mutants(20, &[("schema_binary", 20), ("schema_xml", 40)]);
}

#[test]
fn configuration() {
    try_mutants(14, &[("ini", 12)]);
}

#[test]
fn messages() {
    try_mutants(8, &[("message", 60), ("frames", 8)]);
}

#[test]
fn what_people_hand_in() {
    try_mutants(10, &[("document", 20), ("csv", 4), ("json_lines", 8), ("cell", 15)]);
}
