//! What a database holds, as another one can be compared with it, and whether its tables are those of the schema.

use std::collections::BTreeSet;

use mytism_core::id::Hash;
use mytism_format::hash;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::column::Stored;
use super::read::{get, unsigned};
use super::view::PostgresView;
use super::{ddl, tables};
use crate::StoreError;

/// Everything that is kept of an entry.
pub(super) const MARKS: &str =
    "SELECT l.number, l.epoch, l.hash, l.committed_at, l.node, l.incarnation, l.counter, l.entry, l.bytes,
            q.code, q.reason
     FROM mytism_log l LEFT JOIN mytism_quarantine q ON q.number = l.number
     WHERE l.number > $1 ORDER BY l.number LIMIT $2";

/// Damages that are told at most; each of them is reason enough.
const DAMAGES_MAX: usize = 20;

/// The number of an entry, and the digest of all that is kept of it: the same as in the embedded engine.
pub(super) fn mark(row: &Row) -> Result<(u64, Hash), StoreError> {
    let mut bytes = Vec::new();
    for (column, described) in row.columns().iter().enumerate() {
        let stored: Stored<'_> = get(row, column)?;
        let (kind, content): (u8, &[u8]) = match (stored.bytes(), described.type_()) {
            (None, _) => (0, &[]),
            (Some(number), &Type::INT8) => {
                bytes.push(1);
                bytes.extend_from_slice(number);
                continue;
            }
            (Some(text), &Type::TEXT) => (3, text),
            (Some(blob), _) => (4, blob),
        };
        bytes.push(kind);
        bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
        bytes.extend_from_slice(content);
    }
    Ok((unsigned(row)?, hash::chunk(&bytes)))
}

/// What is wrong with the tables, in words. All rows are read, so that the server finds what it cannot read.
pub(super) fn damages(view: &PostgresView) -> Result<Vec<String>, StoreError> {
    let mut found = foreign_tables(view)?;
    if found.is_empty() {
        let names = tables::NAMES.iter().map(|name| (*name).to_owned());
        let entities = wanted_columns(view).into_iter().map(|(table, ..)| table);
        for table in names.chain(entities).collect::<BTreeSet<_>>() {
            let sql = format!("SELECT count(one::text)::bigint FROM {} one", crate::names::quoted(&table));
            match view.rows(&sql, &[]) {
                Ok(_) => {}
                Err(StoreError::Damaged(said)) => {
                    found.push(format!("the table {table} cannot be read: {said}"));
                    // The server ends a transaction at the first error.
                    return Ok(found);
                }
                Err(other) => return Err(other),
            }
        }
    }
    found.truncate(DAMAGES_MAX);
    Ok(found)
}

/// The tables, columns, indexes and views that the schema wants and are not there as it wants them.
pub(super) fn foreign_tables(view: &PostgresView) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
               FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
               WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
                   AND NOT a.attisdropped";
    let mut there = BTreeSet::new();
    for row in view.rows(sql, &[])? {
        there.insert((get::<String>(&row, 0)?, get::<String>(&row, 1)?, get::<String>(&row, 2)?));
    }
    let lacking = |what: &str| format!("the database lacks what the schema wants: {what}");
    let mut told: Vec<String> = Vec::new();
    for (table, column, kind) in wanted_columns(view) {
        if !there.contains(&(table.clone(), column.clone(), kind.clone())) {
            told.push(lacking(&format!("column {column} {kind} of table {table}")));
        }
    }
    for name in tables::NAMES {
        if !there.iter().any(|(table, ..)| table == name) {
            told.push(lacking(&format!("table {name}")));
        }
    }
    let sql = "SELECT c.relname::text FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
               WHERE c.relnamespace = current_schema()::regnamespace
                   AND (c.relkind = 'v' OR (c.relkind = 'i' AND i.indisvalid))";
    let mut there = BTreeSet::new();
    for row in view.rows(sql, &[])? {
        there.insert(get::<String>(&row, 0)?);
    }
    let (schema, names) = (&view.shared.schema, &view.shared.names);
    let indexes = ddl::indexes(schema, names).into_iter().map(|index| index.name);
    let views = schema.entities().filter(|entity| !entity.concrete.is_empty()).map(|entity| names.view(entity.id));
    told.extend(indexes.chain(views).filter(|name| !there.contains(name)).map(|name| lacking(&name)));
    told.truncate(DAMAGES_MAX);
    Ok(told)
}

/// Table, column and type of all columns of entities and sets, as the engine tells them.
fn wanted_columns(view: &PostgresView) -> Vec<(String, String, String)> {
    let (schema, names) = (&view.shared.schema, &view.shared.names);
    let mut wanted = Vec::new();
    for entity in schema.entities() {
        for set in ddl::own_sets(entity) {
            for column in ["owner", "element"] {
                wanted.push((names.set_table(set.id).to_owned(), column.to_owned(), "bigint".to_owned()));
            }
        }
        if !entity.is_abstract {
            for (column, kind) in ddl::columns(entity, names) {
                let kind = match kind.as_str() {
                    "timestamptz" => "timestamp with time zone",
                    "time" => "time without time zone",
                    "double precision" => "double precision",
                    other => other.split(' ').next().unwrap_or(other),
                };
                wanted.push((names.table(entity.id).to_owned(), column.trim_matches('"').to_owned(), kind.to_owned()));
            }
        }
    }
    wanted
}
