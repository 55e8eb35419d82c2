//! What a database holds, as another one can be compared with it, and the mending of what differs. Reads what damaged
//! rows leave to be read, where all other readers take them for an error.

use mytism_core::id::{EntityId, Hash, ObjectId};
use mytism_format::hash;
use mytism_format::object::ObjectState;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::Shared;
use super::write::{insert, log, stored};
use crate::{LogRow, StoreError};

/// Everything that is kept of an entry, a damaged column included.
pub(super) fn mark_select(rows: u32) -> String {
    format!(
        "SELECT l.number, l.epoch, l.hash, l.committed_at, l.node, l.incarnation, l.counter, l.entry, l.bytes,
                q.code, q.reason
         FROM mytism_log l LEFT JOIN mytism_quarantine q ON q.number = l.number
         WHERE l.number > ? ORDER BY l.number LIMIT {rows}"
    )
}

/// The number of an entry, and the digest of all that is kept of it.
pub(super) fn mark(row: &Row<'_>) -> rusqlite::Result<(u64, Hash)> {
    let number: i64 = row.get(0)?;
    let mut bytes = Vec::new();
    for column in 0..row.as_ref().column_count() {
        let (kind, content): (u8, &[u8]) = match row.get_ref(column)? {
            ValueRef::Null => (0, &[]),
            ValueRef::Integer(number) => {
                bytes.push(1);
                bytes.extend_from_slice(&number.to_be_bytes());
                continue;
            }
            ValueRef::Real(number) => {
                bytes.push(2);
                bytes.extend_from_slice(&number.to_be_bytes());
                continue;
            }
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(blob) => (4, blob),
        };
        bytes.push(kind);
        bytes.extend_from_slice(&(content.len() as u64).to_be_bytes());
        bytes.extend_from_slice(content);
    }
    Ok((number.unsigned_abs(), hash::chunk(&bytes)))
}

/// Puts an entry in the place of what is there.
pub(super) fn mend_log(connection: &Connection, row: &LogRow) -> Result<(), StoreError> {
    let number = stored(row.position.number)?;
    connection.prepare_cached("DELETE FROM mytism_log WHERE number = ?")?.execute([number])?;
    connection.prepare_cached("DELETE FROM mytism_quarantine WHERE number = ?")?.execute([number])?;
    log(connection, row)
}

/// Puts an object with its sets and its history above a floor in the place of what is there in the tables of some
/// entities.
pub(super) fn mend_object(
    connection: &Connection,
    shared: &Shared,
    object: ObjectId,
    state: Option<&ObjectState>,
    history: &[u64],
    floor: u64,
) -> Result<(), StoreError> {
    let id = object.get();
    connection.prepare_cached("DELETE FROM mytism_object WHERE id = ?")?.execute([id])?;
    for entity in shared.statements.entities() {
        connection.prepare_cached(&entity.delete)?.execute([id])?;
    }
    for set in shared.statements.sets() {
        connection.prepare_cached(&set.delete_all)?.execute([id])?;
    }
    let floor = stored(floor)?;
    connection.prepare_cached("DELETE FROM mytism_history WHERE object = ? AND number > ?")?.execute([id, floor])?;
    let mut note = connection.prepare_cached("INSERT OR IGNORE INTO mytism_history(object, number) VALUES (?, ?)")?;
    for number in history {
        note.execute([id, stored(*number)?])?;
    }
    state.map_or(Ok(()), |state| insert(connection, shared, state))
}

/// The entity that an object is noted under, with the object.
pub(super) fn noted(row: &Row<'_>) -> rusqlite::Result<(i64, EntityId)> {
    Ok((row.get(0)?, EntityId(row.get(1)?)))
}
