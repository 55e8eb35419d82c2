//! Databases of former formats, brought to this one when they are opened, step by step in one transaction each, so that
//! a program that is killed meanwhile goes on where it stopped. What is newer is refused.

use rusqlite::Connection;

use super::FORMAT_KEY;
use crate::StoreError;

/// What makes each format from the one before, statement by statement; the first step makes format 2.
const STEPS: &[&[&str]] =
    &[&[super::tables::CREATE_JOURNAL], &[PUT_ASIDE, super::tables::CREATE_PENDING, TAKE_FROM_ASIDE]];

/// An index keeps its name when its table is renamed, so it goes first.
const PUT_ASIDE: &str = "
DROP INDEX mytism_pending_object_counter;
ALTER TABLE mytism_pending RENAME TO mytism_former_pending;
ALTER TABLE mytism_pending_object RENAME TO mytism_former_pending_object;
";

/// Where only own transactions were pending, their counters are their places.
const TAKE_FROM_ASIDE: &str = "
INSERT INTO mytism_pending(place, node, incarnation, counter, bytes)
    SELECT counter, node, incarnation, counter, bytes FROM mytism_former_pending;
INSERT INTO mytism_pending_object(object, place) SELECT object, counter FROM mytism_former_pending_object;
DROP TABLE mytism_former_pending;
DROP TABLE mytism_former_pending_object;
";

/// Brings a database of the format `found` to that of this program.
pub(super) fn to_this_format(connection: &mut Connection, found: u32) -> Result<(), StoreError> {
    for (to, step) in (2..).zip(STEPS).filter(|(to, _)| *to > found) {
        let transaction = connection.transaction()?;
        step.iter().try_for_each(|statements| transaction.execute_batch(statements))?;
        let changed = "UPDATE mytism_meta SET value = ? WHERE key = ?";
        transaction.execute(changed, (u32::to_be_bytes(to), FORMAT_KEY))?;
        transaction.commit()?;
    }
    Ok(())
}

/// The format of a database; one that does not say it is damaged.
pub(super) fn format(connection: &Connection) -> Result<u32, StoreError> {
    let sql = "SELECT value FROM mytism_meta WHERE key = ?";
    let bytes = connection.query_row(sql, [FORMAT_KEY], |row| row.get::<_, Vec<u8>>(0))?;
    match bytes.try_into().map_or(0, u32::from_be_bytes) {
        0 => Err(StoreError::Damaged("its format is not a number from 1 up".to_owned())),
        found => Ok(found),
    }
}
