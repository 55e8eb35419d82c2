//! What can be written behind `backup`, `restore` and `prepare-backup-for-node-setup`.

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Backup {
    /// As lines of text that fit any store (not in this version)
    #[arg(long)]
    pub(crate) portable: bool,
    /// With the node's keys, encrypted (not in this version)
    #[arg(long)]
    pub(crate) with_keys: bool,
    #[command(subcommand)]
    pub(crate) command: Option<BackupCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum BackupCommand {
    /// The backups that there are, the oldest first
    List,
    /// Restore a backup to a place that nobody uses, and look at all of it
    Verify(Verify),
}

#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Name of the backup, or its directory
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// Name of the backup, or its directory
    #[arg(value_name = "NAME", required_unless_present = "forget", conflicts_with = "forget")]
    pub(crate) name: Option<String>,
    /// Tell what would be done, and change nothing
    #[arg(long, conflicts_with_all = ["yes", "forget"])]
    pub(crate) dry_run: bool,
    /// Without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Take away the old data that restores have left
    #[arg(long)]
    pub(crate) forget: bool,
}

#[derive(Args, Debug)]
pub(crate) struct NodeSetup {
    /// Name of a backup of the head office
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The branch, where more than one has not joined
    #[arg(long, value_name = "BRANCH")]
    pub(crate) node: Option<String>,
}
