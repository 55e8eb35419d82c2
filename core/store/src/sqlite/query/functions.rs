//! What the engine cannot do itself: patterns as the language has them, and decimals wider than 64 bits. All functions
//! give nothing for nothing, and the same for the same.

use mytism_core::query::{DECIMAL_DIGITS, Pattern};
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result};

use super::super::column::{decimal, mantissa, wide_bytes};

/// The words with which the engine itself refuses a sum of integers that is too large.
const OVERFLOW: &str = "integer overflow";

/// Adds the functions that compiled queries use to a connection: `mytism_like(pattern, text, blind)`,
/// `mytism_decimal_compare(a, scale of a, b, scale of b)`, `mytism_decimal_sum(a)` and
/// `mytism_decimal_avg(a, further digits)`.
///
/// A sum or mean that is too large fails with an error that says `integer overflow`, as the engine's own does.
///
/// # Errors
/// When the engine has no memory left.
pub fn register_functions(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("mytism_like", 3, flags, like)?;
    connection.create_scalar_function("mytism_decimal_compare", 4, flags, compare)?;
    connection.create_aggregate_function("mytism_decimal_sum", 1, flags, Sum)?;
    connection.create_aggregate_function("mytism_decimal_avg", 2, flags, Mean)
}

fn like(context: &mut Context<'_>) -> Result<Option<bool>> {
    if context.get_raw(0) == ValueRef::Null || context.get_raw(1) == ValueRef::Null {
        return Ok(None);
    }
    let blind: bool = context.get(2)?;
    let pattern = context.get_or_create_aux(0, |given| given.as_str().map(|given| Pattern::new(given, blind)))?;
    let text = context.get_raw(1).as_str().map_err(|error| Error::UserFunctionError(error.into()))?;
    Ok(Some(pattern.fits(text)))
}

fn compare(context: &mut Context<'_>) -> Result<Option<i32>> {
    let (left, right) = (context.get_raw(0), context.get_raw(2));
    if left == ValueRef::Null || right == ValueRef::Null {
        return Ok(None);
    }
    let number = |stored, scale| decimal(stored, scale).ok_or_else(overflow);
    let (left, right) = (number(left, context.get(1)?)?, number(right, context.get(3)?)?);
    Ok(Some(left.cmp(&right) as i32))
}

/// What a sum and a mean are made of.
#[derive(Default)]
struct Gathered {
    sum: i128,
    count: u32,
    further_digits: u32,
}

impl Gathered {
    fn add(&mut self, stored: ValueRef<'_>) -> Result<()> {
        if stored != ValueRef::Null {
            let number = mantissa(stored).ok_or_else(|| Error::UserFunctionError("not a decimal".into()))?;
            self.sum = self.sum.checked_add(number).ok_or_else(overflow)?;
            self.count = self.count.checked_add(1).ok_or_else(overflow)?;
        }
        Ok(())
    }

    /// The sum over the count with further digits, half away from zero. The division comes first, so that nothing
    /// between leaves 128 bits.
    fn mean(&self) -> Option<i128> {
        let count = i128::from(self.count);
        let unit = 10_i128.checked_pow(self.further_digits)?;
        let (whole, rest) = (self.sum.checked_div(count)?, self.sum.checked_rem(count)?);
        let twice = rest.checked_mul(unit)?.checked_mul(2)?;
        let rounded = (twice + count * twice.signum()) / (2 * count);
        whole.checked_mul(unit)?.checked_add(rounded)
    }
}

/// An exact sum; nothing of none.
struct Sum;

impl Aggregate<Gathered, Option<[u8; 16]>> for Sum {
    fn init(&self, _: &mut Context<'_>) -> Result<Gathered> {
        Ok(Gathered::default())
    }

    fn step(&self, context: &mut Context<'_>, gathered: &mut Gathered) -> Result<()> {
        gathered.add(context.get_raw(0))
    }

    fn finalize(&self, _: &mut Context<'_>, gathered: Option<Gathered>) -> Result<Option<[u8; 16]>> {
        gathered.filter(|gathered| gathered.count > 0).map(|gathered| stored(Some(gathered.sum))).transpose()
    }
}

/// A mean with more digits than its values; nothing of none.
struct Mean;

impl Aggregate<Gathered, Option<[u8; 16]>> for Mean {
    fn init(&self, context: &mut Context<'_>) -> Result<Gathered> {
        Ok(Gathered { further_digits: context.get(1)?, ..Gathered::default() })
    }

    fn step(&self, context: &mut Context<'_>, gathered: &mut Gathered) -> Result<()> {
        gathered.add(context.get_raw(0))
    }

    fn finalize(&self, _: &mut Context<'_>, gathered: Option<Gathered>) -> Result<Option<[u8; 16]>> {
        gathered.filter(|gathered| gathered.count > 0).map(|gathered| stored(gathered.mean())).transpose()
    }
}

fn stored(mantissa: Option<i128>) -> Result<[u8; 16]> {
    let fits = mantissa.filter(|number| number.unsigned_abs() < 10_u128.pow(DECIMAL_DIGITS));
    fits.map(wide_bytes).ok_or_else(overflow)
}

fn overflow() -> Error {
    Error::UserFunctionError(OVERFLOW.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_rounded_half_away_from_zero() {
        let check = |sum: i128, count: u32, further_digits: u32, expected: i128| {
            assert_eq!(Gathered { sum, count, further_digits }.mean(), Some(expected), "{sum}/{count}");
        };
        check(10, 3, 2, 333);
        check(20, 3, 2, 667);
        check(1, 2, 0, 1);
        check(-1, 2, 0, -1);
        check(-20, 3, 2, -667);
        check(0, 7, 6, 0);
        check(10_i128.pow(28) * 1000, 1000, 6, 10_i128.pow(34));
    }
}
