//! Databases of former formats, brought to this one when they are opened, step by step in one transaction each, so that
//! a program that is killed meanwhile goes on where it stopped. What is newer is refused.

use rusqlite::Connection;

use super::FORMAT_KEY;
use crate::StoreError;

/// What makes each format from the one before, the first step format 2.
const STEPS: &[&str] = &[super::tables::CREATE_JOURNAL];

/// Brings a database of the format `found` to that of this program.
pub(super) fn to_this_format(connection: &mut Connection, found: u32) -> Result<(), StoreError> {
    for (to, step) in (2..).zip(STEPS).filter(|(to, _)| *to > found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
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
