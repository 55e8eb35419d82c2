//! Reading: a connection with an open read transaction, so that everything is seen as one commit left it.

use std::path::Path;
use std::sync::Arc;

use mytism_core::change::{Life, ObjectMeta, Slot, Stamp};
use mytism_core::id::{AttributeId, EntityId, Hash, NodeId, ObjectId, Position, TransactionId};
use mytism_core::journal::Cause;
use mytism_core::query::Query;
use mytism_core::schema::Schema;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::check;
use super::column::{from_result, from_sql, to_sql};
use super::copy;
use super::names::quoted;
use super::overlay::Overlay;
use super::query::compile;
use super::statements::{EntityStatements, META_COUNT};
use super::{FORMAT_KEY, SCHEMA_KEY, Shared};
use crate::compile::used_indexes;
use crate::unnoted::{end_of_page, with_unnoted};
use crate::{
    Explanation, Head, JournalRow, LogRow, OtherObject, PendingRow, QuarantineRow, QueryOptions, QueryRow, StoreError,
    View,
};

pub(super) struct SqliteView {
    shared: Arc<Shared>,
    /// `None` only while it is dropped.
    connection: Option<Connection>,
    overlay: Option<Overlay>,
}

impl SqliteView {
    pub(super) fn open(shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let connection = shared.reader()?;
        connection.prepare_cached("BEGIN")?.execute([])?;
        // The engine fixes what is seen at the first read, not at BEGIN.
        connection.prepare_cached("SELECT 1 FROM mytism_meta LIMIT 1")?.query_row([], |_| Ok(())).optional()?;
        Ok(Self { shared: Arc::clone(shared), connection: Some(connection), overlay: None })
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or_else(|| StoreError::Engine("the view is closed".to_owned()))
    }

    fn list<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?.collect::<Result<_, _>>()?;
        Ok(rows)
    }

    fn one<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.connection()?.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    fn number(&self, sql: &str, params: impl rusqlite::Params) -> Result<u64, StoreError> {
        self.one(sql, params, unsigned).map(|number| number.unwrap_or(0))
    }

    fn entity_of(&self, object: ObjectId) -> Result<Option<EntityId>, StoreError> {
        self.one("SELECT entity FROM mytism_object WHERE id = ?", [object.get()], |row| row.get(0).map(EntityId))
    }

    fn load(&self, object: ObjectId, entity: EntityId) -> Result<Option<ObjectState>, StoreError> {
        let statements = self.shared.statements.entity(entity).ok_or_else(|| {
            StoreError::Damaged(format!("object {object} is of entity #{entity}, which the schema does not know"))
        })?;
        let mut statement = self.connection()?.prepare_cached(&statements.select)?;
        let mut rows = statement.query([object.get()])?;
        rows.next()?.map(|row| read_object(object, entity, statements, row)).transpose()
    }

    fn with_elements(&self, mut object: ObjectState) -> Result<ObjectState, StoreError> {
        let sets = self.shared.statements.entity(object.entity).map_or(&[][..], |found| &found.sets);
        for set in sets {
            let elements = self.elements(*set, object.id)?;
            object.slots.extend(elements.into_iter().map(|one| (Slot::element(*set, one), Value::Bool(true))));
        }
        Ok(object)
    }
}

impl Drop for SqliteView {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // A connection that cannot even roll back is of no further use and is closed, and so is one that saw other
            // objects than there are.
            let ended = connection.prepare_cached("ROLLBACK").and_then(|mut rollback| rollback.execute([]));
            if ended.is_ok() && self.overlay.is_none() {
                self.shared.give_back(connection);
            }
        }
    }
}

