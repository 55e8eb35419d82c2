//! Who a node is by its file and by its database, a first start from a file alone, and secrets that nobody sees.

use std::fs;

use mytism_testkit::{Project, RunningNode};
use serde_json::json;

use crate::trade::{self, head_office};

/// What must never be seen.
const CANARY: &str = "canary-8f3b1c";

#[test]
fn a_file_and_a_database_of_different_nodes_do_not_start() {
    let project = Project::head_office("hamburg", &trade::schema());
    let file = project.config_file();
    let good = fs::read_to_string(&file).unwrap();
    for (key, old, new) in [("nodeName", "hamburg", "bonn"), ("nodeNumber", "1", "7")] {
        fs::write(&file, good.replace(&format!("{key} = {old}"), &format!("{key} = {new}"))).unwrap();
        let error = project.run_json(&["start"], "").error(1, "config-other-node");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains(old) && message.contains(new) && message.contains(key), "{message}");
    }
    fs::write(&file, good).unwrap();
    let _serves = RunningNode::start(&project);
}

#[test]
fn a_missing_number_is_written_once_and_nothing_else() {
    let project = Project::head_office("hamburg", &trade::schema());
    let file = project.config_file();
    let text = fs::read_to_string(&file).unwrap().replace("nodeNumber = 1\n", "; my own words  \n\n");
    fs::write(&file, &text).unwrap();
    let mut node = RunningNode::start(&project);
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written.replace("nodeNumber = 1\n", ""), text);
    assert_eq!(project.setting("nodeNumber"), "1");
    let _ready = node.restart();
    assert_eq!(fs::read_to_string(&file).unwrap(), written, "once");
}

#[test]
fn a_file_alone_becomes_a_head_office() {
    let project = Project::empty("bonn");
    fs::create_dir_all(project.directory()).unwrap();
    let schema = fs::canonicalize(trade::schema()).unwrap();
    let text = format!(
        "-- from a former version\r\n[DBMan]\r\nschemaFile = {}\r\ndriver = org.postgresql.Driver\r\n\
         url = jdbc:postgresql://localhost:5432/demo\r\nuser = postgres\r\npass = {CANARY}\r\nauthoritative = 1\r\n\
         [SocketProtocol]\r\ntlsPort = 0",
        schema.display()
    );
    fs::write(project.config_file(), &text).unwrap();
    let node = RunningNode::start(&project);
    let status = project.status();
    assert_eq!((&status["role"], &status["schema"]), (&json!("authoritative"), &json!("trade 1")));
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(status["node"], host.trim(), "named after the machine");
    let written = fs::read_to_string(project.config_file()).unwrap();
    assert_eq!(written.replace("nodeNumber = 1\r\n", ""), text);
    assert!(!node.log().contains(CANARY));
    drop(node);
    fs::remove_dir_all(project.directory().join("data")).unwrap();
    for what in ["with its key", "without it"] {
        let refused = project.run_json(&["start"], "");
        assert_eq!(refused.status, Some(1), "{what}: {refused}");
        assert!(!project.database().exists(), "{what}: a lost database is not replaced");
        for name in ["keys", "state"] {
            let _gone = fs::remove_dir_all(project.directory().join(name));
        }
    }
    let refused = project.run_json(&["start"], "");
    assert!(refused.stderr.contains("\"no-database\"") && refused.status == Some(1), "{refused}");
}

#[test]
fn a_wrong_configuration_is_told_alike_by_all() {
    let project = Project::head_office("hamburg", &trade::schema());
    project.set("SocketProtocol", "tlsProt", "1");
    project.set("Log", "level", "loud");
    let checked = project.run_json(&["check-config"], "");
    assert_eq!(checked.status, Some(1), "{checked}");
    let found: Vec<_> = checked.documents().iter().map(|finding| finding["key"].clone()).collect();
    assert_eq!(found.len(), 2, "{checked}");
    for command in [&["start"][..], &["start", "--detach"]] {
        let started = project.run_json(command, "");
        assert_eq!(started.status, Some(1), "{started}");
        for words in ["tlsProt", "did you mean tlsPort?", "loud"] {
            let told = if words.starts_with("did") { &checked.stdout } else { &started.stderr };
            assert!(told.contains(words), "{words}: {started}");
        }
    }
    let good = Project::head_office("bonn", &trade::schema());
    assert_eq!(good.run(&["check-config"], "").success().stderr, "");
}

#[test]
fn secrets_are_seen_nowhere() {
    let head = head_office();
    let project = head.project();
    fs::write(project.directory().join("secret"), format!("{CANARY}\n")).unwrap();
    for (section, key, value) in [
        ("DBMan", "url", format!("postgresql://u:{CANARY}@db/demo?password={CANARY}")),
        ("DBMan", "pass", CANARY.to_owned()),
        ("Mailer", "password_file", "secret".to_owned()),
        ("Crypto", "passphrase", CANARY.to_owned()),
        ("Notifications", "passphrase", format!("{CANARY}\nno line {CANARY}")),
    ] {
        project.set(section, key, &value);
    }
    let account = project.root().join("berlin.account");
    let account = account.to_string_lossy();
    let commands: &[&[&str]] = &[
        &["check-config"],
        &["explain-config"],
        &["explain-config", "pass"],
        &["explain-config", CANARY],
        &["status"],
        &["query", "from Node"],
        &["nodes"],
        &["nodes", "add", "berlin", "--export", &account],
        &["conflicts"],
        &["quarantine"],
        &["version"],
        &["start"],
        &["restart"],
        &["stop"],
        &["status"],
    ];
    for environment in [None, Some(CANARY)] {
        for command in commands {
            for json in [false, true] {
                let mut call = project.command(if json { &["--json"] } else { &[] });
                call.args(*command);
                if let Some(value) = environment {
                    call.env("MYTISM_DBMAN_PASS", value)
                        .env("MYTISM_DBMAN_URL", value)
                        .env("MYTISM_MAILER_PASSWORT", value);
                }
                let output = call.output().unwrap();
                let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                let told = told.concat().replace(&format!("section {CANARY}"), "");
                assert!(!told.contains(CANARY), "{command:?}: {told}");
            }
        }
    }
    assert!(!head.log().contains(CANARY));
    let log = fs::read_to_string(project.directory().join("logs").join("mytism.log")).unwrap_or_default();
    assert!(!log.contains(CANARY), "{log}");
}
