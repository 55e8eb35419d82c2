//! Locks between processes: files that stay, and that nobody waits for. The operating system frees what a killed process
//! held.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use mytism_core::failure::Failure;

use crate::project::{file_failure, make_directory};

/// A lock that goes with this value.
#[derive(Debug)]
pub(crate) struct Held(#[allow(dead_code, reason = "the lock goes with the file")] File);

/// Takes a lock. Its file and directory are made where they are missing.
///
/// # Errors
/// `project-in-use` with the message, where another process holds it.
pub(crate) fn hold(path: &Path, message: &str, hint: &str) -> Result<Held, Failure> {
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(|error| file_failure("open", path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(Held(file)),
        Err(TryLockError::WouldBlock) => Err(Failure::failed("project-in-use", message).hint(hint)),
        Err(TryLockError::Error(error)) => Err(file_failure("lock", path, &error)),
    }
}
