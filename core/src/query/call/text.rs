//! Texts. Places and lengths count characters, that is code points, from 1.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Function;
use crate::numeral::Written;
use crate::query::tree::ResultKind;
use crate::value::Value;

/// The longest text that a function makes, in bytes; a longer one is nothing.
const LONGEST: usize = 1 << 20;

/// Whether [`Function::Plain`] takes a character away, once it stands for itself.
#[must_use]
pub fn is_accent(character: char) -> bool {
    is_combining_mark(character)
}

/// `None` where the function is not about texts, or nothing comes out.
pub(super) fn call(function: Function, arguments: &[Value], kind: &ResultKind) -> Option<Value> {
    match (function, arguments) {
        (Function::Text, [value]) => Some(Value::Text(shown(value)?)),
        (Function::Join, both) => Some(joined(both.iter())),
        (Function::Character, [Value::Integer(code)]) => {
            let character = u32::try_from(*code).ok().and_then(char::from_u32).filter(|found| *found != '\0')?;
            Some(Value::Text(character.to_string()))
        }
        (_, [Value::Text(text)]) => one(function, text),
        (_, [Value::Text(text), Value::Text(other)]) => two(function, text, other),
        (_, [Value::Text(text), Value::Integer(count)]) => counted(function, text, *count),
        (Function::Substring, [Value::Text(text), Value::Integer(from), Value::Integer(count)]) => {
            substring(text, *from, usize::try_from(*count).unwrap_or(0))
        }
        (Function::PadStart | Function::PadEnd, [Value::Text(text), Value::Integer(width), Value::Text(fill)]) => {
            padded(text, *width, fill, function == Function::PadStart)
        }
        (Function::Replace, [Value::Text(text), Value::Text(old), Value::Text(new)]) => replaced(text, old, new),
        (Function::Part, [Value::Text(text), Value::Text(separator), Value::Integer(place)]) => {
            part(text, separator, *place)
        }
        _ => None,
    }
    .filter(|found| found.text().is_none_or(|text| text.len() <= LONGEST && *kind == ResultKind::Text))
}

/// All of them behind one another, as texts.
pub(super) fn joined<'a>(values: impl Iterator<Item = &'a Value>) -> Value {
    let mut text = String::new();
    for value in values {
        text.push_str(&shown(value).unwrap_or_default());
    }
    if text.len() > LONGEST { Value::Null } else { Value::Text(text) }
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Null | Value::Enum(_) | Value::Reference(_) | Value::Blob(_) => None,
        other => Some(other.to_string()),
    }
}

fn one(function: Function, text: &str) -> Option<Value> {
    let count = |number: usize| i64::try_from(number).ok().map(Value::Integer);
    let changed = match function {
        Function::Lower => text.chars().flat_map(char::to_lowercase).collect(),
        Function::Upper => text.chars().flat_map(char::to_uppercase).collect(),
        Function::Fold => text.nfc().flat_map(char::to_lowercase).collect(),
        Function::Plain => text.nfd().filter(|character| !is_accent(*character)).nfc().collect(),
        Function::Trim => text.trim().to_owned(),
        Function::TrimStart => text.trim_start().to_owned(),
        Function::TrimEnd => text.trim_end().to_owned(),
        Function::Reverse => text.chars().rev().collect(),
        Function::Squeeze => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Function::Capitalize => {
            let mut rest = text.chars();
            let first = rest.next().map(char::to_uppercase);
            first.into_iter().flatten().chain(rest).collect()
        }
        Function::Length => return count(text.chars().count()),
        Function::Bytes => return count(text.len()),
        Function::Words => return count(text.split_whitespace().count()),
        Function::Code => return text.chars().next().map(|first| Value::Integer(i64::from(u32::from(first)))),
        Function::IsEmpty => return Some(Value::Bool(text.trim().is_empty())),
        Function::IsNumber => return Some(Value::Bool(Written::read(text).is_some())),
        _ => return None,
    };
    Some(Value::Text(changed))
}

fn two(function: Function, text: &str, other: &str) -> Option<Value> {
    match function {
        Function::Contains => Some(Value::Bool(text.contains(other))),
        Function::StartsWith => Some(Value::Bool(text.starts_with(other))),
        Function::EndsWith => Some(Value::Bool(text.ends_with(other))),
        Function::Position => {
            let before = text.find(other).and_then(|at| text.get(..at)).map(|before| before.chars().count() + 1);
            i64::try_from(before.unwrap_or(0)).ok().map(Value::Integer)
        }
        _ => None,
    }
}

/// A count below 0 is 0.
fn counted(function: Function, text: &str, count: i64) -> Option<Value> {
    let size = usize::try_from(count).unwrap_or(0);
    match function {
        Function::Left => Some(Value::Text(text.chars().take(size).collect())),
        Function::Right => {
            let before = text.chars().count().saturating_sub(size);
            Some(Value::Text(text.chars().skip(before).collect()))
        }
        Function::Repeat if text.len().saturating_mul(size) > LONGEST => None,
        Function::Repeat => Some(Value::Text(text.repeat(size))),
        Function::Substring => substring(text, count, usize::MAX),
        Function::PadStart => padded(text, count, " ", true),
        Function::PadEnd => padded(text, count, " ", false),
        _ => None,
    }
}

/// From a place on, at most so many characters. A place before the first is the first.
fn substring(text: &str, from: i64, count: usize) -> Option<Value> {
    let skipped = usize::try_from(from.saturating_sub(1)).unwrap_or(0);
    Some(Value::Text(text.chars().skip(skipped).take(count).collect()))
}

/// As wide as asked for; what is wider stays as it is.
fn padded(text: &str, width: i64, fill: &str, at_start: bool) -> Option<Value> {
    let width = usize::try_from(width).unwrap_or(0);
    if width > LONGEST {
        return None;
    }
    let missing = width.saturating_sub(text.chars().count());
    let filling: String = fill.chars().cycle().take(if fill.is_empty() { 0 } else { missing }).collect();
    Some(Value::Text(if at_start { filling + text } else { text.to_owned() + &filling }))
}

fn replaced(text: &str, old: &str, new: &str) -> Option<Value> {
    if old.is_empty() {
        return Some(Value::Text(text.to_owned()));
    }
    let size = text.len().saturating_add(text.matches(old).count().saturating_mul(new.len()));
    (size <= 2 * LONGEST).then(|| Value::Text(text.replace(old, new)))
}

/// The part of that number between separators; below 0 it counts from the end. Without a separator there is one part.
fn part(text: &str, separator: &str, place: i64) -> Option<Value> {
    let parts: Vec<&str> = if separator.is_empty() { vec![text] } else { text.split(separator).collect() };
    let ahead = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
    let behind = || usize::try_from(place.checked_neg()?).ok().and_then(|back| parts.len().checked_sub(back));
    let at = ahead.or_else(behind)?;
    parts.get(at).map(|part| Value::Text((*part).to_owned()))
}
