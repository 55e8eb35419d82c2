//! Queries: from text to what the engine is asked, and that it takes it.

use std::cell::LazyCell;
use std::fs;

use jiff::tz::TimeZone;
use mytism_core::operation::Input;
use mytism_core::query::{Query, QueryError, Surroundings, parse_with, render_caret};
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_store::QueryOptions;
use mytism_store::sqlite::column::from_result;
use mytism_store::sqlite::ddl::create_tables;
use mytism_store::sqlite::names::Names;
use mytism_store::sqlite::query::{compile, register_functions};
use rusqlite::{Connection, params_from_iter};

use crate::measure::{Bound, within};
use crate::{Told, told};

/// A token takes some hundred bytes in memory while it may be one byte of text, and so does what is made of it.
const MEMORY: Bound = Bound { base: 512 << 10, per_byte: 1024 };

/// An empty database of the demo's schema.
struct Place {
    schema: Schema,
    names: Names,
    connection: Connection,
}

thread_local! {
    static PLACE: LazyCell<Place> = LazyCell::new(place);
}

/// The demo's schema.
///
/// # Panics
/// When the demo is broken.
#[must_use]
pub fn trade() -> Schema {
    let folder = crate::folder();
    let path = folder.path().join("trade.xml");
    fs::write(&path, mytism_schema::demo::schema_xml()).expect("a file can be written");
    mytism_schema::project(Some(&path)).expect("the demo is sound")
}

fn place() -> Place {
    let schema = trade();
    let names = Names::new(&schema);
    let connection = Connection::open_in_memory().expect("the engine works");
    register_functions(&connection).expect("the engine takes functions");
    for statement in create_tables(&schema, &names) {
        connection.execute_batch(&statement).expect("the engine takes the demo's tables");
    }
    Place { schema, names, connection }
}

/// A query on the demo's schema; the values of its parameters follow behind the first U+0000.
///
/// # Panics
/// When a law is broken.
pub fn query(input: &[u8]) -> Told {
    let text = String::from_utf8_lossy(input);
    let (text, value) = text.split_once('\0').unwrap_or((&text, "5"));
    let params: Vec<(String, Input)> = ["p", "q"]
        .into_iter()
        .filter(|name| text.contains(&format!("${name}")))
        .map(|name| {
            (name.to_owned(), if name == "p" { Input::Text(value.into()) } else { Input::Number(value.into()) })
        })
        .collect();
    PLACE.with(|place| {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let surroundings = Surroundings { params: &params, zone: &TimeZone::UTC, now };
        let parsed = within(MEMORY, input.len(), || parse_with(text, &place.schema, &surroundings));
        match parsed {
            Err(error) => {
                check_error(text, &error);
                told(format!("{}: {}", error.code, error.message))
            }
            Ok(query) => {
                check_runs(place, &query);
                let (grouped, objects) = (query.is_grouped(), query.is_objects());
                format!("fine {grouped} {objects} {} {}", query.order.len().min(2), query.filter.is_some())
            }
        }
    })
}

/// An error stands on a place in the text, and can be shown there.
fn check_error(text: &str, error: &QueryError) {
    assert!(!error.code.is_empty() && !error.message.is_empty());
    assert!(error.message.len() < 4096, "a message of {} bytes", error.message.len());
    if error.line == 0 {
        return;
    }
    let line = text.lines().nth(error.line as usize - 1).unwrap_or_default();
    assert!(error.column as usize <= line.chars().count() + 1 && error.length >= 1, "{error:?}");
    for length in [error.length, 0] {
        let shown = within(MEMORY, text.len(), || render_caret(text, error.line, error.column, length));
        assert!(shown.is_empty() || shown.contains('^'), "{shown}");
    }
}

