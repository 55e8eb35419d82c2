//! The one connection that writes, and what is known about the database while it does.
//!
//! A lock held by the connection keeps a second process out. One row counts the commits: each commit changes it and must
//! hit it exactly once, and whoever connects again compares it, and the end of the log, with what is in memory. So it
//! can always be told whether a commit whose answer was lost is there, and whether the server went back to an older
//! state.

use std::time::{Duration, Instant};

use mytism_core::id::Hash;
use tokio_postgres::Config;

use super::reshape::Reshape;
use super::session::Session;
use super::steps::Steps;
use crate::{Batch, StoreError, Write};

/// Keys of the lock in the engine: the letters MYTI, and the schema that the tables stand in.
const LOCK: &str = "SELECT pg_try_advisory_lock(1298748489, current_schema()::regnamespace::oid::integer)";
const UNLOCK: &str = "SELECT pg_advisory_unlock_all()";
/// How long a process that just ended may take to let go.
const LET_GO: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);
/// How long a commit may take until its connection counts as broken.
const COMMIT_LIMIT: Duration = Duration::from_secs(120);
/// The same where tables are made anew.
const RESHAPE_LIMIT: Duration = Duration::from_secs(3_600);

/// The end of the log: number and hash.
type End = Option<(u64, Hash)>;

/// What the database says about who writes and how far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct State {
    pub(super) token: i64,
    pub(super) commits: i64,
    pub(super) end: End,
}

/// See the module.
pub(super) struct Writer {
    config: Config,
    /// The database for people.
    name: String,
    /// How long to wait for a server that restarts.
    patience: Duration,
    session: Option<Session>,
    state: State,
    /// Whether the answer to the last commit was lost.
    in_doubt: bool,
}

/// What became of one attempt to commit.
enum Tried {
    Committed,
    /// The connection broke; whether the commit is there must be looked up.
    Lost(StoreError),
}

impl Writer {
    /// Takes a connection that holds the lock.
    pub(super) fn new(config: Config, name: String, patience: Duration, session: Session, state: State) -> Self {
        Self { config, name, patience, session: Some(session), state, in_doubt: false }
    }

    /// How many commits the database has as far as is known.
    pub(super) const fn commits(&self) -> i64 {
        self.state.commits
    }

    /// Makes a batch durable. Where the connection breaks, it is made anew and looked at what is there; a batch that is
    /// not is tried once more.
    pub(super) async fn commit(
        &mut self,
        batch: &Batch,
        steps: &Steps<'_>,
        reshape: Option<&Reshape<'_>>,
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        if self.session.is_none() {
            let before = self.state.commits;
            self.connect_again(begun).await?;
            if self.state.commits > before {
                let message = "a commit whose answer was lost is there after all, so what was read before has changed";
                return Err(StoreError::Busy(message.to_owned()));
            }
        }
        loop {
            let lost = match self.attempt(batch, steps, reshape).await? {
                Tried::Committed => return Ok(()),
                Tried::Lost(error) => error,
            };
            let before = self.state.commits;
            self.connect_again(begun).await?;
            if self.state.commits > before {
                return Ok(());
            }
            if begun.elapsed() > self.patience {
                return Err(lost);
            }
        }
    }

    async fn attempt(
        &mut self,
        batch: &Batch,
        steps: &Steps<'_>,
        reshape: Option<&Reshape<'_>>,
    ) -> Result<Tried, StoreError> {
        let Some(session) = &self.session else { return Ok(Tried::Lost(self.gone())) };
        let limit = if reshape.is_some() { RESHAPE_LIMIT } else { COMMIT_LIMIT };
        let limited = tokio::time::timeout(limit, transaction(session, &self.state, batch, (steps, reshape))).await;
        let done = limited.unwrap_or_else(|_| Err(StoreError::Unreachable(format!("{} does not answer", self.name))));
        match done {
            Ok(state) => {
                self.state = state;
                Ok(Tried::Committed)
            }
            Err(error) if matches!(error, StoreError::Unreachable(_)) || !session.is_sound() => {
                self.session = None;
                self.in_doubt = true;
                Ok(Tried::Lost(error))
            }
            Err(error) => {
                // Nothing is committed; where even this fails, the connection is of no use any more.
                if session.client.batch_execute("ROLLBACK").await.is_err() {
                    self.session = None;
                }
                Err(error)
            }
        }
    }

    fn gone(&self) -> StoreError {
        StoreError::Unreachable(format!("the connection to {} is gone", self.name))
    }

