//! How values stand in the columns of PostgreSQL's tables, and how they go over the line.
//!
//! | kind | column |
//! |---|---|
//! | bool | `boolean` |
//! | integer | `bigint` |
//! | decimal | `numeric` with its digits and its scale |
//! | float | `double precision` |
//! | string, text, json | `text COLLATE "C"`, so that order is that of bytes |
//! | date | `date` |
//! | blob | `text COLLATE "C"`: hash, bytes, media type and name, with blanks between |
//! | time | `time` |
//! | datetime | `timestamptz` |
//! | uuid | `uuid` |
//! | enum | `integer`, the id of the word |
//! | to-one | `bigint`, the id of the object |
//!
//! Queries name the same types; see [`crate::compile::postgres`].

use std::borrow::Cow;
use std::error::Error;

use bytes::{BufMut, BytesMut};
use mytism_core::blob::Blob;
use mytism_core::float::Float;
use mytism_core::id::{EnumId, ObjectId};
use mytism_core::query::ResultKind;
use mytism_core::schema::Kind;
use mytism_core::time::{Date, TimeOfDay, Timestamp};
use mytism_core::value::{Uuid, Value};
use rust_decimal::Decimal;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

use super::numeric::Numeric;
use crate::StoreError;

/// Days and microseconds from 1970 to 2000, from where the engine counts.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A value on its way into a column. Its type on the line is that of the place it goes to.
#[derive(Clone, PartialEq, Debug)]
pub enum Sql<'a> {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// For any of the engine's whole numbers.
    Integer(i64),
    /// An exact number.
    Decimal(Numeric),
    /// A number with a floating point.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes as they are.
    Bytes(Cow<'a, [u8]>),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970.
    Instant(i64),
    /// Microseconds since midnight.
    Time(i64),
    /// A number that is nowhere else.
    Uuid([u8; 16]),
}

impl ToSql for Sql<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, kind) {
            (Self::Null, _) => return Ok(IsNull::Yes),
            (Self::Bool(value), &Type::BOOL) => out.put_u8(u8::from(*value)),
            (Self::Integer(value), &Type::INT8) => out.put_i64(*value),
            (Self::Integer(value), &Type::INT4) => out.put_i32(i32::try_from(*value)?),
            (Self::Integer(value), &Type::INT2) => out.put_i16(i16::try_from(*value)?),
            (Self::Decimal(value), &Type::NUMERIC) => out.put_slice(&value.to_bytes()),
            (Self::Text(value), &Type::TEXT) => out.put_slice(value.as_bytes()),
            (Self::Bytes(value), &Type::BYTEA) => out.put_slice(value),
            (Self::Date(days), &Type::DATE) => out.put_i32(days.checked_sub(EPOCH_DAYS).ok_or("a day out of range")?),
            (Self::Instant(micros), &Type::TIMESTAMPTZ) => {
                out.put_i64(micros.checked_sub(EPOCH_MICROS).ok_or("a time out of range")?);
            }
            (Self::Float(value), &Type::FLOAT8) => out.put_f64(*value),
            (Self::Time(micros), &Type::TIME) => out.put_i64(*micros),
            (Self::Uuid(value), &Type::UUID) => out.put_slice(value),
            (value, kind) => return Err(format!("{value:?} goes to a place of type {kind}").into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(kind, out)
    }
}

/// What stands in a column, as it came over the line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored<'a> {
    kind: Type,
    /// `None` for nothing.
    bytes: Option<&'a [u8]>,
}

impl<'a> Stored<'a> {
    #[cfg(test)]
    pub(super) const fn new(kind: Type, bytes: Option<&'a [u8]>) -> Self {
        Self { kind, bytes }
    }

    /// The bytes on the line; `None` for nothing.
    pub(super) const fn bytes(&self) -> Option<&'a [u8]> {
        self.bytes
    }
}

impl<'a> FromSql<'a> for Stored<'a> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self { kind: kind.clone(), bytes: Some(raw) })
    }

    fn from_sql_null(kind: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self { kind: kind.clone(), bytes: None })
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The kind of what a query computes, of an attribute's kind. Relations that hold nothing themselves count as references.
fn result_kind(kind: &Kind) -> ResultKind {
    ResultKind::of(kind).unwrap_or(ResultKind::Integer)
}

