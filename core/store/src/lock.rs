//! The lock of a project's data: a file of its own, since an engine alone would let a second process in.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::StoreError;

const LOCK: &str = "lock";

/// Takes the lock in a directory that exists. It is held as long as the file is open; the system frees it with the
/// process, however that ends.
pub(crate) fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| StoreError::File { action: "cannot open", path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(StoreError::File { action: "cannot lock", path, source }),
    }
}
