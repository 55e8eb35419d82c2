//! Queries over a small shop in a database in memory, against answers worked out by hand.

mod law;
mod plan;

use jiff::tz::TimeZone;
use mytism_core::operation::Input;
use mytism_core::query::parse;
use mytism_core::schema::{EntityDef, EnumWordDef, KindDef, MemberDef, OnDelete, SchemaDef};
use mytism_core::value::Value;
use rusqlite::{Connection, params_from_iter};

use super::super::column::{from_result, to_sql};
use super::super::ddl::create_tables;
use super::super::names::quoted;
use super::*;

fn member(id: u32, name: &str, kind: KindDef) -> MemberDef {
    let name = name.to_owned();
    MemberDef {
        id: Some(id),
        name,
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

fn indexed(member: MemberDef) -> MemberDef {
    MemberDef { indexed: true, ..member }
}

fn to_one(target: &str) -> KindDef {
    KindDef::ToOne { target: target.to_owned(), on_delete: OnDelete::Refuse }
}

fn entity(id: u32, name: &str, extends: Option<&str>, key: Option<&str>, members: Vec<MemberDef>) -> EntityDef {
    let (extends, key) = (extends.map(str::to_owned), key.map(str::to_owned));
    EntityDef { id: Some(id), name: name.to_owned(), extends, key, members, ..EntityDef::default() }
}

/// Contact (abstract) → Person, Company; Order → Contact, Company; Ghost is abstract with nothing below.
fn schema() -> Schema {
    let text = || KindDef::String { max: 80 };
    let decimal = |precision, scale| KindDef::Decimal { precision, scale };
    let word = |id, name: &str| EnumWordDef { id, name: name.to_owned(), label: None };
    let mut code = member(101, "Code", text());
    code.unique = true;
    let mut contact = entity(10, "Contact", None, Some("Code"), vec![code, indexed(member(102, "City", text()))]);
    contact.is_abstract = true;
    let person = entity(11, "Person", Some("Contact"), None, vec![member(111, "Boss", to_one("Person"))]);
    let company = entity(12, "Company", Some("Contact"), None, vec![member(121, "Seats", KindDef::Integer)]);
    let mut number = indexed(member(131, "Number", KindDef::Integer));
    number.not_null = true;
    let order = entity(
        13,
        "Order",
        None,
        None,
        vec![
            number,
            member(132, "Customer", to_one("Contact")),
            member(133, "Seller", to_one("Company")),
            indexed(member(134, "Total", decimal(10, 2))),
            member(135, "Weight", decimal(28, 6)),
            member(136, "Date", KindDef::Date),
            member(137, "Shipped", KindDef::Datetime),
            member(138, "Paid", KindDef::Bool),
            member(139, "State", KindDef::Enum(vec![word(2, "open"), word(1, "closed")])),
        ],
    );
    let mut ghost = entity(14, "Ghost", None, None, vec![member(141, "Name", text())]);
    ghost.is_abstract = true;
    let entities = vec![contact, person, company, order, ghost];
    Schema::new(SchemaDef { name: "shop".to_owned(), version: "1".to_owned(), entities, ..SchemaDef::default() })
        .unwrap()
}

/// `entity id attribute=value …`; values are texts as in an import, with `·` for a blank; objects stand as ids.
const DATA: [&str; 14] = [
    "Company 1 Code=HUB City=Köln Seats=12",
    "Company 2 Code=ALFKI City=Berlin",
    "Company 3 Code=STRA City=Weißenburg Seats=-3",
    "Person 4 Code=ANN City=berlin",
    "Person 5 Code=BEA City=Berlin· Boss=4",
    "Person 6 Code=CLO Boss=5",
    "Person 7 Code=😀 City=Zürich Boss=6",
    "Person 8 Code=GONE City=Berlin Boss=4 deleted",
    "Order 20 Number=1 Customer=2 Seller=1 Total=19.99 Weight=1.5 Date=1996-07-04 Paid=true State=open",
    "Order 21 Number=2 Customer=4 Seller=1 Total=20.00 Weight=-0.000001 Shipped=1996-07-04T12:00:00Z Paid=false State=closed",
    "Order 22 Number=3 Customer=5 Total=-5 Weight=9999999999999999999999.999999",
    "Order 23 Number=4 Customer=8 Total=19.99 Date=1996-07-05",
    "Order 24 Number=5 Weight=1.5",
    "Order 25 Number=6 Customer=2 Total=100 deleted",
];

fn database(schema: &Schema) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    register_functions(&connection).unwrap();
    let names = Names::new(schema);
    for statement in create_tables(schema, &names) {
        connection.execute_batch(&statement).unwrap();
    }
    for line in DATA {
        insert(schema, &names, &connection, line);
    }
    connection
}

fn insert(schema: &Schema, names: &Names, connection: &Connection, line: &str) {
    let mut words = line.split(' ');
    let entity = schema.entity(words.next().unwrap()).unwrap();
    let mut columns = vec!["id".to_owned()];
    let mut values = vec![SqlValue::Integer(words.next().unwrap().parse().unwrap())];
    for word in words {
        let Some((name, text)) = word.split_once('=') else {
            columns.push("_deleted".to_owned());
            values.push(SqlValue::Integer(1));
            continue;
        };
        let member = entity.member(name).unwrap();
        let value = match member.kind.target() {
            Some(_) => Value::Reference(text.parse().unwrap()),
            None => mytism_core::input::from_text(&member.kind, &text.replace('·', " "), &TimeZone::UTC).unwrap(),
        };
        columns.push(quoted(names.column(member.id)));
        values.push(to_sql(&member.kind, &value));
    }
    let places = vec!["?"; values.len()].join(", ");
    let sql = format!("INSERT INTO {}({}) VALUES ({places})", quoted(names.table(entity.id)), columns.join(", "));
    connection.execute(&sql, params_from_iter(values)).unwrap();
}

/// The answer as one text: rows between `;`, values between `,`.
fn answer(text: &str, params: &[(&str, Input)], options: QueryOptions) -> String {
    let schema = schema();
    let connection = database(&schema);
    let params: Vec<_> = params.iter().map(|(name, input)| ((*name).to_owned(), input.clone())).collect();
    let query = parse(text, &schema, &params, &TimeZone::UTC).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let compiled = compile(&query, &schema, &Names::new(&schema), options);
    run(&connection, &compiled).unwrap_or_else(|error| format!("{error}"))
}

fn run(connection: &Connection, compiled: &CompiledQuery) -> rusqlite::Result<String> {
    let sql = &compiled.sql;
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
    let mut rows = statement.query(params_from_iter(&compiled.params))?;
    let mut shown = Vec::new();
    while let Some(row) = rows.next()? {
        let values: Vec<String> = if compiled.columns.is_empty() {
            vec![row.get::<_, i64>(0)?.to_string()]
        } else {
            let one = |(at, (_, kind)): (usize, &(String, ResultKind))| from_result(kind, row.get_ref(at).unwrap());
            compiled.columns.iter().enumerate().map(|column| one(column).unwrap().to_string()).collect()
        };
        shown.push(values.join(","));
    }
    Ok(shown.join(";"))
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(answer(text, &[], QueryOptions::default()), expected, "{text}");
}

#[test]
fn objects_come_in_the_order_of_their_ids() {
    check("from Order", "20;21;22;23;24");
    check("from Person", "4;5;6;7");
    check("from Contact", "1;2;3;4;5;6;7");
    check("from Ghost where Name = 'x' order by Name", "");
    check("select count(*), max(Name) from Ghost", "0,null");
    check("from Order where id in (24, 20, 99)", "20;24");
    check("from Order limit 2", "20;21");
    check("from Order limit 2 offset 1", "21;22");
    check("from Order offset 3", "23;24");
    check("from Order limit 0", "");
}

#[test]
fn the_entity_comes_with_the_object() {
    let schema = schema();
    let query = parse("from Contact where id > 2 limit 2", &schema, &[], &TimeZone::UTC).unwrap();
    let compiled = compile(&query, &schema, &Names::new(&schema), QueryOptions::default());
    let connection = database(&schema);
    let mut statement = connection.prepare(&compiled.sql).unwrap();
    let rows = statement.query_map(params_from_iter(&compiled.params), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(rows.collect::<Result<Vec<(i64, u32)>, _>>().unwrap(), [(3, 12), (4, 11)]);
}

#[test]
fn deleted_objects_are_left_out_unless_asked_for() {
    let with = QueryOptions { deleted: true, limit: None };
    assert_eq!(answer("from Order", &[], with), "20;21;22;23;24;25");
    assert_eq!(answer("from Contact where id > 6", &[], with), "7;8");
    assert_eq!(answer("from Order", &[], QueryOptions { deleted: false, limit: Some(2) }), "20;21");
    assert_eq!(answer("from Order limit 1", &[], QueryOptions { deleted: false, limit: Some(2) }), "20");
    // A path leads over a deleted object all the same.
    check("from Order o where o.Customer.City = 'Berlin'", "20;23");
}

#[test]
fn texts_compare_by_bytes() {
    check("from Contact where City = 'Berlin'", "2");
    check("from Contact where City = 'Berlin '", "5");
    check("from Contact where City > 'Z'", "4;7");
    check(
        "select Code, City from Contact order by City, Code desc",
        "ALFKI,Berlin;BEA,Berlin ;HUB,Köln;STRA,Weißenburg;😀,Zürich;ANN,berlin;CLO,null",
    );
    check("from Contact where City like 'Ber%'", "2;5");
    check("from Contact where City ilike 'ber%'", "2;4;5");
    check("from Contact where City ilike '%WEI_EN%'", "3");
    check("from Contact where City ilike '%weiss%'", "");
    check("from Contact where City not like '%e%'", "1;7");
    check("from Contact where Code like '_'", "7");
    check("from Contact where City like Code", "");
    check("from Contact where City like null", "");
}

#[test]
fn nothing_is_neither_true_nor_false() {
    check("from Contact where City = null", "");
    check("from Contact where not (City = null)", "");
    check("from Contact where City != 'Berlin'", "1;3;4;5;7");
    check("from Contact where City is null", "6");
    check("from Contact where City is not null and not City = 'Berlin'", "1;3;4;5;7");
    check("from Order where Paid", "20");
    check("from Order where not Paid", "21");
    check("from Order where Paid is null", "22;23;24");
    check("from Order where Paid or Total < 0", "20;22");
    check("from Order where Total in (20, null)", "21");
    check("from Order where Total not in (20, null)", "");
    check("from Order where Total not in (20)", "20;22;23");
    check("from Order where true", "20;21;22;23;24");
    check("from Order where null", "");
    assert_eq!(
        answer("from Order where Customer in ($none)", &[("none", Input::List(vec![]))], QueryOptions::default()),
        ""
    );
}

#[test]
fn nothing_comes_last_ascending_and_first_descending() {
    check("select Number, Total from Order order by Total", "3,-5.00;1,19.99;4,19.99;2,20.00;5,null");
    check("select Number, Total from Order order by Total desc, Number desc", "5,null;2,20.00;4,19.99;1,19.99;3,-5.00");
    check("select Seller, count(*) from Order group by Seller", "1,2;null,3");
    check("from Order order by Number desc", "24;23;22;21;20");
    check("from Order order by Customer.City desc", "24;21;22;20;23");
}

#[test]
fn numbers_are_exact() {
    check("from Order where Total = 19.99", "20;23");
    check("from Order where Total = 19.990", "20;23");
    check("from Order where Total < 19.995", "20;22;23");
    check("from Order where Total >= 19.995", "21");
    check("from Order where Total = 19.995", "");
    check("from Order where Total != 19.995", "20;21;22;23");
    check("from Order where Total in (19.995, 20)", "21");
    check("from Order where Total < 1e20", "20;21;22;23");
    check("from Order where Total > Number", "20;21;23");
    check("from Order where Weight = 1.5", "20;24");
    check("from Order where Weight < 0", "21");
    check("from Order where Weight > Total", "22");
    check("from Order where Weight > 999999999999999999999.9999985", "22");
    check("from Order where Number > 3.5 and Number <= 4.0", "23");
    check("from Order where Seller.Seats between 11 and 13", "20;21");
    check("select Number from Order where Weight is not null order by Weight", "2;1;5;3");
}

#[test]
fn days_moments_and_words() {
    check("from Order where Date = '1996-07-04'", "20");
    check("from Order where Date > '1996-07-04'", "23");
    check("from Order where Shipped >= '1996-07-04' and Shipped < '1996-07-05'", "21");
    check("from Order where Shipped = '1996-07-04T14:00:00+02:00'", "21");
    check("from Order where State = 'open'", "20");
    check("from Order where State in ('open', 'closed')", "20;21");
    check(
        "select Number, Shipped, Date, State, Paid from Order where Number < 3",
        "1,null,1996-07-04,2,true;2,1996-07-04T12:00:00Z,null,1,false",
    );
}

#[test]
fn paths_lead_over_references() {
    check("from Person where Boss.Boss.City = 'berlin'", "6");
    check("from Person where Boss.Boss.Boss is not null", "7");
    check("from Person where Boss = 4", "5");
    check("from Person where Boss = 'ANN'", "5");
    check("from Person where Boss in (5, 'ANN')", "5;6");
    check("from Person where Boss.id = 4", "5");
    check("from Person p where p = 'BEA'", "5");
    check("from Person p where p.Boss = p", "");
    check("from Order where Customer = Seller", "");
    check("from Order where Customer != 'ALFKI'", "21;22;23");
    check(
        "select o, o.id, o.Customer, o.Customer.Code, Seller.City from Order o",
        "20,20,2,ALFKI,Köln;21,21,4,ANN,Köln;22,22,5,BEA,null;23,23,8,GONE,null;24,24,null,null,null",
    );
}

#[test]
fn aggregates_pass_over_nothing() {
    check(
        "select count(*), count(Total), sum(Total), min(Total), max(Total), avg(Total) from Order",
        "5,4,54.98,-5.00,20.00,13.745000",
    );
    check("select sum(Weight), avg(Weight), max(Weight) from Order where Number != 3", "2.999999,1.000000,1.500000");
    check(
        "select sum(Number), avg(Number), min(Date), max(Shipped), max(Customer.City) from Order",
        "15,3.000000,1996-07-04,1996-07-04T12:00:00Z,berlin",
    );
    check("select count(*), sum(Total), sum(Weight), avg(Total) from Order where false", "0,null,null,null");
    check(
        "select Customer.City as c, count(*) as n, sum(Total) from Order group by c order by n desc, c",
        "Berlin,2,39.98;Berlin ,1,-5.00;berlin,1,20.00;null,1,null",
    );
    check("select Paid = true as p, count(*) from Order group by p", "false,1;true,1;null,3");
    check(
        "select Total > 19.5 as big, count(*) from Order group by Total > 19.5 order by count(*) desc",
        "true,3;false,1;null,1",
    );
    check("select sum(1.5), count(Paid) from Order", "7.5,2");
    check("select State, count(*) from Order group by State order by State desc", "null,3;2,1;1,1");
}

#[test]
fn a_sum_that_is_too_large_is_an_error() {
    let schema = schema();
    let names = Names::new(&schema);
    let connection = database(&schema);
    insert(&schema, &names, &connection, "Order 30 Number=9223372036854775807 Weight=9999999999999999999999.999999");
    for (text, expected) in [
        ("select sum(Number) from Order", "integer overflow"),
        ("select sum(Weight) from Order", "integer overflow"),
        ("select avg(Weight) from Order where Number > 5", "9999999999999999999999.999999"),
    ] {
        let query = parse(text, &schema, &[], &TimeZone::UTC).unwrap();
        let compiled = compile(&query, &schema, &names, QueryOptions::default());
        let shown = run(&connection, &compiled).unwrap_or_else(|error| error.to_string());
        assert!(shown.contains(expected), "{text}: {shown}");
    }
}

#[test]
fn values_are_bound() {
    let evil = "x'; DROP TABLE \"Order\"; --";
    let schema = schema();
    let text = "from Contact where City = $c or City like $c";
    let query = parse(text, &schema, &[("c".to_owned(), Input::Text(evil.to_owned()))], &TimeZone::UTC).unwrap();
    let compiled = compile(&query, &schema, &Names::new(&schema), QueryOptions::default());
    assert!(!compiled.sql.contains("DROP"), "{}", compiled.sql);
    assert_eq!(run(&database(&schema), &compiled).unwrap(), "");
}

#[test]
fn the_engine_takes_what_the_language_allows() {
    check(&format!("from Order where {}Paid{}", "(not ".repeat(32), ")".repeat(32)), "20");
    check(&format!("from Order where Number = 0{}", " or Number = 1".repeat(4_000)), "20");
    check(&format!("from Order where Total in (19.99{})", ", 7".repeat(9_000)), "20;23");
    check(&format!("from Person where {}City is null and Boss is not null", "Boss.".repeat(59)), "5;6;7");
    let nested = (0..30).fold("Paid".to_owned(), |inner, _| format!("({inner} = (Paid = true))"));
    check(&format!("select count(*) from Order where {nested} or true"), "5");
    let columns: Vec<String> = (0..500).map(|at| format!("Total > {at} as c{at}")).collect();
    let keys: Vec<String> = (0..500).map(|at| format!("c{at}")).collect();
    let text = format!("select {} from Order group by {} order by c0", columns.join(", "), keys.join(", "));
    assert!(answer(&text, &[], QueryOptions::default()).starts_with("false,false"));
}
