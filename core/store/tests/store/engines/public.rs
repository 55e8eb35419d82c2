//! Two schemas that many know, a trader's and a video rental's, as entities with made-up data: the reports that are
//! usually written for them give the same rows in the query language as in SQL on the tables of the originals.
//!
//! The tables of the originals stand in the embedded engine; the entities in both engines and in memory.

mod rental;
mod trader;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use mytism_core::id::ObjectId;
use mytism_core::input::from_text;
use mytism_core::query::{Surroundings, parse_with};
use mytism_core::schema::{BoundsDef, EntityDef, KindDef, MemberDef, OnDelete, Schema, SchemaDef};
use mytism_core::value::Value;
use rusqlite::Connection;
use rusqlite::types::Value as Sql;

use super::data::{Data, Object};
use super::{Engine, fixed, memory, postgres, sqlite};

/// A table of an original: its name, and its columns as `name kind`, where a kind is that of an attribute, or the name of
/// the table that it refers to. Each has a number `id` besides.
pub(super) type Table = (&'static str, &'static [&'static str]);

/// What an original consists of.
pub(super) struct Original {
    pub(super) tables: &'static [Table],
    /// Relations to many, as `table name target by`.
    pub(super) many: &'static [&'static str],
    /// The rows of each table; nothing is an empty text.
    pub(super) rows: BTreeMap<&'static str, Vec<Vec<String>>>,
    /// A report in the query language, and in SQL.
    pub(super) reports: &'static [(&'static str, &'static str)],
}

/// Ids of the objects of a table begin behind this, times its place.
const APART: i64 = 1 << 20;

fn kind(original: &Original, word: &str) -> KindDef {
    match word {
        "text" => KindDef::String { max: 200 },
        "integer" => KindDef::Integer,
        "money" => KindDef::Decimal { precision: 12, scale: 2 },
        "date" => KindDef::Date,
        "moment" => KindDef::Datetime,
        "bool" => KindDef::Bool,
        table => {
            assert!(original.tables.iter().any(|known| known.0 == table), "there is no kind {table}");
            KindDef::ToOne { target: table.to_owned(), on_delete: OnDelete::Refuse }
        }
    }
}

fn schema(original: &Original) -> Schema {
    let mut next = 100;
    let mut member = |name: &str, kind: KindDef| {
        next += 1;
        MemberDef {
            id: Some(next),
            name: name.to_owned(),
            label: None,
            kind,
            not_null: false,
            unique: false,
            indexed: false,
            default: None,
            number: None,
            bounds: BoundsDef::default(),
            conflict: None,
        }
    };
    let mut entities = Vec::new();
    for ((name, columns), id) in original.tables.iter().zip(10..) {
        let split = columns.iter().map(|column| column.split_once(' ').unwrap());
        let mut members: Vec<MemberDef> = split.map(|(name, word)| member(name, kind(original, word))).collect();
        for many in original.many {
            let words: Vec<&str> = many.split(' ').collect();
            if words[0] == *name {
                members
                    .push(member(words[1], KindDef::ToMany { target: words[2].to_owned(), by: words[3].to_owned() }));
            }
        }
        entities.push(EntityDef { id: Some(id), name: (*name).to_owned(), members, ..EntityDef::default() });
    }
    Schema::new(SchemaDef { name: "public".to_owned(), version: "1".to_owned(), entities, ..SchemaDef::default() })
        .unwrap()
}

fn objects(original: &Original, schema: &Schema) -> Data {
    let id = |table: &str, number: i64| {
        let place = original.tables.iter().zip(1..).find(|(known, _)| known.0 == table).unwrap().1;
        ObjectId::new(APART * place + number).unwrap()
    };
    let mut objects = BTreeMap::new();
    for (table, columns) in original.tables {
        let entity = schema.entity(table).unwrap();
        for (row, number) in original.rows[table].iter().zip(1..) {
            let mut values = BTreeMap::new();
            for (column, text) in columns.iter().zip(row) {
                let (name, word) = column.split_once(' ').unwrap();
                let member = entity.member(name).unwrap();
                let value = match member.kind.target() {
                    _ if text.is_empty() => Value::Null,
                    Some(_) => Value::Reference(id(word, text.parse().unwrap())),
                    None => from_text(&member.kind, text, &TimeZone::UTC).unwrap(),
                };
                values.insert(member.id, value);
            }
            objects.insert(id(table, number), Object { entity: entity.id, deleted: false, values });
        }
    }
    Data::of_objects(schema, objects, BTreeSet::new())
}

fn tables(original: &Original) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    for (table, columns) in original.tables {
        let named = columns.iter().map(|column| column.split_once(' ').unwrap());
        let defined = named.map(|(name, word)| {
            let kind = match word {
                "text" | "date" | "moment" => "TEXT",
                "money" => "REAL",
                _ => "INTEGER",
            };
            format!(", {name} {kind}")
        });
        let defined: String = defined.collect();
        connection.execute_batch(&format!("CREATE TABLE \"{table}\"(id INTEGER PRIMARY KEY{defined})")).unwrap();
        let places = ", ?".repeat(columns.len());
        let mut insert = connection.prepare(&format!("INSERT INTO \"{table}\" VALUES (?{places})")).unwrap();
        for (row, number) in original.rows[table].iter().zip(1_i64..) {
            let values = row.iter().map(|text| match text.as_str() {
                "" => Sql::Null,
                "true" => Sql::Integer(1),
                "false" => Sql::Integer(0),
                other => Sql::Text(other.to_owned()),
            });
            insert.execute(rusqlite::params_from_iter([Sql::Integer(number)].into_iter().chain(values))).unwrap();
        }
    }
    connection
}

