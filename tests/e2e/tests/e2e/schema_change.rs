//! The schema changed at a head office while it and its branch run.

use mytism_testkit::wait_until_in_step;

use crate::trade::{assert_equal, branch, customer, head_office, order, schema};

/// The trading company's schema, in which customers have a town in the place of a city, and a note.
fn altered() -> String {
    let text = std::fs::read_to_string(schema()).unwrap();
    let city = text.lines().find(|line| line.contains("name=\"City\"")).unwrap();
    let town = city.replace("name=\"City\"", "name=\"Town\" was=\"City\"");
    let note = "<Attribute name=\"Note\" type=\"string\" max=\"40\" notNull=\"1\" default=\"none\"/>";
    text.replacen(city, &format!("{town}\n{note}"), 1).replacen("<Index on=\"City\"/>", "<Index on=\"Town\"/>", 1)
}

/// D-4
#[test]
fn a_schema_is_changed_while_the_nodes_run() {
    let head = head_office();
    let branch = branch(&head, "berlin");
    customer(head.project(), "A", "London");
    head.project().save(&order(100));
    wait_until_in_step(head.project(), &[branch.project()]);
    let file = head.project().root().join("next.xml");
    std::fs::write(&file, altered()).unwrap();
    let file = file.to_str().unwrap();
    let steps = head.project().run_json(&["schema", "plan", file], "").success().documents();
    let told = |action: &str, name: &str| steps.iter().any(|step| step["action"] == action && step["name"] == name);
    assert!(told("rename", "Customer.Town") && told("add", "Customer.Note"), "{steps:?}");
    let _refused = branch.project().run_json(&["schema", "apply", file], "").error(3, "not-authoritative");
    let saved = head.project().run_json(&["schema", "apply", file], "").success().json();
    assert!(saved["position"].is_number(), "{saved}");
    branch.project().save(&order(200));
    wait_until_in_step(head.project(), &[branch.project()]);
    assert_equal(head.project(), branch.project());
    let query = ["query", "select count(*) as n from Customer c where c.Note = 'none' and c.Town = 'London'"];
    let count = |node: &mytism_testkit::Project| node.run_json(&query, "").success().json()["n"].clone();
    assert_eq!(count(head.project()), count(branch.project()));
    assert_eq!(count(head.project()), 1);
    // What a change filled in stands in no entry, and is right all the same.
    for project in [head.project(), branch.project()] {
        let found = project.run_json(&["sync", "check"], "").success().json();
        assert_eq!((&found["missing"], &found["different"]), (&0.into(), &0.into()), "{found}");
    }
    let again = head.project().run_json(&["schema", "apply", file], "").success().json();
    assert_eq!(again["transaction"], serde_json::Value::Null, "applied twice is applied once");
}
