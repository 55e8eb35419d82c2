//! A disk under test: it writes down everything that SQLite does to the files of a directory, says what a loss of power
//! could have left of them at any moment, and fails where it is told to.
//!
//! It is a file system of the engine (a "VFS") in front of the one that the engine has anyway, and the default of the
//! test process: the product is tested as it is. Directories that are not watched go straight through.
//!
//! 1. [`Disk`]: watches one directory, notes the order of what happens there, makes trouble
//! 2. [`Recording`]: what happened, and the images that it could have left
//! 3. [`Dice`]: chance that can be had again
//! 4. [`flaws`]: what the engine finds wrong
//!
//! # What a loss of power may leave
//!
//! The model promises as little as a disk does:
//!
//! - What was written to a file before a sync of that file began is there, if the sync returned with success.
//! - Each other write is there, is not there, or is torn: a prefix of it, or some of its 512-byte sectors. Each is
//!   decided by itself, so a later write may be there where an earlier one is not.
//! - A file that was cut shorter may have its old end again. Where a file had grown, and what made it grow is lost, it
//!   may be long all the same: with zeros, with garbage, or with old content of that file.
//! - A file that was made or deleted since the last sync of the directory is there or not, each by itself. Names and
//!   contents are separate: a sync of a file does not keep its name.
//! - The directory is synced where SQLite does it: with the first sync of a journal or write-ahead log that was opened
//!   to be made, and with a deletion that asks for it.
//! - A sync that failed frees the system of its promise: what was written before may stay lost whatever is synced later.
//! - A write changes nothing outside of its own bytes ("powersafe overwrite"); the engine relies on that by default.
//! - Shared memory (`-shm`) means nothing after a loss of power; an image holds garbage there, or nothing.
//!
//! The machine under the test keeps its power, so the real disk is not asked to sync.

mod dice;
mod image;
mod recording;
#[cfg(test)]
mod tests;
mod vfs;

use std::path::Path;

use rusqlite::Connection;

pub use dice::Dice;
pub use recording::{Disk, Moment, Recording, Trouble};

/// What the engine itself finds wrong with a database; empty for nothing.
///
/// # Errors
/// When it cannot even look.
pub fn flaws(database: &Path) -> Result<String, rusqlite::Error> {
    let connection = Connection::open(database)?;
    let found: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    Ok(if found == "ok" { String::new() } else { found })
}
