//! A query means the same to every engine: random schemas, random data with all that is hard to compare, random queries.
//! What the evaluation in memory says is held against what the databases answer, row for row.
//!
//! `MYTISM_QUERIES=40x10x25` asks for so many schemas, data sets of each, and queries on each, and so does `MYTISM_LONG`.

mod data;
mod functions;
mod postgres;
mod public;
mod schema;
mod sqlite;
mod text;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use mytism_core::query::{EvaluateError, Query, Surroundings, execute, parse_with};
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_disk_under_test::Dice;

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
    /// What is hard to compare, by what is hard about it: so many values in the data.
    values: BTreeMap<&'static str, u32>,
}

/// What a broken engine makes of a statement.
type Bug = fn(&str) -> String;

/// An engine that is held against the evaluation in memory.
trait Engine {
    /// Makes the tables of a schema, in the place of those before.
    fn begin(&mut self, schema: &Schema);

    /// Fills them with other data.
    fn fill(&mut self, schema: &Schema, data: &Data);

    /// The rows of a query, and its statement. No rows where a sum is too large.
    fn ask(&mut self, schema: &Schema, query: &Query, bug: Option<Bug>) -> (Option<Vec<Vec<Value>>>, String);
}

/// Bugs of the kind that the comparison is for: what SQLite's statements and PostgreSQL's have in common.
const BUGS: [(&str, Bug); 5] = [
    ("a border is left out", |sql| sql.replace(" <= ", " < ")),
    ("nothing comes first", |sql| sql.replace(" NULLS LAST", " NULLS FIRST")),
    ("who leads nowhere is lost", |sql| sql.replace("LEFT JOIN", "JOIN")),
    ("deleted objects are seen", |sql| sql.replace("_deleted = 0", "_deleted >= 0").replace("NOT t0._deleted", "TRUE")),
    ("nothing differs from something", |sql| sql.replace(" <> ", " IS DISTINCT FROM ")),
];

fn size() -> (usize, usize, usize) {
    let given = std::env::var("MYTISM_QUERIES").unwrap_or_default();
    let numbers: Vec<usize> = given.split('x').filter_map(|number| number.parse().ok()).collect();
    match numbers.as_slice() {
        [schemas, sets, queries] => (*schemas, *sets, *queries),
        _ if std::env::var_os("MYTISM_LONG").is_some() => (40, 10, 25),
        _ => (15, 8, 25),
    }
}

fn fixed() -> (TimeZone, Option<Timestamp>) {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    (zone, Timestamp::parse("2026-11-23T23:30:00Z", &TimeZone::UTC))
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
    engine: &mut dyn Engine,
    schema: &Schema,
    data: &Data,
    seed: u64,
    queries: usize,
    bug: Option<Bug>,
    count: &mut Count,
) -> Option<String> {
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
        let ((told, sql), expected) = (engine.ask(schema, &query, bug), memory(data, schema, &query));
        let (Some(told), Some(expected)) = (&told, &expected) else {
            count.overflows += 1;
            continue;
        };
        count.rows += told.len();
        count.empty += u32::from(told.is_empty());
        if told != expected {
            return Some(format!("{text}\n{sql}\nengine: {told:?}\nmemory: {expected:?}"));
        }
    }
    None
}

fn run(
    engine: &mut dyn Engine,
    (schemas, sets, queries): (usize, usize, usize),
    bug: Option<Bug>,
    count: &mut Count,
) -> Option<String> {
    for number in 0..schemas {
        let schema = schema::random(&mut Dice::new(1_000 + number as u64));
        engine.begin(&schema);
        schema::note(&schema, &mut count.values);
        for set in 0..sets {
            let seed = (number * 1_000 + set) as u64;
            let data = Data::random(&schema, &mut Dice::new(seed));
            data.note(&schema, &mut count.values);
            engine.fill(&schema, &data);
            if let Some(found) = compare(engine, &schema, &data, seed, queries, bug, count) {
                return Some(format!("schema {number}, data {set}: {found}"));
            }
        }
    }
    None
}

fn means_the_same(engine: &mut dyn Engine) {
    let (schemas, sets, queries) = size();
    let mut count = Count::default();
    let found = run(engine, (schemas, sets, queries), None, &mut count);
    eprintln!("{schemas} schemas × {sets} data sets × {queries} queries: {count:?}");
    if let Some(found) = found {
        panic!("{found}");
    }
    assert!(count.refused * 20 < count.queries, "the queries are not understood: {count:?}");
    assert!(count.empty * 2 < count.queries, "nothing is found: {count:?}");
    assert!(count.overflows * 5 < count.queries, "nothing is compared: {count:?}");
    for hard in data::HARD {
        assert!(count.values.get(hard).is_some_and(|count| *count > 0), "there is no {hard}: {count:?}");
    }
}

fn finds(engine: &mut dyn Engine, bugs: &[(&str, Bug)]) {
    for (name, bug) in bugs {
        let mut count = Count::default();
        let found = run(engine, (15, 8, 25), Some(*bug), &mut count);
        assert!(found.is_some(), "{name}: {count:?}");
        eprintln!("{name}: found after {} queries", count.queries);
    }
}

#[test]
fn memory_and_sqlite_mean_the_same() {
    means_the_same(&mut sqlite::Sqlite::default());
}

#[test]
fn memory_and_postgres_mean_the_same() {
    if let Some(mut engine) = postgres::Postgres::start() {
        means_the_same(&mut engine);
    }
}

#[test]
fn planted_bugs_are_found_on_sqlite() {
    let mut bugs = BUGS.to_vec();
    bugs.push(("what is not known counts as true", |sql| sql.replace(" IS NOT TRUE", " = 0")));
    finds(&mut sqlite::Sqlite::default(), &bugs);
}

#[test]
fn planted_bugs_are_found_on_postgres() {
    let Some(mut engine) = postgres::Postgres::start() else { return };
    let mut bugs = BUGS.to_vec();
    bugs.push(("what is not known counts as true", |sql| sql.replace(" IS NOT TRUE", " IS FALSE")));
    bugs.push(("texts compare as the server likes", |sql| sql.replace("COLLATE \"C\"", "COLLATE \"de-x-icu\"")));
    bugs.push(("accents are left", |sql| sql.replace("mytism_plain(", "mytism_fold(")));
    bugs.push(("a rest is rounded", |sql| sql.replace("trunc(", "round(")));
    bugs.push(("ends are beginnings", |sql| sql.replace("mytism_end_of(", "mytism_start_of(")));
    finds(&mut engine, &bugs);
}

/// Attributes of two sub-entities whose names differ in case alone are two, also where both are looked at.
#[test]
fn names_that_differ_in_case_alone_are_not_mixed_up() {
    let schema = schema::random(&mut Dice::new(1_028));
    let data = Data::random(&schema, &mut Dice::new(28_002));
    let (zone, now) = fixed();
    let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(sqlite::Sqlite::default())];
    engines.extend(postgres::Postgres::start().map(|engine| Box::new(engine) as Box<dyn Engine>));
    for mut engine in engines {
        engine.begin(&schema);
        engine.fill(&schema, &data);
        let text = "select o.id, o.(`Select`)`name` as one, o.(`instanceof`)`Name` as other from `Ünder` o";
        let query = parse_with(text, &schema, &Surroundings { params: &[], zone: &zone, now }).unwrap();
        assert_eq!(engine.ask(&schema, &query, None).0, memory(&data, &schema, &query));
    }
}
