//! What can be written behind `schema`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(crate) struct Schema {
    #[command(subcommand)]
    pub(crate) command: SchemaCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum SchemaCommand {
    /// What leads from the schema that holds to that of a file, and which objects are in the way
    Plan(PlanSchema),
    /// Make the schema of a file the one that holds, at all nodes
    Apply(ApplySchema),
}

#[derive(Args, Debug)]
pub(crate) struct PlanSchema {
    /// The project's schema
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct ApplySchema {
    /// The project's schema
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Also where something is dropped
    #[arg(long)]
    pub(crate) yes: bool,
}
