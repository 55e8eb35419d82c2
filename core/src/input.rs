//! Values as people and programs write them, brought to the kind that the schema asks for.
//!
//! One function, [`value`], serves saves, imports, query parameters and defaults, so that "19,99 is no decimal" means
//! the same everywhere. References are not resolved here, since that needs the objects.

use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::blob::Blob;
use crate::failure::nearest;
use crate::float::Float;
use crate::json;
use crate::numeral::Written;
use crate::operation::Input;
use crate::schema::{EnumWord, Kind};
use crate::time::{Date, TimeOfDay, Timestamp};
use crate::value::{TEXT_BYTES_MAX, Uuid, Value};

/// A value that does not fit; says what was expected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misfit(pub String);

/// The value of `kind` that `input` stands for. `zone` is where times without a zone are meant.
///
/// Null fits every kind; whether nothing is allowed is not asked here. A number fits a text attribute as it is written.
///
/// # Errors
/// When the input does not fit the kind, with what was given and what was expected. References and sets are never
/// resolved here and are always a misfit.
pub fn value(kind: &Kind, input: &Input, zone: &TimeZone) -> Result<Value, Misfit> {
    match input {
        Input::Null => Ok(Value::Null),
        Input::Bool(given) => match kind {
            Kind::Bool => Ok(Value::Bool(*given)),
            _ => Err(misfit(kind, &given.to_string())),
        },
        Input::Number(digits) => match kind {
            Kind::Date | Kind::Time | Kind::Datetime | Kind::Uuid | Kind::Bool | Kind::Enum(_) | Kind::Blob => {
                Err(misfit(kind, digits))
            }
            _ => from_text(kind, digits, zone),
        },
        Input::Text(text) => from_text(kind, text, zone),
        Input::Blob(blob) => match kind {
            Kind::Blob => Ok(Value::Blob(blob.clone())),
            _ => Err(misfit(kind, "a file")),
        },
        Input::Reference(_) | Input::List(_) | Input::Difference { .. } => Err(misfit(kind, "an object")),
    }
}

/// The value of `kind` that a text stands for, as in a cell of an import. An empty text is nothing for all kinds but
/// texts.
///
/// # Errors
/// As [`value`].
pub fn from_text(kind: &Kind, text: &str, zone: &TimeZone) -> Result<Value, Misfit> {
    match kind {
        Kind::String { max } => string(text, *max),
        Kind::Text => normal(text).map(Value::Text),
        _ if text.trim().is_empty() => Ok(Value::Null),
        Kind::Integer => integer(text).map(Value::Integer).ok_or_else(|| misfit(kind, text)),
        Kind::Decimal { precision, scale } => decimal(text, *precision, *scale).map(Value::Decimal),
        Kind::Float => float(text).map(Value::Float).ok_or_else(|| misfit(kind, text)),
        Kind::Bool => boolean(text).map(Value::Bool).ok_or_else(|| misfit(kind, text)),
        Kind::Date => date(text).map(Value::Date).ok_or_else(|| misfit(kind, text)),
        Kind::Time => TimeOfDay::parse(text).map(Value::Time).ok_or_else(|| misfit(kind, text)),
        Kind::Datetime => Timestamp::parse(text, zone).map(Value::Datetime).ok_or_else(|| misfit(kind, text)),
        Kind::Uuid => uuid(text).map(Value::Uuid).ok_or_else(|| misfit(kind, text)),
        Kind::Json => json_text(text).map(Value::Json),
        Kind::Blob => Blob::parse(text).map(|blob| Value::Blob(Box::new(blob))).ok_or_else(|| misfit(kind, text)),
        Kind::Enum(words) => match words.iter().find(|word| word.name == text.trim()) {
            Some(word) => Ok(Value::Enum(word.id)),
            None => Err(no_such_word(text, words)),
        },
        Kind::ToOne { .. } | Kind::ToMany { .. } | Kind::ManyToMany { .. } | Kind::Owners { .. } => {
            Err(misfit(kind, text))
        }
    }
}

