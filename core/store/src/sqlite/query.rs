//! A typed query as one statement of the engine. Values are always bound, never part of the text; what stands in the
//! text comes from the schema.
//!
//! What the engine does otherwise than the language asks for is done by functions of our own: patterns, sums of wide
//! decimals, comparison of numbers of different scales.

mod expression;
mod functions;
mod tables;

use mytism_core::query::{Node, PathEnd, Query, ResultKind, SelectItem};
use mytism_core::schema::Schema;
use rusqlite::types::Value as SqlValue;

use super::names::Names;
use crate::QueryOptions;
use expression::Writer;
use tables::{BASE, Tables};

pub use functions::register_functions;

/// A statement, ready to be prepared on a connection with [`register_functions`].
#[derive(Clone, PartialEq, Debug)]
pub struct CompiledQuery {
    /// The text, with `?1` and so on for values.
    pub sql: String,
    /// The values.
    pub params: Vec<SqlValue>,
    /// Names and kinds of the columns; empty for whole objects, where each row is the id of an object and that of its
    /// entity. [`super::column::from_result`] reads them.
    pub columns: Vec<(String, ResultKind)>,
}

/// The statement of a query over the tables of a schema, which must be the one that the query was checked against.
#[must_use]
pub fn compile(query: &Query, schema: &Schema, names: &Names, options: QueryOptions) -> CompiledQuery {
    let mut writer = Writer::new(Tables::new(query.entity, schema, names, options.deleted));
    let grouped = query.is_grouped();
    let select = match &query.select {
        None => format!("{BASE}.id, {}", writer.tables.entity()),
        Some(items) => list(items, |item| writer.key(&item.expr)),
    };
    let filter = query.filter.as_ref().map(|filter| writer.sql(filter));
    let group: Vec<String> = query.group.iter().map(|expr| writer.key(expr)).collect();
    let order = order(query, &mut writer, &group, grouped);

    let mut sql = format!("SELECT {select} FROM {}", writer.tables.from());
    let conditions: Vec<String> = writer.tables.condition().into_iter().chain(filter).collect();
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
    CompiledQuery { sql, params: writer.params, columns }
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
        keys.push(format!("{BASE}.id"));
    }
    keys
}

fn is_id(node: &Node) -> bool {
    matches!(node, Node::Path(path) if path.end == PathEnd::Object)
}

fn bounds(query: &Query, writer: &mut Writer<'_>, limit: Option<u64>) -> String {
    let limit = query.limit.into_iter().chain(limit).min();
    // The engine counts in 63 bits; more rows than that there are not.
    let number = |count: u64| SqlValue::Integer(i64::try_from(count).unwrap_or(i64::MAX));
    let limit = limit.map(|limit| writer.bind(number(limit)));
    match (limit, query.offset) {
        (None, 0) => String::new(),
        (Some(limit), 0) => format!(" LIMIT {limit}"),
        (limit, offset) => {
            let offset = writer.bind(number(offset));
            format!(" LIMIT {} OFFSET {offset}", limit.as_deref().unwrap_or("-1"))
        }
    }
}

#[cfg(test)]
mod tests;
