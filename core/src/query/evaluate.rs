//! An expression on one object in memory, with the very meaning that it has in a database. Whoever asks gives the objects
//! that paths lead to; nothing else is looked at: no clock, no zone of the machine, no disk.

use std::cmp::Ordering;

use rust_decimal::Decimal;

use super::call::{call, compare};
use super::pattern::Pattern;
use super::tree::{Aggregate, Comparison, DECIMAL_DIGITS, Expr, Measure, Node, Path, PathEnd, ResultKind, Within};
use crate::float::Float;
use crate::id::{AttributeId, EntityId, ObjectId};
use crate::value::Value;

/// What an expression may ask of objects.
pub trait Objects {
    /// Why an object cannot be read.
    type Error;

    /// The entity of an object; `None` where it is not there. Deleted objects are there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn entity(&self, object: ObjectId) -> Result<Option<EntityId>, Self::Error>;

    /// What an object holds in an attribute of its own row; nothing where the object is not there or has no such
    /// attribute.
    ///
    /// # Errors
    /// When it cannot be read.
    fn value(&self, object: ObjectId, attribute: AttributeId) -> Result<Value, Self::Error>;

    /// The objects that a relation to many leads to from an object, without deleted ones, each once.
    ///
    /// # Errors
    /// When they cannot be read.
    fn elements(&self, object: ObjectId, relation: AttributeId) -> Result<Vec<ObjectId>, Self::Error>;
}

/// Why an expression has no value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EvaluateError<E> {
    /// An object cannot be read.
    #[error("an object cannot be read: {0}")]
    Objects(E),
    /// A sum or a mean leaves the range of its kind.
    #[error("a sum is too large for its kind")]
    SumOverflow,
}

/// The value of an expression for an object; aggregates over many objects are nothing here.
///
/// # Errors
/// When an object cannot be read, or a sum is too large.
pub fn evaluate<O: Objects>(expr: &Expr, object: ObjectId, objects: &O) -> Result<Value, EvaluateError<O::Error>> {
    Evaluator { objects, scopes: vec![object] }.value(expr)
}

/// Keeps the objects of all scopes around.
struct Evaluator<'a, O> {
    objects: &'a O,
    scopes: Vec<ObjectId>,
}

type Found<O> = Result<Value, EvaluateError<<O as Objects>::Error>>;