    /// Connects, takes the lock and compares what is there with what is known.
    async fn connect_again(&mut self, begun: Instant) -> Result<(), StoreError> {
        let session = loop {
            match self.connect().await {
                Ok(session) => break session,
                // A server that starts says so, and a process that was cut off may hold the lock for a while.
                Err(StoreError::Unreachable(_) | StoreError::Exhausted(_) | StoreError::InUse { .. })
                    if begun.elapsed() < self.patience =>
                {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        };
        let found = state(&session).await?;
        self.compare(found)?;
        self.state = found;
        self.in_doubt = false;
        self.session = Some(session);
        Ok(())
    }

    async fn connect(&self) -> Result<Session, StoreError> {
        let session = Session::connect(&self.config).await?;
        if !try_lock(&session).await? {
            return Err(StoreError::InUse { path: self.name.clone().into() });
        }
        Ok(session)
    }

    /// Whether the database can be the one that was left: nobody else wrote it, and it did not go back.
    fn compare(&self, found: State) -> Result<(), StoreError> {
        let known = self.state;
        if found.token != known.token {
            return Err(StoreError::InUse { path: self.name.clone().into() });
        }
        let ahead = found.commits - known.commits;
        if ahead < 0 || (ahead == 0 && found.end != known.end) {
            return Err(older(&self.name, known.commits, found.commits));
        }
        if ahead > i64::from(self.in_doubt) {
            let message = format!("{} has {ahead} commits that this node did not make", self.name);
            return Err(StoreError::Damaged(message));
        }
        Ok(())
    }

    /// Lets go of the lock, so that the next process need not wait for the server to notice.
    pub(super) async fn let_go(&mut self) {
        if let Some(session) = self.session.take() {
            let_go(&session).await;
        }
    }
}

/// Frees the lock. The server does it with the end of the connection all the same, but later.
pub(super) async fn let_go(session: &Session) {
    let _freed = tokio::time::timeout(LET_GO, session.client.batch_execute(UNLOCK)).await;
}

/// What is said of a database that lacks commits.
pub(super) fn older(name: &str, known: i64, found: i64) -> StoreError {
    StoreError::Older(format!("{name} is at commit {found}, this node wrote commit {known}"))
}

/// Takes the lock for a process that begins.
pub(super) async fn lock(session: &Session, name: &str) -> Result<(), StoreError> {
    let begun = Instant::now();
    while !try_lock(session).await? {
        if begun.elapsed() > LET_GO {
            return Err(StoreError::InUse { path: name.into() });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn try_lock(session: &Session) -> Result<bool, StoreError> {
    Ok(session.client.query_one(LOCK, &[]).await?.try_get(0)?)
}

/// Makes this process the one that writes, which must hold the lock.
pub(super) async fn take_over(session: &Session) -> Result<State, StoreError> {
    session.client.batch_execute("UPDATE mytism_writer SET token = token + 1").await?;
    state(session).await
}

/// How far the database is.
pub(super) async fn state(session: &Session) -> Result<State, StoreError> {
    let found = session.query("SELECT token, commits FROM mytism_writer", &[]).await?;
    let [row] = found.as_slice() else {
        return Err(StoreError::Damaged(format!("mytism_writer has {} rows in the place of one", found.len())));
    };
    Ok(State { token: row.try_get(0)?, commits: row.try_get(1)?, end: end(session).await? })
}

async fn end(session: &Session) -> Result<End, StoreError> {
    let found = session.query("SELECT number, hash FROM mytism_log ORDER BY number DESC LIMIT 1", &[]).await?;
    let Some(row) = found.first() else { return Ok(None) };
    let hash: &[u8] = row.try_get(1)?;
    let hash =
        hash.try_into().map_err(|_| StoreError::Damaged("the hash of the last entry has another length".into()))?;
    Ok(Some((row.try_get::<_, i64>(0)?.cast_unsigned(), Hash(hash))))
}

/// One transaction of the engine; what is known afterwards.
async fn transaction(
    session: &Session,
    before: &State,
    batch: &Batch,
    (steps, reshape): (&Steps<'_>, Option<&Reshape<'_>>),
) -> Result<State, StoreError> {
    session.client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await?;
    let count = session.statement("UPDATE mytism_writer SET commits = commits + 1 WHERE token = $1 AND commits = $2");
    let hit = session.client.execute(&count.await?, &[&before.token, &before.commits]).await?;
    if hit != 1 {
        return Err(StoreError::Busy("another process writes this database".to_owned()));
    }
    if let Some(reshape) = reshape {
        reshape.carry_out(session).await?;
        // What is prepared is about tables that are others now, whether this is committed or not.
        session.forget_statements();
    }
    session.carry_out(&steps.steps).await?;
    let end = match end_of(batch) {
        Ending::Same => before.end,
        Ending::At(end) => end,
        Ending::Unknown => end(session).await?,
    };
    let done = session.client.simple_query("COMMIT").await?;
    drop(done);
    Ok(State { token: before.token, commits: before.commits + 1, end })
}

/// Where a batch leaves the end of the log.
enum Ending {
    Same,
    At(End),
    Unknown,
}

fn end_of(batch: &Batch) -> Ending {
    batch.iter().fold(Ending::Same, |ending, write| match write {
        Write::Log(row) if !matches!(ending, Ending::Unknown) => Ending::At(Some((row.position.number, row.hash))),
        Write::Log(_) | Write::Unlog { .. } | Write::MendLog(_) => Ending::Unknown,
        _ => ending,
    })
}
