//! One value of an attribute as bytes: a single MessagePack value that says its own kind.
//!
//! | kind | form |
//! |---|---|
//! | nothing | nil |
//! | bool, integer, text | as MessagePack has them |
//! | float | as MessagePack has it, 64 bits |
//! | decimal | extension 1: scale (u8), then the digits as a two's complement number, big-endian, as short as possible |
//! | date | extension 2: days since 1970-01-01, i32 big-endian |
//! | datetime | extension 3: microseconds since 1970-01-01T00:00:00Z, i64 big-endian |
//! | enum | extension 4: id of the word, u32 big-endian |
//! | reference | extension 5: id of the object, i64 big-endian |
//! | json | extension 6: the text as written |
//! | blob | extension 7: hash (32 bytes), bytes (u64), name and media type, each behind its length (u16) |
//! | time | extension 9: microseconds since midnight, i64 big-endian |
//! | uuid | extension 10: its 16 bytes |

use mytism_core::blob::Blob;
use mytism_core::float::Float;
use mytism_core::id::{EnumId, Hash, ObjectId};
use mytism_core::json;
use mytism_core::time::{Date, TimeOfDay, Timestamp};
use mytism_core::value::{TEXT_BYTES_MAX, Uuid, Value};
use rmp::Marker;
use rust_decimal::Decimal;

use crate::FormatError;

const DECIMAL: i8 = 1;
const DATE: i8 = 2;
const DATETIME: i8 = 3;
const ENUM: i8 = 4;
const REFERENCE: i8 = 5;
const JSON: i8 = 6;
const BLOB: i8 = 7;
const TIME: i8 = 9;
const UUID: i8 = 10;

const WHAT: &str = "a value";

/// Appends a value.
pub fn write_value(out: &mut Vec<u8>, value: &Value) {
    // Writing to memory cannot fail.
    let _infallible = match value {
        Value::Null => rmp::encode::write_nil(out).map_err(drop),
        Value::Bool(truth) => rmp::encode::write_bool(out, *truth).map_err(drop),
        Value::Integer(number) => rmp::encode::write_sint(out, *number).map(drop).map_err(drop),
        Value::Text(text) => rmp::encode::write_str(out, text).map_err(drop),
        Value::Float(number) => rmp::encode::write_f64(out, number.get()).map_err(drop),
        Value::Json(text) => {
            extension(out, JSON, text.as_bytes());
            Ok(())
        }
        Value::Time(time) => {
            extension(out, TIME, &time.micros().to_be_bytes());
            Ok(())
        }
        Value::Uuid(uuid) => {
            extension(out, UUID, uuid.as_bytes());
            Ok(())
        }
        Value::Decimal(number) => {
            extension(out, DECIMAL, &decimal_bytes(number));
            Ok(())
        }
        Value::Date(date) => {
            extension(out, DATE, &date.days().to_be_bytes());
            Ok(())
        }
        Value::Datetime(time) => {
            extension(out, DATETIME, &time.micros().to_be_bytes());
            Ok(())
        }
        Value::Enum(word) => {
            extension(out, ENUM, &word.0.to_be_bytes());
            Ok(())
        }
        Value::Reference(object) => {
            extension(out, REFERENCE, &object.get().to_be_bytes());
            Ok(())
        }
        Value::Blob(blob) => {
            extension(out, BLOB, &blob_bytes(blob));
            Ok(())
        }
    };
}

/// A value as bytes of its own.
#[must_use]
pub fn value_bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    write_value(&mut out, value);
    out
}

