//! What stands beyond plain comparisons: arithmetic, functions, casts, questions about relations, the short form.

use super::*;
use crate::query::{Surroundings, parse_condition};

#[test]
fn different_values_are_counted() {
    let kind = |text: &str| {
        let query = parse(text, &shop(), &[], &TimeZone::UTC);
        query.map(|query| query.select.unwrap().remove(0).name).map_err(|error| error.code)
    };
    assert_eq!(kind("select count(distinct Total) from Order"), Ok("count(distinct Total)".to_owned()));
    assert_eq!(kind("select count(DISTINCT `Total`) as n from Order o"), Ok("n".to_owned()));
    assert!(kind("select count(distinct (Total + 1)) from Order").is_ok());
    // Alone it is a name like others.
    assert_eq!(kind("select count(distinct) from Order"), Err("unknown-attribute"));
    assert_eq!(kind("select sum(distinct Total) from Order"), Err("syntax-error"));
}

#[test]
fn arithmetic_binds_as_everywhere() {
    check_where(
        "o.Total * 2 + 1 > Number",
        "+(*(Total:decimal, Integer(2)):decimal, Integer(1)):decimal Greater Number:integer",
    );
    check_where("o.Number - -1 = 5", "-(Number:integer, Integer(-1)):integer Equal Integer(5)");
    check_where(
        "o.Date + 1 = '1996-07-05'",
        "date_add(Date:date, Integer(1), Text(\"day\"), Text(\"UTC\")):date Equal Date(1996-07-05)",
    );
    check_where(
        "o.Date - date('1996-07-01') > 3",
        "date_diff(date(Date(1996-07-01), Text(\"UTC\")):date, Date:date, Text(\"day\"), Text(\"UTC\")):integer Greater Integer(3)",
    );
    check_where("o.Date = 1996-07-04", "type-mismatch Date is of kind date, the result of - is of kind integer");
    check_where("o.Date + o.Date = 5", "type-mismatch + takes numbers, Date is of kind date");
    check_where(
        "o.State || 'x' = 'y'",
        "type-mismatch || takes texts, numbers, days and moments, State is of kind enum",
    );
}

#[test]
fn functions_take_what_fits() {
    check_where("lower(Customer.City) = 'köln'", "lower(Customer.City:text):text Equal Text(\"köln\")");
    check_where("lower(Number) = 'x'", "type-mismatch lower takes a text, Number is of kind integer");
    check_where(
        "coalesce(Total, Number, 0) > 1",
        "coalesce(Total:decimal, Number:integer, Decimal(0.00)):decimal Greater Decimal(1.00)",
    );
    check_where("coalesce(Total, Paid) > 1", "type-mismatch Total is of kind decimal, Paid is of kind bool");
    check_where(
        "coalesce(State, 'open') = 'closed'",
        "coalesce(State:enum, Enum(enum value 1)):enum Equal Enum(enum value 2)",
    );
    check_where("greatest(Paid, true)", "type-mismatch greatest takes what has an order, not the kind bool");
    check_where(
        "round(Total, Number) = 1",
        "type-mismatch round takes a number of digits from 0 to 20, Number is of kind integer",
    );
    check_where("round(Total, 21) = 1", "type-mismatch round takes a number of digits from 0 to 20 here");
    check_where("date_add(Date, 1, 'mnth') = Date", "type-mismatch there is no unit of time \"mnth\"");
}

#[test]
fn a_text_that_decides_everywhere_asks_for_no_time() {
    let error = parsed("from Order where Date > today()", &[]).unwrap_err();
    assert_eq!((error.code, error.column, error.length), ("no-time", 25, 7));
    assert_eq!(parsed("from Order where Shipped > now()", &[]).unwrap_err().code, "no-time");
}

#[test]
fn a_cast_reaches_what_a_sub_entity_has() {
    check_where("o.Customer.(Person)Boss.City = 'x'", "Customer.Boss.City:text Equal Text(\"x\")");
    check_where("o.Customer.(Persn)Boss.City = 'x'", "unknown-entity there is no Persn that is a Contact");
    check_where("o.Customer.(Order)Boss.City = 'x'", "unknown-entity there is no Order that is a Contact");
    check_where("o.Customer.(Person)City = 'x'", "type-mismatch every Contact has \"City\", not just a Person");
    check_where("o.Customer instanceof Person", "instance of [entity 11]");
    check_where("o.Customer instanceof Order", "type-mismatch no Contact is ever a Order");
    check_where("o.Total instanceof Order", "type-mismatch Total is of kind decimal and no object");
}

#[test]
fn relations_are_asked_about() {
    check_where("exists(within o.Lines l where l.id > 5)", "Exists ^1.object:integer Greater Integer(5):bool");
    check_where("exists(within Lines where `Order` = o)", "Exists ^1.Order:object Equal object:object:bool");
    check_where("for all(within o.Lines l where l.Order.Paid)", "ForAll ^1.Order.Paid:bool:bool");
    check_where("count(within o.Lines) > 2", "Aggregate(Count) :integer Greater Integer(2)");
    check_where(
        "sum(within o.Lines l of l.`id`) > o.Total",
        "Aggregate(Sum) ^1.id:integer:integer Greater Total:decimal",
    );
    check_where("exists(within o.Customer)", "type-mismatch \"Customer\" of Order leads to no set of objects");
    check_where("for all(within o.Lines)", "syntax-error \"for all\" says nothing without a condition");
    check_where(
        "exists(within o.Lines l where count(*) > 1)",
        "misplaced-aggregate an aggregate cannot stand in within",
    );
    check_where("exists(within o.Lines l where l.Nummber = 1)", "unknown-attribute Line has no attribute \"Nummber\"");
}

#[test]
fn the_short_form_is_the_condition_alone() {
    let zone = TimeZone::UTC;
    let surroundings = Surroundings { params: &[], zone: &zone, now: None };
    let query = parse_condition("a.Total > 5 and Paid", "Order", &shop(), &surroundings).unwrap();
    let long = parsed("from Order a where a.Total > 5 and Paid", &[]).unwrap();
    assert_eq!(query, long);
    let error = parse_condition("Total > ", "Order", &shop(), &surroundings).unwrap_err();
    assert_eq!((error.code, error.line, error.column), ("syntax-error", 1, 9));
    let error = parse_condition("Total > 5 order by Total", "Order", &shop(), &surroundings).unwrap_err();
    assert_eq!((error.code, error.column), ("syntax-error", 11));
    let error = parse_condition("Total > 5", "Ordr", &shop(), &surroundings).unwrap_err();
    assert_eq!((error.code, error.hint.as_str()), ("unknown-entity", "did you mean \"Order\"?"));
}

#[test]
fn arithmetic_has_an_end() {
    let chain = |count: usize| format!("from Order where Number = 1{}", " + 1".repeat(count));
    assert!(parsed(&chain(200), &[]).is_ok());
    assert_eq!(parsed(&chain(201), &[]).unwrap_err().code, "query-too-large");
    let deep = (0..9).fold("true".to_owned(), |inner, _| format!("exists(within `Order`.Lines where {inner})"));
    assert_eq!(parsed(&format!("from Line where {deep}"), &[]).unwrap_err().code, "query-too-large");
}
