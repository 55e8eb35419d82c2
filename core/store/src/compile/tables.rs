//! Which tables a query reads: those of its entity, those that its paths lead over, and those of the relations that it
//! asks about.
//!
//! Each further step of a path is one outer join on the primary key, shared by all paths that begin with the same
//! steps. Where the step may lead to objects of several tables, each is joined: an id stands in one of them at most, so
//! the first value that is there is the value.

use std::collections::{BTreeSet, HashMap};

use mytism_core::id::{AttributeId, EntityId};
use mytism_core::query::{Path, PathEnd, ResultKind};
use mytism_core::schema::{Kind, Schema};

use super::dialect::Dialect;
use crate::names::{Names, quoted};

pub(super) struct Tables<'a> {
    schema: &'a Schema,
    names: &'a Names,
    dialect: &'a dyn Dialect,
    /// The objects of the query, then those of each relation around.
    scopes: Vec<Scope<'a>>,
    /// How many tables have a name so far.
    count: usize,
}

/// Objects that paths begin at.
struct Scope<'a> {
    /// What they are called in the statement.
    base: String,
    /// The entities whose tables hold them.
    concrete: &'a [EntityId],
    with_deleted: bool,
    /// Columns of the objects that the statement names.
    used: BTreeSet<AttributeId>,
    joins: String,
    /// The tables that a chain of relations leads to.
    ways: HashMap<Vec<AttributeId>, Vec<Reached>>,
}

/// A table that a path leads to, with the entity of its objects.
#[derive(Clone)]
struct Reached {
    alias: String,
    entity: EntityId,
}

impl<'a> Tables<'a> {
    pub(super) fn new(
        entity: EntityId,
        schema: &'a Schema,
        names: &'a Names,
        with_deleted: bool,
        dialect: &'a dyn Dialect,
    ) -> Self {
        let mut tables = Self { schema, names, dialect, scopes: Vec::new(), count: 0 };
        tables.enter(entity, with_deleted);
        tables
    }

    /// Begins a scope for objects of an entity.
    pub(super) fn enter(&mut self, entity: EntityId, with_deleted: bool) {
        let concrete = concrete(self.schema, entity);
        let base = self.next_alias();
        let (used, joins, ways) = (BTreeSet::new(), String::new(), HashMap::new());
        self.scopes.push(Scope { base, concrete, with_deleted, used, joins, ways });
    }

    /// Ends the innermost scope. Gives everything behind its `FROM`, and what must hold where that does not say it. To be
    /// asked for when all its paths are known.
    pub(super) fn leave(&mut self) -> (String, Option<String>) {
        let found = self.scopes.last().map(|scope| (self.from(scope), self.condition(scope)));
        self.scopes.pop();
        found.unwrap_or_default()
    }

    fn next_alias(&mut self) -> String {
        let alias = format!("t{}", self.count);
        self.count += 1;
        alias
    }

    /// The id of the object that a scope is about; `usize::MAX` means the innermost one.
    pub(super) fn id(&self, scope: usize) -> String {
        let found = self.scopes.get(scope).or_else(|| self.scopes.last());
        found.map_or_else(String::new, |scope| format!("{}.id", scope.base))
    }

    /// What stands at the end of a path.
    pub(super) fn path(&mut self, path: &Path) -> String {
        match path.end {
            PathEnd::Object => self.id(path.scope),
            PathEnd::Attribute(attribute) => self.column(path.scope, &path.via, attribute),
        }
    }

    /// The id of the object at which the last step of a path begins.
    fn owner(&mut self, path: &Path) -> String {
        match path.via.split_last() {
            None => self.id(path.scope),
            Some((last, before)) => self.column(path.scope, before, *last),
        }
    }

    fn column(&mut self, scope: usize, via: &[AttributeId], attribute: AttributeId) -> String {
        let column = quoted(self.names.column(attribute));
        if via.is_empty() {
            let Some(found) = self.scopes.get_mut(scope) else { return "NULL".to_owned() };
            found.used.insert(attribute);
            return match found.concrete {
                [_] => format!("{}.{column}", found.base),
                _ => format!("{}.{}", found.base, gathered(attribute)),
            };
        }
        let reached = self.reached(scope, via);
        let columns: Vec<String> = reached
            .iter()
            .filter(|table| self.has(table.entity, attribute))
            .map(|table| format!("{}.{column}", table.alias))
            .collect();
        match columns.as_slice() {
            [] => self.nothing_of(attribute),
            several => first_value(several),
        }
    }

    fn has(&self, entity: EntityId, attribute: AttributeId) -> bool {
        self.schema.entity_by_id(entity).is_some_and(|entity| entity.member_by_id(attribute).is_some())
    }

    fn nothing_of(&self, attribute: AttributeId) -> String {
        let kind = self.schema.member_by_id(attribute).and_then(|(_, member)| ResultKind::of(&member.kind));
        self.dialect.nothing(&kind.unwrap_or(ResultKind::Integer))
    }

    /// Whether every object has a value in the attribute.
    pub(super) fn is_required(&self, attribute: AttributeId) -> bool {
        // An object that is taken for one of a sub-entity may lack the attribute.
        let all_have =
            self.scopes.first().is_some_and(|scope| scope.concrete.iter().all(|one| self.has(*one, attribute)));
        all_have && self.schema.member_by_id(attribute).is_some_and(|(_, member)| member.not_null)
    }

