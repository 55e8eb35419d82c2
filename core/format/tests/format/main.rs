//! The forms against `FORMATS.md`, against bytes of former versions, and against damage.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod compat;
mod damage;
mod document;
mod examples;
