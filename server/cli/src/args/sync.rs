//! What can be written behind `sync`.

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(crate) struct Sync {
    #[command(subcommand)]
    pub(crate) command: Option<SyncCommand>,
}

#[derive(Subcommand, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SyncCommand {
    /// How the lines are: what moved last, how far behind, how long it takes
    Status,
    /// Compare with the head office all that is here, and mend what differs; a head office checks its own log
    Check,
    /// Let the lines rest until they are resumed, also over a restart; saving goes on
    Pause,
    /// Let them carry again
    Resume,
}