/// The engine takes the statement, and answers with columns of the kinds that were promised.
fn check_runs(place: &Place, query: &Query) {
    for deleted in [false, true] {
        let options = QueryOptions { deleted, limit: Some(10) };
        let compiled = compile(query, &place.schema, &place.names, options);
        let sql = &compiled.sql;
        let mut statement = place.connection.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
        let columns = if query.is_objects() { 2 } else { compiled.columns.len() };
        assert_eq!(statement.column_count(), columns, "{sql}");
        let mut rows = statement.query(params_from_iter(&compiled.params)).expect("parameters can be bound");
        while let Some(row) = rows.next().unwrap_or_else(|error| panic!("{error}: {sql}")) {
            for (at, (name, kind)) in compiled.columns.iter().enumerate() {
                let stored = row.get_ref(at).expect("the column is there");
                from_result(kind, stored).unwrap_or_else(|error| panic!("{name}: {error}: {sql}"));
            }
        }
    }
}

/// Sound queries.
#[must_use]
pub fn queries() -> Vec<Vec<u8>> {
    [
        "select o.Customer.City as c, count(*), sum(o.Freight) from Order o where o.ShippedDate is not null and \
         o.Freight > 19.99 group by c order by c desc limit 10 offset 5",
        "from Customer a where a.City in ('K\u{f6}ln', \"Bonn\", null) or not (a.City ilike '%stra\\_\u{df}e%')",
        "from `Order` `order` where `order`.OrderID between 1 and 1e3 and `order`.Customer = 'ALFKI'",
        "from Employee where ReportsTo.ReportsTo.ReportsTo.id != 5 and ReportsTo is not null and City like $p",
        "select max(OrderDate), avg(Freight) from Order where OrderDate < '2026-01-01T00:00:00Z' and Freight <> $q",
        "select l.Product.Category.CategoryName, sum(l.UnitPrice), min(l.Quantity) from OrderLine l \
         where l.Discount >= -0.05 and l.Order.Customer.Country = \"Germany\" group by l.Product.Category.CategoryName",
        "from Customer a where exists(within a.Orders o where o.Freight * 2 - 1 > -3 and o.ShipCity != a.City) or \
         for all(within a.Orders where month(OrderDate) = month(today()))",
        "select coalesce(upper(left(City, 2)) || '-', 'none') as c, date_add(HireDate, -1, 'month') from Employee e \
         where e.ReportsTo instanceof Employee and round(e.EmployeeID / 3, 2) % 2 != 0",
        "select sum(within o.Lines l of l.UnitPrice * if(l.Discount = 0, 1, 2)) as s from Order o order by s desc",
        "select count(*) as n, Discontinued from Product group by Discontinued order by n, Discontinued limit 3",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Words of the language and of the demo's schema.
pub const WORDS: &[&str] = &[
    "select ",
    " from ",
    " where ",
    " group by ",
    " order by ",
    " limit ",
    " offset ",
    " as ",
    " desc",
    " and ",
    " or ",
    " not ",
    " in (",
    " between ",
    " like ",
    " ilike ",
    " is null",
    " is not null",
    "null",
    "true",
    "false",
    "Order",
    "Customer",
    "Employee",
    "OrderLine",
    "Product",
    "User",
    "Group",
    "SyncConflict",
    "City",
    "Freight",
    "UnitPrice",
    "Quantity",
    "OrderDate",
    "ReportsTo.",
    "Customer.",
    "id",
    "(",
    ")",
    ", ",
    ".",
    "=",
    "!=",
    "<>",
    "<=",
    ">",
    "-",
    "*",
    "5",
    "1.50",
    "'x'",
    "\"y\"",
    "$p",
    "$q",
    "count(*)",
    "sum(",
    "min(",
    "max(",
    "avg(",
    "count(",
    "`a b`",
    " + ",
    " / ",
    " % ",
    " || ",
    "exists(within ",
    "for all(within ",
    "sum(within ",
    " of ",
    "Orders o",
    "Lines l",
    ".(Employee)",
    " instanceof ",
    "lower(",
    "substring(",
    "coalesce(",
    "if(",
    "year(",
    "date_add(",
    "'day'",
    "today()",
    "round(",
    "\0",
];
