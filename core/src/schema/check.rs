//! From a definition as written to a schema that holds: all problems at once, each with the place where it stands.
//!
//! Nothing here knows files: a problem names the place in the definition, and whoever read the definition from a file
//! knows line and column. The steps, one module each: [`outline`] finds out who is who and who inherits from whom,
//! [`member`] what each attribute and relation holds, and this module puts the parts together.

mod entity;
mod member;
mod name;
mod outline;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use super::{Entity, Schema, SchemaDef};
use crate::failure::readable;
use crate::id::{AttributeId, EntityId};
use outline::Outline;

/// Where in a [`SchemaDef`] a problem stands, so that a reader of files can name line and column.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DefPath {
    /// Index of the entity.
    pub entity: Option<usize>,
    /// Index of its member.
    pub member: Option<usize>,
    /// Name of the XML attribute that holds the wrong word, where it is one: `target`, `extends`, `key` …
    pub field: Option<&'static str>,
}

impl DefPath {
    /// An entity as a whole.
    #[must_use]
    pub const fn of_entity(entity: usize) -> Self {
        Self { entity: Some(entity), member: None, field: None }
    }

    /// A member as a whole.
    #[must_use]
    pub const fn of_member(entity: usize, member: usize) -> Self {
        Self { entity: Some(entity), member: Some(member), field: None }
    }

    /// One XML attribute of this entity or member.
    #[must_use]
    pub const fn field(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }
}

/// One thing that is wrong with a definition.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SchemaProblem {
    /// Where.
    pub path: DefPath,
    /// What is wrong, with the nearest valid name.
    pub message: String,
}

impl Schema {
    /// Checks a definition whose ids have all been given.
    ///
    /// # Errors
    /// All problems in the order in which they were found, at most 100.
    pub fn new(def: SchemaDef) -> Result<Self, Vec<SchemaProblem>> {
        let mut problems = Problems::default();
        let entities = match Outline::new(&def, &mut problems) {
            Some(outline) => entity::all(&outline, &mut problems),
            None => Vec::new(),
        };
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        let by_name = entities.iter().map(|entity| (entity.name.clone(), entity.id)).collect();
        let entities: BTreeMap<EntityId, Entity> = entities.into_iter().map(|entity| (entity.id, entity)).collect();
        let owners: HashMap<AttributeId, EntityId> = entities
            .values()
            .flat_map(|entity| &entity.members)
            .map(|member| (member.id, member.declared_in))
            .collect();
        Ok(Self { def, entities, by_name, owners })
    }
}

/// Gathers problems up to a bound, since a generated file can hold as many as it has lines.
#[derive(Default)]
struct Problems(Vec<SchemaProblem>);

impl Problems {
    const MAX: usize = 100;

    /// `message` is only asked for while there is room: finding the nearest name is dear.
    fn add(&mut self, path: DefPath, message: impl FnOnce() -> String) {
        if self.0.len() < Self::MAX {
            self.0.push(SchemaProblem { path, message: readable(message()) });
        }
    }
}
