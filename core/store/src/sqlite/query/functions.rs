//! What the engine cannot do itself: patterns as the language has them, and decimals wider than 64 bits. All functions
//! give nothing for nothing, and the same for the same.

use mytism_core::id::EntityId;
use mytism_core::query::{DECIMAL_DIGITS, Function, Pattern, ResultKind, call, float_sum, mean};
use mytism_core::value::Value;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result};

use super::super::column::{Form, decimal, mantissa, wide_bytes};

/// The words with which the engine itself refuses a sum of integers that is too large.
const OVERFLOW: &str = "integer overflow";

/// Adds the functions that compiled queries use to a connection: `mytism_like(pattern, text, blind)`,
/// `mytism_call(function and forms, arguments …)`, `mytism_decimal_compare(a, scale of a, b, scale of b)`, `mytism_decimal_sum(a)`,
/// `mytism_float_sum(a)` and `mytism_decimal_avg(a, further digits)`.
///
/// A sum or mean that is too large fails with an error that says `integer overflow`, as the engine's own does.
///
/// # Errors
/// When the engine has no memory left.
pub fn register_functions(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("mytism_like", 3, flags, like)?;
    connection.create_scalar_function("mytism_call", -1, flags, called)?;
    connection.create_scalar_function("mytism_decimal_compare", 4, flags, compare)?;
    connection.create_aggregate_function("mytism_decimal_sum", 1, flags, Sum)?;
    connection.create_aggregate_function("mytism_float_sum", 1, flags, FloatSum)?;
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

/// A function and the kinds of its arguments and of what it gives, as a text of digits and letters; [`Told`] reads it.
pub(super) fn told<'a>(function: Function, kinds: impl Iterator<Item = &'a ResultKind>) -> String {
    let kinds: Vec<String> = kinds.map(letter).collect();
    format!("{}:{}", function.number(), kinds.join(","))
}

fn letter(kind: &ResultKind) -> String {
    match kind {
        ResultKind::Bool => "b".to_owned(),
        ResultKind::Integer => "i".to_owned(),
        ResultKind::Decimal { precision, scale } => format!("n{precision}.{scale}"),
        ResultKind::Text => "t".to_owned(),
        ResultKind::Date => "d".to_owned(),
        ResultKind::Datetime => "m".to_owned(),
        ResultKind::Float => "g".to_owned(),
        ResultKind::Json => "j".to_owned(),
        ResultKind::Time => "c".to_owned(),
        ResultKind::Uuid => "u".to_owned(),
        ResultKind::Blob => "f".to_owned(),
        ResultKind::Enum(_) => "e".to_owned(),
        ResultKind::Reference(_) => "o".to_owned(),
    }
}

/// The words of a list and the entity of an object are nothing that a function looks at.
fn kind(letter: &str) -> Option<ResultKind> {
    Some(match letter {
        "b" => ResultKind::Bool,
        "i" => ResultKind::Integer,
        "t" => ResultKind::Text,
        "d" => ResultKind::Date,
        "m" => ResultKind::Datetime,
        "g" => ResultKind::Float,
        "j" => ResultKind::Json,
        "c" => ResultKind::Time,
        "u" => ResultKind::Uuid,
        "f" => ResultKind::Blob,
        "e" => ResultKind::Enum(Vec::new()),
        "o" => ResultKind::Reference(EntityId(0)),
        number => {
            let (precision, scale) = number.strip_prefix('n')?.split_once('.')?;
            ResultKind::Decimal { precision: precision.parse().ok()?, scale: scale.parse().ok()? }
        }
    })
}

/// What a call was told; read once for all rows.
struct Told {
    function: Function,
    arguments: Vec<ResultKind>,
    gives: ResultKind,
}

impl Told {
    fn read(text: &str) -> Option<Self> {
        let (function, kinds) = text.split_once(':')?;
        let function = Function::of_number(function.parse().ok()?)?;
        let mut arguments = kinds.split(',').map(kind).collect::<Option<Vec<_>>>()?;
        let gives = arguments.pop()?;
        Some(Self { function, arguments, gives })
    }
}

fn called(context: &mut Context<'_>) -> Result<rusqlite::types::Value> {
    let refused = |why: &str| Error::UserFunctionError(why.into());
    let told = context.get_or_create_aux(0, |given| {
        let read = given.as_str().ok().and_then(Told::read);
        read.ok_or_else(|| Error::UserFunctionError("no function that is known".into()))
    })?;
    if context.len() != told.arguments.len() + 1 {
        return Err(refused("another number of arguments"));
    }
    let mut values: Vec<Value> = Vec::with_capacity(told.arguments.len());
    for (at, kind) in told.arguments.iter().enumerate() {
        let read = Form::of_result(kind).read(context.get_raw(at + 1));
        values.push(read.map_err(|error| Error::UserFunctionError(error.into()))?);
    }
    let value = call(told.function, &values, &told.gives);
    Ok(Form::of_result(&told.gives).write(&value))
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

    fn mean(&self) -> Option<i128> {
        mean(self.sum, usize::try_from(self.count).ok()?, self.further_digits)
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

/// A sum of floats that does not depend on their order; nothing of none.
struct FloatSum;

impl Aggregate<Vec<f64>, Option<f64>> for FloatSum {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<f64>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, gathered: &mut Vec<f64>) -> Result<()> {
        gathered.extend(context.get::<Option<f64>>(0)?);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, gathered: Option<Vec<f64>>) -> Result<Option<f64>> {
        let gathered = gathered.filter(|gathered| !gathered.is_empty());
        gathered.map(|mut values| float_sum(&mut values).ok_or_else(overflow)).transpose()
    }
}

fn stored(mantissa: Option<i128>) -> Result<[u8; 16]> {
    let fits = mantissa.filter(|number| number.unsigned_abs() < 10_u128.pow(DECIMAL_DIGITS));
    fits.map(wide_bytes).ok_or_else(overflow)
}

fn overflow() -> Error {
    Error::UserFunctionError(OVERFLOW.into())
}
