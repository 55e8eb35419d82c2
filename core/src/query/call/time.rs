//! Days and moments. A moment is taken in the time zone whose name is the last argument.

use jiff::civil::{self, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Unit, Zoned};

use super::Function;
use crate::time::{Date, Timestamp};
use crate::value::Value;

/// The name under which [`zone`] finds a time zone again; `None` where it has none.
pub(in crate::query) fn zone_name(zone: &TimeZone) -> Option<String> {
    if zone.is_unknown() {
        return Some("UTC".to_owned());
    }
    let fixed = || zone.to_fixed_offset().ok().map(|offset| offset.seconds().to_string());
    zone.iana_name().map(str::to_owned).or_else(fixed)
}

/// The time zone of a name, or of a distance from UTC in seconds.
fn zone(name: &str) -> Option<TimeZone> {
    match name.parse() {
        Ok(seconds) => Offset::from_seconds(seconds).ok().map(TimeZone::fixed),
        Err(_) => TimeZone::get(name).ok(),
    }
}

/// `None` where the function is not about time, or nothing comes out.
pub(super) fn call(function: Function, arguments: &[Value]) -> Option<Value> {
    if let (Function::MakeDate, [Value::Integer(year), Value::Integer(month), Value::Integer(day)]) =
        (function, arguments)
    {
        let (year, month, day) = (i16::try_from(*year).ok()?, i8::try_from(*month).ok()?, i8::try_from(*day).ok()?);
        return Date::new(year, month, day).map(Value::Date);
    }
    let (Value::Text(name), given) = arguments.split_last()? else { return None };
    let zone = zone(name)?;
    match (function, given) {
        (Function::Date, [value]) => stored(local(value, &zone)?.date()),
        (Function::Datetime, [value @ Value::Datetime(_)]) => Some(value.clone()),
        (Function::Datetime, [Value::Date(day)]) => {
            moment(&zone.to_timestamp(day.civil().at(0, 0, 0, 0)).ok()?.to_zoned(zone))
        }
        (Function::DateAdd, [value, Value::Integer(count), Value::Text(unit)]) => added(value, *count, unit, &zone),
        (Function::DateDiff, [from, to, Value::Text(unit)]) => difference(from, to, unit, &zone).map(Value::Integer),
        (Function::StartOf, [value, Value::Text(unit)]) => stored(start(local(value, &zone)?.date(), unit)?),
        (Function::EndOf, [value, Value::Text(unit)]) => {
            let first = start(local(value, &zone)?.date(), unit)?;
            stored(first.checked_add(span(1, unit)?).ok()?.yesterday().ok()?)
        }
        (_, [value]) => part(function, local(value, &zone)?),
        _ => None,
    }
}

/// A day as its first moment, a moment by the clocks of the zone.
fn local(value: &Value, zone: &TimeZone) -> Option<civil::DateTime> {
    match value {
        Value::Date(day) => Some(day.civil().at(0, 0, 0, 0)),
        Value::Datetime(moment) => Some(zone.to_datetime(jiff::Timestamp::from_microsecond(moment.micros()).ok()?)),
        _ => None,
    }
}

fn stored(day: civil::Date) -> Option<Value> {
    Date::new(day.year(), day.month(), day.day()).map(Value::Date)
}

fn moment(zoned: &Zoned) -> Option<Value> {
    Timestamp::from_micros(zoned.timestamp().as_microsecond()).map(Value::Datetime)
}

fn part(function: Function, at: civil::DateTime) -> Option<Value> {
    let day = at.date();
    let number = match function {
        Function::Year => i64::from(day.year()),
        Function::Quarter => i64::from((day.month() - 1) / 3 + 1),
        Function::Month => i64::from(day.month()),
        Function::Week => i64::from(day.iso_week_date().week()),
        Function::Day => i64::from(day.day()),
        Function::Weekday => i64::from(day.weekday().to_monday_one_offset()),
        Function::DayOfYear => i64::from(day.day_of_year()),
        Function::DaysInMonth => i64::from(day.days_in_month()),
        Function::Hour => i64::from(at.hour()),
        Function::Minute => i64::from(at.minute()),
        Function::Second => i64::from(at.second()),
        Function::IsLeapYear => return Some(Value::Bool(day.in_leap_year())),
        Function::IsWeekend => {
            return Some(Value::Bool(matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)));
        }
        _ => return None,
    };
    Some(Value::Integer(number))
}

/// So many of a unit.
fn span(count: i64, unit: &str) -> Option<Span> {
    let span = Span::new();
    let made = match unit {
        "year" => span.try_years(count),
        "quarter" => span.try_months(count.checked_mul(3)?),
        "month" => span.try_months(count),
        "week" => span.try_weeks(count),
        "day" => span.try_days(count),
        "hour" => span.try_hours(count),
        "minute" => span.try_minutes(count),
        "second" => span.try_seconds(count),
        _ => return None,
    };
    made.ok()
}

/// Hours and less are exact; days and more keep the time that clocks show. To a day only days and more can be added.
fn added(value: &Value, count: i64, unit: &str, zone: &TimeZone) -> Option<Value> {
    let span = span(count, unit)?;
    match value {
        Value::Date(_) if matches!(unit, "hour" | "minute" | "second") => None,
        Value::Date(day) => stored(day.civil().checked_add(span).ok()?),
        Value::Datetime(at) => {
            let zoned = jiff::Timestamp::from_microsecond(at.micros()).ok()?.to_zoned(zone.clone());
            moment(&zoned.checked_add(span).ok()?)
        }
        _ => None,
    }
}

/// How many whole units lie between, negative where `to` is before `from`. A day and a moment meet as days.
fn difference(from: &Value, to: &Value, unit: &str, zone: &TimeZone) -> Option<i64> {
    const MICROS: i64 = 1_000_000;
    let small = match unit {
        "hour" => Some(3600),
        "minute" => Some(60),
        "second" => Some(1),
        _ => None,
    };
    if let (Value::Datetime(from), Value::Datetime(to), Some(seconds)) = (from, to, small) {
        return Some((to.micros() - from.micros()) / (seconds * MICROS));
    }
    let both_moments = matches!((from, to), (Value::Datetime(_), Value::Datetime(_)));
    let (mut from, mut to) = (local(from, zone)?, local(to, zone)?);
    if !both_moments {
        (from, to) = (from.date().at(0, 0, 0, 0), to.date().at(0, 0, 0, 0));
    }
    if let Some(seconds) = small {
        return Some(from.duration_until(to).as_secs() / seconds);
    }
    let until = |unit: Unit| from.until((unit, to)).ok();
    match unit {
        "year" => until(Unit::Year).map(|span| i64::from(span.get_years())),
        "quarter" => until(Unit::Month).map(|span| i64::from(span.get_months()) / 3),
        "month" => until(Unit::Month).map(|span| i64::from(span.get_months())),
        "week" => until(Unit::Day).map(|span| i64::from(span.get_days()) / 7),
        "day" => until(Unit::Day).map(|span| i64::from(span.get_days())),
        _ => None,
    }
}

/// The first day of the unit that a day lies in.
fn start(day: civil::Date, unit: &str) -> Option<civil::Date> {
    match unit {
        "year" => Some(day.first_of_year()),
        "quarter" => civil::Date::new(day.year(), (day.month() - 1) / 3 * 3 + 1, 1).ok(),
        "month" => Some(day.first_of_month()),
        "week" => day.checked_sub(Span::new().days(day.weekday().to_monday_zero_offset())).ok(),
        "day" => Some(day),
        _ => None,
    }
}
