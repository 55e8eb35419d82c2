//! What programs may rely on: exit statuses, error documents, and commands that work with and without a running node.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use mytism_testkit::{PATIENCE, Project, RunningNode, wait_until};
use serde_json::{Value as Json, json};

use crate::trade::{self, customer, head_office, new, order, order_numbers};

/// A head office whose node does not run.
fn at_rest() -> Project {
    Project::head_office("hamburg", &trade::schema())
}

#[test]
fn wrong_use_says_what_and_where() {
    let project = at_rest();
    let check = |arguments: &[&str], stdin: &str, code: &str, column: Option<u64>, hint: &str| {
        let output = project.run_json(arguments, stdin);
        assert!(output.stdout.is_empty(), "{output}");
        let error = output.error(2, code);
        assert_eq!(error["at"]["column"].as_u64(), column, "{output}");
        assert!(error["hint"].as_str().unwrap_or_default().contains(hint), "{output}");
    };
    let query = |text: &str, code: &str, column: u64, hint: &str| check(&["query", text], "", code, Some(column), hint);
    query("from Customer a where a.Ctiy = 'Berlin'", "unknown-attribute", 25, "City");
    query("from Custmer", "unknown-entity", 6, "Customer");
    query("from Customer a where", "syntax-error", 22, "");
    check(&["save"], "{\"changes\":[\n,]}", "json-syntax", Some(1), "");
    check(&["save"], "{\"change\":[]}", "wrong-document", None, "changes");
    check(&["save"], &new("Custmer", &json!({})).to_string(), "unknown-entity", None, "Customer");
    check(&["save"], &new("Customer", &json!({"Ctiy": "x"})).to_string(), "unknown-attribute", None, "City");
    check(&["statsu"], "", "wrong-use", None, "status");
    check(&["query"], "", "wrong-use", None, "");
    check(&["show", "0"], "", "wrong-use", None, "");
    check(&["import", "x.csv"], "", "wrong-use", None, "");
}

#[test]
fn people_are_shown_the_place() {
    let output = at_rest().run(&["query", "from Customer a where a.Ctiy = 'Berlin'"], "");
    assert_eq!(output.status, Some(2), "{output}");
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert!(lines[0].starts_with("error[unknown-attribute]: "), "{output}");
    let start = lines[1].find("Ctiy").expect("the query is shown");
    assert_eq!(lines[2].find("^^^^"), Some(start), "{output}");
    assert!(lines[2].contains("City"), "{output}");
}

#[test]
fn refusals_have_status_3() {
    let project = at_rest();
    let id = customer(&project, "ALFKI", "Berlin");
    let refused = |document: &Json, code: &str| project.run_json(&["save"], &document.to_string()).error(3, code);
    let twice = refused(&new("Customer", &json!({"CustomerID": "ALFKI"})), "duplicate-value");
    assert!(twice["message"].as_str().is_some_and(|message| message.contains("ALFKI")), "{twice}");
    let change = |values: Json, expect: Json| json!({"changes": [{"id": id, "values": values, "expect": expect}]});
    refused(&change(json!({"City": "Bonn"}), json!({"City": "Dresden"})), "conflict");
    refused(&new("OrderLine", &json!({"Quantity": 1})), "value-required");
    refused(&json!({"changes": [{"id": 999_999_999, "values": {"City": "x"}}]}), "unknown-object");
    let _absent = project.run_json(&["show", "999999999"], "").error(3, "unknown-object");
    assert_eq!(project.query("select c.City as c from Customer c"), [json!({"c": "Berlin"})], "nothing was changed");
}

#[test]
fn projects_are_found_or_not() {
    let nowhere = Project::empty("nobody");
    for command in [&["status"][..], &["query", "from Customer"], &["start"], &["stop"], &["save"], &["conflicts"]] {
        let stdin = if command == ["save"] { "{\"changes\":[]}" } else { "" };
        let error = nowhere.run_json(command, stdin).error(1, "no-project");
        assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("init")), "{error}");
    }
    assert!(!nowhere.directory().exists(), "a command that failed left something behind");
    let project = at_rest();
    let database = fs::read(project.database()).unwrap();
    let _again = project.run_json(&["init", "--name", "x"], "").error(1, "project-exists");
    assert_eq!(fs::read(project.database()).unwrap(), database, "the project is as it was");
    let schema = project.root().join("wrong.xml");
    fs::write(
        &schema,
        "<Schema name='x' version='1'><Entity name='A'><Attribute name='B' type='sting'/></Entity></Schema>",
    )
    .unwrap();
    let wrong = nowhere.run_json(&["init", "--schema", &schema.to_string_lossy()], "").error(1, "schema-error");
    assert!(wrong["message"].as_str().is_some_and(|message| message.contains("sting")), "{wrong}");
    assert!(!nowhere.directory().exists(), "a failed init left something behind");
}

