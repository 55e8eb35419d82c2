//! What can go wrong with a database, told apart by what an administrator can do about it.

use std::path::PathBuf;

use mytism_core::failure::Failure;
use mytism_format::FormatError;

/// A failure of the store. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the database open for writing.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// There is a database where one shall be made.
    #[error("{} is there already", path.display())]
    Exists {
        /// The database.
        path: PathBuf,
    },
    /// There is no database where one should be.
    #[error("{} is missing", path.display())]
    Missing {
        /// The database.
        path: PathBuf,
    },
    /// The database has no tables, not even one of its own.
    #[error("{} is empty: its making was broken off, or its content was lost", path.display())]
    Unfinished {
        /// The database.
        path: PathBuf,
    },
    /// Another program holds a lock of the database.
    #[error("another program holds the database: {0}")]
    Busy(String),
    /// The file system refuses something.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database was written by a newer program.
    #[error("the database has format {found}, this program knows formats up to {known}")]
    Newer {
        /// Format of the database.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The disk is full.
    #[error("the disk is full: {0}")]
    Full(String),
    /// The disk, or what lies between it and the node, fails.
    #[error("the disk fails: {0}")]
    Disk(String),
    /// The database may not be written.
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    /// The database file is damaged.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// The address of the database is none.
    #[error("the address of the database is not right: {0}")]
    Address(String),
    /// The database server does not answer.
    #[error("the database server cannot be reached: {0}")]
    Unreachable(String),
    /// The database server does not let this node in.
    #[error("the database server refuses the node: {0}")]
    Login(String),
    /// All connections to the database server are taken.
    #[error("no connection to the database is free: {0}")]
    Exhausted(String),
    /// The database has an older state than this node has written.
    #[error("the database is older than what this node wrote: {0}")]
    Older(String),
    /// A sum leaves the range of its kind.
    #[error("a sum is too large for its kind")]
    SumOverflow,
    /// Stored bytes are not what they should be.
    #[error("stored bytes are damaged: {0}")]
    Format(#[from] FormatError),
    /// The engine refuses something for another reason.
    #[error("{0}")]
    Engine(String),
}

impl StoreError {
    /// For people and programs.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let (code, hint) = match self {
            Self::InUse { .. } => ("project-in-use", "stop the node that uses it, or go through it"),
            Self::Exists { .. } => ("project-exists", "choose another directory, or remove this one"),
            Self::Missing { .. } => {
                ("no-project", "make one with `./mytism init`, or name the directory with --project")
            }
            Self::Unfinished { .. } => (
                "unfinished-database",
                "if it was being made, run that `./mytism init` or `./mytism join` again; else restore the last good backup",
            ),
            Self::Busy(_) => ("database-busy", "end the other program and try again; nothing was changed"),
            Self::File { .. } => ("file-error", "check that the directory exists and may be written"),
            Self::Newer { .. } => ("newer-database", "use the program version that wrote it, or a newer one"),
            Self::Full(_) => ("disk-full", "make room on the disk and try again; nothing was changed"),
            Self::Disk(_) => (
                "disk-error",
                "look at the system's log and check the disk; see whether the save is there before you repeat it",
            ),
            Self::ReadOnly(_) => ("read-only", "check permissions and mount options; nothing was changed"),
            Self::Damaged(_) | Self::Format(_) => {
                ("database-damaged", "stop the node and restore the last good backup")
            }
            Self::Address(_) => ("database-address", "write [DBMan] url like postgresql://localhost:5432/demo"),
            Self::Unreachable(_) => (
                "database-unreachable",
                "see that the server of [DBMan] url runs; see whether the save is there before you repeat it",
            ),
            Self::Login(_) => (
                "database-login",
                "check user, pass and the name of the database in [DBMan], and who may connect at the server",
            ),
            Self::Exhausted(_) => (
                "database-exhausted",
                "try again; else let the pool, or max_connections of the server, be larger; nothing was changed",
            ),
            Self::Older(_) => (
                "database-older",
                "the server went back, as to a copy that lagged: bring the former one back, or restore; nothing was changed",
            ),
            Self::SumOverflow => return Failure::refused("sum-overflow", self.to_string()),
            Self::Engine(_) => ("store-error", "the log of the node says more"),
        };
        Failure::failed(code, self.to_string()).hint(hint)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::{Error, ErrorCode as Code};
        let text = error.to_string();
        if text.contains("integer overflow") {
            return Self::SumOverflow;
        }
        match (error.sqlite_error_code(), &error) {
            (Some(Code::DiskFull), _) => Self::Full(text),
            (Some(Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen), _) => Self::ReadOnly(text),
            (Some(Code::DatabaseBusy | Code::DatabaseLocked), _) => Self::Busy(text),
            (Some(Code::SystemIoFailure), _) => Self::Disk(text),
            (Some(Code::DatabaseCorrupt | Code::NotADatabase), _) => Self::Damaged(text),
            // A column holds what nobody ever writes into it.
            (None, Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..)) => Self::Damaged(text),
            _ => Self::Engine(text),
        }
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        (&error).into()
    }
}

impl From<&tokio_postgres::Error> for StoreError {
    fn from(error: &tokio_postgres::Error) -> Self {
        use std::error::Error as _;
        let Some(said) = error.as_db_error() else {
            let text = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
            let is_line = error.is_closed()
                || error.source().is_some_and(|source| source.is::<std::io::Error>())
                || text.contains("timed out")
                || text.contains("timeout");
            return if is_line { Self::Unreachable(text) } else { Self::Engine(text) };
        };
        let text = match said.detail() {
            Some(detail) => format!("{} ({detail})", said.message()),
            None => said.message().to_owned(),
        };
        // The classes and codes of appendix A of its manual.
        match said.code().code() {
            "53100" => Self::Full(text),
            "53300" => Self::Exhausted(text),
            "58030" => Self::Disk(text),
            "25006" => Self::ReadOnly(text),
            "42501" => Self::ReadOnly(text),
            "22003" => Self::SumOverflow,
            "XX001" | "XX002" => Self::Damaged(text),
            "57P01" | "57P02" | "57P03" | "57P05" => Self::Unreachable(text),
            "3D000" => Self::Login(text),
            "57014" | "55P03" | "40001" | "40P01" => Self::Busy(text),
            code if code.starts_with("28") => Self::Login(text),
            code if code.starts_with("08") => Self::Unreachable(text),
            code => Self::Engine(format!("{text} [{code}]")),
        }
    }
}