impl<O: Objects> Evaluator<'_, O> {
    fn value(&mut self, expr: &Expr) -> Found<O> {
        match &expr.node {
            Node::Value(value) => Ok(value.clone()),
            Node::Path(path) => Ok(as_kind(self.path(path)?, &expr.kind)),
            Node::Call { function, arguments } => {
                let arguments = arguments.iter().map(|one| self.value(one)).collect::<Result<Vec<_>, _>>()?;
                Ok(call(*function, &arguments, &expr.kind))
            }
            Node::Instance { path, entities, .. } => self.instance(path, entities),
            Node::Within(within) => self.within(within, &expr.kind),
            Node::Compare { comparison, left, right } => {
                Ok(compared(*comparison, &self.value(left)?, &self.value(right)?))
            }
            Node::In { value, list } => Ok(listed(&self.value(value)?, list)),
            Node::Like { value, pattern, blind } => match (self.value(value)?, self.value(pattern)?) {
                (Value::Text(text), Value::Text(pattern)) => {
                    Ok(Value::Bool(Pattern::new(&pattern, *blind).fits(&text)))
                }
                _ => Ok(Value::Null),
            },
            Node::IsNull(value) => Ok(Value::Bool(self.value(value)?.is_null())),
            Node::And(all) => self.joined(all, false),
            Node::Or(all) => self.joined(all, true),
            Node::Not(inner) => Ok(match self.value(inner)? {
                Value::Bool(given) => Value::Bool(!given),
                _ => Value::Null,
            }),
            Node::Aggregate { .. } => Ok(Value::Null),
        }
    }

    /// One that decides is enough; without one, a single unknown makes the whole unknown.
    fn joined(&mut self, all: &[Expr], decides: bool) -> Found<O> {
        let mut joined = Value::Bool(!decides);
        for part in all {
            match self.value(part)? {
                Value::Bool(given) if given == decides => return Ok(Value::Bool(decides)),
                Value::Bool(_) => {}
                _ => joined = Value::Null,
            }
        }
        Ok(joined)
    }

    /// The object at which the last step of a path begins.
    fn reached(&self, path: &Path) -> Result<Option<ObjectId>, EvaluateError<O::Error>> {
        let mut at = self.scopes.get(path.scope).copied();
        for relation in &path.via {
            let Some(object) = at else { return Ok(None) };
            at = self.objects.value(object, *relation).map_err(EvaluateError::Objects)?.reference();
        }
        Ok(at)
    }

    fn path(&self, path: &Path) -> Found<O> {
        let Some(object) = self.reached(path)? else { return Ok(Value::Null) };
        match path.end {
            PathEnd::Object => Ok(Value::Reference(object)),
            PathEnd::Attribute(attribute) => self.objects.value(object, attribute).map_err(EvaluateError::Objects),
        }
    }

    fn instance(&self, path: &Path, entities: &[EntityId]) -> Found<O> {
        let Some(object) = self.path(path)?.reference() else { return Ok(Value::Null) };
        let entity = self.objects.entity(object).map_err(EvaluateError::Objects)?;
        Ok(entity.map_or(Value::Null, |entity| Value::Bool(entities.contains(&entity))))
    }

    fn within(&mut self, within: &Within, kind: &ResultKind) -> Found<O> {
        let elements = match (self.reached(&within.relation)?, within.relation.end) {
            (Some(owner), PathEnd::Attribute(relation)) => {
                self.objects.elements(owner, relation).map_err(EvaluateError::Objects)?
            }
            _ => Vec::new(),
        };
        let mut values = Vec::new();
        for element in elements {
            self.scopes.push(element);
            let found = self.element(within);
            self.scopes.pop();
            let (is_true, value) = found?;
            match within.measure {
                Measure::Exists if is_true => return Ok(Value::Bool(true)),
                Measure::ForAll if !is_true => return Ok(Value::Bool(false)),
                _ if is_true => values.push(value),
                _ => {}
            }
        }
        match within.measure {
            Measure::Exists => Ok(Value::Bool(false)),
            Measure::ForAll => Ok(Value::Bool(true)),
            Measure::Aggregate(function) => aggregated(function, &values, kind).ok_or(EvaluateError::SumOverflow),
        }
    }

    /// Whether the innermost object is looked at, and what is aggregated of it.
    fn element(&mut self, within: &Within) -> Result<(bool, Value), EvaluateError<O::Error>> {
        let is_true = match &within.filter {
            Some(filter) => self.value(filter)? == Value::Bool(true),
            None => true,
        };
        let value = match &within.argument {
            Some(argument) if is_true => self.value(argument)?,
            _ => Value::Bool(true),
        };
        Ok((is_true, value))
    }
}

/// An id that is asked for as a number.
fn as_kind(value: Value, kind: &ResultKind) -> Value {
    match (&value, kind) {
        (Value::Reference(object), ResultKind::Integer) => Value::Integer(object.get()),
        _ => value,
    }
}

