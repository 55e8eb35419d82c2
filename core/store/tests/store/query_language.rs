//! Every example of the manual of the query language is a query that the engine takes.

use jiff::tz::TimeZone;
use mytism_core::operation::Input;
use mytism_core::query::parse;
use mytism_store::QueryOptions;
use mytism_store::sqlite::ddl::create_tables;
use mytism_store::sqlite::names::Names;
use mytism_store::sqlite::query::{compile, register_functions};
use rusqlite::{Connection, params_from_iter};

const MANUAL: &str = include_str!("../../../../docs/query-language.md");

/// The blocks that are marked as queries.
fn examples() -> impl Iterator<Item = &'static str> {
    MANUAL.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("oql\n"))
}

#[test]
fn all_examples_run() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trade.xml");
    std::fs::write(&file, mytism_schema::demo::schema_xml()).unwrap();
    let schema = mytism_schema::project(Some(&file)).unwrap();
    let names = Names::new(&schema);
    let connection = Connection::open_in_memory().unwrap();
    register_functions(&connection).unwrap();
    for statement in create_tables(&schema, &names) {
        connection.execute_batch(&statement).unwrap();
    }
    let known = [("city", Input::Text("Berlin".to_owned())), ("rows", Input::Number("20".to_owned()))];
    let mut count = 0;
    for text in examples() {
        let used = known.iter().filter(|(name, _)| text.contains(&format!("${name}")));
        let params: Vec<_> = used.map(|(name, input)| ((*name).to_owned(), input.clone())).collect();
        let query = parse(text, &schema, &params, &TimeZone::UTC).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let compiled = compile(&query, &schema, &names, QueryOptions::default());
        let mut statement = connection.prepare(&compiled.sql).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut rows = statement.query(params_from_iter(&compiled.params)).unwrap();
        while rows.next().unwrap().is_some() {}
        count += 1;
    }
    assert!(count > 20, "{count}");
}