/// The text in the form in which it is kept: NFC.
///
/// # Errors
/// When it holds U+0000 or is too long.
pub fn normal(text: &str) -> Result<String, Misfit> {
    if text.contains('\0') {
        return Err(Misfit("a text may not hold the character U+0000".to_owned()));
    }
    let text = if is_nfc(text) { text.to_owned() } else { text.nfc().collect() };
    if text.len() > TEXT_BYTES_MAX {
        return Err(Misfit(format!("a text of {} bytes is longer than {TEXT_BYTES_MAX}", text.len())));
    }
    Ok(text)
}

fn string(text: &str, max: u32) -> Result<Value, Misfit> {
    let text = normal(text)?;
    let length = text.chars().count();
    if length > max as usize {
        return Err(Misfit(format!("{} is {length} characters long, at most {max} fit", quoted(&text))));
    }
    Ok(Value::Text(text))
}

fn integer(text: &str) -> Option<i64> {
    // Programs write whole numbers as 5.0 or 5e3 too; what is whole is taken, what is not is refused.
    let scaled = Written::read(text)?.at_scale(0).filter(|scaled| scaled.exact)?;
    i64::try_from(scaled.mantissa).ok()
}

fn decimal(text: &str, precision: u32, scale: u32) -> Result<Decimal, Misfit> {
    let Some(written) = Written::read(text) else { return Err(misfit(&Kind::Decimal { precision, scale }, text)) };
    let digits = |mantissa: i128| mantissa.unsigned_abs().checked_ilog10().map_or(0, |log| log + 1);
    let fitting = written.at_scale(scale).filter(|scaled| digits(scaled.mantissa) <= precision);
    fitting.and_then(|scaled| Decimal::try_from_i128_with_scale(scaled.mantissa, scale).ok()).ok_or_else(|| {
        Misfit(format!(
            "{} has more than the {} digits before the point that decimal({precision},{scale}) holds",
            quoted(text),
            precision.saturating_sub(scale)
        ))
    })
}

/// The nearest number to the digits.
fn float(text: &str) -> Option<Float> {
    Written::read(text)?;
    text.trim().parse().ok().and_then(Float::new)
}

fn uuid(text: &str) -> Option<Uuid> {
    let text = text.trim();
    // Of the forms that there are, the usual one alone: groups of digits, with or without braces.
    (text.len() == 36 || text.len() == 38).then(|| Uuid::try_parse(text).ok()).flatten()
}

/// JSON as it was written; only its texts are brought to NFC, like all texts.
fn json_text(text: &str) -> Result<String, Misfit> {
    let text = normal(text)?;
    match json::check(&text) {
        Ok(()) => Ok(text),
        Err(at) => Err(Misfit(format!("{} is no JSON from byte {} on", quoted(&text), at + 1))),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "ja" => Some(true),
        "false" | "0" | "no" | "nein" => Some(false),
        _ => None,
    }
}

/// A day; a time behind it is accepted where it is midnight, as spreadsheets and databases export days.
fn date(text: &str) -> Option<Date> {
    let text = text.trim();
    Date::parse(text).or_else(|| {
        let (day, rest) = text.split_at_checked(10)?;
        let midnight = rest.get(1..)?.bytes().all(|byte| matches!(byte, b'0' | b':' | b'.'));
        if rest.starts_with([' ', 'T']) && midnight { Date::parse(day) } else { None }
    })
}

