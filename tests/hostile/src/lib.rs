//! Hostile input for everything that reads bytes from outside: what each reader must hold, and ways to try it.
//!
//! A *target* is a plain function that gives some bytes to a reader and panics where a law is broken. Not panicking is
//! the least of them: what reads can be written and reads equal again, an error stands on a place in the text, the
//! engine takes every statement that is made, and memory grows no faster than the input. The test suite, the fuzzer in
//! `tests/fuzz` and people with a file in hand run the same functions.
//!
//! 1. [`targets`]: the table of all of them
//! 2. [`log`], [`schema`], [`query`], [`ini`], [`wire`], [`intake`]: readers and their laws
//! 3. [`measure`]: memory and work of a piece of code
//! 4. [`mutate`]: sound input made unsound
//! 5. [`search`]: many mutants, from a seed that finds each of them again
//! 6. [`pack`]: the corpus, one file a target
//!
//! It knows the readers by their public interfaces alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken law is a panic")]

pub mod ini;
pub mod intake;
pub mod log;
pub mod measure;
pub mod mutate;
pub mod pack;
pub mod query;
pub mod schema;
pub mod search;
pub mod targets;
pub mod wire;

pub use targets::{TARGETS, Target};

/// What a reader said of some input: an error without the numbers and names in it, or that it was fine. Inputs about
/// which something new is said are worth keeping.
pub type Told = String;

/// The error's words, without numbers and without what stands between the first and the last quotation mark.
#[must_use]
pub fn told(error: impl std::fmt::Display) -> Told {
    let whole = error.to_string();
    let before = whole.split('"').next().unwrap_or_default();
    let behind = whole.rsplit('"').next().filter(|_| before.len() < whole.len()).unwrap_or_default();
    let letters = before.chars().take(120).chain(behind.chars().take(120));
    letters.filter(|letter| letter.is_ascii_alphabetic() || *letter == ' ').collect()
}

/// A folder for the files of readers that want some; in memory where the system has such a place, since a file system
/// may take its time over files that are written over and over again.
///
/// # Panics
/// When there is no room for one.
#[must_use]
pub fn folder() -> tempfile::TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory.or_else(|_| tempfile::tempdir()).expect("temporary directories can be made")
}
