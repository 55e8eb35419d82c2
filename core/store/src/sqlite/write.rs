//! A batch, statement by statement, in one transaction of the engine.

use mytism_core::change::{Life, ObjectMeta, Slot};
use mytism_core::id::{AttributeId, EntityId, ObjectId};
use mytism_core::schema::Kind;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params, params_from_iter};

use super::Shared;
use super::check;
use super::column::to_sql;
use super::names::quoted;
use super::reshape::reshape;
use super::statements::{EntityStatements, META_COUNT};
use crate::{Batch, JournalRow, LogRow, PendingRow, StoreError, Write};

pub(super) fn commit(connection: &Connection, shared: &Shared, batch: &Batch) -> Result<(), StoreError> {
    // These statements are kept prepared, which a transaction of the library does not do.
    let run = |sql| -> Result<(), StoreError> { Ok(connection.prepare_cached(sql)?.execute([]).map(drop)?) };
    if !connection.is_autocommit() {
        // A panic left it behind.
        run("ROLLBACK")?;
    }
    run("BEGIN IMMEDIATE")?;
    let applied = batch.iter().try_for_each(|write| apply(connection, shared, write));
    let was_whole = applied.is_ok();
    let written = applied.and_then(|()| run("COMMIT"));
    if written.is_err() && !connection.is_autocommit() {
        // Where even this fails, nothing is committed all the same, and the next commit tries it again.
        let _tried = run("ROLLBACK");
    }
    if written.is_err() && was_whole {
        withdraw(connection);
    }
    written
}

/// Makes sure that a commit which failed at its very end does not come back to life.
///
/// The log of writes may hold it whole by then, so that the next start would find it, though it was refused. Writing
/// something else takes the place of its beginning, and what begins wrong is void. The engine leaves out what changes
/// nothing, so a number that means nothing counts up.
fn withdraw(connection: &Connection) {
    let count = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0));
    // Where the disk still fails, the next save that succeeds does the same.
    let _still_failing = count.and_then(|count| connection.pragma_update(None, "user_version", count.wrapping_add(1)));
}

pub(super) fn apply(connection: &Connection, shared: &Shared, write: &Write) -> Result<(), StoreError> {
    let run = |sql: &str, params: &dyn Fn(&mut rusqlite::CachedStatement<'_>) -> rusqlite::Result<usize>| {
        connection.prepare_cached(sql).and_then(|mut statement| params(&mut statement))
    };
    match write {
        Write::Log(row) => log(connection, row)?,
        Write::Pending(row) => pending(connection, row)?,
        Write::Settled(place) => {
            run("DELETE FROM mytism_pending WHERE place = ?", &|s| s.execute([place]))?;
            run("DELETE FROM mytism_pending_object WHERE place = ?", &|s| s.execute([place]))?;
        }
        Write::Unlog { number, objects } => unlog(connection, *number, objects)?,
        Write::Insert(object) => insert(connection, shared, object)?,
        Write::Update { object, entity, meta, columns } => {
            update(connection, shared, *object, *entity, meta, columns)?;
        }
        Write::Remove { object, entity } => remove(connection, shared, *object, *entity)?,
        Write::Element { relation, owner, element, present } => {
            let set = shared.statements.set(*relation).ok_or_else(|| unknown("relation", relation.0))?;
            let sql = if *present { &set.insert } else { &set.delete };
            run(sql, &|s| s.execute([owner.get(), element.get()]))?;
        }
        Write::History { object, number } => {
            let number = stored(*number)?;
            run("INSERT OR IGNORE INTO mytism_history(object, number) VALUES (?, ?)", &|s| {
                s.execute([object.get(), number])
            })?;
        }
        Write::Touch { object, place } => {
            run("INSERT OR IGNORE INTO mytism_pending_object(object, place) VALUES (?, ?)", &|s| {
                s.execute([object.get(), *place])
            })?;
        }
        Write::Underlay { object, slot, value } => underlay(connection, *object, *slot, value.as_deref())?,
        Write::Quarantine(row) => {
            let number = stored(row.number)?;
            run("INSERT OR REPLACE INTO mytism_quarantine(number, code, reason) VALUES (?, ?, ?)", &|s| {
                s.execute(params![number, row.code, row.reason])
            })?;
        }
        Write::Journal(row) => journal(connection, row)?,
        Write::JournalChanges { sequence, changes } => {
            let sequence = stored(*sequence)?;
            run("UPDATE mytism_journal SET changes = ? WHERE sequence = ?", &|s| {
                s.execute(params![changes, sequence])
            })?;
        }
        Write::TrimJournal(up_to) => {
            let up_to = stored(*up_to)?;
            let sql = "DELETE FROM mytism_journal
                       WHERE sequence <= ? AND sequence < (SELECT max(sequence) FROM mytism_journal)";
            run(sql, &|s| s.execute([up_to]))?;
        }
        Write::MendLog(row) => check::mend_log(connection, row)?,
        Write::MendObject { object, state, history, floor } => {
            check::mend_object(connection, shared, *object, state.as_deref(), history, *floor)?;
        }
        Write::Schema { schema, number } => reshape(connection, shared, schema, *number)?,
        Write::Put { key, value } => {
            run("INSERT OR REPLACE INTO mytism_meta(key, value) VALUES (?, ?)", &|s| s.execute(params![key, value]))?;
        }
    }
    Ok(())
}

