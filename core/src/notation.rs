//! How numbers, days and moments are written in a file: which sign stands before decimals, in which order the parts of
//! a day come, in which zone clocks are meant.
//!
//! [`Style`] reads texts to values and writes values to texts, so that what one node writes the other reads. Where it is
//! told nothing, everything is as in [`crate::input`]. It knows no file, no schema and no time zone by name.

mod number;
mod pattern;

use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp as Instant, civil};

use crate::input::{self, Misfit, quoted};
use crate::schema::Kind;
use crate::time::{Date, Timestamp};
use crate::value::Value;

use self::number::Decimal;
use self::pattern::Pattern;

/// A way to write values.
#[derive(Clone, Debug)]
pub struct Style {
    decimal: Option<Decimal>,
    date: Option<Pattern>,
    zone: TimeZone,
    is_local: bool,
}

impl Style {
    /// A style. `decimal` is `,` or `.`, with which groups of three digits are read too; without it numbers have a point
    /// and no groups. `date` is a pattern as in `dd.mm.yyyy`; without it days are `2026-11-23` and moments RFC 3339.
    ///
    /// Moments are read, and written, in `zone`; those that are written where `is_local` is false are in UTC and say so.
    ///
    /// # Errors
    /// When the sign or the pattern is none, with what is expected.
    pub fn new(decimal: Option<&str>, date: Option<&str>, zone: TimeZone, is_local: bool) -> Result<Self, Misfit> {
        let decimal = decimal.map(Decimal::parse).transpose()?;
        let date = date.map(Pattern::parse).transpose()?;
        Ok(Self { decimal, date, zone, is_local })
    }

    /// Whether moments are written without a zone, as clocks show them.
    #[must_use]
    pub fn names_times(&self) -> bool {
        self.date.as_ref().is_some_and(Pattern::has_time)
    }

    /// The value of `kind` that a text stands for.
    ///
    /// # Errors
    /// As [`input::from_text`].
    pub fn value(&self, kind: &Kind, text: &str) -> Result<Value, Misfit> {
        let plain = |text: &str| input::from_text(kind, text, &self.zone);
        match (kind, &self.date) {
            (Kind::Integer | Kind::Decimal { .. } | Kind::Float, _) if !text.trim().is_empty() => {
                plain(&number::plain(text, self.decimal).ok_or_else(|| number::misfit(text, self.decimal))?)
            }
            (Kind::Date, Some(pattern)) if !text.trim().is_empty() => {
                let day = pattern.read(text).filter(|read| read.is_midnight()).map(|read| read.day);
                let day = day.and_then(|day| Date::new(day.year(), day.month(), day.day()));
                day.map(Value::Date).ok_or_else(|| expected(text, "a day", pattern))
            }
            (Kind::Datetime, Some(pattern)) if !text.trim().is_empty() => {
                let moment = pattern.read(text).and_then(|read| read.moment(&self.zone));
                moment.map(Value::Datetime).ok_or_else(|| expected(text, "a time", pattern))
            }
            _ => plain(text),
        }
    }

    /// A value as text; enumerations and references are for who knows their words.
    #[must_use]
    pub fn text(&self, value: &Value) -> String {
        match (value, &self.date) {
            (Value::Null, _) => String::new(),
            (Value::Decimal(_) | Value::Float(_), _) if self.decimal == Some(Decimal::Comma) => {
                value.to_string().replace('.', ",")
            }
            (Value::Date(date), Some(pattern)) => pattern.write(date.civil().at(0, 0, 0, 0), false),
            (Value::Datetime(time), _) => self.moment(*time).unwrap_or_else(|| time.to_string()),
            _ => value.to_string(),
        }
    }

    /// A moment in another form than the usual one, where this style has another one for it.
    fn moment(&self, time: Timestamp) -> Option<String> {
        let instant = Instant::from_microsecond(time.micros()).ok()?;
        let offset = if self.is_local { self.zone.to_offset(instant) } else { Offset::UTC };
        let clock = offset.to_datetime(instant);
        match &self.date {
            None if self.is_local => Some(format!("{}{}", rfc_3339(clock), zone_text(offset)?)),
            None => None,
            Some(pattern) => {
                let text = pattern.write(clock, true);
                // A doubled hour is read as the first of the two; the second one has to say which it is.
                let is_read_so = self.is_local && self.zone.to_timestamp(clock).is_ok_and(|read| read == instant);
                if is_read_so {
                    return Some(text);
                }
                match zone_text(offset) {
                    Some(zone) => Some(format!("{text}{zone}")),
                    None => Some(format!("{}Z", pattern.write(Offset::UTC.to_datetime(instant), true))),
                }
            }
        }
    }
}

fn rfc_3339(clock: civil::DateTime) -> String {
    clock.to_string()
}

/// `Z` or `+01:00`; `None` for an offset with seconds, as places had before there were time zones.
fn zone_text(offset: Offset) -> Option<String> {
    let seconds = offset.seconds();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    match seconds {
        0 => Some("Z".to_owned()),
        _ if seconds % 60 != 0 => None,
        _ => Some(format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)),
    }
}

fn expected(text: &str, what: &str, pattern: &Pattern) -> Misfit {
    let example = pattern.write(civil::date(2026, 11, 23).at(14, 30, 0, 0), pattern.has_time());
    Misfit(format!("{} is given, {what} like {example} ({pattern}) is expected", quoted(text)))
}

#[cfg(test)]
mod tests;
