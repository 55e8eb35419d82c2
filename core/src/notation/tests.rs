//! What is read, what is written, and that the one is the other backwards.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn shown(read: Result<Value, Misfit>) -> String {
    match read {
        Ok(value) => value.to_string(),
        Err(Misfit(message)) => format!("error: {message}"),
    }
}

#[test]
fn numbers_follow_the_decimal_sign() {
    let check = |decimal: Option<&str>, kind: &Kind, text: &str, expected: &str| {
        let style = Style::new(decimal, None, TimeZone::UTC, false).unwrap();
        assert_eq!(shown(style.value(kind, text)), expected, "{text:?}");
    };
    let money = Kind::Decimal { precision: 8, scale: 2 };
    check(Some(","), &money, "1.234,50 €", "1234.50");
    check(Some(","), &money, "", "null");
    check(Some(","), &Kind::Integer, "1.234", "1234");
    check(Some(","), &Kind::Text, "1.234,50 €", "1.234,50 €");
    check(Some("."), &money, "$1,234.5", "1234.50");
    check(None, &money, "12.50 €", "12.50");
    let expected = "is given, a number with a decimal comma, like 1234,50 or 1.234,50 is expected";
    check(Some(","), &money, "1.5", &format!("error: \"1.5\" {expected}"));
    let expected = "is given, a number with a point, like 19.99 (decimal(8,2)) is expected";
    check(None, &money, "1.234,50", &format!("error: \"1.234,50\" {expected}"));
    assert!(Style::new(Some(";"), None, TimeZone::UTC, false).unwrap_err().0.contains("no decimal sign"));
}

#[test]
fn days_follow_the_pattern() {
    let check = |pattern: &str, kind: &Kind, text: &str, expected: &str| {
        let style = Style::new(None, Some(pattern), berlin(), true).unwrap();
        assert_eq!(shown(style.value(kind, text)), expected, "{pattern} {text:?}");
    };
    let day = |pattern: &str, text: &str, expected: &str| check(pattern, &Kind::Date, text, expected);
    day("dd.mm.yyyy", "23.11.2026", "2026-11-23");
    day("DD.MM.YYYY", " 3.1.2026 ", "2026-01-03");
    day("dd.mm.yyyy", "23.11.2026 00:00:00", "2026-11-23");
    day("d.m.yy", "3.1.68", "2068-01-03");
    day("d.m.yy", "3.1.69", "1969-01-03");
    day("yyyymmdd", "20261123", "2026-11-23");
    day("mm/dd/yyyy", "11/23/2026", "2026-11-23");
    day("dd.mm.yyyy hh:mi", "23.11.2026", "2026-11-23");
    day("dd.mm.yyyy", "", "null");
    let expected = "is given, a day like 23.11.2026 (dd.mm.yyyy) is expected";
    for wrong in ["2026-11-23", "31.02.2026", "23.11.26", "23.11.2026 10:00", "23.11.2026x", "23.11.", "23-11-2026"] {
        day("dd.mm.yyyy", wrong, &format!("error: \"{wrong}\" {expected}"));
    }
    let time = |pattern: &str, text: &str, expected: &str| check(pattern, &Kind::Datetime, text, expected);
    time("dd.mm.yyyy", "23.11.2026 04:30", "2026-11-23T03:30:00Z");
    time("dd.mm.yyyy", "23.11.2026T4:30:01,5", "2026-11-23T03:30:01.5Z");
    time("dd.mm.yyyy", "23.11.2026 04:30:00+02:00", "2026-11-23T02:30:00Z");
    time("dd.mm.yyyy", "23.11.2026", "2026-11-22T23:00:00Z");
    time("dd.mm.yyyy hh:mi", "23.11.2026 04:30", "2026-11-23T03:30:00Z");
    time("dd.mm.yyyy hh:mi:ss", "23.11.2026 04:30:07.25 Z", "2026-11-23T04:30:07.25Z");
    time("yyyy-mm-ddThh:mi", "2026-11-23T04:30", "2026-11-23T03:30:00Z");
    time("dd.mm.yyyy", "25.10.2026 02:30", "2026-10-25T00:30:00Z");
    let expected = "is given, a time like 23.11.2026 14:30 (dd.mm.yyyy hh:mi) is expected";
    for wrong in ["23.11.2026 24:00", "23.11.2026 4:3x", "23.11.2026 04:30 CET", "23.11.2026 04:30+25:99"] {
        time("dd.mm.yyyy hh:mi", wrong, &format!("error: \"{wrong}\" {expected}"));
    }
}

