//! What a branch holds otherwise than its head office is found, and mended from there.

use std::time::Duration;

use mytism_testkit::{PATIENCE, Project, RunningNode, compare, wait_until, wait_until_in_step};
use rusqlite::Connection;
use serde_json::Value as Json;

use crate::trade::{self, assert_equal, branch, head_office, order};

/// A head office with all that the firm trades and a log of some length, and a branch in step.
fn firm() -> (RunningNode, RunningNode) {
    let head = head_office();
    trade::import_all(head.project());
    (1_000..1_060).for_each(|number| drop(head.project().save(&order(number))));
    let branch = branch(&head, "berlin");
    wait_until_in_step(head.project(), &[branch.project()]);
    (head, branch)
}

fn harm(project: &Project, statements: &str) {
    let database = Connection::open(project.database()).unwrap();
    database.execute_batch(statements).unwrap();
    assert!(database.changes() > 0, "{statements}");
}

fn check(project: &Project) -> Json {
    let is_up = |status: Json| status["role"] == "authoritative" || status["sync"][0]["state"] == "connected";
    wait_until("the line is up", PATIENCE, || is_up(project.status()));
    project.run_json(&["sync", "check"], "").success().json()
}

#[test]
fn unharmed_nodes_differ_in_nothing() {
    let (head, branch) = firm();
    let found = check(branch.project());
    assert_eq!((&found["peer"], &found["missing"], &found["different"]), (&"hamburg".into(), &0.into(), &0.into()));
    let status = head.project().status();
    let least = status["log_position"].as_u64().unwrap() + status["objects"].as_u64().unwrap();
    assert!(found["compared"].as_u64().unwrap() >= least, "{found} of {status}");
    let own = check(head.project());
    assert!(own["peer"].is_null() && own["compared"].as_u64().unwrap() >= least, "{own} of {status}");
    assert_eq!((&own["missing"], &own["different"]), (&0.into(), &0.into()));
}

#[test]
fn damage_of_objects_sets_and_history_is_mended() {
    let (head, mut branch) = firm();
    branch.stop();
    harm(branch.project(), "UPDATE Customer SET City = 'Nowhere' WHERE id IN (SELECT id FROM Customer LIMIT 3)");
    harm(branch.project(), "DELETE FROM \"Order\" WHERE id IN (SELECT id FROM \"Order\" LIMIT 5 OFFSET 100)");
    harm(
        branch.project(),
        "DELETE FROM mytism_object WHERE id IN (SELECT id FROM \"Order\" LIMIT 2 OFFSET 200);
         DELETE FROM \"Order\" WHERE id NOT IN (SELECT id FROM mytism_object)",
    );
    harm(branch.project(), "DELETE FROM mytism_history WHERE object IN (SELECT id FROM Customer LIMIT 2 OFFSET 50)");
    // A row that is noted nowhere, of an object that no log knows.
    harm(branch.project(), "UPDATE Customer SET id = id + 5000000 WHERE id = (SELECT max(id) FROM Customer)");
    harm(branch.project(), "DELETE FROM Group_Members WHERE owner = (SELECT min(owner) FROM Group_Members)");
    let _ready = branch.restart();
    wait_until_in_step(head.project(), &[branch.project()]);
    assert!(!compare(&head.project().database(), &branch.project().database()).is_empty());
    let found = check(branch.project());
    let number = |name: &str| found[name].as_u64().unwrap();
    assert_eq!(number("missing") + number("different"), number("repaired"), "{found}");
    assert!(number("missing") >= 7 && number("different") >= 5, "{found}");
    assert_equal(head.project(), branch.project());
    let again = check(branch.project());
    assert_eq!((&again["missing"], &again["different"]), (&0.into(), &0.into()), "{again}");
}

#[test]
fn damage_at_the_head_office_stays_there_and_is_mended_by_the_log() {
    let (mut head, branch) = firm();
    let good = branch.project().query("select c.id as id, c.City from Customer c order by c.id");
    head.stop();
    harm(head.project(), "UPDATE Customer SET City = 'Nowhere' WHERE id IN (SELECT id FROM Customer LIMIT 3)");
    harm(head.project(), "DELETE FROM Customer WHERE id IN (SELECT id FROM Customer LIMIT 2 OFFSET 5)");
    harm(
        head.project(),
        "DELETE FROM mytism_object WHERE id IN (SELECT id FROM \"Order\" LIMIT 2 OFFSET 200);
         DELETE FROM \"Order\" WHERE id NOT IN (SELECT id FROM mytism_object)",
    );
    harm(head.project(), "DELETE FROM mytism_history WHERE object IN (SELECT id FROM Customer LIMIT 2 OFFSET 50)");
    harm(head.project(), "UPDATE Customer SET id = id + 5000000 WHERE id = (SELECT max(id) FROM Customer)");
    let _ready = head.restart();
    wait_until_in_step(head.project(), &[branch.project()]);
    let up = || branch.project().status()["sync"][0]["state"] == "connected";
    wait_until("the line is up", PATIENCE, up);
    let found = branch.project().run_json(&["sync", "check"], "");
    assert_eq!(found.status, Some(1), "{found:?}");
    let found = &found.documents()[0];
    assert_eq!((&found["repaired"], &found["missing"]), (&0.into(), &0.into()), "{found}");
    assert!(found["different"].as_u64().unwrap() >= 10, "{found}");
    assert!(branch.log().contains("otherwise at hamburg"), "{}", branch.log());
    assert_eq!(branch.project().query("select c.id as id, c.City from Customer c order by c.id"), good);
    // The head office mends itself.
    let own = check(head.project());
    let number = |name: &str| own[name].as_u64().unwrap();
    assert_eq!(number("missing") + number("different"), number("repaired"), "{own}");
    assert!(number("missing") >= 5 && number("different") >= 5, "{own}");
    assert_equal(head.project(), branch.project());
    for project in [head.project(), branch.project()] {
        let again = check(project);
        assert_eq!((&again["missing"], &again["different"]), (&0.into(), &0.into()), "{again}");
    }
}

