//! A query means the same to every engine: random schemas, random data with all that is hard to compare, random queries.
//! What the evaluation in memory says is held against what the database answers, row for row.
//!
//! `MYTISM_QUERIES=40x10x25` asks for so many schemas, data sets of each, and queries on each.

mod data;
mod schema;
mod text;

use jiff::tz::TimeZone;
use mytism_core::query::{EvaluateError, Query, Surroundings, execute, parse_with};
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_disk_under_test::Dice;
use mytism_store::QueryOptions;
use mytism_store::sqlite::column::from_result;
use mytism_store::sqlite::names::Names;
use mytism_store::sqlite::query::compile;
use rusqlite::{Connection, params_from_iter};

use data::Data;
use text::Writer;

/// How many of what there were.
#[derive(Default, Debug)]
struct Count {
    queries: u32,
    refused: u32,
    overflows: u32,
    rows: usize,
    empty: u32,
    grouped: u32,
    differing: u32,
}

/// What a broken engine makes of a statement.
type Bug = fn(&str) -> String;

/// Bugs of the kind that the comparison is for.
const BUGS: [(&str, Bug); 6] = [
    ("a border is left out", |sql| sql.replace(" <= ", " < ")),
    ("nothing comes first", |sql| sql.replace(" NULLS LAST", "")),
    ("what is not known counts as true", |sql| sql.replace(" IS NOT TRUE", " = 0")),
    ("who leads nowhere is lost", |sql| sql.replace("LEFT JOIN", "JOIN")),
    ("deleted objects are seen", |sql| sql.replace("_deleted = 0", "_deleted >= 0")),
    ("nothing differs from something", |sql| sql.replace(" <> ", " IS NOT ")),
];

fn size() -> (usize, usize, usize) {
    let given = std::env::var("MYTISM_QUERIES").unwrap_or_default();
    let numbers: Vec<usize> = given.split('x').filter_map(|number| number.parse().ok()).collect();
    match numbers.as_slice() {
        [schemas, sets, queries] => (*schemas, *sets, *queries),
        _ => (15, 8, 25),
    }
}

fn fixed() -> (TimeZone, Option<Timestamp>) {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    (zone, Timestamp::parse("2026-11-23T23:30:00Z", &TimeZone::UTC))
}

/// What the database says; `None` where a sum is too large.
fn engine(connection: &Connection, schema: &Schema, query: &Query, bug: Option<Bug>) -> Option<Vec<Vec<Value>>> {
    let compiled = compile(query, schema, &Names::new(schema), QueryOptions::default()).unwrap();
    let sql = bug.map_or_else(|| compiled.sql.clone(), |bug| bug(&compiled.sql));
    let mut statement = connection.prepare(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    let mut rows = statement.query(params_from_iter(&compiled.params)).unwrap();
    let mut found = Vec::new();
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Some(found),
            Err(error) if error.to_string().contains("integer overflow") => return None,
            Err(error) => panic!("{error}: {sql}"),
        };
        found.push(if query.is_objects() {
            vec![Value::Reference(mytism_core::id::ObjectId::new(row.get(0).unwrap()).unwrap())]
        } else {
            let read = |(at, (_, kind)): (usize, &(String, _))| from_result(kind, row.get_ref(at).unwrap()).unwrap();
            compiled.columns.iter().enumerate().map(read).collect()
        });
    }
}

fn memory(data: &Data, schema: &Schema, query: &Query) -> Option<Vec<Vec<Value>>> {
    match execute(query, data.of(schema, query.entity), None, data) {
        Ok(rows) => Some(rows),
        Err(EvaluateError::SumOverflow) => None,
        Err(EvaluateError::Objects(never)) => match never {},
    }
}

/// One data set with its queries. Tells the first one that is answered otherwise.
fn compare(
    schema: &Schema,
    data: &Data,
    seed: u64,
    queries: usize,
    bug: Option<Bug>,
    count: &mut Count,
) -> Option<String> {
    let connection = data.database(schema);
    let mut dice = Dice::new(seed);
    let (zone, now) = fixed();
    for _ in 0..queries {
        let text = Writer::new(schema, &mut dice).query();
        let surroundings = Surroundings { params: &[], zone: &zone, now };
        let query = match parse_with(&text, schema, &surroundings) {
            Ok(query) => query,
            Err(error) => {
                count.refused += 1;
                assert!(error.code == "query-too-large" || count.refused < 50, "{text}: {error:?}");
                continue;
            }
        };
        count.queries += 1;
        count.grouped += u32::from(query.is_grouped());
        let (told, expected) = (engine(&connection, schema, &query, bug), memory(data, schema, &query));
        let (Some(told), Some(expected)) = (&told, &expected) else {
            count.overflows += 1;
            continue;
        };
        count.rows += told.len();
        count.empty += u32::from(told.is_empty());
        if told != expected {
            count.differing += 1;
            let sql = compile(&query, schema, &Names::new(schema), QueryOptions::default()).unwrap();
            return Some(format!("{text}\n{sql:?}\nengine: {told:?}\nmemory: {expected:?}"));
        }
    }
    None
}

fn run(schemas: usize, sets: usize, queries: usize, bug: Option<Bug>, count: &mut Count) -> Option<String> {
    for number in 0..schemas {
        let schema = schema::random(&mut Dice::new(1_000 + number as u64));
        for set in 0..sets {
            let seed = (number * 1_000 + set) as u64;
            let data = Data::random(&schema, &mut Dice::new(seed));
            if let Some(found) = compare(&schema, &data, seed, queries, bug, count) {
                return Some(format!("schema {number}, data {set}: {found}"));
            }
        }
    }
    None
}

#[test]
fn memory_and_database_mean_the_same() {
    let (schemas, sets, queries) = size();
    let mut count = Count::default();
    let found = run(schemas, sets, queries, None, &mut count);
    eprintln!("{schemas} schemas × {sets} data sets × {queries} queries: {count:?}");
    assert_eq!(found, None);
    assert!(count.refused * 20 < count.queries, "the queries are not understood: {count:?}");
    assert!(count.empty * 2 < count.queries, "nothing is found: {count:?}");
    assert!(count.overflows * 5 < count.queries, "nothing is compared: {count:?}");
}

#[test]
fn planted_bugs_are_found() {
    for (name, bug) in BUGS {
        let mut count = Count::default();
        let found = run(15, 8, 25, Some(bug), &mut count);
        assert!(found.is_some(), "{name}: {count:?}");
        eprintln!("{name}: found after {} queries", count.queries);
    }
}
