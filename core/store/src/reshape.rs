//! The tables of one schema made those of another, with what is in them: which statements lead from one to the other,
//! for every engine.
//!
//! What differs is made anew and filled from what was there, so that a table is always the one that its schema describes,
//! however often it changed. What a schema has no place for any more goes into tables of its own, whose names begin with
//! `mytism_dropped_` and the number of the entry that dropped it; nothing reads them.

use std::collections::{HashMap, HashSet};

use mytism_core::id::AttributeId;
use mytism_core::schema::{Entity, Kind, Member, Schema};
use mytism_core::value::Value;

use crate::names::{Names, quoted};

/// How the names of tables begin that hold what was dropped.
const DROPPED: &str = "mytism_dropped";
/// Bytes of such a name.
const DROPPED_MAX: usize = 60;
/// Behind the bookkeeping columns that every table has.
pub(crate) const BOOKKEEPING: &str =
    "id, _created_time, _created_user, _created_node, _changed_time, _changed_user, _changed_node, _version, _deleted";

/// A schema with the names of its tables.
#[derive(Clone, Copy)]
pub(crate) struct Named<'s> {
    pub(crate) schema: &'s Schema,
    pub(crate) names: &'s Names,
}

/// An index that an engine makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) table: String,
    pub(crate) sql: String,
}

/// How a value of one kind becomes one of another.
pub(crate) enum Cast {
    /// It stands in its column as it did.
    Same,
    /// By an expression of the engine.
    Expression(String),
    /// Value by value.
    ByValue,
}

/// What an engine knows of its tables.
pub(crate) trait Tables {
    /// The statement that makes an entity's table.
    fn table(&self, entity: &Entity, names: &Names) -> String;
    /// The statement that makes the table of a set.
    fn set(&self, set: &Member, names: &Names) -> String;
    /// The names and the statements of all views.
    fn views(&self, of: Named<'_>) -> Vec<(String, String)>;
    /// All indexes.
    fn indexes(&self, of: Named<'_>) -> Vec<Index>;
    /// How a column gets its values from another one.
    fn cast(&self, from: &Kind, to: &Kind, column: &str) -> Cast;
}

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Task<'s> {
    /// A statement.
    Run(String),
    /// All rows of a table get a value.
    Fill { table: &'s str, column: &'s str, kind: &'s Kind, value: &'s Value },
    /// A column gets the values that stand in that of another table, each by its meaning.
    Adapt { from: String, column: &'s str, was: &'s Kind, table: &'s str, into: &'s str, kind: &'s Kind },
}

/// What leads from one schema to another, in order. `number` is that of the entry that says so.
pub(crate) fn tasks<'s>(tables: &impl Tables, old: Named<'s>, new: Named<'s>, number: u64) -> Vec<Task<'s>> {
    let mut tasks = Tasks { tables, old, new, number, tasks: Vec::new() };
    for (name, _) in tables.views(old) {
        tasks.run(format!("DROP VIEW {}", quoted(&name)));
    }
    let rebuilt = tasks.rebuilt();
    let moved = tasks.moved_sets();
    let touched: HashSet<&str> = rebuilt
        .iter()
        .map(|(former, _)| old.names.table(former.id))
        .chain(moved.iter().map(|set| old.names.set_table(*set)))
        .chain(tasks.dropped_tables())
        .collect();
    let indexes = tasks.indexes(&touched);
    tasks.put_aside(&rebuilt, &moved);
    tasks.make(&rebuilt, &moved);
    indexes.into_iter().for_each(|sql| tasks.run(sql));
    for (_, sql) in tables.views(new) {
        tasks.run(sql);
    }
    tasks.tasks
}

struct Tasks<'s, 't, T> {
    tables: &'t T,
    old: Named<'s>,
    new: Named<'s>,
    number: u64,
    tasks: Vec<Task<'s>>,
}

impl<'s, T: Tables> Tasks<'s, '_, T> {
    fn run(&mut self, sql: String) {
        self.tasks.push(Task::Run(sql));
    }

    /// Entities whose tables are there before and afterwards and are not the same, as they were and as they become.
    fn rebuilt(&self) -> Vec<(&'s Entity, &'s Entity)> {
        let (old, new) = (self.old, self.new);
        let pairs = new.schema.entities().filter(|entity| !entity.is_abstract).filter_map(|entity| {
            let former = old.schema.entity_by_id(entity.id)?;
            (!former.is_abstract).then_some((former, entity))
        });
        pairs
            .filter(|(former, entity)| {
                self.tables.table(former, old.names) != self.tables.table(entity, new.names)
                    || entity.columns().any(|member| {
                        former
                            .member_by_id(member.id)
                            .is_some_and(|was| !matches!(self.tables.cast(&was.kind, &member.kind, ""), Cast::Same))
                    })
            })
            .collect()
    }

    /// Sets whose tables have another name.
    fn moved_sets(&self) -> Vec<AttributeId> {
        let (old, new) = (self.old, self.new);
        let there = own_sets(new.schema).filter(|set| is_set(old.schema, set.id));
        there.map(|set| set.id).filter(|set| old.names.set_table(*set) != new.names.set_table(*set)).collect()
    }

    /// The tables of entities and sets that go.
    fn dropped_tables(&self) -> Vec<&'s str> {
        let (old, new) = (self.old, self.new);
        let entities = concrete(old.schema).filter(|entity| !has_table(new.schema, entity));
        let sets = own_sets(old.schema).filter(|set| !is_set(new.schema, set.id));
        let entities = entities.map(|entity| old.names.table(entity.id));
        entities.chain(sets.map(|set| old.names.set_table(set.id))).collect()
    }

