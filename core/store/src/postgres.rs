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
mod reshape;
mod session;
mod statements;
mod steps;
mod tables;
mod view;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use mytism_core::schema::Schema;

use crate::batch::schema_of;
use crate::lock::lock;
use crate::names::Names;
use crate::{Batch, Store, StoreError, View};
use engine::Engine;
pub use filling::PostgresFilling;
pub use options::{PoolOptions, PostgresOptions};
use reshape::Reshape;
use session::Readers;
use statements::Statements;
use steps::Steps;
use writer::Writer;

/// How long a change of the schema waits for those who read.
const READERS_LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// A database of a server.
pub struct PostgresStore {
    writer: Mutex<Writer>,
    /// Held for writing while the schema changes, so that no view begins meanwhile.
    shared: RwLock<Arc<Shared>>,
    /// Whether it is not known which schema holds, since the answer to a change of it was lost.
    is_lost: AtomicBool,
    warnings: Vec<String>,
    /// Bytes on the disk of the server, as far as it answered.
    bytes: AtomicU64,
    /// Held as long as the store lives; the system frees it with the process, however that ends.
    _lock: File,
}

/// What the writing and all reading connections know together.
struct Shared {
    engine: Arc<Engine>,
    readers: Readers,
    /// The database for people.
    name: String,
    schema: Arc<Schema>,
    names: Names,
    statements: Statements,
    /// Commits that the database must have, since they were acknowledged.
    commits: AtomicI64,
}

impl Shared {
    /// The same database under another schema.
    fn with_schema(&self, schema: Arc<Schema>) -> Self {
        let names = Names::new(&schema);
        let statements = Statements::new(&schema, &names);
        let readers = self.engine.wait(async { self.readers.afresh() });
        let (engine, name) = (Arc::clone(&self.engine), self.name.clone());
        let commits = AtomicI64::new(self.commits.load(Ordering::Acquire));
        Self { engine, readers, name, schema, names, statements, commits }
    }
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
        let shared = Shared { engine: Arc::new(engine), readers, name, schema, names, statements, commits };
        Self {
            writer: Mutex::new(writer),
            shared: RwLock::new(Arc::new(shared)),
            is_lost: AtomicBool::new(false),
            warnings: opened.warnings,
            bytes: AtomicU64::new(0),
            _lock: lock,
        }
    }

    /// The schema of this database.
    #[must_use]
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(&self.shared().schema)
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn check_known(&self) -> Result<(), StoreError> {
        if self.is_lost.load(Ordering::Acquire) {
            let message = "whether the schema was changed is not known, since the answer was lost: restart the node";
            return Err(StoreError::Unreachable(message.to_owned()));
        }
        Ok(())
    }

    /// Commits what changes the schema. A table that is made anew would look empty to a view that began before, so all
    /// views must have ended.
    fn change(&self, batch: &Batch, schema: &Arc<Schema>, number: u64) -> Result<(), StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        let begun = Instant::now();
        while Arc::strong_count(&shared) > 1 {
            if begun.elapsed() > READERS_LIMIT {
                let message = "somebody reads for long, as a backup or a join does; try again when that is done";
                return Err(StoreError::Busy(message.to_owned()));
            }
            std::thread::sleep(PAUSE);
        }
        let next = shared.with_schema(Arc::clone(schema));
        let reshape = Reshape::new(&shared, &next, number)?;
        let steps = Steps::of(&next, batch)?;
        let done = shared.engine.wait(writer.commit(batch, &steps, Some(&reshape)));
        drop((steps, reshape));
        if matches!(done, Err(StoreError::Unreachable(_))) {
            self.is_lost.store(true, Ordering::Release);
        }
        done?;
        next.commits.store(writer.commits(), Ordering::Release);
        *shared = Arc::new(next);
        Ok(())
    }

    /// What an administrator should know about how it was opened.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl Store for PostgresStore {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        self.check_known()?;
        let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(view::PostgresView::open(&shared)?))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.check_known()?;
        if let Some((schema, number)) = schema_of(batch) {
            return self.change(batch, schema, number);
        }
        let shared = self.shared();
        let steps = Steps::of(&shared, batch)?;
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let done = shared.engine.wait(writer.commit(batch, &steps, None));
        // Also one whose answer came late was counted.
        shared.commits.store(writer.commits(), Ordering::Release);
        done
    }

    fn bytes(&self) -> u64 {
        let shared = self.shared();
        let ask = async {
            let session = shared.readers.take().await?;
            let rows = session.query("SELECT pg_database_size(current_database())", &[]).await?;
            Ok::<i64, StoreError>(rows.first().map_or(Ok(0), |row| row.try_get(0))?)
        };
        if let Ok(bytes) = shared.engine.wait(ask) {
            self.bytes.store(bytes.cast_unsigned(), Ordering::Relaxed);
        }
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        let shared = self.shared();
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        shared.engine.wait(writer.let_go());
    }
}
