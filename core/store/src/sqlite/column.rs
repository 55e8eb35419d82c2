//! How values stand in the columns of tables, so that the engine's own order, equality and sums of them are right.
//!
//! | kind | column |
//! |---|---|
//! | bool | `INTEGER` 0 or 1 |
//! | integer | `INTEGER` |
//! | decimal of up to 18 digits | `INTEGER`, times 10 to the power of the scale |
//! | decimal of more digits | `BLOB` of 16 bytes: the same number, big-endian, with its sign bit turned over |
//! | float | `REAL` |
//! | string, text | `TEXT` in UTF-8 |
//! | json | `TEXT`, as it was written |
//! | date | `TEXT` `YYYY-MM-DD` |
//! | time | `TEXT` `HH:MM:SS`, with a fraction where there is one, without zeros at its end |
//! | uuid | `TEXT`, in small letters |
//! | blob | `TEXT`: hash, bytes, media type and name, with blanks between |
//! | datetime | `INTEGER` microseconds since 1970 in UTC |
//! | enum | `INTEGER`, the id of the word |
//! | to-one | `INTEGER`, the id of the object |

use mytism_core::blob::Blob;
use mytism_core::float::Float;
use mytism_core::id::{EnumId, ObjectId};
use mytism_core::query::ResultKind;
use mytism_core::schema::Kind;
use mytism_core::time::{Date, TimeOfDay, Timestamp};
use mytism_core::value::{Uuid, Value};
use rusqlite::types::{Value as SqlValue, ValueRef};
use rust_decimal::Decimal;

use crate::StoreError;

/// Decimals of up to so many digits stand in 64 bits.
pub const NARROW_DIGITS: u32 = 18;

/// What decides on the form of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Bool,
    Integer,
    Narrow { scale: u32 },
    Wide { scale: u32 },
    Float,
    Text,
    Json,
    Date,
    Time,
    Datetime,
    Uuid,
    Blob,
    Enum,
    Reference,
}

impl Form {
    const fn decimal(precision: u32, scale: u32) -> Self {
        if precision <= NARROW_DIGITS { Self::Narrow { scale } } else { Self::Wide { scale } }
    }

