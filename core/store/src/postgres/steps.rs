//! A batch as statements: pure data, before anything goes over the line.
//!
//! A statement for many rows costs little more than one for a single row, so rows of one table are gathered. That
//! changes their order only against statements for other tables, on which they do not depend: what changes rows of a
//! table otherwise ends the gathering for it.

use std::borrow::Cow;
use std::collections::HashMap;

use mytism_core::change::{Life, ObjectMeta, Slot};
use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::schema::Kind;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;

use super::Shared;
use super::column::{Sql, to_sql};
use super::statements::{EntityStatements, META_COUNT};
use crate::names::quoted;
use crate::{JournalRow, LogRow, PendingRow, StoreError, Write};

/// One statement with its values.
pub(super) struct Step<'a> {
    pub(super) sql: Cow<'a, str>,
    pub(super) values: Values<'a>,
    /// How many rows it must change, and what is damaged where it changes others.
    pub(super) exactly: Option<(u64, String)>,
}

/// What stands in the places of a statement.
pub(super) enum Values<'a> {
    /// One value each.
    One(Vec<Sql<'a>>),
    /// An array each, one for each column.
    Columns(Vec<Vec<Sql<'a>>>),
}

/// A table that rows are gathered for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Table {
    Log,
    Pending,
    Touch,
    History,
    Journal,
    Object,
    Entity(EntityId),
    Set(AttributeId),
}

/// Rows and bytes that one statement takes at most.
const ROWS: usize = 5_000;
const BYTES: usize = 16 << 20;

const LOG: &str = "INSERT INTO mytism_log(number, epoch, hash, committed_at, node, incarnation, counter, entry, bytes) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], \
    $7::bigint[], $8::bytea[], $9::bytea[])";
const PENDING: &str = "INSERT INTO mytism_pending(place, node, incarnation, counter, bytes) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])";
const TOUCH: &str = "INSERT INTO mytism_pending_object(object, place) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT DO NOTHING";
const HISTORY: &str = "INSERT INTO mytism_history(object, number) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT DO NOTHING";
const JOURNAL: &str = "INSERT INTO mytism_journal(sequence, at, cause, node, incarnation, counter, position, changes) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], \
    $7::bigint[], $8::bytea[])";
const OBJECT: &str = "INSERT INTO mytism_object(id, entity) SELECT * FROM unnest($1::bigint[], $2::bigint[])";
const PUT: &str = "INSERT INTO mytism_meta(key, value) VALUES ($1, $2) \
    ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const QUARANTINE: &str = "INSERT INTO mytism_quarantine(number, code, reason) VALUES ($1, $2, $3) \
    ON CONFLICT (number) DO UPDATE SET code = excluded.code, reason = excluded.reason";
const UNDERLAY: &str = "INSERT INTO mytism_underlay(object, attribute, element, value) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (object, attribute, element) DO UPDATE SET value = excluded.value";

/// The statements of a batch, in the order in which they must be carried out.
#[derive(Default)]
pub(super) struct Steps<'a> {
    pub(super) steps: Vec<Step<'a>>,
    /// For each table that rows are gathered for: the place of the statement, and the rows and bytes that it has.
    open: HashMap<Table, (usize, usize, usize)>,
}

impl<'a> Steps<'a> {
    /// The statements of a batch.
    ///
    /// # Errors
    /// When the schema does not know what it names, or a number is too large.
    pub(super) fn of(shared: &'a Shared, batch: &'a [Write]) -> Result<Self, StoreError> {
        let mut steps = Self::default();
        batch.iter().try_for_each(|write| steps.write(shared, write))?;
        Ok(steps)
    }

