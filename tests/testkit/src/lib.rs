//! Real nodes for tests: the program itself, started as processes, cut off and killed, and their databases compared.
//!
//! Nothing here knows how a node works inside. What it is asked goes through the command line, and databases are looked
//! at with plain SQL, so that a mistake of the product cannot hide itself.
//!
//! 1. [`Binary`]: the program
//! 2. [`Project`] and [`Output`]: a directory of its own, and commands on it
//! 3. [`RunningNode`]: its node as a process
//! 4. [`wait_until`] and [`wait_until_in_step`]: waiting without sleeping blindly
//! 5. [`compare`]: what two databases differ in
//! 6. [`Proxy`] and [`Weather`]: a bad line between two nodes
//! 7. [`PostgresServer`]: a server of its own
//!
//! All functions fail by panicking, with everything that helps to find the cause.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking and says why on standard error"
)]

mod binary;
mod compare;
mod output;
mod postgres;
mod process;
mod project;
mod proxy;
mod running;
mod wait;

pub use binary::Binary;
pub use compare::compare;
pub use output::Output;
pub use postgres::PostgresServer;
pub use project::Project;
pub use proxy::{Proxy, Weather};
pub use running::RunningNode;
pub use wait::{PATIENCE, wait_until, wait_until_in_step};
