//! The tables, indexes and views of a schema's entities and sets. The store's own tables are made elsewhere.
//!
//! Uniqueness is never left to the engine: two branches may each save the same number in good faith, and both rows must
//! be able to stand here until the head office has decided.

mod readable;

use mytism_core::id::EntityId;
use mytism_core::schema::{Entity, Kind, Member, Schema};

use super::column::Form;
use super::names::{Names, quoted};
use crate::reshape::{Cast, Index, Named, Tables};
use readable::readable;

/// The statements that make the tables of a schema in an empty database, in order, with views and indexes.
#[must_use]
pub fn create_tables(schema: &Schema, names: &Names) -> Vec<String> {
    let mut statements = create_bare_tables(schema, names);
    statements.extend(create_indexes(schema, names));
    statements
}

/// The same without indexes.
#[must_use]
pub fn create_bare_tables(schema: &Schema, names: &Names) -> Vec<String> {
    let mut statements = Vec::new();
    for entity in schema.entities() {
        statements.extend(own_sets(entity).map(|set| set_table(set, names)));
        if !entity.is_abstract {
            let create = format!("CREATE TABLE {}", quoted(names.table(entity.id)));
            statements.push(entity_table(entity, names, &create));
        }
    }
    // Views name the tables of other entities, so they come last.
    statements.extend(schema.entities().filter_map(|entity| view(entity, schema, names)));
    statements
}

/// The statements that make the indexes of those tables. Rows may be there by then: an index that is made from many
/// rows at once costs less than one that each row is put into.
#[must_use]
pub fn create_indexes(schema: &Schema, names: &Names) -> Vec<String> {
    indexes(schema, names).into_iter().map(|index| index.sql).collect()
}

fn indexes(schema: &Schema, names: &Names) -> Vec<Index> {
    let mut indexes = Vec::new();
    for entity in schema.entities() {
        indexes.extend(own_sets(entity).map(|set| set_index(set, names)));
        if !entity.is_abstract {
            indexes.extend(entity.columns().filter(|member| is_indexed(member)).map(|m| index(entity, m, names)));
        }
    }
    indexes
}

/// The tables of this engine, for [`crate::reshape`].
pub(super) struct SqliteTables;

impl Tables for SqliteTables {
    fn table(&self, entity: &Entity, names: &Names) -> String {
        entity_table(entity, names, &format!("CREATE TABLE {}", quoted(names.table(entity.id))))
    }

    fn set(&self, set: &Member, names: &Names) -> String {
        set_table(set, names)
    }

    fn views(&self, of: Named<'_>) -> Vec<(String, String)> {
        let views = of
            .schema
            .entities()
            .filter_map(|entity| Some((of.names.view(entity.id), view(entity, of.schema, of.names)?)));
        views.collect()
    }

    fn indexes(&self, of: Named<'_>) -> Vec<Index> {
        indexes(of.schema, of.names)
    }

    fn cast(&self, from: &Kind, to: &Kind, _: &str) -> Cast {
        if Form::of(from) == Form::of(to) { Cast::Same } else { Cast::ByValue }
    }
}

/// The sets that an entity brings itself; those that it inherits have their tables already.
fn own_sets(entity: &Entity) -> impl Iterator<Item = &Member> {
    entity.sets().filter(|set| set.declared_in == entity.id)
}

/// Columns of bookkeeping that hold times, and those that hold other numbers.
const STAMPS: [(&str, [&str; 2]); 2] =
    [("_created_time", ["_created_user", "_created_node"]), ("_changed_time", ["_changed_user", "_changed_node"])];

/// The statement that makes a table for objects of an entity; `create` says what it is and how it is called.
pub(super) fn entity_table(entity: &Entity, names: &Names, create: &str) -> String {
    let mut columns = vec!["id INTEGER PRIMARY KEY".to_owned()];
    for (time, others) in STAMPS {
        columns.push(format!("{time} INTEGER"));
        columns.extend(others.map(|other| format!("{other} INTEGER")));
    }
    columns.push("_version INTEGER".to_owned());
    columns.push("_deleted INTEGER NOT NULL DEFAULT 0".to_owned());
    for member in entity.columns() {
        columns.push(format!("{} {}", quoted(names.column(member.id)), Form::of(&member.kind).sql_type()));
    }
    format!("{create} (\n  {}\n) STRICT", columns.join(",\n  "))
}

const fn is_indexed(member: &Member) -> bool {
    member.unique || member.indexed || matches!(member.kind, Kind::ToOne { .. })
}

/// Indexes share their space of names with tables, so theirs begin like those of internal ones.
fn index(entity: &Entity, member: &Member, names: &Names) -> Index {
    let table = names.table(entity.id).to_owned();
    let name = format!("mytism_index_{}_{}", entity.id, member.id);
    let sql = format!("CREATE INDEX {name} ON {} ({})", quoted(&table), quoted(names.column(member.id)));
    Index { name, table, sql }
}

fn set_table(set: &Member, names: &Names) -> String {
    format!(
        "CREATE TABLE {} (\n  owner INTEGER NOT NULL,\n  element INTEGER NOT NULL,\n  \
         PRIMARY KEY (owner, element)\n) STRICT, WITHOUT ROWID",
        quoted(names.set_table(set.id))
    )
}

fn set_index(set: &Member, names: &Names) -> Index {
    let table = names.set_table(set.id).to_owned();
    let name = format!("mytism_index_set_{}", set.id);
    let sql = format!("CREATE INDEX {name} ON {} (element, owner)", quoted(&table));
    Index { name, table, sql }
}

/// Everything of an entity and its sub-entities that is not deleted, in words; `None` where nothing can be in it.
fn view(entity: &Entity, schema: &Schema, names: &Names) -> Option<String> {
    let parts: Vec<String> = entity.concrete.iter().filter_map(|id| view_part(entity, *id, schema, names)).collect();
    if parts.is_empty() {
        return None;
    }
    Some(format!("CREATE VIEW {} AS\n{}", quoted(&names.view(entity.id)), parts.join("\nUNION ALL\n")))
}

fn view_part(entity: &Entity, concrete: EntityId, schema: &Schema, names: &Names) -> Option<String> {
    let name = schema.entity_by_id(concrete)?.name.replace('\'', "''");
    let mut columns = vec!["id".to_owned(), format!("'{name}' AS _entity")];
    for member in entity.columns() {
        let column = quoted(names.column(member.id));
        columns.push(format!("{} AS {column}", readable(&member.kind, &column)));
    }
    for (time, others) in STAMPS {
        columns.push(format!("{} AS {time}", readable(&Kind::Datetime, time)));
        columns.extend(others.map(str::to_owned));
    }
    columns.push("_version".to_owned());
    let table = quoted(names.table(concrete));
    Some(format!("SELECT {} FROM {table} WHERE _deleted = 0", columns.join(", ")))
}

#[cfg(test)]
mod tests;
