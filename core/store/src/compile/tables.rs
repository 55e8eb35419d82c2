//! Which tables a query reads: those of its entity, and those that its paths lead over.
//!
//! Each further step of a path is one outer join on the primary key, shared by all paths that begin with the same
//! steps. Where the step may lead to objects of several tables, each is joined: an id stands in one of them at most, so
//! the first value that is there is the value.

use std::collections::{BTreeSet, HashMap};

use mytism_core::id::{AttributeId, EntityId};
use mytism_core::query::{Path, PathEnd, ResultKind};
use mytism_core::schema::Schema;

use super::dialect::Dialect;
use crate::names::{Names, quoted};

/// What the objects of the query's own entity are called in the statement.
pub(super) const BASE: &str = "t0";

pub(super) struct Tables<'a> {
    schema: &'a Schema,
    names: &'a Names,
    dialect: &'a dyn Dialect,
    /// The entities whose tables hold the objects.
    concrete: &'a [EntityId],
    with_deleted: bool,
    /// Columns of the objects that the statement names.
    used: BTreeSet<AttributeId>,
    joins: String,
    /// The tables that a chain of relations leads to.
    ways: HashMap<Vec<AttributeId>, Vec<String>>,
    count: usize,
}

impl<'a> Tables<'a> {
    pub(super) fn new(
        entity: EntityId,
        schema: &'a Schema,
        names: &'a Names,
        with_deleted: bool,
        dialect: &'a dyn Dialect,
    ) -> Self {
        let concrete = concrete(schema, entity);
        let ways = HashMap::from([(Vec::new(), vec![BASE.to_owned()])]);
        let (used, joins) = (BTreeSet::new(), String::new());
        Self { schema, names, dialect, concrete, with_deleted, used, joins, ways, count: 0 }
    }

    /// What stands at the end of a path.
    pub(super) fn path(&mut self, path: &Path) -> String {
        match path.end {
            PathEnd::Object => format!("{BASE}.id"),
            PathEnd::Attribute(attribute) => self.column(&path.via, attribute),
        }
    }

    fn column(&mut self, via: &[AttributeId], attribute: AttributeId) -> String {
        if via.is_empty() {
            self.used.insert(attribute);
        }
        let column = quoted(self.names.column(attribute));
        let columns: Vec<String> = self.reached(via).iter().map(|table| format!("{table}.{column}")).collect();
        first_value(&columns)
    }

    /// Whether every object has a value in the attribute.
    pub(super) fn is_required(&self, attribute: AttributeId) -> bool {
        self.schema.member_by_id(attribute).is_some_and(|(_, member)| member.not_null)
    }

    /// The joined tables that a chain of relations leads to; joins what is missing.
    fn reached(&mut self, via: &[AttributeId]) -> Vec<String> {
        if let Some(known) = self.ways.get(via) {
            return known.clone();
        }
        let Some((last, before)) = via.split_last() else { return Vec::new() };
        let reference = self.column(before, *last);
        let target = self.schema.member_by_id(*last).and_then(|(_, member)| member.kind.target());
        let mut reached = Vec::new();
        for entity in target.map_or(&[][..], |target| concrete(self.schema, target)) {
            self.count += 1;
            let alias = format!("t{}", self.count);
            let table = quoted(self.names.table(*entity));
            self.joins.push_str(&format!(" LEFT JOIN {table} AS {alias} ON {alias}.id = {reference}"));
            reached.push(alias);
        }
        self.ways.insert(via.to_vec(), reached.clone());
        reached
    }

    /// The id of the entity of an object.
    pub(super) fn entity(&self) -> String {
        match self.concrete {
            [only] => only.to_string(),
            _ => format!("{BASE}._entity"),
        }
    }

    /// What must hold for an object to be looked at, where the tables alone do not say it.
    pub(super) fn condition(&self) -> Option<String> {
        (self.concrete.len() == 1 && !self.with_deleted).then(|| self.dialect.is_alive(&format!("{BASE}.")))
    }

    /// Everything behind `FROM`. To be asked for when all paths are known.
    pub(super) fn from(&self) -> String {
        let base = match self.concrete {
            [only] => quoted(self.names.table(*only)),
            [] => format!("({})", self.nothing()),
            several => {
                let parts: Vec<String> = several.iter().map(|entity| self.part(*entity)).collect();
                format!("({})", parts.join(" UNION ALL "))
            }
        };
        format!("{base} AS {BASE}{}", self.joins)
    }

    fn columns(&self) -> impl Iterator<Item = String> {
        self.used.iter().map(|attribute| quoted(self.names.column(*attribute)))
    }

    fn part(&self, entity: EntityId) -> String {
        let columns: String = self.columns().map(|column| format!(", {column}")).collect();
        let alive = if self.with_deleted { String::new() } else { format!(" WHERE {}", self.dialect.is_alive("")) };
        format!("SELECT id, {entity} AS _entity{columns} FROM {}{alive}", quoted(self.names.table(entity)))
    }

    /// An abstract entity with nothing below it has no objects.
    fn nothing(&self) -> String {
        let none = |kind: &ResultKind| self.dialect.nothing(kind);
        let mut columns = format!("{} AS id, {} AS _entity", none(&ResultKind::Integer), none(&ResultKind::Integer));
        for attribute in &self.used {
            let kind = self.schema.member_by_id(*attribute).and_then(|(_, member)| ResultKind::of(&member.kind));
            let nothing = none(&kind.unwrap_or(ResultKind::Integer));
            columns.push_str(&format!(", {nothing} AS {}", quoted(self.names.column(*attribute))));
        }
        format!("SELECT {columns} WHERE FALSE")
    }
}

fn concrete(schema: &Schema, entity: EntityId) -> &[EntityId] {
    schema.entity_by_id(entity).map_or(&[][..], |entity| &entity.concrete)
}

fn first_value(columns: &[String]) -> String {
    match columns {
        [] => "NULL".to_owned(),
        [only] => only.clone(),
        several => format!("coalesce({})", several.join(", ")),
    }
}