#[test]
fn one_process_holds_a_project() {
    let head = head_office();
    let output = head.project().run_json(&["start"], "").error(1, "project-in-use");
    assert!(output["message"].is_string());
    assert_eq!(head.project().status()["node"], "hamburg", "the first one serves on");
}

#[test]
fn what_needs_a_running_node_says_so() {
    let project = at_rest();
    let file = project.root().join("x.init-syncaccount");
    let add = ["nodes", "add", "berlin", "--export", &file.to_string_lossy()].map(str::to_owned);
    let add: Vec<&str> = add.iter().map(String::as_str).collect();
    let _down = project.run_json(&add, "").error(4, "node-not-running");
    assert!(!file.exists(), "an account file without an account");
    let _down = project.run_json(&["stop"], "").error(4, "node-not-running");
}

#[test]
fn accounts_are_good_once_and_for_their_branch() {
    let head = head_office();
    let account = head.project().account("berlin");
    let name = ["join", "--name", "bonn", "--sync-account", &account.to_string_lossy()].map(str::to_owned);
    let name: Vec<&str> = name.iter().map(String::as_str).collect();
    let _other = Project::empty("bonn").run_json(&name, "").error(3, "wrong-account");

    let text = fs::read_to_string(&account).unwrap();
    let forged = head.project().root().join("forged");
    fs::write(&forged, altered(&text, "secret")).unwrap();
    let _forged = Project::empty("berlin").join(&forged).error(3, "wrong-account");

    let joined = Project::empty("berlin");
    let told = joined.join(&account).success().json();
    assert_eq!(
        (&told["node"], &told["role"], &told["head_office"]),
        (&json!("berlin"), &json!("branch"), &json!("hamburg"))
    );
    let _used = Project::empty("berlin").join(&account).error(3, "wrong-account");
    let _there = joined.join(&account).error(1, "project-exists");
    let again = head.project().root().join("again");
    let add = head.project().run_json(&["nodes", "add", "berlin", "--export", &again.to_string_lossy()], "");
    let _taken = add.error(3, "node-exists");
    let branch = joined.root().join("x");
    let add = joined.run_json(&["nodes", "add", "bonn", "--export", &branch.to_string_lossy()], "");
    let _down = add.error(4, "node-not-running");
}

/// The text with another digit at the end of the value of a key.
fn altered(text: &str, key: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(key)).expect("the key is there");
    let end = if line.ends_with('0') { "1" } else { "0" };
    text.replace(line, &format!("{}{end}", &line[..line.len() - 1]))
}

#[test]
fn a_head_office_that_is_gone_is_unreachable() {
    let mut head = head_office();
    let account = head.project().account("berlin");
    head.kill9();
    let branch = Project::empty("berlin");
    let error = branch.join(&account).error(4, "head-office-unreachable");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("127.0.0.1")), "{error}");
    let _ready = head.restart();
    let _joined = branch.join(&account).success();
}

