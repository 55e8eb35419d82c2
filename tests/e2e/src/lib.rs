//! The whole product from outside: real processes with real databases, used as people and programs use them.
//!
//! The crate itself is empty; everything is in `tests/e2e`.