    /// The form of what an attribute holds.
    pub(super) const fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool,
            Kind::Integer => Self::Integer,
            Kind::Decimal { precision, scale } => Self::decimal(*precision, *scale),
            Kind::String { .. } | Kind::Text => Self::Text,
            Kind::Date => Self::Date,
            Kind::Float => Self::Float,
            Kind::Json => Self::Json,
            Kind::Time => Self::Time,
            Kind::Datetime => Self::Datetime,
            Kind::Uuid => Self::Uuid,
            Kind::Blob => Self::Blob,
            Kind::Enum(_) => Self::Enum,
            Kind::ToOne { .. } | Kind::ToMany { .. } | Kind::ManyToMany { .. } | Kind::Owners { .. } => Self::Reference,
        }
    }

    /// The form of what a query computes.
    pub(super) const fn of_result(kind: &ResultKind) -> Self {
        match kind {
            ResultKind::Bool => Self::Bool,
            ResultKind::Integer => Self::Integer,
            ResultKind::Decimal { precision, scale } => Self::decimal(*precision, *scale),
            ResultKind::Text => Self::Text,
            ResultKind::Date => Self::Date,
            ResultKind::Float => Self::Float,
            ResultKind::Json => Self::Json,
            ResultKind::Time => Self::Time,
            ResultKind::Datetime => Self::Datetime,
            ResultKind::Uuid => Self::Uuid,
            ResultKind::Blob => Self::Blob,
            ResultKind::Enum(_) => Self::Enum,
            ResultKind::Reference(_) => Self::Reference,
        }
    }

    /// Digits after the point, where it is a number.
    pub(super) const fn scale(self) -> Option<u32> {
        match self {
            Self::Integer => Some(0),
            Self::Narrow { scale } | Self::Wide { scale } => Some(scale),
            _ => None,
        }
    }

    /// The type of its column.
    pub(super) const fn sql_type(self) -> &'static str {
        match self {
            Self::Wide { .. } => "BLOB",
            Self::Float => "REAL",
            Self::Text | Self::Json | Self::Date | Self::Time | Self::Uuid | Self::Blob => "TEXT",
            Self::Bool | Self::Integer | Self::Narrow { .. } | Self::Datetime | Self::Enum | Self::Reference => {
                "INTEGER"
            }
        }
    }

    /// The form of a value. One that does not fit this form takes another one, which a strict table refuses.
    pub(super) fn write(self, value: &Value) -> SqlValue {
        match value {
            Value::Null => SqlValue::Null,
            Value::Bool(value) => SqlValue::Integer(i64::from(*value)),
            Value::Integer(value) => SqlValue::Integer(*value),
            Value::Decimal(value) => self.write_decimal(*value),
            Value::Float(value) => SqlValue::Real(value.get()),
            Value::Text(value) | Value::Json(value) => SqlValue::Text(value.clone()),
            Value::Date(value) => SqlValue::Text(value.to_string()),
            Value::Time(value) => SqlValue::Text(value.to_string()),
            Value::Uuid(value) => SqlValue::Text(value.to_string()),
            Value::Datetime(value) => SqlValue::Integer(value.micros()),
            Value::Blob(value) => SqlValue::Text(value.to_string()),
            Value::Enum(value) => SqlValue::Integer(i64::from(value.0)),
            Value::Reference(value) => SqlValue::Integer(value.get()),
        }
    }

    fn write_decimal(self, mut value: Decimal) -> SqlValue {
        value.rescale(self.scale().unwrap_or_else(|| value.scale()));
        let mantissa = value.mantissa();
        match (self, i64::try_from(mantissa)) {
            (Self::Narrow { .. }, Ok(narrow)) => SqlValue::Integer(narrow),
            _ => SqlValue::Blob(wide_bytes(mantissa).to_vec()),
        }
    }

    /// The value behind a form.
    pub(super) fn read(self, stored: ValueRef<'_>) -> Result<Value, StoreError> {
        let value = match (self, stored) {
            (_, ValueRef::Null) => Some(Value::Null),
            (Self::Bool, ValueRef::Integer(number)) => Some(Value::Bool(number != 0)),
            (Self::Integer, ValueRef::Integer(number)) => Some(Value::Integer(number)),
            (Self::Narrow { scale } | Self::Wide { scale }, stored) => decimal(stored, scale).map(Value::Decimal),
            (Self::Text, ValueRef::Text(bytes)) => str::from_utf8(bytes).ok().map(Value::from),
            (Self::Float, ValueRef::Real(number)) => Float::new(number).map(Value::Float),
            (Self::Json, ValueRef::Text(bytes)) => str::from_utf8(bytes).ok().map(|text| Value::Json(text.to_owned())),
            (Self::Date, ValueRef::Text(bytes)) => str::from_utf8(bytes).ok().and_then(Date::parse).map(Value::Date),
            (Self::Time, ValueRef::Text(bytes)) => {
                str::from_utf8(bytes).ok().and_then(TimeOfDay::parse).map(Value::Time)
            }
            (Self::Uuid, ValueRef::Text(bytes)) => Uuid::try_parse_ascii(bytes).ok().map(Value::Uuid),
            (Self::Datetime, ValueRef::Integer(number)) => Timestamp::from_micros(number).map(Value::Datetime),
            (Self::Blob, ValueRef::Text(bytes)) => {
                str::from_utf8(bytes).ok().and_then(Blob::parse).map(|blob| Value::Blob(Box::new(blob)))
            }
            (Self::Enum, ValueRef::Integer(number)) => u32::try_from(number).ok().map(EnumId).map(Value::Enum),
            (Self::Reference, ValueRef::Integer(number)) => ObjectId::new(number).map(Value::Reference),
            _ => None,
        };
        value
            .ok_or_else(|| StoreError::Damaged(format!("{stored:?} stands where a value of form {self:?} is expected")))
    }
}

/// The form in which a value of an attribute stands in its column.
#[must_use]
pub fn to_sql(kind: &Kind, value: &Value) -> SqlValue {
    Form::of(kind).write(value)
}

/// The value of an attribute that stands in its column.
///
/// # Errors
/// [`StoreError::Damaged`] when something else stands there.
pub fn from_sql(kind: &Kind, stored: ValueRef<'_>) -> Result<Value, StoreError> {
    Form::of(kind).read(stored)
}

/// The value in a column of a query's answer.
///
/// # Errors
/// [`StoreError::Damaged`] when something else stands there.
pub fn from_result(kind: &ResultKind, stored: ValueRef<'_>) -> Result<Value, StoreError> {
    Form::of_result(kind).read(stored)
}

/// The number behind a scaled one, narrow or wide; `None` where it is none or has too many digits.
pub(super) fn decimal(stored: ValueRef<'_>, scale: u32) -> Option<Decimal> {
    Decimal::try_from_i128_with_scale(mantissa(stored)?, scale).ok()
}