fn no_such_word(text: &str, words: &[EnumWord]) -> Misfit {
    let names = || words.iter().map(|word| word.name.as_str());
    let hint = nearest(text.trim(), names()).map_or_else(
        || format!("one of {}", names().collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean {near}?"),
    );
    Misfit(format!("{} is no word of the list; {hint}", quoted(text)))
}

fn misfit(kind: &Kind, given: &str) -> Misfit {
    let expected = match kind {
        Kind::String { max } => format!("a text of at most {max} characters"),
        Kind::Text => "a text".to_owned(),
        Kind::Integer => "a whole number from -9223372036854775808 to 9223372036854775807".to_owned(),
        Kind::Decimal { precision, scale } => {
            format!("a number with a point, like 19.99 (decimal({precision},{scale}))")
        }
        Kind::Float => "a number like 0.25 or 1e-3".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Date => "a day like 2026-11-23".to_owned(),
        Kind::Time => "a time of the day like 14:30 or 14:30:05".to_owned(),
        Kind::Uuid => "a UUID like 01234567-89ab-cdef-0123-456789abcdef".to_owned(),
        Kind::Json => "JSON".to_owned(),
        Kind::Datetime => "a time like 2026-11-23T14:30:00Z".to_owned(),
        Kind::Enum(words) => {
            format!("one of {}", words.iter().map(|word| word.name.as_str()).collect::<Vec<_>>().join(", "))
        }
        Kind::Blob => "a file that the node has taken in".to_owned(),
        Kind::ToOne { .. } => "an object".to_owned(),
        Kind::ManyToMany { .. } => "a list of objects".to_owned(),
        Kind::ToMany { .. } | Kind::Owners { .. } => {
            return Misfit("this relation is the inverse of another one and is set there".to_owned());
        }
    };
    Misfit(format!("{} is given, {expected} is expected", quoted(given)))
}

/// A given text in a message: in quotation marks, cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() > SHOWN {
        format!("\"{}…\"", text.chars().take(SHOWN).collect::<String>())
    } else {
        format!("\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EnumId;

    fn check(kind: &Kind, text: &str, expected: &str) {
        let got = match from_text(kind, text, &TimeZone::UTC) {
            Ok(value) => format!("{value:?}"),
            Err(Misfit(message)) => format!("error: {message}"),
        };
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn decimals_keep_their_scale() {
        let money = Kind::Decimal { precision: 6, scale: 2 };
        check(&money, "9.8", "Decimal(9.80)");
        check(&money, "14", "Decimal(14.00)");
        check(&money, "-0.004", "Decimal(0.00)");
        check(&money, "0.005", "Decimal(0.01)");
        check(&money, "-0.005", "Decimal(-0.01)");
        check(&money, "1e3", "Decimal(1000.00)");
        check(&money, "1e-999999", "Decimal(0.00)");
        check(&money, "0.00499999999999999999999999999999999", "Decimal(0.00)");
        let far = "error: \"1e999999\" has more than the 4 digits before the point that decimal(6,2) holds";
        check(&money, "1e999999", far);
        let grouped = "error: \"1_000\" is given, a number with a point, like 19.99 (decimal(6,2)) is expected";
        check(&money, "1_000", grouped);
        check(&money, "9999.99", "Decimal(9999.99)");
        check(
            &money,
            "9999.995",
            "error: \"9999.995\" has more than the 4 digits before the point that decimal(6,2) holds",
        );
        check(&money, "", "Null");
        check(
            &money,
            "19,99",
            "error: \"19,99\" is given, a number with a point, like 19.99 (decimal(6,2)) is expected",
        );
        let wide = Kind::Decimal { precision: 28, scale: 0 };
        check(&wide, "9999999999999999999999999999", "Decimal(9999999999999999999999999999)");
        check(
            &wide,
            "10000000000000000000000000000",
            "error: \"10000000000000000000000000000\" has more than the 28 digits before the point that decimal(28,0) holds",
        );
    }

    #[test]
    fn integers_are_whole() {
        check(&Kind::Integer, "9223372036854775807", "Integer(9223372036854775807)");
        check(&Kind::Integer, " -5 ", "Integer(-5)");
        check(&Kind::Integer, "5.0", "Integer(5)");
        check(&Kind::Integer, "-9223372036854775808.00", "Integer(-9223372036854775808)");
        let off = "5.0000000000000000000000000000000000001";
        let whole = "a whole number from -9223372036854775808 to 9223372036854775807 is expected";
        check(&Kind::Integer, off, &format!("error: \"{off}\" is given, {whole}"));
        check(&Kind::Integer, &format!("{off}e0"), &format!("error: \"{off}e0\" is given, {whole}"));
        check(&Kind::Integer, "1_000", &format!("error: \"1_000\" is given, {whole}"));
        check(
            &Kind::Integer,
            "5.5",
            "error: \"5.5\" is given, a whole number from -9223372036854775808 to 9223372036854775807 is expected",
        );
        check(
            &Kind::Integer,
            "9223372036854775808",
            "error: \"9223372036854775808\" is given, a whole number from -9223372036854775808 to 9223372036854775807 is expected",
        );
    }

    #[test]
    fn texts_are_normal() {
        check(&Kind::String { max: 4 }, "e\u{301}tat", "Text(\"état\")");
        check(&Kind::String { max: 4 }, "états", "error: \"états\" is 5 characters long, at most 4 fit");
        check(&Kind::Text, "a\0", "error: a text may not hold the character U+0000");
        check(&Kind::String { max: 5 }, "01581", "Text(\"01581\")");
        check(&Kind::Text, "", "Text(\"\")");
    }

    #[test]
    fn measured_numbers() {
        check(&Kind::Float, "0.1", "Float(0.1)");
        check(&Kind::Float, " -0 ", "Float(0)");
        check(&Kind::Float, "1e300", "Float(1e300)");
        check(&Kind::Float, "1e-400", "Float(0)");
        check(&Kind::Float, "", "Null");
        for odd in ["1e400", "NaN", "inf", "-infinity", "0x10", "1_000", "0,5", "1e"] {
            let expected = format!("error: \"{odd}\" is given, a number like 0.25 or 1e-3 is expected");
            check(&Kind::Float, odd, &expected);
        }
    }

    #[test]
    fn times_uuids_and_json() {
        check(&Kind::Time, "14:30", "Time(14:30:00)");
        let time = "a time of the day like 14:30 or 14:30:05 is expected";
        check(&Kind::Time, "24:00", &format!("error: \"24:00\" is given, {time}"));
        let uuid = "01234567-89AB-cdef-0123-456789abcdef";
        check(&Kind::Uuid, uuid, &format!("Uuid({})", uuid.to_lowercase()));
        check(&Kind::Uuid, &format!("{{{uuid}}}"), &format!("Uuid({})", uuid.to_lowercase()));
        let expected = "a UUID like 01234567-89ab-cdef-0123-456789abcdef is expected";
        check(
            &Kind::Uuid,
            "0123456789abcdef0123456789abcdef",
            &format!("error: \"0123456789abcdef0123456789abcdef\" is given, {expected}"),
        );
        check(&Kind::Json, "{\"a\": 1.10}", "Json(\"{\\\"a\\\": 1.10}\")");
        check(&Kind::Json, "{\"a\": }", "error: \"{\"a\": }\" is no JSON from byte 7 on");
        check(&Kind::Json, " ", "Null");
    }

    #[test]
    fn days_and_words() {
        check(&Kind::Date, "1996-07-04 00:00:00.000", "Date(1996-07-04)");
        check(
            &Kind::Date,
            "1996-07-04T08:00:00",
            "error: \"1996-07-04T08:00:00\" is given, a day like 2026-11-23 is expected",
        );
        check(&Kind::Bool, "Ja", "Bool(true)");
        check(&Kind::Bool, "2", "error: \"2\" is given, true or false is expected");
        let words = vec![
            EnumWord { id: EnumId(1), name: "open".into(), label: "open".into() },
            EnumWord { id: EnumId(2), name: "paid".into(), label: "paid".into() },
        ];
        check(&Kind::Enum(words.clone()), "paid", "Enum(enum value 2)");
        check(&Kind::Enum(words.clone()), "pade", "error: \"pade\" is no word of the list; did you mean paid?");
        check(&Kind::Enum(words), "xyzzy", "error: \"xyzzy\" is no word of the list; one of open, paid");
    }
}
