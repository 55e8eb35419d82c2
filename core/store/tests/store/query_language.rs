//! Every example of the manual of the query language is a query that the engine takes, and what the manual says that a
//! function gives, it gives: in the engine and in memory.

use jiff::tz::TimeZone;
use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::operation::Input;
use mytism_core::query::{Function, Objects, Query, Surroundings, execute, parse_with};
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_store::QueryOptions;
use mytism_store::sqlite::column::from_result;
use mytism_store::sqlite::ddl::create_tables;
use mytism_store::sqlite::names::Names;
use mytism_store::sqlite::query::{compile, register_functions};
use rusqlite::{Connection, params_from_iter};

const MANUAL: &str = include_str!("../../../../docs/query-language.md");

/// The blocks that are marked as queries.
fn examples() -> impl Iterator<Item = &'static str> {
    MANUAL.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("oql\n"))
}

/// What the tables of functions say: expression and what it gives.
fn promises() -> impl Iterator<Item = (String, String)> {
    let rows = MANUAL.lines().filter(|line| line.starts_with("| `")).map(|line| line.replace("\\|", "¦"));
    let code = |cell: &str| Some(cell.trim().strip_prefix('`')?.strip_suffix('`')?.replace('¦', "|"));
    rows.filter_map(move |line| {
        let cells: Vec<&str> = line.split('|').collect();
        match cells.as_slice() {
            ["", expression, gives, _, ""] => Some((code(expression)?, code(gives)?)),
            _ => None,
        }
    })
}

fn trade() -> Schema {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trade.xml");
    std::fs::write(&file, mytism_schema::demo::schema_xml()).unwrap();
    mytism_schema::project(Some(&file)).unwrap()
}

fn database(schema: &Schema, names: &Names) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    register_functions(&connection).unwrap();
    for statement in create_tables(schema, names) {
        connection.execute_batch(&statement).unwrap();
    }
    connection
}

/// As the manual has it.
fn parsed(text: &str, schema: &Schema) -> Query {
    let known = [("city", Input::Text("Berlin".to_owned())), ("rows", Input::Number("20".to_owned()))];
    let used = known.iter().filter(|(name, _)| text.contains(&format!("${name}")));
    let params: Vec<_> = used.map(|(name, input)| ((*name).to_owned(), input.clone())).collect();
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let now = Timestamp::parse("2026-11-23T12:00:00Z", &TimeZone::UTC);
    let surroundings = Surroundings { params: &params, zone: &zone, now };
    parse_with(text, schema, &surroundings).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// One object that holds nothing.
struct Empty;

impl Objects for Empty {
    type Error = std::convert::Infallible;

    fn entity(&self, _: ObjectId) -> Result<Option<EntityId>, Self::Error> {
        Ok(None)
    }

    fn value(&self, _: ObjectId, _: AttributeId) -> Result<Value, Self::Error> {
        Ok(Value::Null)
    }

    fn elements(&self, _: ObjectId, _: AttributeId) -> Result<Vec<ObjectId>, Self::Error> {
        Ok(Vec::new())
    }
}

#[test]
fn functions_give_what_the_manual_says() {
    let schema = trade();
    let names = Names::new(&schema);
    let connection = database(&schema, &names);
    let table = names.table(schema.entity("Order").unwrap().id);
    connection.execute_batch(&format!("INSERT INTO \"{table}\"(id) VALUES (1)")).unwrap();
    let mut tried = String::new();
    for (expression, gives) in promises() {
        let query = parsed(&format!("select {expression} as x from Order"), &schema);
        let compiled = compile(&query, &schema, &names, QueryOptions::default());
        let mut statement = connection.prepare(&compiled.sql).unwrap();
        let told = statement.query_row(params_from_iter(&compiled.params), |row| {
            Ok(from_result(&compiled.columns[0].1, row.get_ref(0)?).unwrap())
        });
        assert_eq!(told.unwrap().to_string(), gives, "{expression}");
        let in_memory = execute(&query, [ObjectId::system(1)], None, &Empty).unwrap();
        assert_eq!(in_memory[0][0].to_string(), gives, "{expression}");
        tried.push_str(&expression);
    }
    for name in Function::names().chain(["today", "now"]) {
        assert!(tried.contains(&format!("{name}(")), "the manual lacks {name}");
    }
}

#[test]
fn all_examples_run() {
    let schema = trade();
    let names = Names::new(&schema);
    let connection = database(&schema, &names);
    let mut count = 0;
    for text in examples() {
        let compiled = compile(&parsed(text, &schema), &schema, &names, QueryOptions::default());
        let mut statement = connection.prepare(&compiled.sql).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut rows = statement.query(params_from_iter(&compiled.params)).unwrap();
        while rows.next().unwrap().is_some() {}
        count += 1;
    }
    assert!(count > 25, "{count}");
}
