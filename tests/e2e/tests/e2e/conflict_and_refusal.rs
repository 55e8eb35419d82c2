//! Both sides wanted different things: the head office's value stays and the other one is kept, and what cannot stand
//! beside what is there is withdrawn.

use mytism_testkit::{Project, RunningNode, wait_until_in_step};
use serde_json::{Value as Json, json};

use crate::trade::{assert_equal, branch, customer, head_office, new};

/// A head office and a branch, the line between them cut: the head office's node is down, and what is saved there goes
/// straight to its data.
struct Cut {
    head: RunningNode,
    branch: RunningNode,
}

impl Cut {
    /// With one customer of that key at both.
    fn with_customer(key: &str) -> (Self, u64) {
        let mut head = head_office();
        let id = customer(head.project(), key, "Berlin");
        let branch = branch(&head, "berlin");
        head.stop();
        (Self { head, branch }, id)
    }

    const fn head(&self) -> &Project {
        self.head.project()
    }

    const fn branch(&self) -> &Project {
        self.branch.project()
    }

    fn heal(&mut self) {
        let _ready = self.head.restart();
        wait_until_in_step(self.head(), &[self.branch()]);
        assert_equal(self.head(), self.branch());
    }

    /// What both print for a command; it must be the same.
    #[track_caller]
    fn both(&self, arguments: &[&str]) -> Vec<Json> {
        let lines = self.head().documents(arguments);
        assert_eq!(lines, self.branch().documents(arguments), "{arguments:?}");
        lines
    }
}

fn change(project: &Project, id: u64, values: &Json) {
    project.save(&json!({"description": "changed", "changes": [{"id": id, "values": values}]}));
}

#[test]
fn the_value_of_the_head_office_stays_and_the_other_is_kept() {
    let (mut cut, id) = Cut::with_customer("ALFKI");
    change(cut.branch(), id, &json!({"City": "Bonn", "Phone": "1"}));
    change(cut.head(), id, &json!({"City": "Dresden", "Fax": "2"}));
    cut.heal();

    let values = &cut.both(&["show", &id.to_string()])[0]["values"];
    assert_eq!([&values["City"], &values["Phone"], &values["Fax"]], ["Dresden", "1", "2"]);
    let conflicts = cut.both(&["conflicts"]);
    let [conflict] = &conflicts[..] else { panic!("one conflict was expected: {conflicts:?}") };
    let told = ["attribute", "kept", "other"].map(|name| &conflict[name]);
    assert_eq!((&conflict["object"], told), (&json!(id), ["City", "Dresden", "Bonn"].map(Json::from).each_ref()));
    assert!(conflict["kept_by"].as_str().is_some_and(|who| who.contains("hamburg")), "{conflict}");
    assert!(conflict["other_by"].as_str().is_some_and(|who| who.contains("berlin")), "{conflict}");
    for project in [cut.head(), cut.branch()] {
        let status = project.status();
        assert_eq!((&status["conflicts"], &status["quarantine"]), (&json!(1), &json!(0)), "{status}");
    }
}

#[test]
fn the_same_value_is_no_conflict() {
    let (mut cut, id) = Cut::with_customer("ALFKI");
    change(cut.branch(), id, &json!({"City": "Bonn"}));
    change(cut.head(), id, &json!({"City": "Bonn"}));
    cut.heal();
    assert_eq!(cut.both(&["show", &id.to_string()])[0]["values"]["City"], "Bonn");
    assert!(cut.both(&["conflicts"]).is_empty());
}

#[test]
fn a_value_that_must_be_unique_is_refused_and_withdrawn() {
    let (mut cut, _) = Cut::with_customer("ALFKI");
    let theirs = customer(cut.branch(), "NEUER", "Bonn");
    let ours = customer(cut.head(), "NEUER", "Dresden");
    assert_ne!(ours, theirs, "ids are never given twice");
    let later = customer(cut.branch(), "ANDERER", "Köln");
    cut.heal();

    let found = cut.both(&["query", "from Customer c where c.CustomerID = 'NEUER'"]);
    assert_eq!(found.iter().map(|object| object["id"].as_u64()).collect::<Vec<_>>(), [Some(ours)]);
    for project in [cut.head(), cut.branch()] {
        let _gone = project.run_json(&["show", &theirs.to_string()], "").error(3, "unknown-object");
    }
    let refused = cut.both(&["quarantine"]);
    let [line] = &refused[..] else { panic!("one refusal was expected: {refused:?}") };
    assert_eq!((&line["code"], &line["node"]), (&json!("duplicate-value"), &json!("berlin")), "{line}");
    assert!(line["reason"].as_str().is_some_and(|reason| reason.contains("NEUER")), "{line}");
    assert_eq!(cut.both(&["show", &later.to_string()])[0]["values"]["City"], "Köln", "what came later is not held up");
}

