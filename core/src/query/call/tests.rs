//! Each function, by what it gives for given values.

use super::*;
use crate::id::{AttributeId, EntityId, ObjectId};
use crate::operation::Input;
use crate::query::tests::shop;
use crate::query::{Surroundings, evaluate, parse_with};
use crate::time::Timestamp;
use jiff::tz::TimeZone;

/// No object holds anything.
struct Nothing;

impl crate::query::Objects for Nothing {
    type Error = std::convert::Infallible;

    fn entity(&self, _: ObjectId) -> Result<Option<EntityId>, Self::Error> {
        Ok(None)
    }

    fn value(&self, _: ObjectId, _: AttributeId) -> Result<Value, Self::Error> {
        Ok(Value::Null)
    }

    fn elements(&self, _: ObjectId, _: AttributeId) -> Result<Vec<ObjectId>, Self::Error> {
        Ok(Vec::new())
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let now = Timestamp::parse("2026-11-23T23:30:00Z", &TimeZone::UTC);
    let params = [("n".to_owned(), Input::Text("2".to_owned()))];
    let params = if text.contains('$') { &params[..] } else { &[] };
    let surroundings = Surroundings { params, zone: &zone, now };
    let query = parse_with(&format!("select {text} as x from Order"), &shop(), &surroundings);
    let query = query.unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let expr = &query.select.as_ref().unwrap()[0].expr;
    let value = evaluate(expr, ObjectId::system(1), &Nothing).unwrap();
    assert_eq!(value.to_string(), expected, "{text}");
}

#[test]
fn numbers_are_exact_and_what_has_no_place_is_nothing() {
    check("1 + 2 * 3 - 4", "3");
    check("(1 + 2) * 3", "9");
    check("7 / 2", "3.500000");
    check("-7 / 3", "-2.333333");
    check("2 / 3", "0.666667");
    check("1 / 0", "null");
    check("7 % 3", "1");
    check("-7 % 3", "-1");
    check("5 % 0", "null");
    check("0.1 + 0.2", "0.3");
    check("19.99 * 3", "59.97");
    check("-(5)", "-5");
    check("9223372036854775807 + 1", "null");
    check("9223372036854775807 * 2", "null");
    check("9223372036854775807 - 1", "9223372036854775806");
    check("9999999999999999999999999999 + 1.0", "null");
    check("abs(-5.25)", "5.25");
    check("sign(-0.5)", "-1");
    check("round(2.5)", "3");
    check("round(-2.5)", "-3");
    check("round(2.345, 2)", "2.35");
    check("truncate(-2.99)", "-2");
    check("truncate(2.999, 1)", "2.9");
    check("floor(-2.1)", "-3");
    check("ceiling(2.1)", "3");
    check("ceiling(-2.9)", "-2");
    check("div(-7, 2)", "-3");
    check("mod(7.5, 2)", "1.5");
    check("power(2, 10)", "1024");
    check("power(1.5, 2)", "2.3");
    check("power(10, 19)", "null");
    check("power(2, -1)", "null");
    check("greatest(1, 2.5, 2)", "2.5");
    check("least('b', 'a')", "a");
    check("clamp(15, 1, 10)", "10");
    check("is_even(-4)", "true");
    check("is_odd(4)", "false");
    check("integer('12')", "12");
    check("integer('x')", "null");
    check("integer(2.5)", "3");
    check("decimal('1.239', 2)", "1.24");
    check("decimal(3, 1)", "3.0");
    check("negate(4)", "-4");
    check("power($n, 3)", "8");
}

#[test]
fn texts_count_characters() {
    check("lower('ÄÖİẞ')", "äöi̇ß");
    check("upper('straße')", "STRASSE");
    check("trim('  a ')", "a");
    check("trim_start('  a ')", "a ");
    check("trim_end('  a ')", "  a");
    check("length('😀ß ')", "3");
    check("bytes('😀ß')", "6");
    check("left('Köln', 2)", "Kö");
    check("left('Köln', -2)", "");
    check("right('Köln', 2)", "ln");
    check("right('Köln', 9)", "Köln");
    check("substring('Köln', 2)", "öln");
    check("substring('Köln', 2, 2)", "öl");
    check("substring('Köln', 0, 2)", "Kö");
    check("replace('aXbX', 'X', '--')", "a--b--");
    check("replace('abc', '', 'x')", "abc");
    check("contains('Köln', 'öl')", "true");
    check("starts_with('Köln', 'k')", "false");
    check("ends_with('Köln', 'ln')", "true");
    check("position('Köln', 'ln')", "3");
    check("position('Köln', 'x')", "0");
    check("pad_start('7', 3, '0')", "007");
    check("pad_end('ab', 4)", "ab  ");
    check("pad_start('long', 2, '0')", "long");
    check("repeat('ab', 3)", "ababab");
    check("repeat('ab', 9999999)", "null");
    check("reverse('öl')", "lö");
    check("part('a;b;c', ';', 2)", "b");
    check("part('a;b;c', ';', -1)", "c");
    check("part('a;b;c', ';', 4)", "null");
    check("concat('a', null, 5, true)", "a5true");
    check("'a' || 5", "a5");
    check("'a' || null", "null");
    check("fold('ÄB')", "äb");
    check("plain('Café Zürich')", "Cafe Zurich");
    check("capitalize('élan vital')", "Élan vital");
    check("words(' a  b ')", "2");
    check("code('€')", "8364");
    check("character(8364)", "€");
    check("character(0)", "null");
    check("is_empty('  ')", "true");
    check("is_number('1e3')", "true");
    check("squeeze('  a   b ')", "a b");
    check("text(19.90)", "19.9");
    check("text(date('2024-02-29'))", "2024-02-29");
}

#[test]
fn days_and_moments_follow_the_zone() {
    check("today()", "2026-11-24");
    check("now()", "2026-11-23T23:30:00Z");
    check("year('2024-02-29')", "2024");
    check("quarter('2024-02-29')", "1");
    check("month('2024-02-29')", "2");
    check("week('2021-01-03')", "53");
    check("day('2024-02-29')", "29");
    check("day('2026-07-01T23:30:00Z')", "2");
    check("weekday('2026-11-23')", "1");
    check("day_of_year('2024-12-31')", "366");
    check("days_in_month('2024-02-01')", "29");
    check("is_leap_year('1900-01-01')", "false");
    check("is_weekend('2026-11-22')", "true");
    check("hour('2026-07-01T23:30:00Z')", "1");
    check("minute(now())", "30");
    check("second('2026-07-01T23:30:59Z')", "59");
    check("date(now())", "2026-11-24");
    check("datetime(date('2026-07-01'))", "2026-06-30T22:00:00Z");
    check("make_date(2024, 2, 29)", "2024-02-29");
    check("make_date(2023, 2, 29)", "null");
    check("date_add('2024-01-31', 1, 'month')", "2024-02-29");
    check("date_add('2024-02-29', 1, 'year')", "2025-02-28");
    check("date_add('2024-02-29', 1, 'hour')", "null");
    check("date_add('2024-02-29', -2, 'quarter')", "2023-08-29");
    // The clocks go forward on that day: a day later is 23 hours later.
    check("date_add('2026-03-28T11:00:00Z', 1, 'day')", "2026-03-29T10:00:00Z");
    check("date_add('2026-03-28T11:00:00Z', 24, 'hour')", "2026-03-29T11:00:00Z");
    check("date_add('9999-12-31', 1, 'day')", "null");
    check("date_diff('2024-01-31', '2024-03-01', 'month')", "1");
    check("date_diff('2024-03-01', '2024-01-31', 'day')", "-30");
    check("date_diff('2026-10-25T00:00:00Z', '2026-10-25T02:30:00Z', 'hour')", "2");
    check("date_diff('2024-02-29', '2025-02-28', 'year')", "0");
    check("date_diff('2024-01-01', '2024-01-20', 'week')", "2");
    check("start_of('2024-05-29', 'quarter')", "2024-04-01");
    check("start_of('2026-11-22', 'week')", "2026-11-16");
    check("end_of('2024-02-10', 'month')", "2024-02-29");
    check("end_of('2024-02-10', 'week')", "2024-02-11");
    check("start_of('2024-02-10', 'hour')", "null");
    check("date('2024-02-28') + 2", "2024-03-01");
    check("date('2024-03-01') - 1", "2024-02-29");
    check("date('2024-03-01') - date('2024-02-01')", "29");
}

#[test]
fn nothing_is_a_value_for_some() {
    check("coalesce(null, 5, 6)", "5");
    check("coalesce(null, null)", "null");
    check("nullif(5, 5.0)", "null");
    check("nullif(5, 6)", "5");
    check("if(1 < 2, 'yes', 'no')", "yes");
    check("if(null, 'yes', 'no')", "no");
    check("xor(true, 1 > 2)", "true");
    check("xor(true, null)", "null");
    check("is_true(null)", "false");
    check("differs(null, 5)", "true");
    check("differs(null, null)", "false");
    check("differs(5, 5.00)", "false");
}

#[test]
fn every_function_is_tried() {
    let written = include_str!("tests.rs");
    for name in Function::names() {
        assert!(written.contains(&format!("{name}(")), "{name}");
    }
}
