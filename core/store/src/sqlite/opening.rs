//! From a path to a connection that may write: making a database whole or not at all, and telling what is wrong with
//! one that is there before anything about it changes.
//!
//! All tables and the schema are made in one transaction, so a database without tables is one whose making was broken
//! off. Nobody ever saved anything into it, and making it again takes its place. A file that lost its content looks
//! the same only if it lost all of it, its log of writes included.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mytism_core::schema::Schema;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::names::Names;
use super::{FORMAT_KEY, SCHEMA_KEY, connect, ddl, log_of_writes, migrate, tables};
use crate::StoreError;

/// Makes the database. One whose making was broken off is made anew; where it fails, nothing is left.
pub(super) fn create(path: &Path, schema: &Schema, names: &Names) -> Result<Connection, StoreError> {
    anew(path, || make(path, schema, names))
}

/// Makes a database that is to be filled in one go: without indexes, and nothing of it is safe before it is synced as a
/// whole.
pub(super) fn create_for_filling(path: &Path, schema: &Schema, names: &Names) -> Result<Connection, StoreError> {
    /// Pages in memory. What lies in a table's or an index's order needs few.
    const CACHE_KIB: i32 = 8_192;
    anew(path, || {
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // What is sorted for an index is as large as that index.
        connection.pragma_update(None, "temp_store", "FILE")?;
        fill_in(&mut connection, schema, &ddl::create_bare_tables(schema, names))?;
        Ok(connection)
    })
}

/// Lets the engine sort what goes into indexes on a thread beside, in pieces of the size of the cache.
pub(super) fn prepare_for_indexes(connection: &Connection) -> Result<(), StoreError> {
    /// Sorted at once; three such pieces are there at most, while little else is.
    const CACHE_KIB: i32 = 16_384;
    connection.pragma_update(None, "threads", 2)?;
    Ok(connection.pragma_update(None, "cache_size", -CACHE_KIB)?)
}

fn anew(path: &Path, make: impl FnOnce() -> Result<Connection, StoreError>) -> Result<Connection, StoreError> {
    match look(path)? {
        Found::Nothing => {}
        Found::Unfinished => remove(path)?,
        Found::Something => return Err(StoreError::Exists { path: path.to_owned() }),
    }
    let made = make();
    if made.is_err() {
        // The failure is what is reported; what remains is unfinished, and made anew the next time.
        let _remains = remove(path);
    }
    made
}

fn make(path: &Path, schema: &Schema, names: &Names) -> Result<Connection, StoreError> {
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    fill_in(&mut connection, schema, &ddl::create_tables(schema, names))?;
    Ok(connection)
}

/// All tables and what the database says about itself, in one transaction.
fn fill_in(connection: &mut Connection, schema: &Schema, tables: &[String]) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(tables::CREATE)?;
    transaction.execute_batch(tables::CREATE_JOURNAL)?;
    transaction.execute_batch(tables::CREATE_PENDING)?;
    for statement in tables {
        transaction.execute_batch(statement)?;
    }
    let definition = mytism_format::schema::write(schema.def())?;
    let mut insert = transaction.prepare("INSERT INTO mytism_meta(key, value) VALUES (?, ?)")?;
    insert.execute((FORMAT_KEY, tables::FORMAT.to_be_bytes()))?;
    insert.execute((SCHEMA_KEY, definition))?;
    drop(insert);
    Ok(transaction.commit()?)
}

/// Opens the database and reads its schema.
pub(super) fn open(path: &Path) -> Result<(Connection, Schema), StoreError> {
    if !path.is_file() {
        let source = ErrorKind::InvalidInput.into();
        return Err(StoreError::File { action: "there must be a file at", path: path.to_owned(), source });
    }
    if is_empty(path) {
        // The engine would take it for a new database, and throw the log of writes away.
        return Err(match is_empty(&log_path(path)) {
            true => StoreError::Unfinished { path: path.to_owned() },
            false => StoreError::Damaged(format!("{} is empty, but its log of writes is not", path.display())),
        });
    }
    log_of_writes::check(path, &log_path(path))?;
    let mut connection = quietly(path)?;
    check_is_ours(&connection, path)?;
    let found = migrate::format(&connection)?;
    if found > tables::FORMAT {
        return Err(StoreError::Newer { found, known: tables::FORMAT });
    }
    let schema = read_schema(&connection, path)?;
    if connection.is_readonly("main")? {
        return Err(StoreError::ReadOnly(format!("{} may only be read", path.display())));
    }
    migrate::to_this_format(&mut connection, found)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok((connection, schema))
}

/// What stands where a database shall be made.
enum Found {
    Nothing,
    /// A database without tables.
    Unfinished,
    Something,
}

fn look(path: &Path) -> Result<Found, StoreError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(if is_empty(&log_path(path)) { Found::Nothing } else { Found::Something });
        }
        Err(source) => return Err(StoreError::File { action: "cannot look at", path: path.to_owned(), source }),
        Ok(found) if !found.is_file() => return Ok(Found::Something),
        Ok(_) => {}
    }
    let is_unfinished = if is_empty(path) {
        is_empty(&log_path(path))
    } else {
        // Whatever cannot even be read is not ours to take away.
        quietly(path).and_then(|connection| has_tables(&connection)).is_ok_and(|any| !any)
    };
    Ok(if is_unfinished { Found::Unfinished } else { Found::Something })
}

/// A connection that leaves the log of writes as it is when it is closed.
fn quietly(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn check_is_ours(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    if !has_tables(connection)? {
        return Err(StoreError::Unfinished { path: path.to_owned() });
    }
    let has_meta = "SELECT 1 FROM sqlite_schema WHERE name = 'mytism_meta'";
    if connection.query_row(has_meta, [], |_| Ok(())).optional()?.is_none() {
        let message = format!("{} is a database of another program, or lost its tables", path.display());
        return Err(StoreError::Damaged(message));
    }
    let key = "SELECT 1 FROM mytism_meta WHERE key = ?";
    match connection.query_row(key, [FORMAT_KEY], |_| Ok(())).optional()? {
        Some(()) => Ok(()),
        None => Err(StoreError::Damaged(format!("{} lacks its format", path.display()))),
    }
}

fn read_schema(connection: &Connection, path: &Path) -> Result<Schema, StoreError> {
    let sql = "SELECT value FROM mytism_meta WHERE key = ?";
    let found = connection.query_row(sql, [SCHEMA_KEY], |row| row.get::<_, Vec<u8>>(0)).optional()?;
    let bytes = found.ok_or_else(|| StoreError::Damaged(format!("{} lacks its schema", path.display())))?;
    let definition = mytism_format::schema::read(&bytes)?;
    Schema::new(definition).map_err(|problems| {
        let first = problems.first().map_or_else(String::new, ToString::to_string);
        StoreError::Damaged(format!("the stored schema does not hold: {first}"))
    })
}

fn has_tables(connection: &Connection) -> Result<bool, StoreError> {
    let found = connection.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(())).optional()?;
    Ok(found.is_some())
}

fn log_path(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

/// Whether there is no content; a file that is not there has none.
fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).map_or(true, |found| found.len() == 0)
}

/// Takes a database away that holds nothing, with what the engine keeps beside it.
fn remove(path: &Path) -> Result<(), StoreError> {
    for extension in ["db-journal", "db-wal", "db-shm", "db"] {
        let path = path.with_extension(extension);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => {
                return Err(StoreError::File { action: "cannot remove", path, source });
            }
            _ => {}
        }
    }
    Ok(())
}
