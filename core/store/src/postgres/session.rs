//! One connection with the statements that are prepared on it, and the pool of those that read.
//!
//! A connection that broke is thrown away and never used again; who needs one gets another, as soon as the server is
//! back.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bb8::{ManageConnection, Pool, PooledConnection, RunError};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Error, NoTls, Row, Statement};

use super::options::{PoolOptions, PostgresOptions};
use super::steps::{Step, Values};
use crate::StoreError;

/// Statements that a connection keeps prepared; past it, it begins anew.
const PREPARED: usize = 512;
/// Statements under way at once.
const UNDER_WAY: usize = 256;

/// A connection of the pool.
pub(super) type Pooled = PooledConnection<'static, Manager>;

/// See the module.
pub(super) struct Session {
    pub(super) client: Client,
    statements: Mutex<HashMap<Box<str>, Statement>>,
    /// Whether it must not be used again.
    spent: AtomicBool,
}

impl Session {
    /// Connects. What the connection needs in the background runs on the runtime that this is called in.
    pub(super) async fn connect(config: &Config) -> Result<Self, Error> {
        let (client, connection) = config.connect(NoTls).await?;
        // It ends with the client; why it ended is what the client's calls say.
        drop(tokio::spawn(async move { drop(connection.await) }));
        // Whatever a server or a user is set to: a commit that returned is on the disk, and texts come as they are.
        client
            .batch_execute(
                "SELECT set_config('synchronous_commit', 'on', false)
                     WHERE current_setting('synchronous_commit') = 'off';
                 SET client_min_messages = 'warning'; SET statement_timeout = 0;
                 SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 0",
            )
            .await?;
        Ok(Self { client, statements: Mutex::default(), spent: AtomicBool::new(false) })
    }

    /// Lets it be thrown away as soon as it is given back.
    pub(super) fn spend(&self) {
        self.spent.store(true, Ordering::Relaxed);
    }

    /// Whether it can still be used.
    pub(super) fn is_sound(&self) -> bool {
        !self.client.is_closed() && !self.spent.load(Ordering::Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Box<str>, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is prepared, since names stand for other tables from here on.
    pub(super) fn forget_statements(&self) {
        self.known().clear();
    }

    /// A statement, prepared once.
    pub(super) async fn statement(&self, sql: &str) -> Result<Statement, Error> {
        if let Some(known) = self.known().get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(sql).await?;
        let mut known = self.known();
        if known.len() >= PREPARED {
            known.clear();
        }
        known.insert(sql.into(), statement.clone());
        Ok(statement)
    }

    pub(super) async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let statement = self.statement(sql).await?;
        self.client.query(&statement, params).await
    }

    /// Carries out statements in their order without waiting for each.
    pub(super) async fn carry_out(&self, steps: &[Step<'_>]) -> Result<(), StoreError> {
        for steps in steps.chunks(UNDER_WAY) {
            let mut prepared = Vec::with_capacity(steps.len());
            for step in steps {
                prepared.push(self.statement(&step.sql).await?);
            }
            let calls = steps.iter().zip(&prepared).map(|(step, statement)| -> Call<'_, u64, Error> {
                match &step.values {
                    Values::One(values) => Box::pin(self.client.execute_raw(statement, values.iter())),
                    Values::Columns(columns) => Box::pin(self.client.execute_raw(statement, columns.iter())),
                }
            });
            let changed = in_order(calls.collect()).await?;
            for (step, changed) in steps.iter().zip(changed) {
                if let Some((wanted, damage)) = &step.exactly
                    && changed != *wanted
                {
                    return Err(StoreError::Damaged(damage.clone()));
                }
            }
        }
        Ok(())
    }
}

/// A statement under way.
type Call<'c, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>;

/// Begins all calls in their order, then waits for each; the first error of all is the cause of the others.
async fn in_order<T, E>(mut calls: Vec<Call<'_, T, E>>) -> Result<Vec<T>, E> {
    let mut early: Vec<Option<Result<T, E>>> = Vec::with_capacity(calls.len());
    poll_fn(|context| {
        for call in &mut calls {
            early.push(match call.as_mut().poll(context) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            });
        }
        Poll::Ready(())
    })
    .await;
    let mut results = Vec::with_capacity(calls.len());
    for (call, early) in calls.into_iter().zip(early) {
        results.push(match early {
            Some(result) => result?,
            None => call.await?,
        });
    }
    Ok(results)
}

/// Makes connections for the pool.
pub(super) struct Manager {
    config: Config,
    /// Why the last attempt to connect failed, if it did: the pool itself only says that it took too long.
    failed: Arc<Mutex<Option<StoreError>>>,
}

impl ManageConnection for Manager {
    type Connection = Session;
    type Error = StoreError;

    async fn connect(&self) -> Result<Session, StoreError> {
        let connected = Session::connect(&self.config).await;
        let failed = connected.as_ref().err().map(StoreError::from);
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        Ok(connected?)
    }

    async fn is_valid(&self, session: &mut Session) -> Result<(), StoreError> {
        if session.is_sound() { Ok(()) } else { Err(StoreError::Unreachable("a connection is gone".to_owned())) }
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        !session.is_sound()
    }
}

/// The connections that read.
pub(super) struct Readers {
    pool: Pool<Manager>,
    config: Config,
    options: PoolOptions,
    failed: Arc<Mutex<Option<StoreError>>>,
    size: u32,
    patience: Duration,
}

impl Readers {
    /// The pool. To be called within the runtime.
    pub(super) fn new(options: &PostgresOptions, pool: &PoolOptions) -> Self {
        Self::with(options.config().clone(), *pool)
    }

    /// Others like these, which know nothing of the tables yet. To be called within the runtime.
    pub(super) fn afresh(&self) -> Self {
        Self::with(self.config.clone(), self.options)
    }

    fn with(config: Config, pool: PoolOptions) -> Self {
        let failed = Arc::new(Mutex::new(None));
        let manager = Manager { config: config.clone(), failed: Arc::clone(&failed) };
        let size = pool.maximum.max(1);
        let pool_of = Pool::builder()
            .max_size(size)
            .min_idle(Some(pool.minimum_idle.min(size)))
            // It asks no server, it only looks whether the connection is still there.
            .test_on_check_out(true)
            .max_lifetime(pool.lifetime)
            .idle_timeout(pool.idle)
            .connection_timeout(pool.patience)
            .build_unchecked(manager);
        Self { pool: pool_of, config, options: pool, failed, size, patience: pool.patience }
    }

    /// One of them, as soon as one is free.
    pub(super) async fn take(&self) -> Result<Pooled, StoreError> {
        self.pool.get_owned().await.map_err(|error| match error {
            RunError::User(error) => error,
            RunError::TimedOut => {
                let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
                failed.unwrap_or_else(|| {
                    let (size, patience) = (self.size, self.patience.as_millis());
                    StoreError::Exhausted(format!("none of {size} connections became free within {patience} ms"))
                })
            }
        })
    }
}
