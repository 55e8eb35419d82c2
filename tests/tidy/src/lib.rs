//! The rules of this repository that the compiler does not check, as tests: see `tests/tidy/main.rs`.
//!
//! The library itself is empty. It exists because the package's dependencies make builds and tests choose the same
//! features, see `Cargo.toml`.
