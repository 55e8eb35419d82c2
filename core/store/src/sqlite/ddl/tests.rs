//! Tables are made, take what they should and show it in words.

use mytism_core::schema::{EntityDef, EnumWordDef, KindDef, MemberDef, SchemaDef};
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use proptest::prelude::*;
use rusqlite::{Connection, params_from_iter};

use super::super::column::to_sql;
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

fn schema() -> Schema {
    let word = |id, name: &str| EnumWordDef { id, name: name.to_owned(), label: None };
    let mut base = EntityDef { id: Some(1), name: "Base".to_owned(), is_abstract: true, ..EntityDef::default() };
    base.members = vec![
        member(110, "Money", KindDef::Decimal { precision: 12, scale: 2 }),
        member(111, "Wide", KindDef::Decimal { precision: 28, scale: 4 }),
        member(112, "At", KindDef::Datetime),
        member(113, "Yes", KindDef::Bool),
        member(114, "Word", KindDef::Enum(vec![word(1, "it's"), word(2, "two")])),
        member(115, "Friends", KindDef::ManyToMany { target: "Base".to_owned(), inverse: None, inverse_id: None }),
    ];
    let below = |id, name: &str| {
        let extends = Some("Base".to_owned());
        EntityDef { id: Some(id), name: name.to_owned(), extends, ..EntityDef::default() }
    };
    let entities = vec![base, below(2, "One"), below(3, "T-wo")];
    Schema::new(SchemaDef { name: "ddl".to_owned(), version: "1".to_owned(), entities, ..SchemaDef::default() })
        .unwrap()
}

fn database() -> (Schema, Connection) {
    let schema = schema();
    let connection = Connection::open_in_memory().unwrap();
    for statement in create_tables(&schema, &Names::new(&schema)) {
        connection.execute_batch(&statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    (schema, connection)
}

/// What the view of `One` shows of a value.
fn shown(schema: &Schema, connection: &Connection, attribute: &str, value: &Value) -> Option<String> {
    let kind = &schema.entity("One").unwrap().member(attribute).unwrap().kind;
    connection.execute("DELETE FROM \"One\"", []).unwrap();
    let sql = format!("INSERT INTO \"One\"(id, \"{attribute}\") VALUES (1, ?)");
    connection.execute(&sql, params_from_iter([to_sql(kind, value)])).unwrap();
    connection.query_row(&format!("SELECT \"{attribute}\" FROM \"One_view\""), [], |row| row.get(0)).unwrap()
}

#[test]
fn views_show_words() {
    let (schema, connection) = database();
    let check = |attribute: &str, value: Value, expected: Option<&str>| {
        assert_eq!(shown(&schema, &connection, attribute, &value).as_deref(), expected, "{value:?}");
    };
    let number = |text: &str| Value::Decimal(text.parse().unwrap());
    check("Money", number("19.99"), Some("19.99"));
    check("Money", number("-0.05"), Some("-0.05"));
    check("Money", Value::Null, None);
    check("Wide", number("0.0000"), Some("0.0000"));
    check("Wide", number("-0.0001"), Some("-0.0001"));
    check("Wide", number("999999999999999999999999.9999"), Some("999999999999999999999999.9999"));
    check("Wide", number("-999999999999999999999999.9999"), Some("-999999999999999999999999.9999"));
    check("Wide", Value::Null, None);
    check("Yes", Value::Bool(false), Some("false"));
    check("Yes", Value::Null, None);
    check("Word", Value::Enum(mytism_core::id::EnumId(1)), Some("it's"));
    let time = |micros| Value::Datetime(Timestamp::from_micros(micros).unwrap());
    check("At", time(0), Some("1970-01-01T00:00:00Z"));
    check("At", time(-1), Some("1969-12-31T23:59:59.999999Z"));
    check("At", time(-62_135_596_800_000_000), Some("0001-01-01T00:00:00Z"));
    check("At", time(253_402_207_199_500_000), Some("9999-12-30T21:59:59.5Z"));
    check("At", time(253_402_207_200_000_000), Some("9999-12-30T22:00:00Z"));
}

#[test]
fn the_view_of_an_abstract_entity_covers_what_is_below() {
    let (_, connection) = database();
    connection
        .execute_batch(
            "INSERT INTO \"One\"(id) VALUES (1); INSERT INTO \"T_wo\"(id) VALUES (2); \
         INSERT INTO \"One\"(id, _deleted) VALUES (3, 1);",
        )
        .unwrap();
    let mut statement = connection.prepare("SELECT id, _entity FROM \"Base_view\" ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let rows: Vec<(i64, String)> = rows.collect::<Result<_, _>>().unwrap();
    assert_eq!(rows, [(1, "One".to_owned()), (2, "T-wo".to_owned())]);
}

#[test]
fn tables_refuse_what_has_the_wrong_form() {
    let (_, connection) = database();
    assert!(connection.execute("INSERT INTO \"One\"(id, \"Money\") VALUES (1, 'abc')", []).is_err());
    assert!(connection.execute("INSERT INTO \"Base_Friends\"(owner, element) VALUES (1, 2)", []).is_ok());
    assert!(connection.execute("INSERT INTO \"Base_Friends\"(owner, element) VALUES (1, 2)", []).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn numbers_and_times_look_as_everywhere(narrow in -999_999_999_999_i64..=999_999_999_999, wide in any::<i128>(),
            micros in -62_135_596_800_000_000_i64..=253_402_207_200_000_000) {
        let (schema, connection) = database();
        let wide = rust_decimal::Decimal::from_i128_with_scale(wide % 10_i128.pow(28), 4);
        let values = [
            ("Money", Value::Decimal(rust_decimal::Decimal::new(narrow, 2))),
            ("Wide", Value::Decimal(wide)),
            ("At", Value::Datetime(Timestamp::from_micros(micros).unwrap())),
        ];
        for (attribute, value) in values {
            let found = shown(&schema, &connection, attribute, &value).unwrap();
            prop_assert_eq!(found, value.to_string());
        }
    }
}
