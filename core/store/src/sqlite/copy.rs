//! A copy of the whole database as one view sees it, and whether a database holds together.
//!
//! The copy is made page by page on the connection of the view, whose read transaction fixes what is copied. Readers of
//! a log of writes keep nobody from writing, so saves go on meanwhile; the log only cannot begin anew before the copy is
//! done. What is copied is one file without a log of writes beside it. Nothing here decides what a copy is for.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::Shared;
use super::ddl::create_tables;
use crate::StoreError;

/// Pages that are copied between two reports, about a MiB.
const STEP_PAGES: i32 = 256;
/// Damages that are told at most; each of them is reason enough.
const DAMAGES_MAX: u32 = 20;

/// Copies what a connection sees to a file that is not there yet.
pub(super) fn copy(connection: &Connection, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = |action, source| StoreError::File { action, path: path.to_owned(), source };
    // The engine would copy into a database that is there.
    File::create_new(path).map_err(|source| file("cannot make", source))?;
    let copied = Connection::open_with_flags(path, flags).map_err(StoreError::from).and_then(|mut target| {
        // A copy that is broken off is thrown away, and a whole one is synced as one file below.
        target.pragma_update(None, "journal_mode", "OFF")?;
        target.pragma_update(None, "synchronous", "OFF")?;
        pages(connection, &mut target, progress)
    });
    let synced = copied.and_then(|()| {
        let written = File::open(path).and_then(|copy| copy.sync_all());
        written.map_err(|source| file("cannot sync", source))
    });
    if synced.is_err() {
        // The failure is what is reported.
        let _remains = fs::remove_file(path);
    }
    synced
}

fn pages(
    connection: &Connection,
    target: &mut Connection,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StoreError> {
    let page: u64 = connection.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0))?.into();
    let backup = Backup::new(connection, target)?;
    loop {
        let step = backup.step(STEP_PAGES)?;
        let now = backup.progress();
        let bytes = |pages: i32| u64::from(pages.max(0).unsigned_abs()) * page;
        progress(bytes(now.pagecount - now.remaining), bytes(now.pagecount));
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => return Err(StoreError::Busy("the copy cannot be written, since somebody else uses it".to_owned())),
        }
    }
}

/// What is wrong with the file of a database and with its tables, in words; nothing where all is well.
pub(super) fn damages(connection: &Connection, shared: &Shared) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({DAMAGES_MAX})"))?;
    let told = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut found: Vec<String> = told.into_iter().filter(|text| text != "ok").collect();
    found.extend(foreign_tables(connection, shared)?);
    Ok(found)
}

/// The tables, indexes and views that the schema wants and are not there as it wants them.
pub(super) fn foreign_tables(connection: &Connection, shared: &Shared) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let there = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<BTreeSet<_>, _>>()?;
    let wanted = create_tables(&shared.schema, &shared.names).into_iter();
    let told = wanted.filter(|sql| !there.contains(sql)).map(|sql| {
        let first = sql.lines().next().unwrap_or_default().trim_end_matches(['(', ' ']).to_owned();
        format!("the database lacks what the schema wants: {first}")
    });
    Ok(told.take(DAMAGES_MAX as usize).collect())
}