fn compared(comparison: Comparison, left: &Value, right: &Value) -> Value {
    if left.is_null() || right.is_null() {
        return Value::Null;
    }
    let order = compare(left, right);
    Value::Bool(match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::Unequal => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}

fn listed(value: &Value, list: &[Value]) -> Value {
    if list.is_empty() {
        return Value::Bool(false);
    }
    if value.is_null() {
        return Value::Null;
    }
    let found = list.iter().any(|one| compare(value, one) == Some(Ordering::Equal));
    if found || !list.iter().any(Value::is_null) { Value::Bool(found) } else { Value::Null }
}

/// One value of many; `None` where it leaves the range of its kind.
pub(super) fn aggregated(function: Aggregate, values: &[Value], kind: &ResultKind) -> Option<Value> {
    let there = || values.iter().filter(|value| !value.is_null());
    let outermost = |wanted| there().reduce(|best, next| if compare(next, best) == Some(wanted) { next } else { best });
    match function {
        Aggregate::Count => i64::try_from(there().count()).ok().map(Value::Integer),
        Aggregate::Distinct => {
            let mut different: Vec<&Value> = Vec::new();
            let is_known = |known: &&Value, value| *known == value || compare(known, value) == Some(Ordering::Equal);
            let mut sorted: Vec<&Value> = there().collect();
            sorted.sort_by(|a, b| compare(a, b).unwrap_or_else(|| a.to_string().cmp(&b.to_string())));
            for value in sorted {
                if !different.last().is_some_and(|known| is_known(known, value)) {
                    different.push(value);
                }
            }
            i64::try_from(different.len()).ok().map(Value::Integer)
        }
        Aggregate::Min => Some(outermost(Ordering::Less).cloned().unwrap_or_default()),
        Aggregate::Max => Some(outermost(Ordering::Greater).cloned().unwrap_or_default()),
        Aggregate::Sum | Aggregate::Avg if there().next().is_none() => Some(Value::Null),
        Aggregate::Sum if *kind == ResultKind::Float => floats(there(), false),
        Aggregate::Avg if *kind == ResultKind::Float => floats(there(), true),
        Aggregate::Sum => number(sum(there())?, kind),
        Aggregate::Avg => {
            let scale = if let ResultKind::Decimal { scale, .. } = kind { *scale } else { 0 };
            let of = there().map(|value| if let Value::Decimal(one) = value { one.scale() } else { 0 }).max()?;
            number(mean(sum(there())?, there().count(), scale.saturating_sub(of))?, kind)
        }
    }
}

/// The sum of floats, or their mean; from the smallest to the largest, so that it does not depend on an order.
fn floats<'a>(values: impl Iterator<Item = &'a Value>, is_mean: bool) -> Option<Value> {
    let all = values.filter_map(|value| if let Value::Float(one) = value { Some(one.get()) } else { None });
    let mut all: Vec<f64> = all.collect();
    let sum = float_sum(&mut all)?;
    #[expect(clippy::cast_precision_loss, reason = "there are fewer objects than whole numbers that a float holds")]
    let found = if is_mean { sum / all.len() as f64 } else { sum };
    Float::new(found).map(Value::Float)
}

/// The sum of floats, added from the smallest to the largest; `None` where it is too large.
pub fn float_sum(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.iter().try_fold(0.0, |sum, value| Some(sum + value).filter(|sum: &f64| sum.is_finite()))
}

/// The sum of numbers of one scale, as digits.
fn sum<'a>(values: impl Iterator<Item = &'a Value>) -> Option<i128> {
    values.into_iter().try_fold(0_i128, |sum, value| match value {
        Value::Integer(whole) => sum.checked_add(i128::from(*whole)),
        Value::Decimal(exact) => sum.checked_add(exact.mantissa()),
        _ => Some(sum),
    })
}

/// A sum over a count with further digits, half away from zero. The division comes first, so that nothing between leaves
/// 128 bits. `None` where there is nothing to divide by, or too much.
#[must_use]
pub fn mean(sum: i128, count: usize, further_digits: u32) -> Option<i128> {
    let count = i128::try_from(count).ok()?;
    let unit = 10_i128.checked_pow(further_digits)?;
    let (whole, rest) = (sum.checked_div(count)?, sum.checked_rem(count)?);
    let twice = rest.checked_mul(unit)?.checked_mul(2)?;
    let rounded = (twice + count * twice.signum()) / (2 * count);
    whole.checked_mul(unit)?.checked_add(rounded)
}

/// Digits as a value of a kind, in the range that a sum of that kind has in every engine.
fn number(mantissa: i128, kind: &ResultKind) -> Option<Value> {
    match kind {
        ResultKind::Decimal { precision, scale } => {
            let narrow = *precision <= super::tree::NARROW_DIGITS;
            let fits = if narrow {
                i64::try_from(mantissa).is_ok()
            } else {
                mantissa.unsigned_abs() < 10_u128.pow(DECIMAL_DIGITS)
            };
            fits.then(|| Decimal::try_from_i128_with_scale(mantissa, *scale).ok()).flatten().map(Value::Decimal)
        }
        _ => i64::try_from(mantissa).ok().map(Value::Integer),
    }
}