/// Reads the value that fills `bytes`.
///
/// # Errors
/// When the bytes are no value, a kind of value that this program does not know, or something follows.
pub fn read_value(bytes: &[u8]) -> Result<Value, FormatError> {
    let (marker, rest) = bytes.split_first().ok_or(FormatError::Truncated { what: WHAT })?;
    match Marker::from_u8(*marker) {
        Marker::Null => all(rest, &[]).map(|_| Value::Null),
        Marker::True => all(rest, &[]).map(|_| Value::Bool(true)),
        Marker::False => all(rest, &[]).map(|_| Value::Bool(false)),
        Marker::FixPos(number) => all(rest, &[]).map(|_| Value::Integer(i64::from(number))),
        Marker::FixNeg(number) => all(rest, &[]).map(|_| Value::Integer(i64::from(number))),
        Marker::U8 => array(rest).map(|b| Value::Integer(i64::from(u8::from_be_bytes(b)))),
        Marker::U16 => array(rest).map(|b| Value::Integer(i64::from(u16::from_be_bytes(b)))),
        Marker::U32 => array(rest).map(|b| Value::Integer(i64::from(u32::from_be_bytes(b)))),
        Marker::U64 => {
            i64::try_from(u64::from_be_bytes(array(rest)?)).map(Value::Integer).map_err(|_| invalid("integer"))
        }
        Marker::I8 => array(rest).map(|b| Value::Integer(i64::from(i8::from_be_bytes(b)))),
        Marker::I16 => array(rest).map(|b| Value::Integer(i64::from(i16::from_be_bytes(b)))),
        Marker::I32 => array(rest).map(|b| Value::Integer(i64::from(i32::from_be_bytes(b)))),
        Marker::I64 => array(rest).map(|b| Value::Integer(i64::from_be_bytes(b))),
        Marker::F64 => Float::new(f64::from_be_bytes(array(rest)?)).map(Value::Float).ok_or(invalid("float")),
        Marker::FixStr(length) => text(rest, usize::from(length)),
        Marker::Str8 => prefixed::<1>(rest).and_then(|(length, rest)| text(rest, length)),
        Marker::Str16 => prefixed::<2>(rest).and_then(|(length, rest)| text(rest, length)),
        Marker::Str32 => prefixed::<4>(rest).and_then(|(length, rest)| text(rest, length)),
        Marker::FixExt1 => extended(rest, 1),
        Marker::FixExt2 => extended(rest, 2),
        Marker::FixExt4 => extended(rest, 4),
        Marker::FixExt8 => extended(rest, 8),
        Marker::FixExt16 => extended(rest, 16),
        Marker::Ext8 => prefixed::<1>(rest).and_then(|(length, rest)| extended(rest, length)),
        Marker::Ext16 => prefixed::<2>(rest).and_then(|(length, rest)| extended(rest, length)),
        Marker::Ext32 => prefixed::<4>(rest).and_then(|(length, rest)| extended(rest, length)),
        _ => Err(invalid("kind")),
    }
}

const fn invalid(field: &'static str) -> FormatError {
    FormatError::Invalid { what: WHAT, field }
}

/// Nothing may follow: `bytes` must have exactly the length of `expected`.
fn all<'a>(bytes: &'a [u8], expected: &[u8]) -> Result<&'a [u8], FormatError> {
    match bytes.len().checked_sub(expected.len()) {
        Some(0) => Ok(bytes),
        Some(count) => Err(FormatError::Trailing { what: WHAT, count }),
        None => Err(FormatError::Truncated { what: WHAT }),
    }
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], FormatError> {
    all(bytes, &[0; N])?.try_into().map_err(|_| FormatError::Truncated { what: WHAT })
}

fn prefixed<const N: usize>(bytes: &[u8]) -> Result<(usize, &[u8]), FormatError> {
    let (length, rest) = bytes.split_first_chunk::<N>().ok_or(FormatError::Truncated { what: WHAT })?;
    Ok((length.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte)), rest))
}

