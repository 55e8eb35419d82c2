//! The language as a whole, over the schema of a small shop.

mod hostile;
mod language;

use super::*;
use crate::id::ObjectId;
use crate::operation::ReferenceInput;
use crate::schema::{EntityDef, EnumWordDef, KindDef, MemberDef, OnDelete, SchemaDef};

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
        bounds: crate::schema::BoundsDef::default(),
        conflict: None,
    }
}

fn to_one(target: &str) -> KindDef {
    KindDef::ToOne { target: target.to_owned(), on_delete: OnDelete::Refuse }
}

fn entity(id: u32, name: &str, key: Option<&str>, members: Vec<MemberDef>) -> EntityDef {
    let key = key.map(str::to_owned);
    EntityDef { id: Some(id), name: name.to_owned(), key, members, ..EntityDef::default() }
}

/// Contact (abstract) → Person, Company; Order → Contact, Company; Order is an entity and a word of the language.
pub(super) fn shop() -> Schema {
    let text = || KindDef::String { max: 40 };
    let word = |id, name: &str| EnumWordDef { id, name: name.to_owned(), label: None };
    let mut key = member(101, "Code", text());
    key.unique = true;
    let mut contact = entity(10, "Contact", Some("Code"), vec![key, member(102, "City", text())]);
    contact.is_abstract = true;
    let mut person =
        entity(11, "Person", None, vec![member(111, "FirstName", text()), member(112, "Boss", to_one("Person"))]);
    person.extends = Some("Contact".to_owned());
    let mut company = entity(12, "Company", None, vec![member(121, "Seats", KindDef::Integer)]);
    company.extends = Some("Contact".to_owned());
    let mut number = member(131, "Number", KindDef::Integer);
    number.unique = true;
    let order = entity(
        13,
        "Order",
        Some("Number"),
        vec![
            number,
            member(132, "Customer", to_one("Contact")),
            member(133, "Seller", to_one("Company")),
            member(134, "Total", KindDef::Decimal { precision: 10, scale: 2 }),
            member(135, "Date", KindDef::Date),
            member(136, "Shipped", KindDef::Datetime),
            member(189, "Scan", KindDef::Blob),
            member(137, "Paid", KindDef::Bool),
            member(138, "State", KindDef::Enum(vec![word(1, "open"), word(2, "closed")])),
            member(139, "order", text()),
            member(140, "Lines", KindDef::ToMany { target: "Line".to_owned(), by: "Order".to_owned() }),
        ],
    );
    let line =
        entity(14, "Line", None, vec![member(141, "Order", to_one("Order")), member(142, "id", KindDef::Integer)]);
    let entities = vec![contact, person, company, order, line];
    Schema::new(SchemaDef { name: "shop".to_owned(), version: "1".to_owned(), entities, ..SchemaDef::default() })
        .unwrap()
}

fn parsed(text: &str, params: &[(&str, Input)]) -> Result<Query, QueryError> {
    let params: Vec<_> = params.iter().map(|(name, input)| ((*name).to_owned(), input.clone())).collect();
    parse(text, &shop(), &params, &TimeZone::UTC)
}

/// A typed expression in one line, with names for ids.
fn show(schema: &Schema, expr: &Expr) -> String {
    let name = |id| schema.member_by_id(id).map_or_else(String::new, |(_, member)| member.name.clone());
    let all = |parts: Vec<&Expr>, word: &str| parts.iter().map(|e| show(schema, e)).collect::<Vec<_>>().join(word);
    match &expr.node {
        Node::Value(value) => format!("{value:?}"),
        Node::Path(path) => {
            let mut names: Vec<String> = path.via.iter().map(|id| name(*id)).collect();
            if path.scope > 0 {
                names.insert(0, format!("^{}", path.scope));
            }
            names.push(match path.end {
                PathEnd::Object => "object".to_owned(),
                PathEnd::Attribute(id) => name(id),
            });
            format!("{}:{}", names.join("."), expr.kind.name())
        }
        Node::Call { function, .. } => format!("{}({}):{}", function.name(), all(expr.parts(), ", "), expr.kind.name()),
        Node::Instance { entities, .. } => format!("instance of {entities:?}"),
        Node::Within(within) => {
            format!("{:?} {}:{}", within.measure, all(expr.parts(), " of "), expr.kind.name())
        }
        Node::Compare { comparison, .. } => all(expr.parts(), &format!(" {comparison:?} ")),
        Node::In { value, list } => format!("{} in {list:?}", show(schema, value)),
        Node::Like { blind, .. } => all(expr.parts(), if *blind { " ilike " } else { " like " }),
        Node::IsNull(value) => format!("null({})", show(schema, value)),
        Node::And(_) => format!("({})", all(expr.parts(), " and ")),
        Node::Or(_) => format!("({})", all(expr.parts(), " or ")),
        Node::Not(_) => format!("not({})", all(expr.parts(), "")),
        Node::Aggregate { function, .. } => format!("{}({})", function.name(), all(expr.parts(), "")),
    }
}