/// A value as the originals show it: objects by their numbers, exact numbers as those with a point.
fn shown(value: &Value) -> String {
    match value {
        Value::Reference(object) => (object.get() % APART).to_string(),
        // The id of an object, asked for as a number.
        Value::Integer(number) if *number > APART => (number % APART).to_string(),
        Value::Decimal(number) => rounded(&number.to_string()),
        Value::Bool(yes) => i64::from(*yes).to_string(),
        other => other.to_string(),
    }
}

/// The tables of the originals count money with a floating point.
fn rounded(text: &str) -> String {
    format!("{:.4}", text.parse::<f64>().unwrap() + 0.0)
}

fn told(connection: &Connection, sql: &str) -> Vec<Vec<String>> {
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let value = |at| {
            Ok(match row.get::<_, Sql>(at)? {
                Sql::Null => "null".to_owned(),
                Sql::Integer(number) => number.to_string(),
                Sql::Real(number) => rounded(&number.to_string()),
                Sql::Text(text) => text,
                Sql::Blob(_) => panic!("{sql}"),
            })
        };
        (0..columns).map(value).collect()
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn reports_are_the_same(original: &Original, engine: &mut dyn Engine) {
    let (schema, connection) = (schema(original), tables(original));
    let data = objects(original, &schema);
    engine.begin(&schema);
    engine.fill(&schema, &data);
    let (_, now) = fixed();
    for (text, sql) in original.reports {
        let surroundings = Surroundings { params: &[], zone: &TimeZone::UTC, now };
        let query = parse_with(text, &schema, &surroundings).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let (found, statement) = engine.ask(&schema, &query, None);
        let found = found.unwrap();
        assert_eq!(memory(&data, &schema, &query).unwrap(), found, "{text}\n{statement}");
        let found: Vec<Vec<String>> = found.iter().map(|row| row.iter().map(shown).collect()).collect();
        let expected = told(&connection, sql);
        assert_eq!(found, expected, "{text}\n{statement}");
        assert!(!expected.is_empty(), "{text} finds nothing");
    }
}

#[test]
fn reports_of_a_trader() {
    reports_are_the_same(&trader::original(), &mut sqlite::Sqlite::default());
    if let Some(mut engine) = postgres::Postgres::start() {
        reports_are_the_same(&trader::original(), &mut engine);
    }
}

#[test]
fn reports_of_a_rental() {
    reports_are_the_same(&rental::original(), &mut sqlite::Sqlite::default());
    if let Some(mut engine) = postgres::Postgres::start() {
        reports_are_the_same(&rental::original(), &mut engine);
    }
}
