//! Other rows in the place of some rows of a view, for that view alone: how things were at another time.
//!
//! A view of the engine by the name of a table shows the table without the objects that are laid over, and what was laid
//! in their place. Names are looked for among temporary things first, so every statement reads through it, unaltered,
//! and conditions still reach the indexes of the table itself. Only what is laid over gets such a view. All of it is
//! temporary, in memory, and gone with the connection.

use std::collections::HashSet;

use mytism_core::change::Slot;
use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};

use super::Shared;
use super::column::to_sql;
use super::ddl::entity_table;
use super::names::quoted;
use super::statements::{META_COLUMNS, META_COUNT};
use super::write::meta_values;
use crate::{OtherObject, StoreError};

/// The objects that are laid over, with their entity where they are there.
const OBJECTS: &str = "
CREATE TEMP TABLE mytism_over(id INTEGER PRIMARY KEY, entity INTEGER);
CREATE TEMP VIEW mytism_object AS
    SELECT id, entity FROM main.mytism_object WHERE id NOT IN (SELECT id FROM temp.mytism_over)
    UNION ALL SELECT id, entity FROM temp.mytism_over WHERE entity IS NOT NULL;";

/// What of a schema has something laid over it so far.
#[derive(Default)]
pub(super) struct Overlay {
    entities: HashSet<EntityId>,
    sets: HashSet<AttributeId>,
    begun: bool,
}

impl Overlay {
    /// Lays an object over the one of its id.
    pub(super) fn lay(
        &mut self,
        connection: &Connection,
        shared: &Shared,
        object: &OtherObject,
    ) -> Result<(), StoreError> {
        if !self.begun {
            connection.execute_batch(OBJECTS)?;
            self.begun = true;
        }
        let entity = object.state.as_ref().map(|state| state.entity.0);
        let sql = "INSERT OR REPLACE INTO temp.mytism_over(id, entity) VALUES (?, ?)";
        connection.prepare_cached(sql)?.execute((object.id.get(), entity))?;
        self.over_entity(connection, shared, object.entity)?;
        match &object.state {
            Some(state) => row(connection, shared, state)?,
            None => self.absent(connection, shared, object)?,
        }
        for (relation, element, present) in &object.elements {
            self.element(connection, shared, *relation, (object.id, *element), *present)?;
        }
        Ok(())
    }

    fn over_entity(&mut self, connection: &Connection, shared: &Shared, entity: EntityId) -> Result<(), StoreError> {
        if !self.entities.insert(entity) {
            return Ok(());
        }
        let found = shared.schema.entity_by_id(entity).ok_or_else(|| unknown("entity", entity.0))?;
        let over = over_entity(entity);
        let columns = columns(shared, found.columns().map(|member| member.id));
        let table = quoted(shared.names.table(entity));
        connection.execute_batch(&format!(
            "{};
             CREATE TEMP VIEW {table} AS
                 SELECT {columns} FROM main.{table} WHERE id NOT IN (SELECT id FROM temp.mytism_over)
                 UNION ALL SELECT {columns} FROM temp.{over};",
            entity_table(found, &shared.names, &format!("CREATE TEMP TABLE {over}")),
        ))?;
        Ok(())
    }

    fn over_set(&mut self, connection: &Connection, shared: &Shared, relation: AttributeId) -> Result<(), StoreError> {
        if !self.sets.insert(relation) {
            return Ok(());
        }
        shared.statements.set(relation).ok_or_else(|| unknown("relation", relation.0))?;
        let (over, table) = (over_set(relation), quoted(shared.names.set_table(relation)));
        connection.execute_batch(&format!(
            "CREATE TEMP TABLE {over}(
                 owner INTEGER NOT NULL, element INTEGER NOT NULL, present INTEGER NOT NULL,
                 PRIMARY KEY (owner, element)) WITHOUT ROWID;
             CREATE INDEX temp.{over}_element ON {over}(element, owner);
             CREATE TEMP VIEW {table} AS
                 SELECT owner, element FROM main.{table} AS kept WHERE NOT EXISTS (
                     SELECT 1 FROM temp.{over} AS over WHERE over.owner = kept.owner AND over.element = kept.element)
                 UNION ALL SELECT owner, element FROM temp.{over} WHERE present = 1;",
        ))?;
        Ok(())
    }

    fn element(
        &mut self,
        connection: &Connection,
        shared: &Shared,
        relation: AttributeId,
        (owner, element): (ObjectId, ObjectId),
        present: bool,
    ) -> Result<(), StoreError> {
        self.over_set(connection, shared, relation)?;
        let sql =
            format!("INSERT OR REPLACE INTO temp.{}(owner, element, present) VALUES (?, ?, ?)", over_set(relation));
        connection.prepare_cached(&sql)?.execute((owner.get(), element.get(), present))?;
        Ok(())
    }

    /// An object that is not there has no row and no sets.
    fn absent(&mut self, connection: &Connection, shared: &Shared, object: &OtherObject) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM temp.{} WHERE id = ?", over_entity(object.entity));
        connection.prepare_cached(&sql)?.execute([object.id.get()])?;
        let sets = shared.statements.entity(object.entity).map_or(&[][..], |found| &found.sets);
        for relation in sets {
            if self.sets.contains(relation) {
                let sql = format!("UPDATE temp.{} SET present = 0 WHERE owner = ?", over_set(*relation));
                connection.prepare_cached(&sql)?.execute([object.id.get()])?;
            }
            let table = quoted(shared.names.set_table(*relation));
            let sql = format!("SELECT element FROM main.{table} WHERE owner = ?");
            let mut statement = connection.prepare_cached(&sql)?;
            let elements = statement.query_map([object.id.get()], |row| row.get::<_, i64>(0))?;
            for element in elements.collect::<Result<Vec<_>, _>>()?.into_iter().filter_map(ObjectId::new) {
                self.element(connection, shared, *relation, (object.id, element), false)?;
            }
        }
        Ok(())
    }
}

fn row(connection: &Connection, shared: &Shared, state: &ObjectState) -> Result<(), StoreError> {
    let statements = shared.statements.entity(state.entity).ok_or_else(|| unknown("entity", state.entity.0))?;
    let mut values = Vec::with_capacity(1 + META_COUNT + statements.columns.len());
    values.push(Sql::Integer(state.id.get()));
    values.extend(meta_values(&state.meta)?);
    for (attribute, kind) in &statements.columns {
        let slot = Slot::attribute(*attribute);
        let value = state.slots.iter().find(|(found, _)| *found == slot).map_or(&Value::Null, |(_, value)| value);
        values.push(to_sql(kind, value));
    }
    let places = vec!["?"; values.len()].join(", ");
    let columns = columns(shared, statements.columns.iter().map(|(attribute, _)| *attribute));
    let over = over_entity(state.entity);
    let sql = format!("INSERT OR REPLACE INTO temp.{over}({columns}) VALUES ({places})");
    connection.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    Ok(())
}

/// All columns of an entity's table.
fn columns(shared: &Shared, attributes: impl Iterator<Item = AttributeId>) -> String {
    let mut columns = format!("id, {META_COLUMNS}");
    for attribute in attributes {
        columns.push_str(", ");
        columns.push_str(&quoted(shared.names.column(attribute)));
    }
    columns
}

fn over_entity(entity: EntityId) -> String {
    format!("mytism_over_{entity}")
}

fn over_set(relation: AttributeId) -> String {
    format!("mytism_over_set_{relation}")
}

fn unknown(what: &str, id: u32) -> StoreError {
    StoreError::Engine(format!("the schema of this database knows no {what} #{id}"))
}

#[cfg(test)]
mod tests;