    /// Drops the indexes that go, or whose tables do; returns the statements that make those which come.
    fn indexes(&mut self, touched: &HashSet<&str>) -> Vec<String> {
        let (was, is) = (self.tables.indexes(self.old), self.tables.indexes(self.new));
        let stays = |index: &Index| !touched.contains(index.table.as_str());
        let kept: HashSet<&str> = {
            let wanted: HashMap<&str, &str> =
                is.iter().map(|index| (index.name.as_str(), index.sql.as_str())).collect();
            let same = |index: &&Index| stays(index) && wanted.get(index.name.as_str()) == Some(&index.sql.as_str());
            was.iter().filter(same).map(|index| index.name.as_str()).collect()
        };
        for index in was.iter().filter(|index| !kept.contains(index.name.as_str())) {
            self.run(format!("DROP INDEX {}", index.name));
        }
        is.iter().filter(|index| !kept.contains(index.name.as_str())).map(|index| index.sql.clone()).collect()
    }

    /// Moves away what goes and what is made anew.
    fn put_aside(&mut self, rebuilt: &[(&'s Entity, &'s Entity)], moved: &[AttributeId]) {
        let (old, new) = (self.old, self.new);
        let rename = |from: &str, to: &str| format!("ALTER TABLE {} RENAME TO {}", quoted(from), quoted(to));
        for (former, entity) in rebuilt {
            let table = old.names.table(former.id);
            for gone in former.columns().filter(|member| entity.member_by_id(member.id).is_none()) {
                let column = old.names.column(gone.id);
                let aside = self.aside(&format!("{}_{}_{column}", former.id, gone.id));
                self.run(format!(
                    "CREATE TABLE {} AS SELECT id, {column} FROM {} WHERE {column} IS NOT NULL",
                    quoted(&aside),
                    quoted(table),
                    column = quoted(column)
                ));
            }
            self.run(rename(table, &former_table(former)));
        }
        for set in moved {
            self.run(rename(old.names.set_table(*set), &former_set(*set)));
        }
        for entity in concrete(old.schema).filter(|entity| !has_table(new.schema, entity)) {
            let table = old.names.table(entity.id);
            let aside = self.aside(&format!("{}_{table}", entity.id));
            self.run(rename(table, &aside));
            // Sets that it inherited stay, without what its objects had in them.
            for set in entity.sets().filter(|set| is_set(new.schema, set.id)) {
                self.run(format!(
                    "DELETE FROM {} WHERE owner IN (SELECT id FROM mytism_object WHERE entity = {})",
                    if moved.contains(&set.id) { former_set(set.id) } else { quoted(old.names.set_table(set.id)) },
                    entity.id
                ));
            }
            self.run(format!("DELETE FROM mytism_object WHERE entity = {}", entity.id));
        }
        for set in own_sets(old.schema).filter(|set| !is_set(new.schema, set.id)) {
            let table = old.names.set_table(set.id);
            let aside = self.aside(&format!("s{}_{table}", set.id));
            self.run(rename(table, &aside));
        }
    }

