//! Other rows in the place of some rows of a view, for that view alone: how things were at another time.
//!
//! A temporary view by the name of a table shows the table without the objects that are laid over, and what was laid in
//! their place. The engine looks for names among temporary things first, so every statement that is prepared from then
//! on reads through it. All of it is gone with the transaction, and the connection is not used again.

use std::collections::HashSet;

use mytism_core::id::{AttributeId, EntityId, ObjectId};

use super::column::Sql;
use super::statements::META_COLUMNS;
use super::steps::{object_values, unknown};
use super::view::PostgresView;
use super::{column, ddl};
use crate::names::quoted;
use crate::{OtherObject, StoreError};

/// What of a schema has something laid over it so far.
#[derive(Default)]
pub(super) struct Overlay {
    /// The schema of the engine that the tables stand in, in quotation marks.
    home: String,
    entities: HashSet<EntityId>,
    sets: HashSet<AttributeId>,
}

impl Overlay {
    /// Lays an object over the one of its id.
    pub(super) fn lay(&mut self, view: &PostgresView, object: &OtherObject) -> Result<(), StoreError> {
        self.begin(view)?;
        let id = object.id.get();
        let entity = object.state.as_ref().map(|state| i64::from(state.entity.0));
        let sql = "INSERT INTO pg_temp.mytism_over(id, entity) VALUES ($1, $2)
                   ON CONFLICT (id) DO UPDATE SET entity = excluded.entity";
        view.rows(sql, &[&id, &entity])?;
        self.over_entity(view, object.entity)?;
        match &object.state {
            Some(state) => {
                let statements = view.shared.statements.entity(state.entity);
                let statements = statements.ok_or_else(|| unknown("entity", state.entity.0))?;
                let kinds = ["bigint", "timestamptz", "bigint", "bigint", "timestamptz", "bigint", "bigint", "bigint"];
                let kinds = kinds.into_iter().chain(["boolean"]);
                let kinds = kinds.chain(statements.columns.iter().map(|(_, kind)| column::bound_type(kind)));
                let places: Vec<String> = kinds.zip(1..).map(|(kind, place)| format!("${place}::{kind}")).collect();
                let columns = columns(view, statements.columns.iter().map(|(attribute, _)| *attribute));
                let over = over_entity(state.entity);
                view.rows(&format!("DELETE FROM pg_temp.{over} WHERE id = $1"), &[&id])?;
                let values = object_values(statements, state)?;
                let values: Vec<_> =
                    values.iter().map(|value| value as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
                let places = places.join(", ");
                view.rows(&format!("INSERT INTO pg_temp.{over}({columns}) VALUES ({places})"), &values)?;
            }
            None => self.absent(view, object)?,
        }
        for (relation, element, present) in &object.elements {
            self.element(view, *relation, (object.id, *element), *present)?;
        }
        Ok(())
    }

    fn begin(&mut self, view: &PostgresView) -> Result<(), StoreError> {
        if self.home.is_empty() {
            let rows = view.rows("SELECT quote_ident(current_schema())", &[])?;
            let home: String = rows.first().map_or(Ok("public".to_owned()), |row| super::read::get(row, 0))?;
            self.make(
                view,
                &format!(
                    "CREATE TEMP TABLE mytism_over(id bigint PRIMARY KEY, entity bigint);
                     CREATE TEMP VIEW mytism_object AS
                         SELECT id, entity FROM {home}.mytism_object
                             WHERE id NOT IN (SELECT id FROM pg_temp.mytism_over)
                         UNION ALL SELECT id, entity FROM pg_temp.mytism_over WHERE entity IS NOT NULL;"
                ),
            )?;
            self.home = home;
        }
        Ok(())
    }

    /// Makes temporary things. What was prepared before still reads the tables themselves, so it is prepared anew.
    fn make(&self, view: &PostgresView, sql: &str) -> Result<(), StoreError> {
        let session = view.session()?;
        view.shared.engine.wait(session.client.batch_execute(sql))?;
        session.forget_statements();
        Ok(())
    }

    fn over_entity(&mut self, view: &PostgresView, entity: EntityId) -> Result<(), StoreError> {
        if self.entities.contains(&entity) {
            return Ok(());
        }
        let found = view.shared.schema.entity_by_id(entity).ok_or_else(|| unknown("entity", entity.0))?;
        let (over, home) = (over_entity(entity), &self.home);
        let columns = columns(view, found.columns().map(|member| member.id));
        let table = quoted(view.shared.names.table(entity));
        let defined: Vec<String> = ddl::columns(found, &view.shared.names)
            .into_iter()
            .map(|(name, kind)| format!("{name} {kind}{}", if name == "id" { " PRIMARY KEY" } else { "" }))
            .collect();
        let defined = defined.join(", ");
        self.make(
            view,
            &format!(
                "CREATE TEMP TABLE {over}({defined});
                 CREATE TEMP VIEW {table} AS
                     SELECT {columns} FROM {home}.{table} WHERE id NOT IN (SELECT id FROM pg_temp.mytism_over)
                     UNION ALL SELECT {columns} FROM pg_temp.{over};"
            ),
        )?;
        self.entities.insert(entity);
        Ok(())
    }

    fn over_set(&mut self, view: &PostgresView, relation: AttributeId) -> Result<(), StoreError> {
        if self.sets.contains(&relation) {
            return Ok(());
        }
        view.shared.statements.set(relation).ok_or_else(|| unknown("relation", relation.0))?;
        let (over, table, home) = (over_set(relation), quoted(view.shared.names.set_table(relation)), &self.home);
        self.make(
            view,
            &format!(
                "CREATE TEMP TABLE {over}(
                     owner bigint NOT NULL, element bigint NOT NULL, present boolean NOT NULL,
                     PRIMARY KEY (owner, element));
                 CREATE INDEX ON {over}(element, owner);
                 CREATE TEMP VIEW {table} AS
                     SELECT owner, element FROM {home}.{table} AS kept WHERE NOT EXISTS (
                         SELECT 1 FROM pg_temp.{over} AS laid
                         WHERE laid.owner = kept.owner AND laid.element = kept.element)
                     UNION ALL SELECT owner, element FROM pg_temp.{over} WHERE present;"
            ),
        )?;
        self.sets.insert(relation);
        Ok(())
    }

