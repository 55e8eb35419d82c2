//! A head office whose data are in PostgreSQL: everything works as with files, for itself and for a branch that has
//! files, and its data can be moved to the other engine and back.

use mytism_testkit::{PostgresServer, Project, RunningNode, wait_until, wait_until_in_step};
use serde_json::json;

use crate::trade::{import_all, schema};

fn head_office(server: &PostgresServer) -> (Project, String) {
    let (project, address) = (Project::empty("hamburg"), server.database());
    let schema = schema();
    let schema = schema.to_string_lossy();
    let arguments = ["init", "--schema", &schema, "--name", "hamburg", "--tls-port", "0", "--store", "postgres"];
    let made = project.run_json(&[&arguments[..], &["--url", &address]].concat(), "").success().json();
    assert!(made["database"].as_str().unwrap().starts_with("postgresql:"), "{made}");
    project.set("SyncService", "advertise", &format!("127.0.0.1:{}", project.setting("tlsPort")));
    (project, address)
}

fn counts(project: &Project) -> Vec<serde_json::Value> {
    let mut counts = project.query("select count(*) as n from Order");
    counts
        .extend(project.query(
            "select o.ShipCountry as c, count(*) as n, sum(o.Freight) as f from Order o group by o.ShipCountry",
        ));
    counts.extend(project.query("from Customer c where c.City like 'B%' order by c.CompanyName desc limit 5"));
    counts
}

#[test]
fn a_head_office_on_a_server_and_a_branch_with_files() {
    let Some(server) = PostgresServer::start_new() else { return };
    let (head, address) = head_office(&server);
    import_all(&head);
    assert!(!head.database().exists());
    let readable = server.sql(&address, "SELECT count(*), sum(\"Freight\") > 0 FROM \"Order_view\"");
    assert!(readable.ends_with("|t"), "{readable}");

    let node = RunningNode::start(&head);
    let branch = Project::branch_of(&head, "bremen");
    let other = RunningNode::start(&branch);
    wait_until_in_step(&head, &[&branch]);
    assert_eq!(counts(&head), counts(&branch));
    assert_eq!((&head.status()["store"], &branch.status()["store"]), (&json!("PostgreSQL"), &json!("SQLite")));
    let checked = head.run_json(&["sync", "check"], "").success().json();
    assert_eq!((&checked["missing"], &checked["different"]), (&json!(0), &json!(0)), "{checked}");
    let new = |code: &str| json!({"changes": [{"new": "a", "entity": "Shipper", "values": {"ShipperID": code.len(), "CompanyName": code}}]});
    let _ours = head.save(&new("of the head office"));
    let _theirs = branch.save(&new("of the branch"));
    wait_until_in_step(&head, &[&branch]);
    let names = |project: &Project| project.query("select s.CompanyName as n from Shipper s order by n");
    assert_eq!(names(&head), names(&branch));
    let id = head.query("from Shipper s where s.CompanyName = 'of the branch'")[0]["id"].to_string();
    assert!(!head.documents(&["history", &id]).is_empty());

    // The server dies, and comes back: saves go on, and no save is lost.
    server.kill();
    server.start();
    wait_until("the node saves again", mytism_testkit::PATIENCE, || {
        head.run_json(&["save"], &new("after the server died").to_string()).status == Some(0)
    });
    wait_until_in_step(&head, &[&branch]);
    assert_eq!(names(&head), names(&branch));
    assert!(names(&head).len() >= 6);
    let _backup = head.run_json(&["backup"], "").success();
    drop((node, other));
}

#[test]
fn data_move_to_a_server_and_back() {
    let Some(server) = PostgresServer::start_new() else { return };
    let project = Project::head_office("hamburg", &schema());
    import_all(&project);
    let before = counts(&project);
    let address = server.database();
    let node = RunningNode::start(&project);
    let _running = project.run_json(&["migrate-store", "postgres", "--url", &address], "").error(1, "project-in-use");
    drop(node);
    let _there = project.run_json(&["migrate-store", "sqlite"], "").error(3, "store-already");
    let mut elsewhere = project.command(&["migrate-store", "postgres", "--url", &address]);
    let elsewhere = elsewhere.env("MYTISM_DBMAN_URL", "postgresql://localhost/other").output().unwrap();
    let told = String::from_utf8([elsewhere.stdout, elsewhere.stderr].concat()).unwrap();
    assert!(elsewhere.status.code() == Some(2) && told.contains("another address"), "{told}");
    let moved = project.run_json(&["migrate-store", "postgres", "--url", &address], "").success().json();
    assert_eq!(project.setting("store"), "postgres");
    assert_eq!(counts(&project), before);
    let saved = project.save(
        &json!({"changes": [{"new": "a", "entity": "Shipper", "values": {"ShipperID": 77, "CompanyName": "x"}}]}),
    );
    assert!(saved["position"].as_u64().unwrap() > 1);
    let backup = project.run_json(&["backup"], "").success().json();
    let _refused =
        project.run_json(&["restore", backup["name"].as_str().unwrap(), "--yes"], "").error(3, "not-in-postgres");

    // Into a database that holds an earlier state: refused, and the project goes on where it was.
    let back = project.run_json(&["migrate-store", "sqlite"], "").success().json();
    assert!(back["entries"].as_u64() > moved["entries"].as_u64());
    assert_eq!(counts(&project), before);
    let _later = project.save(
        &json!({"changes": [{"new": "a", "entity": "Shipper", "values": {"ShipperID": 78, "CompanyName": "y"}}]}),
    );
    let _other = project.run_json(&["migrate-store", "postgres", "--url", &address], "").error(3, "store-differs");
    assert_eq!(project.setting("store"), "sqlite");
    assert_eq!(counts(&project), before);
    // One that is whole, and whose name was not written, is taken as it is.
    let again = server.database();
    let first = project.run_json(&["migrate-store", "postgres", "--url", &again], "").success().json();
    let file = project.directory().join("mytism.ini");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("store = postgres", "store = sqlite")).unwrap();
    assert_eq!(project.setting("store"), "sqlite");
    let second = project.run_json(&["migrate-store", "postgres", "--url", &again], "").success().json();
    assert_eq!(first["digest"], second["digest"]);
    assert_eq!(counts(&project), before);
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let project = Project::empty("hamburg");
    let init = |url: &str| project.run_json(&["init", "--name", "hamburg", "--store", "postgres", "--url", url], "");
    let _gone = init("postgresql://127.0.0.1:1/demo?user=x").error(1, "database-unreachable");
    let _none = init("postgresql://127.0.0.1/demo?sslmode=require").error(1, "database-address");
    let _unread = init("mysql://127.0.0.1/demo").error(2, "config-value");
    let _missing = project.run_json(&["init", "--store", "postgres"], "").error(2, "wrong-use");
}