    fn aside(&self, what: &str) -> String {
        let mut name = format!("{DROPPED}_{}_{what}", self.number);
        // Names are ASCII.
        name.truncate(DROPPED_MAX);
        name
    }

    /// Makes what is new and what is made anew, and fills it.
    fn make(&mut self, rebuilt: &[(&'s Entity, &'s Entity)], moved: &[AttributeId]) {
        let (old, new) = (self.old, self.new);
        for set in own_sets(new.schema).filter(|set| !is_set(old.schema, set.id) || moved.contains(&set.id)) {
            self.run(self.tables.set(set, new.names));
        }
        for set in moved {
            let (table, former) = (quoted(new.names.set_table(*set)), former_set(*set));
            self.run(format!("INSERT INTO {table}(owner, element) SELECT owner, element FROM {former}"));
            self.run(format!("DROP TABLE {former}"));
        }
        for entity in concrete(new.schema).filter(|entity| !has_table(old.schema, entity)) {
            self.run(self.tables.table(entity, new.names));
        }
        for (former, entity) in rebuilt {
            self.run(self.tables.table(entity, new.names));
            self.fill(former, entity);
            self.run(format!("DROP TABLE {}", former_table(former)));
        }
    }

    /// Fills the table of an entity from the one that it had.
    fn fill(&mut self, former: &'s Entity, entity: &'s Entity) {
        let (old, new) = (self.old, self.new);
        let from = former_table(former);
        let table = new.names.table(entity.id);
        let (mut columns, mut values, mut later) = (String::new(), String::new(), Vec::new());
        for member in entity.columns() {
            let into = new.names.column(member.id);
            let Some(was) = former.member_by_id(member.id) else {
                if !member.default.is_null() {
                    later.push(Task::Fill { table, column: into, kind: &member.kind, value: &member.default });
                }
                continue;
            };
            let column = old.names.column(was.id);
            let value = match self.tables.cast(&was.kind, &member.kind, &quoted(column)) {
                Cast::Same => quoted(column),
                Cast::Expression(expression) => expression,
                Cast::ByValue => {
                    let (was, kind) = (&was.kind, &member.kind);
                    later.push(Task::Adapt { from: from.clone(), column, was, table, into, kind });
                    continue;
                }
            };
            columns.push_str(&format!(", {}", quoted(into)));
            values.push_str(&format!(", {value}"));
        }
        self.run(format!(
            "INSERT INTO {}({BOOKKEEPING}{columns}) SELECT {BOOKKEEPING}{values} FROM {from}",
            quoted(table)
        ));
        self.tasks.extend(later);
    }
}

fn former_table(entity: &Entity) -> String {
    format!("mytism_former_{}", entity.id)
}

fn former_set(set: AttributeId) -> String {
    format!("mytism_former_set_{set}")
}

fn concrete(schema: &Schema) -> impl Iterator<Item = &Entity> {
    schema.entities().filter(|entity| !entity.is_abstract)
}

fn has_table(schema: &Schema, entity: &Entity) -> bool {
    schema.entity_by_id(entity.id).is_some_and(|found| !found.is_abstract)
}

/// The sets of a schema, each once.
fn own_sets(schema: &Schema) -> impl Iterator<Item = &Member> {
    schema.entities().flat_map(|entity| entity.sets().filter(move |set| set.declared_in == entity.id))
}

fn is_set(schema: &Schema, id: AttributeId) -> bool {
    schema.member_by_id(id).is_some_and(|(_, member)| matches!(member.kind, Kind::ManyToMany { .. }))
}
