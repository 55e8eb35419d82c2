//! Backups of nodes that run, and what is restored from them: to the same place, to another machine, in the middle of
//! which everything ends, and from backups that are damaged.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use mytism_testkit::{PATIENCE, Project, RunningNode, wait_until, wait_until_in_step};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value as Json, json};

use crate::kills::{Dice, Known, Savers, rounds, soundness};
use crate::trade::{assert_equal, branch, customer, head_office};

/// Rounds under load, and for the night.
const ROUNDS: (u64, u64) = (4, 25);
/// Restores that are killed, and for the night.
const KILLS: (u64, u64) = (12, 150);

fn back_up(project: &Project) -> Json {
    project.documents(&["backup"]).remove(0)
}

fn name_of(backup: &Json) -> &str {
    backup["name"].as_str().unwrap()
}

fn keys(project: &Project) -> Vec<String> {
    let rows = project.query("select c.CustomerID as k from Customer c order by c.CustomerID");
    rows.iter().map(|row| row["k"].as_str().unwrap().to_owned()).collect()
}

/// Another machine, to which a backup and the node's key were brought.
fn other_machine(project: &Project, backup: &str) -> Project {
    let other = Project::empty(project.name());
    copy(&project.directory().join("backups").join(backup), &other.directory().join("backups").join(backup));
    copy(&project.directory().join("keys"), &other.directory().join("keys"));
    other
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// Hashes of the entries of a log up to a number.
fn hashes(database: &Path, up_to: u64) -> Vec<Vec<u8>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(database, flags).unwrap();
    let text = format!("SELECT hash FROM mytism_log WHERE number <= {up_to} ORDER BY number");
    let mut statement = connection.prepare(&text).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn a_backup_under_load_is_what_the_log_said_at_its_position() {
    let mut dice = Dice::from_environment();
    let node = head_office();
    let project = node.project();
    let mut known = Known::default();
    for round in 0..rounds(ROUNDS.0, ROUNDS.1) {
        let savers = Savers::start(project, &known, &mut dice, round);
        savers.wait_for(1 + dice.below(60));
        let backup = back_up(project);
        let after = project.status()["log_position"].as_u64().unwrap();
        savers.stop();
        savers.end(&mut known);
        let position = backup["position"].as_u64().unwrap();
        assert!(position > 0 && position <= after, "{backup}");
        let verified = project.documents(&["backup", "verify", name_of(&backup)]).remove(0);
        assert_eq!((&verified["entries"], &verified["objects"]), (&backup["position"], &backup["objects"]));
        let other = other_machine(project, name_of(&backup));
        let restored = other.documents(&["restore", name_of(&backup), "--yes"]).remove(0);
        assert_eq!((&restored["state"], &restored["live_position"]), (&json!("restored"), &Json::Null), "{restored}");
        // It is the log of the node up to the position, word for word, and the tables are what that log says.
        assert_eq!(hashes(&other.database(), position), hashes(&project.database(), position), "round {round}");
        let findings = soundness::findings(&other.database());
        assert!(findings.is_empty(), "round {round}:\n{}", findings.join("\n"));
        let status = other.status();
        assert_eq!(status["objects"], backup["objects"], "{status}");
        // The restored one goes on in a reign of its own.
        assert_eq!((&status["epoch"], &status["log_position"]), (&json!(2), &json!(position + 1)), "{status}");
    }
    let listed = project.documents(&["backup", "list"]);
    assert_eq!(listed.len() as u64, rounds(ROUNDS.0, ROUNDS.1), "{listed:?}");
    assert!(listed.iter().all(|backup| backup["verified"].is_string() && backup["error"].is_null()), "{listed:?}");
    let status = project.status();
    assert_eq!(status["last_backup"], listed[listed.len() - 1]["made"], "{status}");
    assert!(status["last_verified_backup"].is_string(), "{status}");
}

#[test]
fn a_restored_head_office_gets_back_what_its_branches_have() {
    let mut head = head_office();
    let berlin = branch(&head, "berlin");
    customer(head.project(), "A", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project()]);
    let backup = back_up(head.project());
    let second = back_up(head.project());
    assert_ne!(name_of(&backup), name_of(&second), "two in a minute have two names");
    customer(head.project(), "B", "Bonn");
    let first_id = customer(berlin.project(), "C", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project()]);
    let restore = ["restore", name_of(&backup), "--yes"];
    let _running = head.project().run_json(&restore, "").error(1, "project-in-use");
    head.stop();
    // What will be done is told, and nothing is done.
    let planned = head.project().documents(&["restore", name_of(&backup), "--dry-run"]).remove(0);
    let customers = json!([{"entity": "Customer", "appear": 0, "disappear": 2, "change": 0}]);
    assert_eq!((&planned["differences"], &planned["state"]), (&customers, &json!("planned")), "{planned}");
    assert_eq!(planned["later"], json!(2), "{planned}");
    let _asked = head.project().run_json(&["restore", name_of(&backup)], "").error(3, "not-confirmed");
    assert_eq!(keys(head.project()), ["A", "B", "C"]);
    assert_eq!(left_overs(head.project()), [""; 0]);

    let text = head.project().run(&restore, "").success().stdout;
    assert!(text.contains("2 transactions come after this backup") && text.contains("Customer -2"), "{text}");
    let listed = head.project().documents(&["backup", "list"]);
    assert_eq!(listed.len(), 3, "what was there is backed up: {listed:?}");
    assert_eq!(left_overs(head.project()).len(), 1);
    let gone = head.project().documents(&["restore", "--forget"]).remove(0);
    assert_eq!(gone["forgotten"].as_array().unwrap().len(), 1, "{gone}");
    assert_eq!(left_overs(head.project()), [""; 0]);
    head.restart();
    wait_until("the new epoch begins", PATIENCE, || head.project().status()["state"] == "ruling");
    wait_until_in_step(head.project(), &[berlin.project()]);
    assert_eq!(keys(head.project()), ["A", "B", "C"]);
    assert_eq!(head.project().status()["epoch"], 2);
    let next = customer(head.project(), "D", "Bonn");
    assert!(next != first_id && keys(head.project()).len() == 4);
    wait_until_in_step(head.project(), &[berlin.project()]);
    assert_equal(head.project(), berlin.project());
}