impl View for SqliteView {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        let sql = "SELECT number, epoch, hash, committed_at FROM mytism_log ORDER BY number DESC LIMIT 1";
        self.one(sql, [], |row| {
            Ok(Head {
                position: Position { number: unsigned(row)?, epoch: row.get(1)? },
                hash: Hash(row.get(2)?),
                committed_at: timestamp(row.get(3)?),
            })
        })
    }

    fn log_after(&self, after: u64, rows: u32, bytes: usize) -> Result<Vec<LogRow>, StoreError> {
        let sql = format!("{LOG_SELECT} WHERE number > ? ORDER BY number LIMIT {rows}");
        let mut statement = self.connection()?.prepare_cached(&sql)?;
        let found = statement.query_map([stored(after)], log_row)?;
        until_full(found, bytes, |row| row.entry.len() + row.bytes.len())
    }

    fn log_before(&self, before: u64, rows: u32, bytes: usize) -> Result<Vec<LogRow>, StoreError> {
        let sql = format!("{LOG_SELECT} WHERE number < ? ORDER BY number DESC LIMIT {rows}");
        let mut statement = self.connection()?.prepare_cached(&sql)?;
        let found = statement.query_map([stored(before)], log_row)?;
        until_full(found, bytes, |row| row.entry.len() + row.bytes.len())
    }

    fn log_begin(&self) -> Result<u64, StoreError> {
        self.number("SELECT number FROM mytism_log ORDER BY number LIMIT 1", [])
    }

    fn log_row(&self, number: u64) -> Result<Option<LogRow>, StoreError> {
        self.one(&format!("{LOG_SELECT} WHERE number = ?"), [stored(number)], log_row)
    }

    fn position_at(&self, time: Timestamp) -> Result<u64, StoreError> {
        // Times never run backwards along the log, so halving finds the place without an index of them.
        let written_at = "SELECT committed_at FROM mytism_log WHERE number = ?";
        let mut after = self.number("SELECT ifnull(max(number), 0) FROM mytism_log", [])?;
        let first = self.number("SELECT ifnull(min(number), 1) FROM mytism_log", [])?;
        let mut until = first.saturating_sub(1);
        // Behind `after` all is later, up to `until` nothing is.
        while until < after {
            let middle = until + (after - until).div_ceil(2);
            let written: Option<i64> = self.one(written_at, [stored(middle)], |row| row.get(0))?;
            if written.is_some_and(|written| written > time.micros()) {
                after = middle - 1;
            } else {
                until = middle;
            }
        }
        Ok(if until < first { 0 } else { until })
    }

    fn log_number(&self, transaction: TransactionId) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT number FROM mytism_log WHERE node = ? AND incarnation = ? AND counter = ?";
        self.one(sql, params![transaction.node.0, transaction.incarnation, stored(transaction.counter)], unsigned)
    }

    fn last_counter(&self, node: NodeId, incarnation: u32) -> Result<u64, StoreError> {
        let of = |table| {
            let max = "SELECT ifnull(max(counter), 0)";
            let sql = format!("{max} FROM {table} WHERE node = ? AND incarnation = ? AND counter < ?");
            self.number(&sql, (node.0, incarnation, TransactionId::FORKS.cast_signed()))
        };
        Ok(of("mytism_log")?.max(of("mytism_pending")?))
    }

    fn last_incarnation(&self, node: NodeId) -> Result<u32, StoreError> {
        let sql = "SELECT ifnull(max(incarnation), 0) FROM mytism_log WHERE node = ?";
        Ok(u32::try_from(self.number(sql, [node.0])?).unwrap_or(u32::MAX))
    }

    fn later_reign(&self, epoch: u32) -> Result<Option<u64>, StoreError> {
        // Epochs never go back along the log, so halving finds the place without an index of them.
        let last = self.number("SELECT ifnull(max(number), 0) FROM mytism_log", [])?;
        let (mut until, mut after) =
            (self.number("SELECT ifnull(min(number), 1) FROM mytism_log", [])?.saturating_sub(1), last);
        while until < after {
            let middle = until + (after - until).div_ceil(2);
            let of_entry: Option<u32> =
                self.one("SELECT epoch FROM mytism_log WHERE number = ?", [stored(middle)], |row| row.get(0))?;
            if of_entry.is_some_and(|found| found > epoch) {
                after = middle - 1;
            } else {
                until = middle;
            }
        }
        Ok((until < last).then_some(until + 1))
    }

    fn pending_after(&self, place: i64, rows: u32, bytes: usize) -> Result<Vec<PendingRow>, StoreError> {
        let sql = format!("{PENDING_SELECT} WHERE place > ? ORDER BY place LIMIT {rows}");
        let mut statement = self.connection()?.prepare_cached(&sql)?;
        let found = statement.query_map([place], pending_row)?;
        until_full(found, bytes, |row| row.bytes.len())
    }

    fn pending_ends(&self) -> Result<Option<(i64, i64)>, StoreError> {
        let end = |way| format!("SELECT place FROM mytism_pending ORDER BY place {way} LIMIT 1");
        let lowest: Option<i64> = self.one(&end("ASC"), [], |row| row.get(0))?;
        let highest: Option<i64> = self.one(&end("DESC"), [], |row| row.get(0))?;
        Ok(lowest.zip(highest))
    }

    fn pending_count(&self) -> Result<u64, StoreError> {
        self.number("SELECT count(*) FROM mytism_pending", [])
    }

    fn pending(&self, place: i64) -> Result<Option<PendingRow>, StoreError> {
        self.one(&format!("{PENDING_SELECT} WHERE place = ?"), [place], pending_row)
    }

    fn pending_place(&self, transaction: TransactionId) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT place FROM mytism_pending WHERE node = ? AND incarnation = ? AND counter = ?";
        let name = params![transaction.node.0, transaction.incarnation, stored(transaction.counter)];
        self.one(sql, name, |row| row.get(0))
    }

    fn pending_of(&self, object: ObjectId) -> Result<Vec<i64>, StoreError> {
        self.list("SELECT place FROM mytism_pending_object WHERE object = ? ORDER BY place", [object.get()], |row| {
            row.get(0)
        })
    }

    fn underlay(&self, object: ObjectId) -> Result<Vec<(Slot, Vec<u8>)>, StoreError> {
        let sql = "SELECT attribute, element, value FROM mytism_underlay WHERE object = ? ORDER BY attribute, element";
        self.list(sql, [object.get()], |row| {
            let slot = Slot { attribute: AttributeId(row.get(0)?), element: ObjectId::new(row.get(1)?) };
            Ok((slot, row.get(2)?))
        })
    }

    fn object(&self, object: ObjectId) -> Result<Option<ObjectState>, StoreError> {
        match self.entity_of(object)? {
            Some(entity) => self.load(object, entity),
            None => Ok(None),
        }
    }

    fn is_element(&self, relation: AttributeId, owner: ObjectId, element: ObjectId) -> Result<bool, StoreError> {
        let Some(set) = self.shared.statements.set(relation) else { return Ok(false) };
        self.one(&set.has, [owner.get(), element.get()], |_| Ok(())).map(|found| found.is_some())
    }

    fn elements(&self, relation: AttributeId, owner: ObjectId) -> Result<Vec<ObjectId>, StoreError> {
        let Some(set) = self.shared.statements.set(relation) else { return Ok(Vec::new()) };
        let numbers = self.list(&set.elements, [owner.get()], |row| row.get(0))?;
        Ok(numbers.into_iter().filter_map(ObjectId::new).collect())
    }

    fn find(
        &self,
        entity: EntityId,
        attribute: AttributeId,
        value: &Value,
        rows: u32,
    ) -> Result<Vec<ObjectId>, StoreError> {
        let schema = &self.shared.schema;
        let Some((_, member)) = schema.member_by_id(attribute) else { return Ok(Vec::new()) };
        let concrete = schema.entity_by_id(entity).map_or(&[][..], |found| &found.concrete);
        let column = quoted(self.shared.names.column(attribute));
        let mut found = Vec::new();
        for entity in concrete {
            let table = quoted(self.shared.names.table(*entity));
            let sql = format!("SELECT id FROM {table} WHERE {column} = ? AND _deleted = 0 ORDER BY id LIMIT {rows}");
            found.extend(self.list(&sql, [to_sql(&member.kind, value)], |row| row.get::<_, i64>(0))?);
        }
        found.sort_unstable();
        found.truncate(rows as usize);
        Ok(found.into_iter().filter_map(ObjectId::new).collect())
    }

    fn history_after(&self, object: ObjectId, after: u64) -> Result<Vec<u64>, StoreError> {
        self.list(
            "SELECT number FROM mytism_history WHERE object = ? AND number > ? ORDER BY number",
            [object.get(), stored(after)],
            unsigned,
        )
    }

    fn history_rows(&self, after: (i64, u64), rows: u32) -> Result<Vec<(ObjectId, u64)>, StoreError> {
        let sql = format!(
            "SELECT number, object FROM mytism_history WHERE (object, number) > (?, ?) ORDER BY object, number LIMIT {rows}"
        );
        let found = self.list(&sql, [after.0, stored(after.1)], |row| Ok((row.get::<_, i64>(1)?, unsigned(row)?)))?;
        Ok(found.into_iter().filter_map(|(object, number)| Some((ObjectId::new(object)?, number))).collect())
    }

    fn last_change(&self, object: ObjectId, until: u64) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT number FROM mytism_history WHERE object = ? AND number <= ? ORDER BY number DESC LIMIT 1";
        self.one(sql, [object.get(), stored(until)], unsigned)
    }

    fn pending_objects(&self, after: i64, rows: u32) -> Result<Vec<ObjectId>, StoreError> {
        let sql =
            format!("SELECT DISTINCT object FROM mytism_pending_object WHERE object > ? ORDER BY object LIMIT {rows}");
        let found = self.list(&sql, [after], |row| row.get::<_, i64>(0))?;
        Ok(found.into_iter().filter_map(ObjectId::new).collect())
    }

    fn objects_after(&self, after: i64, rows: u32) -> Result<Vec<ObjectState>, StoreError> {
        let sql = format!("SELECT id, entity FROM mytism_object WHERE id > ? ORDER BY id LIMIT {rows}");
        let ids = self.list(&sql, [after], |row| Ok((row.get(0)?, EntityId(row.get(1)?))))?;
        let mut objects = Vec::with_capacity(ids.len());
        for (number, entity) in ids {
            let id = ObjectId::new(number).ok_or_else(|| damaged(number))?;
            let object = self.load(id, entity)?.ok_or_else(|| damaged(number))?;
            objects.push(self.with_elements(object)?);
        }
        Ok(objects)
    }

    fn objects_of(&self, entity: EntityId, after: i64, rows: u32) -> Result<Vec<ObjectState>, StoreError> {
        let statements = self.shared.statements.entity(entity);
        let statements =
            statements.ok_or_else(|| StoreError::Engine(format!("the schema has no objects of entity #{entity}")))?;
        let mut objects = Vec::new();
        let mut statement = self.connection()?.prepare_cached(&format!("{} LIMIT {rows}", statements.scan))?;
        let mut found = statement.query([after])?;
        while let Some(row) = found.next()? {
            let number: i64 = row.get(META_COUNT + statements.columns.len())?;
            let id = ObjectId::new(number).ok_or_else(|| damaged(number))?;
            objects.push(read_object(id, entity, statements, row)?);
        }
        let Some(last) = objects.last().map(|object| object.id.get()) else { return Ok(objects) };
        for set in &statements.sets {
            let Some(all) = self.shared.statements.set(*set) else { continue };
            let mut places = objects.iter_mut().peekable();
            let mut statement = self.connection()?.prepare_cached(&all.scan)?;
            let mut rows = statement.query([after, last])?;
            while let Some(row) = rows.next()? {
                let (owner, element): (i64, i64) = (row.get(0)?, row.get(1)?);
                while places.next_if(|object| object.id.get() < owner).is_some() {}
                // A set holds the elements of all entities that inherit it; those of others come with them.
                let object = places.peek_mut().filter(|object| object.id.get() == owner);
                if let (Some(object), Some(element)) = (object, ObjectId::new(element)) {
                    object.slots.push((Slot::element(*set, element), Value::Bool(true)));
                }
            }
        }
        Ok(objects)
    }

    fn log_marks(&self, after: u64, rows: u32) -> Result<Vec<(u64, Hash)>, StoreError> {
        self.list(&check::mark_select(rows), [stored(after)], check::mark)
    }

    fn objects_found(&self, after: i64, rows: u32) -> Result<Vec<(ObjectId, Option<ObjectState>)>, StoreError> {
        let sql = format!("SELECT id, entity FROM mytism_object WHERE id > ? ORDER BY id LIMIT {rows}");
        let mut objects = Vec::new();
        for (number, entity) in self.list(&sql, [after], check::noted)? {
            let id = ObjectId::new(number).ok_or_else(|| damaged(number))?;
            let object =
                self.load(id, entity).and_then(|found| found.map(|found| self.with_elements(found)).transpose());
            objects.push((id, object.unwrap_or_default()));
        }
        let mut unnoted = Vec::new();
        let end = end_of_page(&objects, rows);
        for entity in self.shared.statements.entities() {
            let sql = format!("{} LIMIT {rows}", entity.unnoted);
            unnoted.extend(self.list(&sql, [after, end], |row| row.get::<_, i64>(0))?);
        }
        with_unnoted(objects, unnoted, rows)
    }

    fn object_count(&self) -> Result<u64, StoreError> {
        self.shared.statements.entities().try_fold(0, |sum, entity| Ok(sum + self.number(&entity.count, [])?))
    }

    fn query(
        &self,
        query: &Query,
        options: QueryOptions,
        row: &mut dyn FnMut(QueryRow) -> bool,
    ) -> Result<(), StoreError> {
        let compiled = compile(query, &self.shared.schema, &self.shared.names, options);
        let mut statement = self.connection()?.prepare_cached(&compiled.sql)?;
        let mut rows = statement.query(params_from_iter(&compiled.params))?;
        while let Some(found) = rows.next()? {
            let item = if query.select.is_none() {
                let id: i64 = found.get(0)?;
                let object = ObjectId::new(id).ok_or_else(|| damaged(id))?;
                let object = self.load(object, EntityId(found.get(1)?))?.ok_or_else(|| damaged(id))?;
                QueryRow::Object(Box::new(object))
            } else {
                let values = compiled.columns.iter().enumerate();
                let values = values.map(|(index, (_, kind))| from_result(kind, found.get_ref(index)?));
                QueryRow::Values(values.collect::<Result<_, StoreError>>()?)
            };
            if !row(item) {
                break;
            }
        }
        Ok(())
    }

    fn explain(&self, query: &Query, options: QueryOptions) -> Result<Explanation, StoreError> {
        let compiled = compile(query, &self.shared.schema, &self.shared.names, options);
        let sql = format!("EXPLAIN QUERY PLAN {}", compiled.sql);
        let plan = self.list(&sql, params_from_iter(&compiled.params), |row| row.get::<_, String>(3))?;
        let indexes = used_indexes(&plan, &self.shared.schema);
        Ok(Explanation { sql: compiled.sql, values: compiled.values, indexes, plan })
    }

    fn quarantine(&self) -> Result<Vec<QuarantineRow>, StoreError> {
        self.list("SELECT number, code, reason FROM mytism_quarantine ORDER BY number", [], |row| {
            Ok(QuarantineRow { number: unsigned(row)?, code: row.get(1)?, reason: row.get(2)? })
        })
    }

    fn journal_after(&self, after: u64, rows: u32, bytes: usize) -> Result<Vec<JournalRow>, StoreError> {
        let sql = format!("{JOURNAL_SELECT} WHERE sequence > ? ORDER BY sequence LIMIT {rows}");
        let mut statement = self.connection()?.prepare_cached(&sql)?;
        let found = statement.query_map([stored(after)], journal_row)?;
        until_full(found, bytes, |row| row.changes.as_ref().map_or(0, Vec::len))
    }

    fn journal_before(&self, before: u64, rows: u32, bytes: usize) -> Result<Vec<JournalRow>, StoreError> {
        let sql = format!("{JOURNAL_SELECT} WHERE sequence < ? ORDER BY sequence DESC LIMIT {rows}");
        let mut statement = self.connection()?.prepare_cached(&sql)?;
        let found = statement.query_map([stored(before)], journal_row)?;
        until_full(found, bytes, |row| row.changes.as_ref().map_or(0, Vec::len))
    }

    fn journal_bounds(&self) -> Result<(u64, u64), StoreError> {
        let first = self.number("SELECT sequence FROM mytism_journal ORDER BY sequence LIMIT 1", [])?;
        Ok((first, self.number("SELECT sequence FROM mytism_journal ORDER BY sequence DESC LIMIT 1", [])?))
    }

    fn journal_aged(&self, before: Timestamp, rows: u32) -> Result<u64, StoreError> {
        let first = format!("SELECT sequence, at FROM mytism_journal ORDER BY sequence LIMIT {rows}");
        self.number(&format!("SELECT ifnull(max(sequence), 0) FROM ({first}) WHERE at < ?"), [before.micros()])
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT value FROM mytism_meta WHERE key = ?", [key], |row| row.get(0))
    }

    fn kept(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = "SELECT key, value FROM mytism_meta WHERE key NOT IN (?, ?) ORDER BY key";
        self.list(sql, [FORMAT_KEY, SCHEMA_KEY], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.shared.schema
    }

    fn copy_to(&self, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
        copy::copy(self.connection()?, path, progress)
    }

    fn damages(&self) -> Result<Vec<String>, StoreError> {
        copy::damages(self.connection()?, &self.shared)
    }

    fn foreign_tables(&self) -> Result<Vec<String>, StoreError> {
        copy::foreign_tables(self.connection()?, &self.shared)
    }

    fn overlay(&mut self, objects: &[OtherObject]) -> Result<(), StoreError> {
        let mut overlay = self.overlay.take().unwrap_or_default();
        let laid = self
            .connection()
            .and_then(|connection| objects.iter().try_for_each(|object| overlay.lay(connection, &self.shared, object)));
        self.overlay = Some(overlay);
        laid
    }
}

