//! The lines to other nodes as people see them, and lines that rest.

use mytism_testkit::{PATIENCE, RunningNode, wait_until, wait_until_in_step};

use crate::bad_lines::change;
use crate::trade::{assert_equal, branch, head_office, order};

fn line(node: &RunningNode) -> serde_json::Value {
    node.project().status()["sync"][0].clone()
}

const RESTS: &str = "the lines of the other node rest until they are resumed there";

#[test]
fn lines_rest_until_they_are_resumed_also_over_a_restart() {
    let head = head_office();
    let mut branch = branch(&head, "berlin");
    let paused = branch.project().run_json(&["sync", "pause"], "").success().json();
    assert_eq!(paused["lines_rest"], true);
    wait_until("the line rests", PATIENCE, || line(&branch)["state"] == "stopped");
    wait_until("the head office is told", PATIENCE, || line(&head)["last_error"] == RESTS);
    assert_eq!(line(&head)["state"], "stopped");
    let refused = branch.project().run_json(&["sync", "check"], "").error(4, "no-line");
    assert!(refused.to_string().contains("the lines of this node rest"), "{refused:?}");
    branch.project().save(&order(100));
    branch.stop();
    let _ready = branch.restart();
    assert_eq!(branch.project().status()["lines_rest"], true);
    let status = branch.project().status();
    assert_eq!((&status["pending"], &status["sync"][0]["last_error"]), (&1.into(), &serde_json::Value::Null));
    let _said = branch.project().run_json(&["sync", "resume"], "").success();
    wait_until_in_step(head.project(), &[branch.project()]);
    assert_eq!(line(&branch)["state"], "connected");
}

#[test]
fn who_is_turned_away_by_lines_that_rest_is_told() {
    let head = head_office();
    let branch = branch(&head, "berlin");
    let _said = head.project().run_json(&["sync", "pause"], "").success();
    wait_until("the branch is told", PATIENCE, || line(&branch)["last_error"] == RESTS);
    assert_eq!((&line(&head)["state"], &line(&branch)["state"]), (&"stopped".into(), &"stopped".into()));
    let _said = head.project().run_json(&["sync", "resume"], "").success();
    wait_until("the branch is back", PATIENCE, || line(&branch)["state"] == "connected");
}

#[test]
fn what_moved_is_told_at_both_ends() {
    let head = head_office();
    let branch = branch(&head, "berlin");
    let saved = |node: &RunningNode, number| {
        let saved = node.project().save(&order(number));
        saved["transaction"].as_str().unwrap_or_default().to_owned()
    };
    // What was committed before the line came up has waited for it, and is not timed.
    for node in [&head, &branch] {
        wait_until("the line is up", PATIENCE, || line(node)["state"] == "connected");
    }
    let down = saved(&head, 100);
    wait_until("it has arrived", PATIENCE, || line(&branch)["last_received"]["transaction"] == down.as_str());
    wait_until("it is confirmed", PATIENCE, || line(&head)["lag_ms"].is_number());
    let (ours, theirs) = (line(&head), line(&branch));
    assert_eq!((&ours["last_sent"]["transaction"], &theirs["behind"]), (&down.as_str().into(), &0.into()));
    assert!(theirs["lag_ms"].is_number(), "{theirs}");
    let up = saved(&branch, 200);
    wait_until("it is decided on", PATIENCE, || line(&branch)["offer_lag_ms"].is_number());
    wait_until("so it is there", PATIENCE, || line(&head)["offer_lag_ms"].is_number());
    assert_eq!(line(&head)["last_received"]["transaction"], up);
    let logs = (head.log(), branch.log());
    for (log, arrow) in [
        (&logs.0, "<<<< to berlin: 1 entry, ".to_owned()),
        (&logs.0, format!(">>>> from berlin: 1 transaction, {up} of ")),
        (&logs.1, "<<<< from hamburg: 1 entry, ".to_owned()),
        (&logs.1, format!(">>>> to hamburg: 1 transaction, {up} of ")),
    ] {
        assert!(log.contains(&arrow), "{arrow} in\n{log}");
    }
}

#[test]
fn a_line_without_encryption_carries_everything_and_holds_to_the_keys() {
    let mut head = head_office();
    let mut branch = branch(&head, "berlin");
    branch.stop();
    assert_eq!(head.restart()["ports"]["plain"], serde_json::Value::Null, "only where it is asked for");
    head.project().set("SocketProtocol", "port", "0");
    let port = head.restart()["ports"]["plain"].as_u64().unwrap();
    change(branch.project(), "headOffice", &format!("plain://127.0.0.1:{port}"));
    branch.restart();
    head.project().save(&order(100));
    branch.project().save(&order(200));
    wait_until_in_step(head.project(), &[branch.project()]);
    for node in [&head, &branch] {
        wait_until("it is told", PATIENCE, || line(node)["transport"] == "plain");
    }
    let told = branch.project().run(&["status"], "").success().stdout;
    assert!(told.contains("over TCP without encryption"), "{told}");
    assert_equal(head.project(), branch.project());

    branch.stop();
    let good = branch.project().setting("headOfficeKey");
    change(branch.project(), "headOfficeKey", &"3b".repeat(32));
    branch.restart();
    let error = || line(&branch)["last_error"].as_str().unwrap_or_default().to_owned();
    wait_until("the other key is noticed", PATIENCE, || error().contains(&format!("has the key {good}, not")));
    assert_ne!(line(&branch)["state"], "connected");
}
