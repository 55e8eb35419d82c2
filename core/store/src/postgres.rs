//! The engine behind a server: one connection that writes, a pool of those that read.
//!
//! It brings a small runtime of its own and hides it: every function blocks. A commit returns when the server has it on
//! its disk. A server that restarts is waited for as long as the pool says; what was acknowledged is compared with what
//! is there after each new connection. Where the engines could do the same thing in two ways, this one does what the
//! embedded one does.

mod check;
pub mod column;
pub mod ddl;
mod engine;
mod filling;
mod numeric;
mod opening;
mod options;
mod overlay;
mod read;
mod session;
mod statements;
mod steps;
mod tables;
mod view;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mytism_core::schema::Schema;

use crate::lock::lock;
use crate::names::Names;
use crate::{Batch, Store, StoreError, View};
use engine::Engine;
pub use filling::PostgresFilling;
pub use options::{PoolOptions, PostgresOptions};
use session::Readers;
use statements::Statements;
use steps::Steps;
use writer::Writer;

/// A database of a server.
pub struct PostgresStore {
    writer: Mutex<Writer>,
    shared: Arc<Shared>,
    warnings: Vec<String>,
    /// Bytes on the disk of the server, as far as it answered.
    bytes: AtomicU64,
    /// Held as long as the store lives; the system frees it with the process, however that ends.
    _lock: File,
}

/// What the writing and all reading connections know together.
struct Shared {
    engine: Engine,
    readers: Readers,
    /// The database for people.
    name: String,
    schema: Arc<Schema>,
    names: Names,
    statements: Statements,
    /// Commits that the database must have, since they were acknowledged.
    commits: AtomicI64,
}

impl PostgresStore {
    /// Makes the database of a new project: its tables, in a database of the server that is there and holds none of
    /// ours. `directory` exists and gets the lock of the project.
    ///
    /// # Errors
    /// When there is one already, another process holds it, the server cannot be reached or refuses.
    pub fn create(directory: &Path, options: &PostgresOptions, schema: Arc<Schema>) -> Result<Self, StoreError> {
        let lock = lock(directory)?;
        let engine = Engine::new()?;
        let names = Names::new(&schema);
        let opened = engine.wait(opening::create(options, &schema, &names))?;
        Ok(Self::with(engine, options, opened, (schema, names), lock))
    }

    /// Opens the database of a project.
    ///
    /// # Errors
    /// When there is none, another process holds it, the server cannot be reached or refuses, it was written by a newer
    /// program, or it is damaged.
    pub fn open(directory: &Path, options: &PostgresOptions) -> Result<Self, StoreError> {
        let lock = lock(directory)?;
        let engine = Engine::new()?;
        let (opened, schema) = engine.wait(opening::open(options))?;
        let names = Names::new(&schema);
        Ok(Self::with(engine, options, opened, (Arc::new(schema), names), lock))
    }

    fn with(
        engine: Engine,
        options: &PostgresOptions,
        opened: opening::Opened,
        (schema, names): (Arc<Schema>, Names),
        lock: File,
    ) -> Self {
        let statements = Statements::new(&schema, &names);
        let readers = engine.wait(async { Readers::new(options, &opened.pool) });
        let (name, commits) = (options.name(), AtomicI64::new(opened.state.commits));
        let patience = opened.pool.patience;
        let writer = Writer::new(options.config().clone(), name.clone(), patience, opened.session, opened.state);
        let shared = Shared { engine, readers, name, schema, names, statements, commits };
        Self {
            writer: Mutex::new(writer),
            shared: Arc::new(shared),
            warnings: opened.warnings,
            bytes: AtomicU64::new(0),
            _lock: lock,
        }
    }

    /// The schema of this database.
    #[must_use]
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.shared.schema)
    }

    /// What an administrator should know about how it was opened.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Store for PostgresStore {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(view::PostgresView::open(&self.shared)?))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let steps = Steps::of(&self.shared, batch)?;
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.shared.engine.wait(writer.commit(batch, &steps));
        // Also one whose answer came late was counted.
        self.shared.commits.store(writer.commits(), Ordering::Release);
        done
    }

    fn bytes(&self) -> u64 {
        let ask = async {
            let session = self.shared.readers.take().await?;
            let rows = session.query("SELECT pg_database_size(current_database())", &[]).await?;
            Ok::<i64, StoreError>(rows.first().map_or(Ok(0), |row| row.try_get(0))?)
        };
        if let Ok(bytes) = self.shared.engine.wait(ask) {
            self.bytes.store(bytes.cast_unsigned(), Ordering::Relaxed);
        }
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.shared.engine.wait(writer.let_go());
    }
}
