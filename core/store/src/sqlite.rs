//! The embedded engine: one file, one writing connection, as many reading ones as views are open at once.
//!
//! Write-ahead logging with `synchronous=FULL`: a commit returns when its pages are on the disk, and readers never wait
//! for the writer. A lock on a file of its own keeps a second process out, since the engine alone would let it in.

mod check;
pub mod column;
mod copy;
pub mod ddl;
mod filling;
mod log_of_writes;
mod migrate;
mod opening;
mod overlay;
pub mod query;
mod reshape;
mod statements;
mod tables;
mod view;
mod write;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use mytism_core::schema::Schema;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::batch::schema_of;
use crate::lock::lock;
pub use crate::names;
use crate::{Batch, Store, StoreError, View};
pub use filling::SqliteFilling;
use names::Names;
use statements::Statements;

pub(crate) const FILE: &str = "objects.db";

/// Keys of what the database says about itself.
const FORMAT_KEY: &str = "format";
const SCHEMA_KEY: &str = "schema";

/// Statements that a connection keeps prepared.
const PREPARED: usize = 512;

/// A database in a file.
pub struct SqliteStore {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Held for writing while the schema changes, so that no view begins between the tables and what is known of them.
    shared: RwLock<Arc<Shared>>,
    /// Held as long as the store lives; the system frees it with the process, however that ends.
    _lock: File,
}

/// What the writing and all reading connections know together.
struct Shared {
    path: PathBuf,
    schema: Arc<Schema>,
    names: Names,
    statements: Statements,
    idle_readers: Arc<Mutex<Vec<Connection>>>,
}

/// How sure a commit must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// On the disk before it returns.
    Full,
    /// Whenever the system likes; for tests and for filling a database that is thrown away when that fails.
    None,
}

impl SqliteStore {
    /// Makes the database of a new project in a directory that exists. One whose making was broken off, so that it
    /// holds nothing, is made anew.
    ///
    /// # Errors
    /// When there is one already, another process holds it, or the disk refuses.
    pub fn create(directory: &Path, schema: Arc<Schema>) -> Result<Self, StoreError> {
        let lock = lock(directory)?;
        let path = directory.join(FILE);
        let names = Names::new(&schema);
        let connection = opening::create(&path, &schema, &names)?;
        Self::with(path, connection, schema, names, lock)
    }

    /// Opens the database of a project.
    ///
    /// # Errors
    /// When there is none or its making was broken off, another process holds it, it may not be written, it was written
    /// by a newer program, or it is damaged. Nothing about it was changed then.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(StoreError::Missing { path }),
            Err(source) => return Err(StoreError::File { action: "cannot look for", path, source }),
        }
        let lock = lock(directory)?;
        let (connection, schema) = opening::open(&path)?;
        let schema = Arc::new(schema);
        let names = Names::new(&schema);
        Self::with(path, connection, schema, names, lock)
    }

    fn with(
        path: PathBuf,
        writer: Connection,
        schema: Arc<Schema>,
        names: Names,
        lock: File,
    ) -> Result<Self, StoreError> {
        let shared = Shared::new(path.clone(), schema, names, Arc::default());
        Ok(Self { path, writer: Mutex::new(writer), shared: RwLock::new(Arc::new(shared)), _lock: lock })
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The schema of this database.
    #[must_use]
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.shared().schema)
    }

    /// Sets how sure commits must be from here on.
    ///
    /// # Errors
    /// When the engine refuses.
    pub fn set_durability(&self, durability: Durability) -> Result<(), StoreError> {
        let level = match durability {
            Durability::Full => "FULL",
            Durability::None => "OFF",
        };
        Ok(self.writer().pragma_update(None, "synchronous", level)?)
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic while writing left an open transaction behind, which the next one rolls back.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for SqliteStore {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(view::SqliteView::open(&shared)?))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let writer = self.writer();
        let Some((schema, _)) = schema_of(batch) else { return write::commit(&writer, &self.shared(), batch) };
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        let next = shared.with_schema(Arc::clone(schema));
        write::commit(&writer, &shared, batch)?;
        *shared = Arc::new(next);
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
        size(&self.path) + size(&self.path.with_extension("db-wal"))
    }
}

pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -8_192)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    // Else the engine plans a statement anew whenever a value is bound that a partial index might fit.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    query::register_functions(&connection)?;
    Ok(connection)
}

impl Shared {
    fn new(path: PathBuf, schema: Arc<Schema>, names: Names, idle_readers: Arc<Mutex<Vec<Connection>>>) -> Self {
        let statements = Statements::new(&schema, &names);
        Self { path, schema, names, statements, idle_readers }
    }

    /// The same database under another schema.
    fn with_schema(&self, schema: Arc<Schema>) -> Self {
        let names = Names::new(&schema);
        Self::new(self.path.clone(), schema, names, Arc::clone(&self.idle_readers))
    }

    fn reader(&self) -> Result<Connection, StoreError> {
        let idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY), Ok)
    }

    fn give_back(&self, connection: Connection) {
        const KEPT: usize = 8;
        let mut idle = self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }
}

#[cfg(test)]
mod tests;
