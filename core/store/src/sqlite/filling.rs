//! Making the database of a new node in one go: tables first, rows in the order of their keys, indexes last.
//!
//! Nothing of it is safe until the end, and nothing needs to be: whoever is broken off begins anew. So the engine keeps
//! no journal and syncs once. It does not know where the rows come from.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mytism_core::schema::Schema;
use mytism_format::object::ObjectState;
use rusqlite::Connection;

use super::names::{Names, quoted};
use super::{FILE, Shared, ddl, opening, write};
use crate::lock::lock;
use crate::transfer::Target;
use crate::{Batch, Filling, StoreError};

/// Tables that one statement names at most; the engine takes up to 500.
const TABLES: usize = 400;

/// See the module.
pub struct SqliteFilling {
    connection: Connection,
    shared: Shared,
    directory: PathBuf,
    _lock: Option<File>,
}

impl SqliteFilling {
    /// Makes the database in a directory that exists and holds none.
    ///
    /// # Errors
    /// When there is one already, another process holds it, or the disk refuses.
    pub fn create(directory: &Path, schema: Arc<Schema>) -> Result<Self, StoreError> {
        let lock = lock(directory)?;
        Self::with(directory.join(FILE), directory, schema, Some(lock))
    }

    /// Makes a database in a file of any name that is not there yet, which nobody else knows of.
    ///
    /// # Errors
    /// When it is there already, or the disk refuses.
    pub fn create_file(path: &Path, schema: Arc<Schema>) -> Result<Self, StoreError> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::with(path.to_owned(), directory, schema, None)
    }

    fn with(path: PathBuf, directory: &Path, schema: Arc<Schema>, lock: Option<File>) -> Result<Self, StoreError> {
        let names = Names::new(&schema);
        let connection = opening::create_for_filling(&path, &schema, &names)?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let shared = Shared::new(path, schema, names, Arc::default());
        Ok(Self { connection, shared, directory: directory.to_owned(), _lock: lock })
    }

    /// Which entity each object is of, from the tables of all entities. An id that stands in two of them is refused.
    fn list_objects(&self) -> Result<(), StoreError> {
        let schema = &self.shared.schema;
        let concrete: Vec<_> = schema.entities().filter(|entity| !entity.is_abstract).collect();
        for entities in concrete.chunks(TABLES) {
            let one = |entity: &&mytism_core::schema::Entity| {
                format!("SELECT id, {} AS entity FROM {}", entity.id.0, quoted(self.shared.names.table(entity.id)))
            };
            let all: Vec<String> = entities.iter().map(one).collect();
            let all = all.join(" UNION ALL ");
            self.connection.execute_batch(&format!(
                "INSERT INTO mytism_object(id, entity) SELECT id, entity FROM ({all}) ORDER BY id"
            ))?;
        }
        Ok(())
    }
}

impl Filling for SqliteFilling {
    fn objects(&mut self, objects: &[ObjectState]) -> Result<(), StoreError> {
        write::insert_rows(&self.connection, &self.shared, objects)
    }

    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        batch.iter().try_for_each(|write| write::apply(&self.connection, &self.shared, write))
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        self.list_objects()?;
        opening::prepare_for_indexes(&self.connection)?;
        for statement in ddl::create_indexes(&self.shared.schema, &self.shared.names) {
            self.connection.execute_batch(&statement)?;
        }
        self.connection.execute_batch("COMMIT")?;
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        let Self { connection, shared, directory, .. } = *self;
        connection.close().map_err(|(_, error)| error)?;
        for path in [shared.path, directory] {
            let synced = File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(|source| StoreError::File { action: "cannot sync", path, source })?;
        }
        Ok(())
    }
}

impl Target for SqliteFilling {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO mytism_meta(key, value) VALUES (?, ?)";
        self.connection.prepare_cached(sql)?.execute((key, value))?;
        Ok(())
    }
}
