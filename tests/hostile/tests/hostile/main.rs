//! Hostile input against all readers.
//!
//! 1. [`replay`]: the corpus
//! 2. [`mutants`]: sound input made unsound, for a while
//! 3. [`growth`]: work and memory grow no faster than the input
//!
//! `MYTISM_SEED` repeats what a failure of [`mutants`] named.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod growth;
mod mutants;
mod replay;
