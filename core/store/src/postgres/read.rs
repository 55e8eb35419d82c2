//! Rows as they come over the line, as what they stand for.

use std::collections::HashMap;

use mytism_core::change::{Life, ObjectMeta, Slot, Stamp};
use mytism_core::id::{EntityId, Hash, NodeId, ObjectId, Position, TransactionId};
use mytism_core::journal::Cause;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::column::{Stored, from_result, from_sql};
use super::statements::{EntityStatements, META_COUNT};
use crate::{JournalRow, LogRow, PendingRow, QuarantineRow, StoreError};
use mytism_core::query::ResultKind;

pub(super) const LOG_COLUMNS: &str = "number, epoch, hash, committed_at, node, incarnation, counter, entry, bytes";
pub(super) const PENDING_COLUMNS: &str = "place, node, incarnation, counter, bytes";
pub(super) const JOURNAL_COLUMNS: &str = "sequence, at, cause, node, incarnation, counter, position, changes";

/// What stands in a column; what does not have its type is damage.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| StoreError::Damaged(error.to_string()))
}

pub(super) fn unsigned(row: &Row) -> Result<u64, StoreError> {
    get::<i64>(row, 0).map(i64::cast_unsigned)
}

pub(super) fn small(row: &Row, column: usize) -> Result<u32, StoreError> {
    let number: i64 = get(row, column)?;
    u32::try_from(number)
        .map_err(|_| StoreError::Damaged(format!("{number} stands where a smaller number is expected")))
}

fn transaction(row: &Row, first: usize) -> Result<TransactionId, StoreError> {
    Ok(TransactionId {
        node: NodeId(small(row, first)?),
        incarnation: small(row, first + 1)?,
        counter: get::<i64>(row, first + 2)?.cast_unsigned(),
    })
}

pub(super) fn hash(row: &Row, column: usize) -> Result<Hash, StoreError> {
    let bytes: &[u8] = get(row, column)?;
    let bytes = bytes.try_into().map_err(|_| StoreError::Damaged(format!("a hash has {} bytes", bytes.len())))?;
    Ok(Hash(bytes))
}

pub(super) fn log_row(row: &Row) -> Result<LogRow, StoreError> {
    Ok(LogRow {
        position: Position { number: unsigned(row)?, epoch: small(row, 1)? },
        hash: hash(row, 2)?,
        committed_at: Timestamp::saturating_from_micros(get(row, 3)?),
        transaction: transaction(row, 4)?,
        entry: get(row, 7)?,
        bytes: get(row, 8)?,
    })
}

pub(super) fn pending_row(row: &Row) -> Result<PendingRow, StoreError> {
    Ok(PendingRow { place: get(row, 0)?, transaction: transaction(row, 1)?, bytes: get(row, 4)? })
}

pub(super) fn journal_row(row: &Row) -> Result<JournalRow, StoreError> {
    let cause: i64 = get(row, 2)?;
    let known = u8::try_from(cause).ok().and_then(Cause::of);
    Ok(JournalRow {
        sequence: unsigned(row)?,
        at: Timestamp::saturating_from_micros(get(row, 1)?),
        cause: known.ok_or_else(|| StoreError::Damaged(format!("the journal has the unknown cause {cause}")))?,
        transaction: transaction(row, 3)?,
        position: get::<Option<i64>>(row, 6)?.map(i64::cast_unsigned),
        changes: get(row, 7)?,
    })
}

pub(super) fn quarantine_row(row: &Row) -> Result<QuarantineRow, StoreError> {
    Ok(QuarantineRow { number: unsigned(row)?, code: get(row, 1)?, reason: get(row, 2)? })
}

/// The object in a row of its table, without the elements of its sets.
pub(super) fn object(entity: EntityId, statements: &EntityStatements, row: &Row) -> Result<ObjectState, StoreError> {
    let id = object_id(get(row, 0)?)?;
    let mut slots = Vec::with_capacity(statements.columns.len());
    for (index, (attribute, kind)) in statements.columns.iter().enumerate() {
        let value = from_sql(kind, &get::<Stored<'_>>(row, 1 + META_COUNT + index)?)?;
        if !value.is_null() {
            slots.push((Slot::attribute(*attribute), value));
        }
    }
    Ok(ObjectState { id, entity, meta: meta(row)?, slots })
}

fn meta(row: &Row) -> Result<ObjectMeta, StoreError> {
    let stamp = |first: usize| -> Result<Stamp, StoreError> {
        let time = match from_result(&ResultKind::Datetime, &get::<Stored<'_>>(row, first)?)? {
            Value::Datetime(time) => time,
            other => return Err(StoreError::Damaged(format!("{other:?} stands where a time is expected"))),
        };
        Ok(Stamp { time, user: object_id(get(row, first + 1)?)?, node: NodeId(small(row, first + 2)?) })
    };
    Ok(ObjectMeta {
        created: stamp(1)?,
        changed: stamp(4)?,
        version: get::<Option<i64>>(row, 7)?.map(i64::cast_unsigned),
        life: if get(row, 8)? { Life::Deleted } else { Life::Alive },
    })
}

pub(super) fn object_id(id: i64) -> Result<ObjectId, StoreError> {
    ObjectId::new(id).ok_or_else(|| damaged(id))
}

pub(super) fn damaged(id: i64) -> StoreError {
    StoreError::Damaged(format!("object {id} stands in one table and is missing in another"))
}

/// Puts the elements of sets to their owners; a set holds those of all entities that inherit it.
pub(super) fn add_elements(
    objects: &mut HashMap<ObjectId, ObjectState>,
    relation: mytism_core::id::AttributeId,
    rows: &[Row],
) -> Result<(), StoreError> {
    for row in rows {
        let (owner, element) = (get(row, 0)?, get(row, 1)?);
        let owner = ObjectId::new(owner).and_then(|owner| objects.get_mut(&owner));
        if let (Some(owner), Some(element)) = (owner, ObjectId::new(element)) {
            owner.slots.push((Slot::element(relation, element), Value::Bool(true)));
        }
    }
    Ok(())
}
