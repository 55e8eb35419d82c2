//! A node that is killed at any moment while many save at once: what was acknowledged is there, nothing is there by half.
//!
//! Eight connections save without a pause, each writing down every acknowledgement durably before it goes on ([`savers`]).
//! The node is killed by SIGKILL at a moment that chance chooses, often again while it recovers, and started anew. Then the
//! objects are held against the acknowledgements ([`known`]) and the tables against the log ([`soundness`]).
//!
//! `MYTISM_SEED=n` throws the same dice again; where threads meet, the machine decides. `MYTISM_LONG=1` kills 200 times.

#![allow(clippy::print_stderr, reason = "who reads of a failure must learn the seed, and how long a recovery took")]

mod dice;
mod known;
mod savers;
pub(crate) mod soundness;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use mytism_core::operation::{ImportBatch, ImportMode, Operations, Reply, Request};
use mytism_testkit::{Project, RunningNode, wait_until_in_step};

use crate::trade::{assert_equal, branch, head_office};
pub(crate) use dice::Dice;
pub(crate) use known::Known;
pub(crate) use savers::Savers;

/// Connections that save at the same time.
const SAVERS: u64 = 8;
/// Rounds at a head office, and at a branch.
const ROUNDS: [u64; 2] = [25, 6];
/// The same for the night.
const ROUNDS_LONG: [u64; 2] = [200, 60];
/// After so many acknowledgements of a round at most the node is killed.
const ACKNOWLEDGED_MAX: u64 = 60;
/// A node that was killed may take so long until it serves; much, since other tests run at the same time.
const RECOVERY_MAX: Duration = Duration::from_secs(20);

#[test]
fn a_head_office_that_is_killed_keeps_what_it_acknowledged() {
    let mut dice = Dice::from_environment();
    let mut node = head_office();
    let mut known = Known::default();
    for round in 0..rounds(ROUNDS[0], ROUNDS_LONG[0]) {
        kill_once(&mut node, &mut known, &mut dice, round);
        let findings = soundness::findings(&node.project().database());
        assert!(findings.is_empty(), "round {round}:\n{}", findings.join("\n"));
    }
    known.assert_much_was_done();
}

#[test]
fn a_branch_that_is_killed_keeps_what_it_acknowledged() {
    let mut dice = Dice::from_environment();
    let mut head = head_office();
    let mut node = branch(&head, "berlin");
    let mut known = Known::default();
    for round in 0..rounds(ROUNDS[1], ROUNDS_LONG[1]) {
        let is_cut_off = dice.below(3) == 0;
        if is_cut_off {
            head.kill9();
        }
        kill_once(&mut node, &mut known, &mut dice, round);
        if is_cut_off {
            let _ready = head.restart();
        }
    }
    wait_until_in_step(head.project(), &[node.project()]);
    assert_equal(head.project(), node.project());
    known.check(head.project());
    let findings = soundness::findings(&head.project().database());
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// One round: savers, a kill, perhaps more of them while the node starts, and all that must hold afterwards.
#[track_caller]
fn kill_once(node: &mut RunningNode, known: &mut Known, dice: &mut Dice, round: u64) {
    let savers = Savers::start(node.project(), known, dice, round);
    savers.wait_for(1 + dice.below(ACKNOWLEDGED_MAX));
    std::thread::sleep(Duration::from_micros(dice.below(3000)));
    node.kill9();
    savers.end(known);
    while dice.below(3) == 0 {
        node.start_and_kill(Duration::from_micros(dice.below(60_000)));
    }
    let _ready = node.restart();
    known.check(node.project());
}

#[test]
fn a_large_database_is_back_at_once() {
    let mut dice = Dice::from_environment();
    let mut node = head_office();
    fill(node.project(), 100_000);
    let mut known = Known::default();
    let mut times = Vec::new();
    for round in 0..5 {
        let savers = Savers::start(node.project(), &known, &mut dice, round);
        savers.wait_for(200);
        node.kill9();
        savers.end(&mut known);
        let begun = Instant::now();
        let _ready = node.restart();
        times.push(begun.elapsed());
        known.check(node.project());
    }
    times.sort_unstable();
    let told: Vec<String> = times.iter().map(|time| format!("{} ms", time.as_millis())).collect();
    // Past the test harness, which shows what is printed only when a test fails.
    let _closed = writeln!(io::stderr(), "100,000 objects: a killed node serves again after {}", told.join(", "));
    assert!(times.iter().all(|time| *time < RECOVERY_MAX), "{told:?}");
}

/// Imports so many customers, who have nothing to do with those of the savers.
#[track_caller]
fn fill(project: &Project, count: u64) {
    const ROWS: u64 = 1000;
    let client = savers::client(project).expect("the node runs");
    let columns = ["CustomerID", "CompanyName", "Address", "PostalCode", "Country"];
    let mut run = None;
    for batch in 0..count / ROWS {
        let row = |index: u64| {
            let number = batch * ROWS + index;
            let cells = [format!("{number:06}"), format!("Firm {number}"), format!("Way {index}"), format!("{batch}")];
            cells.into_iter().chain(["Utopia".to_owned()]).map(Some).collect()
        };
        let request = ImportBatch {
            run,
            description: "many".to_owned(),
            entity: "Customer".to_owned(),
            key: None,
            columns: columns.map(str::to_owned).to_vec(),
            rows: (0..ROWS).map(row).collect(),
            mode: ImportMode::Insert,
            skip_bad_rows: false,
            dry_run: false,
            ..ImportBatch::default()
        };
        let imported = client.call(Request::Import(request), &mut |reply| {
            if let Reply::Imported(imported) = reply {
                run = imported.run;
            }
            Ok(())
        });
        imported.expect("the rows are good");
    }
}

pub(crate) fn rounds(few: u64, many: u64) -> u64 {
    if std::env::var_os("MYTISM_LONG").is_some() { many } else { few }
}