/// The type of an attribute's column.
pub fn column_type(kind: &Kind) -> String {
    match kind {
        Kind::Decimal { precision, scale } => format!("numeric({precision},{scale})"),
        other => match array_type(&result_kind(other)) {
            "text" => "text COLLATE \"C\"".to_owned(),
            plain => plain.to_owned(),
        },
    }
}

/// The type of what is put into a column, as the element of an array.
pub(super) fn bound_type(kind: &Kind) -> &'static str {
    array_type(&result_kind(kind))
}

fn array_type(kind: &ResultKind) -> &'static str {
    crate::compile::postgres::sql_type(kind)
}

/// A value of an attribute in the form of its column.
pub fn to_sql<'a>(kind: &Kind, value: &'a Value) -> Sql<'a> {
    let scale = match kind {
        Kind::Decimal { scale, .. } => Some(*scale),
        _ => None,
    };
    write(scale, value)
}

/// A bound value of a query.
pub fn to_parameter<'a>(kind: &ResultKind, value: &'a Value) -> Sql<'a> {
    let scale = match kind {
        ResultKind::Decimal { scale, .. } => Some(*scale),
        _ => None,
    };
    write(scale, value)
}

fn write(scale: Option<u32>, value: &Value) -> Sql<'_> {
    match value {
        Value::Null => Sql::Null,
        Value::Bool(value) => Sql::Bool(*value),
        Value::Integer(value) => Sql::Integer(*value),
        Value::Decimal(value) => {
            let mut value = *value;
            value.rescale(scale.unwrap_or_else(|| value.scale()));
            Sql::Decimal(Numeric { mantissa: value.mantissa(), scale: value.scale() })
        }
        Value::Float(value) => Sql::Float(value.get()),
        Value::Time(value) => Sql::Time(value.micros()),
        Value::Uuid(value) => Sql::Uuid(*value.as_bytes()),
        Value::Text(value) | Value::Json(value) => Sql::Text(Cow::Borrowed(value)),
        Value::Date(value) => Sql::Date(value.days()),
        Value::Datetime(value) => Sql::Instant(value.micros()),
        Value::Blob(value) => Sql::Text(Cow::Owned(value.to_string())),
        Value::Enum(value) => Sql::Integer(i64::from(value.0)),
        Value::Reference(value) => Sql::Integer(value.get()),
    }
}

/// The value of an attribute that stands in its column.
///
/// # Errors
/// [`StoreError::Damaged`] when something else stands there.
pub fn from_sql(kind: &Kind, stored: &Stored<'_>) -> Result<Value, StoreError> {
    from_result(&result_kind(kind), stored)
}

/// The value in a column of a query's answer.
///
/// # Errors
/// [`StoreError::Damaged`] when something else stands there; [`StoreError::SumOverflow`] when a number has more digits
/// than a decimal.
pub fn from_result(kind: &ResultKind, stored: &Stored<'_>) -> Result<Value, StoreError> {
    let Some(bytes) = stored.bytes else { return Ok(Value::Null) };
    let value = match (kind, &stored.kind) {
        (ResultKind::Bool, &Type::BOOL) => bytes.first().map(|byte| Value::Bool(*byte != 0)),
        (ResultKind::Integer, _) => integer(stored).map(Value::Integer),
        (ResultKind::Decimal { scale, .. }, &Type::NUMERIC) => {
            let number = Numeric::read(bytes, *scale).ok_or(StoreError::SumOverflow)?;
            let decimal = Decimal::try_from_i128_with_scale(number.mantissa, *scale);
            return decimal.map(Value::Decimal).map_err(|_| StoreError::SumOverflow);
        }
        (ResultKind::Text, &Type::TEXT) => str::from_utf8(bytes).ok().map(Value::from),
        (ResultKind::Json, &Type::TEXT) => str::from_utf8(bytes).ok().map(|text| Value::Json(text.to_owned())),
        (ResultKind::Float, &Type::FLOAT8) => {
            bytes.try_into().ok().map(f64::from_be_bytes).and_then(Float::new).map(Value::Float)
        }
        (ResultKind::Time, &Type::TIME) => {
            bytes.try_into().ok().map(i64::from_be_bytes).and_then(TimeOfDay::from_micros).map(Value::Time)
        }
        (ResultKind::Uuid, &Type::UUID) => Uuid::from_slice(bytes).ok().map(Value::Uuid),
        (ResultKind::Blob, &Type::TEXT) => {
            str::from_utf8(bytes).ok().and_then(Blob::parse).map(|blob| Value::Blob(Box::new(blob)))
        }
        (ResultKind::Date, &Type::DATE) => {
            let days = bytes.try_into().ok().map(i32::from_be_bytes);
            days.and_then(|days| days.checked_add(EPOCH_DAYS)).and_then(Date::from_days).map(Value::Date)
        }
        (ResultKind::Datetime, &Type::TIMESTAMPTZ) => {
            let micros = bytes.try_into().ok().map(i64::from_be_bytes);
            let micros = micros.and_then(|micros| micros.checked_add(EPOCH_MICROS));
            micros.and_then(Timestamp::from_micros).map(Value::Datetime)
        }
        (ResultKind::Enum(_), _) => integer(stored).and_then(|id| u32::try_from(id).ok()).map(EnumId).map(Value::Enum),
        (ResultKind::Reference(_), _) => integer(stored).and_then(ObjectId::new).map(Value::Reference),
        _ => None,
    };
    value.ok_or_else(|| {
        StoreError::Damaged(format!(
            "{bytes:?} of type {} stands where a value of {} is expected",
            stored.kind,
            kind.name()
        ))
    })
}

