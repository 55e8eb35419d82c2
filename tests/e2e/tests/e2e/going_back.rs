//! Databases that are put back, at a head office and at a branch, and another head office, with the real program.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;

use mytism_testkit::{PATIENCE, Project, RunningNode, wait_until, wait_until_in_step};
use serde_json::{Value as Json, json};

use crate::trade::{assert_equal, branch, customer, head_office, new};

/// Copies the database of a node that does not run to a directory beside its project.
fn back_up(project: &Project) -> PathBuf {
    let backup = project.root().join("backup");
    fs::create_dir(&backup).unwrap();
    copy_files(project.database().parent().unwrap(), &backup);
    backup
}

/// Puts the copy in the place of the database; nothing else of the project changes.
fn put_back(project: &Project, backup: &Path) {
    let data = project.database().parent().unwrap().to_owned();
    for name in files(&data) {
        fs::remove_file(data.join(name)).unwrap();
    }
    copy_files(backup, &data);
}

/// The names of the files of a database in a directory.
fn files(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("objects.db")).collect()
}

fn copy_files(from: &Path, to: &Path) {
    for name in files(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

fn keys(project: &Project) -> Vec<String> {
    let rows = project.query("select c.CustomerID as k from Customer c order by c.CustomerID");
    rows.iter().map(|row| row["k"].as_str().unwrap().to_owned()).collect()
}

fn state(project: &Project) -> Json {
    project.status()["state"].clone()
}

#[test]
fn a_head_office_that_was_put_back_waits_for_its_branches() {
    let mut head = head_office();
    let (berlin, mut bonn) = (branch(&head, "berlin"), branch(&head, "bonn"));
    customer(head.project(), "A", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project(), bonn.project()]);
    assert_eq!(head.project().documents(&["recover"]), [json!({"state": "ruling", "waits_for": [], "epoch": 1})]);
    head.stop();
    let backup = back_up(head.project());
    head.restart();
    customer(head.project(), "B", "Bonn");
    customer(berlin.project(), "C", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project(), bonn.project()]);
    bonn.stop();
    customer(bonn.project(), "D", "Bonn");
    head.kill9();
    put_back(head.project(), &backup);
    let begun = head.project().documents(&["recover", "--begin"]);
    assert_eq!(begun, [json!({"state": "recovering", "waits_for": ["berlin", "bonn"], "epoch": 1})]);
    head.restart();
    wait_until("berlin has told what it has", PATIENCE, || {
        head.project().documents(&["recover"]) == [json!({"state": "recovering", "waits_for": ["bonn"], "epoch": 1})]
    });
    assert_eq!(state(head.project()), "recovering");
    assert_eq!(head.project().status()["waits_for"], json!(["bonn"]));
    let document = new("Customer", &json!({"CustomerID": "X", "CompanyName": "X"})).to_string();
    let _refused = head.project().run_json(&["save"], &document).error(3, "recovering");
    let _unknown = head.project().run_json(&["recover", "--without", "ulm"], "").error(3, "unknown-node");
    bonn.restart();
    wait_until("the new epoch begins", PATIENCE, || state(head.project()) == "ruling");
    assert_eq!(head.project().status()["epoch"], 2);
    customer(head.project(), "E", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project(), bonn.project()]);
    assert_eq!(keys(head.project()), ["A", "B", "C", "D", "E"]);
    assert_equal(head.project(), berlin.project());
    assert_equal(head.project(), bonn.project());
    let _nobody = head.project().run_json(&["recover", "--without", "bonn"], "").error(3, "not-recovering");
}

#[test]
fn a_branch_whose_database_was_put_back_begins_a_new_life() {
    let head = head_office();
    let mut berlin = branch(&head, "berlin");
    customer(berlin.project(), "A", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project()]);
    berlin.stop();
    let backup = back_up(berlin.project());
    berlin.restart();
    customer(berlin.project(), "B", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project()]);
    berlin.kill9();
    put_back(berlin.project(), &backup);
    // Saved before it meets the head office: the name of this transaction was used.
    let forked = customer(berlin.project(), "C", "Bonn");
    berlin.restart();
    let saved = customer(berlin.project(), "D", "Bonn");
    assert_ne!(forked, saved);
    wait_until_in_step(head.project(), &[berlin.project()]);
    assert_eq!(keys(head.project()), ["A", "B", "C", "D"]);
    let again = berlin.project().save(&new("Customer", &json!({"CustomerID": "E", "CompanyName": "E"})));
    assert!(!again["transaction"].as_str().unwrap().starts_with("2-1-"), "{again}");
    wait_until_in_step(head.project(), &[berlin.project()]);
    berlin.stop();
    berlin.restart();
    wait_until_in_step(head.project(), &[berlin.project()]);
    assert_equal(head.project(), berlin.project());
}