#[track_caller]
fn check_where(condition: &str, expected: &str) {
    check_where_with(condition, &[], expected);
}

#[track_caller]
fn check_where_with(condition: &str, params: &[(&str, Input)], expected: &str) {
    let shown = match parsed(&format!("from Order o where {condition}"), params) {
        Ok(query) => show(&shop(), query.filter.as_ref().unwrap()),
        Err(error) => format!("{} {}", error.code, error.message),
    };
    assert_eq!(shown, expected, "{condition}");
}

#[test]
fn names_lead_to_attributes() {
    check_where("o.Customer.City = 'x'", "Customer.City:text Equal Text(\"x\")");
    check_where("Customer.City = 'x'", "Customer.City:text Equal Text(\"x\")");
    check_where("o.order = 'x'", "order:text Equal Text(\"x\")");
    check_where("`order` = 'x'", "order:text Equal Text(\"x\")");
    check_where("o.id = 5", "object:integer Equal Integer(5)");
    check_where("o.Customer.id = 5", "Customer:integer Equal Integer(5)");
    check_where("o.Seller.Seats > 5", "Seller.Seats:integer Greater Integer(5)");
    check_where("o is not null", "not(null(object:object))");
}

#[test]
fn a_name_in_backticks_is_never_the_id_of_the_object() {
    let query = parsed("select id as a, `id` as b from Line", &[]).unwrap();
    let shown: Vec<String> = query.select.iter().flatten().map(|item| show(&shop(), &item.expr)).collect();
    assert_eq!(shown, ["object:integer", "id:integer"]);
}

#[test]
fn values_take_the_kind_of_the_other_side() {
    check_where("o.Total >= 19.9", "Total:decimal AtLeast Decimal(19.90)");
    check_where("'19.9' = o.Total", "Decimal(19.90) Equal Total:decimal");
    check_where("o.Total < 19.999", "Total:decimal Less Decimal(19.999)");
    check_where("o.Number = -5", "Number:integer Equal Integer(-5)");
    check_where("o.Number = 1.5", "Number:integer Equal Decimal(1.5)");
    check_where("o.Customer.City = 1581", "Customer.City:text Equal Text(\"1581\")");
    check_where(
        "o.Date between '1996-07-04' and '1996-07-05'",
        "(Date:date AtLeast Date(1996-07-04) and Date:date AtMost Date(1996-07-05))",
    );
    check_where("o.Shipped < '1996-07-04'", "Shipped:datetime Less Datetime(1996-07-04T00:00:00Z)");
    check_where("o.State != 'open'", "State:enum Unequal Enum(enum value 1)");
    check_where("o.Paid", "Paid:bool");
    check_where("o.Paid = false", "Paid:bool Equal Bool(false)");
    check_where("o.Total = null", "Total:decimal Equal Null");
    check_where("1 = 1.0", "Integer(1) Equal Integer(1)");
    check_where("o.Total > o.Number", "Total:decimal Greater Number:integer");
    check_where("not true or null", "(not(Bool(true)) or Null)");
    let long = "x".repeat(50);
    check_where(&format!("o.order = '{long}'"), &format!("order:text Equal Text(\"{long}\")"));
}

