//! Exact numbers: whole ones in 64 bits, decimals of up to 28 digits, rounded half away from zero where they must be.

use rust_decimal::Decimal;

use super::Function;
use crate::numeral::Written;
use crate::query::tree::{DECIMAL_DIGITS, ResultKind};
use crate::value::Value;

/// A number as digits without a point, and how many of them stand behind it.
#[derive(Clone, Copy)]
struct Number {
    mantissa: i128,
    scale: u32,
}

impl Number {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(whole) => Some(Self { mantissa: i128::from(*whole), scale: 0 }),
            Value::Decimal(exact) => Some(Self { mantissa: exact.mantissa(), scale: exact.scale() }),
            _ => None,
        }
    }

    /// The same number with more digits behind the point.
    fn widened(self, scale: u32) -> Option<i128> {
        self.mantissa.checked_mul(10_i128.checked_pow(scale.checked_sub(self.scale)?)?)
    }

    /// At a scale, with what becomes of the digits that are cut off.
    fn at(self, scale: u32, cut: fn(i128, i128) -> i128) -> Option<Self> {
        let mantissa = match self.scale.checked_sub(scale) {
            None | Some(0) => self.widened(scale)?,
            Some(less) => cut(self.mantissa, 10_i128.checked_pow(less)?),
        };
        Some(Self { mantissa, scale })
    }

    /// The value of a kind; `None` where it has too many digits.
    fn value(self, kind: &ResultKind) -> Option<Value> {
        match kind {
            ResultKind::Decimal { scale, .. } => {
                let fitted = self.at(*scale, half_away)?;
                let fits = fitted.mantissa.unsigned_abs() < 10_u128.pow(DECIMAL_DIGITS);
                let exact = Decimal::try_from_i128_with_scale(fitted.mantissa, *scale).ok()?;
                fits.then_some(Value::Decimal(exact))
            }
            _ => i64::try_from(self.at(0, half_away)?.mantissa).ok().map(Value::Integer),
        }
    }
}

/// A quotient, rounded half away from zero.
fn half_away(dividend: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    if rest.unsigned_abs() * 2 >= divisor.unsigned_abs() {
        quotient + rest.signum() * divisor.signum()
    } else {
        quotient
    }
}

/// Brings a number to the kind that was promised; others stay as they are.
pub(super) fn fitted(value: Value, kind: &ResultKind) -> Value {
    match (Number::of(&value), kind) {
        (Some(number), ResultKind::Decimal { .. } | ResultKind::Integer) => number.value(kind).unwrap_or(Value::Null),
        _ => value,
    }
}

/// `None` where the function is not about numbers, or nothing comes out.
pub(super) fn call(function: Function, arguments: &[Value], kind: &ResultKind) -> Option<Value> {
    let first = Number::of(arguments.first()?);
    let second = arguments.get(1).and_then(Number::of);
    match (function, first, second) {
        (Function::IsEven, Some(one), _) => Some(Value::Bool(one.mantissa % 2 == 0)),
        (Function::IsOdd, Some(one), _) => Some(Value::Bool(one.mantissa % 2 != 0)),
        (Function::Integer | Function::Decimal, None, _) => written(arguments.first()?, kind)?.value(kind),
        (_, Some(one), Some(other)) => two(function, one, other, kind)?.value(kind),
        (_, Some(one), None) => single(function, one, kind)?.value(kind),
        _ => None,
    }
}

/// The number that a text shows. One with more digits than a number has, or that is none, is nothing.
fn written(value: &Value, kind: &ResultKind) -> Option<Number> {
    let text = value.text()?;
    let scale = if let ResultKind::Decimal { scale, .. } = kind { *scale } else { 0 };
    let scaled = Written::read(text)?.at_scale(scale)?;
    Some(Number { mantissa: scaled.mantissa, scale })
}

fn single(function: Function, one: Number, kind: &ResultKind) -> Option<Number> {
    let Number { mantissa, scale } = one;
    match function {
        Function::Negate => Some(Number { mantissa: -mantissa, scale }),
        Function::Abs => Some(Number { mantissa: mantissa.abs(), scale }),
        Function::Sign => Some(Number { mantissa: mantissa.signum(), scale: 0 }),
        Function::Floor => one.at(0, i128::div_euclid),
        Function::Ceiling => one.at(0, |dividend, divisor| -(-dividend).div_euclid(divisor)),
        Function::Truncate => one.at(digits(kind), |dividend, divisor| dividend / divisor),
        Function::Round | Function::Integer | Function::Decimal => one.at(digits(kind), half_away),
        _ => None,
    }
}

const fn digits(kind: &ResultKind) -> u32 {
    if let ResultKind::Decimal { scale, .. } = kind { *scale } else { 0 }
}

fn two(function: Function, one: Number, other: Number, kind: &ResultKind) -> Option<Number> {
    let scale = one.scale.max(other.scale);
    let aligned = || Some((one.widened(scale)?, other.widened(scale)?));
    let mantissa = match function {
        Function::Add => aligned().and_then(|(a, b)| a.checked_add(b))?,
        Function::Subtract => aligned().and_then(|(a, b)| a.checked_sub(b))?,
        Function::Remainder | Function::Mod => aligned().and_then(|(a, b)| a.checked_rem(b))?,
        Function::Div => {
            let whole = aligned().and_then(|(a, b)| a.checked_div(b))?;
            return Some(Number { mantissa: whole, scale: 0 });
        }
        Function::Multiply => {
            let product = one.mantissa.checked_mul(other.mantissa)?;
            return Some(Number { mantissa: product, scale: one.scale + other.scale });
        }
        Function::Divide => return quotient(one, other, digits(kind)),
        Function::Power => return power(one, other.mantissa, kind),
        Function::Round | Function::Truncate | Function::Decimal => return single(function, one, kind),
        _ => return None,
    };
    Some(Number { mantissa, scale })
}

/// Digit by digit, so that nothing between has more digits than the numbers themselves.
fn quotient(one: Number, other: Number, scale: u32) -> Option<Number> {
    let further = (scale + other.scale).checked_sub(one.scale)?;
    let (divisor, negative) = (other.mantissa.abs(), (one.mantissa < 0) != (other.mantissa < 0));
    let dividend = one.mantissa.abs();
    let (mut mantissa, mut rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    for _ in 0..further {
        let next = rest.checked_mul(10)?;
        mantissa = mantissa.checked_mul(10)?.checked_add(next / divisor)?;
        rest = next % divisor;
    }
    if rest * 2 >= divisor {
        mantissa += 1;
    }
    Some(Number { mantissa: if negative { -mantissa } else { mantissa }, scale })
}

/// Each product is brought to the scale of the kind, so that the digits do not grow without end.
fn power(one: Number, exponent: i128, kind: &ResultKind) -> Option<Number> {
    const EXPONENT_MAX: i128 = 200;
    if !(0..=EXPONENT_MAX).contains(&exponent) {
        return None;
    }
    let mut product = Number { mantissa: 1, scale: 0 };
    for _ in 0..exponent {
        let mantissa = product.mantissa.checked_mul(one.mantissa)?;
        product = Number { mantissa, scale: product.scale + one.scale }.at(digits(kind), half_away)?;
    }
    Some(product)
}