// Limits stand in the text of a statement: the engine plans a statement anew whenever a bound limit changes or is bound.

const LOG_SELECT: &str =
    "SELECT number, epoch, hash, committed_at, node, incarnation, counter, entry, bytes FROM mytism_log";
const PENDING_SELECT: &str = "SELECT counter, node, incarnation, bytes, place FROM mytism_pending";

const JOURNAL_SELECT: &str =
    "SELECT sequence, at, cause, node, incarnation, counter, position, changes FROM mytism_journal";

fn log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    Ok(LogRow {
        position: Position { number: unsigned(row)?, epoch: row.get(1)? },
        hash: Hash(row.get(2)?),
        committed_at: timestamp(row.get(3)?),
        transaction: TransactionId {
            node: NodeId(row.get(4)?),
            incarnation: row.get(5)?,
            counter: row.get::<_, i64>(6)?.cast_unsigned(),
        },
        entry: row.get(7)?,
        bytes: row.get(8)?,
    })
}

fn journal_row(row: &Row<'_>) -> rusqlite::Result<JournalRow> {
    let cause: u8 = row.get(2)?;
    Ok(JournalRow {
        sequence: unsigned(row)?,
        at: timestamp(row.get(1)?),
        cause: Cause::of(cause).ok_or(rusqlite::Error::IntegralValueOutOfRange(2, i64::from(cause)))?,
        transaction: TransactionId {
            node: NodeId(row.get(3)?),
            incarnation: row.get(4)?,
            counter: row.get::<_, i64>(5)?.cast_unsigned(),
        },
        position: row.get::<_, Option<i64>>(6)?.map(i64::cast_unsigned),
        changes: row.get(7)?,
    })
}