    fn write(&mut self, shared: &'a Shared, write: &'a Write) -> Result<(), StoreError> {
        match write {
            Write::Log(row) => self.log(row)?,
            Write::Pending(row) => self.pending(row)?,
            Write::Settled(place) => {
                self.close(&[Table::Pending, Table::Touch]);
                self.run("DELETE FROM mytism_pending WHERE place = $1", vec![Sql::Integer(*place)]);
                self.run("DELETE FROM mytism_pending_object WHERE place = $1", vec![Sql::Integer(*place)]);
            }
            Write::Unlog { number, objects } => self.unlog(*number, objects)?,
            Write::Insert(object) => self.insert(shared, object)?,
            Write::Update { object, entity, meta, columns } => {
                self.update(shared, *object, *entity, meta, columns)?;
            }
            Write::Remove { object, entity } => self.remove(shared, *object, *entity)?,
            Write::Element { relation, owner, element, present } => {
                self.element(shared, *relation, (*owner, *element), *present)?;
            }
            Write::History { object, number } => {
                self.row(Table::History, HISTORY, vec![id(*object), stored(*number)?]);
            }
            Write::Touch { object, place } => {
                self.row(Table::Touch, TOUCH, vec![id(*object), Sql::Integer(*place)]);
            }
            Write::Underlay { object, slot, value } => self.underlay(*object, *slot, value.as_deref()),
            Write::Quarantine(row) => {
                let values = vec![stored(row.number)?, text(&row.code), text(&row.reason)];
                self.run(QUARANTINE, values);
            }
            Write::Journal(row) => self.journal(row)?,
            Write::JournalChanges { sequence, changes } => {
                self.close(&[Table::Journal]);
                let sql = "UPDATE mytism_journal SET changes = $1 WHERE sequence = $2";
                self.run(sql, vec![bytes(changes), stored(*sequence)?]);
            }
            Write::TrimJournal(up_to) => {
                self.close(&[Table::Journal]);
                let sql = "DELETE FROM mytism_journal
                           WHERE sequence <= $1 AND sequence < (SELECT max(sequence) FROM mytism_journal)";
                self.run(sql, vec![stored(*up_to)?]);
            }
            Write::MendLog(row) => self.mend_log(row)?,
            Write::MendObject { object, state, history, floor } => {
                self.mend_object(shared, *object, state.as_deref(), history, *floor)?;
            }
            // Done before all others, since they must find the tables; see [`super::reshape`].
            Write::Schema { .. } => {}
            Write::Put { key, value } => self.run(PUT, vec![text(key), bytes(value)]),
        }
        Ok(())
    }

    /// Keeps a value under a key that is not known beforehand.
    pub(super) fn put(&mut self, key: &'a str, value: &'a [u8]) {
        self.run(PUT, vec![text(key), bytes(value)]);
    }

    fn run(&mut self, sql: impl Into<Cow<'a, str>>, values: Vec<Sql<'a>>) {
        self.steps.push(Step { sql: sql.into(), values: Values::One(values), exactly: None });
    }

    fn run_exactly(&mut self, sql: impl Into<Cow<'a, str>>, values: Vec<Sql<'a>>, damage: String) {
        self.steps.push(Step { sql: sql.into(), values: Values::One(values), exactly: Some((1, damage)) });
    }

