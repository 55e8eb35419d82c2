//! From an address to a connection that may write: making the tables whole or not at all, and telling what is wrong with
//! those that are there.

use mytism_core::schema::Schema;

use super::options::{PoolOptions, PostgresOptions};
use super::session::Session;
use super::writer::{State, lock, take_over};
use super::{ddl, tables};
use crate::StoreError;
use crate::compile::postgres::functions;
use crate::names::Names;

/// Keys of what the database says about itself.
pub(super) const FORMAT_KEY: &str = "format";
pub(super) const SCHEMA_KEY: &str = "schema";
/// The oldest server, as it counts its versions.
const OLDEST: i32 = 130_000;
/// Connections that the pool leaves to others: the one that writes, and those of administrators.
const RESERVE: u32 = 3;

/// A connection that holds the lock, and what was found with it.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) state: State,
    /// The pool as it was asked for, or smaller.
    pub(super) pool: PoolOptions,
    pub(super) warnings: Vec<String>,
}

/// Makes the tables.
pub(super) async fn create(options: &PostgresOptions, schema: &Schema, names: &Names) -> Result<Opened, StoreError> {
    let session = begin(options).await?;
    session.client.batch_execute("BEGIN").await?;
    make(&session, schema, names, options).await?;
    for statement in ddl::create_indexes(schema, names) {
        session.client.batch_execute(&statement).await?;
    }
    session.client.batch_execute("COMMIT").await?;
    opened(options, session).await
}

/// A connection that holds the lock, to a server that will do.
pub(super) async fn begin(options: &PostgresOptions) -> Result<Session, StoreError> {
    let session = Session::connect(options.config()).await?;
    let setting = |name: &'static str| {
        let session = &session;
        async move {
            let rows = session.client.query("SELECT current_setting($1)", &[&name]).await?;
            Ok::<String, StoreError>(rows.first().map_or(Ok(String::new()), |row| row.try_get(0))?)
        }
    };
    let version: i32 = setting("server_version_num").await?.parse().unwrap_or(0);
    if version < OLDEST {
        let message =
            format!("{} has version {}, PostgreSQL 13 is the oldest that will do", options.name(), version / 10_000);
        return Err(StoreError::Engine(message));
    }
    let encoding = setting("server_encoding").await?;
    if encoding != "UTF8" {
        let message = format!("{} has the encoding {encoding}, a database must have UTF8", options.name());
        return Err(StoreError::Engine(message));
    }
    lock(&session, &options.name()).await?;
    Ok(session)
}

/// All tables but their indexes and what the database says about itself, within a transaction.
pub(super) async fn make(
    session: &Session,
    schema: &Schema,
    names: &Names,
    options: &PostgresOptions,
) -> Result<(), StoreError> {
    if has_tables(session).await? {
        return Err(StoreError::Exists { path: options.place() });
    }
    session.client.batch_execute(tables::CREATE).await?;
    for statement in functions().into_iter().chain(ddl::create_bare_tables(schema, names)) {
        session.client.batch_execute(&statement).await?;
    }
    let definition = mytism_format::schema::write(schema.def())?;
    let sql = "INSERT INTO mytism_meta(key, value) VALUES ($1, $2)";
    session.client.execute(sql, &[&FORMAT_KEY, &tables::FORMAT.to_be_bytes().as_slice()]).await?;
    session.client.execute(sql, &[&SCHEMA_KEY, &definition]).await?;
    Ok(())
}

/// Opens the database and reads its schema.
pub(super) async fn open(options: &PostgresOptions) -> Result<(Opened, Schema), StoreError> {
    let session = begin(options).await?;
    if !has_tables(&session).await? {
        return Err(StoreError::Missing { path: options.place() });
    }
    let format = kept(&session, FORMAT_KEY).await?;
    let found = format.and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    if found == 0 {
        return Err(StoreError::Damaged(format!("{} lacks its format", options.name())));
    }
    if found > tables::FORMAT {
        return Err(StoreError::Newer { found, known: tables::FORMAT });
    }
    let definition = kept(&session, SCHEMA_KEY).await?;
    let definition = definition.ok_or_else(|| StoreError::Damaged(format!("{} lacks its schema", options.name())))?;
    let schema = Schema::new(mytism_format::schema::read(&definition)?).map_err(|problems| {
        let first = problems.first().map_or_else(String::new, ToString::to_string);
        StoreError::Damaged(format!("the stored schema does not hold: {first}"))
    })?;
    // A newer program may know better ones.
    for statement in functions() {
        session.client.batch_execute(&statement).await?;
    }
    Ok((opened(options, session).await?, schema))
}

async fn opened(options: &PostgresOptions, session: Session) -> Result<Opened, StoreError> {
    let state = take_over(&session).await?;
    let (pool, warnings) = fitting_pool(&session, options).await?;
    Ok(Opened { session, state, pool, warnings })
}

/// The pool as it was asked for, or as large as the server allows.
async fn fitting_pool(session: &Session, options: &PostgresOptions) -> Result<(PoolOptions, Vec<String>), StoreError> {
    let sql = "SELECT current_setting('max_connections')::integer \
               - current_setting('superuser_reserved_connections')::integer";
    let rows = session.query(sql, &[]).await?;
    let allowed: i32 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    let most = u32::try_from(allowed).unwrap_or(0).saturating_sub(RESERVE).max(1);
    let mut pool = *options.pool();
    if pool.maximum <= most {
        return Ok((pool, Vec::new()));
    }
    let warning = format!(
        "the pool is cut from {} connections to {most}: the server allows {allowed}, of which {RESERVE} are left to others",
        pool.maximum
    );
    pool.maximum = most;
    Ok((pool, vec![warning]))
}

async fn has_tables(session: &Session) -> Result<bool, StoreError> {
    // Whatever stands first in the search path is where the tables are made.
    let sql = "SELECT 1 FROM pg_class WHERE relname = 'mytism_meta' AND relnamespace = current_schema()::regnamespace";
    Ok(!session.query(sql, &[]).await?.is_empty())
}

async fn kept(session: &Session, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let rows = session.query("SELECT value FROM mytism_meta WHERE key = $1", &[&key]).await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}
