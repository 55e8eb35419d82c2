//! A whole query in memory: what a database would answer, row for row. For engines that cannot say all of a query
//! themselves, and as the measure against which engines are tested.

use std::cmp::Ordering;

use super::call::compare;
use super::evaluate::{EvaluateError, Objects, aggregated, evaluate};
use super::tree::{Expr, Node, Query};
use crate::id::ObjectId;
use crate::value::Value;

/// The rows of a query over some objects, which are those of its entity that may be looked at, in the order of their ids.
/// Where whole objects are asked for, a row is the object alone. `limit` bounds the rows beside what the query says.
///
/// Everything that is found is held in memory at once.
///
/// # Errors
/// When an object cannot be read, or a sum is too large.
pub fn execute<O: Objects>(
    query: &Query,
    candidates: impl IntoIterator<Item = ObjectId>,
    limit: Option<u64>,
    objects: &O,
) -> Result<Vec<Vec<Value>>, EvaluateError<O::Error>> {
    let mut found = Vec::new();
    for object in candidates {
        let is_found = match &query.filter {
            Some(filter) => evaluate(filter, object, objects)? == Value::Bool(true),
            None => true,
        };
        if is_found {
            found.push(object);
        }
    }
    let mut rows = if query.is_grouped() { grouped(query, &found, objects)? } else { plain(query, &found, objects)? };
    rows.sort_by(|one, other| order(query, one, other));
    let most = query.limit.into_iter().chain(limit).min().unwrap_or(u64::MAX);
    let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Ok(rows.into_iter().skip(size(query.offset)).take(size(most)).map(|row| row.values).collect())
}

/// A row with what it is ordered by.
struct Row {
    values: Vec<Value>,
    keys: Vec<Value>,
    /// What makes the order complete.
    last: Vec<Value>,
}

fn order(query: &Query, one: &Row, other: &Row) -> Ordering {
    let asked = query.order.iter().zip(one.keys.iter().zip(&other.keys)).map(|(key, (a, b))| {
        let order = null_last(a, b);
        if key.descending { order.reverse() } else { order }
    });
    let last = one.last.iter().zip(&other.last).map(|(a, b)| null_last(a, b));
    asked.chain(last).find(|order| *order != Ordering::Equal).unwrap_or(Ordering::Equal)
}

fn null_last(a: &Value, b: &Value) -> Ordering {
    compare(a, b).or_else(|| a.order(b)).unwrap_or_else(|| a.to_string().cmp(&b.to_string()))
}

fn plain<O: Objects>(query: &Query, found: &[ObjectId], objects: &O) -> Result<Vec<Row>, EvaluateError<O::Error>> {
    let row = |object: &ObjectId| {
        let values = match &query.select {
            None => vec![Value::Reference(*object)],
            Some(items) => items.iter().map(|item| evaluate(&item.expr, *object, objects)).collect::<Result<_, _>>()?,
        };
        let keys = query.order.iter().map(|key| evaluate(&key.expr, *object, objects)).collect::<Result<_, _>>()?;
        Ok(Row { values, keys, last: vec![Value::Reference(*object)] })
    };
    found.iter().map(row).collect()
}

/// Objects with the same values, which they have in common.
struct Group {
    keys: Vec<Value>,
    members: Vec<ObjectId>,
}

fn grouped<O: Objects>(query: &Query, found: &[ObjectId], objects: &O) -> Result<Vec<Row>, EvaluateError<O::Error>> {
    let mut groups: Vec<Group> = Vec::new();
    if query.group.is_empty() {
        groups.push(Group { keys: Vec::new(), members: found.to_vec() });
    } else {
        let mut keyed = Vec::new();
        for object in found {
            let keys: Vec<Value> =
                query.group.iter().map(|expr| evaluate(expr, *object, objects)).collect::<Result<_, _>>()?;
            keyed.push((keys, *object));
        }
        let order = |a: &[Value], b: &[Value]| {
            a.iter().zip(b).map(|(a, b)| null_last(a, b)).find(|order| *order != Ordering::Equal)
        };
        keyed.sort_by(|(a, _), (b, _)| order(a, b).unwrap_or(Ordering::Equal));
        for (keys, object) in keyed {
            match groups.last_mut() {
                Some(group) if order(&group.keys, &keys).is_none() => group.members.push(object),
                _ => groups.push(Group { keys, members: vec![object] }),
            }
        }
    }
    let row = |group: Group| {
        let of = |expr: &Expr| of_group(query, expr, &group, objects);
        let values = query.select.iter().flatten().map(|item| of(&item.expr)).collect::<Result<_, _>>()?;
        let keys = query.order.iter().map(|key| of(&key.expr)).collect::<Result<_, _>>()?;
        Ok(Row { values, keys, last: group.keys })
    };
    groups.into_iter().map(row).collect()
}

/// The value of an expression for a group: what it is grouped by, aggregates, and what is computed from these.
fn of_group<O: Objects>(
    query: &Query,
    expr: &Expr,
    group: &Group,
    objects: &O,
) -> Result<Value, EvaluateError<O::Error>> {
    evaluate_settled(&settled(query, expr, group, objects)?, group, objects)
}

/// The expression with values in the place of all that belongs to the group.
fn settled<O: Objects>(
    query: &Query,
    expr: &Expr,
    group: &Group,
    objects: &O,
) -> Result<Expr, EvaluateError<O::Error>> {
    let known = query.group.iter().position(|known| known.node == expr.node);
    if let Some(value) = known.and_then(|at| group.keys.get(at)) {
        return Ok(Expr { node: Node::Value(value.clone()), kind: expr.kind.clone() });
    }
    if let Node::Aggregate { function, argument } = &expr.node {
        let values: Vec<Value> = match argument {
            None => vec![Value::Bool(true); group.members.len()],
            Some(argument) => {
                let each = group.members.iter().map(|object| evaluate(argument, *object, objects));
                each.collect::<Result<_, _>>()?
            }
        };
        let value = aggregated(*function, &values, &expr.kind).ok_or(EvaluateError::SumOverflow)?;
        return Ok(Expr { node: Node::Value(value), kind: expr.kind.clone() });
    }
    let mut settled_expr = expr.clone();
    for part in settled_expr.parts_mut() {
        *part = settled(query, part, group, objects)?;
    }
    Ok(settled_expr)
}

/// Nothing in it depends on an object any more.
fn evaluate_settled<O: Objects>(expr: &Expr, group: &Group, objects: &O) -> Result<Value, EvaluateError<O::Error>> {
    if let Node::Value(value) = &expr.node {
        return Ok(value.clone());
    }
    match group.members.first() {
        Some(any) => evaluate(expr, *any, objects),
        None => evaluate(expr, ObjectId::system(1), objects),
    }
}