#[test]
fn a_branch_compares_by_itself_once_a_day_and_tells_when_it_did() {
    let (head, mut branch) = firm();
    assert_eq!(branch.project().status()["last_check"], Json::Null);
    branch.stop();
    harm(branch.project(), "UPDATE Customer SET City = 'Nowhere' WHERE id IN (SELECT id FROM Customer LIMIT 3)");
    let _ready = branch.restart();
    // The line comes up in a moment, and is waited for.
    let found = branch.project().run_json(&["sync", "check"], "").success().json();
    assert_eq!((&found["different"], &found["repaired"]), (&3.into(), &3.into()), "{found}");
    let last = branch.project().status()["last_check"].clone();
    assert_eq!((&last["different"], &last["compared"]), (&3.into(), &found["compared"]), "{last}");
    let shown = branch.project().run(&["status"], "").success().stdout;
    assert!(shown.contains("were wrong, 3 are good now"), "{shown}");
    branch.stop();
    harm(branch.project(), "UPDATE Customer SET City = 'Nowhere' WHERE id IN (SELECT id FROM Customer LIMIT 5)");
    let note = std::fs::File::open(branch.project().directory().join("state/last-check")).unwrap();
    note.set_modified(std::time::SystemTime::now() - Duration::from_secs(2 * 86_400)).unwrap();
    let _ready = branch.restart();
    wait_until("it has compared", PATIENCE * 4, || branch.project().status()["last_check"]["repaired"] == 5);
    assert_equal(head.project(), branch.project());
}

#[test]
fn damage_of_the_log_is_mended_when_the_line_is_up_again() {
    let (head, mut branch) = firm();
    branch.stop();
    harm(branch.project(), "DELETE FROM mytism_log WHERE number IN (20, 21, 40)");
    harm(branch.project(), "UPDATE mytism_log SET bytes = x'00' WHERE number = 30");
    harm(branch.project(), "UPDATE mytism_log SET counter = counter + 1000000 WHERE number = 31");
    let _ready = branch.restart();
    let equal = || compare(&head.project().database(), &branch.project().database()).is_empty();
    wait_until("the log is good again", PATIENCE, equal);
    let log = branch.log();
    assert!(log.contains("3 were missing here and 2 were others than those of hamburg; 5 are good now"), "{log}");
    assert_eq!(check(branch.project())["repaired"], 0);
}

#[test]
fn saves_go_on_while_nodes_are_compared() {
    let (head, mut branch) = firm();
    branch.stop();
    harm(branch.project(), "UPDATE Customer SET City = 'Nowhere' WHERE id IN (SELECT id FROM Customer LIMIT 3)");
    let _ready = branch.restart();
    wait_until_in_step(head.project(), &[branch.project()]);
    std::thread::scope(|scope| {
        let savers = [head.project(), branch.project()].map(|project| {
            let first = if project.name() == "berlin" { 20_000 } else { 10_000 };
            scope.spawn(move || (first..first + 30).for_each(|number| drop(project.save(&order(number)))))
        });
        while savers.iter().any(|saver| !saver.is_finished()) {
            let found = check(branch.project());
            assert_eq!(found["repaired"], found["different"], "{found}");
        }
    });
    wait_until_in_step(head.project(), &[branch.project()]);
    let _last = check(branch.project());
    assert_equal(head.project(), branch.project());
}

#[test]
fn a_head_office_finds_what_is_wrong_with_its_own_log() {
    let (mut head, branch) = firm();
    drop(branch);
    head.stop();
    harm(head.project(), "DELETE FROM mytism_log WHERE number = 20");
    harm(head.project(), "UPDATE mytism_log SET bytes = x'00' WHERE number = 30");
    let found = head.project().run_json(&["sync", "check"], "");
    assert_eq!(found.status, Some(1), "{found:?}");
    let found = &found.documents()[0];
    assert_eq!(
        (&found["missing"], &found["different"], &found["repaired"]),
        (&1.into(), &1.into(), &0.into()),
        "{found}"
    );
}

#[test]
fn a_branch_without_a_line_cannot_be_compared() {
    let (mut head, branch) = firm();
    head.stop();
    wait_until("the line is down", PATIENCE, || branch.project().status()["sync"][0]["state"] == "connecting");
    let _told = branch.project().run_json(&["sync", "check"], "").error(4, "no-line");
}