    fn element(
        &mut self,
        view: &PostgresView,
        relation: AttributeId,
        (owner, element): (ObjectId, ObjectId),
        present: bool,
    ) -> Result<(), StoreError> {
        self.over_set(view, relation)?;
        let sql = format!(
            "INSERT INTO pg_temp.{}(owner, element, present) VALUES ($1, $2, $3)
             ON CONFLICT (owner, element) DO UPDATE SET present = excluded.present",
            over_set(relation)
        );
        view.rows(&sql, &[&owner.get(), &element.get(), &Sql::Bool(present)])?;
        Ok(())
    }

    /// An object that is not there has no row and no sets.
    fn absent(&mut self, view: &PostgresView, object: &OtherObject) -> Result<(), StoreError> {
        let id = object.id.get();
        view.rows(&format!("DELETE FROM pg_temp.{} WHERE id = $1", over_entity(object.entity)), &[&id])?;
        let sets = view.shared.statements.entity(object.entity).map_or(&[][..], |found| &found.sets);
        for relation in sets {
            self.over_set(view, *relation)?;
            let table = quoted(view.shared.names.set_table(*relation));
            let sql = format!(
                "INSERT INTO pg_temp.{}(owner, element, present)
                     SELECT owner, element, false FROM {}.{table} WHERE owner = $1
                 ON CONFLICT (owner, element) DO UPDATE SET present = false",
                over_set(*relation),
                self.home
            );
            view.rows(&sql, &[&id])?;
            let sql = format!("UPDATE pg_temp.{} SET present = false WHERE owner = $1", over_set(*relation));
            view.rows(&sql, &[&id])?;
        }
        Ok(())
    }
}

/// All columns of an entity's table.
fn columns(view: &PostgresView, attributes: impl Iterator<Item = AttributeId>) -> String {
    let mut columns = format!("id, {META_COLUMNS}");
    for attribute in attributes {
        columns.push_str(", ");
        columns.push_str(&quoted(view.shared.names.column(attribute)));
    }
    columns
}

fn over_entity(entity: EntityId) -> String {
    format!("mytism_over_{entity}")
}

fn over_set(relation: AttributeId) -> String {
    format!("mytism_over_set_{relation}")
}
