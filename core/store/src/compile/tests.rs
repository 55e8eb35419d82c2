//! What PostgreSQL is told. That it means the same is proven where there is such an engine.

use jiff::tz::TimeZone;
use mytism_core::query::parse;
use mytism_core::schema::{EntityDef, KindDef, MemberDef, OnDelete, SchemaDef};

use super::postgres::{Postgres, functions};
use super::*;

fn member(id: u32, name: &str, kind: KindDef) -> MemberDef {
    MemberDef {
        id: Some(id),
        name: name.to_owned(),
        label: None,
        kind,
        not_null: false,
        unique: false,
        indexed: false,
        default: None,
        number: None,
        bounds: mytism_core::schema::BoundsDef::default(),
        conflict: None,
    }
}

fn entity(id: u32, name: &str, extends: Option<&str>, members: Vec<MemberDef>) -> EntityDef {
    let extends = extends.map(str::to_owned);
    EntityDef { id: Some(id), name: name.to_owned(), extends, members, ..EntityDef::default() }
}

fn schema() -> Schema {
    let to_one = |target: &str| KindDef::ToOne { target: target.to_owned(), on_delete: OnDelete::Refuse };
    let mut contact = entity(10, "Contact", None, vec![member(101, "City", KindDef::Text)]);
    contact.is_abstract = true;
    let person = entity(11, "Person", Some("Contact"), vec![member(111, "Boss", to_one("Person"))]);
    let company = entity(12, "Company", Some("Contact"), vec![member(121, "Seats", KindDef::Integer)]);
    let order = entity(
        13,
        "Order",
        None,
        vec![
            member(131, "Customer", to_one("Contact")),
            member(132, "Total", KindDef::Decimal { precision: 10, scale: 2 }),
            member(133, "Paid", KindDef::Bool),
        ],
    );
    let mut ghost = entity(14, "Ghost", None, vec![member(141, "Name", KindDef::Text)]);
    ghost.is_abstract = true;
    let entities = vec![contact, person, company, order, ghost];
    Schema::new(SchemaDef { name: "shop".to_owned(), version: "1".to_owned(), entities, ..SchemaDef::default() })
        .unwrap()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let schema = schema();
    let query = parse(text, &schema, &[], &TimeZone::UTC).unwrap();
    let compiled = compile(&query, &schema, &Names::new(&schema), QueryOptions::default(), &Postgres);
    assert_eq!(compiled.sql, expected, "{text}");
    let places = (1..=compiled.params.len() + 1).filter(|at| compiled.sql.contains(&format!("${at}::"))).count();
    assert_eq!(places, compiled.params.len(), "{text}");
}

#[test]
fn postgres_is_told_the_types_of_values() {
    check(
        "from Order where Total = 5 and Paid limit 3",
        "SELECT t0.id, 13 FROM \"Order\" AS t0 \
         WHERE NOT t0._deleted AND ((t0.\"Total\" = $1::numeric) AND t0.\"Paid\") ORDER BY t0.id LIMIT $2::bigint",
    );
    check(
        "from Order where Customer.City like 'B%' offset 1",
        "SELECT t0.id, 13 FROM \"Order\" AS t0 LEFT JOIN \"Person\" AS t1 ON t1.id = t0.\"Customer\" \
         LEFT JOIN \"Company\" AS t2 ON t2.id = t0.\"Customer\" WHERE NOT t0._deleted AND \
         (coalesce(t1.\"City\", t2.\"City\") >= ($3::text COLLATE \"C\") AND \
         coalesce(t1.\"City\", t2.\"City\") < ($2::text COLLATE \"C\") AND \
         (coalesce(t1.\"City\", t2.\"City\") LIKE mytism_pattern(($1::text COLLATE \"C\")))) \
         ORDER BY t0.id OFFSET $4::bigint",
    );
    check(
        "select max(Name) from Ghost",
        "SELECT max(t0.c141) FROM (SELECT NULL::bigint AS id, NULL::bigint AS _entity, NULL::text AS c141 \
         WHERE FALSE) AS t0",
    );
    check(
        "select sum(Total), avg(Total) from Order",
        "SELECT ((sum(t0.\"Total\") * 100)::bigint * 0.01), \
         (div(abs(sum(t0.\"Total\")) * 2000000 + count(t0.\"Total\"), 2 * count(t0.\"Total\")) \
         * sign(sum(t0.\"Total\")) * 0.000001)::numeric(28, 6) FROM \"Order\" AS t0 WHERE NOT t0._deleted",
    );
    check(
        "from Contact where City is null",
        "SELECT t0.id, t0._entity FROM (SELECT id, 11 AS _entity, \"City\" AS c101 FROM \"Person\" WHERE NOT _deleted UNION ALL \
         SELECT id, 12 AS _entity, \"City\" AS c101 FROM \"Company\" WHERE NOT _deleted) AS t0 WHERE (t0.c101 IS NULL) \
         ORDER BY t0.id",
    );
}

#[test]
fn functions_are_text_alone() {
    for statement in functions() {
        assert!(statement.starts_with("CREATE OR REPLACE FUNCTION mytism_"), "{statement}");
    }
}