    /// Adds a row to what is gathered for a table.
    fn row(&mut self, table: Table, sql: &'a str, row: Vec<Sql<'a>>) {
        let weight: usize = row.iter().map(weight).sum();
        let next = (self.steps.len(), 0, 0);
        let place = self.open.entry(table).or_insert(next);
        if place.1 >= ROWS || (place.1 > 0 && place.2 + weight > BYTES) {
            *place = next;
        }
        let (index, rows, bytes) = *place;
        *place = (index, rows + 1, bytes + weight);
        if index == self.steps.len() {
            let columns = row.into_iter().map(|value| vec![value]).collect();
            self.steps.push(Step { sql: Cow::Borrowed(sql), values: Values::Columns(columns), exactly: None });
        } else if let Some(Step { values: Values::Columns(columns), .. }) = self.steps.get_mut(index) {
            columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
    }

    /// Ends the gathering for tables, since their rows are about to be changed otherwise.
    fn close(&mut self, tables: &[Table]) {
        for table in tables {
            self.open.remove(table);
        }
    }

    fn log(&mut self, row: &'a LogRow) -> Result<(), StoreError> {
        let name = row.transaction;
        let values = vec![
            stored(row.position.number)?,
            Sql::Integer(row.position.epoch.into()),
            bytes(&row.hash.0),
            Sql::Integer(row.committed_at.micros()),
            Sql::Integer(name.node.0.into()),
            Sql::Integer(name.incarnation.into()),
            stored(name.counter)?,
            bytes(&row.entry),
            bytes(&row.bytes),
        ];
        self.row(Table::Log, LOG, values);
        Ok(())
    }

    fn pending(&mut self, row: &'a PendingRow) -> Result<(), StoreError> {
        let name = row.transaction;
        let values = vec![
            Sql::Integer(row.place),
            Sql::Integer(name.node.0.into()),
            Sql::Integer(name.incarnation.into()),
            stored(name.counter)?,
            bytes(&row.bytes),
        ];
        self.row(Table::Pending, PENDING, values);
        Ok(())
    }

    fn journal(&mut self, row: &'a JournalRow) -> Result<(), StoreError> {
        let name = row.transaction;
        let values = vec![
            stored(row.sequence)?,
            Sql::Integer(row.at.micros()),
            Sql::Integer(row.cause.code().into()),
            Sql::Integer(name.node.0.into()),
            Sql::Integer(name.incarnation.into()),
            stored(name.counter)?,
            row.position.map_or(Ok(Sql::Null), stored)?,
            row.changes.as_deref().map_or(Sql::Null, bytes),
        ];
        self.row(Table::Journal, JOURNAL, values);
        Ok(())
    }

    /// Takes the last entry of the log away, with its index and its refusal.
    fn unlog(&mut self, number: u64, objects: &[ObjectId]) -> Result<(), StoreError> {
        self.close(&[Table::Log, Table::History]);
        let place = stored(number)?;
        for object in objects {
            let sql = "DELETE FROM mytism_history WHERE object = $1 AND number = $2";
            self.run(sql, vec![id(*object), place.clone()]);
        }
        self.run("DELETE FROM mytism_quarantine WHERE number = $1", vec![place.clone()]);
        let damage = format!("the log has no entry {number} to take back");
        self.run_exactly("DELETE FROM mytism_log WHERE number = $1", vec![place], damage);
        Ok(())
    }

    /// Makes an object.
    pub(super) fn insert(&mut self, shared: &'a Shared, object: &'a ObjectState) -> Result<(), StoreError> {
        let registered = vec![id(object.id), Sql::Integer(object.entity.0.into())];
        self.row(Table::Object, OBJECT, registered);
        let statements = entity_statements(shared, object.entity)?;
        self.row(Table::Entity(object.entity), &statements.insert, object_values(statements, object)?);
        for (slot, value) in &object.slots {
            if let (Some(element), Value::Bool(true)) = (slot.element, value) {
                let set = shared.statements.set(slot.attribute).ok_or_else(|| unknown("relation", slot.attribute.0))?;
                self.row(Table::Set(slot.attribute), &set.insert, vec![id(object.id), id(element)]);
            }
        }
        Ok(())
    }

    fn update(
        &mut self,
        shared: &'a Shared,
        object: ObjectId,
        entity: EntityId,
        meta: &'a ObjectMeta,
        columns: &'a [(AttributeId, Value)],
    ) -> Result<(), StoreError> {
        self.close(&[Table::Entity(entity)]);
        let statements = entity_statements(shared, entity)?;
        // Only what changes is named, since an index is touched for each column that is.
        let mut sql = format!(
            "UPDATE {} SET _created_time = $1, _created_user = $2, _created_node = $3, _changed_time = $4, \
             _changed_user = $5, _changed_node = $6, _version = $7, _deleted = $8",
            quoted(shared.names.table(entity))
        );
        let mut values = meta_values(meta)?.to_vec();
        for (attribute, value) in columns {
            let kind = column_kind(statements, *attribute)?;
            values.push(to_sql(kind, value));
            sql.push_str(&format!(", {} = ${}", quoted(shared.names.column(*attribute)), values.len()));
        }
        values.push(id(object));
        sql.push_str(&format!(" WHERE id = ${}", values.len()));
        self.run_exactly(sql, values, format!("object {object} has no row in its table"));
        Ok(())
    }

    fn remove(&mut self, shared: &'a Shared, object: ObjectId, entity: EntityId) -> Result<(), StoreError> {
        let statements = entity_statements(shared, entity)?;
        self.close(&[Table::Object, Table::Entity(entity)]);
        self.run("DELETE FROM mytism_object WHERE id = $1", vec![id(object)]);
        self.run(&*statements.delete, vec![id(object)]);
        for relation in &statements.sets {
            let set = shared.statements.set(*relation).ok_or_else(|| unknown("relation", relation.0))?;
            self.close(&[Table::Set(*relation)]);
            self.run(&*set.delete_all, vec![id(object)]);
        }
        Ok(())
    }

    fn element(
        &mut self,
        shared: &'a Shared,
        relation: AttributeId,
        (owner, element): (ObjectId, ObjectId),
        present: bool,
    ) -> Result<(), StoreError> {
        let set = shared.statements.set(relation).ok_or_else(|| unknown("relation", relation.0))?;
        let values = vec![id(owner), id(element)];
        if present {
            self.row(Table::Set(relation), &set.insert, values);
        } else {
            self.close(&[Table::Set(relation)]);
            self.run(&*set.delete, values);
        }
        Ok(())
    }

    fn underlay(&mut self, object: ObjectId, slot: Slot, value: Option<&'a [u8]>) {
        let element = Sql::Integer(slot.element.map_or(0, ObjectId::get));
        let mut values = vec![id(object), Sql::Integer(slot.attribute.0.into()), element];
        match value {
            Some(value) => {
                values.push(bytes(value));
                self.run(UNDERLAY, values);
            }
            None => {
                self.run("DELETE FROM mytism_underlay WHERE object = $1 AND attribute = $2 AND element = $3", values);
            }
        }
    }

    /// Puts an entry in the place of what is there.
    fn mend_log(&mut self, row: &'a LogRow) -> Result<(), StoreError> {
        self.close(&[Table::Log]);
        let number = stored(row.position.number)?;
        self.run("DELETE FROM mytism_log WHERE number = $1", vec![number.clone()]);
        self.run("DELETE FROM mytism_quarantine WHERE number = $1", vec![number]);
        self.log(row)
    }

    /// Puts an object with its sets and its history above a floor in the place of what is there in the tables of any
    /// entity.
    fn mend_object(
        &mut self,
        shared: &'a Shared,
        object: ObjectId,
        state: Option<&'a ObjectState>,
        history: &[u64],
        floor: u64,
    ) -> Result<(), StoreError> {
        self.open.clear();
        self.run("DELETE FROM mytism_object WHERE id = $1", vec![id(object)]);
        for entity in shared.statements.entities() {
            self.run(&*entity.delete, vec![id(object)]);
        }
        for set in shared.statements.sets() {
            self.run(&*set.delete_all, vec![id(object)]);
        }
        let sql = "DELETE FROM mytism_history WHERE object = $1 AND number > $2";
        self.run(sql, vec![id(object), stored(floor)?]);
        for number in history {
            self.row(Table::History, HISTORY, vec![id(object), stored(*number)?]);
        }
        state.map_or(Ok(()), |state| self.insert(shared, state))
    }
}

/// What an object has in the row of its table: id, bookkeeping, columns.
pub(super) fn object_values<'a>(
    statements: &EntityStatements,
    object: &'a ObjectState,
) -> Result<Vec<Sql<'a>>, StoreError> {
    let mut values = Vec::with_capacity(1 + META_COUNT + statements.columns.len());
    values.push(id(object.id));
    values.extend(meta_values(&object.meta)?);
    for (attribute, kind) in &statements.columns {
        let slot = Slot::attribute(*attribute);
        let value = object.slots.iter().find(|(found, _)| *found == slot).map(|(_, value)| value);
        values.push(value.map_or(Sql::Null, |value| to_sql(kind, value)));
    }
    Ok(values)
}