    /// The joined tables that a chain of relations leads to; joins what is missing.
    fn reached(&mut self, scope: usize, via: &[AttributeId]) -> Vec<Reached> {
        if let Some(known) = self.scopes.get(scope).and_then(|scope| scope.ways.get(via)) {
            return known.clone();
        }
        let Some((last, before)) = via.split_last() else { return Vec::new() };
        let reference = self.column(scope, before, *last);
        let target = self.schema.member_by_id(*last).and_then(|(_, member)| member.kind.target());
        let (mut reached, mut joins) = (Vec::new(), String::new());
        for entity in target.map_or(&[][..], |target| concrete(self.schema, target)) {
            let alias = self.next_alias();
            let table = quoted(self.names.table(*entity));
            joins.push_str(&format!(" LEFT JOIN {table} AS {alias} ON {alias}.id = {reference}"));
            reached.push(Reached { alias, entity: *entity });
        }
        if let Some(scope) = self.scopes.get_mut(scope) {
            scope.joins.push_str(&joins);
            scope.ways.insert(via.to_vec(), reached.clone());
        }
        reached
    }

    /// Whether the object at the end of a path is of one of some entities; nothing where there is none.
    pub(super) fn instance(&mut self, path: &Path, entities: &[EntityId]) -> String {
        let PathEnd::Attribute(reference) = path.end else {
            return format!("({} IN ({}))", self.entity(path.scope), listed(entities));
        };
        let mut via = path.via.clone();
        via.push(reference);
        let mut cases = String::new();
        for table in self.reached(path.scope, &via) {
            let answer = if entities.contains(&table.entity) { "TRUE" } else { "FALSE" };
            cases.push_str(&format!(" WHEN {}.id IS NOT NULL THEN {answer}", table.alias));
        }
        if cases.is_empty() { self.dialect.nothing(&ResultKind::Bool) } else { format!("CASE{cases} END") }
    }

    /// What holds for the objects of the innermost scope that a relation to many leads to from an object around.
    pub(super) fn belongs(&mut self, relation: &Path) -> String {
        let PathEnd::Attribute(attribute) = relation.end else { return "FALSE".to_owned() };
        let owner = self.owner(relation);
        let innermost = self.scopes.len().saturating_sub(1);
        let id = self.id(innermost);
        match self.schema.member_by_id(attribute).map(|(_, member)| &member.kind) {
            Some(Kind::ToMany { by, .. }) => format!("{} = {owner}", self.column(innermost, &[], *by)),
            Some(Kind::ManyToMany { .. }) => {
                let table = quoted(self.names.set_table(attribute));
                format!("{id} IN (SELECT element FROM {table} WHERE owner = {owner})")
            }
            Some(Kind::Owners { by, .. }) => {
                let table = quoted(self.names.set_table(*by));
                format!("{id} IN (SELECT owner FROM {table} WHERE element = {owner})")
            }
            _ => "FALSE".to_owned(),
        }
    }

    /// The id of the entity of an object.
    pub(super) fn entity(&self, scope: usize) -> String {
        match self.scopes.get(scope) {
            Some(Scope { concrete: [only], .. }) => only.to_string(),
            Some(scope) => format!("{}._entity", scope.base),
            None => "NULL".to_owned(),
        }
    }

    /// What must hold for an object to be looked at, where the tables alone do not say it.
    fn condition(&self, scope: &Scope<'_>) -> Option<String> {
        let is_needed = scope.concrete.len() == 1 && !scope.with_deleted;
        is_needed.then(|| self.dialect.is_alive(&format!("{}.", scope.base)))
    }

    fn from(&self, scope: &Scope<'_>) -> String {
        let base = match scope.concrete {
            [only] => quoted(self.names.table(*only)),
            [] => format!("({})", self.nothing(scope)),
            several => {
                let parts: Vec<String> = several.iter().map(|entity| self.part(scope, *entity)).collect();
                format!("({})", parts.join(" UNION ALL "))
            }
        };
        format!("{base} AS {}{}", scope.base, scope.joins)
    }

    fn part(&self, scope: &Scope<'_>, entity: EntityId) -> String {
        let mut columns = String::new();
        for attribute in &scope.used {
            let column = quoted(self.names.column(*attribute));
            if self.has(entity, *attribute) {
                columns.push_str(&format!(", {column} AS {}", gathered(*attribute)));
            } else {
                columns.push_str(&format!(", {} AS {}", self.nothing_of(*attribute), gathered(*attribute)));
            }
        }
        let alive = if scope.with_deleted { String::new() } else { format!(" WHERE {}", self.dialect.is_alive("")) };
        format!("SELECT id, {entity} AS _entity{columns} FROM {}{alive}", quoted(self.names.table(entity)))
    }

    /// An abstract entity with nothing below it has no objects.
    fn nothing(&self, scope: &Scope<'_>) -> String {
        let none = |kind: &ResultKind| self.dialect.nothing(kind);
        let mut columns = format!("{} AS id, {} AS _entity", none(&ResultKind::Integer), none(&ResultKind::Integer));
        for attribute in &scope.used {
            columns.push_str(&format!(", {} AS {}", self.nothing_of(*attribute), gathered(*attribute)));
        }
        format!("SELECT {columns} WHERE FALSE")
    }
}

/// What a column is called where the tables of several entities are gathered: those of two may differ in case alone,
/// which is none to an engine.
fn gathered(attribute: AttributeId) -> String {
    format!("c{attribute}")
}

fn concrete(schema: &Schema, entity: EntityId) -> &[EntityId] {
    schema.entity_by_id(entity).map_or(&[][..], |entity| &entity.concrete)
}

fn listed(entities: &[EntityId]) -> String {
    let all: Vec<String> = entities.iter().map(ToString::to_string).collect();
    // Not even an entity without objects may make the list empty.
    if all.is_empty() { "-1".to_owned() } else { all.join(", ") }
}

fn first_value(columns: &[String]) -> String {
    match columns {
        [only] => only.clone(),
        several => format!("coalesce({})", several.join(", ")),
    }
}
