//! The tables, indexes and views of a schema's entities and sets, in PostgreSQL's words. The store's own tables are made
//! elsewhere.
//!
//! Columns have types that other tools understand, so the views of entities only put words in the place of numbers.
//! Uniqueness is never left to the engine, as in the embedded one.

use mytism_core::id::EntityId;
use mytism_core::schema::{Entity, EnumWord, Kind, Member, Schema};

use super::column::column_type;
use crate::names::{Names, quoted};
use crate::reshape::{Cast, Index, Named, Tables};

/// The engine's indexes take values of about 2,700 bytes; of longer texts the first characters are indexed.
const INDEXED_CHARACTERS: u32 = 600;

/// The statements that make the tables and views of a schema in an empty database, in order, without indexes.
#[must_use]
pub fn create_bare_tables(schema: &Schema, names: &Names) -> Vec<String> {
    let mut statements = Vec::new();
    for entity in schema.entities() {
        statements.extend(own_sets(entity).map(|set| set_table(set, names)));
        if !entity.is_abstract {
            statements.push(entity_table(entity, names));
        }
    }
    // Views name the tables of other entities, so they come last.
    statements.extend(schema.entities().filter_map(|entity| view(entity, schema, names)));
    statements
}

/// The statements that make the indexes of those tables; rows may be there by then.
pub(super) fn create_indexes(schema: &Schema, names: &Names) -> Vec<String> {
    indexes(schema, names).into_iter().map(|index| index.sql).collect()
}

fn entity_table(entity: &Entity, names: &Names) -> String {
    format!(
        "CREATE TABLE {} (\n  {},\n  PRIMARY KEY (id)\n)",
        quoted(names.table(entity.id)),
        columns(entity, names).iter().map(column_definition).collect::<Vec<_>>().join(",\n  ")
    )
}

/// The tables of this engine, for [`crate::reshape`].
pub(super) struct PostgresTables;

impl Tables for PostgresTables {
    fn table(&self, entity: &Entity, names: &Names) -> String {
        entity_table(entity, names)
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

    fn cast(&self, from: &Kind, to: &Kind, column: &str) -> Cast {
        if column_type(from) == column_type(to) {
            return Cast::Same;
        }
        Cast::Expression(match to {
            // As [`Kind::adapt`] has it: what does not fit exactly has no place.
            Kind::Decimal { precision, scale } => {
                let beyond = format!("1{}", "0".repeat((precision - scale) as usize));
                format!(
                    "CASE WHEN abs({column}::numeric) < {beyond} AND {column}::numeric = round({column}::numeric, {scale}) \
                     THEN {column}::numeric({precision},{scale}) END"
                )
            }
            other => format!("NULL::{}", column_type(other)),
        })
    }
}

/// The indexes of those tables.
pub(super) fn indexes(schema: &Schema, names: &Names) -> Vec<Index> {
    let mut found = Vec::new();
    for entity in schema.entities() {
        for set in own_sets(entity) {
            let name = format!("mytism_index_set_{}", set.id);
            found.push(index(name, names.set_table(set.id), "element, owner"));
        }
        if entity.is_abstract {
            continue;
        }
        for member in entity.columns().filter(|member| is_indexed(member)) {
            let column = quoted(names.column(member.id));
            let key = if is_long(&member.kind) { beginning(&column) } else { column };
            found.push(index(format!("mytism_index_{}_{}", entity.id, member.id), names.table(entity.id), &key));
        }
    }
    found
}

fn index(name: String, table: &str, key: &str) -> Index {
    let sql = format!("CREATE INDEX {name} ON {} ({key})", quoted(table));
    Index { name, table: table.to_owned(), sql }
}

/// The sets that an entity brings itself; those that it inherits have their tables already.
pub(super) fn own_sets(entity: &Entity) -> impl Iterator<Item = &Member> {
    entity.sets().filter(|set| set.declared_in == entity.id)
}

/// The columns of an entity's table with their types, in quotation marks where they may need it.
pub(super) fn columns(entity: &Entity, names: &Names) -> Vec<(String, String)> {
    let plain = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
    let mut columns = vec![plain("id", "bigint")];
    for what in ["created", "changed"] {
        columns.push((format!("_{what}_time"), "timestamptz".to_owned()));
        columns.push((format!("_{what}_user"), "bigint".to_owned()));
        columns.push((format!("_{what}_node"), "bigint".to_owned()));
    }
    columns.push(plain("_version", "bigint"));
    columns.push(plain("_deleted", "boolean"));
    columns.extend(entity.columns().map(|member| (quoted(names.column(member.id)), column_type(&member.kind))));
    columns
}

fn column_definition((name, kind): &(String, String)) -> String {
    let is_needed = name == "id" || name == "_deleted";
    format!("{name} {kind}{}", if is_needed { " NOT NULL" } else { "" })
}

const fn is_indexed(member: &Member) -> bool {
    member.unique || member.indexed || matches!(member.kind, Kind::ToOne { .. })
}

/// Whether a value may be too long for an index.
const fn is_long(kind: &Kind) -> bool {
    match kind {
        Kind::String { max } => *max > INDEXED_CHARACTERS,
        Kind::Text | Kind::Json | Kind::Blob => true,
        _ => false,
    }
}

fn beginning(column: &str) -> String {
    format!("left({column}, {INDEXED_CHARACTERS})")
}

/// The condition that a column holds the value in a place, in a way that its index can serve.
pub(super) fn holds(kind: &Kind, column: &str, place: &str) -> String {
    if is_long(kind) {
        format!("{} = {} AND {column} = {place}", beginning(column), beginning(place))
    } else {
        format!("{column} = {place}")
    }
}

fn set_table(set: &Member, names: &Names) -> String {
    format!(
        "CREATE TABLE {} (\n  owner bigint NOT NULL,\n  element bigint NOT NULL,\n  PRIMARY KEY (owner, element)\n)",
        quoted(names.set_table(set.id))
    )
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
    let mut shown = vec!["id".to_owned(), format!("'{name}'::text AS _entity")];
    for member in entity.columns() {
        let column = quoted(names.column(member.id));
        shown.push(match &member.kind {
            Kind::Enum(words) if !words.is_empty() => format!("{} AS {column}", word(words, &column)),
            _ => column,
        });
    }
    for what in ["created", "changed"] {
        shown.extend(["time", "user", "node"].map(|part| format!("_{what}_{part}")));
    }
    shown.push("_version".to_owned());
    Some(format!("SELECT {} FROM {} WHERE NOT _deleted", shown.join(", "), quoted(names.table(concrete))))
}

fn word(words: &[EnumWord], column: &str) -> String {
    let one = |word: &EnumWord| format!(" WHEN {} THEN '{}'", word.id, word.name.replace('\'', "''"));
    format!("CASE {column}{} END", words.iter().map(one).collect::<String>())
}
