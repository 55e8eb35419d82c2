//! The statements for the tables of entities and sets, put together once from the schema.
//!
//! Rows go in many at a time: each place of an insert holds an array with the values of one column.

use std::collections::HashMap;

use mytism_core::id::{AttributeId, EntityId};
use mytism_core::schema::{Entity, Kind, Schema};

use super::column::bound_type;
use crate::names::{Names, quoted};

/// The columns of bookkeeping in each entity's table, in the order in which they are read and written.
pub(super) const META_COLUMNS: &str =
    "_created_time, _created_user, _created_node, _changed_time, _changed_user, _changed_node, _version, _deleted";
/// The types of those.
const META_TYPES: [&str; META_COUNT] =
    ["timestamptz", "bigint", "bigint", "timestamptz", "bigint", "bigint", "bigint", "boolean"];
/// How many those are.
pub(super) const META_COUNT: usize = 8;

pub(super) struct Statements {
    entities: HashMap<EntityId, EntityStatements>,
    sets: HashMap<AttributeId, SetStatements>,
}

pub(super) struct EntityStatements {
    /// Attributes in the order in which all statements have them.
    pub(super) columns: Vec<(AttributeId, Kind)>,
    /// Many-to-many relations that objects of the entity own.
    pub(super) sets: Vec<AttributeId>,
    /// Id, bookkeeping and columns of the objects in an array of ids.
    pub(super) select: String,
    /// The same of objects behind an id in their order, so many of them.
    pub(super) scan: String,
    /// New rows: id, bookkeeping, columns.
    pub(super) insert: String,
    pub(super) delete: String,
    pub(super) count: String,
    /// Ids behind one and up to another of rows whose objects are not noted.
    pub(super) unnoted: String,
}

pub(super) struct SetStatements {
    pub(super) has: String,
    pub(super) elements: String,
    /// Owners and elements, for owners in an array of ids.
    pub(super) scan: String,
    pub(super) insert: String,
    pub(super) delete: String,
    pub(super) delete_all: String,
}

impl Statements {
    pub(super) fn new(schema: &Schema, names: &Names) -> Self {
        let mut statements = Self { entities: HashMap::new(), sets: HashMap::new() };
        for entity in schema.entities() {
            for set in entity.sets().filter(|set| set.declared_in == entity.id) {
                statements.sets.insert(set.id, set_statements(&quoted(names.set_table(set.id))));
            }
            if !entity.is_abstract {
                statements.entities.insert(entity.id, entity_statements(entity, names));
            }
        }
        statements
    }

    pub(super) fn entity(&self, entity: EntityId) -> Option<&EntityStatements> {
        self.entities.get(&entity)
    }

    pub(super) fn entities(&self) -> impl Iterator<Item = &EntityStatements> {
        self.entities.values()
    }

    pub(super) fn sets(&self) -> impl Iterator<Item = &SetStatements> {
        self.sets.values()
    }

    pub(super) fn set(&self, relation: AttributeId) -> Option<&SetStatements> {
        self.sets.get(&relation)
    }
}

fn entity_statements(entity: &Entity, names: &Names) -> EntityStatements {
    let table = quoted(names.table(entity.id));
    let columns: Vec<_> = entity.columns().map(|member| (member.id, member.kind.clone())).collect();
    let list: String = columns.iter().map(|(id, _)| format!(", {}", quoted(names.column(*id)))).collect();
    let types = ["bigint"].into_iter().chain(META_TYPES).chain(columns.iter().map(|(_, kind)| bound_type(kind)));
    let insert = insert(&table, &format!("id, {META_COLUMNS}{list}"), types);
    EntityStatements {
        columns,
        sets: entity.sets().map(|set| set.id).collect(),
        select: format!("SELECT id, {META_COLUMNS}{list} FROM {table} WHERE id = ANY($1)"),
        scan: format!("SELECT id, {META_COLUMNS}{list} FROM {table} WHERE id > $1 ORDER BY id LIMIT $2"),
        insert,
        delete: format!("DELETE FROM {table} WHERE id = $1"),
        count: format!("SELECT count(*) FROM {table} WHERE NOT _deleted"),
        unnoted: format!(
            "SELECT id FROM {table} AS held WHERE id > $1 AND id <= $2
             AND NOT EXISTS (SELECT 1 FROM mytism_object WHERE mytism_object.id = held.id) ORDER BY id LIMIT $3"
        ),
    }
}

fn set_statements(table: &str) -> SetStatements {
    SetStatements {
        has: format!("SELECT 1::bigint FROM {table} WHERE owner = $1 AND element = $2"),
        elements: format!("SELECT element FROM {table} WHERE owner = $1 ORDER BY element"),
        scan: format!("SELECT owner, element FROM {table} WHERE owner = ANY($1) ORDER BY owner, element"),
        insert: format!("{} ON CONFLICT DO NOTHING", insert(table, "owner, element", ["bigint"; 2])),
        delete: format!("DELETE FROM {table} WHERE owner = $1 AND element = $2"),
        delete_all: format!("DELETE FROM {table} WHERE owner = $1"),
    }
}

/// The statement that puts rows into a table, with an array for each column.
pub(super) fn insert<'t>(table: &str, columns: &str, types: impl IntoIterator<Item = &'t str>) -> String {
    let arrays: Vec<String> = types.into_iter().zip(1..).map(|(kind, place)| format!("${place}::{kind}[]")).collect();
    format!("INSERT INTO {table}({columns}) SELECT * FROM unnest({})", arrays.join(", "))
}
