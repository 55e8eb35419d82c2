//! Values that were made under an earlier schema, in the place that they have in this one.
//!
//! The log keeps every value as its author saved it. Where an attribute became wider since, the value means the same in
//! another form; where it became something else, the value has no place any more. All nodes go by this one function, so
//! that their tables stay equal.

use rust_decimal::Decimal;

use super::Kind;
use crate::value::Value;

impl Kind {
    /// A value of this or of an earlier form of the attribute, as this one holds it; `None` where it cannot. Lengths,
    /// bounds and words are not looked at.
    #[must_use]
    pub fn adapt(&self, value: Value) -> Option<Value> {
        match (self, value) {
            (_, Value::Null) => Some(Value::Null),
            (Self::Decimal { precision, scale }, Value::Integer(number)) => {
                exact(Decimal::from(number), *precision, *scale).map(Value::Decimal)
            }
            (Self::Decimal { precision, scale }, Value::Decimal(number)) => {
                exact(number, *precision, *scale).map(Value::Decimal)
            }
            (kind, value) => kind.is_of(&value).then_some(value),
        }
    }

    /// Whether a value is of the form that this kind has.
    const fn is_of(&self, value: &Value) -> bool {
        matches!(
            (self, value),
            (Self::String { .. } | Self::Text, Value::Text(_))
                | (Self::Integer, Value::Integer(_))
                | (Self::Decimal { .. }, Value::Decimal(_))
                | (Self::Float, Value::Float(_))
                | (Self::Bool | Self::ManyToMany { .. }, Value::Bool(_))
                | (Self::Date, Value::Date(_))
                | (Self::Time, Value::Time(_))
                | (Self::Datetime, Value::Datetime(_))
                | (Self::Uuid, Value::Uuid(_))
                | (Self::Json, Value::Json(_))
                | (Self::Blob, Value::Blob(_))
                | (Self::Enum(_), Value::Enum(_))
                | (Self::ToOne { .. }, Value::Reference(_))
        )
    }
}

/// The same number at a scale, where it has no more digits than may stand there.
fn exact(number: Decimal, precision: u32, scale: u32) -> Option<Decimal> {
    if number.scale() == scale {
        return has_digits(number, precision).then_some(number);
    }
    let mut scaled = number;
    scaled.rescale(scale);
    (scaled.scale() == scale && scaled == number && has_digits(scaled, precision)).then_some(scaled)
}

fn has_digits(number: Decimal, precision: u32) -> bool {
    number.mantissa().unsigned_abs().checked_ilog10().map_or(0, |log| log + 1) <= precision
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_meaning_or_has_no_place() {
        let decimal = |precision, scale| Kind::Decimal { precision, scale };
        let number = |text: &str| Value::Decimal(text.parse().unwrap());
        let check = |kind: &Kind, value: Value, expected: Option<Value>| assert_eq!(kind.adapt(value), expected);
        check(&decimal(10, 2), Value::Integer(7), Some(number("7.00")));
        check(&decimal(4, 2), Value::Integer(100), None);
        check(&decimal(21, 2), Value::Integer(i64::MIN), Some(number("-9223372036854775808.00")));
        check(&decimal(10, 4), number("1.25"), Some(number("1.2500")));
        check(&decimal(10, 1), number("1.50"), Some(number("1.5")));
        check(&decimal(10, 1), number("1.25"), None);
        check(&decimal(3, 2), number("10.00"), None);
        check(&Kind::Text, Value::from("a"), Some(Value::from("a")));
        check(&Kind::String { max: 1 }, Value::from("long"), Some(Value::from("long")));
        check(&Kind::Integer, number("1"), None);
        check(&Kind::Text, Value::Integer(1), None);
        check(&Kind::Integer, Value::Null, Some(Value::Null));
        let Some(Value::Decimal(scaled)) = decimal(10, 2).adapt(Value::Integer(7)) else { panic!() };
        assert_eq!(scaled.scale(), 2, "the engines go by the scale");
    }
}
