//! Failures that need more than a wrong call: a schema of their own, many objects, large ones, days that pass, or a log
//! that lacks its beginning.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use mytism_testkit::{Project, RunningNode};
use rusqlite::Connection;
use serde_json::{Value as Json, json};

use crate::trade::{customer, head_office, new, schema};

/// A head office at rest with a schema of its own.
fn with_schema(text: &str) -> Project {
    let directory = Project::empty("schema");
    let file = directory.root().join("own.xml");
    fs::write(&file, text).unwrap();
    Project::head_office("hamburg", &file)
}

#[test]
fn an_abstract_entity_has_no_objects_of_its_own() {
    let project = with_schema(
        r#"<Schema name="own">
            <Entity name="Person" abstract="1"><Attribute name="Name" type="string"/></Entity>
            <Entity name="Author" extends="Person"/>
        </Schema>"#,
    );
    let save = |entity: &str| project.run_json(&["save"], &new(entity, &json!({"Name": "Kafka"})).to_string());
    let _made = save("Author").success();
    let error = save("Person").error(2, "abstract-entity");
    assert!(error.to_string().contains("Person"), "{error}");
    assert_eq!(project.query("select p.Name as n from Person p"), [json!({"n": "Kafka"})]);
}

#[test]
fn more_objects_than_one_save_or_follower_can_look_at_are_refused() {
    const ORDERS: u32 = 100_001;
    let project = Project::head_office("hamburg", &schema());
    let id = customer(&project, "ALFKI", "Berlin");
    let mut rows = String::from("OrderID,Customer\n");
    (1..=ORDERS).for_each(|number| writeln!(rows, "{number},ALFKI").unwrap());
    let file = project.root().join("orders.csv");
    fs::write(&file, rows).unwrap();
    let _imported = project.run_json(&["import", &file.to_string_lossy(), "--entity", "Order"], "").success();
    let delete = json!({"changes": [{"id": id, "delete": true}]}).to_string();
    let _error = project.run_json(&["save"], &delete).error(3, "too-many-references");
    let orders = project.query("select count(*) as n from Order o where o.Customer = 'ALFKI'");
    assert_eq!(orders, [json!({"n": ORDERS})]);
    let _head = RunningNode::start(&project);
    let _error = project.run_json(&["query", "--follow", "from Order o"], "").error(3, "too-many-rows");
}

#[test]
fn an_answer_is_no_larger_than_a_message() {
    // Each value fits into a transaction, together they fit into no answer.
    const ATTRIBUTES: usize = 6;
    let attributes: String =
        (0..ATTRIBUTES).map(|number| format!("<Attribute name=\"Text{number}\" type=\"text\"/>")).collect();
    let project = with_schema(&format!(r#"<Schema name="own"><Entity name="Book">{attributes}</Entity></Schema>"#));
    let saved = project.save(&new("Book", &json!({})));
    let id = saved["ids"]["n"].as_u64().unwrap();
    let text = "x".repeat(15 << 20);
    for number in 0..ATTRIBUTES {
        let values = json!({format!("Text{number}"): text});
        let _saved = project.save(&json!({"changes": [{"id": id, "values": values}]}));
    }
    let node = RunningNode::start(&project);
    let _error = project.run_json(&["show", &id.to_string()], "").error(1, "answer-too-large");
    assert_eq!(project.query("select count(*) as n from Book"), [json!({"n": 1})], "the node goes on");
    drop(node);
}

#[test]
fn an_account_ends_with_its_date() {
    let head = head_office();
    let project = head.project();
    let account = project.account("berlin");
    let node: Vec<Json> = project.query("select n.id as id from Node n where n.Name = 'berlin'");
    let past = json!({"changes": [{"id": node[0]["id"], "values": {"EnrolmentUntil": "2020-01-01T00:00:00Z"}}]});
    let _saved = project.save(&past);
    let branch = Project::empty("berlin");
    let _error = branch.join(&account).error(3, "account-expired");
}

#[test]
fn a_log_without_its_beginning_shows_no_past() {
    let project = Project::head_office("hamburg", &schema());
    for key in ["A", "B", "C"] {
        let _id = customer(&project, key, "Berlin");
    }
    let cut = "DELETE FROM mytism_log WHERE number <= 2";
    Connection::open(project.database()).unwrap().execute_batch(cut).unwrap();
    let count = |as_of| project.run_json(&["query", "select count(*) as n from Customer", "--as-of", as_of], "");
    assert_eq!(count("3").success().json(), json!({"n": 1}));
    let _error = count("1").error(3, "past-unknown");
    let _error = count("0").error(3, "past-unknown");
}

#[test]
fn a_demonstration_whose_program_is_gone_says_so() {
    let project = Project::empty("demo");
    let program = project.root().join("mytism");
    fs::copy(project.binary().path(), &program).unwrap();
    // The shell holds the file open, so that it can still be run once its name is gone.
    let script = "exec 9<\"$0\" && rm \"$0\" && exec /proc/self/fd/9 --json demo --once";
    let output = Command::new("sh").args(["-c", script]).arg(&program).output().unwrap();
    let error: Json = serde_json::from_slice(&output.stderr).unwrap_or_default();
    assert_eq!((output.status.code(), &error["error"]["code"]), (Some(1), &json!("demo-command")), "{output:?}");
}