fn integer(stored: &Stored<'_>) -> Option<i64> {
    let bytes = stored.bytes?;
    match stored.kind {
        Type::INT8 => bytes.try_into().ok().map(i64::from_be_bytes),
        Type::INT4 => bytes.try_into().ok().map(|bytes| i32::from_be_bytes(bytes).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_over_the_line_and_come_back() {
        let check = |kind: &Kind, line: Type, value: Value| {
            let mut bytes = BytesMut::new();
            to_sql(kind, &value).to_sql(&line, &mut bytes).unwrap();
            assert_eq!(from_sql(kind, &Stored::new(line, Some(&bytes))).unwrap(), value);
        };
        check(&Kind::Bool, Type::BOOL, Value::Bool(true));
        check(&Kind::Integer, Type::INT8, Value::Integer(i64::MIN));
        let decimal = Kind::Decimal { precision: 10, scale: 2 };
        check(&decimal, Type::NUMERIC, Value::Decimal("-19.90".parse().unwrap()));
        check(&Kind::Text, Type::TEXT, Value::from("ä "));
        for day in ["0001-01-01", "1996-02-29", "9999-12-31"] {
            check(&Kind::Date, Type::DATE, Value::Date(Date::parse(day).unwrap()));
        }
        for micros in [-1, 0, i64::MIN, i64::MAX] {
            let time = Timestamp::saturating_from_micros(micros);
            check(&Kind::Datetime, Type::TIMESTAMPTZ, Value::Datetime(time));
        }
        check(&Kind::Float, Type::FLOAT8, Value::Float(Float::new(-0.5).unwrap()));
        check(&Kind::Time, Type::TIME, Value::Time(TimeOfDay::parse("23:59:59.999999").unwrap()));
        let uuid = "01234567-89ab-cdef-0123-456789abcdef".parse().unwrap();
        check(&Kind::Uuid, Type::UUID, Value::Uuid(uuid));
        check(&Kind::Json, Type::TEXT, Value::Json("[1, 2]".to_owned()));
        check(&Kind::Enum(Vec::new()), Type::INT4, Value::Enum(EnumId(7)));
        assert_eq!(from_sql(&Kind::Text, &Stored::new(Type::TEXT, None)).unwrap(), Value::Null);
    }

    #[test]
    fn what_does_not_fit_is_damage() {
        let check = |kind: &Kind, line: Type, bytes: &[u8]| {
            let stored = Stored::new(line, Some(bytes));
            assert!(matches!(from_sql(kind, &stored), Err(StoreError::Damaged(_))), "{kind:?} {stored:?}");
        };
        check(&Kind::Integer, Type::TEXT, b"5");
        check(&Kind::Text, Type::TEXT, &[0xff]);
        check(&Kind::Date, Type::DATE, &[0; 3]);
        check(&Kind::Date, Type::DATE, &i32::MAX.to_be_bytes());
        check(&Kind::Blob, Type::TEXT, b"5 text/plain a");
        check(&Kind::Datetime, Type::TIMESTAMPTZ, &i64::MAX.to_be_bytes());
        let to_text = Sql::Integer(5).to_sql(&Type::TEXT, &mut BytesMut::new());
        assert!(to_text.is_err());
    }
}
