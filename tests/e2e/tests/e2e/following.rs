//! A program follows what becomes visible at a node, is cut off together with it, and misses nothing.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use mytism_testkit::{Project, wait_until_in_step};
use serde_json::{Value as Json, json};

use crate::trade::{branch, customer, head_office, new};

/// `changes --follow` of a name.
struct Following {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(project: &Project, name: &str, more: &[&str]) -> Self {
        Self::run(project, &[&["--json", "changes", "--follow", "--name", name], more].concat())
    }

    fn run(project: &Project, arguments: &[&str]) -> Self {
        let mut command = project.command(arguments);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next line, once there is one.
    fn next(&mut self) -> Json {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    /// Reads up to the line that names a city.
    fn city(&mut self, city: &str) -> Json {
        loop {
            let line = self.next();
            if line["new"] == city {
                return line;
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn sequence(line: &Json) -> u64 {
    line["sequence"].as_u64().unwrap()
}

fn cursor(project: &Project, name: &str) -> u64 {
    let followers = project.documents(&["followers"]);
    let found = followers.iter().find(|follower| follower["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {followers:?}"))["cursor"].as_u64().unwrap()
}

#[test]
fn a_follower_goes_on_where_it_was_cut_off() {
    let mut head = head_office();
    customer(head.project(), "A", "Berlin");
    let mut following = Following::start(head.project(), "labels", &[]);
    let first = following.city("Berlin");
    assert_eq!(
        (&first["entity"], &first["attribute"], &first["cause"]),
        (&json!("Customer"), &json!("City"), &json!("saved"))
    );
    // It waits, and is told at once.
    customer(head.project(), "B", "Bonn");
    let second = following.city("Bonn");
    assert_eq!(sequence(&second), sequence(&first) + 1);
    drop(following);
    head.kill9();

    // What is saved while the node is down goes straight to its data, and becomes visible like anything else.
    customer(head.project(), "C", "Ulm");
    let behind = cursor(head.project(), "labels");
    assert!((sequence(&first)..=sequence(&second)).contains(&behind), "{behind} is what was read, or the row before");
    let lines = head.project().documents(&["changes", "--name", "labels"]);
    assert_eq!(sequence(&lines[0]), behind + 1, "it goes on at the cursor");
    let last = lines.last().unwrap();
    assert!(lines.iter().any(|line| line["new"] == "Ulm"), "{lines:?}");
    assert_eq!((sequence(last), last["change"] == last["changes"]), (sequence(&second) + 1, true));
    assert_eq!(cursor(head.project(), "labels"), sequence(last));
    assert_eq!(head.project().documents(&["changes", "--name", "labels"]), [Json::Null; 0]);

    let _ready = head.restart();
    let mut following = Following::start(head.project(), "labels", &["--from-now"]);
    customer(head.project(), "D", "Celle");
    assert_eq!(sequence(&following.city("Celle")), sequence(last) + 1);
    head.stop();
    assert!(following.lines.next().is_none(), "it ends with the node");
    let status = following.process.wait().unwrap().code();
    assert!(matches!(status, Some(1 | 4)), "the node says that it stops, or is gone already: {status:?}");
    let removed = head.project().run_json(&["followers", "remove", "labels"], "").success().json();
    assert_eq!(removed["name"], "labels");
    let _error = head.project().run_json(&["followers", "remove", "labels"], "").error(3, "unknown-follower");
    let _error = head.project().run_json(&["changes", "--after", "99999"], "").error(3, "journal-ahead");
    let _error = head.project().run_json(&["changes", "--follow"], "").error(4, "node-not-running");
}

#[test]
fn a_query_tells_what_becomes_of_its_answer() {
    let mut head = head_office();
    let mut branch = branch(&head, "berlin");
    customer(head.project(), "A", "Berlin");
    wait_until_in_step(head.project(), &[branch.project()]);
    let query = "select CustomerID, City from Customer where City != 'Ulm' order by CustomerID";
    let mut following = Following::run(branch.project(), &["--json", "query", "--follow", query]);
    let mut rows: Vec<Json> = Vec::new();
    let mut until = |wanted: &[(&str, &str)]| {
        let wanted: Vec<Json> = wanted.iter().map(|(id, city)| json!({"CustomerID": id, "City": city})).collect();
        loop {
            let line = following.next();
            if let Some(at) = line["at"].as_u64() {
                let place = |number: u64| usize::try_from(number).unwrap();
                let (at, removed) = (place(at), place(line["removed"].as_u64().unwrap()));
                rows.splice(at..at + removed, line["rows"].as_array().unwrap().clone());
            } else if line["cursor"].is_u64() && rows == wanted {
                return;
            }
        }
    };
    until(&[("A", "Berlin")]);
    // Of others, own, and what the head office decides otherwise.
    customer(head.project(), "C", "Bonn");
    until(&[("A", "Berlin"), ("C", "Bonn")]);
    head.stop();
    customer(branch.project(), "B", "Kiel");
    until(&[("A", "Berlin"), ("B", "Kiel"), ("C", "Bonn")]);
    customer(head.project(), "B", "Jena");
    let _ready = head.restart();
    until(&[("A", "Berlin"), ("B", "Jena"), ("C", "Bonn")]);
    branch.stop();
    let _error = branch.project().run_json(&["query", "--follow", query], "").error(4, "node-not-running");
}

#[test]
fn a_branch_tells_what_its_users_saw() {
    let mut head = head_office();
    let branch = branch(&head, "berlin");
    assert_eq!(branch.project().documents(&["changes"]), [Json::Null; 0], "what it fetched when it joined is no news");
    head.stop();
    let order = |number: u64| new("Order", &json!({"OrderID": number}));
    branch.project().save(&order(1));
    branch.project().save(&order(2));
    head.project().save(&order(2));
    let _ready = head.restart();
    wait_until_in_step(head.project(), &[branch.project()]);
    let lines = branch.project().documents(&["changes"]);
    let causes: Vec<&str> = lines.iter().filter_map(|line| line["cause"].as_str()).collect();
    let count = |cause: &str| causes.iter().filter(|found| **found == cause).count();
    // Two orders, each there and with its number; one of them taken back.
    assert_eq!((count("saved"), count("accepted"), count("refused")), (4, 1, 2), "{lines:?}");
    let taken_back = lines.iter().find(|line| line["cause"] == "refused").unwrap();
    let told = ["attribute", "old", "new"].map(|name| &taken_back[name]);
    assert_eq!(told, [&json!(""), &json!("there"), &Json::Null]);
    for pair in lines.windows(2) {
        assert!(sequence(&pair[1]) - sequence(&pair[0]) <= 1, "{pair:?}");
    }
}
