//! Transport between real sockets: what works, what is refused, what a stranger may try.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
mod gate;
mod hostile;
mod local;
mod peers;
