//! The demonstration: a head office and two branches on this machine.

use crate::args;
use crate::output::Output;
use crate::report::{Trouble, not_in_this_version};

/// Runs it.
pub(crate) fn run(_arguments: &args::Demo, _output: &mut Output<'_>) -> Result<(), Trouble> {
    Err(not_in_this_version("demo").into())
}