pub(super) fn log(connection: &Connection, row: &LogRow) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO mytism_log(number, epoch, hash, committed_at, node, incarnation, counter, entry, bytes)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    statement.execute(params![
        stored(row.position.number)?,
        row.position.epoch,
        row.hash.0,
        row.committed_at.micros(),
        row.transaction.node.0,
        row.transaction.incarnation,
        stored(row.transaction.counter)?,
        row.entry,
        row.bytes,
    ])?;
    Ok(())
}

fn pending(connection: &Connection, row: &PendingRow) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO mytism_pending(place, node, incarnation, counter, bytes) VALUES (?, ?, ?, ?, ?)",
    )?;
    let id = row.transaction;
    statement.execute(params![row.place, id.node.0, id.incarnation, stored(id.counter)?, row.bytes])?;
    Ok(())
}

/// Takes the last entry of the log away, with its index and its refusal.
fn unlog(connection: &Connection, number: u64, objects: &[ObjectId]) -> Result<(), StoreError> {
    let number = stored(number)?;
    let mut history = connection.prepare_cached("DELETE FROM mytism_history WHERE object = ? AND number = ?")?;
    objects.iter().try_for_each(|object| history.execute([object.get(), number]).map(drop))?;
    connection.prepare_cached("DELETE FROM mytism_quarantine WHERE number = ?")?.execute([number])?;
    let gone = connection.prepare_cached("DELETE FROM mytism_log WHERE number = ?")?.execute([number])?;
    if gone == 1 { Ok(()) } else { Err(StoreError::Damaged(format!("the log has no entry {number} to take back"))) }
}

fn journal(connection: &Connection, row: &JournalRow) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO mytism_journal(sequence, at, cause, node, incarnation, counter, position, changes)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    statement.execute(params![
        stored(row.sequence)?,
        row.at.micros(),
        row.cause.code(),
        row.transaction.node.0,
        row.transaction.incarnation,
        stored(row.transaction.counter)?,
        row.position.map(stored).transpose()?,
        row.changes,
    ])?;
    Ok(())
}

pub(super) fn insert(connection: &Connection, shared: &Shared, object: &ObjectState) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO mytism_object(id, entity) VALUES (?, ?)")?
        .execute(params![object.id.get(), object.entity.0])?;
    insert_row(connection, shared, object)
}

/// Makes an object but for the note which entity it is of.
fn insert_row(connection: &Connection, shared: &Shared, object: &ObjectState) -> Result<(), StoreError> {
    let statements = entity_statements(shared, object.entity)?;
    let mut statement = connection.prepare_cached(&statements.insert)?;
    insert_with(&mut statement, statements, object)?;
    elements(connection, shared, object)
}

/// Makes many objects but for the notes which entities they are of. Looking for the statement costs as much as a column
/// does, so that it is looked for where the entity changes.
pub(super) fn insert_rows(connection: &Connection, shared: &Shared, objects: &[ObjectState]) -> Result<(), StoreError> {
    for alike in objects.chunk_by(|one, next| one.entity == next.entity) {
        let Some(first) = alike.first() else { continue };
        let statements = entity_statements(shared, first.entity)?;
        let mut statement = connection.prepare_cached(&statements.insert)?;
        for object in alike {
            insert_with(&mut statement, statements, object)?;
            elements(connection, shared, object)?;
        }
    }
    Ok(())
}

