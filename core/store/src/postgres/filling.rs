//! Making the tables of a new node in one go: tables first, then rows, indexes last, all in one transaction of the
//! server. Whoever is broken off leaves nothing.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use mytism_core::schema::Schema;
use mytism_format::object::ObjectState;

use super::options::PostgresOptions;
use super::session::{Readers, Session};
use super::statements::Statements;
use super::steps::Steps;
use super::writer::let_go;
use super::{Engine, Shared, ddl, opening};
use crate::lock::lock;
use crate::names::Names;
use crate::transfer::Target;
use crate::{Batch, Filling, StoreError};

/// See the module.
pub struct PostgresFilling {
    session: Session,
    shared: Shared,
    _lock: Option<File>,
}

impl PostgresFilling {
    /// Makes the tables in a database of the server that holds none of ours. `directory` gets the lock of the project;
    /// `None` where the caller holds it.
    ///
    /// # Errors
    /// When there are tables already, another process holds them, or the server cannot be reached or refuses.
    pub fn create(
        directory: Option<&Path>,
        options: &PostgresOptions,
        schema: Arc<Schema>,
    ) -> Result<Self, StoreError> {
        let lock = directory.map(lock).transpose()?;
        let engine = Engine::new()?;
        let names = Names::new(&schema);
        let session = engine.wait(async {
            let session = opening::begin(options).await?;
            session.client.batch_execute("BEGIN").await?;
            opening::make(&session, &schema, &names, options).await?;
            Ok::<_, StoreError>(session)
        })?;
        let statements = Statements::new(&schema, &names);
        let readers = engine.wait(async { Readers::new(options, options.pool()) });
        let engine = Arc::new(engine);
        let shared =
            Shared { engine, readers, name: options.name(), schema, names, statements, commits: Default::default() };
        Ok(Self { session, shared, _lock: lock })
    }

    fn carry_out(&self, steps: &Steps<'_>) -> Result<(), StoreError> {
        self.shared.engine.wait(self.session.carry_out(&steps.steps))
    }
}

impl Filling for PostgresFilling {
    fn objects(&mut self, objects: &[ObjectState]) -> Result<(), StoreError> {
        let mut steps = Steps::default();
        objects.iter().try_for_each(|object| steps.insert(&self.shared, object))?;
        self.carry_out(&steps)
    }

    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.carry_out(&Steps::of(&self.shared, batch)?)
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        let Self { session, shared, .. } = *self;
        shared.engine.wait(async {
            for statement in ddl::create_indexes(&shared.schema, &shared.names) {
                session.client.batch_execute(&statement).await?;
            }
            session.client.batch_execute("COMMIT").await?;
            // Without it the first queries are planned as if the tables were empty.
            session.client.batch_execute("ANALYZE").await?;
            let_go(&session).await;
            Ok(())
        })
    }
}

impl Target for PostgresFilling {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let mut steps = Steps::default();
        steps.put(key, value);
        self.carry_out(&steps)
    }
}