fn pending_row(row: &Row<'_>) -> rusqlite::Result<PendingRow> {
    let transaction = TransactionId { counter: unsigned(row)?, node: NodeId(row.get(1)?), incarnation: row.get(2)? };
    Ok(PendingRow { place: row.get(4)?, transaction, bytes: row.get(3)? })
}

fn read_object(
    id: ObjectId,
    entity: EntityId,
    statements: &EntityStatements,
    row: &Row<'_>,
) -> Result<ObjectState, StoreError> {
    let mut slots = Vec::with_capacity(statements.columns.len());
    for (index, (attribute, kind)) in statements.columns.iter().enumerate() {
        let value = from_sql(kind, row.get_ref(META_COUNT + index)?)?;
        if !value.is_null() {
            slots.push((Slot::attribute(*attribute), value));
        }
    }
    Ok(ObjectState { id, entity, meta: read_meta(row)?, slots })
}

fn read_meta(row: &Row<'_>) -> Result<ObjectMeta, StoreError> {
    let stamp = |first: usize| -> Result<Stamp, StoreError> {
        let user: i64 = row.get(first + 1)?;
        Ok(Stamp {
            time: timestamp(row.get(first)?),
            user: ObjectId::new(user).ok_or_else(|| damaged(user))?,
            node: NodeId(row.get(first + 2)?),
        })
    };
    Ok(ObjectMeta {
        created: stamp(0)?,
        changed: stamp(3)?,
        version: row.get::<_, Option<i64>>(6)?.map(i64::cast_unsigned),
        life: if row.get::<_, bool>(7)? { Life::Deleted } else { Life::Alive },
    })
}

/// Takes rows until together they hold `bytes`; one at least, so that nobody waits for ever behind a large one.
fn until_full<T>(
    rows: impl Iterator<Item = rusqlite::Result<T>>,
    bytes: usize,
    size: impl Fn(&T) -> usize,
) -> Result<Vec<T>, StoreError> {
    let mut taken = Vec::new();
    let mut sum = 0;
    for row in rows {
        let row = row?;
        sum += size(&row);
        taken.push(row);
        if sum >= bytes {
            break;
        }
    }
    Ok(taken)
}

fn unsigned(row: &Row<'_>) -> rusqlite::Result<u64> {
    row.get::<_, i64>(0).map(i64::cast_unsigned)
}

/// A number as the engine keeps it; a larger one finds nothing.
fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn timestamp(micros: i64) -> Timestamp {
    Timestamp::saturating_from_micros(micros)
}

fn damaged(id: i64) -> StoreError {
    StoreError::Damaged(format!("object {id} stands in one table and is missing in another"))
}
