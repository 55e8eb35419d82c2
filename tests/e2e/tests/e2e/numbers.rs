//! Numbers of ranges: processes that are killed, older data that are put back, branches that are cut off. No number is
//! given twice.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mytism_testkit::{PATIENCE, Project, RunningNode, wait_until, wait_until_in_step};
use serde_json::{Value as Json, json};

use crate::trade::{assert_equal, branch, new, repository};

/// Rounds of savers whose node is killed.
const ROUNDS: usize = 4;
/// Savers that work at the same time.
const SAVERS: usize = 3;

fn head_office() -> RunningNode {
    let schema = repository().join("tests/e2e/tests/e2e/bills.xml");
    let head = RunningNode::start(&Project::head_office("hamburg", &schema));
    range(head.project(), "hamburg", 1, 99_999);
    head
}

#[track_caller]
fn range(head: &Project, node: &str, min: i64, max: i64) {
    let node = json!({"ref": {"Node": {"Name": node}}});
    head.save(&new("NumberRange", &json!({"Name": "Bills", "Node": node, "Min": min, "Max": max})));
}

/// Saves a bill; its id, where the node answered.
fn bill(project: &Project) -> Option<u64> {
    let output = project.run_json(&["save"], &new("Bill", &json!({})).to_string());
    match output.status {
        Some(0) => output.json()["ids"]["n"].as_u64(),
        Some(4) => None,
        _ => panic!("a save may be lost with its node, but not be refused: {output}"),
    }
}

/// The number of the bill of that id.
#[track_caller]
fn number_of(project: &Project, id: u64) -> Option<String> {
    let shown = project.run_json(&["show", &id.to_string()], "").success().json();
    shown["values"]["Number"].as_str().map(str::to_owned)
}

/// Numbers of all bills.
#[track_caller]
fn numbers(project: &Project) -> Vec<String> {
    let rows = project.query("select b.Number as n from Bill b where b.Number is not null");
    rows.iter().map(|row| row["n"].as_str().expect("a number is a text").to_owned()).collect()
}

#[track_caller]
fn assert_once(numbers: &[String]) {
    let once: BTreeSet<&String> = numbers.iter().collect();
    assert_eq!(once.len(), numbers.len(), "a number stands twice: {numbers:?}");
}

/// What `numbers` says of a node's range.
#[track_caller]
fn shown(project: &Project, node: &str) -> Json {
    let lines = project.documents(&["numbers"]);
    lines.into_iter().find(|line| line["node"] == node).unwrap_or_else(|| panic!("no range of {node}"))
}

#[test]
fn a_killed_node_gives_no_number_twice_and_loses_none() {
    let mut head = head_office();
    for _ in 0..ROUNDS {
        let ended = Arc::<AtomicBool>::default();
        let savers: Vec<_> = (0..SAVERS)
            .map(|_| {
                let (project, ended) = (head.project().clone(), Arc::clone(&ended));
                std::thread::spawn(move || {
                    let mut saved = 0;
                    while !ended.load(Ordering::Relaxed) {
                        saved += usize::from(bill(&project).is_some());
                    }
                    saved
                })
            })
            .collect();
        let before = numbers(head.project()).len();
        wait_until("some bills are saved", PATIENCE, || numbers(head.project()).len() >= before + 9);
        head.kill9();
        ended.store(true, Ordering::Relaxed);
        let _saved: usize = savers.into_iter().map(|saver| saver.join().expect("no saver fails")).sum();
        let _ready = head.restart();
        let there = numbers(head.project());
        assert_once(&there);
        // A process that is killed leaves no holes.
        let highest = format!("R-{:06}", there.len());
        assert_eq!(there.iter().max(), Some(&highest), "{there:?}");
    }
    let given = numbers(head.project()).len();
    assert_eq!(shown(head.project(), "hamburg")["next"].as_u64(), u64::try_from(given + 1).ok());
    assert!(head.project().documents(&["numbers", "void"]).is_empty());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("a directory can be read") {
        let entry = entry.expect("a directory can be read");
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
        }
    }
}

#[test]
fn older_data_go_on_above_what_may_have_been_given() {
    let mut head = head_office();
    let _bills: Vec<_> = (0..3).map(|_| bill(head.project())).collect();
    head.stop();
    let (data, kept) = (head.project().directory().join("data"), head.project().root().join("kept"));
    copy(&data, &kept);
    let _ready = head.restart();
    let _bills: Vec<_> = (0..3).map(|_| bill(head.project())).collect();
    head.kill9();
    fs::remove_dir_all(&data).expect("a directory can be removed");
    copy(&kept, &data);
    let _ready = head.restart();
    let id = bill(head.project()).expect("the node serves");
    assert_eq!(number_of(head.project(), id).as_deref(), Some("R-000021"));
    let missing = head.project().documents(&["numbers", "void"]);
    assert_eq!((missing[0]["from"].as_u64(), missing[0]["to"].as_u64()), (Some(4), Some(20)), "{missing:?}");
    assert_eq!(missing[0]["cause"], "may-be-missing");
    // By hand, where somebody knows better.
    let refused = head.project().run_json(&["numbers", "set", "Bills", "4", "--yes"], "");
    let _held = refused.error(3, "number-held");
    let refused = head.project().run_json(&["numbers", "set", "Bills", "30"], "");
    let _unconfirmed = refused.error(3, "not-confirmed");
    let _set = head.project().run_json(&["numbers", "set", "Bills", "30", "--yes"], "").success();
    let id = bill(head.project()).expect("the node serves");
    assert_eq!(number_of(head.project(), id).as_deref(), Some("R-000030"));
    let range = shown(head.project(), "hamburg")["id"].to_string();
    let history = head.project().documents(&["history", &range, "--attribute", "Next"]);
    let by_hand = history.iter().any(|line| line["description"].as_str().is_some_and(|text| text.contains("by hand")));
    assert!(by_hand, "{history:?}");
}

#[test]
fn a_branch_gives_numbers_within_its_lease() {
    let mut head = head_office();
    let mut branch = branch(&head, "berlin");
    range(head.project(), "berlin", 100_001, 199_999);
    wait_until("the branch has a lease", PATIENCE, || {
        let lines = branch.project().documents(&["numbers"]);
        lines.iter().any(|line| line["node"] == "berlin" && line["leased"] == 100_020)
    });
    head.kill9();
    let drawn: Vec<_> = (0..22).map(|_| bill(branch.project()).expect("the branch serves")).collect();
    let last: Vec<_> = drawn[18..].iter().map(|id| number_of(branch.project(), *id)).collect();
    assert_eq!(last, [Some("R-100019".into()), Some("R-100020".into()), None, None]);
    assert_eq!(shown(branch.project(), "berlin")["state"], "waiting");
    branch.kill9();
    let _ready = head.restart();
    let _ready = branch.restart();
    wait_until("the branch has another lease", PATIENCE, || shown(branch.project(), "berlin")["state"] == "valid");
    let id = bill(branch.project()).expect("the branch serves");
    assert_eq!(number_of(branch.project(), id).as_deref(), Some("R-100021"));
    let _bill = bill(head.project());
    wait_until("the head office shows what comes next", PATIENCE, || {
        shown(head.project(), "berlin")["next"] == 100_022
    });
    wait_until_in_step(head.project(), &[branch.project()]);
    assert_equal(head.project(), branch.project());
    assert_once(&numbers(head.project()));
}