fn text(bytes: &[u8], length: usize) -> Result<Value, FormatError> {
    if length > TEXT_BYTES_MAX {
        return Err(FormatError::TooLarge { what: "a text", limit: "16 MiB" });
    }
    match bytes.len().checked_sub(length) {
        None => Err(FormatError::Truncated { what: WHAT }),
        // Engines and other programs end a text at U+0000, so no text has one; NFC is for the schema's rules to check.
        Some(0) if bytes.contains(&0) => Err(invalid("text")),
        Some(0) => std::str::from_utf8(bytes).map(Value::from).map_err(|_| invalid("text")),
        Some(count) => Err(FormatError::Trailing { what: WHAT, count }),
    }
}

fn extension(out: &mut Vec<u8>, kind: i8, body: &[u8]) {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let _infallible = rmp::encode::write_ext_meta(out, length, kind);
    out.extend_from_slice(body);
}

fn extended(bytes: &[u8], length: usize) -> Result<Value, FormatError> {
    let (kind, body) = bytes.split_first().ok_or(FormatError::Truncated { what: WHAT })?;
    if body.len() != length {
        return Err(body
            .len()
            .checked_sub(length)
            .map_or(FormatError::Truncated { what: WHAT }, |count| FormatError::Trailing { what: WHAT, count }));
    }
    match kind.cast_signed() {
        DECIMAL => decimal(body),
        DATE => Date::from_days(i32::from_be_bytes(array(body)?)).map(Value::Date).ok_or(invalid("date")),
        DATETIME => {
            Timestamp::from_micros(i64::from_be_bytes(array(body)?)).map(Value::Datetime).ok_or(invalid("datetime"))
        }
        ENUM => array(body).map(|b| Value::Enum(EnumId(u32::from_be_bytes(b)))),
        REFERENCE => ObjectId::new(i64::from_be_bytes(array(body)?)).map(Value::Reference).ok_or(invalid("reference")),
        BLOB => blob(body).map(|blob| Value::Blob(Box::new(blob))).ok_or(invalid("blob")),
        JSON => json_text(body).map(Value::Json),
        TIME => TimeOfDay::from_micros(i64::from_be_bytes(array(body)?)).map(Value::Time).ok_or(invalid("time")),
        UUID => array(body).map(|bytes| Value::Uuid(Uuid::from_bytes(bytes))),
        _ => Err(invalid("extension")),
    }
}

fn json_text(bytes: &[u8]) -> Result<String, FormatError> {
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(FormatError::TooLarge { what: "a text", limit: "16 MiB" });
    }
    let text = str::from_utf8(bytes).map_err(|_| invalid("json"))?;
    json::check(text).map(|()| text.to_owned()).map_err(|_| invalid("json"))
}

fn counted_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((str::from_utf8(text).ok()?, rest))
}