/// A copy of a whole project that does not run, of which the original knows nothing.
fn copy_of(project: &Project) -> Project {
    let copy = Project::empty(project.name());
    let copied = Command::new("cp").arg("-a").arg(project.directory()).arg(copy.directory()).status().unwrap();
    assert!(copied.success());
    copy
}

#[test]
fn a_copy_of_a_branch_and_its_original_take_turns() {
    let head = head_office();
    let mut berlin = branch(&head, "berlin");
    customer(berlin.project(), "A", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project()]);
    berlin.stop();
    let copy = copy_of(berlin.project());
    berlin.restart();
    customer(berlin.project(), "B", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project()]);
    berlin.stop();
    customer(&copy, "C", "Bonn");
    let mut copy = RunningNode::start(&copy);
    customer(copy.project(), "D", "Bonn");
    wait_until_in_step(head.project(), &[copy.project()]);
    copy.stop();
    customer(berlin.project(), "E", "Bonn");
    berlin.restart();
    wait_until_in_step(head.project(), &[berlin.project()]);
    assert_eq!(keys(head.project()), ["A", "B", "C", "D", "E"]);
    assert_equal(head.project(), berlin.project());
}

fn free_port() -> u16 {
    UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn a_branch_takes_the_place_of_a_lost_head_office() {
    let mut hamburg = head_office();
    let (mut berlin, mut bonn) = (branch(&hamburg, "berlin"), branch(&hamburg, "bonn"));
    customer(hamburg.project(), "A", "Bonn");
    wait_until_in_step(hamburg.project(), &[berlin.project(), bonn.project()]);
    bonn.stop();
    customer(berlin.project(), "B", "Bonn");
    wait_until_in_step(hamburg.project(), &[berlin.project()]);
    let _running = berlin.project().run_json(&["promote", "--yes"], "").error(1, "project-in-use");
    berlin.stop();
    customer(hamburg.project(), "only hamburg has it", "Bonn");
    customer(bonn.project(), "C", "Bonn");
    customer(berlin.project(), "D", "Bonn");
    hamburg.kill9();
    let old_key = bonn.project().setting("headOfficeKey");
    let old_address = bonn.project().setting("headOffice");

    // The new one.
    let port = free_port();
    berlin.project().set("SocketProtocol", "tlsPort", &port.to_string());
    berlin.project().set("SyncService", "advertise", &format!("127.0.0.1:{port}"));
    let _asked = berlin.project().run_json(&["promote"], "").error(3, "not-confirmed");
    let before = fs::read_to_string(berlin.project().config_file()).unwrap();
    let promoted = berlin.project().documents(&["promote", "--yes"]).remove(0);
    assert_eq!((&promoted["role"], &promoted["epoch"]), (&json!("authoritative"), &json!(2)), "{promoted}");
    // Killed before the configuration was written, it is run again.
    fs::write(berlin.project().config_file(), &before).unwrap();
    let again = berlin.project().documents(&["promote", "--yes"]).remove(0);
    assert_eq!(again, promoted);
    let _twice = berlin.project().run_json(&["promote", "--yes"], "").error(3, "authoritative-already");
    let _good = berlin.project().run(&["check-config"], "").success();
    berlin.restart();
    assert_eq!(
        (berlin.project().status()["role"].as_str(), state(berlin.project())),
        (Some("authoritative"), json!("ruling"))
    );

    // The other branch.
    let address = promoted["addresses"][0].as_str().unwrap();
    let key = promoted["key"].as_str().unwrap();
    let _wrong = bonn.project().run_json(&["follow", "a:b:c", key], "").error(2, "wrong-value");
    let _wrong = bonn.project().run_json(&["follow", address, "ab"], "").error(2, "wrong-value");
    let _itself = berlin.project().run_json(&["follow", address, key, "--yes"], "").error(2, "wrong-value");
    let follow = ["follow", address, key];
    assert_eq!(bonn.project().documents(&follow)[0]["role"], "branch");
    bonn.restart();
    wait_until_in_step(berlin.project(), &[bonn.project()]);
    assert_eq!(bonn.project().status()["sync"][0]["name"], "berlin");
    assert_eq!(keys(berlin.project()), ["A", "B", "C", "D"]);

    // The old one comes back, and meets somebody who knows.
    hamburg.restart();
    bonn.stop();
    let _followed = bonn.project().documents(&["follow", &old_address, &old_key]);
    bonn.restart();
    wait_until("the old head office knows", PATIENCE, || state(hamburg.project()) == "deposed");
    let document = new("Customer", &json!({"CustomerID": "X", "CompanyName": "X"})).to_string();
    let _refused = hamburg.project().run_json(&["save"], &document).error(3, "deposed");
    bonn.stop();
    let _followed = bonn.project().documents(&follow);
    bonn.restart();
    hamburg.stop();
    let _asked = hamburg.project().run_json(&follow, "").error(3, "not-confirmed");
    let followed = hamburg.project().documents(&[&follow[..], &["--yes"]].concat());
    assert_eq!(followed[0]["role"], "branch");
    hamburg.restart();
    wait_until_in_step(berlin.project(), &[bonn.project(), hamburg.project()]);
    assert_equal(berlin.project(), bonn.project());
    assert_equal(berlin.project(), hamburg.project());
    // What only the old one had is there to be looked through, or was taken as from a branch.
    let refused = berlin.project().documents(&["quarantine"]);
    assert!(refused.iter().any(|refusal| refusal["code"] == "deposed"), "{refused:?}");
    customer(hamburg.project(), "E", "Bonn");
    wait_until_in_step(berlin.project(), &[bonn.project(), hamburg.project()]);
    assert_eq!(keys(bonn.project()), ["A", "B", "C", "D", "E"]);
}

#[test]
fn two_branches_that_were_promoted_by_mistake_become_one_cluster_again() {
    let mut hamburg = head_office();
    let mut branches = [branch(&hamburg, "berlin"), branch(&hamburg, "bonn")];
    customer(hamburg.project(), "A", "Bonn");
    wait_until_in_step(hamburg.project(), &[branches[0].project(), branches[1].project()]);
    hamburg.kill9();
    for node in &mut branches {
        node.stop();
        let project = node.project();
        let port = free_port();
        project.set("SocketProtocol", "tlsPort", &port.to_string());
        project.set("SyncService", "advertise", &format!("127.0.0.1:{port}"));
        let _promoted = project.documents(&["promote", "--yes"]);
        customer(project, project.name(), "Bonn");
    }
    let [mut berlin, mut bonn] = branches;
    let again = berlin.project().run_json(&["promote", "--yes"], "");
    let _already = again.error(3, "authoritative-already");
    berlin.restart();
    let port = berlin.project().setting("tlsPort");
    let account = berlin.project().account("essen");
    let text = fs::read_to_string(account).unwrap();
    let key = text.lines().find_map(|line| line.strip_prefix("key = ")).unwrap();
    let _followed = bonn.project().documents(&["follow", &format!("127.0.0.1:{port}"), key, "--yes"]);
    bonn.restart();
    // Entries of the same epoch that are not here could as well have been lost here: it waits for the others.
    wait_until("only the dead one is waited for", PATIENCE, || {
        berlin.project().documents(&["recover"])[0]["waits_for"] == json!(["hamburg"])
    });
    let gone_on = berlin.project().documents(&["recover", "--without", "hamburg"]);
    assert_eq!(gone_on, [json!({"state": "ruling", "waits_for": [], "epoch": 3})]);
    wait_until_in_step(berlin.project(), &[bonn.project()]);
    assert_equal(berlin.project(), bonn.project());
    let known = [keys(berlin.project()).len(), berlin.project().documents(&["quarantine"]).len()];
    assert!(known[0] >= 2 && known[0] + known[1] >= 3, "{known:?}");
}
