//! Where data are kept, and what can be written behind `migrate-store`.

use clap::{Args, ValueEnum};

/// The engine below.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Store {
    Sqlite,
    Postgres,
}

#[derive(Args, Debug)]
pub(crate) struct MigrateStore {
    /// Where the data shall be
    #[arg(value_enum, value_name = "STORE")]
    pub(crate) to: Store,
    /// Of a PostgreSQL database that holds no data of a node
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}