/// What restores have left in a project.
fn left_overs(project: &Project) -> Vec<String> {
    let names = fs::read_dir(project.directory()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("data.")).collect()
}

#[test]
fn a_restored_branch_begins_a_new_life() {
    let head = head_office();
    let mut berlin = branch(&head, "berlin");
    customer(berlin.project(), "A", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project()]);
    let backup = back_up(berlin.project());
    let used = customer(berlin.project(), "B", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project()]);
    berlin.stop();
    customer(berlin.project(), "waits", "Bonn");
    let planned = berlin.project().documents(&["restore", name_of(&backup), "--dry-run"]).remove(0);
    assert_eq!(planned["pending"], 1, "{planned}");
    let _restored = berlin.project().documents(&["restore", name_of(&backup), "--yes"]);
    // It gives no id of the life before, so it makes nothing before it has met the head office.
    let new =
        json!({"changes": [{"new": "n", "entity": "Customer", "values": {"CustomerID": "X", "CompanyName": "X"}}]});
    let _refused = berlin.project().run_json(&["save"], &new.to_string()).error(3, "out-of-ids");
    berlin.restart();
    wait_until_in_step(head.project(), &[berlin.project()]);
    assert_eq!(keys(berlin.project()), ["A", "B"]);
    let fresh = customer(berlin.project(), "C", "Bonn");
    assert_ne!(fresh, used);
    let saved = berlin.project().save(&crate::trade::new("Customer", &json!({"CustomerID": "D", "CompanyName": "D"})));
    assert!(!saved["transaction"].as_str().unwrap().starts_with("2-1-"), "{saved}");
    wait_until_in_step(head.project(), &[berlin.project()]);
    assert_equal(head.project(), berlin.project());
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_data_or_the_new() {
    let mut dice = Dice::from_environment();
    let mut head = head_office();
    let project = head.project().clone();
    customer(&project, "A", "Bonn");
    let backup = back_up(&project);
    customer(&project, "B", "Bonn");
    head.stop();
    let mut seen = [0, 0];
    for round in 0..rounds(KILLS.0, KILLS.1) {
        let mut restore = project.command(&["restore", name_of(&backup), "--yes"]);
        let mut child = restore.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Any moment is as good as another; a whole restore takes about as long.
        std::thread::sleep(Duration::from_micros(dice.below(180_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = keys(&project);
        let is_new = found == ["A"];
        assert!(is_new || found == ["A", "B"], "round {round}: {found:?}");
        seen[usize::from(is_new)] += 1;
        let findings = soundness::findings(&project.database());
        assert!(findings.is_empty(), "round {round}:\n{}", findings.join("\n"));
        if is_new {
            customer(&project, "B", "Bonn");
        }
        let _gone = project.documents(&["restore", "--forget"]);
    }
    // Where it was killed too early or too late each time, a whole one is looked at.
    let _restored = project.documents(&["restore", name_of(&backup), "--yes"]);
    assert_eq!(keys(&project), ["A"], "{seen:?}");
    assert_eq!(left_overs(&project).len(), 1, "nothing remains of broken-off restores");
    head.restart();
    customer(&project, "C", "Bonn");
}

#[test]
fn a_broken_backup_changes_nothing() {
    let mut head = head_office();
    let project = head.project().clone();
    customer(&project, "A", "Bonn");
    let backup = back_up(&project);
    let path = project.directory().join("backups").join(name_of(&backup));
    customer(&project, "B", "Bonn");
    let _keys = project.run_json(&["backup", "--with-keys"], "").error(2, "not-in-this-version");
    head.stop();
    let broken = project.directory().join("backups").join("broken");
    let check = |code: &str, status: i32, damage: &dyn Fn(&Path)| {
        let _absent = fs::remove_dir_all(&broken);
        copy(&path, &broken);
        damage(&broken);
        let _error = project.run_json(&["restore", "broken", "--yes"], "").error(status, code);
        let _error = project.run_json(&["backup", "verify", "broken"], "").error(status, code);
        assert_eq!((keys(&project), left_overs(&project).len()), (vec!["A".to_owned(), "B".to_owned()], 0), "{code}");
    };
    let change = |name: &'static str, at: usize| {
        move |backup: &Path| {
            let mut bytes = fs::read(backup.join(name)).unwrap();
            bytes[at] ^= 1;
            fs::write(backup.join(name), bytes).unwrap();
        }
    };
    check("backup-damaged", 1, &change("000001.zst", 100));
    check("backup-damaged", 1, &change("000002.zst", 0));
    check("backup-damaged", 1, &change("manifest.json", 200));
    check("backup-damaged", 1, &|backup| fs::remove_file(backup.join("000001.zst")).unwrap());
    check("backup-damaged", 1, &|backup| fs::write(backup.join("manifest.json"), "{").unwrap());
    check("unknown-backup", 2, &|backup| fs::remove_file(backup.join("manifest.json")).unwrap());
    check("unknown-backup", 2, &|backup| fs::remove_dir_all(backup).unwrap());
    check("newer-backup", 1, &|backup| {
        let text = fs::read_to_string(backup.join("manifest.json")).unwrap();
        fs::write(backup.join("manifest.json"), text.replace("\"format\": 1", "\"format\": 7")).unwrap();
    });
    let listed = project.documents(&["backup", "list"]);
    assert!(listed.iter().any(|backup| backup["error"]["code"] == "newer-backup"), "{listed:?}");

    // A node does not take the data of another one.
    let bonn = Project::head_office("bonn", &crate::trade::schema());
    let path = path.to_string_lossy();
    let _other = bonn.run_json(&["restore", &path, "--yes"], "").error(3, "other-node");
    assert_eq!(bonn.status()["node"], "bonn");
}

#[test]
fn a_backup_of_a_damaged_database_is_not_proven() {
    let damages = [
        "UPDATE mytism_log SET hash = zeroblob(32) WHERE number = 2",
        "UPDATE mytism_log SET bytes = (SELECT bytes FROM mytism_log WHERE number = 2) WHERE number = 3",
        "DELETE FROM mytism_log WHERE number = 2",
        "DROP VIEW Customer_view",
    ];
    for damage in damages {
        let project = Project::head_office("hamburg", &crate::trade::schema());
        customer(&project, "A", "Bonn");
        Connection::open(project.database()).unwrap().execute_batch(damage).unwrap();
        let backup = back_up(&project);
        let _damaged = project.run_json(&["backup", "verify", name_of(&backup)], "").error(1, "backup-damaged");
    }
}

#[test]
fn data_that_cannot_be_read_are_replaced_and_kept() {
    let mut head = head_office();
    let project = head.project().clone();
    customer(&project, "A", "Bonn");
    let backup = back_up(&project);
    customer(&project, "B", "Bonn");
    head.kill9();
    for name in ["objects.db-wal", "objects.db-shm"] {
        fs::remove_file(project.database().with_file_name(name)).unwrap();
    }
    fs::write(project.database(), "no database").unwrap();
    let _broken = project.run_json(&["query", "from Customer"], "").error(1, "database-damaged");
    let restored = project.documents(&["restore", name_of(&backup), "--yes"]).remove(0);
    assert_eq!((&restored["live_position"], &restored["safety_backup"]), (&Json::Null, &Json::Null), "{restored}");
    assert_eq!(keys(&project), ["A"]);
    let old = restored["old_data"].as_str().unwrap();
    assert_eq!(fs::read_to_string(Path::new(old).join("objects.db")).unwrap(), "no database");
    head.restart();
    customer(&project, "C", "Bonn");
}

#[test]
fn a_branch_is_set_up_from_a_backup_of_its_head_office() {
    let head = head_office();
    let project = head.project();
    customer(project, "A", "Bonn");
    let old = back_up(project);
    let account = project.account("berlin");
    let prepare = |backup: &str, more: &[&str]| {
        project.run_json(&[&["prepare-backup-for-node-setup", backup], more].concat(), "")
    };
    let refused = prepare(name_of(&old), &[]).error(3, "backup-too-old");
    assert!(refused["message"].as_str().unwrap().contains("before the node was added"), "{refused}");
    let _second = project.account("bonn");
    let backup = back_up(project);
    let several = prepare(name_of(&backup), &[]).error(2, "wrong-use");
    assert!(several["message"].as_str().unwrap().contains("berlin, bonn"), "{several}");
    let prepared = prepare(name_of(&backup), &["--node", "berlin"]).success().json();
    let name = name_of(&prepared);
    assert_eq!((name, &prepared["node"]), (&*format!("{}_for_node_setup", name_of(&backup)), &json!("berlin")));
    assert_eq!(project.documents(&["backup", "verify", name])[0]["objects"], backup["objects"]);
    customer(project, "later", "Bonn");

    // The other machine.
    let berlin = Project::empty("berlin");
    copy(&project.directory().join("backups").join(name), &berlin.directory().join("backups").join(name));
    let restore = ["restore", name];
    let _account = berlin.run_json(&restore, "").error(2, "wrong-account-file");
    let place = berlin.directory().join(".init-syncaccount");
    fs::copy(project.root().join("bonn.init-syncaccount"), &place).unwrap();
    let _other = berlin.run_json(&restore, "").error(3, "wrong-account");
    assert!(!berlin.config_file().exists() && !berlin.database().exists());
    fs::copy(account, &place).unwrap();
    let restored = berlin.documents(&restore).remove(0);
    assert_eq!((&restored["state"], &restored["position"]), (&json!("restored"), &backup["position"]));
    berlin.retry_soon();
    let _waits = berlin.run_json(&["query", "from Customer"], "").error(3, "not-joined");
    let _again = berlin.run_json(&restore, "").error(1, "project-exists");
    let berlin = RunningNode::start(&berlin);
    assert!(!place.exists(), "the account is used up");
    wait_until_in_step(project, &[berlin.project()]);
    assert_eq!(keys(berlin.project()), ["A", "later"]);
    customer(berlin.project(), "B", "Bonn");
    wait_until_in_step(project, &[berlin.project()]);
    assert_equal(project, berlin.project());
    // Once.
    let twin = Project::empty("berlin");
    copy(&project.directory().join("backups").join(name), &twin.directory().join("backups").join(name));
    fs::copy(project.root().join("berlin.init-syncaccount"), twin.directory().join(".init-syncaccount")).unwrap();
    let _restored = twin.documents(&restore);
    let _used = twin.run_json(&["start"], "").error(3, "wrong-account");
    let joined = prepare(name_of(&back_up(project)), &["--node", "berlin"]);
    let _joined = joined.error(3, "node-exists");
    let branch_backup = back_up(berlin.project());
    let wrong = berlin.project().run_json(&["prepare-backup-for-node-setup", name_of(&branch_backup)], "");
    let _wrong = wrong.error(3, "not-authoritative");
}

#[test]
fn a_branch_without_its_marker_gives_up_its_ids() {
    let head = head_office();
    let mut berlin = branch(&head, "berlin");
    customer(berlin.project(), "A", "Bonn");
    wait_until_in_step(head.project(), &[berlin.project()]);
    let marker = |name: &str| berlin.project().directory().join(name);
    for name in
        [".checked-metadata", ".checked-initialdata", ".checked-firstnodestart", ".checked-sync", ".init-keygen"]
    {
        assert!(marker(name).exists(), "{name}");
        fs::remove_file(marker(name)).unwrap();
    }
    let sync = marker(".checked-sync");
    berlin.restart();
    wait_until("it has met the head office", PATIENCE, || sync.exists());
    wait_until_in_step(head.project(), &[berlin.project()]);
    let saved = berlin.project().save(&crate::trade::new("Customer", &json!({"CustomerID": "B", "CompanyName": "B"})));
    assert!(!saved["transaction"].as_str().unwrap().starts_with("2-1-"), "a new life: {saved}");
    // A check that finds something is told, and done again at the next start.
    berlin.stop();
    Connection::open(berlin.project().database()).unwrap().execute_batch("DROP VIEW Customer_view").unwrap();
    fs::remove_file(berlin.project().directory().join(".checked-metadata")).unwrap();
    for _ in 0..2 {
        let _damaged = berlin.project().run_json(&["start"], "").error(1, "database-damaged");
    }
}

#[test]
fn contents_of_files_stand_once_in_all_backups_and_come_back() {
    let project = Project::head_office("hamburg", &crate::trade::schema());
    // The BLAKE3 hash of `abc`.
    let name = "whole/64/6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    let place = |project: &Project| project.directory().join("blobs").join(name);
    fs::create_dir_all(place(&project).parent().unwrap()).unwrap();
    fs::write(place(&project), "abc").unwrap();
    let first = back_up(&project);
    let second = back_up(&project);
    assert_eq!((&first["blobs"], &second["blobs"]), (&json!(1), &json!(1)));
    let store = project.directory().join("backups").join(".contents");
    assert_eq!(fs::read_to_string(store.join(name)).unwrap(), "abc");
    let verify = || project.run_json(&["backup", "verify", name_of(&first)], "");
    let _proven = verify().success();
    // On another machine, with the contents beside the backup.
    let other = other_machine(&project, name_of(&first));
    let restore = ["restore", name_of(&first), "--yes"];
    let _missing = other.run_json(&restore, "").error(1, "backup-damaged");
    copy(&store, &other.directory().join("backups").join(".contents"));
    let _restored = other.documents(&restore);
    assert_eq!(fs::read_to_string(place(&other)).unwrap(), "abc");
    let listed = project.documents(&["backup", "list"]);
    assert_eq!(listed[0]["bytes"], first["bytes"]);
    // Of the right length, and not what it was.
    let other_store = other.directory().join("backups/.contents").join(name);
    for damaged in ["ab", "abd"] {
        fs::write(store.join(name), damaged).unwrap();
        let _found = verify().error(1, "backup-damaged");
        fs::write(&other_store, damaged).unwrap();
        let _absent = fs::remove_file(place(&other));
        let _refused = other.run_json(&restore, "").error(1, "backup-damaged");
        assert!(!place(&other).exists());
    }
}

#[test]
fn secrets_and_keys_are_in_no_backup() {
    let project = Project::head_office("hamburg", &crate::trade::schema());
    project.set("Mailer", "password", "hunter2");
    // Straight from the data, since no node runs.
    let backup = back_up(&project);
    let other = Project::empty("hamburg");
    let path = project.directory().join("backups").join(name_of(&backup));
    copy(&path, &other.directory().join("backups").join(name_of(&backup)));
    let planned = other.documents(&["restore", name_of(&backup), "--dry-run"]).remove(0);
    assert!(planned["missing_key"].as_str().unwrap().ends_with("keys/node.key"), "{planned}");
    assert!(!other.config_file().exists());
    let _restored = other.documents(&["restore", name_of(&backup), "--yes"]);
    let text = fs::read_to_string(other.config_file()).unwrap();
    assert!(text.contains("nodeName = hamburg") && !text.contains("hunter2"), "{text}");
    let _keyless = other.run_json(&["start"], "").error(1, "key-error");
    copy(&project.directory().join("keys"), &other.directory().join("keys"));
    let node = RunningNode::start(&other);
    customer(node.project(), "A", "Bonn");
}
