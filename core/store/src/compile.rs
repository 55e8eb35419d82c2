//! A typed query as one statement of an engine. Values are always bound, never part of the text; what stands in the text
//! comes from the schema.
//!
//! There is one compiler for all engines: what they write otherwise stands in a [`Dialect`], and how a value is stored is
//! the business of who binds it. Knows no engine itself.

mod dialect;
mod expression;
pub mod postgres;
mod tables;

use mytism_core::id::{AttributeId, EntityId};
use mytism_core::query::{Node, PathEnd, Query, ResultKind, SelectItem};
use mytism_core::schema::Schema;
use mytism_core::value::Value;

use crate::QueryOptions;
use crate::names::Names;
pub use dialect::{Dialect, Sql};
use expression::Writer;
use tables::Tables;

/// A statement of one engine.
#[derive(Clone, PartialEq, Debug)]
pub struct Compiled {
    /// The text, with places for the values.
    pub sql: String,
    /// The values in the order of their places, which count from 1.
    pub params: Vec<Parameter>,
    /// Names and kinds of the columns; empty for whole objects, where each row is the id of an object and that of its
    /// entity.
    pub columns: Vec<(String, ResultKind)>,
}

/// A value to be bound.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameter {
    /// The value, or nothing.
    pub value: Value,
    /// What decides on the form in which it is bound.
    pub kind: ResultKind,
}

/// The statement of a query over the tables of a schema, which must be the one that the query was checked against.
#[must_use]
pub fn compile(
    query: &Query,
    schema: &Schema,
    names: &Names,
    options: QueryOptions,
    dialect: &dyn Dialect,
) -> Compiled {
    let mut writer = Writer::new(Tables::new(query.entity, schema, names, options.deleted, dialect), dialect);
    let grouped = query.is_grouped();
    let select = match &query.select {
        None => format!("{}, {}", writer.tables.id(0), writer.tables.entity(0)),
        Some(items) => list(items, |item| writer.key(&item.expr)),
    };
    let filter = query.filter.as_ref().map(|filter| writer.sql(filter));
    let group: Vec<String> = query.group.iter().map(|expr| writer.key(expr)).collect();
    let order = order(query, &mut writer, &group, grouped);

    let (from, alive) = writer.tables.leave();
    let mut sql = format!("SELECT {select} FROM {from}");
    let conditions: Vec<String> = alive.into_iter().chain(filter).collect();
    for (word, parts, between) in
        [(" WHERE ", conditions, " AND "), (" GROUP BY ", group, ", "), (" ORDER BY ", order, ", ")]
    {
        if !parts.is_empty() {
            sql.push_str(word);
            sql.push_str(&parts.join(between));
        }
    }
    sql.push_str(&bounds(query, &mut writer, options.limit));
    let columns = query.select.iter().flatten().map(|item| (item.name.clone(), item.expr.kind.clone())).collect();
    Compiled { sql, params: writer.params, columns }
}

fn list(items: &[SelectItem], one: impl FnMut(&SelectItem) -> String) -> String {
    items.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The keys of the order, with what makes it complete at the end: the id, or the groups.
fn order(query: &Query, writer: &mut Writer<'_>, group: &[String], grouped: bool) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    let mut known: Vec<String> = Vec::new();
    for key in &query.order {
        let sql = writer.key(&key.expr);
        let nulls = match (writer.can_be_null(&key.expr), key.descending) {
            // Saying it where it changes nothing would keep the engine from using an index.
            (false, false) => "",
            (false, true) => " DESC",
            (true, false) => " NULLS LAST",
            (true, true) => " DESC NULLS FIRST",
        };
        keys.push(format!("{sql}{nulls}"));
        known.push(sql);
    }
    if grouped {
        keys.extend(group.iter().filter(|sql| !known.contains(sql)).map(|sql| format!("{sql} NULLS LAST")));
    } else if !query.order.iter().any(|key| is_id(&key.expr.node)) {
        keys.push(writer.tables.id(0));
    }
    keys
}

fn is_id(node: &Node) -> bool {
    matches!(node, Node::Path(path) if path.scope == 0 && path.end == PathEnd::Object)
}

fn bounds(query: &Query, writer: &mut Writer<'_>, limit: Option<u64>) -> String {
    let limit = query.limit.into_iter().chain(limit).min();
    // Engines count in 63 bits; more rows than that there are not.
    let number = |count: u64| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
    let limit = limit.map(|limit| writer.bind(number(limit), &ResultKind::Integer));
    match (limit, query.offset) {
        (None, 0) => String::new(),
        (Some(limit), 0) => format!(" LIMIT {limit}"),
        (Some(limit), offset) => {
            format!(" LIMIT {limit} OFFSET {}", writer.bind(number(offset), &ResultKind::Integer))
        }
        (None, offset) => {
            let none = writer.dialect.no_limit();
            format!("{none} OFFSET {}", writer.bind(number(offset), &ResultKind::Integer))
        }
    }
}

/// The indexes that the lines of a plan name, in order and each once: those of attributes with the attribute.
pub(crate) fn used_indexes(plan: &[String], schema: &Schema) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in plan {
        let is_primary = line.contains("PRIMARY KEY") || line.contains("_pkey");
        let words = line.split(|sign: char| !(sign.is_alphanumeric() || sign == '_'));
        let own = words.filter(|word| word.starts_with("mytism_index_"));
        for name in own.map(|name| shown_index(name, schema)).chain(is_primary.then(|| "id".to_owned())) {
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    found
}

/// `mytism_index_13_134 (Order.Total)`.
fn shown_index(name: &str, schema: &Schema) -> String {
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok());
    let mut parts = name.trim_start_matches("mytism_index_").split('_');
    let (first, second) = (parts.next(), parts.next());
    let entity = number(first).and_then(|id| schema.entity_by_id(EntityId(id)));
    let member = number(second).and_then(|id| schema.member_by_id(AttributeId(id)));
    match (entity, member) {
        (Some(entity), Some((_, member))) => format!("{name} ({}.{})", entity.name, member.name),
        (None, Some((entity, member))) => format!("{name} ({}.{})", entity.name, member.name),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
