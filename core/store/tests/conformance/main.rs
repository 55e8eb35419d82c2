//! What every store promises, each promise once, on every engine: the embedded one, and a PostgreSQL server that the
//! tests start themselves. The simulator runs on the embedded one too, so there is no third.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod chance;
mod moving;
mod place;
mod promises;
mod questions;
mod reshaping;
mod trouble;
#[path = "../store/work.rs"]
#[allow(dead_code, reason = "the other test program uses the rest of it")]
mod work;

/// One test for each engine.
macro_rules! on_each_engine {
    ($($promise:ident),* $(,)?) => {
        mod sqlite {
            $(#[test] fn $promise() { super::$promise(&mut crate::place::Place::sqlite()); })*
        }
        mod postgres {
            $(#[test] fn $promise() {
                if let Some(mut place) = crate::place::Place::postgres() { super::$promise(&mut place); }
            })*
        }
    };
}
pub(crate) use on_each_engine;
