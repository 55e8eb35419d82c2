//! The store on disks that lose power, fill up and fail, on files that were damaged, and against its manual.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test tells what it compared")]

mod broken;
mod engines;
mod power;
mod query_language;
mod trouble;
mod work;
