//! The file beside the database that tells an older copy of it from a crash: `state/numbers`.
//!
//! It is written as a whole rarely, and safe from the loss of power then; in between lines are added at its end, which
//! survive the end of the process at once and the loss of power after some seconds. What the lines say is for the use
//! cases to know.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mytism_app::AppError;
use mytism_app::numbers::Ledger;

use crate::project::{file_failure, make_directory, write_durably};

/// How long added lines may stand in the memory of the machine alone.
const SYNC_AFTER: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(crate) struct FileLedger {
    path: PathBuf,
    /// The file open for adding, once something was added, and when it was last safe.
    open: Mutex<Option<(File, Instant)>>,
}

impl FileLedger {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, open: Mutex::default() }
    }

    fn add(&self, text: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, synced) = match &mut *open {
            Some(open) => open,
            none => none.insert((OpenOptions::new().create(true).append(true).open(&self.path)?, Instant::now())),
        };
        file.write_all(text)?;
        if synced.elapsed() >= SYNC_AFTER {
            file.sync_data()?;
            *synced = Instant::now();
        }
        Ok(())
    }
}

impl Ledger for FileLedger {
    fn read(&self) -> Result<Option<Vec<u8>>, AppError> {
        match fs::read(&self.path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_failure("read", &self.path, &error).into()),
        }
    }

    fn replace(&self, text: &[u8]) -> Result<(), AppError> {
        // Whoever adds lines later adds them to the new file.
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(directory) = self.path.parent().filter(|directory| !directory.exists()) {
            make_directory(directory)?;
        }
        Ok(write_durably(&self.path, text)?)
    }

    fn append(&self, text: &[u8]) -> Result<(), AppError> {
        self.add(text).map_err(|error| file_failure("write", &self.path, &error).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = FileLedger::at(directory.path().join("state").join("numbers"));
        assert_eq!(ledger.read().unwrap(), None);
        ledger.replace(b"one\n").unwrap();
        ledger.append(b"two\n").unwrap();
        ledger.append(b"three\n").unwrap();
        assert_eq!(ledger.read().unwrap().as_deref(), Some(&b"one\ntwo\nthree\n"[..]));
        ledger.replace(b"four\n").unwrap();
        ledger.append(b"five\n").unwrap();
        let again = FileLedger::at(directory.path().join("state").join("numbers"));
        assert_eq!(again.read().unwrap().as_deref(), Some(&b"four\nfive\n"[..]));
        // A directory in its place can be neither read nor written.
        let ledger = FileLedger::at(directory.path().join("state"));
        assert_eq!(ledger.read().unwrap_err().failure().code, "file-error");
        assert_eq!(ledger.append(b"x").unwrap_err().failure().code, "file-error");
        assert_eq!(ledger.replace(b"x").unwrap_err().failure().code, "file-error");
    }
}