#[test]
fn wrong_patterns_say_why() {
    let check = |pattern: &str, expected: &str| {
        let Misfit(message) = Style::new(None, Some(pattern), TimeZone::UTC, false).unwrap_err();
        assert!(message.contains(expected), "{pattern}: {message}");
    };
    check("dd.mm", "year, month and day are needed");
    check("dd.mm.yyyy hh:mm", "minutes are mi");
    check("dd.mm.yyyy yy", "once more");
    check("%d.%m.%Y", "not \"y\"");
    check("tt.mm.jjjj", "not \"j\"");
    check("dd.mm.yyyy mi", "minutes need hours");
    check("dd.mm.yyyy hh", "hours need minutes");
    check(&"d".repeat(99), "too long");
    check("", "needed");
}

#[test]
fn values_are_written() {
    let check = |decimal: Option<&str>, date: Option<&str>, local: bool, value: Value, expected: &str| {
        let style = Style::new(decimal, date, berlin(), local).unwrap();
        assert_eq!(style.text(&value), expected);
    };
    let time = |text: &str| Value::Datetime(Timestamp::parse(text, &TimeZone::UTC).unwrap());
    let winter = || time("2026-11-23T03:30:00Z");
    let price = Kind::Decimal { precision: 8, scale: 2 };
    let price = input::from_text(&price, "-1234.5", &TimeZone::UTC).unwrap();
    check(Some(","), None, false, price.clone(), "-1234,50");
    check(None, None, false, price, "-1234.50");
    check(None, Some("d.m.yy"), false, Value::Date(Date::parse("2026-01-03").unwrap()), "3.1.26");
    check(None, None, false, winter(), "2026-11-23T03:30:00Z");
    check(None, None, true, winter(), "2026-11-23T04:30:00+01:00");
    check(None, Some("dd.mm.yyyy"), false, winter(), "23.11.2026 03:30:00Z");
    check(None, Some("dd.mm.yyyy"), true, winter(), "23.11.2026 04:30:00");
    check(None, Some("dd.mm.yyyy hh:mi"), true, winter(), "23.11.2026 04:30");
    check(None, Some("dd.mm.yyyy"), true, time("2026-10-25T00:30:00Z"), "25.10.2026 02:30:00");
    check(None, Some("dd.mm.yyyy"), true, time("2026-10-25T01:30:00Z"), "25.10.2026 02:30:00+01:00");
    check(Some(","), Some("dd.mm.yyyy"), true, Value::Text("1.5".into()), "1.5");
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        micros in -62_135_596_800_000_000i64..=253_402_207_200_000_000,
        days in -719_162i32..=2_932_896,
        cents in any::<i32>(),
        number in any::<i64>(),
        decimal in prop_oneof![Just(None), Just(Some(",")), Just(Some("."))],
        date in prop_oneof![
            Just(None),
            Just(Some("dd.mm.yyyy")),
            Just(Some("yyyymmdd")),
            Just(Some("m/d/yyyy")),
            Just(Some("dd.mm.yyyy hh:mi:ss")),
            Just(Some("yyyy-mm-ddThh:mi:ss")),
        ],
        zone in prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Asia/Kathmandu")],
        local in any::<bool>(),
    ) {
        let style = Style::new(decimal, date, TimeZone::get(zone).unwrap(), local).unwrap();
        let money = Kind::Decimal { precision: 20, scale: 2 };
        let pairs = [
            (Kind::Datetime, Value::Datetime(Timestamp::from_micros(micros).unwrap())),
            (Kind::Date, Value::Date(Date::from_days(days).unwrap())),
            (money.clone(), input::from_text(&money, &format!("{cents}e-2"), &TimeZone::UTC).unwrap()),
            (Kind::Integer, Value::Integer(number)),
            (Kind::Bool, Value::Bool(local)),
        ];
        for (kind, value) in pairs {
            let text = style.text(&value);
            prop_assert_eq!(style.value(&kind, &text), Ok(value), "{}", text);
        }
    }
}
