//! The tables of one schema made those of another, within the transaction of a batch.

use std::sync::Arc;

use mytism_core::schema::{Kind, Schema};
use rusqlite::Connection;

use super::column::{from_sql, to_sql};
use super::ddl::SqliteTables;
use super::names::{Names, quoted};
use super::{SCHEMA_KEY, Shared};
use crate::StoreError;
use crate::reshape::{Named, Task, tasks};

/// Makes them, and notes the schema.
pub(super) fn reshape(
    connection: &Connection,
    shared: &Shared,
    schema: &Arc<Schema>,
    number: u64,
) -> Result<(), StoreError> {
    let names = Names::new(schema);
    let (old, new) = (Named { schema: &shared.schema, names: &shared.names }, Named { schema, names: &names });
    for task in tasks(&SqliteTables, old, new, number) {
        match task {
            Task::Run(sql) => connection.execute_batch(&sql)?,
            Task::Fill { table, column, kind, value } => {
                let sql = format!("UPDATE {} SET {} = ?", quoted(table), quoted(column));
                connection.execute(&sql, [to_sql(kind, value)])?;
            }
            Task::Adapt { from, column, was, table, into, kind } => {
                adapt(connection, (&from, column, was), (table, into, kind))?;
            }
        }
    }
    let definition = mytism_format::schema::write(schema.def())?;
    connection.execute("UPDATE mytism_meta SET value = ? WHERE key = ?", (definition, SCHEMA_KEY))?;
    Ok(())
}

/// Gives a column the values of another one. What has no place there is nothing: the head office has seen to it that
/// there is none, and what is merely pending here is laid on top again.
fn adapt(
    connection: &Connection,
    (from, column, was): (&str, &str, &Kind),
    (table, into, kind): (&str, &str, &Kind),
) -> Result<(), StoreError> {
    let column = quoted(column);
    let mut read = connection.prepare(&format!("SELECT id, {column} FROM {from} WHERE {column} IS NOT NULL"))?;
    let mut write = connection.prepare(&format!("UPDATE {} SET {} = ? WHERE id = ?", quoted(table), quoted(into)))?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let value = from_sql(was, row.get_ref(1)?)?;
        if let Some(value) = kind.adapt(value) {
            write.execute((to_sql(kind, &value), row.get::<_, i64>(0)?))?;
        }
    }
    Ok(())
}