/// The scaled number itself.
pub(super) fn mantissa(stored: ValueRef<'_>) -> Option<i128> {
    match stored {
        ValueRef::Integer(narrow) => Some(i128::from(narrow)),
        ValueRef::Blob(bytes) => bytes.try_into().ok().map(|bytes| i128::from_be_bytes(bytes) ^ i128::MIN),
        _ => None,
    }
}

/// A scaled number in bytes that order as it does.
pub(super) const fn wide_bytes(mantissa: i128) -> [u8; 16] {
    (mantissa ^ i128::MIN).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DATETIME: Kind = Kind::Datetime;

    fn decimal_kind(precision: u32, scale: u32) -> Kind {
        Kind::Decimal { precision, scale }
    }

    #[test]
    fn values_have_their_forms() {
        let check = |kind: &Kind, value: Value, expected: SqlValue| {
            let stored = to_sql(kind, &value);
            assert_eq!(stored, expected);
            assert_eq!(from_sql(kind, ValueRef::from(&stored)).unwrap(), value);
        };
        check(&Kind::Bool, Value::Bool(true), SqlValue::Integer(1));
        check(&Kind::Integer, Value::Integer(i64::MIN), SqlValue::Integer(i64::MIN));
        check(&decimal_kind(10, 2), Value::Decimal("-19.90".parse().unwrap()), SqlValue::Integer(-1990));
        let mut bytes = vec![0x80; 1];
        bytes.extend([0; 14]);
        bytes.push(15);
        check(&decimal_kind(19, 1), Value::Decimal("1.5".parse().unwrap()), SqlValue::Blob(bytes));
        check(&Kind::Text, Value::from("ä "), SqlValue::Text("ä ".to_owned()));
        check(&Kind::Date, Value::Date(Date::parse("1996-07-04").unwrap()), SqlValue::Text("1996-07-04".to_owned()));
        check(&DATETIME, Value::Datetime(Timestamp::from_micros(-1).unwrap()), SqlValue::Integer(-1));
        let blob = Blob::new(mytism_core::id::Hash([0xab; 32]), 5, "a b.txt", "text/plain").unwrap();
        let stored = SqlValue::Text(format!("{} 5 text/plain a b.txt", "ab".repeat(32)));
        check(&Kind::Blob, Value::Blob(Box::new(blob)), stored);
        let float = Value::Float(Float::new(-0.0).unwrap());
        check(&Kind::Float, float, SqlValue::Real(0.0));
        let time = Value::Time(TimeOfDay::parse("07:05:09.250").unwrap());
        check(&Kind::Time, time, SqlValue::Text("07:05:09.25".to_owned()));
        let uuid = "01234567-89ab-cdef-0123-456789abcdef";
        check(&Kind::Uuid, Value::Uuid(uuid.parse().unwrap()), SqlValue::Text(uuid.to_owned()));
        check(&Kind::Json, Value::Json("[1, 2]".to_owned()), SqlValue::Text("[1, 2]".to_owned()));
        check(&Kind::Enum(vec![]), Value::Enum(EnumId(7)), SqlValue::Integer(7));
        check(&Kind::Integer, Value::Null, SqlValue::Null);
    }

    #[test]
    fn what_does_not_fit_is_damage() {
        let check = |kind: &Kind, stored: ValueRef<'_>| {
            assert!(matches!(from_sql(kind, stored), Err(StoreError::Damaged(_))), "{kind:?} {stored:?}");
        };
        check(&Kind::Integer, ValueRef::Text(b"5"));
        check(&Kind::Text, ValueRef::Text(&[0xff]));
        check(&Kind::Date, ValueRef::Text(b"1996-13-01"));
        check(&Kind::Time, ValueRef::Text(b"24:00:00"));
        check(&Kind::Uuid, ValueRef::Text(b"01234567"));
        check(&Kind::Float, ValueRef::Integer(1));
        check(&Kind::Blob, ValueRef::Text(b"5 text/plain a"));
        check(&DATETIME, ValueRef::Integer(i64::MAX));
        check(&decimal_kind(28, 2), ValueRef::Blob(&[0; 15]));
        check(&decimal_kind(28, 2), ValueRef::Blob(&[0; 16]));
    }

    proptest! {
        #[test]
        fn wide_decimals_order_as_their_bytes(a in -(10i128.pow(28))..10i128.pow(28), b in any::<i64>()) {
            let b = i128::from(b);
            prop_assert_eq!(wide_bytes(a).cmp(&wide_bytes(b)), a.cmp(&b));
            prop_assert_eq!(mantissa(ValueRef::Blob(&wide_bytes(a))), Some(a));
        }
    }
}