/// Bookkeeping in the order of its columns.
fn meta_values<'a>(meta: &ObjectMeta) -> Result<[Sql<'a>; META_COUNT], StoreError> {
    Ok([
        Sql::Instant(meta.created.time.micros()),
        id(meta.created.user),
        Sql::Integer(meta.created.node.0.into()),
        Sql::Instant(meta.changed.time.micros()),
        id(meta.changed.user),
        Sql::Integer(meta.changed.node.0.into()),
        meta.version.map_or(Ok(Sql::Null), stored)?,
        Sql::Bool(meta.life == Life::Deleted),
    ])
}

fn weight(value: &Sql<'_>) -> usize {
    match value {
        Sql::Text(text) => text.len(),
        Sql::Bytes(bytes) => bytes.len(),
        _ => 8,
    }
}

const fn id<'a>(object: ObjectId) -> Sql<'a> {
    Sql::Integer(object.get())
}

fn text(text: &str) -> Sql<'_> {
    Sql::Text(Cow::Borrowed(text))
}

fn bytes(bytes: &[u8]) -> Sql<'_> {
    Sql::Bytes(Cow::Borrowed(bytes))
}

fn entity_statements(shared: &Shared, entity: EntityId) -> Result<&EntityStatements, StoreError> {
    shared.statements.entity(entity).ok_or_else(|| unknown("entity", entity.0))
}

fn column_kind(statements: &EntityStatements, attribute: AttributeId) -> Result<&Kind, StoreError> {
    let found = statements.columns.iter().find(|(id, _)| *id == attribute);
    found.map(|(_, kind)| kind).ok_or_else(|| unknown("attribute", attribute.0))
}

pub(super) fn unknown(what: &str, id: u32) -> StoreError {
    StoreError::Engine(format!("the schema of this database knows no {what} #{id}"))
}

/// A number as the engine keeps it.
fn stored<'a>(number: u64) -> Result<Sql<'a>, StoreError> {
    let number = i64::try_from(number).map_err(|_| StoreError::Engine(format!("the number {number} is too large")))?;
    Ok(Sql::Integer(number))
}
