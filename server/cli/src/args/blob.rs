//! What can be written behind `blob`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use mytism_core::id::ObjectId;

#[derive(Args, Debug)]
pub(crate) struct Blob {
    #[command(subcommand)]
    pub(crate) action: BlobAction,
}

#[derive(Subcommand, Debug)]
pub(crate) enum BlobAction {
    /// Write the file that an attribute holds to the disk; what is not here yet is fetched at once
    Get(BlobGet),
}

#[derive(Args, Debug)]
pub(crate) struct BlobGet {
    /// The object
    #[arg(value_name = "ID")]
    pub(crate) object: ObjectId,
    /// Its attribute of type blob
    #[arg(value_name = "ATTRIBUTE")]
    pub(crate) attribute: String,
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}