#[test]
fn what_was_deleted_there_and_changed_here_comes_back() {
    let (mut cut, id) = Cut::with_customer("ALFKI");
    cut.head().save(&json!({"description": "gone", "changes": [{"id": id, "delete": true}]}));
    change(cut.branch(), id, &json!({"City": "Bonn"}));
    cut.heal();
    let object = &cut.both(&["show", &id.to_string()])[0];
    assert_eq!((&object["deleted"], &object["values"]["City"]), (&json!(false), &json!("Bonn")), "{object}");
    assert_eq!(cut.both(&["conflicts"]).len(), 1);
}

#[test]
fn members_that_both_sides_add_are_all_there() {
    let mut head = head_office();
    let id = |saved: Json| saved["ids"]["n"].as_u64().expect("an id was given");
    let users = ["ada", "bert", "carl"].map(|name| id(head.project().save(&new("User", &json!({"Name": name})))));
    let members = json!([{"ref": users[0]}]);
    let group = id(head.project().save(&new("Group", &json!({"Name": "sales", "Members": members}))));
    let branch = branch(&head, "berlin");
    head.stop();
    let mut cut = Cut { head, branch };
    change(cut.branch(), group, &json!({"Members": {"add": [{"ref": users[1]}], "remove": [{"ref": users[0]}]}}));
    change(cut.head(), group, &json!({"Members": {"add": [{"ref": users[2]}, {"ref": users[1]}]}}));
    cut.heal();
    let shown = &cut.both(&["show", &group.to_string()])[0]["values"]["Members"];
    let mut found: Vec<_> = shown.as_array().into_iter().flatten().map(|member| member["ref"].as_u64()).collect();
    found.sort_unstable();
    assert_eq!(found, [Some(users[1]), Some(users[2])]);
    assert!(cut.both(&["conflicts"]).is_empty());
}

#[test]
fn what_was_refused_is_shown_and_retried_or_given_up() {
    let (mut cut, there) = Cut::with_customer("THERE");
    let document = json!({"description": "a new one", "changes": [
        {"new": "c", "entity": "Customer", "values": {"CustomerID": "NEUER", "City": "Bonn"}},
        {"id": there, "values": {"Phone": "7"}},
    ]});
    let refused = cut.branch().save(&document)["ids"]["c"].as_u64().expect("an id was given");
    let order = json!({"OrderID": 1, "Customer": {"ref": refused}});
    cut.branch().save(&new("Order", &order));
    let _taken = customer(cut.branch(), "ZWEITER", "Ulm");
    let _ours = customer(cut.head(), "NEUER", "Dresden");
    let _ours = customer(cut.head(), "ZWEITER", "Dresden");
    cut.heal();

    let found = cut.both(&["quarantine"]);
    let numbers: Vec<String> = found.iter().map(|line| line["position"].to_string()).collect();
    let [first, second, third] = &numbers[..] else { panic!("three refusals were expected: {found:?}") };
    assert_eq!(found[1]["builds_on"], found[0]["transaction"]);
    let shown = &cut.both(&["quarantine", "show", first])[0];
    let changes = shown["changes"].as_array().expect("a list of changes");
    let phone = changes.iter().find(|change| change["attribute"] == "Phone").expect("the change of the phone");
    assert_eq!((&phone["object"], &phone["wanted"], &phone["now"]), (&json!(there), &json!("7"), &Json::Null));

    let _again = cut.branch().run_json(&["quarantine", "retry", first], "").error(3, "duplicate-value");
    let other = format!("{refused}.CustomerID=ANDERER");
    let _saved = cut.branch().documents(&["quarantine", "retry", first, "--set", &other]);
    let _saved = cut.branch().documents(&["quarantine", "retry", second]);
    let _saved = cut.head().documents(&["quarantine", "discard", third]);
    wait_until_in_step(cut.head(), &[cut.branch()]);
    assert_equal(cut.head(), cut.branch());
    let found = cut.both(&["query", "select o.OrderID, o.Customer.CustomerID as k, o.Customer.City as c from Order o"]);
    assert_eq!((&found[0]["k"], &found[0]["c"], found.len()), (&json!("ANDERER"), &json!("Bonn"), 1));
    assert_eq!(cut.both(&["show", &there.to_string()])[0]["values"]["Phone"], "7");
    assert!(cut.both(&["quarantine"]).is_empty());
    let settled = cut.both(&["quarantine", "--all"]);
    let told: Vec<_> = settled.iter().map(|line| [&line["settled"]["action"], &line["settled"]["node"]]).collect();
    let expected =
        [["edited", "berlin"], ["retried", "berlin"], ["discarded", "hamburg"]].map(|pair| pair.map(Json::from));
    assert_eq!(told, expected.each_ref().map(|pair| pair.each_ref()));
    for project in [cut.head(), cut.branch()] {
        assert_eq!(project.status()["quarantine"], 0);
        let _gone = project.run_json(&["quarantine", "discard", first], "").error(3, "refusal-settled");
    }
}
