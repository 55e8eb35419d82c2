//! Queries, and other rows laid over a view: the same answers on both engines.

use jiff::tz::TimeZone;
use mytism_core::change::Life;
use mytism_core::id::EnumId;
use mytism_core::query::parse;
use mytism_core::time::Date;
use mytism_core::value::Value;
use mytism_store::{OtherObject, QueryOptions, QueryRow, View, Write};

use crate::place::*;

/// Whatever the language can say; how it is written for an engine is tested where it is written.
const QUERIES: [&str; 16] = [
    "from thing",
    "from Order o where o.group = 'Straße'",
    "select a.group, xmin, price, wide, yes, day, time, word from thing a order by xmin, a.group desc",
    "from thing where price >= 1.5 order by price desc",
    "from thing where wide > 0.000001 or wide is null",
    "from thing a where a.group like 'S%' or long ilike '%ÄÖ%'",
    "select x.group as g, count(*) as n, sum(price) as s, avg(xmin) as a, min(day) as d from thing x group by x.group",
    "select sum(wide) as w, avg(price) as p from thing",
    "select next.group as g, next.next.price as p from thing order by g, p limit 5 offset 1",
    "from thing where yes",
    "from thing where not yes and word = \"it's\"",
    "from thing where day < '2000-03-01' and time > '1990-01-01T00:00:00Z'",
    "from select where xmin in (1, 2, 3) order by next",
    "from order",
    "select next as n from thing where next is not null order by n",
    "select xmin from thing where xmin < price",
];

fn fill(place: &Place) {
    let texts = ["Straße", "STRASSE", "", "Straße ", "äö", "ÄÖ", "z", "İ", "e\u{301}", "👍", "%", "a_b"];
    let mut batch = Vec::new();
    for n in 0..36_i64 {
        let index = usize::try_from(n).unwrap();
        let mut slots = vec![
            (GROUP, Value::from(texts[index % texts.len()])),
            (LONG, Value::from(texts[(index * 5) % texts.len()])),
            (NUMBER, Value::Integer(n % 7 - 2)),
            (PRICE, Value::Decimal(rust_decimal::Decimal::new(n * 75 - 900, 2))),
            (WIDE, Value::Decimal(rust_decimal::Decimal::new(n * n * n - 20, 6))),
            (YES, Value::Bool(n % 3 == 0)),
            (DAY, Value::Date(Date::from_days(i32::try_from(n).unwrap() * 400).unwrap())),
            (TIME, Value::Datetime(at(n * 40_000_000_000_000))),
            (WORD, Value::Enum(EnumId(1 + u32::try_from(n % 2).unwrap()))),
            (NEXT, Value::Reference(id(100 + (n * 11) % 36))),
        ];
        slots.retain(|(attribute, _)| (n + i64::from(attribute.0)) % 5 != 0);
        let mut one = object(if n % 2 == 0 { ORDER } else { SELECT }, 100 + n, &slots);
        if n % 9 == 8 {
            one.meta.life = Life::Deleted;
        }
        batch.push(Write::Insert(Box::new(with_parts(one, &[100 + n, 101]))));
    }
    place.commit(batch);
}

fn answers(place: &Place, view: &dyn View) -> Vec<String> {
    let mut told = Vec::new();
    for (text, deleted) in QUERIES.iter().flat_map(|text| [(text, false), (text, true)]) {
        let query = parse(text, &place.schema, &[], &TimeZone::UTC).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut rows = Vec::new();
        let options = QueryOptions { deleted, limit: None };
        let done = view.query(&query, options, &mut |row| {
            rows.push(match row {
                QueryRow::Object(found) => format!("{:?}", sorted(*found)),
                QueryRow::Values(values) => format!("{values:?}"),
            });
            true
        });
        done.unwrap_or_else(|error| panic!("{text}: {error}"));
        told.push(format!("{text} {deleted}: {} rows\n{}", rows.len(), rows.join("\n")));
    }
    told
}

#[test]
fn queries_are_answered_alike() {
    let Some(server) = Place::postgres() else { return };
    let embedded = Place::sqlite();
    for place in [&embedded, &server] {
        fill(place);
    }
    let both = [&embedded, &server].map(|place| answers(place, &*place.view()));
    for (one, other) in both[0].iter().zip(&both[1]) {
        assert_eq!(one, other);
    }
    assert!(both[0].iter().filter(|told| !told.contains(": 0 rows")).count() > 26, "the queries find too little");
}

#[test]
fn an_index_is_told_where_one_is_used() {
    let Some(server) = Place::postgres() else { return };
    for place in [&Place::sqlite(), &server] {
        fill(place);
        let explain = |text: &str| {
            let query = parse(text, &place.schema, &[], &TimeZone::UTC).unwrap();
            place.view().explain(&query, QueryOptions { deleted: false, limit: Some(7) }).unwrap()
        };
        let told = explain("from order where id = 105");
        assert_eq!(told.indexes, ["id"], "{told:?}");
        assert_eq!(told.values, [Value::Integer(105), Value::Integer(7)]);
        assert!(told.sql.starts_with("SELECT t0.id") && !told.plan.is_empty(), "{told:?}");
        assert!(!told.sql.contains("105"), "{told:?}");
        let told = explain("from thing where price < 3");
        assert!(told.indexes.iter().all(|index| index == "id" || index.contains(" (")), "{told:?}");
    }
}

#[test]
fn a_query_can_be_left_early_and_asked_again() {
    let Some(place) = Place::postgres() else { return };
    fill(&place);
    let view = place.view();
    let query = parse("select xmin from thing", &place.schema, &[], &TimeZone::UTC).unwrap();
    for wanted in 1..5 {
        let mut count = 0;
        let mut row = |_| {
            count += 1;
            count < wanted
        };
        view.query(&query, QueryOptions::default(), &mut row).unwrap();
        assert_eq!(count, wanted);
    }
}

#[test]
fn what_is_laid_over_is_seen_alike() {
    let Some(server) = Place::postgres() else { return };
    let embedded = Place::sqlite();
    let told = [&embedded, &server].map(|place| {
        fill(place);
        let mut view = place.view();
        let plain = answers(place, &*view);
        let changed = object(ORDER, 100, &[(GROUP, Value::from("laid over")), (NUMBER, Value::Integer(3))]);
        let new = object(SELECT, 900, &[(PRICE, Value::Decimal("3.20".parse().unwrap()))]);
        let gone = |number, entity| OtherObject { id: id(number), entity, state: None, elements: vec![] };
        view.overlay(&[
            OtherObject {
                id: id(100),
                entity: ORDER,
                state: Some(changed),
                elements: vec![(PARTS, id(100), false), (PARTS, id(200), true)],
            },
            gone(101, SELECT),
        ])
        .unwrap();
        view.overlay(&[
            OtherObject { id: id(900), entity: SELECT, state: Some(new), elements: vec![] },
            gone(102, ORDER),
        ])
        .unwrap();
        let mut told = answers(place, &*view);
        assert_ne!(told, plain);
        for number in [100, 101, 102, 103, 900] {
            told.push(format!(
                "{:?} {:?}",
                view.object(id(number)).map(|o| o.map(sorted)),
                view.elements(PARTS, id(number))
            ));
        }
        told.push(format!("{:?}", view.objects_after(0, 5).unwrap().into_iter().map(sorted).collect::<Vec<_>>()));
        drop(view);
        // No other view knows of it.
        assert_eq!(answers(place, &*place.view()), plain);
        told
    });
    for (one, other) in told[0].iter().zip(&told[1]) {
        assert_eq!(one, other);
    }
}
