//! The tables of one schema made those of another, within the transaction of a batch.

use mytism_core::schema::Schema;

use super::Shared;
use super::column::to_sql;
use super::ddl::PostgresTables;
use super::opening::SCHEMA_KEY;
use super::session::Session;
use crate::StoreError;
use crate::names::quoted;
use crate::reshape::{Named, Task, tasks};

/// How long the tables may be waited for: whoever reads them has ended by then, or must be asked to.
const WAIT: &str = "SET LOCAL lock_timeout = '10s'";

/// What leads from one schema to another.
pub(super) struct Reshape<'s> {
    tasks: Vec<Task<'s>>,
    definition: Vec<u8>,
}

impl<'s> Reshape<'s> {
    pub(super) fn new(old: &'s Shared, new: &'s Shared, number: u64) -> Result<Self, StoreError> {
        let schema: &Schema = &new.schema;
        let was = Named { schema: &old.schema, names: &old.names };
        let tasks = tasks(&PostgresTables, was, Named { schema, names: &new.names }, number);
        Ok(Self { tasks, definition: mytism_format::schema::write(schema.def())? })
    }

    /// Makes the tables, and notes the schema.
    pub(super) async fn carry_out(&self, session: &Session) -> Result<(), StoreError> {
        session.client.batch_execute(WAIT).await?;
        for task in &self.tasks {
            match task {
                Task::Run(sql) => session.client.batch_execute(sql).await?,
                Task::Fill { table, column, kind, value } => {
                    let sql = format!("UPDATE {} SET {} = $1", quoted(table), quoted(column));
                    session.client.execute(&sql, &[&to_sql(kind, value)]).await?;
                }
                Task::Adapt { table, into, .. } => {
                    return Err(StoreError::Engine(format!("nothing adapts {into} of {table} value by value here")));
                }
            }
        }
        let sql = "UPDATE mytism_meta SET value = $1 WHERE key = $2";
        session.client.execute(sql, &[&self.definition, &SCHEMA_KEY]).await?;
        Ok(())
    }
}