fn insert_with(
    statement: &mut rusqlite::CachedStatement<'_>,
    statements: &EntityStatements,
    object: &ObjectState,
) -> Result<(), StoreError> {
    let mut place = 1;
    let mut bind = |value: &Sql| {
        let bound = statement.raw_bind_parameter(place, value);
        place += 1;
        bound
    };
    bind(&Sql::Integer(object.id.get()))?;
    meta_values(&object.meta)?.iter().try_for_each(&mut bind)?;
    for (attribute, kind) in &statements.columns {
        let slot = Slot::attribute(*attribute);
        let value = object.slots.iter().find(|(found, _)| *found == slot).map_or(&Value::Null, |(_, value)| value);
        bind(&to_sql(kind, value))?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// Puts the elements of an object into its sets.
fn elements(connection: &Connection, shared: &Shared, object: &ObjectState) -> Result<(), StoreError> {
    for (slot, value) in &object.slots {
        if let (Some(element), Value::Bool(true)) = (slot.element, value) {
            let set = shared.statements.set(slot.attribute).ok_or_else(|| unknown("relation", slot.attribute.0))?;
            connection.prepare_cached(&set.insert)?.execute([object.id.get(), element.get()])?;
        }
    }
    Ok(())
}

fn update(
    connection: &Connection,
    shared: &Shared,
    object: ObjectId,
    entity: EntityId,
    meta: &ObjectMeta,
    columns: &[(AttributeId, Value)],
) -> Result<(), StoreError> {
    let statements = entity_statements(shared, entity)?;
    // Only what changes is named, since an index is touched for each column that is.
    let mut sql = format!(
        "UPDATE {} SET _created_time = ?, _created_user = ?, _created_node = ?, _changed_time = ?, _changed_user = ?, \
         _changed_node = ?, _version = ?, _deleted = ?",
        quoted(shared.names.table(entity))
    );
    let mut values = meta_values(&meta.clone())?.to_vec();
    for (attribute, value) in columns {
        let kind = column_kind(statements, *attribute)?;
        sql.push_str(&format!(", {} = ?", quoted(shared.names.column(*attribute))));
        values.push(to_sql(kind, value));
    }
    sql.push_str(" WHERE id = ?");
    values.push(Sql::Integer(object.get()));
    let changed = connection.prepare_cached(&sql)?.execute(params_from_iter(values))?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Damaged(format!("object {object} has no row in its table"))) }
}

fn remove(connection: &Connection, shared: &Shared, object: ObjectId, entity: EntityId) -> Result<(), StoreError> {
    let statements = entity_statements(shared, entity)?;
    connection.prepare_cached("DELETE FROM mytism_object WHERE id = ?")?.execute([object.get()])?;
    connection.prepare_cached(&statements.delete)?.execute([object.get()])?;
    for set in &statements.sets {
        let set = shared.statements.set(*set).ok_or_else(|| unknown("relation", set.0))?;
        connection.prepare_cached(&set.delete_all)?.execute([object.get()])?;
    }
    Ok(())
}

fn underlay(connection: &Connection, object: ObjectId, slot: Slot, value: Option<&[u8]>) -> Result<(), StoreError> {
    let element = slot.element.map_or(0, ObjectId::get);
    match value {
        Some(value) => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO mytism_underlay(object, attribute, element, value) VALUES (?, ?, ?, ?)",
            )?
            .execute(params![object.get(), slot.attribute.0, element, value])?,
        None => connection
            .prepare_cached("DELETE FROM mytism_underlay WHERE object = ? AND attribute = ? AND element = ?")?
            .execute(params![object.get(), slot.attribute.0, element])?,
    };
    Ok(())
}

/// Bookkeeping in the order of its columns.
pub(super) fn meta_values(meta: &ObjectMeta) -> Result<[Sql; META_COUNT], StoreError> {
    let version = match meta.version {
        Some(number) => Sql::Integer(stored(number)?),
        None => Sql::Null,
    };
    Ok([
        Sql::Integer(meta.created.time.micros()),
        Sql::Integer(meta.created.user.get()),
        Sql::Integer(i64::from(meta.created.node.0)),
        Sql::Integer(meta.changed.time.micros()),
        Sql::Integer(meta.changed.user.get()),
        Sql::Integer(i64::from(meta.changed.node.0)),
        version,
        Sql::Integer(i64::from(meta.life == Life::Deleted)),
    ])
}

fn entity_statements(shared: &Shared, entity: EntityId) -> Result<&EntityStatements, StoreError> {
    shared.statements.entity(entity).ok_or_else(|| unknown("entity", entity.0))
}

fn column_kind(statements: &EntityStatements, attribute: AttributeId) -> Result<&Kind, StoreError> {
    let found = statements.columns.iter().find(|(id, _)| *id == attribute);
    found.map(|(_, kind)| kind).ok_or_else(|| unknown("attribute", attribute.0))
}

fn unknown(what: &str, id: u32) -> StoreError {
    StoreError::Engine(format!("the schema of this database knows no {what} #{id}"))
}

/// A number as the engine keeps it.
pub(super) fn stored(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Engine(format!("the number {number} is too large")))
}
