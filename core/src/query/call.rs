//! What the functions of the language do with values. One implementation serves the evaluation in memory and every engine
//! that can call it, so that it cannot mean two things.
//!
//! Nothing here fails: what cannot be computed (a division by zero, a number that is too large, a day that does not
//! exist) gives nothing, and so does nothing, unless a function is about nothing itself. Knows no clock.

mod number;
mod text;
mod time;

use std::cmp::Ordering;

use super::function::Function;
use super::tree::ResultKind;
use crate::value::Value;
pub use text::is_accent;
pub(super) use time::zone_name;

/// What the function gives for values of the kinds that it was checked for; `kind` is what shall come out.
#[must_use]
pub fn call(function: Function, arguments: &[Value], kind: &ResultKind) -> Value {
    if let Some(value) = about_nothing(function, arguments) {
        return number::fitted(value, kind);
    }
    if arguments.iter().any(Value::is_null) {
        return Value::Null;
    }
    let found = number::call(function, arguments, kind)
        .or_else(|| text::call(function, arguments, kind))
        .or_else(|| time::call(function, arguments))
        .or_else(|| order::call(function, arguments));
    found.map_or(Value::Null, |value| number::fitted(value, kind))
}

/// The functions for which nothing is a value like others.
fn about_nothing(function: Function, arguments: &[Value]) -> Option<Value> {
    let first = arguments.first().unwrap_or(&Value::Null);
    let second = arguments.get(1).unwrap_or(&Value::Null);
    let value = match function {
        Function::Coalesce => arguments.iter().find(|value| !value.is_null()).unwrap_or(&Value::Null).clone(),
        Function::NullIf if is_same(first, second) => Value::Null,
        Function::NullIf => first.clone(),
        Function::If if *first == Value::Bool(true) => second.clone(),
        Function::If => arguments.get(2).unwrap_or(&Value::Null).clone(),
        Function::IsTrue => Value::Bool(*first == Value::Bool(true)),
        Function::Differs => Value::Bool(!is_same(first, second)),
        Function::Concat => text::joined(arguments.iter().filter(|value| !value.is_null())),
        _ => return None,
    };
    Some(value)
}

fn is_same(one: &Value, other: &Value) -> bool {
    one.is_null() == other.is_null() && (one == other || compare(one, other) == Some(Ordering::Equal))
}

/// The order of two values of comparable kinds; `None` where one is nothing, or where there is no order and they differ.
#[must_use]
pub fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    if one.is_null() || other.is_null() {
        return None;
    }
    match (one, other) {
        (Value::Integer(whole), Value::Decimal(exact)) => Some(rust_decimal::Decimal::from(*whole).cmp(exact)),
        (Value::Decimal(exact), Value::Integer(whole)) => Some(exact.cmp(&rust_decimal::Decimal::from(*whole))),
        // The id of an object may be asked for as a number.
        (Value::Integer(id), Value::Reference(object)) => Some(id.cmp(&object.get())),
        (Value::Reference(object), Value::Integer(id)) => Some(object.get().cmp(id)),
        _ if one == other => Some(Ordering::Equal),
        _ => one.order(other),
    }
}

/// Functions over anything that has an order.
mod order {
    use super::{Function, Ordering, Value, compare};

    pub(super) fn call(function: Function, arguments: &[Value]) -> Option<Value> {
        match (function, arguments) {
            (Function::Greatest, [first, rest @ ..]) => Some(outermost(first, rest, Ordering::Greater)),
            (Function::Least, [first, rest @ ..]) => Some(outermost(first, rest, Ordering::Less)),
            (Function::Clamp, [value, low, high]) => {
                let raised = outermost(value, std::slice::from_ref(low), Ordering::Greater);
                Some(outermost(&raised, std::slice::from_ref(high), Ordering::Less))
            }
            (Function::Xor, [Value::Bool(one), Value::Bool(other)]) => Some(Value::Bool(one != other)),
            _ => None,
        }
    }

    fn outermost(first: &Value, rest: &[Value], wanted: Ordering) -> Value {
        let further = |best: &'_ Value, next: &'_ Value| compare(next, best) == Some(wanted);
        rest.iter().fold(first, |best, next| if further(best, next) { next } else { best }).clone()
    }
}

#[cfg(test)]
mod tests;
