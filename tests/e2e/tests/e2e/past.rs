//! Asking for the past and undoing, with the real program: at a running head office, at a branch, and at a project whose
//! node does not run.

use mytism_schema::demo::tables;
use mytism_testkit::{Project, wait_until_in_step};
use serde_json::{Value as Json, json};

use crate::trade::{assert_equal, branch, customer, head_office, import, table};

fn city(project: &Project, id: u64, as_of: Option<&str>) -> Json {
    let id = id.to_string();
    let mut arguments = vec!["show", &id];
    as_of.iter().for_each(|as_of| arguments.extend(["--as-of", as_of]));
    project.documents(&arguments).remove(0)["values"]["City"].clone()
}

fn move_to(project: &Project, id: u64, city: &str) -> Json {
    project.save(&json!({"description": "moved", "changes": [{"id": id, "values": {"City": city}}]}))
}

#[test]
fn the_past_answers_on_every_node() {
    let mut head = head_office();
    let id = customer(head.project(), "ALFKI", "Berlin");
    let mut branch = branch(&head, "berlin");
    let before = head.project().status()["log_position"].to_string();
    let then = {
        move_to(head.project(), id, "Bonn");
        let lines = head.project().documents(&["history", &id.to_string(), "--attribute", "City"]);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!((&lines[1]["old"], &lines[1]["new"]), (&json!("Berlin"), &json!("Bonn")));
        lines[1]["position"].to_string()
    };
    wait_until_in_step(head.project(), &[branch.project()]);
    move_to(branch.project(), id, "Köln");
    let check = |project: &Project| {
        assert_eq!(city(project, id, Some(&before)), "Berlin");
        assert_eq!(city(project, id, Some(&then)), "Bonn");
        let found = |as_of: &str| {
            project.documents(&["query", "select count(*) as n from Customer where City = 'Berlin'", "--as-of", as_of])
        };
        assert_eq!(found(&before), [json!({"n": 1})]);
        assert_eq!(found(&then), [json!({"n": 0})]);
        assert_eq!(found("2001-01-01"), [json!({"n": 0})]);
        let _later = project.run_json(&["query", "from Customer", "--as-of", "999999"], "").error(3, "not-yet");
        let _wrong = project.run_json(&["show", &id.to_string(), "--as-of", "soon"], "").error(2, "wrong-time");
    };
    check(head.project());
    check(branch.project());
    assert_eq!(city(branch.project(), id, None), "Köln", "what is seen there is another matter");
    wait_until_in_step(head.project(), &[branch.project()]);
    head.stop();
    branch.stop();
    check(head.project());
    check(branch.project());
}

#[test]
fn an_undo_says_what_it_does_and_what_it_leaves() {
    let head = head_office();
    let project = head.project();
    let (a, b) = (customer(project, "A", "Berlin"), customer(project, "B", "Berlin"));
    let change = |id: u64| json!({"id": id, "values": {"City": "Bonn"}});
    let both = project.save(&json!({"description": "moved", "changes": [change(a), change(b)]}));
    let both = both["transaction"].as_str().unwrap().to_owned();
    let later = move_to(project, a, "Köln");

    let output = project.run_json(&["undo", &both], "");
    let lines = output.documents();
    let _refused = output.error(3, "undo-conflict");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let values = ["attribute", "before", "then", "now", "conflict"].map(|name| lines[0][name].as_str().unwrap());
    assert_eq!(values, ["City", "Berlin", "Bonn", "Köln", "changed-since"]);
    assert_eq!((&lines[0]["object"], &lines[0]["transaction"]), (&json!(a), &later["transaction"]));
    assert_eq!((city(project, a, None), city(project, b, None)), (json!("Köln"), json!("Bonn")), "nothing was done");

    let dry = project.documents(&["undo", &both, "--keep-later", "--dry-run"]);
    assert_eq!((dry.len(), &dry[2]["objects"], &dry[2]["left"]), (3, &json!(1), &json!(1)), "{dry:?}");
    assert_eq!(city(project, b, None), "Bonn", "nothing was done");
    let undone = project.documents(&["undo", &both, "--keep-later"]).pop().unwrap();
    assert_eq!((city(project, a, None), city(project, b, None)), (json!("Köln"), json!("Berlin")));
    assert_eq!((&undone["state"], &undone["left"]), (&json!("accepted"), &json!(1)));

    let again = undone["transaction"].as_str().unwrap();
    assert_eq!(project.documents(&["undo", again]).len(), 1);
    assert_eq!(city(project, b, None), "Bonn");
    let _unknown = project.run_json(&["undo", "7-7-7"], "").error(3, "unknown-transaction");
    let _schema = project.run_json(&["undo", "1-1-1"], "").error(3, "undo-schema");
    let _wrong = project.run_json(&["undo", "seven"], "").error(2, "wrong-use");
}

#[test]
fn an_import_goes_and_comes_back_at_all_nodes() {
    let mut head = head_office();
    for name in ["Employee", "Customer"] {
        import(head.project(), table(name));
    }
    let branch = branch(&head, "berlin");
    let count = |project: &Project, entity: &str| {
        project.query(&format!("select count(*) as n from {entity}")).remove(0)["n"].clone()
    };
    let (before, customers) = (count(head.project(), "Employee"), count(head.project(), "Customer"));
    let run = import(branch.project(), tables().iter().find(|table| table.entity == "Shipper").unwrap());
    let run = run["import"].as_str().unwrap().to_owned();
    let undone = branch.project().documents(&["undo", &run]).pop().unwrap();
    assert_eq!(count(branch.project(), "Shipper"), 0);
    wait_until_in_step(head.project(), &[branch.project()]);
    assert_eq!(count(head.project(), "Shipper"), 0);
    head.stop();
    let _ready = head.restart();
    let again = undone["transaction"].as_str().unwrap();
    assert_eq!(head.project().documents(&["undo", again]).len(), 1);
    assert_ne!(count(head.project(), "Shipper"), 0);
    assert_eq!((count(head.project(), "Employee"), count(head.project(), "Customer")), (before, customers));
    wait_until_in_step(head.project(), &[branch.project()]);
    assert_equal(head.project(), branch.project());
}