#[test]
fn who_stops_reading_is_no_failure() {
    let project = at_rest();
    // Much more than a pipe holds, so that the program notices.
    let cell = "x".repeat(1000);
    let lines: String = (0..500).map(|number| format!("{number},{cell}\n")).collect();
    let file = project.root().join("categories.csv");
    fs::write(&file, format!("CategoryID,CategoryName,Description\n{}", lines.replace(',', ",n,"))).unwrap();
    let _imported = project.run(&["import", &file.to_string_lossy(), "--entity", "Category"], "").success();
    for arguments in [&["--json", "query", "from Category"][..], &["query", "from Category"]] {
        let mut command = project.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!first.is_empty());
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn commands_work_with_and_without_a_running_node() {
    let project = at_rest();
    let file = project.root().join("customers.csv");
    fs::write(&file, "CustomerID,CompanyName\nALFKI,Alfreds\nBOLID,Bólido\n").unwrap();
    let import = ["import", &file.to_string_lossy(), "--entity", "Customer", "--mode", "upsert"].map(str::to_owned);
    let import: Vec<&str> = import.iter().map(String::as_str).collect();
    let exported = project.root().join("out.jsonl");
    let export = ["export", "from Order", "--format", "jsonl", "--out", &exported.to_string_lossy()].map(str::to_owned);
    let export: Vec<&str> = export.iter().map(String::as_str).collect();

    let mut node: Option<RunningNode> = None;
    for (number, runs) in [(1, false), (2, true), (3, false)] {
        node = runs.then(|| RunningNode::start(&project));
        assert_eq!(project.status()["since"].is_string(), runs, "status tells whether the node runs");
        let saved = project.save(&order(number));
        assert_eq!(saved["state"], "accepted");
        let counts = project.run_json(&import, "").success().json();
        let expected = if number == 1 { (2, 0) } else { (0, 0) };
        assert_eq!((counts["inserted"].as_u64(), counts["updated"].as_u64()), (Some(expected.0), Some(expected.1)));
        assert_eq!(counts["failed"], 0, "{counts}");
        let history = project.documents(&["history", &saved["ids"]["n"].to_string()]);
        assert!(history.iter().all(|line| line["position"] == saved["position"]), "{history:?}");
        let _exported = project.run(&export, "").success();
        assert_eq!(fs::read_to_string(&exported).unwrap().lines().count() as u64, number);
        if let Some(node) = &mut node {
            node.stop();
        }
    }
    drop(node);
    assert_eq!(order_numbers(&project), [1, 2, 3]);
}

#[test]
fn a_detached_node_serves_until_it_is_stopped() {
    let project = at_rest();
    let stop = StopAtEnd(&project);
    let started = project.run_json(&["start", "--detach"], "").success().json();
    let tls: u64 = project.setting("tlsPort").parse().unwrap();
    assert_eq!((&started["node"], &started["role"]), (&json!("hamburg"), &json!("authoritative")));
    assert_eq!(started["ports"], json!({"plain": null, "tls": tls, "http": null}));
    let process = |document: &Json| Path::new("/proc").join(document["pid"].to_string());
    assert!(process(&started).exists());
    let _twice = project.run_json(&["start", "--detach"], "").error(1, "project-in-use");

    let restarted = project.run_json(&["restart"], "").success().json();
    assert_ne!(restarted["pid"], started["pid"]);
    gone(&process(&started));
    assert!(project.status()["since"].is_string());
    let _stopped = project.run_json(&["stop"], "").success();
    gone(&process(&restarted));
    assert!(project.status()["since"].is_null());
    drop(stop);
}

/// Waits until a process is gone, or nothing but the note of its end is left of it.
#[track_caller]
fn gone(process: &Path) {
    wait_until("the process is gone", PATIENCE, || {
        let status = fs::read_to_string(process.join("status")).unwrap_or_default();
        !status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
    });
}

/// Nothing that a test started in the background outlives it.
struct StopAtEnd<'a>(&'a Project);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        let _stopped = self.0.run(&["stop"], "");
    }
}

#[test]
fn signals_stop_a_node_in_order() {
    for signal in ["TERM", "INT"] {
        let mut node = head_office();
        node.project().save(&order(1));
        let kill = std::process::Command::new("kill").args(["-s", signal, &node.pid().to_string()]).status();
        assert!(kill.expect("there is a program `kill`").success());
        let status = node.wait_for_end();
        assert!(status.success(), "{signal}: {status}\n{}", node.log());
        assert_eq!(order_numbers(node.project()), [1]);
    }
}

#[test]
fn configurations_are_checked() {
    let project = at_rest();
    let _good = project.run(&["check-config"], "").success();
    project.set("SyncService", "retryMinimun", "50");
    let findings = project.run_json(&["check-config"], "");
    assert_eq!(findings.status, Some(1), "{findings}");
    let finding = findings.json();
    assert_eq!(finding["key"], "retryMinimun", "{finding}");
    assert!(finding["hint"].as_str().is_some_and(|hint| hint.contains("retryMinimum")), "{finding}");
}
