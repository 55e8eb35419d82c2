//! Schema files from the outside: what is shipped, what people write, what somebody hostile writes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod files;
mod hostile;
mod shipped;
