//! Which engine keeps the data of a project, and opening it. Nothing else here asks for an engine by its name, but what
//! works on files of the embedded one.

use std::sync::Arc;

use mytism_core::failure::Failure;
use mytism_core::schema::Schema;
use mytism_store::postgres::{PostgresOptions, PostgresStore};
use mytism_store::sqlite::SqliteStore;
use mytism_store::{Store, StoreError};

use crate::config::Database;
use crate::project::Project;

/// The database that the configuration names; `None` for files in the project directory, and where there is no
/// configuration yet, as while a branch joins.
///
/// # Errors
/// When the configuration cannot be used.
pub(crate) fn of(project: &Project) -> Result<Option<Database>, Failure> {
    if project.exists() { Ok(project.config()?.database()) } else { Ok(None) }
}

/// Opens the data of a project.
///
/// # Errors
/// When there are none, another process holds them, they are damaged, or the server cannot be reached.
pub(crate) fn open(project: &Project) -> Result<(Arc<dyn Store>, Arc<Schema>), Opening> {
    let Some(database) = of(project).map_err(Opening::Configuration)? else {
        let store = SqliteStore::open(&project.data())?;
        let schema = store.schema();
        return Ok((Arc::new(store), schema));
    };
    let store = PostgresStore::open(&project.data(), &options(&database)?)?;
    store.warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
    let schema = store.schema();
    Ok((Arc::new(store), schema))
}

/// Makes the data of a new project.
///
/// # Errors
/// When there are some already, or the disk or the server refuses.
pub(crate) fn create(
    project: &Project,
    database: Option<&Database>,
    schema: &Arc<Schema>,
) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match database {
        None => Arc::new(SqliteStore::create(&project.data(), Arc::clone(schema))?),
        Some(database) => Arc::new(PostgresStore::create(&project.data(), &options(database)?, Arc::clone(schema))?),
    })
}

/// How the engine is told of a database.
pub(crate) fn options(database: &Database) -> Result<PostgresOptions, StoreError> {
    let pass = database.pass.as_ref().map(|pass| pass.reveal());
    PostgresOptions::new(database.url.reveal(), database.user.as_deref(), pass, database.pool)
}

/// Where the data of a project are, for people.
pub(crate) fn place(project: &Project, database: Option<&Database>) -> String {
    match database.map(options) {
        Some(Ok(options)) => options.name(),
        Some(Err(_)) => String::new(),
        None => project.data().join("objects.db").display().to_string(),
    }
}

/// Name of the engine that keeps the data of a project, as people write it.
pub(crate) fn engine(project: &Project) -> String {
    let name = if matches!(of(project), Ok(Some(_))) { "PostgreSQL" } else { "SQLite" };
    name.to_owned()
}

/// Refuses what works on files of the embedded engine alone.
///
/// # Errors
/// When the data are in PostgreSQL, as far as the configuration can be read.
pub(crate) fn refuse_server(project: &Project, what: &str) -> Result<(), Failure> {
    match of(project) {
        Err(_) | Ok(None) => Ok(()),
        Ok(Some(_)) => Err(Failure::refused(
            "not-in-postgres",
            format!("this version cannot {what} while the data of {} are in PostgreSQL", project.directory().display()),
        )
        .hint(
            "move them to SQLite with `./mytism migrate-store` before, and back afterwards; where that database is lost, \
             take `store` and `url` of [DBMan] out of the configuration instead",
        )),
    }
}

/// Why data could not be opened.
#[derive(Debug)]
pub(crate) enum Opening {
    /// The configuration does not tell.
    Configuration(Failure),
    /// The engine refuses.
    Store(StoreError),
}

impl From<StoreError> for Opening {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Opening {
    /// For people and programs.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Configuration(failure) => failure,
            Self::Store(error) => error.failure(),
        }
    }
}