fn blob_bytes(blob: &Blob) -> Vec<u8> {
    let mut out = Vec::with_capacity(44 + blob.media_type().len() + blob.name().len());
    out.extend_from_slice(&blob.hash().0);
    out.extend_from_slice(&blob.bytes().to_be_bytes());
    for text in [blob.name(), blob.media_type()] {
        // Both are at most 255 bytes long.
        out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

fn blob(body: &[u8]) -> Option<Blob> {
    let (hash, rest) = body.split_first_chunk::<32>()?;
    let (bytes, rest) = rest.split_first_chunk::<8>()?;
    let (name, rest) = counted_text(rest)?;
    let (media_type, rest) = counted_text(rest)?;
    if !rest.is_empty() {
        return None;
    }
    Blob::new(Hash(*hash), u64::from_be_bytes(*bytes), name, media_type)
}

fn decimal_bytes(number: &Decimal) -> Vec<u8> {
    let digits = number.mantissa().to_be_bytes();
    let sign = if number.mantissa() < 0 { 0xff } else { 0 };
    // Leading bytes that only repeat the sign are left out, one digit byte at least stays.
    let mut start = 0;
    while start + 1 < digits.len()
        && digits.get(start) == Some(&sign)
        && digits.get(start + 1).is_some_and(|next| (next ^ sign) & 0x80 == 0)
    {
        start += 1;
    }
    let mut out = Vec::with_capacity(17);
    out.push(u8::try_from(number.scale()).unwrap_or(u8::MAX));
    out.extend_from_slice(digits.get(start..).unwrap_or(&digits));
    out
}

fn decimal(body: &[u8]) -> Result<Value, FormatError> {
    let (scale, digits) = body.split_first().ok_or(FormatError::Truncated { what: WHAT })?;
    if digits.is_empty() || digits.len() > 16 {
        return Err(invalid("decimal"));
    }
    let sign = if digits.first().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    let mut full = [sign; 16];
    for (place, byte) in full.iter_mut().rev().zip(digits.iter().rev()) {
        *place = *byte;
    }
    Decimal::try_from_i128_with_scale(i128::from_be_bytes(full), u32::from(*scale))
        .map(Value::Decimal)
        .map_err(|_| invalid("decimal"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[track_caller]
    fn check(value: &Value, bytes: &str) {
        assert_eq!(hex(&value_bytes(value)), bytes, "{value:?}");
        assert_eq!(read_value(&value_bytes(value)), Ok(value.clone()));
    }

    #[test]
    fn the_bytes_of_the_document() {
        check(&Value::Null, "c0");
        check(&Value::Bool(true), "c3");
        check(&Value::Integer(1000), "cd03e8");
        check(&Value::Integer(-1), "ff");
        check(&Value::Text("Köln".into()), "a54bc3b66c6e");
        check(&Value::Decimal("19.99".parse().unwrap()), "c703010207cf");
        check(&Value::Decimal("-1.28".parse().unwrap()), "d5010280");
        check(&Value::Decimal("1.28".parse().unwrap()), "c70301020080");
        check(&Value::Date(Date::parse("2026-11-23").unwrap()), "d6020000512c");
        let time = Timestamp::from_micros(1_795_404_600_000_000).unwrap();
        check(&Value::Datetime(time), "d703000660e935693e00");
        check(&Value::Enum(EnumId(3)), "d60400000003");
        check(&Value::Reference(ObjectId::new(1_048_577).unwrap()), "d7050000000000100001");
        let blob = Blob::new(Hash([0xab; 32]), 84_012, "a.pdf", "application/pdf").unwrap();
        let bytes =
            "c74007".to_owned() + &"ab".repeat(32) + "000000000001482c0005612e706466000f6170706c69636174696f6e2f706466";
        check(&Value::Blob(Box::new(blob)), &bytes);
        let long = Blob::new(Hash([0xab; 32]), 0, &"n".repeat(255), &"t".repeat(127)).unwrap();
        let value = Value::Blob(Box::new(long));
        assert_eq!(read_value(&value_bytes(&value)), Ok(value));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for bytes in [
            "",
            "c1",
            "c0c0",
            "a2",
            "cb7ff8000000000000",
            "d60200",
            "d7050000000000000000",
            "c7110100",
            "c7010102",
            "a20041",
        ] {
            let bytes: Vec<u8> =
                (0..bytes.len()).step_by(2).map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap()).collect();
            assert!(read_value(&bytes).is_err(), "{}", hex(&bytes));
        }
        assert!(read_value(&[0xdb, 0xff, 0xff, 0xff, 0xff, b'a']).is_err());
    }

    proptest! {
        #[test]
        fn decimals_come_back(mantissa in -(10i128.pow(28) - 1)..10i128.pow(28), scale in 0u32..=28) {
            let value = Value::Decimal(Decimal::from_i128_with_scale(mantissa, scale));
            prop_assert_eq!(read_value(&value_bytes(&value)), Ok(value));
        }

        #[test]
        fn integers_and_texts_come_back(number: i64, text in "\\PC{0,300}") {
            prop_assert_eq!(read_value(&value_bytes(&Value::Integer(number))), Ok(Value::Integer(number)));
            prop_assert_eq!(read_value(&value_bytes(&Value::Text(text.clone()))), Ok(Value::Text(text)));
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ignored = read_value(&bytes);
        }
    }
}