#[test]
fn objects_are_found_by_id_and_by_key() {
    check_where("o.Customer = 1000123", "Customer:object Equal Reference(object 1000123)");
    check_where("o.Customer = 'ALFKI'", "Customer.Code:text Equal Text(\"ALFKI\")");
    check_where("o.Customer != 'ALFKI'", "Customer.Code:text Unequal Text(\"ALFKI\")");
    check_where("o = 7", "object:object Equal Reference(object 7)");
    check_where("o = '7'", "object:object Equal Reference(object 7)"); // the key is a number, so a number is an id
    check_where("o.Customer = null", "Customer:object Equal Null");
    check_where("null = o.Customer", "Null Equal Customer:object");
    check_where("null = true", "Null Equal Bool(true)");
    check_where("true = null", "Bool(true) Equal Null");
    check_where("null = 5", "Null Equal Integer(5)");
    check_where("null = null", "Null Equal Null");
    check_where(
        "null in (true, 4, o.Paid)",
        "(Null Equal Bool(true) or Null Equal Integer(4) or Null Equal Paid:bool)",
    );
    check_where(
        "o.Customer in (5, 'B', 'C', 6, null)",
        "(Customer:object in [Reference(object 5), Reference(object 6), Null] or Customer.Code:text in [Text(\"B\"), Text(\"C\")])",
    );
    check_where("o.Customer = o.Seller", "Customer:object Equal Seller:object");
    check_where(
        "o.Customer = 0",
        "type-mismatch Customer is of kind object: \"0\" is given, the id of an object is expected",
    );
    check_where("o.Customer < 5", "type-mismatch Customer is of kind object, which has no order");
    check_where("o.Customer = o", "type-mismatch Customer leads to Contact and o to Order, so they are never equal");
}

#[test]
fn parameters_become_values() {
    let id = |number| ReferenceInput::Id(ObjectId::new(number).unwrap());
    let key = || ReferenceInput::Key {
        entity: "Order".to_owned(),
        attribute: "Number".to_owned(),
        value: Box::new(Input::Number("12".to_owned())),
    };
    check_where_with("o.Total = $t", &[("t", Input::Text("1.5".into()))], "Total:decimal Equal Decimal(1.50)");
    check_where_with("o.Paid = $p", &[("p", Input::Bool(true))], "Paid:bool Equal Bool(true)");
    check_where_with("$p", &[("p", Input::Null)], "Null");
    check_where_with("o = $p", &[("p", Input::Reference(id(9)))], "object:object Equal Reference(object 9)");
    check_where_with("o = $p", &[("p", Input::Reference(key()))], "Number:integer Equal Integer(12)");
    check_where_with(
        "o in ($p)",
        &[("p", Input::List(vec![id(8), id(9)]))],
        "object:object in [Reference(object 8), Reference(object 9)]",
    );
    check_where_with("o in ($p)", &[("p", Input::List(Vec::new()))], "object:object in []");
    check_where_with("o.Number = $n", &[], "missing-parameter the parameter $n has no value");
    check_where_with("true", &[("n", Input::Null)], "unknown-parameter the query has no parameter $n");
    check_where_with(
        "o = $p",
        &[("p", Input::List(vec![]))],
        "type-mismatch o is of kind object: the id or the key of one object is expected",
    );
    assert_eq!(parsed("from Order limit $n", &[("n", Input::Text("5".into()))]).unwrap().limit, Some(5));
}

#[test]
fn what_does_not_fit_a_list_is_compared_exactly() {
    check_where("o.Total in (1, 2.5)", "Total:decimal in [Decimal(1.00), Decimal(2.50)]");
    check_where("o.Total in (1, 2.555)", "(Total:decimal in [Decimal(1.00)] or Total:decimal Equal Decimal(2.555))");
    check_where("o.Total not in (o.Number)", "not(Total:decimal Equal Number:integer)");
}

