//! A firm's data come into a head office, a branch joins, the head office goes away in the middle of the day, and all
//! that the branch did meanwhile arrives.

use std::collections::HashMap;

use mytism_schema::demo::{Table, tables};
use mytism_testkit::{Project, RunningNode, wait_until_in_step};
use serde_json::{Value as Json, json};

use crate::trade::{self, assert_equal, column, order_numbers, rows};

/// Orders that are taken while the head office is gone.
const ORDERS: u64 = 100;
/// The number of the first of them; beyond those in the files.
const FIRST: u64 = 900_000;

#[test]
fn a_branch_goes_on_while_its_head_office_is_gone() {
    let mut head = trade::head_office();
    for table in tables() {
        let told = trade::import(head.project(), table);
        let lines = rows(table).len();
        assert!(lines > 0, "{} is empty", table.file);
        let counts = ["read", "inserted", "updated", "skipped", "failed"].map(|name| told[name].as_u64());
        assert_eq!(counts, [lines as u64, lines as u64, 0, 0, 0].map(Some), "{}: {told}", table.file);
    }
    check_values(head.project());
    let branch = trade::branch(&head, "berlin");
    check_values(branch.project());

    head.kill9();
    let last = take_orders(branch.project());
    assert_eq!(branch.project().status()["pending"], ORDERS + 1, "the orders and one change");
    let _ready = head.restart();
    wait_until_in_step(head.project(), &[branch.project()]);

    assert_equal(head.project(), branch.project());
    let taken: Vec<u64> = order_numbers(head.project()).into_iter().filter(|number| *number >= FIRST).collect();
    assert_eq!(taken, (FIRST..FIRST + ORDERS).collect::<Vec<_>>());
    check_lines(&head);
    check_history(head.project(), branch.project(), last);
}

/// Takes orders of three lines each, one by one; returns the id of the last.
fn take_orders(branch: &Project) -> u64 {
    let customers = column("Customer", "CustomerID");
    let products = column("Product", "ProductID");
    let mut last = 0;
    for number in 0..ORDERS {
        let pick = |list: &[String], step: u64| list[usize::try_from(number + step).unwrap() % list.len()].clone();
        let mut changes = vec![json!({"new": "o", "entity": "Order", "values": {
            "OrderID": FIRST + number,
            "Customer": {"ref": {"Customer": {"CustomerID": pick(&customers, 0)}}},
            "OrderDate": "2026-11-23T09:30:00Z",
            "Freight": "19.99",
        }})];
        for line in 0..3 {
            changes.push(json!({"new": format!("l{line}"), "entity": "OrderLine", "values": {
                "Order": {"ref": "o"},
                "Product": {"ref": {"Product": {"ProductID": pick(&products, line).parse::<u64>().unwrap()}}},
                "UnitPrice": "0.10",
                "Quantity": line + 1,
            }}));
        }
        let saved = branch.save(&json!({"description": format!("order {number}"), "changes": changes}));
        assert_eq!((&saved["state"], &saved["position"]), (&json!("pending"), &Json::Null), "{saved}");
        last = saved["ids"]["o"].as_u64().expect("the order has an id");
    }
    let dearer =
        json!({"id": last, "values": {"Freight": "20.05", "ShipCity": "Bonn"}, "expect": {"Freight": "19.99"}});
    branch.save(&json!({"description": "dearer", "changes": [dearer]}));
    assert_eq!(branch.documents(&["show", &last.to_string()])[0]["pending"], true);
    last
}

fn check_lines(head: &RunningNode) {
    let text = format!(
        "select count(*) as n, sum(l.Quantity) as q, sum(l.UnitPrice) as p from OrderLine l where l.Order.OrderID >= {FIRST}"
    );
    let sums = head.project().query(&text);
    assert_eq!(sums, [json!({"n": ORDERS * 3, "q": ORDERS * 6, "p": "30.00"})]);
}

fn check_history(head: &Project, branch: &Project, order: u64) {
    let history = |project: &Project| project.documents(&["history", &order.to_string()]);
    let lines = history(head);
    assert_eq!(lines, history(branch));
    let freight: Vec<_> =
        lines.iter().filter(|line| line["attribute"] == "Freight").map(|line| (&line["old"], &line["new"])).collect();
    assert_eq!(freight, [(&Json::Null, &json!("19.99")), (&json!("19.99"), &json!("20.05"))], "{lines:?}");
    assert!(lines.iter().all(|line| line["node"] == "berlin" && line["position"].is_u64()), "{lines:?}");
    let city = head.documents(&["history", &order.to_string(), "--attribute", "ShipCity"]);
    assert_eq!(city.len(), 1, "{city:?}");
}

/// Every cell of every file against the object that it became.
#[track_caller]
fn check_values(project: &Project) {
    let mut keys = HashMap::new();
    for table in tables() {
        let rows = rows(table);
        let columns: Vec<&str> = rows[0].iter().map(|(column, _)| column.as_str()).collect();
        let objects = project.query(&format!("from {}", table.entity));
        if let Some(key) = key_column(table, &columns) {
            keys.extend(objects.iter().map(|object| (object["id"].to_string(), words(&object["values"][key]))));
        }
        let mut found: Vec<_> = objects.iter().map(|object| found(table, &columns, &object["values"], &keys)).collect();
        let mut expected: Vec<_> = rows.iter().map(|row| expected(table, row)).collect();
        found.sort();
        expected.sort();
        assert_eq!(found.len(), expected.len(), "{}", table.file);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{} at {}", table.file, project.name());
        }
    }
}

/// The attribute by which other files refer to rows of this one: the first column, where it is no reference itself.
fn key_column<'a>(table: &Table, columns: &[&'a str]) -> Option<&'a str> {
    columns.first().copied().filter(|first| !table.renamed.iter().any(|(column, _)| column == first))
}

/// The attribute that a column goes to.
fn attribute<'a>(table: &Table, column: &'a str) -> &'a str {
    table.renamed.iter().find(|(name, _)| *name == column).map_or(column, |(_, attribute)| attribute)
}

/// What a row must look like: one text a cell, `None` where it is empty.
fn expected(table: &Table, row: &[(String, String)]) -> Vec<Option<String>> {
    let cell = |(column, cell): &(String, String)| match attribute(table, column) {
        _ if cell.is_empty() => None,
        "UnitPrice" | "Freight" | "Discount" => Some(scaled(cell)),
        "OrderDate" | "RequiredDate" | "ShippedDate" => Some(moment(cell)),
        "Discontinued" => Some(if cell == "1" { "true" } else { "false" }.to_owned()),
        _ => Some(cell.clone()),
    };
    row.iter().map(cell).collect()
}

/// What an object looks like, in the order of the file's columns; a reference as the key of its target.
fn found(table: &Table, columns: &[&str], values: &Json, keys: &HashMap<String, String>) -> Vec<Option<String>> {
    let value = |column: &&str| match &values[attribute(table, column)] {
        Json::Null => None,
        Json::Object(reference) => Some(keys[&reference["ref"].to_string()].clone()),
        other => Some(words(other)),
    };
    columns.iter().map(value).collect()
}

fn words(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A decimal with the two digits that the schema says.
fn scaled(cell: &str) -> String {
    let (whole, part) = cell.split_once('.').unwrap_or((cell, ""));
    assert!(part.len() <= 2, "{cell} would be rounded");
    format!("{whole}.{part:0<2}")
}

/// A moment as the files write it, in UTC.
fn moment(cell: &str) -> String {
    let (date, time) = cell.split_once(' ').unwrap_or((cell, "00:00:00"));
    format!("{date}T{}Z", time.trim_end_matches(".000"))
}
