//! The statements for the tables of entities and sets, put together once from the schema.

use std::collections::HashMap;

use mytism_core::id::{AttributeId, EntityId};
use mytism_core::schema::{Kind, Schema};

use super::names::{Names, quoted};

/// The columns of bookkeeping in each entity's table, in the order in which they are read and written.
pub(super) const META_COLUMNS: &str =
    "_created_time, _created_user, _created_node, _changed_time, _changed_user, _changed_node, _version, _deleted";
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
    /// Bookkeeping and columns of one object.
    pub(super) select: String,
    /// The same and the id, of objects behind an id in their order.
    pub(super) scan: String,
    /// A new row: id, bookkeeping, columns.
    pub(super) insert: String,
    pub(super) delete: String,
    pub(super) count: String,
    /// Ids behind one and up to another of rows whose objects are not noted.
    pub(super) unnoted: String,
}

pub(super) struct SetStatements {
    pub(super) has: String,
    pub(super) elements: String,
    /// Owners and elements, for owners behind an id and up to another.
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

fn entity_statements(entity: &mytism_core::schema::Entity, names: &Names) -> EntityStatements {
    let table = quoted(names.table(entity.id));
    let columns: Vec<_> = entity.columns().map(|member| (member.id, member.kind.clone())).collect();
    let list: String = columns.iter().map(|(id, _)| format!(", {}", quoted(names.column(*id)))).collect();
    let places = vec!["?"; 1 + META_COUNT + columns.len()].join(", ");
    EntityStatements {
        columns,
        sets: entity.sets().map(|set| set.id).collect(),
        select: format!("SELECT {META_COLUMNS}{list} FROM {table} WHERE id = ?"),
        scan: format!("SELECT {META_COLUMNS}{list}, id FROM {table} WHERE id > ? ORDER BY id"),
        insert: format!("INSERT INTO {table}(id, {META_COLUMNS}{list}) VALUES ({places})"),
        delete: format!("DELETE FROM {table} WHERE id = ?"),
        count: format!("SELECT count(*) FROM {table} WHERE _deleted = 0"),
        unnoted: format!(
            "SELECT id FROM {table} AS held WHERE id > ? AND id <= ?
             AND NOT EXISTS (SELECT 1 FROM mytism_object WHERE mytism_object.id = held.id) ORDER BY id"
        ),
    }
}

fn set_statements(table: &str) -> SetStatements {
    SetStatements {
        has: format!("SELECT 1 FROM {table} WHERE owner = ? AND element = ?"),
        elements: format!("SELECT element FROM {table} WHERE owner = ? ORDER BY element"),
        scan: format!("SELECT owner, element FROM {table} WHERE owner > ? AND owner <= ? ORDER BY owner, element"),
        insert: format!("INSERT OR IGNORE INTO {table}(owner, element) VALUES (?, ?)"),
        delete: format!("DELETE FROM {table} WHERE owner = ? AND element = ?"),
        delete_all: format!("DELETE FROM {table} WHERE owner = ?"),
    }
}