#[test]
fn errors_stand_on_the_word() {
    let check = |text: &str, expected: &str| {
        let error = parsed(text, &[]).unwrap_err();
        let at = format!("{}:{}+{}", error.line, error.column, error.length);
        assert_eq!(format!("{at} {} {}; {}", error.code, error.message, error.hint), expected, "{text}");
    };
    check("from Ordre", "1:6+5 unknown-entity there is no entity \"Ordre\"; did you mean \"Order\"?");
    check(
        "from Order o\nwhere o.Customer.Ctiy = 'x'",
        "2:18+4 unknown-attribute Contact has no attribute \"Ctiy\"; did you mean \"City\"?",
    );
    check(
        "from Contact where FirstName = 'x'",
        "1:20+9 unknown-attribute Contact has no attribute \"FirstName\"; Person, which is a Contact, has it: write .(Person)FirstName behind a name",
    );
    check(
        "from Order where x.Total = 1",
        "1:18+1 unknown-attribute Order has no attribute \"x\"; write \"from Order x\" to call an object so",
    );
    check(
        "from Order o where o.Lines = 1",
        "1:22+5 to-many-path \"Lines\" of Order leads to many objects, a path goes over single ones; ask about them with: exists(within Lines x where …)",
    );
    check(
        "from Order o where o.Total.x = 1",
        "1:28+1 type-mismatch \"Total\" is of kind decimal and leads to no object, so nothing can follow it; ",
    );
    check(
        "from Order o where o.id.id = 1",
        "1:25+2 type-mismatch \"id\" is of kind integer and leads to no object, so nothing can follow it; ",
    );
    check(
        "from Order o where o.Customer.id.City = 1",
        "1:34+4 type-mismatch \"id\" is of kind integer and leads to no object, so nothing can follow it; ",
    );
    check(
        "from Order where Date = 'abc'",
        "1:25+5 type-mismatch Date is of kind date: \"abc\" is given, a day like 2026-11-23 is expected; ",
    );
    check(
        "from Order where State = 'opne'",
        "1:26+6 type-mismatch State is of kind enum: \"opne\" is no word of the list; did you mean open?; ",
    );
    check(
        "from Order where Date = ''",
        "1:25+2 type-mismatch Date is of kind date: an empty text is given; ask with \"is null\" whether there is nothing; ",
    );
    check(
        "from Order where Date = Shipped",
        "1:25+7 type-mismatch Date is of kind date, Shipped is of kind datetime; ",
    );
    check("from Order where Scan > null", "1:18+4 type-mismatch Scan is of kind blob, which has no order; ");
    check(
        "from Order where Scan = 'a.pdf'",
        "1:25+7 type-mismatch Scan is of kind blob: \"a.pdf\" is given, a file that the node has taken in is expected; ",
    );
    check(
        "select max(Scan) as m from Order",
        "1:12+4 type-mismatch max takes what has an order, Scan is of kind blob; ",
    );
    check(
        "from Order where Total",
        "1:18+5 type-mismatch Total is of kind decimal and no condition; compare it with something",
    );
    check("from Order where Total like '1%'", "1:18+5 type-mismatch Total is of kind decimal, a text is expected; ");
    check("from Order limit -1", "1:18+2 type-mismatch limit needs a whole number from 0 on; ");
    check(
        "from Order order by 1",
        "1:21+1 type-mismatch order by a constant changes nothing; name an attribute or a column",
    );
    check(
        "from Order where count(*) > 1",
        "1:18+8 misplaced-aggregate an aggregate cannot stand in where; aggregates stand in the select list and in order by",
    );
    check(
        "select sum(max(Total)) from Order",
        "1:12+10 misplaced-aggregate an aggregate cannot stand in another aggregate; aggregates stand in the select list and in order by",
    );
    check("select sum(Date) from Order", "1:12+4 type-mismatch sum takes numbers, Date is of kind date; ");
    check(
        "select Customer.City, count(*) from Order",
        "1:8+13 not-grouped Customer.City stands neither in \"group by\" nor in an aggregate; add it to \"group by\", or take max(Customer.City)",
    );
    check(
        "from Order group by Paid",
        "1:21+4 not-grouped whole objects cannot be grouped; say what to select, as in: select count(*) from Order",
    );
    check(
        "select Paid, Paid from Order",
        "1:14+4 duplicate-name two columns are called \"Paid\"; give one of them another name with \"as\"",
    );
}

#[test]
fn columns_have_names_and_kinds() {
    let text = "select o, o.id, o.Customer.City, count(*), sum(o.Total), avg(o.Number), o.Paid = true, 1 as one \
                from Order o group by o, o.id, o.Customer.City, o.Paid";
    let columns = parsed(text, &[]).unwrap().select.unwrap();
    let shown: Vec<String> =
        columns.iter().map(|column| format!("{} {}", column.name, column.expr.kind.name())).collect();
    let expected = [
        "o object",
        "id integer",
        "Customer.City text",
        "count(*) integer",
        "sum(Total) decimal",
        "avg(Number) decimal",
        "o.Paid = true bool",
        "one integer",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn columns_can_be_named_in_group_and_order() {
    let text = "select Customer.City as c, count(*) as n from Order group by c order by n desc, c";
    let query = parsed(text, &[]).unwrap();
    let columns = query.select.unwrap();
    assert_eq!(query.group, [columns[0].expr.clone()]);
    assert_eq!(query.order[0].expr, columns[1].expr);
    assert!(query.order[0].descending);
    assert_eq!(query.order[1].expr, columns[0].expr);
}

#[test]
fn a_failure_says_where() {
    let failure: crate::failure::Failure = parsed("from Ordre", &[]).unwrap_err().into();
    assert_eq!((failure.kind.exit_status(), failure.code.as_str()), (2, "unknown-entity"));
    assert_eq!(failure.at, Some(crate::failure::Place { line: 1, column: 6 }));
    let failure: crate::failure::Failure = parsed("from Order", &[("x", Input::Null)]).unwrap_err().into();
    assert_eq!(failure.at, None);
}
