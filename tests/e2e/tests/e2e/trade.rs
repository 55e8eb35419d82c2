//! The wholesaler that all tests work with: its schema, its data, its orders.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Once;

use mytism_schema::demo::Table;
use mytism_testkit::{Project, RunningNode, compare};
use serde_json::{Value as Json, json};

/// The repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn schema() -> PathBuf {
    repository().join("schema/demo/trade.xml")
}

/// The file with the rows of a table: from the data beside the repository where there is some, else from the demo's.
pub(crate) fn file(table: &Table) -> PathBuf {
    static TOLD: Once = Once::new();
    let name = format!("{}.csv", table.file);
    let real = repository().join("../shared/data/northwind");
    if real.is_dir() {
        return real.join(name);
    }
    // Past the test harness, which shows what is printed only when a test fails.
    TOLD.call_once(|| {
        let _closed = writeln!(io::stderr(), "{} is missing, so the demo's own data are imported", real.display());
    });
    repository().join("schema/demo/data").join(name)
}

/// The table of an entity.
pub(crate) fn table(entity: &str) -> &'static Table {
    let mut tables = mytism_schema::demo::tables().iter();
    tables.find(|table| table.entity == entity).unwrap_or_else(|| panic!("the demo has no {entity}"))
}

/// The rows of a table as they stand in its file: column and cell.
pub(crate) fn rows(table: &Table) -> Vec<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_path(file(table)).expect("the file can be read");
    let header = reader.headers().expect("the file has a header").clone();
    let row = |record: csv::StringRecord| {
        header.iter().zip(record.iter()).map(|(column, cell)| (column.to_owned(), cell.to_owned())).collect()
    };
    reader.records().map(|record| row(record.expect("a row can be read"))).collect()
}

/// Cells of one column.
pub(crate) fn column(entity: &str, name: &str) -> Vec<String> {
    let cell = |row: Vec<(String, String)>| row.into_iter().find(|(column, _)| column == name);
    rows(table(entity)).into_iter().map(|row| cell(row).unwrap_or_else(|| panic!("no column {name}")).1).collect()
}

/// Imports a table; returns what the import says.
#[track_caller]
pub(crate) fn import(project: &Project, table: &Table) -> Json {
    let file = file(table);
    let file = file.to_string_lossy();
    let maps: Vec<_> = table.renamed.iter().map(|(column, attribute)| format!("{column}={attribute}")).collect();
    let mut arguments = vec!["import", &file, "--entity", table.entity];
    maps.iter().for_each(|map| arguments.extend(["--map", map]));
    project.run_json(&arguments, "").success().json()
}

/// Imports all tables.
#[track_caller]
pub(crate) fn import_all(project: &Project) {
    for table in mytism_schema::demo::tables() {
        import(project, table);
    }
}

/// A head office that serves, without data.
#[track_caller]
pub(crate) fn head_office() -> RunningNode {
    RunningNode::start(&Project::head_office("hamburg", &schema()))
}

/// A branch that serves and follows.
#[track_caller]
pub(crate) fn branch(head: &RunningNode, name: &str) -> RunningNode {
    RunningNode::start(&Project::branch_of(head.project(), name))
}

/// A draft with one new object.
pub(crate) fn new(entity: &str, values: &Json) -> Json {
    json!({"description": format!("new {entity}"), "changes": [{"new": "n", "entity": entity, "values": values}]})
}

/// A draft with an order of that number.
pub(crate) fn order(number: u64) -> Json {
    new("Order", &json!({"OrderID": number, "ShipCity": format!("Ort {number}"), "Freight": "19.99"}))
}

/// The numbers of all orders, in order.
#[track_caller]
pub(crate) fn order_numbers(project: &Project) -> Vec<u64> {
    let rows = project.query("select o.OrderID as n from Order o order by o.OrderID");
    rows.iter().map(|row| row["n"].as_u64().unwrap_or_else(|| panic!("an order without number: {row}"))).collect()
}

/// Saves a new customer; returns its id.
#[track_caller]
pub(crate) fn customer(project: &Project, key: &str, city: &str) -> u64 {
    let saved = project.save(&new("Customer", &json!({"CustomerID": key, "CompanyName": key, "City": city})));
    saved["ids"]["n"].as_u64().unwrap_or_else(|| panic!("no id: {saved}"))
}

/// Fails unless both databases hold the same.
#[track_caller]
pub(crate) fn assert_equal(a: &Project, b: &Project) {
    let found = compare(&a.database(), &b.database());
    assert!(found.is_empty(), "A = {}, B = {}:\n{}", a.name(), b.name(), found.join("\n"));
}
