//! What can be written behind `numbers`.

use clap::{Args, Subcommand};
use mytism_core::number::Number;

#[derive(Args, Debug)]
pub(crate) struct Numbers {
    #[command(subcommand)]
    pub(crate) command: Option<NumbersCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum NumbersCommand {
    /// Numbers that no object holds though they were drawn, or may have been
    Void(VoidNumbers),
    /// Set the next number of a range by hand
    Set(SetNumber),
}

#[derive(Args, Debug)]
pub(crate) struct VoidNumbers {
    /// Only of the ranges of this name
    #[arg(value_name = "RANGE")]
    pub(crate) range: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct SetNumber {
    /// Name of the range that belongs to this node, or the id of its object
    #[arg(value_name = "RANGE")]
    pub(crate) range: String,
    /// The number that comes next
    #[arg(value_name = "NEXT", allow_negative_numbers = true)]
    pub(crate) next: Number,
    /// Without asking
    #[arg(long)]
    pub(crate) yes: bool,
}
